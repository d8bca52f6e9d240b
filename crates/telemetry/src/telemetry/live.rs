//! What has just come: traces that have fallen quiet and records of logs, numbered, for those who look on. Bounded; who is too slow is
//! told how many were missed. A trace comes when it has been quiet for a moment, and again when there is more of it or it is kept.
//!
//! Nothing of it is done while nobody looks on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::json::shared;
use crate::part::{KeptLog, Part};
use crate::query::TraceSummary;
use crate::sample::Sampler;
use crate::span::Span;

/// Most that are kept for those who are slow.
const KEPT_MAX: usize = 2_048;
/// Most traces that are waited for to fall quiet; those beyond come when they are kept.
const WAITING_MAX: usize = 4_096;
/// How long a trace must be quiet to come.
const QUIET_MS: u64 = 100;
/// How long after the last look somebody still looks on.
const LOOKING_MS: u64 = 15_000;

/// What is new.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// Traces, in the order in which they came; one that comes again takes the place of what was told of it.
    pub traces: Vec<TraceSummary>,
    /// Records, in the order in which they came.
    #[serde(serialize_with = "shared")]
    pub logs: Vec<Arc<KeptLog>>,
    /// How many were missed.
    pub missed: u64,
    /// Where to go on from.
    pub next: u64,
}

/// Numbered without gaps, up to `newest`.
pub(super) struct LiveWindow {
    items: VecDeque<Item>,
    newest: u64,
    waiting: HashMap<[u8; 16], u64>,
    now_ms: u64,
    looked_at_ms: Option<u64>,
}

enum Item {
    Trace(TraceSummary),
    Log(Arc<KeptLog>),
}

impl Default for LiveWindow {
    fn default() -> LiveWindow {
        LiveWindow {
            items: VecDeque::new(),
            // Before the first there is one, so that 0 is never a place to go on from.
            newest: 1,
            waiting: HashMap::new(),
            now_ms: 0,
            looked_at_ms: None,
        }
    }
}

impl LiveWindow {
    /// What came after a number; at 0, only where to go on from.
    pub(super) fn since(&mut self, since: u64) -> Live {
        self.looked_at_ms = Some(self.now_ms);
        let mut live = Live { next: self.newest, ..Live::default() };
        if since == 0 {
            return live;
        }
        let since = since.min(self.newest);
        let gone = self.newest - self.items.len() as u64;
        live.missed = gone.saturating_sub(since);
        for item in self.items.iter().skip(usize::try_from(since.saturating_sub(gone)).unwrap_or(usize::MAX))
        {
            match item {
                Item::Trace(trace) => live.traces.push(trace.clone()),
                Item::Log(log) => live.logs.push(log.clone()),
            }
        }
        live
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn span(&mut self, now_ms: u64, span: &Span) {
        if !self.is_looked_at() {
            return;
        }
        if self.waiting.len() < WAITING_MAX || self.waiting.contains_key(&span.trace_id) {
            self.waiting.insert(span.trace_id, now_ms);
        }
    }

    pub(super) fn kept(&mut self, part: &Part) {
        if self.is_looked_at() && part.spans.len() > 1 {
            self.waiting.remove(&part.trace_id);
            self.push(Item::Trace(TraceSummary::of(std::slice::from_ref(part))));
        }
    }

    pub(super) fn log(&mut self, log: &Arc<KeptLog>) {
        if self.is_looked_at() {
            self.push(Item::Log(log.clone()));
        }
    }

    /// So late is it: traces that have fallen quiet come.
    pub(super) fn tick(&mut self, now_ms: u64, sampler: &Sampler) {
        self.now_ms = now_ms;
        if !self.is_looked_at() {
            self.waiting.clear();
            return;
        }
        let quiet = self.waiting.extract_if(|_, last_ms| now_ms.saturating_sub(*last_ms) >= QUIET_MS);
        let quiet: Vec<Part> = quiet.filter_map(|(trace_id, _)| sampler.open_trace(&trace_id)).collect();
        for part in quiet {
            self.push(Item::Trace(TraceSummary::of(std::slice::from_ref(&part))));
        }
    }

    fn is_looked_at(&self) -> bool {
        self.looked_at_ms.is_some_and(|at_ms| self.now_ms.saturating_sub(at_ms) < LOOKING_MS)
    }

    fn push(&mut self, item: Item) {
        self.newest += 1;
        if self.items.len() >= KEPT_MAX {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }
}
