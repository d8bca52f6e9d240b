//! The messages of OTLP: each key's name in JSON, its number and its type, as the protocol's definitions (v1) have them.
//!
//! Only what comes as JSON is read by these; `decode.rs` knows the numbers of what it takes.

/// The keys of a message.
#[derive(Debug)]
pub(super) struct Message(pub &'static [Key]);

#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub number: u32,
    pub of: Type,
    /// It is a list.
    pub many: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Text,
    /// Bytes in hexadecimal.
    Id,
    /// Bytes in base64.
    Bytes,
    Bool,
    /// `int64`, `uint64`, `uint32`, and names of enumerations.
    Varint,
    /// `sint32`.
    Zigzag,
    Fixed32,
    /// `fixed64` and `sfixed64`.
    Fixed64,
    Double,
    Message(&'static Message),
}

impl Type {
    /// For who has sent another.
    pub fn name(self) -> &'static str {
        match self {
            Type::Text => "a text",
            Type::Id => "hexadecimal digits",
            Type::Bytes => "base64",
            Type::Bool => "true or false",
            Type::Varint | Type::Zigzag | Type::Fixed32 | Type::Fixed64 => "a whole number",
            Type::Double => "a number",
            Type::Message(_) => "an object",
        }
    }
}

const fn one(name: &'static str, number: u32, of: Type) -> Key {
    Key { name, number, of, many: false }
}

const fn many(name: &'static str, number: u32, of: Type) -> Key {
    Key { name, number, of, many: true }
}

use Type::{Bool, Bytes, Double, Fixed32, Fixed64, Id, Message as In, Text, Varint, Zigzag};

pub(super) static TRACES: &Message = &Message(&[many("resourceSpans", 1, In(&RESOURCE_SPANS))]);
pub(super) static LOGS: &Message = &Message(&[many("resourceLogs", 1, In(&RESOURCE_LOGS))]);
pub(super) static METRICS: &Message = &Message(&[many("resourceMetrics", 1, In(&RESOURCE_METRICS))]);

static RESOURCE: Message =
    Message(&[many("attributes", 1, In(&KEY_VALUE)), one("droppedAttributesCount", 2, Varint)]);
static SCOPE: Message = Message(&[
    one("name", 1, Text),
    one("version", 2, Text),
    many("attributes", 3, In(&KEY_VALUE)),
    one("droppedAttributesCount", 4, Varint),
]);
static KEY_VALUE: Message = Message(&[one("key", 1, Text), one("value", 2, In(&ANY_VALUE))]);
static ANY_VALUE: Message = Message(&[
    one("stringValue", 1, Text),
    one("boolValue", 2, Bool),
    one("intValue", 3, Varint),
    one("doubleValue", 4, Double),
    one("arrayValue", 5, In(&ARRAY_VALUE)),
    one("kvlistValue", 6, In(&KEY_VALUE_LIST)),
    one("bytesValue", 7, Bytes),
]);
static ARRAY_VALUE: Message = Message(&[many("values", 1, In(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message(&[many("values", 1, In(&KEY_VALUE))]);

static RESOURCE_SPANS: Message = Message(&[
    one("resource", 1, In(&RESOURCE)),
    many("scopeSpans", 2, In(&SCOPE_SPANS)),
    one("schemaUrl", 3, Text),
]);
static SCOPE_SPANS: Message =
    Message(&[one("scope", 1, In(&SCOPE)), many("spans", 2, In(&SPAN)), one("schemaUrl", 3, Text)]);
static SPAN: Message = Message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, Text),
    one("parentSpanId", 4, Id),
    one("name", 5, Text),
    one("kind", 6, Varint),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    many("attributes", 9, In(&KEY_VALUE)),
    one("droppedAttributesCount", 10, Varint),
    many("events", 11, In(&EVENT)),
    one("droppedEventsCount", 12, Varint),
    many("links", 13, In(&LINK)),
    one("droppedLinksCount", 14, Varint),
    one("status", 15, In(&STATUS)),
    one("flags", 16, Fixed32),
]);
static EVENT: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, Text),
    many("attributes", 3, In(&KEY_VALUE)),
    one("droppedAttributesCount", 4, Varint),
]);
static LINK: Message = Message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, Text),
    many("attributes", 4, In(&KEY_VALUE)),
    one("droppedAttributesCount", 5, Varint),
    one("flags", 6, Fixed32),
]);
static STATUS: Message = Message(&[one("message", 2, Text), one("code", 3, Varint)]);

