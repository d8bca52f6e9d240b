//! Locks and jobs through a sidecar, as a program uses them.

use serde_json::json;

use super::sidecar::{Sidecar, component, folder};

fn lock(sidecar: &Sidecar, store: &str, owner: &str) -> bool {
    let body = json!({ "resourceId": "stock", "lockOwner": owner, "expiryInSeconds": 600 }).to_string();
    let (status, told) = sidecar.json("POST", &format!("/v1.0-alpha1/lock/{store}"), &body);
    assert_eq!(status, 200, "{told}");
    told["success"].as_bool().expect("yes or no")
}

fn unlock(sidecar: &Sidecar, store: &str, owner: &str) -> i64 {
    let body = json!({ "resourceId": "stock", "lockOwner": owner }).to_string();
    let (status, told) = sidecar.json("POST", &format!("/v1.0-alpha1/unlock/{store}"), &body);
    assert_eq!(status, 200, "{told}");
    told["status"].as_i64().expect("a number")
}

#[test]
fn a_lock_is_held_after_a_crash() {
    let memory = component("memory", "lock.in-memory", &[], "");
    let folder = folder(&[("resources/memory.yaml", &memory)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    assert!(lock(&sidecar, "kept", "ada") && lock(&sidecar, "memory", "ada"));
    drop(sidecar);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    assert!(!lock(&sidecar, "kept", "bob") && lock(&sidecar, "memory", "bob"));
    assert_eq!((unlock(&sidecar, "kept", "bob"), unlock(&sidecar, "kept", "ada")), (2, 0));
}

#[cfg(feature = "conformance")]
#[test]
fn locks_in_a_redis_lie_where_dapr_looks_for_them() {
    let server = super::server::Server::start();
    let host = format!("127.0.0.1:{}", server.port);
    let locks = component("locks", "lock.redis", &[("redisHost", &host), ("poolSize", "5")], "");
    let folder = folder(&[("resources/locks.yaml", &locks)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    assert!(lock(&sidecar, "locks", "ada") && !lock(&sidecar, "locks", "bob"));
    assert_eq!(server.ask(&["GET", "lock||shop||stock"]), "ada");
    assert_eq!((unlock(&sidecar, "locks", "bob"), unlock(&sidecar, "locks", "ada")), (2, 0));
    assert_eq!(unlock(&sidecar, "locks", "ada"), 1);
}

#[test]
fn a_job_that_was_scheduled_before_a_crash_runs_after_it() {
    let folder = folder(&[("resources/keep", "")]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let more = ["--app-port", port.as_str()];
    let sidecar = Sidecar::start(folder.path(), "shop", &more, &[]);
    let job = json!({ "dueTime": "1s", "data": { "n": 1 } }).to_string();
    assert_eq!(sidecar.json("POST", "/v1.0/jobs/once", &job).0, 204);
    assert_eq!(sidecar.json("POST", "/v1.0/jobs/once", &job).0, 409);
    let daily = json!({ "schedule": "@daily", "data": "x" }).to_string();
    assert_eq!(sidecar.json("POST", "/v1.0/jobs/daily", &daily).0, 204);
    drop(sidecar);
    let sidecar = Sidecar::start(folder.path(), "shop", &more, &[]);
    assert_eq!(sidecar.json("GET", "/v1.0/jobs/daily", "").1["data"]["value"], "x");
    let (head, body) = called(&listener);
    assert_eq!((head.as_str(), body.as_str()), ("POST /job/once HTTP/1.1", r#"{"n":1}"#));
    drop(sidecar);
}

/// The next call that comes to an application, answered with 200: its first line and its body. Connections that ask nothing only
/// look whether somebody listens.
fn called(listener: &std::net::TcpListener) -> (String, String) {
    use std::io::{BufRead, BufReader, Read, Write};
    loop {
        let (stream, _) = listener.accept().expect("somebody comes");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("set");
        let mut reader = BufReader::new(&stream);
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            continue;
        }
        let (mut line, mut bytes) = (String::new(), 0);
        while reader.read_line(&mut line).expect("a line") > 2 {
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                bytes = length.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; bytes];
        reader.read_exact(&mut body).expect("a body");
        let status = if first.starts_with("POST") { "200 OK" } else { "404 Not Found" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        (&stream).write_all(answer.as_bytes()).expect("answered");
        // What it is asked at its start is no call of these.
        if !first.starts_with("POST") {
            continue;
        }
        return (first.trim().to_owned(), String::from_utf8(body).expect("text"));
    }
}
