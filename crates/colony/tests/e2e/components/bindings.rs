//! Bindings, as resource files declare them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::json;

use super::sidecar::{Sidecar, component, folder, refused};

#[test]
fn files_are_kept_below_the_folder_that_is_declared() {
    let files = component("files", "bindings.localstorage", &[("rootPath", "kept")], "");
    let folder = folder(&[("resources/files.yaml", &files)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let ask = |body| sidecar.ask("POST", "/v1.0/bindings/files", &json!(body).to_string());
    let made =
        ask(json!({ "operation": "create", "data": "Hello, World!", "metadata": { "fileName": "a/b.txt" } }));
    assert_eq!((made.status, made.body.as_str()), (200, r#"{"fileName":"a/b.txt"}"#));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("kept/a/b.txt")).expect("it is there"),
        "Hello, World!"
    );
    let got = ask(json!({ "operation": "get", "metadata": { "fileName": "a/b.txt" } }));
    assert_eq!((got.status, got.body.as_str()), (200, "Hello, World!"));
    let out = ask(json!({ "operation": "get", "metadata": { "fileName": "../resources/files.yaml" } }));
    assert_eq!((out.status, out.json()["errorCode"].as_str()), (500, Some("ERR_INVOKE_OUTPUT_BINDING")));
    assert_eq!(ask(json!({ "operation": "delete", "metadata": { "fileName": "a/b.txt" } })).status, 204);
    let (_, told) = sidecar.json("GET", "/v1.0/metadata", "");
    assert_eq!(told["components"][0]["type"], "bindings.localstorage");
}

#[test]
fn a_binding_with_a_wrong_setting_is_refused_at_its_place() {
    let files = component("files", "bindings.localstorage", &[("rootPath", "/proc/x")], "");
    let folder = folder(&[("resources/files.yaml", &files)]);
    let said = refused(folder.path(), "shop", &[]);
    assert!(said.contains("C0040") && said.contains("files.yaml:10") && said.contains("rootPath"), "{said}");
}

#[test]
fn requests_go_to_the_url_that_is_declared() {
    let (port, seen) = program("200 OK", "{\"done\":true}");
    let url = format!("http://127.0.0.1:{port}/api");
    let http = component("billing", "bindings.http", &[("url", &url)], "");
    let folder = folder(&[("resources/billing.yaml", &http)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let body = json!({ "operation": "post", "data": { "sum": 3 }, "metadata": { "path": "invoices", "X-Shop": "7" } });
    let answer = sidecar.ask("POST", "/v1.0/bindings/billing", &body.to_string());
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"done\":true}"));
    assert_eq!(answer.header("metadata.statuscode"), Some("200"));
    let request = seen.recv_timeout(PATIENCE).expect("a request");
    assert!(request.starts_with("POST /api/invoices ") && request.ends_with("{\"sum\":3}"), "{request}");
    assert!(request.contains("x-shop: 7\r\n"), "{request}");
}

#[test]
fn a_schedule_brings_events() {
    let (port, seen) = program("204 No Content", "");
    let set = [("schedule", "@every 1s"), ("route", "/tick/tock")];
    let folder = folder(&[("resources/ticks.yaml", &component("ticks", "bindings.cron", &set, ""))]);
    let _sidecar = Sidecar::start(folder.path(), "shop", &["--app-port", &port.to_string()], &[]);
    let mut requests = std::iter::repeat_with(|| seen.recv_timeout(PATIENCE).expect("a request"));
    // It is asked other things, too.
    let mut next = || requests.find(|request| request.contains(" /tick/tock ")).expect("a request");
    assert!(next().starts_with("OPTIONS /tick/tock HTTP/1.1\r\n"));
    for _ in 0..2 {
        let event = next();
        assert!(event.starts_with("POST /tick/tock HTTP/1.1\r\n"), "{event}");
        assert!(event.contains("\r\nreadtimeutc: 20") && event.contains("\r\ntimezone: UTC\r\n"), "{event}");
    }
}

/// A program that answers everything so, and what it was asked; its end is the test's. A connection that asks nothing is an empty text.
fn program(status: &'static str, body: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = Vec::new();
            let mut piece = [0; 4_096];
            while !is_whole(&request) {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&piece[..count]),
                }
            }
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            if tell.send(String::from_utf8_lossy(&request).into_owned()).is_err() {
                return;
            }
        }
    });
    (port, seen)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}

const PATIENCE: Duration = Duration::from_secs(30);
