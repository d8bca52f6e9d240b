//! Spans and records as JSON, for the API and for `--json`: ids in hexadecimal, times in microseconds since 1970 (which a
//! JavaScript number holds exactly), durations in nanoseconds, attributes as an object.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use crate::part::KeptLog;
use crate::span::{Event, Kind, Link, LogRecord, Span, Status, Text, Value};

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => to.serialize_str(text),
            Value::Int(number) => to.serialize_i64(*number),
            Value::Float(number) if number.is_finite() => to.serialize_f64(*number),
            // JSON has no word for what is no number.
            Value::Float(number) => to.serialize_str(&number.to_string()),
            Value::Bool(truth) => to.serialize_bool(*truth),
            Value::Bytes(bytes) => to.serialize_str(&hex(bytes)),
            Value::List(list) => {
                let mut seq = to.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|one| seq.serialize_element(one))?;
                seq.end()
            }
            Value::Map(map) => Attributes(map).serialize(to),
        }
    }
}

/// Pairs as an object.
struct Attributes<'a>(&'a [(Text, Value)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl Kind {
    /// As OpenTelemetry has it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Internal => "internal",
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut span = to.serialize_struct("Span", 18)?;
        span.serialize_field("trace_id", &hex(&self.trace_id))?;
        span.serialize_field("span_id", &hex(&self.span_id))?;
        span.serialize_field("parent_id", &self.parent.map(|parent| hex(&parent)))?;
        if !self.trace_state.is_empty() {
            span.serialize_field("trace_state", &self.trace_state)?;
        }
        span.serialize_field("service", &self.service)?;
        span.serialize_field("instance", &self.instance)?;
        span.serialize_field("scope", &self.scope)?;
        span.serialize_field("name", &self.name)?;
        span.serialize_field("kind", &self.kind)?;
        span.serialize_field("start_us", &micros(self.start_ns))?;
        span.serialize_field("duration_ns", &self.duration_ns)?;
        let (status, why) = match &self.status {
            Status::Unset => ("unset", None),
            Status::Ok => ("ok", None),
            Status::Error(why) => ("error", Some(why)),
        };
        span.serialize_field("status", status)?;
        if let Some(why) = why {
            span.serialize_field("error", why)?;
        }
        span.serialize_field("attributes", &Attributes(&self.attributes))?;
        if !self.events.is_empty() {
            span.serialize_field("events", &self.events)?;
        }
        if !self.links.is_empty() {
            span.serialize_field("links", &self.links)?;
        }
        if self.dropped > 0 {
            span.serialize_field("dropped", &self.dropped)?;
        }
        span.end()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut event = to.serialize_struct("Event", 3)?;
        event.serialize_field("at_us", &micros(self.at_ns))?;
        event.serialize_field("name", &self.name)?;
        event.serialize_field("attributes", &Attributes(&self.attributes))?;
        event.end()
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut link = to.serialize_struct("Link", 3)?;
        link.serialize_field("trace_id", &hex(&self.trace_id))?;
        link.serialize_field("span_id", &hex(&self.span_id))?;
        link.serialize_field("attributes", &Attributes(&self.attributes))?;
        link.end()
    }
}

impl Serialize for KeptLog {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        record(to, Some(self.seq), &self.record)
    }
}

impl Serialize for LogRecord {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        record(to, None, self)
    }
}

fn record<S: Serializer>(to: S, seq: Option<u64>, log: &LogRecord) -> Result<S::Ok, S::Error> {
    let mut fields = to.serialize_struct("LogRecord", 11)?;
    if let Some(seq) = seq {
        fields.serialize_field("seq", &seq)?;
    }
    fields.serialize_field("at_us", &micros(log.at_ns))?;
    fields.serialize_field("severity", &log.severity)?;
    fields.serialize_field("level", level(log.severity))?;
    fields.serialize_field("service", &log.service)?;
    fields.serialize_field("instance", &log.instance)?;
    if !log.event.is_empty() {
        fields.serialize_field("event", &log.event)?;
    }
    fields.serialize_field("body", &log.body)?;
    fields.serialize_field("attributes", &Attributes(&log.attributes))?;
    if let Some(trace_id) = &log.trace_id {
        fields.serialize_field("trace_id", &hex(trace_id))?;
    }
    if let Some(span_id) = &log.span_id {
        fields.serialize_field("span_id", &hex(span_id))?;
    }
    fields.end()
}

/// The short name of a severity, as OpenTelemetry has them; empty if it is not known.
pub fn level(severity: u8) -> &'static str {
    match severity {
        0 => "",
        1..5 => "trace",
        5..9 => "debug",
        9..13 => "info",
        13..17 => "warn",
        17..21 => "error",
        _ => "fatal",
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Hexadecimal of exactly so many bytes; in capitals, too.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    // `from_str_radix` takes a sign.
    (!text.contains('+')).then_some(bytes)
}

/// What is shared, as what it is.
pub(crate) fn shared<T: Serialize, S: Serializer>(list: &[Arc<T>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(list.iter().map(|one| &**one))
}

fn micros(ns: u64) -> u64 {
    ns / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    #[test]
    fn a_span_is_told_as_it_is() {
        let mut told = span();
        told.status = Status::Error("no answer".into());
        told.attributes = vec![("n".into(), Value::Int(3)), ("x".into(), Value::Float(f64::NAN))];
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["trace_id"], "01".repeat(16));
        assert_eq!((&json["kind"], &json["error"]), (&"server".into(), &"no answer".into()));
        assert_eq!(json["attributes"], serde_json::json!({ "n": 3, "x": "NaN" }));
    }

    #[test]
    fn hexadecimal_is_read_as_it_is_written() {
        assert_eq!(unhex(&hex(&[0, 10, 255])), Some([0, 10, 255]));
        for bad in ["", "0", "00000", "0000zz", "+0+0+0", "éé0"] {
            assert_eq!(unhex::<3>(bad), None, "{bad}");
        }
    }
}
