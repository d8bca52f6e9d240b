//! What a node counts, as Prometheus reads it.

use std::sync::Arc;

use crate::world::{World, request, server};

const SHOP: &str = "\
name: shop
gateway: { listen: 127.0.0.1:0, routes: [{ path: /**, to: cart }] }
services:
  cart: { url: 'http://CART' }
";

/// A node whose metrics have a listener of their own, after ten requests.
fn used() -> (World, String) {
    let dir = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let manifest = SHOP.replace("CART", &server("ok").to_string());
    std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
    let world = World::start_with(&dir, &["--metrics", "127.0.0.1:0"]);
    world.wait_for("all-ready");
    for _ in 0..10 {
        assert_eq!(world.get("/").status, 200);
    }
    let url = world.wait_for("up")["metrics"].as_str().expect("an address").to_owned();
    assert_eq!(world.status()["metrics"], url);
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
    (world, address)
}

#[test]
fn prometheus_reads_them() {
    let (_world, metrics) = used();
    let text = request(&metrics, "GET", "/metrics", &[], None);
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let call = "caller=\"gateway\",upstream=\"cart\",call=\"gateway /**\"";
    for line in [
        format!("colony_call_requests_total{{{call},status=\"2xx\"}} 10\n"),
        format!("colony_call_duration_seconds_bucket{{{call},le=\"+Inf\"}} 10\n"),
        format!("colony_call_duration_seconds_count{{{call}}} 10\n"),
        format!("colony_call_breaker_state{{{call}}} 0\n"),
        "colony_service_ready{service=\"cart\"} 1\n".to_owned(),
    ] {
        assert!(text.body.contains(&line), "{line} in {}", text.body);
    }
    let open = [("accept", "application/openmetrics-text; version=1.0.0")];
    let open = request(&metrics, "GET", "/metrics", &open, None);
    assert!(open.body.ends_with("# EOF\n"), "{open:?}");
    assert!(open.body.contains("# {trace_id=\""), "{open:?}");
    assert_eq!(request(&metrics, "POST", "/metrics", &[], None).status, 405);
    assert_eq!(request(&metrics, "GET", "/else", &[], None).status, 404);
}

/// `promtool` finds nothing to complain about.
#[cfg(feature = "conformance")]
#[test]
fn promtool_is_content() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let (_world, metrics) = used();
    let text = request(&metrics, "GET", "/metrics", &[], None).body;
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus, is there");
    check.stdin.take().expect("piped").write_all(text.as_bytes()).expect("taken");
    let output = check.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
