//! From spans, records and samples to a request.

use std::collections::BTreeMap;

use super::wire::{put_bytes, put_fixed64, put_in, put_some, put_varint};
use crate::catalogue::{Kind as Counts, Metric};
use crate::exposition::{BOUNDS, Sample, Value as Much};
use crate::metrics::HistogramSnapshot;
use crate::span::{Event, Kind, Link, LogRecord, Span, Status, Text, Value};

/// A request that grows by what is put into it: spans, or records.
#[derive(Debug, Default)]
pub struct Batch {
    /// By service and instance, and then by scope: what is written of each, ready to be put together.
    resources: BTreeMap<(String, String), BTreeMap<String, Vec<u8>>>,
    count: u64,
    bytes: usize,
}

impl Batch {
    /// Puts a span in.
    pub fn span(&mut self, span: &Span) {
        self.put(&span.service, &span.instance, &span.scope, |out| write_span(out, span));
    }

    /// Puts a record in.
    pub fn log(&mut self, log: &LogRecord) {
        self.put(&log.service, &log.instance, "", |out| write_log(out, log));
    }

    fn put(&mut self, service: &str, instance: &str, scope: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let resource = self.resources.entry((service.to_owned(), instance.to_owned())).or_default();
        let out = resource.entry(scope.to_owned()).or_default();
        let before = out.len();
        put_in(out, 2, write);
        self.bytes += out.len() - before;
        self.count += 1;
    }

    /// How many there are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes they are, but for whose they are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The request: an `ExportTraceServiceRequest`, or of records an `ExportLogsServiceRequest`, which are built alike.
    pub fn request(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes + 256 * self.resources.len());
        for ((service, instance), scopes) in &self.resources {
            put_in(&mut out, 1, |out| {
                put_in(out, 1, |out| {
                    for (key, value) in [("service.name", service), ("service.instance.id", instance)] {
                        if !value.is_empty() {
                            put_in(out, 1, |out| pair(out, key, &Value::from(value.clone())));
                        }
                    }
                });
                for (scope, written) in scopes {
                    put_in(out, 2, |out| {
                        put_in(out, 1, |out| put_some(out, 1, scope.as_bytes()));
                        out.extend_from_slice(written);
                    });
                }
            });
        }
        out
    }
}

/// Samples as an `ExportMetricsServiceRequest` of one service, which counts since `began_ns`, as it is at `now_ns` (both nanoseconds since
/// 1970); and how many points there are in it. Counters and histograms are cumulative; these have the bounds that Prometheus gets.
pub fn measured(samples: &[Sample], service: &str, began_ns: u64, now_ns: u64) -> (Vec<u8>, u64) {
    let mut metrics: BTreeMap<&str, (&Metric, Vec<&Sample>)> = BTreeMap::new();
    for sample in samples {
        metrics.entry(sample.metric.name).or_insert_with(|| (sample.metric, Vec::new())).1.push(sample);
    }
    let mut out = Vec::new();
    put_in(&mut out, 1, |out| {
        put_in(out, 1, |out| {
            put_in(out, 1, |out| pair(out, "service.name", &Value::from(service.to_owned())))
        });
        put_in(out, 2, |out| {
            put_in(out, 1, |out| put_bytes(out, 1, b"colony"));
            for (metric, samples) in metrics.values() {
                put_in(out, 2, |out| write_metric(out, metric, samples, (began_ns, now_ns)));
            }
        });
    });
    (out, samples.len() as u64)
}

fn write_metric(out: &mut Vec<u8>, metric: &Metric, samples: &[&Sample], times: (u64, u64)) {
    put_bytes(out, 1, metric.name.as_bytes());
    put_bytes(out, 2, metric.help.as_bytes());
    put_bytes(out, 3, metric.unit.as_bytes());
    let field = match metric.kind {
        Counts::Gauge => 5,
        Counts::Counter | Counts::Lasting => 7,
        Counts::Histogram => 9,
    };
    put_in(out, field, |out| {
        for sample in samples {
            put_in(out, 1, |out| write_point(out, sample, times));
        }
        if metric.kind != Counts::Gauge {
            put_varint(out, 2, CUMULATIVE);
        }
        if matches!(metric.kind, Counts::Counter | Counts::Lasting) {
            put_varint(out, 3, 1);
        }
    });
}

