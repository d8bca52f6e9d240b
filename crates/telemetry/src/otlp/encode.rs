//! From spans and records to a request.

use std::collections::BTreeMap;

use super::wire::{put_bytes, put_fixed64, put_in, put_some, put_varint};
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
