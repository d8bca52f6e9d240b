//! OTLP over HTTP, coming in: what is taken, and what is refused and in which words.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use telemetry::otlp::receive::BODY_BYTES_MAX;

use crate::world::{Answer, Door, World, request};

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";
const JSON: &str = "content-type: application/json; charset=utf-8\r\n";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn spans_come_as_protobuf_compressed_or_not() {
    let world = World::new(16);
    let (status, head, body) = world.post("/v1/traces", PROTOBUF, &request(&["a", "b"]));
    assert_eq!((status, &*body), (200, &b""[..]));
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    let (status, ..) =
        world.post("/v1/traces", &format!("{PROTOBUF}content-encoding: gzip\r\n"), &gzip(&request(&["c"])));
    assert_eq!(status, 200);
    assert_eq!(world.names(), ["a", "b", "c"]);
    let received = world.receiver.received();
    assert_eq!((received.spans, received.rejected, received.malformed), (3, 0, 0));
}

#[test]
fn records_come_as_json() {
    let world = World::new(16);
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}"#;
    let (status, head, body) = world.post("/v1/logs", JSON, json);
    assert_eq!((status, &*body), (200, &b"{}"[..]));
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    assert_eq!(world.names(), ["hello"]);
    let points =
        br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":1}]}}]}]}]}"#;
    assert_eq!(world.post("/v1/metrics", JSON, points).0, 200);
    assert_eq!((world.receiver.received().logs, world.receiver.received().points), (1, 1));
}

#[test]
fn what_is_rejected_is_told_with_its_reason() {
    let world = World::new(1);
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"no ids"}]}]}]}"#;
    let (status, _, body) = world.post("/v1/traces", JSON, json);
    let told = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert!(told.contains(r#""rejectedSpans":"1""#) && told.contains("trace id of 16 bytes"), "{told}");
    // Only one has room.
    let (status, _, body) = world.post("/v1/traces", PROTOBUF, &request(&["a", "b", "c"]));
    assert_eq!(status, 200);
    assert_eq!(body[2..4], [0x08, 2], "two are told as rejected: {body:?}");
    assert_eq!((world.inbox.dropped(), world.receiver.received().dropped), (2, 2));
    assert_eq!(world.receiver.received().rejected, 1);
}

#[test]
fn what_is_no_otlp_is_refused_in_its_words() {
    let world = World::new(16);
    let status = |answer: Answer| answer.0;
    assert_eq!(status(world.post("/v1/profiles", PROTOBUF, b"")), 404);
    assert_eq!(status(world.post("/v1/traces", "content-type: text/plain\r\n", b"x")), 415);
    assert_eq!(status(world.post("/v1/traces", "", b"x")), 415);
    assert_eq!(status(world.post("/v1/traces", &format!("{PROTOBUF}content-encoding: br\r\n"), b"x")), 415);
    let (not_allowed, head, _) = Door(world.address)
        .send("GET /v1/traces HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(), b"");
    assert!(not_allowed == 405 && head.contains("allow: post"), "{head}");
    let (bad, _, body) = world.post("/v1/traces", PROTOBUF, &[0x0a, 99]);
    assert_eq!((bad, &body[..2]), (400, &[0x08, 3][..]), "a Status with the code of INVALID_ARGUMENT");
    let (bad, _, body) = world.post("/v1/traces", JSON, b"{\"resourceSpans\": 1}");
    assert!(bad == 400 && String::from_utf8(body).unwrap().contains("resourceSpans"));
    assert_eq!(status(world.post("/v1/traces", &format!("{PROTOBUF}content-encoding: gzip\r\n"), b"x")), 400);
    assert_eq!(world.receiver.received().malformed, 2);
    assert!(world.names().is_empty());
}

#[test]
fn what_is_too_large_is_refused_before_and_after_it_is_inflated() {
    let world = World::new(16);
    let told = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\n{PROTOBUF}content-length: {}\r\nconnection: close\r\n\r\n",
        BODY_BYTES_MAX + 1
    );
    assert_eq!(Door(world.address).send(told, b"").0, 413);
    let bomb = gzip(&vec![0; BODY_BYTES_MAX + 1]);
    assert_eq!(world.post("/v1/traces", &format!("{PROTOBUF}content-encoding: gzip\r\n"), &bomb).0, 413);
}
