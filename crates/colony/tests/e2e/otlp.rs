//! Spans, logs and metrics that services send by OTLP, and where they go on to.

use std::time::Duration;

use serde_json::{Value, json};

use crate::metrics::asked;
use crate::world::{Answer, World, request, server, until, wait};

/// A node on ports that the kernel picks, with more of `telemetry`.
pub fn shop(more: &str) -> String {
    format!(
        "name: shop\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: app }}] }}\nservices:\n  app: {{ url: 'http://{}' }}\n\
         telemetry:\n  otlp: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n{more}",
        server("ok")
    )
}

pub fn address(world: &World, which: &str) -> String {
    world.status()["otlp"][which].as_str().expect("an address").to_owned()
}

/// A request of a service with a span, whose trace is `trace` and nothing.
fn span(trace: &str, attribute: &str) -> String {
    let span = json!({
        "traceId": trace, "spanId": "00f067aa0ba902b7", "name": "pack", "kind": 1,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000250000000",
        "attributes": [{ "key": "box", "value": { "stringValue": attribute } }],
    });
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "packer" } }] });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [span] }] }] }).to_string()
}

pub fn send(at: &str, path: &str, body: &str) -> Answer {
    request(at, "POST", path, &[], Some(body))
}

fn received(world: &World, what: &str) -> u64 {
    world.status()["otlp"]["received"][what].as_u64().expect("a number")
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn what_a_service_sends_is_kept_and_goes_on_to_a_collector() {
    let collector = World::up(&shop(""));
    let export = format!(
        "  export: {{ otlp: {{ endpoint: 'http://{}', protocol: grpc, compression: gzip }} }}\n",
        address(&collector, "grpc")
    );
    let node = World::up(&shop(&export));
    let http = address(&node, "http");
    let taken = send(&http, "/v1/traces", &span(TRACE, "small"));
    assert_eq!((taken.status, taken.body.as_str()), (200, "{}"));
    let log = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [
        { "body": { "stringValue": "packed" }, "severityNumber": 9, "traceId": TRACE }
    ] }] }] });
    assert_eq!(send(&http, "/v1/logs", &log.to_string()).status, 200);
    let points = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [
        { "name": "boxes", "sum": { "dataPoints": [{ "asInt": "3" }] } }
    ] }] }] });
    assert_eq!(send(&http, "/v1/metrics", &points.to_string()).status, 200);
    // What is recorded of the node's own requests goes there, too: at least what was sent is there.
    wait("what goes on", || {
        let all = collector.status()["otlp"]["received"].clone();
        ["spans", "logs", "points"].iter().all(|what| all[what].as_u64().is_some_and(|count| count >= 1))
    });
    let sent = node.status()["otlp"]["sent"].clone();
    assert_eq!((&sent["dropped"], &sent["refused"], &sent["trouble"]), (&json!(0), &json!(0), &Value::Null));
}

/// The metrics that a list has, with this name.
fn listed(world: &World, name: &str) -> Option<Value> {
    let all = asked(world, "/api/metrics");
    all["metrics"].as_array()?.iter().find(|metric| metric["name"] == name).cloned()
}

#[test]
fn what_a_service_measures_is_asked_for_beside_what_the_node_does_and_that_goes_to_a_collector() {
    let collector = World::up(&shop(""));
    let to = format!("  export: {{ otlp: {{ endpoint: 'http://{}' }} }}\n", address(&collector, "http"));
    let mut node = World::up(&shop(&to));
    let points = |grown: &str| {
        json!({ "resourceMetrics": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "packer" } }] },
            "scopeMetrics": [{ "metrics": [{ "name": "boxes.packed", "unit": "{box}", "sum": {
                "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [{
                    "startTimeUnixNano": "1", "timeUnixNano": "2", "asInt": grown,
                    "attributes": [{ "key": "size", "value": { "stringValue": "small" } }] }] } }] }] }] })
        .to_string()
    };
    assert_eq!(send(&address(&node, "http"), "/v1/metrics", &points("3")).status, 200);
    assert_eq!(send(&address(&node, "http"), "/v1/metrics", &points("4")).status, 200);
    let packed = |world: &World| {
        let query = "name=boxes.packed&take=increase&by=service,size&from=-5m&step=300000";
        let series = asked(world, &format!("/api/metrics?{query}"))["series"][0].clone();
        (series["labels"] == json!({ "service": "packer", "size": "small" }))
            .then(|| series["points"][0][1].as_f64())
            .flatten()
    };
    wait("what was packed", || packed(&node) == Some(7.0));
    let known = listed(&node, "boxes.packed").expect("it is listed");
    assert_eq!((&known["source"], &known["unit"]), (&json!("otlp"), &json!("{box}")));
    assert_eq!(listed(&node, "colony.node.memory").expect("ours")["source"], "colony");
    // The collector has it as it was sent, and what the node says of itself.
    wait("what the node has measured", || listed(&collector, "boxes.packed").is_some());
    // It has a metric of that name itself, so it takes no other; but it has been told.
    wait("all of it", || received(&collector, "points") > 12);
    node.signal(libc::SIGKILL);
    node.exit_code();
    let again = node.up_again();
    wait("the same after a kill", || packed(&again) == Some(7.0));
}

