//! Traces by what they have.
//!
//! A trace is found when one of its spans has all that is asked for. Blocks are looked at from the newest on, and no further than
//! needed: as all parts of a trace have the same place in the order, one that is in no block looked at is older than all that is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::filter::SpanFilter;
use super::services::calls;
use super::{Cursor, LIMIT, LIMIT_MAX, Range, TraceSummary, View};
use crate::part::Part;
use crate::window::Zone;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceQuery {
    /// When they began.
    pub range: Range,
    /// What one span of them must have.
    pub span: SpanFilter,
    /// Who must have called whom in it.
    pub edge: Option<(String, String)>,
    /// How many at most; up to [`LIMIT_MAX`].
    pub limit: usize,
    /// Only those before this place.
    pub before: Option<Cursor>,
}

impl Default for TraceQuery {
    fn default() -> TraceQuery {
        TraceQuery {
            range: Range::default(),
            span: SpanFilter::default(),
            edge: None,
            limit: LIMIT,
            before: None,
        }
    }
}

/// A page of what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traces {
    /// Newest first.
    pub traces: Vec<TraceSummary>,
    /// Where the next page begins; none: there is no more.
    pub next: Option<Cursor>,
    /// Whether more was to be looked at than a query may.
    pub cut: bool,
}

impl View {
    /// The newest traces that are asked for.
    pub(crate) fn traces(&self, query: &TraceQuery) -> Traces {
        let limit = query.limit.clamp(1, LIMIT_MAX);
        let before = query.before.unwrap_or(Cursor::END);
        let mut found: BTreeMap<Cursor, [u8; 16]> = BTreeMap::new();
        let mut looked_at = 0;
        let mut look = |parts: &[Part], found: &mut BTreeMap<Cursor, [u8; 16]>| {
            for part in parts {
                looked_at += part.spans.len();
                let place = Cursor { at_ns: part.start_ns, which: u128::from_be_bytes(part.trace_id) };
                if place < before && query.is_met(part) {
                    found.insert(place, part.trace_id);
                }
            }
            while found.len() > limit + 1 {
                found.pop_first();
            }
            looked_at
        };
        let mut seen = look(&self.parts, &mut found);
        let mut blocks: Vec<_> =
            self.spans.iter().filter(|block| query.may_be_in(&block.zone, before.at_ns)).collect();
        blocks.sort_unstable_by_key(|block| std::cmp::Reverse(block.zone.to_ns));
        let mut cut_at = None;
        for block in blocks {
            let is_full = found.len() > limit;
            if is_full && found.first_key_value().is_some_and(|(last, _)| last.at_ns > block.zone.to_ns) {
                break;
            }
            if seen >= self.looked_at_max {
                cut_at = Some(block.zone.to_ns);
                break;
            }
            seen = look(&self.reader.parts(block), &mut found);
        }
        self.page(found, limit, before, cut_at)
    }

    fn page(
        &self,
        mut found: BTreeMap<Cursor, [u8; 16]>,
        limit: usize,
        before: Cursor,
        cut_at: Option<u64>,
    ) -> Traces {
        let mut next = None;
        if let Some(cut_at) = cut_at {
            // What is older than the block that was not looked at may not be all there is.
            let from = Cursor { at_ns: cut_at.saturating_add(1), which: 0 };
            found.retain(|place, _| *place >= from);
            next = (from < before).then_some(from);
        }
        if found.len() > limit {
            found.pop_first();
            next = found.first_key_value().map(|(last, _)| *last);
        }
        let traces = found.into_values().rev().map(|id| TraceSummary::of(&self.parts_of(&id))).collect();
        Traces { traces, next, cut: cut_at.is_some() }
    }
}

impl TraceQuery {
    fn is_met(&self, part: &Part) -> bool {
        self.range.has(part.start_ns)
            && (self.span.is_empty() || part.spans.iter().any(|span| self.span.is_met(span)))
            && self.edge.as_ref().is_none_or(|(caller, callee)| {
                calls(&part.spans).iter().any(|call| *call.caller == **caller && call.callee == *callee)
            })
    }

    /// Whether a block may have such a trace.
    fn may_be_in(&self, zone: &Zone, before_ns: u64) -> bool {
        let services = self.span.service.iter().chain(self.edge.as_ref().map(|(caller, _)| caller));
        zone.to_ns >= self.range.from_ns
            && zone.from_ns < self.range.to_ns
            && zone.from_ns <= before_ns
            && (self.span.error != Some(true) || zone.has_errors)
            && self.span.duration_min_ns.is_none_or(|least| zone.longest_ns >= least)
            && services.into_iter().all(|service| zone.has_service(service))
    }
}
