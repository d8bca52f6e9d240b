//! What a trace looks like, and a list of them.

use serde_json::{Value, json};

use super::{draw, list};

const START: u64 = 1_795_309_323_000_000;

fn span(
    id: &str,
    parent: Option<&str>,
    service: &str,
    name: &str,
    kind: &str,
    from_us: u64,
    us: u64,
) -> Value {
    json!({
        "span_id": id, "parent_id": parent, "service": service, "name": name, "kind": kind, "status": "unset",
        "start_us": START + from_us, "duration_ns": us * 1_000, "attributes": {},
    })
}

fn purchase() -> Value {
    let mut failed = span("c1", Some("b1"), "checkout", "payments try 1", "client", 12_000, 100_000);
    failed["status"] = "error".into();
    failed["error"] = "no answer in\n100 ms".into();
    let mut first = span("a1", None, "gateway", "POST /api/checkout", "server", 0, 200_000);
    first["attributes"]["http.response.status_code"] = 201.into();
    json!({
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "service": "gateway", "name": "POST /api/checkout", "start_us": START,
        "duration_ns": 200_000_000, "first_duration_ns": 195_000_000, "is_whole": true, "status_code": 201, "span_count": 7, "error_count": 1,
        "services": ["checkout", "gateway", "notifications", "payments"], "kept": "error", "weight": 1.0,
        "spans": [
            first,
            span("b1", Some("a1"), "checkout", "POST /checkout", "server", 2_000, 190_000),
            failed,
            span("c2", Some("b1"), "checkout", "payments try 2", "client", 115_000, 60_000),
            span("d1", Some("c2"), "payments", "POST /charge", "server", 116_000, 55_000),
            span("c3", Some("b1"), "checkout", "publish order-placed", "producer", 178_000, 4_000),
            span("e1", Some("c3"), "notifications", "process order-placed with a name that is far too long", "consumer", 195_000, 5_000),
        ],
        "critical_path": [
            { "span_id": "a1", "offset_ns": 0, "duration_ns": 2_000_000 },
            { "span_id": "b1", "offset_ns": 2_000_000, "duration_ns": 10_000_000 },
            { "span_id": "c1", "offset_ns": 12_000_000, "duration_ns": 100_000_000 },
            { "span_id": "d1", "offset_ns": 116_000_000, "duration_ns": 55_000_000 },
            { "span_id": "c3", "offset_ns": 178_000_000, "duration_ns": 4_000_000 },
        ],
        "logs": [
            { "at_us": START + 112_000, "level": "warn", "service": "checkout", "span_id": "b1", "body": "payments is slow\u{1b}[31m" },
            { "at_us": START + 190_000, "level": "info", "service": "checkout", "body": "order placed" },
        ],
    })
}

#[test]
fn a_purchase_is_drawn() {
    insta::assert_snapshot!("purchase", draw::trace(&purchase(), 120, false, false));
}

#[test]
fn what_goes_on_after_the_answer_does_not_squeeze_the_request() {
    let mut long = purchase();
    let mut later = [
        span("f1", Some("c3"), "checkout", "wait payments-due", "internal", 180_000, 5_000_000),
        span("f2", Some("f1"), "checkout", "process payments-due", "consumer", 5_180_000, 2_000),
    ];
    later[0]["attributes"]["colony.wait"] = "queue".into();
    later[1]["links"] = json!([{ "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "c3" }, { "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736" }]);
    long["spans"].as_array_mut().expect("spans").extend(later);
    (long["duration_ns"], long["first_duration_ns"]) = (5_182_000_000_u64.into(), 200_000_000.into());
    let waited = json!({ "span_id": "f1", "offset_ns": 182_000_000, "duration_ns": 18_000_000 });
    long["critical_path"].as_array_mut().expect("a path").push(waited);
    insta::assert_snapshot!("later", draw::trace(&long, 120, false, false));
    insta::assert_snapshot!("whole", draw::trace(&long, 120, false, true));
}

#[test]
fn the_narrowest_drawing_is_a_drawing() {
    insta::assert_snapshot!("narrow", draw::trace(&purchase(), 10, false, false));
    assert!(draw::trace(&json!({}), 80, true, false).lines().count() < 6);
}

#[test]
fn spans_that_cause_each_other_in_a_circle_are_drawn_once() {
    let mut odd = purchase();
    odd["spans"] = json!([
        span("a1", Some("b1"), "shop", "one", "internal", 0, 10),
        span("b1", Some("a1"), "shop", "two", "internal", 0, 10),
        span("c1", Some("c1"), "shop", "three", "internal", 900_000_000, 10),
    ]);
    let drawn = draw::trace(&odd, 100, false, false);
    assert!(["one", "two", "three"].iter().all(|name| drawn.matches(name).count() == 1), "{drawn}");
}

#[test]
fn a_list_is_drawn() {
    let mut slow = purchase();
    (slow["kept"], slow["error_count"], slow["name"]) = ("slow".into(), 0.into(), "GET /".into());
    let told = json!({ "traces": [purchase(), slow], "next": "1-2", "cut": false });
    insta::assert_snapshot!("list", list::traces(&told, false));
    let none = json!({ "traces": [], "next": null, "cut": true });
    insta::assert_snapshot!("none", list::traces(&none, false));
}
