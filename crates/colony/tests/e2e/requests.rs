//! Requests of `colony sidecar` that come in half, are too large, or say that they are something else, written byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::sidecar::Sidecar;

#[test]
fn what_comes_in_half_is_not_waited_for_and_not_done() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    let begun = |deadline: &str| {
        let mut stream = connect(&sidecar);
        let head = format!("POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\n{deadline}content-length: 99\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(br#"[{"key":"half","value":1"#).expect("sent");
        stream
    };
    let late = rest(begun("x-request-deadline: 100\r\n"));
    assert_eq!(refused(&late), (504, "ERR_DEADLINE_EXCEEDED".to_owned()), "{late}");
    let broken_off = begun("");
    broken_off.shutdown(Shutdown::Write).expect("closed");
    let answer = rest(broken_off);
    // Who has closed may not hear why.
    assert!(answer.is_empty() || refused(&answer).0 == 400, "{answer}");
    let gone = begun("");
    drop(gone);
    let mut half_a_head = connect(&sidecar);
    half_a_head.write_all(b"GET /v1.0/metadata HTT").expect("sent");
    half_a_head.shutdown(Shutdown::Write).expect("closed");
    let answer = rest(half_a_head);
    assert!(answer.is_empty() || status(&answer) == 400, "{answer}");
    let no_http = ask(&sidecar, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n");
    assert!(no_http.is_empty() || status(&no_http) == 400, "{no_http}");
    assert_eq!(sidecar.ask("GET", "/v1.0/state/s/half", "").status, 204, "nothing was saved");
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn every_endpoint_refuses_what_is_larger_than_may_be() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &["--max-body-size", "1Ki"]);
    let body = "x".repeat(2_000);
    let (malformed, unread) = ((400, "ERR_MALFORMED_REQUEST"), (400, "ERR_BODY_READ"));
    for (method, path, (status, code)) in [
        ("POST", "/v1.0/state/s", malformed),
        ("POST", "/v1.0/state/s/bulk", malformed),
        ("POST", "/v1.0/state/s/transaction", malformed),
        ("DELETE", "/v1.0/state/s/k", malformed),
        ("POST", "/v1.0/publish/p/t", (500, "ERR_PUBSUB_PUBLISH_MESSAGE")),
        ("POST", "/v1.0/publish/bulk/p/t", (400, "ERR_PUBSUB_EVENTS_SER")),
        ("POST", "/v1.0/bindings/b", malformed),
        ("POST", "/v1.0/configuration/c", malformed),
        ("POST", "/v1.0/jobs/j", unread),
        ("POST", "/v1.0-alpha1/lock/l", unread),
        ("POST", "/v1.0-alpha1/unlock/l", unread),
        ("PUT", "/v1.0/metadata/k", unread),
        ("POST", "/v1.0/queues/q/send", malformed),
        ("POST", "/v1.0/queues/q/receive", malformed),
        ("PUT", "/v1.0/streams/facts", malformed),
        ("POST", "/v1.0/streams/facts/a", malformed),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let known = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let unknown =
            format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        for request in [known, unknown] {
            let answer = ask(&sidecar, request.as_bytes());
            assert_eq!(refused(&answer), (status, code.to_owned()), "{method} {path}: {answer}");
            assert!(answer.contains("stream too large"), "{answer}");
        }
    }
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn what_a_body_is_said_to_be_does_not_decide_what_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    let odd: [&[u8]; 6] = [
        b"",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data",
        b"text/html",
        b"\xff\xfe",
        b";;;=",
    ];
    for content_type in odd {
        let send = |path: &str, body: &[u8]| {
            let mut request =
                format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ")
                    .into_bytes();
            request.extend_from_slice(content_type);
            request.extend_from_slice(format!("\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
            request.extend_from_slice(body);
            ask(&sidecar, &request)
        };
        let said = String::from_utf8_lossy(content_type);
        assert_eq!(status(&send("/v1.0/state/s", br#"[{"key":"k","value":1}]"#)), 204, "{said}");
        let refused_as = refused(&send("/v1.0/state/s", b"key=k&value=1"));
        assert_eq!(refused_as, (400, "ERR_MALFORMED_REQUEST".to_owned()), "{said}");
        assert_eq!(status(&send("/v1.0/publish/p/t", b"\xff\x00")), 204, "{said}");
        assert_eq!(status(&send("/v1.0/queues/q/send", b"\xff\x00")), 200, "{said}");
    }
    assert_eq!(sidecar.ask("GET", "/v1.0/openapi.json", "").json()["openapi"], "3.1.0");
    assert_eq!(sidecar.end(), Some(0));
}

fn connect(sidecar: &Sidecar) -> TcpStream {
    let stream = TcpStream::connect(&sidecar.http).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// What is answered to these bytes until the connection is closed.
fn ask(sidecar: &Sidecar, bytes: &[u8]) -> String {
    let mut stream = connect(sidecar);
    // It may be closed before all is sent.
    let _ = stream.write_all(bytes);
    rest(stream)
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

fn refused(answer: &str) -> (u16, String) {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let told: Value = serde_json::from_str(body).unwrap_or_default();
    (status(answer), told["errorCode"].as_str().unwrap_or_default().to_owned())
}

const PATIENCE: Duration = Duration::from_secs(30);
