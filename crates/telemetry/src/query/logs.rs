//! Records of logs by what they have, newest first.

use std::sync::Arc;

use serde::Serialize;

use super::filter::{Condition, log_has};
use super::walk::Newest;
use super::{Cursor, LIMIT, LIMIT_MAX, Range, View};
use crate::json::shared;
use crate::part::KeptLog;
use crate::window::Zone;

/// Most records that are given with a trace.
const OF_TRACE_MAX: usize = 2_000;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct LogQuery {
    /// When they were written.
    pub range: Range,
    /// Who has written them.
    pub service: Option<String>,
    /// Which instance of it.
    pub instance: Option<String>,
    /// The least that they matter, by OpenTelemetry's numbers. Those of which it is not known count as 9, INFO.
    pub severity_min: u8,
    /// What they have in them, in capitals or not.
    pub text: Option<String>,
    /// What they are about for programs; an empty text: whatever it is.
    pub event: Option<String>,
    /// The trace that they belong to.
    pub trace_id: Option<[u8; 16]>,
    /// The span that they belong to.
    pub span_id: Option<[u8; 8]>,
    /// What their attributes are.
    pub attributes: Vec<Condition>,
    /// How many at most; up to [`LIMIT_MAX`].
    pub limit: usize,
    /// Only those before this place.
    pub before: Option<Cursor>,
    /// Only those that came after the record with this number ([`KeptLog::seq`]), whatever their time: what is new since a page.
    pub after: Option<u64>,
}

impl Default for LogQuery {
    fn default() -> LogQuery {
        LogQuery {
            range: Range::default(),
            service: None,
            instance: None,
            severity_min: 0,
            text: None,
            event: None,
            trace_id: None,
            span_id: None,
            attributes: Vec::new(),
            limit: LIMIT,
            before: None,
            after: None,
        }
    }
}

/// A page of what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logs {
    /// Newest first.
    #[serde(serialize_with = "shared")]
    pub logs: Vec<Arc<KeptLog>>,
    /// Where the next page begins; none: there is no more.
    pub next: Option<Cursor>,
    /// Whether more was to be looked at than a query may.
    pub cut: bool,
    /// The highest number of a record that there is, asked for or not: [`LogQuery::after`] of who wants to know what is new then.
    /// 0: there is none.
    pub newest: u64,
}

impl View {
    /// The newest records that are asked for.
    pub(crate) fn logs(&self, query: &LogQuery) -> Logs {
        self.newest_logs(query, query.limit.clamp(1, LIMIT_MAX))
    }

    /// What was logged in a trace, oldest first.
    pub(crate) fn logs_of(&self, trace_id: &[u8; 16]) -> Vec<Arc<KeptLog>> {
        let query = LogQuery { trace_id: Some(*trace_id), ..LogQuery::default() };
        let mut logs = self.newest_logs(&query, OF_TRACE_MAX).logs;
        logs.reverse();
        logs
    }

    fn newest_log(&self) -> u64 {
        let in_blocks = self.log_blocks.iter().map(|block| block.zone.newest);
        in_blocks.chain(self.logs.iter().map(|log| log.seq)).max().unwrap_or(0)
    }

    fn newest_logs(&self, query: &LogQuery, limit: usize) -> Logs {
        let mut newest = Newest::new(limit, query.before);
        let mut walk = self.walk::<Arc<KeptLog>>(|zone| query.may_be_in(zone, newest.before.at_ns));
        while let Some(logs) = walk.next(|to_ns| newest.is_enough(to_ns)) {
            for log in logs.iter() {
                let place = Cursor { at_ns: log.record.at_ns, which: u128::from(log.seq) };
                if newest.is_wanted(place) && query.is_met(log) {
                    newest.add(place, log.clone());
                }
            }
        }
        let (logs, next) = newest.page(walk.cut_at);
        Logs { logs: logs.collect(), next, cut: walk.cut_at.is_some(), newest: self.newest_log() }
    }
}

impl LogQuery {
    /// Whether a record has all that is asked for.
    pub fn is_met(&self, log: &KeptLog) -> bool {
        let record = &log.record;
        let severity = if record.severity == 0 { 9 } else { record.severity };
        self.range.has(record.at_ns)
            && severity >= self.severity_min
            && self.after.is_none_or(|seq| log.seq > seq)
            && self.service.as_deref().is_none_or(|service| record.service == *service)
            && self.instance.as_deref().is_none_or(|instance| record.instance == *instance)
            && self.trace_id.is_none_or(|trace_id| record.trace_id == Some(trace_id))
            && self.span_id.is_none_or(|span_id| record.span_id == Some(span_id))
            && self.event.as_deref().is_none_or(|event| match event {
                "" => !record.event.is_empty(),
                event => record.event == *event,
            })
            && self.attributes.iter().all(|condition| condition.is_met(&record.attributes))
            && self.text.as_deref().is_none_or(|text| log_has(record, text))
    }

    fn may_be_in(&self, zone: &Zone, before_ns: u64) -> bool {
        self.range.overlaps(zone)
            && zone.from_ns <= before_ns
            && self.after.is_none_or(|seq| zone.newest > seq)
            && (self.severity_min < 17 || zone.has_errors)
            && self.service.iter().all(|service| zone.has_service(service))
            && self.trace_id.is_none_or(|trace_id| zone.may_have(&trace_id))
    }
}
