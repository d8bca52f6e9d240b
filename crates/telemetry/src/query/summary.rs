//! A trace whole, and the line that a list has of it.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::json::shared;
use crate::part::{Kept, KeptLog, Part, Why, entry};
use crate::query::{Stretch, View, critical};
use crate::span::{Span, Text, Value};

/// A trace, with all that is kept of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: TraceSummary,
    /// Its spans, by when they began; a cause before what it caused.
    #[serde(rename = "spans", serialize_with = "shared")]
    pub all: Vec<Arc<Span>>,
    /// Where its time went.
    pub critical_path: Vec<Stretch>,
    /// What was logged in it, oldest first.
    #[serde(serialize_with = "shared")]
    pub logs: Vec<Arc<KeptLog>>,
}

/// What a list says of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceSummary {
    /// The trace.
    #[serde(serialize_with = "hexadecimal")]
    pub trace_id: [u8; 16],
    /// When it began, in nanoseconds since 1970.
    #[serde(rename = "start_us", serialize_with = "micros")]
    pub start_ns: u64,
    /// From its beginning to the end of its last span.
    pub duration_ns: u64,
    /// How long its first span took: what who asked has waited.
    pub first_duration_ns: u64,
    /// The service that it began with.
    pub service: Text,
    /// What that did.
    pub name: Text,
    /// Whether the span that nobody caused is there.
    pub is_whole: bool,
    /// The status that was answered with, if it is HTTP.
    pub status_code: Option<i64>,
    /// How many spans it has.
    pub span_count: usize,
    /// How many of them failed.
    pub error_count: usize,
    /// Whose spans these are, by name.
    pub services: Vec<Text>,
    /// Why it is kept; none while that is not decided.
    pub kept: Option<Why>,
    /// How many it stands for.
    pub weight: f64,
}

impl TraceSummary {
    /// Of the parts of a trace; at least one.
    pub(crate) fn of(parts: &[Part]) -> TraceSummary {
        let spans = || parts.iter().flat_map(|part| &part.spans);
        let entry = entry(spans());
        let start_ns = spans().map(|span| span.start_ns).min().unwrap_or(0);
        let end_ns = spans().map(|span| span.end_ns()).max().unwrap_or(0);
        let mut services: Vec<Text> = spans().map(|span| span.service.clone()).collect();
        services.sort_unstable();
        services.dedup();
        let status = entry.and_then(|span| span.attribute("http.response.status_code"));
        let kept: Option<Kept> = parts.iter().find_map(|part| part.kept);
        TraceSummary {
            trace_id: parts.first().map_or([0; 16], |part| part.trace_id),
            start_ns,
            duration_ns: end_ns.saturating_sub(start_ns),
            first_duration_ns: entry.map_or(0, |span| span.duration_ns),
            service: entry.map(|span| span.service.clone()).unwrap_or_default(),
            name: entry.map(|span| span.name.clone()).unwrap_or_default(),
            is_whole: entry.is_some_and(|span| span.parent.is_none()),
            status_code: if let Some(Value::Int(code)) = status { Some(*code) } else { None },
            span_count: spans().count(),
            error_count: spans().filter(|span| span.is_error()).count(),
            services,
            kept: kept.map(|kept| kept.why),
            weight: kept.map_or(1.0, |kept| f64::from(kept.weight)),
        }
    }
}

impl View {
    /// A trace by its id.
    pub(crate) fn trace(&self, trace_id: &[u8; 16]) -> Option<Trace> {
        let parts = self.parts_of(trace_id);
        if parts.is_empty() {
            return None;
        }
        let summary = TraceSummary::of(&parts);
        let mut all: Vec<Arc<Span>> = parts.into_iter().flat_map(|part| part.spans).collect();
        // A cause begins no later than what it caused, and is the longer one where both begin at once.
        all.sort_by_key(|span| (span.start_ns, u64::MAX - span.duration_ns));
        all.dedup_by(|one, other| one.span_id == other.span_id && one.start_ns == other.start_ns);
        let critical_path = critical::path(&all, summary.start_ns);
        Some(Trace { summary, all, critical_path, logs: self.logs_of(trace_id) })
    }
}

fn hexadecimal<S: Serializer>(bytes: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::hex(bytes))
}

fn micros<S: Serializer>(ns: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(ns / 1_000)
}
