//! Queues and event streams of a sidecar, which outlive it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::sidecar::Sidecar;
use crate::world::{server, wait};

#[test]
fn items_and_what_is_pushed_outlive_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = server("").port().to_string();
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &port]);
    assert_eq!(sidecar.ask("POST", "/v1.0/queues/to-pack/pause", "").status, 204);
    let sent = sidecar.ask("POST", "/v1.0/queues/to-pack/send?priority=7", r#"{"order":1}"#);
    assert_eq!(sent.status, 200, "{sent:?}");
    let push = sidecar.ask("PUT", "/v1.0/queues/to-pack/push", r#"{"route":"/pack"}"#);
    assert_eq!(push.status, 204, "{push:?}");
    sidecar.kill();
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &port]);
    let id = sent.json()["id"].as_str().expect("an id").to_owned();
    let kept = sidecar.ask("GET", &format!("/v1.0/queues/to-pack/items/{id}"), "").json();
    assert_eq!(
        (&kept["data"], &kept["state"], &kept["priority"]),
        (&json!({ "order": 1 }), &json!("ready"), &json!(7))
    );
    assert_eq!(sidecar.ask("POST", "/v1.0/queues/to-pack/resume", "").status, 204);
    let none = json!({ "ready": 0, "delayed": 0, "blocked": 0, "leased": 0, "dead": 0 });
    wait("the item being done", || sidecar.ask("GET", "/v1.0/queues/to-pack", "").json()["counts"] == none);
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn who_follows_goes_on_after_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    assert_eq!(sidecar.ask("PUT", "/v1.0/streams/facts", "").status, 204);
    let placed = sidecar.ask("POST", "/v1.0/streams/facts/order-1?expected=0", r#"[{"type":"placed"}]"#);
    assert_eq!(placed.json()["version"], 1, "{placed:?}");
    let (id, first) = followed(&sidecar, "");
    assert_eq!(first["type"], "placed");
    sidecar.kill();
    let mut sidecar = Sidecar::start(&dir, &[]);
    let paid = sidecar.ask("POST", "/v1.0/streams/facts/order-1?expected=1", r#"[{"type":"paid"}]"#);
    assert_eq!(paid.status, 200, "{paid:?}");
    let (_, second) = followed(&sidecar, &format!("last-event-id: {id}\r\n"));
    assert_eq!(second["type"], "paid");
    assert_eq!(sidecar.end(), Some(0));
}

/// The id and the data of the first event that a follower of all streams is told.
fn followed(sidecar: &Sidecar, header: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(&sidecar.http).expect("connected");
    let head =
        format!("GET /v1.0/streams/facts HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut field =
        |name: &str| lines.find_map(|line| line.strip_prefix(name).map(str::to_owned)).expect(name);
    let id = field("id: ");
    (id, serde_json::from_str(&field("data: ")).expect("JSON"))
}