#[test]
fn what_is_not_otlp_is_refused_and_counted() {
    let node = World::up(&shop(""));
    let http = address(&node, "http");
    assert_eq!(send(&http, "/v1/traces", "{\"resourceSpans\": 7}").status, 400);
    assert_eq!(send(&http, "/v1/else", "{}").status, 404);
    let partly = send(&http, "/v1/traces", &span("", "no id"));
    assert_eq!(partly.json()["partialSuccess"]["rejectedSpans"], "1");
    assert_eq!((received(&node, "malformed"), received(&node, "rejected")), (1, 1));
}

#[test]
fn services_are_told_where_to_send_theirs_and_who_they_are() {
    let told = "  told:\n    run: sh -c 'env > env.txt; exec sleep 600'\n    ready: none\n    api: false\n    \
                env: { OTEL_EXPORTER_OTLP_PROTOCOL: grpc }\ntelemetry:\n";
    let world = World::up(&shop("").replace("telemetry:\n", told));
    let env = until(
        "the environment",
        || {
            std::fs::read_to_string(world.dir.path().join("env.txt"))
                .ok()
                .filter(|env| env.contains("OTEL_SERVICE"))
        },
        String::new,
    );
    let endpoint = format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{}", address(&world, "http"));
    for line in [
        endpoint.as_str(),
        "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        "OTEL_SERVICE_NAME=told",
        "OTEL_RESOURCE_ATTRIBUTES=service.instance.id=told-1",
    ] {
        assert!(env.lines().any(|known| known == line), "{line} in {env}");
    }
}

