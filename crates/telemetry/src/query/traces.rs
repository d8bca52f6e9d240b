//! Traces by what they have.
//!
//! A trace is found when one of its spans has all that is asked for; how long it took is asked of its first span where neither a service
//! nor a name is. Blocks are looked at from the newest on, and no further than needed: as all parts of a trace have the same place in
//! the order, one that is in no block looked at is older than all that is.

use serde::Serialize;

use super::filter::SpanFilter;
use super::services::calls;
use super::walk::Newest;
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
        let mut newest = Newest::new(query.limit.clamp(1, LIMIT_MAX), query.before);
        let mut walk = self.walk::<Part>(|zone| query.may_be_in(zone, newest.before.at_ns));
        while let Some(parts) = walk.next(|to_ns| newest.is_enough(to_ns)) {
            for part in parts.iter() {
                let place = Cursor { at_ns: part.start_ns, which: u128::from_be_bytes(part.trace_id) };
                if newest.is_wanted(place) && query.is_met(part) {
                    newest.add(place, part.trace_id);
                }
            }
        }
        let (found, next) = newest.page(walk.cut_at);
        let traces = found.map(|id| TraceSummary::of(&self.parts_of(&id))).collect();
        Traces { traces, next, cut: walk.cut_at.is_some() }
    }
}

impl TraceQuery {
    /// Whether a part of a trace has all that is asked for.
    pub(super) fn is_met(&self, part: &Part) -> bool {
        self.range.has(part.start_ns)
            && self.span.is_met_in(part)
            && self.edge.as_ref().is_none_or(|(caller, callee)| {
                calls(&part.spans).iter().any(|call| *call.caller == **caller && call.callee == *callee)
            })
    }

    /// Whether a block may have such a trace.
    pub(super) fn may_be_in(&self, zone: &Zone, before_ns: u64) -> bool {
        let services = self.span.service.iter().chain(self.edge.as_ref().map(|(caller, _)| caller));
        self.range.overlaps(zone)
            && zone.from_ns <= before_ns
            && (self.span.error != Some(true) || zone.has_errors)
            && self.span.duration_min_ns.is_none_or(|least| zone.longest_ns >= least)
            && services.into_iter().all(|service| zone.has_service(service))
    }
}
