//! Calls made to fail on purpose with `colony fault`, and the policies that save the requests.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Answer, World, request, server, wait};

/// A gateway in front of one service, with these policies on its only route, and a call to it by another.
fn shop(policies: &str) -> World {
    let app = server("a body of some length");
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app{policies} }}\nservices:\n  \
         app: {{ url: \"http://{app}\" }}\n  front: {{ url: \"http://{app}\", calls: [app] }}\n"
    ))
}

const RETRIES: &str =
    ", retries: { max: 12, backoff: 1ms, backoff-max: 2ms, budget: 100%, budget-min: 1000 }";

fn all_well(world: &World, count: usize) {
    for _ in 0..count {
        assert_eq!(world.get("/").body, "a body of some length");
    }
}

fn said(world: &World, args: &[&str]) -> String {
    let output = world.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn events(world: &World, event: &str) -> Vec<Value> {
    world.printed().into_iter().filter(|line| line["event"] == event).collect()
}

/// A request as the service `front` makes it.
fn by_front(world: &World) -> Answer {
    let status = world.status();
    let listeners = status["listeners"].as_array().expect("listeners");
    let own = listeners.iter().find(|listener| listener["name"] == "front -> app").expect("its own");
    request(own["address"].as_str().expect("an address"), "GET", "/", &[], None)
}

#[test]
fn retries_save_requests_from_lost_connections() {
    let world = shop(RETRIES);
    world.json(&["fault", "add", "gateway /**", "--reset", "--percent", "30", "--json"]);
    all_well(&world, 40);
    let fault = world.json(&["fault", "list", "--json"])["faults"][0].clone();
    let (tries, struck) = (fault["tries"].as_u64().unwrap(), fault["struck"].as_u64().unwrap());
    assert!(struck > 0 && tries == 40 + struck, "{fault}");
    assert_eq!(world.call("gateway /**")["retries"], struck);
    assert_eq!(world.call("gateway /**")["failures"], 0);
}

#[test]
fn a_deadline_of_the_try_saves_requests_from_delays() {
    let world = shop(&format!("{RETRIES}, per-try: 150ms, ejection: none, breaker: none"));
    world.json(&["fault", "add", "app", "--delay", "20s-30s", "--percent", "30", "--json"]);
    let started = Instant::now();
    all_well(&world, 10);
    assert!(started.elapsed() < Duration::from_secs(20), "nobody has waited for one");
}

#[test]
fn a_breaker_opens_on_aborts_and_closes_after() {
    let world = shop(", retries: none, breaker: { failures: 3, open-for: 100ms }");
    let text = said(&world, &["fault", "add", "gateway /**", "--abort", "500"]);
    assert!(text.starts_with("fault 1 on gateway /**: abort 500, all tries, for 10 min 0 s\n"), "{text}");
    for _ in 0..3 {
        let refused = world.get("/");
        assert_eq!((refused.status, refused.json()["policy"].as_str()), (500, Some("fault")), "{refused:?}");
    }
    let open = world.get("/");
    assert_eq!((open.status, open.json()["policy"].as_str()), (503, Some("breaker")), "{open:?}");
    let text = said(&world, &["fault", "clear", "1"]);
    assert!(text.starts_with("cleared fault 1 on gateway /**") && text.contains("it struck"), "{text}");
    wait("the breaker to close", || world.get("/").status == 200);
}

#[test]
fn a_fallback_answers_for_what_is_aborted() {
    let world = shop(", retries: none, fallback: { body: instead }");
    world.json(&["fault", "add", "gateway /**", "--abort", "503", "--json"]);
    assert_eq!(world.get("/").body, "instead");
}

#[test]
fn grpc_is_told_in_its_own_way() {
    let world = shop("");
    let added = world.json(&["fault", "add", "app", "--abort-grpc", "unavailable", "--json"]);
    assert_eq!((&added["grpc_status"], &added["id"]), (&14.into(), &1.into()));
    let answer = world.get("/");
    assert_eq!((answer.status, answer.header("grpc-status"), answer.body.as_str()), (200, Some("14"), ""));
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    world.json(&["fault", "clear", "--all", "--json"]);
    world.json(&["fault", "add", "app", "--abort", "503", "--json"]);
    let headers = [("content-type", "application/grpc")];
    let answer = request(&world.gateway(), "POST", "/a.B/C", &headers, None);
    assert_eq!((answer.status, answer.header("grpc-status"), answer.body.as_str()), (200, Some("14"), ""));
}

#[test]
fn a_body_comes_slowly() {
    let world = shop("");
    world.json(&["fault", "add", "app", "--slow-body", "50B/s", "--json"]);
    let started = Instant::now();
    all_well(&world, 1);
    assert!(started.elapsed() >= Duration::from_millis(400), "21 bytes at 50 a second");
}

#[test]
fn whom_a_fault_holds_is_let_go_when_it_ends() {
    let world = shop("");
    for effect in [["--slow-body", "1B/s"], ["--delay", "1h"]] {
        world.json(&[&["fault", "add", "app"], &effect[..], &["--for", "500ms", "--json"]].concat());
        let started = Instant::now();
        all_well(&world, 1);
        assert!(started.elapsed() < Duration::from_secs(15), "{effect:?} is over by its time");

        world.json(&[&["fault", "add", "app"], &effect[..], &["--json"]].concat());
        std::thread::scope(|scope| {
            let held = scope.spawn(|| all_well(&world, 1));
            wait("it to strike", || world.json(&["fault", "list", "--json"])["faults"][0]["struck"] == 1);
            assert!(!held.is_finished(), "{effect:?}");
            said(&world, &["fault", "clear", "--all"]);
            held.join().expect("answered");
        });
        assert!(started.elapsed() < Duration::from_secs(30), "{effect:?} is cleared");
    }
}

/// What the control socket says to a fault, in JSON.
fn asked(world: &World, fault: &Value) -> (u16, String) {
    let body = fault.to_string();
    let mut socket = UnixStream::connect(world.dir.path().join(".colony/control.sock")).expect("it listens");
    let head = "POST /api/faults HTTP/1.1\r\nHost: colony\r\nConnection: close\r\nContent-Type: application/json\r\n\
                Content-Length";
    write!(socket, "{head}: {}\r\n\r\n{body}", body.len()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

#[test]
fn a_fault_that_can_never_strike_or_be_shown_is_refused() {
    let world = shop("");
    let refused = [
        json!({ "headers": [["x-test", "\u{1b}[2J"]] }),
        json!({ "headers": [["x-test", "1\r\nx-more: 2"]] }),
        json!({ "headers": [["x test", null]] }),
        json!({ "headers": [["", "1"]] }),
        json!({ "methods": ["G T"] }),
        json!({ "methods": ["\u{9b}2J"] }),
        json!({ "path": "orders" }),
        json!({ "path": "/orders?a=b" }),
        json!({ "path": "/a b" }),
    ];
    for mut fault in refused {
        fault["on"] = "app".into();
        fault["status"] = 503.into();
        fault["for_ms"] = 60_000.into();
        let (status, answer) = asked(&world, &fault);
        assert_eq!(status, 422, "{fault}: {answer}");
    }
    assert!(
        asked(&world, &json!({ "on": "app", "status": 503, "for_ms": 1, "path": "/a" })).1.contains(" 200 ")
    );
    for wrong in [["--header", "x-test=\u{1b}[2J"], ["--method", "G T"], ["--path", "orders"]] {
        let output = world.run(&[&["fault", "add", "app", "--reset"], &wrong[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(
            !world
                .printed()
                .iter()
                .any(|line| line["event"] == "fault-begins" && line["fault"]["reset"] == true)
        );
    }
}

#[test]
fn only_the_marked_requests_of_one_call_are_struck_until_it_ends() {
    let world = shop(", retries: none");
    let add = ["fault", "add", "gateway /**", "--abort", "503", "--header", "X-Test=1", "--method", "get"];
    said(&world, &[&add[..], &["--path", "/orders", "--for", "1h"]].concat());
    let ask = |path, value| request(&world.gateway(), "GET", path, &[("x-test", value)], None).status;
    assert_eq!((ask("/orders/7", "1"), ask("/orders", "2"), ask("/", "1")), (503, 200, 200));
    assert_eq!(by_front(&world).status, 200, "another call to the same service");
    let begun = world.wait_for("fault-begins");
    assert_eq!(begun["fault"]["headers"][0][1], "1", "{begun}");
    let shown = said(&world, &["status"]);
    let row = "gateway /**  abort 503  all GET /orders with x-test: 1  59 min 5";
    assert!(shown.contains(row) && shown.contains("1 of 1"), "{shown}");
    assert!(shown.find("fault").unwrap() < shown.find("service").unwrap(), "above all else: {shown}");
    assert_eq!(said(&world, &["fault", "clear", "--all"]).lines().count(), 1);
    assert_eq!(said(&world, &["fault", "list"]), "no fault is in force\n");
    assert!(!said(&world, &["status"]).contains("abort 503"));

    said(&world, &["fault", "add", "app", "--reset", "--for", "300ms"]);
    assert_eq!((world.get("/").status, by_front(&world).status), (502, 502), "every call to the service");
    wait("its end", || events(&world, "fault-ended").len() == 2);
    let why: Vec<Value> = events(&world, "fault-ended").iter().map(|event| event["why"].clone()).collect();
    assert_eq!(why, ["cleared", "expired"]);
    assert_eq!(world.get("/").status, 200);
}

#[test]
fn a_fault_outlives_a_reload_and_ends_with_its_call() {
    let world = shop(", retries: none");
    for on in ["gateway /**", "front -> app"] {
        said(&world, &["fault", "add", on, "--abort", "503"]);
    }
    world.edit("retries: none", "retries: none, timeout: 9s");
    assert_eq!(world.json(&["apply", "--json"])["applied"], true);
    assert_eq!((world.get("/").status, by_front(&world).status), (503, 503));
    world.edit(", calls: [app]", "");
    let applied = world.json(&["apply", "--json"]);
    let notes = applied["notes"].to_string();
    assert!(notes.contains("front -> app is no more") && !notes.contains("gateway"), "{applied}");
    assert_eq!(world.wait_for("fault-ended")["why"], "target-gone");
    assert_eq!(world.get("/").status, 503);
}

#[test]
fn what_makes_no_sense_is_said_with_what_does() {
    let world = shop("");
    let failed = |code: i32, args: &[&str]| {
        let output = world.run(&[&["fault"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let unknown = failed(1, &["add", "ap", "--reset"]);
    assert!(unknown.contains("gateway /**") && unknown.contains("front -> app"), "{unknown}");
    assert!(failed(1, &["add", "app", "--reset", "--for", "2days"]).contains("24 hours at most"));
    assert!(failed(1, &["add", "app", "--abort", "200"]).contains("400 to 599"));
    assert!(failed(1, &["clear", "7"]).contains("no fault is in force"));
    assert!(failed(2, &["add", "app"]).contains("--delay"));
    assert!(failed(2, &["add", "app", "--reset", "--abort", "500"]).contains("cannot be used with"));
    assert!(failed(2, &["add", "app", "--reset", "--percent", "0"]).contains("more than 0"));
    assert!(failed(2, &["clear"]).contains("--all"));
    assert_eq!(said(&world, &["fault", "clear", "--all"]), "no fault was in force\n");
}
