//! JSON by the rules of OTLP is what the same is in protobuf.

use proptest::prelude::*;

use super::*;
use crate::otlp::decode;
use crate::span::{Span, Status, Value};

const MOST: usize = 1 << 20;

fn spans(json: &str) -> Result<Vec<Span>, String> {
    let request = to_protobuf(Signal::Traces, json.as_bytes(), MOST)?;
    let mut spans = Vec::new();
    decode::traces(&request, &mut |span| {
        spans.push(span);
        true
    })
    .map_err(|error| error.to_string())?;
    Ok(spans)
}

#[test]
fn a_span_is_read_by_the_rules() {
    let spans = spans(
        r#"{"resourceSpans": [{
            "scopeSpans": [{"scope": {"name": "lib"}, "unknown": {"a": [1]}, "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
                "parentSpanId": "", "name": "I am a span", "kind": 2,
                "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000,
                "attributes": [
                    {"key": "text", "value": {"stringValue": "t"}},
                    {"key": "int", "value": {"intValue": "-3"}},
                    {"key": "zero", "value": {"intValue": 0}},
                    {"key": "float", "value": {"doubleValue": 1}},
                    {"key": "nan", "value": {"doubleValue": "Infinity"}},
                    {"key": "no", "value": {"boolValue": false}},
                    {"key": "bytes", "value": {"bytesValue": "AQI="}},
                    {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"intValue": 2}]}}}
                ],
                "status": {"code": 2, "message": "bad"}, "droppedLinksCount": null
            }]}],
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
        }]}"#,
    )
    .unwrap();
    let span = &spans[0];
    assert_eq!(span.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!((&*span.service, &*span.scope, &*span.name), ("shop", "lib", "I am a span"));
    assert_eq!((span.start_ns, span.duration_ns), (1_544_712_660_000_000_000, 1_000_000_000));
    assert_eq!((span.parent, &span.status), (None, &Status::Error("bad".into())));
    let values: Vec<Value> = span.attributes.iter().map(|(_, value)| value.clone()).collect();
    let list = Value::List(vec![1.into(), 2.into()]);
    let expected = [
        "t".into(),
        (-3).into(),
        0.into(),
        Value::Float(1.0),
        Value::Float(f64::INFINITY),
        false.into(),
        Value::Bytes([1, 2].into()),
        list,
    ];
    assert_eq!(values, expected);
}

#[test]
fn points_are_read_by_the_rules() {
    let json = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "a", "gauge": {"dataPoints": [{"asInt": "7", "timeUnixNano": "1"}, {"asDouble": 0.5}]}},
        {"name": "b", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"count": "2", "sum": 3, "bucketCounts": ["0", "2"], "explicitBounds": [1.5]}]}},
        {"name": "c", "exponentialHistogram": {"dataPoints": [
            {"scale": -1, "positive": {"offset": -2, "bucketCounts": [1, "2"]}}]}}
    ]}]}]}"#;
    let request = to_protobuf(Signal::Metrics, json.as_bytes(), MOST).unwrap();
    let mut points = Vec::new();
    assert_eq!(decode::metrics(&request, &mut |point| points.push(point.value)).unwrap().accepted, 4);
    // `scale` -1 is 1 in zigzag, `offset` -2 is 3.
    assert!(request.windows(2).any(|two| two == [0x30, 1]) && request.windows(2).any(|two| two == [0x08, 3]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let of = |json: &str| spans(json).unwrap_err();
    assert!(
        of("{\"resourceSpans\": 5}").contains("an object as `resourceSpans`"),
        "{}",
        of("{\"resourceSpans\": 5}")
    );
    let id = of(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#);
    assert!(id.contains("hexadecimal digits as `traceId`") && id.contains("line 1"), "{id}");
    let kind = of(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}"#);
    assert!(kind.contains("a whole number as `kind`"), "{kind}");
    assert!(!of("[]").is_empty() && !of("{} x").is_empty() && !of("").is_empty());
    let deep = format!("{{\"resourceSpans\":{}", "[".repeat(100_000));
    assert!(of(&deep).contains("recursion"));
}

#[test]
fn numbers_that_become_more_have_a_maximum() {
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[0{}]}}]}}}}]}}]}}]}}"#,
        ",0".repeat(1_000)
    );
    assert!(to_protobuf(Signal::Metrics, json.as_bytes(), json.len()).unwrap_err().contains("too large"));
}

proptest! {
    #[test]
    fn anything_is_answered(json in "[\\[\\]{}\",:0-9a-z\\\\. -]{0,80}|.{0,40}") {
        for signal in Signal::ALL {
            let _ = to_protobuf(signal, json.as_bytes(), MOST);
        }
    }
}