static RESOURCE_LOGS: Message = Message(&[
    one("resource", 1, In(&RESOURCE)),
    many("scopeLogs", 2, In(&SCOPE_LOGS)),
    one("schemaUrl", 3, Text),
]);
static SCOPE_LOGS: Message = Message(&[
    one("scope", 1, In(&SCOPE)),
    many("logRecords", 2, In(&LOG_RECORD)),
    one("schemaUrl", 3, Text),
]);
static LOG_RECORD: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("severityNumber", 2, Varint),
    one("severityText", 3, Text),
    one("body", 5, In(&ANY_VALUE)),
    many("attributes", 6, In(&KEY_VALUE)),
    one("droppedAttributesCount", 7, Varint),
    one("flags", 8, Fixed32),
    one("traceId", 9, Id),
    one("spanId", 10, Id),
    one("observedTimeUnixNano", 11, Fixed64),
    one("eventName", 12, Text),
]);

static RESOURCE_METRICS: Message = Message(&[
    one("resource", 1, In(&RESOURCE)),
    many("scopeMetrics", 2, In(&SCOPE_METRICS)),
    one("schemaUrl", 3, Text),
]);
static SCOPE_METRICS: Message =
    Message(&[one("scope", 1, In(&SCOPE)), many("metrics", 2, In(&METRIC)), one("schemaUrl", 3, Text)]);
static METRIC: Message = Message(&[
    one("name", 1, Text),
    one("description", 2, Text),
    one("unit", 3, Text),
    one("gauge", 5, In(&GAUGE)),
    one("sum", 7, In(&SUM)),
    one("histogram", 9, In(&HISTOGRAM)),
    one("exponentialHistogram", 10, In(&EXPONENTIAL_HISTOGRAM)),
    one("summary", 11, In(&SUMMARY)),
    many("metadata", 12, In(&KEY_VALUE)),
]);
static GAUGE: Message = Message(&[many("dataPoints", 1, In(&NUMBER_POINT))]);
static SUM: Message = Message(&[
    many("dataPoints", 1, In(&NUMBER_POINT)),
    one("aggregationTemporality", 2, Varint),
    one("isMonotonic", 3, Bool),
]);
static HISTOGRAM: Message =
    Message(&[many("dataPoints", 1, In(&HISTOGRAM_POINT)), one("aggregationTemporality", 2, Varint)]);
static EXPONENTIAL_HISTOGRAM: Message =
    Message(&[many("dataPoints", 1, In(&EXPONENTIAL_POINT)), one("aggregationTemporality", 2, Varint)]);
static SUMMARY: Message = Message(&[many("dataPoints", 1, In(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("asDouble", 4, Double),
    many("exemplars", 5, In(&EXEMPLAR)),
    one("asInt", 6, Fixed64),
    many("attributes", 7, In(&KEY_VALUE)),
    one("flags", 8, Varint),
]);
static HISTOGRAM_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    many("exemplars", 8, In(&EXEMPLAR)),
    many("attributes", 9, In(&KEY_VALUE)),
    one("flags", 10, Varint),
    one("min", 11, Double),
    one("max", 12, Double),
]);
static EXPONENTIAL_POINT: Message = Message(&[
    many("attributes", 1, In(&KEY_VALUE)),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    one("scale", 6, Zigzag),
    one("zeroCount", 7, Fixed64),
    one("positive", 8, In(&BUCKETS)),
    one("negative", 9, In(&BUCKETS)),
    one("flags", 10, Varint),
    many("exemplars", 11, In(&EXEMPLAR)),
    one("min", 12, Double),
    one("max", 13, Double),
    one("zeroThreshold", 14, Double),
]);
static BUCKETS: Message = Message(&[one("offset", 1, Zigzag), many("bucketCounts", 2, Varint)]);
static SUMMARY_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("quantileValues", 6, In(&QUANTILE)),
    many("attributes", 7, In(&KEY_VALUE)),
    one("flags", 8, Varint),
]);
static QUANTILE: Message = Message(&[one("quantile", 1, Double), one("value", 2, Double)]);
static EXEMPLAR: Message = Message(&[
    one("timeUnixNano", 2, Fixed64),
    one("asDouble", 3, Double),
    one("spanId", 4, Id),
    one("traceId", 5, Id),
    one("asInt", 6, Fixed64),
    many("filteredAttributes", 7, In(&KEY_VALUE)),
]);