#[test]
fn a_reload_changes_where_it_is_sent_and_none_listens_nowhere() {
    let collector = World::up(&shop(""));
    let node = World::up(&shop("  window: { age: 12h }\n"));
    assert_eq!(node.status()["otlp"]["to"], json!([]));
    let http = address(&collector, "http");
    let export = format!("  export: {{ otlp: {{ endpoint: 'http://{http}', signals: traces }} }}\n");
    node.edit("  window: { age: 12h }\n", &export);
    node.json(&["apply", "--json"]);
    wait("the export", || node.status()["otlp"]["to"] == json!([format!("http://{http}/v1/traces")]));
    send(&address(&node, "http"), "/v1/traces", &span(TRACE, "small"));
    wait("the span", || received(&collector, "spans") >= 1);
    // The node itself is no collector of its own.
    let own = address(&node, "http");
    node.edit(&http, &own);
    let report = node.json(&["apply", "--json"]);
    assert!(report["notes"].to_string().contains("own listener"), "{report}");
    let none = World::up(&shop("").replace("{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }", "none"));
    assert_eq!(
        (&none.status()["otlp"]["http"], &none.status()["otlp"]["grpc"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_shells_collector_is_taken_unless_it_is_the_node_itself() {
    let collector = World::up(&shop(""));
    let to = format!("http://{}", address(&collector, "http"));
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", to.as_str()), ("OTEL_METRICS_EXPORTER", "none")];
    let node = World::start(&shop(""), &env);
    let expected = json!([format!("{to}/v1/traces"), format!("{to}/v1/logs")]);
    assert_eq!(node.status()["otlp"]["to"], expected);
    node.get("/");
    wait("the gateway's span", || received(&collector, "spans") >= 1);
}

#[test]
fn a_flood_of_megabytes_neither_grows_memory_nor_stalls_requests() {
    let node = World::up(&shop(""));
    let http = address(&node, "http");
    node.get("/");
    let before = node.status()["rss_kib"].as_u64().expect("known");
    std::thread::scope(|scope| {
        for sender in 0..6_u32 {
            let http = &http;
            scope.spawn(move || {
                let letter = char::from(b'a' + sender as u8).to_string();
                let body = span(TRACE, &letter.repeat(3 << 20));
                for _ in 0..10 {
                    assert!(matches!(send(http, "/v1/traces", &body).status, 200 | 429));
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(node.get("/").status, 200);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let after = node.status()["rss_kib"].as_u64().expect("known");
    assert!(after < before + (200 << 10), "{before} KiB, then {after} KiB");
    let all = node.status()["otlp"]["received"].clone();
    let counted: u64 = ["spans", "dropped", "refused"].iter().filter_map(|what| all[what].as_u64()).sum();
    assert_eq!(counted, 60, "{all}");
}

/// Spans of as many traces, each with attributes that nobody has seen before.
fn endless(request: u64) -> String {
    let id = |n: u64| request * 1_000 + n + 1;
    let attribute = |n: u64, at: u64| {
        let value = format!("{:016x}", id(n) * 100 + at).repeat(64);
        json!({ "key": format!("k{at}.{}", id(n)), "value": { "stringValue": value } })
    };
    let span = |n: u64| {
        json!({
            "traceId": format!("{:032x}", id(n)), "spanId": format!("{:016x}", id(n)), "name": format!("work {}", id(n)),
            "kind": 2, "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000250000000",
            "attributes": (0..20).map(|at| attribute(n, at)).collect::<Vec<_>>(),
        })
    };
    let spans: Vec<Value> = (0..100).map(span).collect();
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
}

#[test]
fn a_flood_of_spans_with_endless_attributes_neither_grows_memory_nor_stalls_requests() {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    let node = World::up(&shop(""));
    let (http, gateway) = (address(&node, "http"), node.gateway());
    node.get("/");
    let before = node.status()["rss_kib"].as_u64().expect("known");
    let (next, until) = (AtomicU64::new(0), Instant::now() + Duration::from_secs(6));
    let longest = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < until {
                    let body = endless(next.fetch_add(1, Ordering::Relaxed));
                    assert!(matches!(send(&http, "/v1/traces", &body).status, 200 | 429));
                }
            });
        }
        let mut longest = Duration::ZERO;
        while Instant::now() < until {
            let begun = Instant::now();
            assert_eq!(request(&gateway, "GET", "/", &[], None).status, 200);
            longest = longest.max(begun.elapsed());
            std::thread::sleep(Duration::from_millis(10));
        }
        longest
    });
    let after = node.status()["rss_kib"].as_u64().expect("known");
    let sent = 2 * next.load(Ordering::Relaxed);
    let told = format!("{sent} MiB; {before} KiB, then {after} KiB; longest request {longest:?}");
    assert!(after < before + (300 << 10) && longest < Duration::from_secs(5), "{told}");
    let kept = asked(&node, "/api/telemetry");
    assert!(kept["open_bytes"].as_u64().is_some_and(|bytes| bytes <= 32 << 20), "{kept}");
}

/// OpenTelemetry's own SDK, over both protocols, and a collector that is away for a while.
#[cfg(feature = "conformance")]
mod sdk {
    use std::process::Command;

    use super::{World, address, asked, received, shop, wait};
    use crate::port::free_port;
    use crate::sdk::python;
    use crate::world::root;

    /// Has the SDK send two spans, a record and a point.
    fn play(protocol: &str, at: &str) {
        let mut program = Command::new(python().join("python"));
        program.arg(root().join("crates/colony/tests/sdk/telemetry.py")).arg(protocol);
        let output =
            program.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{at}")).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("Failed to export"), "{said}");
    }

    #[test]
    fn the_python_sdk_sends_over_http_and_over_grpc_and_all_of_it_goes_on() {
        let port = free_port();
        let export = format!("  export: {{ otlp: {{ endpoint: 'http://127.0.0.1:{port}' }} }}\n");
        let node = World::up(&shop(&export));
        let (http, grpc) = (address(&node, "http"), address(&node, "grpc"));
        // Either listener takes both.
        [("http", &http), ("grpc", &grpc), ("grpc", &http)].iter().for_each(|(how, at)| play(how, at));
        let all = ["spans", "logs", "points"].map(|what| received(&node, what));
        assert_eq!((all[0], all[1], received(&node, "rejected")), (6, 3, 0));
        assert!(all[2] >= 3, "{all:?}");
        let told = |name: &str, take: &str| {
            let query = format!("name={name}&take={take}&by=service&from=-5m&step=300000");
            let series = asked(&node, &format!("/api/metrics?{query}"))["series"].clone();
            let shop = series
                .as_array()
                .and_then(|all| all.iter().find(|one| one["labels"]["service"] == "shop-sdk"));
            shop.and_then(|one| one["points"][0][1].as_f64())
        };
        // Each of the three programs has counted three.
        wait("what was counted", || told("boxes", "increase") == Some(9.0));
        wait("what was timed", || told("packing", "p50").is_some_and(|ms| (15.0..25.0).contains(&ms)));
        wait("what was weighed", || told("weight", "p50").is_some_and(|kg| (1.8..2.3).contains(&kg)));
        wait("what is stored", || told("stored", "value").is_some_and(|stored| stored > 0.0));
        wait("the outage", || node.status()["otlp"]["sent"]["trouble"].is_string());
        assert_eq!(node.status()["otlp"]["sent"]["spans"], 0);
        // The collector comes, and everything is there.
        let listen = format!("http: 127.0.0.1:{port} }}");
        let collector = World::up(&shop("").replace("http: 127.0.0.1:0 }", &listen));
        wait("what was sent meanwhile", || {
            let arrived = ["spans", "logs", "points"].map(|what| received(&collector, what));
            arrived.iter().zip(all).all(|(arrived, sent)| *arrived >= sent)
        });
        let sent = node.status()["otlp"]["sent"].clone();
        assert_eq!((sent["dropped"].as_u64(), sent["refused"].as_u64()), (Some(0), Some(0)), "{sent}");
    }
}
