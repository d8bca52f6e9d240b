//! Traces, metrics and objectives: asked for, narrowed, and looked into.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::page::Page;
use super::shop::Shop;
use crate::world::{request, wait};

const ENTER: &str = "\u{E007}";

#[test]
fn a_trace_is_found_drawn_and_looked_into() {
    let shop = Shop::open();
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "t"]);
    page.headed("Traces");
    // They come while one looks.
    for _ in 0..3 {
        assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    }
    shop.looked.post("/api/faults", json!({ "on": "front -> packer", "status": 503, "for_ms": 600_000 }));
    assert_eq!(shop.ask("GET", "/ask", None).status, 503);
    page.says("main a.trace", "503");
    page.is("those that are well", "return document.querySelectorAll('main a.trace').length >= 4");

    page.choose_labelled("Outcome", "Failed");
    page.is(
        "those that failed alone",
        "const all = [...document.querySelectorAll('main a.trace')]; \
        return all.length >= 1 && all.every((one) => one.textContent.includes('503'))",
    );
    assert_eq!(page.address(), "/traces?error=true");
    page.click("main a.trace", "503");
    page.says("[role=treeitem]", "packer");
    page.says("main .facts", "failed");
    page.click("[role=treeitem] .label", "front");
    page.says("main aside h3", "Attributes");
    page.says("main aside", "http.request.method");
    let at = page.address();
    assert!(at.contains("span="), "{at}");
    page.reload();
    page.says("main aside", "http.request.method");
    page.back();
    page.says("main a.trace", "503");
    page.fill_labelled("Service", "nobody");
    page.press(&[ENTER]);
    page.says("main .empty", "No trace has all of that");
}

#[test]
fn metrics_are_added_and_a_time_is_chosen() {
    let shop = Shop::open();
    for _ in 0..5 {
        assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    }
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "r"]);
    page.headed("Metrics");
    page.says(".charts h2", "colony.call.requests");
    page.click("main button", "Add a metric");
    page.fill("dialog input", "colony.call.tries");
    page.press(&[ENTER]);
    page.says(".charts h2", "colony.call.tries");
    assert!(page.address().contains("colony.call.tries"), "{}", page.address());
    page.is("lines", "return [...document.querySelectorAll('.charts .strokes path')].some((path) => (path.getAttribute('d') ?? '').length > 5)");
    page.drag(".charts svg.plot", 0.4, 0.8);
    page.is("the time in the address", "const query = new URLSearchParams(location.search); return Number(query.get('to')) > Number(query.get('from'))");
    let at = page.address();
    page.reload();
    page.says(".charts h2", "colony.call.tries");
    assert_eq!(page.address(), at);
    page.click("main button", "Live");
    page.is("no time in the address", "return !new URLSearchParams(location.search).get('to')");
}

#[test]
fn an_objective_is_told_with_its_budget() {
    let shop = Shop::open();
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    let page = Page::logged_in(&shop.looked);
    page.press(&["g", "o"]);
    page.headed("SLOs");
    page.says(".objectives", "packer");
    page.says(".objectives", "99.9 %");
    page.open("/slos/packer");
    page.headed("packer");
    page.says(".objectives", "99.9 %");
}

#[test]
fn metrics_are_narrowed_by_a_label_and_its_value() {
    let shop = Shop::open();
    for _ in 0..5 {
        assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    }
    let page = Page::logged_in(&shop.looked);
    page.open("/graphs");
    page.says(".charts .key", "front");
    page.choose_labelled("Metric", "colony.call.requests");
    page.choose_labelled("Label", "call");
    page.is(
        "its values",
        "return [...document.querySelectorAll('main datalist option')].some((one) => one.value === 'front -> packer')",
    );
    page.fill_labelled("Value", "front -> packer");
    page.press(&[ENTER]);
    page.says("main button.only", "call front -> packer");
    assert_eq!(page.address(), "/graphs?label.call=front+-%3E+packer");
    page.is(
        "one line",
        "const keys = [...document.querySelectorAll('.charts section:first-child .key .name')]; \
         return keys.length === 1 && keys[0].textContent === 'packer'",
    );
    page.click("main button.only", "call");
    page.is(
        "all of them",
        "return document.querySelectorAll('.charts section:first-child .key').length >= 2",
    );
}

