//! A purchase in the marketplace, seen as one trace: from the gateway through the services, their events and those who hear of
//! them, with what was logged; and the same after the node was killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::metrics::asked;
use crate::otlp::{address, send, shop};
use crate::world::{World, run_in, until};

const TRACE: &str = "6bf92f3577b34da6a3ce929d0e0e4736";

/// The spans that a purchase has at least: whose, which kind, and how its name begins.
const WANTED: [(&str, &str, &str); 14] = [
    ("gateway", "server", "POST /api/checkout"),
    ("gateway", "client", "try checkout"),
    ("checkout", "client", "GET cart"),
    ("checkout", "client", "POST payments"),
    ("payments", "client", "append ledger"),
    ("checkout", "client", "append orders"),
    ("checkout", "producer", "publish order-placed"),
    ("checkout", "producer", "publish order-paid"),
    ("delivery", "consumer", "process order-paid"),
    ("notifications", "consumer", "process order-paid"),
    ("cart", "consumer", "process order-paid"),
    ("delivery", "producer", "publish order-shipped"),
    ("checkout", "consumer", "process order-shipped"),
    ("notifications", "client", "save messages"),
];

/// What is logged of it.
const LOGGED: [(&str, &str); 5] = [
    ("checkout", "an order is placed"),
    ("payments", "a card is charged"),
    ("checkout", "an order is paid"),
    ("delivery", "a delivery is arranged"),
    ("notifications", "a customer is told"),
];

fn spans(trace: &Value) -> &[Value] {
    trace["spans"].as_array().map_or(&[], Vec::as_slice)
}

fn missing(trace: &Value) -> Vec<(&'static str, &'static str, &'static str)> {
    let is = |span: &Value, (service, kind, name): (&str, &str, &str)| {
        span["service"] == service
            && span["kind"] == kind
            && span["name"].as_str().is_some_and(|of| of.starts_with(name))
    };
    WANTED.into_iter().filter(|wanted| !spans(trace).iter().any(|span| is(span, *wanted))).collect()
}

fn unlogged(world: &World) -> Vec<(&'static str, &'static str)> {
    let told = asked(world, &format!("/api/logs?trace={TRACE}&limit=1000"));
    let logs = told["logs"].as_array().cloned().unwrap_or_default();
    let is = |log: &Value, (service, body): (&str, &str)| log["service"] == service && log["body"] == body;
    LOGGED.into_iter().filter(|wanted| !logs.iter().any(|log| is(log, *wanted))).collect()
}

fn ids(trace: &Value) -> BTreeSet<&str> {
    spans(trace).iter().filter_map(|span| span["span_id"].as_str()).collect()
}

#[test]
fn a_purchase_is_one_trace_also_after_the_node_was_killed() {
    let mut world = World::marketplace();
    let product = world.get("/api/catalog/products?q=lamp").json()["products"][0]["id"].clone();
    let item = json!({ "product": product, "quantity": 2 });
    assert_eq!(world.post("/api/cart/ada/items", &[], item).status, 200);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("traceparent", traceparent.as_str()), ("idempotency-key", "key-1")];
    let bought = world.post("/api/checkout", &headers, json!({ "customer": "ada" }));
    assert_eq!(bought.status, 201, "{bought:?}");

    let path = format!("/api/traces/{TRACE}");
    let found = until(
        "the purchase as one trace, with its logs",
        || {
            Some(asked(&world, &path))
                .filter(|trace| missing(trace).is_empty() && unlogged(&world).is_empty())
        },
        || format!("{:?} {:?} {:#}", missing(&asked(&world, &path)), unlogged(&world), asked(&world, &path)),
    );

    // Each has its cause in the trace, up to the span of who bought.
    let known = ids(&found);
    for span in spans(&found) {
        let parent = span["parent_id"].as_str().expect("a cause");
        assert!(known.contains(parent) || parent == "00f067aa0ba902b7", "{span}");
    }
    // Consumers say by a link, too, what they consume.
    let consumer =
        spans(&found).iter().find(|span| span["kind"] == "consumer" && span["service"] == "delivery");
    let consumer = consumer.expect("delivery consumes");
    assert_eq!(consumer["links"][0]["span_id"], consumer["parent_id"], "{consumer}");
    // What waited for the disk says so.
    let writes = ["append orders", "save messages", "publish order-paid"];
    for name in writes {
        let span = spans(&found).iter().find(|span| span["name"] == name).expect("it is wanted");
        assert!(span["attributes"]["colony.commit.wait_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{span}");
    }

    // What was recorded a second ago is not lost, whatever was decided.
    std::thread::sleep(Duration::from_millis(1_500));
    world.signal(libc::SIGKILL);
    world.exit_code();
    let left = run_in(world.dir.path(), &["trace", TRACE, "--json"]);
    let left: Value = serde_json::from_slice(&left.stdout).expect("JSON");
    assert!(known.is_subset(&ids(&left)), "{} spans of {}", ids(&left).len(), known.len());
    let again = world.up_again();
    let after = asked(&again, &path);
    assert!(known.is_subset(&ids(&after)), "{} spans of {}", ids(&after).len(), known.len());
    assert_eq!((missing(&after), unlogged(&again)), (vec![], vec![]));
}

/// Names of files of what is not decided on, that hold `text`.
fn undecided(dir: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(dir.join(".colony/telemetry")).into_iter().flatten().flatten();
    files.filter(|file| file.file_name().to_string_lossy().starts_with("spans-open")).any(|file| {
        std::fs::read(file.path())
            .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    })
}

#[test]
fn a_trace_that_goes_on_when_the_node_is_killed_is_found_and_decided_on_by_the_next() {
    let mut node = World::up(&shop(""));
    // Its cause is still to come: it is not decided on.
    let span = json!({
        "traceId": TRACE, "spanId": "10f067aa0ba902b7", "parentSpanId": "20f067aa0ba902b7", "name": "pack-2c9f", "kind": 1,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000250000000",
    });
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string();
    assert_eq!(send(&address(&node, "http"), "/v1/traces", &body).status, 200);
    until("a file", || undecided(node.dir.path(), "pack-2c9f").then_some(()), String::new);
    let path = format!("/api/traces/{TRACE}");
    assert_eq!(asked(&node, &path)["kept"], Value::Null, "nobody has decided");
    node.signal(libc::SIGKILL);
    node.exit_code();
    let left = run_in(node.dir.path(), &["trace", TRACE, "--json"]);
    let left: Value = serde_json::from_slice(&left.stdout).expect("JSON");
    assert_eq!((&left["spans"][0]["name"], &left["kept"]), (&json!("pack-2c9f"), &Value::Null));

    let mut again = node.up_again();
    assert_eq!(asked(&again, &path)["spans"][0]["name"], "pack-2c9f");
    again.signal(libc::SIGTERM);
    again.exit_code();
    let left = run_in(again.dir.path(), &["trace", TRACE, "--json"]);
    let left: Value = serde_json::from_slice(&left.stdout).expect("JSON");
    assert_eq!((&left["spans"][0]["name"], &left["kept"]), (&json!("pack-2c9f"), &json!("share")));
    assert!(!undecided(again.dir.path(), "pack-2c9f"), "what is decided on needs no file");
}