fn write_point(out: &mut Vec<u8>, sample: &Sample, (began_ns, now_ns): (u64, u64)) {
    // What lasts has counted since a time that nobody knows any more.
    if matches!(sample.metric.kind, Counts::Counter | Counts::Histogram) {
        put_fixed64(out, 2, began_ns);
    }
    put_fixed64(out, 3, now_ns);
    let place = match &sample.value {
        Much::Number(number) => {
            put_fixed64(out, 4, number.to_bits());
            7
        }
        Much::Histogram(snapshot, _) => {
            write_histogram(out, snapshot);
            9
        }
    };
    for (label, value) in sample.metric.labels.iter().zip(&sample.labels) {
        put_in(out, place, |out| pair(out, label, &Value::from(value.clone())));
    }
}

fn write_histogram(out: &mut Vec<u8>, snapshot: &HistogramSnapshot) {
    put_fixed64(out, 4, snapshot.count());
    put_fixed64(out, 5, (snapshot.sum() as f64 / 1e6).to_bits());
    let packed = |out: &mut Vec<u8>, field: u32, numbers: &mut dyn Iterator<Item = u64>| {
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        put_bytes(out, field, &bytes);
    };
    let mut below = 0;
    let ends = BOUNDS.iter().map(|(micros, _)| snapshot.count_within(*micros)).chain([snapshot.count()]);
    packed(out, 6, &mut ends.map(|within| within - std::mem::replace(&mut below, within)));
    packed(out, 7, &mut BOUNDS.iter().map(|(micros, _)| (*micros as f64 / 1e6).to_bits()));
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

fn write_span(out: &mut Vec<u8>, span: &Span) {
    put_bytes(out, 1, &span.trace_id);
    put_bytes(out, 2, &span.span_id);
    put_some(out, 3, span.trace_state.as_bytes());
    if let Some(parent) = &span.parent {
        put_bytes(out, 4, parent);
    }
    put_some(out, 5, span.name.as_bytes());
    put_varint(out, 6, kind(span.kind));
    put_fixed64(out, 7, span.start_ns);
    put_fixed64(out, 8, span.end_ns());
    attributes(out, 9, &span.attributes);
    if span.dropped > 0 {
        put_varint(out, 10, u64::from(span.dropped));
    }
    for event in &span.events {
        put_in(out, 11, |out| write_event(out, event));
    }
    for link in &span.links {
        put_in(out, 13, |out| write_link(out, link));
    }
    match &span.status {
        Status::Unset => {}
        Status::Ok => put_in(out, 15, |out| put_varint(out, 3, 1)),
        Status::Error(why) => put_in(out, 15, |out| {
            put_some(out, 2, why.as_bytes());
            put_varint(out, 3, 2);
        }),
    }
}

fn kind(kind: Kind) -> u64 {
    match kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

fn write_event(out: &mut Vec<u8>, event: &Event) {
    put_fixed64(out, 1, event.at_ns);
    put_some(out, 2, event.name.as_bytes());
    attributes(out, 3, &event.attributes);
}

fn write_link(out: &mut Vec<u8>, link: &Link) {
    put_bytes(out, 1, &link.trace_id);
    put_bytes(out, 2, &link.span_id);
    attributes(out, 4, &link.attributes);
}

fn write_log(out: &mut Vec<u8>, log: &LogRecord) {
    put_fixed64(out, 1, log.at_ns);
    if log.severity > 0 {
        put_varint(out, 2, u64::from(log.severity));
    }
    put_in(out, 5, |out| put_bytes(out, 1, log.body.as_bytes()));
    attributes(out, 6, &log.attributes);
    if let Some(trace_id) = &log.trace_id {
        put_bytes(out, 9, trace_id);
    }
    if let Some(span_id) = &log.span_id {
        put_bytes(out, 10, span_id);
    }
    put_fixed64(out, 11, log.at_ns);
    put_some(out, 12, log.event.as_bytes());
}

fn attributes(out: &mut Vec<u8>, field: u32, all: &[(Text, Value)]) {
    for (key, value) in all {
        put_in(out, field, |out| pair(out, key, value));
    }
}

fn pair(out: &mut Vec<u8>, key: &str, value: &Value) {
    put_bytes(out, 1, key.as_bytes());
    put_in(out, 2, |out| write_value(out, value));
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => put_bytes(out, 1, text.as_bytes()),
        Value::Bool(truth) => put_varint(out, 2, u64::from(*truth)),
        Value::Int(number) => put_varint(out, 3, *number as u64),
        Value::Float(number) => put_fixed64(out, 4, number.to_bits()),
        Value::List(list) => put_in(out, 5, |out| {
            list.iter().for_each(|value| put_in(out, 1, |out| write_value(out, value)));
        }),
        Value::Map(map) => put_in(out, 6, |out| {
            map.iter().for_each(|(key, value)| put_in(out, 1, |out| pair(out, key, value)));
        }),
        Value::Bytes(bytes) => put_bytes(out, 7, bytes),
    }
}