#[test]
fn a_span_leads_to_what_was_logged_in_it() {
    let shop = Shop::open();
    assert_eq!(shop.ask("GET", "/ask", None).body, "made");
    let mut spans = json!(null);
    wait("the trace", || {
        let found = shop.looked.get("/api/traces?service=front&limit=1");
        let Some(id) = found["traces"][0]["trace_id"].as_str() else { return false };
        spans = shop.looked.get(&format!("/api/traces/{id}"));
        true
    });
    let id = spans["trace_id"].as_str().expect("an id").to_owned();
    let all = spans["spans"].as_array().expect("spans");
    let span = all.iter().find(|span| span["service"] == "front").expect("a span");
    let span = span["span_id"].as_str().expect("an id").to_owned();
    shop.write(&format!(r#"{{"msg":"asked in the span","trace_id":"{id}","span_id":"{span}"}}"#));
    shop.write(&format!(r#"{{"msg":"said beside it","trace_id":"{id}"}}"#));
    wait("both records", || {
        let logs = shop.looked.get(&format!("/api/logs?trace={id}"));
        logs["logs"].as_array().is_some_and(|logs| logs.len() == 2)
    });
    let page = Page::logged_in(&shop.looked);
    page.open(&format!("/traces/{id}?span={span}"));
    page.click("main aside .links a", "Logs");
    page.says(".line .text", "asked in the span");
    page.says_no_more(".line .text", "said beside it");
    assert_eq!(page.address(), format!("/logs?trace={id}&span={span}"));
    // All of the trace, and then of everything.
    page.click("main .chips button.chip", "span");
    page.says(".line .text", "said beside it");
    page.click("main .chips a", "Open the trace");
    page.says("main .facts", "span");
    page.back();
    page.click("main .filters button", "Clear all");
    page.says(".line .text", "said beside it");
    assert_eq!(page.address(), "/logs");
}

#[test]
fn what_only_waits_is_hatched_and_a_trace_leads_to_what_it_is_linked_with() {
    let shop = Shop::open();
    let (first, other) = ("a".repeat(32), "b".repeat(32));
    let begun =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970") - Duration::from_secs(5);
    let span = |trace: &str, id: &str, parent: &str, name: &str, from_ms: u64, to_ms: u64| {
        let at = |ms: u64| (begun + Duration::from_millis(ms)).as_nanos().to_string();
        json!({
            "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 1,
            "startTimeUnixNano": at(from_ms), "endTimeUnixNano": at(to_ms),
        })
    };
    let mut waits = span(&first, "a2a2a2a2a2a2a2a2", "a1a1a1a1a1a1a1a1", "wait shelf", 10, 150);
    waits["attributes"] = json!([{ "key": "colony.wait", "value": { "stringValue": "instance" } }]);
    let mut runs = span(&other, "b1b1b1b1b1b1b1b1", "", "run tidy", 0, 20);
    runs["kind"] = json!(5);
    runs["links"] = json!([{ "traceId": first, "spanId": "a1a1a1a1a1a1a1a1" }]);
    let spans = json!([span(&first, "a1a1a1a1a1a1a1a1", "", "order", 0, 200), waits, runs]);
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "shelf" } }] });
    let body = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] });
    let kind = [("content-type", "application/json")];
    assert_eq!(request(&shop.otlp(), "POST", "/v1/traces", &kind, Some(&body.to_string())).status, 200);
    wait("both traces", || {
        let found = shop.looked.get("/api/traces?service=shelf");
        found["traces"].as_array().is_some_and(|all| all.len() == 2)
    });

    let page = Page::logged_in(&shop.looked);
    page.open(&format!("/traces/{other}"));
    page.says("main .facts", "Scheduled in the trace aaaaaaaa");
    page.click("main .facts a", "aaaaaaaa");
    page.says("h1", "order");
    let drawn = |name: &str, what: &str| {
        format!(
            "const row = [...document.querySelectorAll('.span')].find((one) => one.querySelector('.what')?.textContent === '{name}'); \
             return row && [...row.querySelectorAll('.piece.on')].some((one) => {what}getComputedStyle(one).backgroundImage.startsWith('repeating'))"
        )
    };
    page.is("a wait on the critical path", &drawn("wait shelf", ""));
    page.is("work on the critical path", &drawn("order", "!"));
}
