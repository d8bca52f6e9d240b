//! Fields of a structured line, by the names that logging libraries give them.

use serde_json::Value as Json;

use super::{plain, time};
use crate::json::unhex;
use crate::span::{Text, Value};
use crate::trace::TraceContext;

// What they are called, the commoner first: log/slog, zap, zerolog, logrus, pino, bunyan, winston, python-json-logger, structlog,
// Serilog's compact form, ECS, tracing, OpenTelemetry's instrumentations.
const TIMES: [&str; 7] = ["time", "timestamp", "ts", "@timestamp", "@t", "asctime", "datetime"];
const LEVELS: [&str; 9] =
    ["level", "severity", "lvl", "log.level", "levelname", "@l", "severity_text", "severityText", "loglevel"];
const MESSAGES: [&str; 7] = ["message", "msg", "body", "@m", "@mt", "event", "text"];
const TRACES: [&str; 9] =
    ["trace_id", "traceId", "traceID", "trace.id", "otelTraceID", "TraceId", "traceid", "trace-id", "trace"];
const SPANS: [&str; 8] =
    ["span_id", "spanId", "spanID", "span.id", "otelSpanID", "SpanId", "spanid", "span-id"];
const PARENT: &str = "traceparent";
/// Whose fields stand for those of the line itself: of Rust's tracing.
const INNER: &str = "fields";

/// Most fields of a line that are read.
const FIELDS_MAX: usize = 128;

/// In the order in which they stood; each is taken once.
pub(super) struct Fields(Vec<(Text, Value)>);

/// Those of an object; none if it is none.
pub(super) fn json(text: &str) -> Option<Fields> {
    let Ok(Json::Object(object)) = serde_json::from_str(text) else { return None };
    let mut fields = Vec::new();
    for (key, value) in object {
        match value {
            Json::Object(inner) if key == INNER => {
                fields
                    .extend(inner.into_iter().filter_map(|(key, value)| Some((key.into(), of_json(value)?))));
            }
            value => fields.extend(of_json(value).map(|value| (key.into(), value))),
        }
    }
    fields.truncate(FIELDS_MAX);
    Some(Fields(fields))
}

fn of_json(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => text.into(),
        Json::Array(all) => Value::List(all.into_iter().filter_map(of_json).collect()),
        Json::Object(all) => {
            Value::Map(all.into_iter().filter_map(|(key, one)| Some((key.into(), of_json(one)?))).collect())
        }
    })
}

impl Fields {
    pub(super) fn new(fields: Vec<(Text, Value)>) -> Fields {
        Fields(fields)
    }

    /// Whether it looks like a line of a log: one that says how much it matters, or what it says.
    pub(super) fn is_log(&self) -> bool {
        self.0.iter().any(|(key, _)| LEVELS.contains(&&**key) || *key == "msg" || *key == "message")
    }

    pub(super) fn time(&mut self, came_ns: u64) -> u64 {
        let said = self.first(&TIMES, |value| match value {
            Value::Text(text) => time::of_text(text),
            Value::Int(number) => time::of_number(*number as f64),
            Value::Float(number) => time::of_number(*number),
            _ => None,
        });
        said.filter(|said_ns| said_ns.abs_diff(came_ns) < time::DAY_NS).unwrap_or(came_ns)
    }

    pub(super) fn severity(&mut self) -> u8 {
        let said = self.first(&LEVELS, |value| match value {
            Value::Text(text) => plain::level(text),
            // As pino and bunyan count.
            Value::Int(10) => Some(1),
            Value::Int(20) => Some(5),
            Value::Int(30) => Some(9),
            Value::Int(40) => Some(13),
            Value::Int(50) => Some(17),
            Value::Int(60) => Some(21),
            _ => None,
        });
        said.unwrap_or(0)
    }

    pub(super) fn message(&mut self) -> Option<Text> {
        self.first(&MESSAGES, |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn trace(&mut self) -> (Option<[u8; 16]>, Option<[u8; 8]>) {
        let parent = self.first(&[PARENT], |value| match value {
            Value::Text(text) => TraceContext::parse(text.as_bytes()),
            _ => None,
        });
        if let Some(parent) = parent {
            return (Some(parent.trace_id), Some(parent.span_id));
        }
        (self.first(&TRACES, id::<16>), self.first(&SPANS, id::<8>))
    }

    pub(super) fn rest(self) -> Vec<(Text, Value)> {
        self.0
    }

    /// Takes the first of these that can be read.
    fn first<T>(&mut self, keys: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        for wanted in keys {
            let found = self.0.iter().position(|(key, _)| *key == *wanted);
            if let Some((at, read)) = found.and_then(|at| Some((at, read(&self.0[at].1)?))) {
                self.0.remove(at);
                return Some(read);
            }
        }
        None
    }
}

/// An id in hexadecimal that is not all zeros.
fn id<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let Value::Text(text) = value else { return None };
    unhex(text).filter(|id| *id != [0; N])
}
