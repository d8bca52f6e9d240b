//! A purchase is one trace: from the gateway through the services, by topics and queues to whoever hears of it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use telemetry::Telemetry;
use telemetry::span::{Kind, Span};

use crate::world::{World, wait};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACE_ID: [u8; 16] = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();

#[test]
fn a_purchase_is_one_trace() {
    let mut world = World::marketplace();
    let products = world.get("/api/catalog/products?q=lamp").json();
    let product = products["products"][0]["id"].clone();
    let added = world.post("/api/cart/ada/items", &[], json!({ "product": product, "quantity": 1 }));
    assert!((200..300).contains(&added.status), "{added:?}");
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("idempotency-key", "key-1"), ("traceparent", &*parent)];
    let bought = world.post("/api/checkout", &headers, json!({ "customer": "ada" }));
    assert_eq!(bought.status, 201, "{bought:?}");
    let order = bought.json()["order_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/orders/{order}");
    wait("the order to be on its way", || world.get(&path).body.contains("arranged"));
    let told = world.status();
    let folder = Path::new(told["data"].as_str().expect("a folder")).join("telemetry");
    world.signal(libc::SIGTERM);
    assert_eq!(world.exit_code(), Some(0));

    let kept = Telemetry::read(&folder).expect("it can be read");
    let trace = kept.trace(&TRACE_ID).expect("it is kept");
    let services: BTreeSet<&str> = trace.all.iter().map(|span| &*span.service).collect();
    for service in ["gateway", "checkout", "delivery"] {
        assert!(services.contains(service), "{service} of {services:?}: {}", drawn(&trace.all));
    }
    let called: BTreeSet<String> = trace.all.iter().filter_map(|span| peer(span)).collect();
    for service in ["cart", "payments"] {
        assert!(called.contains(service), "{service} of {called:?}: {}", drawn(&trace.all));
    }
    for (kind, begins) in [
        (Kind::Server, "POST /api/checkout"),
        (Kind::Client, "try checkout"),
        (Kind::Client, "try payments"),
        (Kind::Client, "append "),
        (Kind::Producer, "publish "),
        (Kind::Consumer, "process "),
    ] {
        let found = trace.all.iter().any(|span| span.kind == kind && span.name.starts_with(begins));
        assert!(found, "{kind:?} {begins}: {}", drawn(&trace.all));
    }
}

fn peer(span: &Span) -> Option<String> {
    match span.attribute("peer.service")? {
        telemetry::span::Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

fn drawn(spans: &[std::sync::Arc<Span>]) -> String {
    spans.iter().map(|span| format!("\n{} {:?} {}", span.service, span.kind, span.name)).collect()
}
