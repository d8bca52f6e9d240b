//! What is kept: parts of traces, each with why it was kept and for how many it stands, and numbered records of logs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::span::{Kind, LogRecord, Span};

/// Spans of one trace that were decided on together. What comes later is a part of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The trace.
    pub trace_id: [u8; 16],
    /// When the trace began as far as was known when it was decided on, the same in all of its parts: its place in the order of
    /// traces.
    pub start_ns: u64,
    /// Why it is kept; none while that is not decided.
    pub kept: Option<Kept>,
    /// Its spans, in no order.
    pub spans: Vec<Arc<Span>>,
}

/// Why a trace is kept, and for how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The reason.
    pub why: Why,
    /// How many traces like it it stands for, itself included: one divided by the chance that it had to be kept.
    pub weight: f32,
}

/// Why a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// A span of it failed.
    Error,
    /// A span of it took longer than nearly all of its name.
    Slow,
    /// It is of the fair share of all others.
    Share,
}

/// A record of a log with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptLog {
    /// In the order of arrival, from 1, over restarts too.
    pub seq: u64,
    /// The record.
    pub record: LogRecord,
}

impl Part {
    /// For how many traces it stands.
    pub fn weight(&self) -> f64 {
        self.kept.map_or(1.0, |kept| f64::from(kept.weight))
    }

    /// Roughly what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Part>() + self.spans.iter().map(|span| span.bytes()).sum::<usize>()
    }
}

/// The span that a trace began with, as far as it is there: that which nobody caused, or else the earliest.
pub(crate) fn entry<'s>(spans: impl Iterator<Item = &'s Arc<Span>> + Clone) -> Option<&'s Arc<Span>> {
    let roots = spans.clone().filter(|span| span.parent.is_none());
    roots
        .min_by_key(|span| span.start_ns)
        .or_else(|| spans.min_by_key(|span| (span.start_ns, is_inner(span))))
}

fn is_inner(span: &Span) -> bool {
    !is_answer(span)
}

/// Whether it answers somebody: where the time of a service is told.
pub(crate) fn is_answer(span: &Span) -> bool {
    matches!(span.kind, Kind::Server | Kind::Consumer)
}
