//! What a node counts, as Prometheus reads it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde_json::Value;

use crate::world::{World, listening, request, server, until, wait};

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

#[test]
fn how_they_went_is_told_and_outlives_a_kill() {
    let (mut world, _) = used();
    let grown = |world: &World| {
        let query = "name=colony.call.requests&by=upstream&from=-5m&step=300000&take=increase";
        asked(world, &format!("/api/metrics?{query}"))["series"][0]["points"][0][1].as_f64()
    };
    wait("ten requests in the window", || grown(&world) == Some(10.0));
    world.signal(libc::SIGKILL);
    world.exit_code();
    let again = world.up_again();
    wait("the same after a kill", || grown(&again) == Some(10.0));
    let top = again.json(&["top", "--json"]);
    assert_eq!((&top["services"][0]["name"], &top["services"][0]["ready"]), (&"cart".into(), &1.into()));
    let once = String::from_utf8(again.run(&["top", "--once"]).stdout).expect("text");
    assert!(once.contains("gateway /**") && once.contains("req/s"), "{once}");
}

/// In a terminal of its own, which `script` makes.
#[test]
fn top_is_drawn_and_leaves_the_terminal_as_it_was() {
    use std::process::{Command, Stdio};

    let (world, _) = used();
    let top = format!("stty cols 100 rows 30; {} top", crate::world::binary());
    let mut script = Command::new("script")
        .args(["-qec", &top, "/dev/null"])
        .current_dir(world.dir.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` is there, of util-linux");
    let (mut keys, mut screen) = (script.stdin.take().expect("piped"), script.stdout.take().expect("piped"));
    let mut drawn = String::new();
    let mut see = |what: &str| {
        let mut some = [0; 4096];
        while !drawn.contains(what) {
            let count = screen.read(&mut some).expect("read");
            assert!(count > 0, "no {what} in {drawn:?}");
            drawn.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    };
    see("\u{1b}[?1049h");
    see("restarts");
    keys.write_all(b"2sr/x\rq").expect("pressed");
    see("\u{1b}[?1049l");
    assert!(script.wait().expect("ended").success());
}

/// What the node answers over its socket.
pub fn asked(world: &World, path: &str) -> Value {
    let mut socket = UnixStream::connect(world.dir.path().join(".colony/control.sock")).expect("it listens");
    let head = format!("GET {path} HTTP/1.1\r\nhost: colony\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    // In chunks, of which one is all of it.
    let body = answer.find('{').zip(answer.rfind('}')).map_or("", |(from, to)| &answer[from..=to]);
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A webhook that keeps what it is told.
fn webhook() -> (String, std::sync::mpsc::Receiver<String>) {
    let (heard, told) = std::sync::mpsc::channel();
    let address = listening(move |mut stream| {
        let mut text = Vec::new();
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut some) {
            text.extend(&some[..count]);
            let whole = String::from_utf8_lossy(&text).into_owned();
            if whole.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}')) {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
                let _ = heard.send(whole);
                return;
            }
        }
    });
    (format!("http://{address}/alerts?room=1"), told)
}

#[test]
fn a_budget_that_burns_is_posted_and_shown() {
    let (url, told) = webhook();
    let failing = listening(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    let more = format!(
        "slo: {{ cart: {{ availability: 99.9%, latency: 300ms at p99 }} }}\nalerts: {{ webhook: '{url}', headers: {{ x-token: abc }} }}\n"
    );
    let mut world = World::up(&(SHOP.replace("CART", &failing.to_string()) + &more));
    let call = world.status()["calls"][0]["call"].as_str().expect("a call").to_owned();
    assert!(world.run(&["breaker", &call, "closed"]).status.success());
    let letter = until(
        "a letter",
        || {
            for _ in 0..5 {
                world.get("/");
            }
            told.try_recv().ok()
        },
        || world.status().to_string(),
    );
    let (head, body) = letter.split_once("\r\n\r\n").expect("a request");
    assert!(
        head.starts_with("POST /alerts?room=1 ") && head.to_lowercase().contains("x-token: abc"),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["status"], &body["system"]), (&"firing".into(), &"shop".into()));
    assert_eq!(body["alert"]["key"], "slo cart availability page");
    assert_eq!(body["changes"][0]["kind"], "breaker", "{body}");
    let status = world.status();
    assert_eq!(
        (&status["slos"][0]["service"], &status["slos"][0]["alert"]),
        (&"cart".into(), &"page".into())
    );
    let text = String::from_utf8(world.run(&["status"]).stdout).expect("text");
    assert!(text.contains("page: cart spends the error budget") && text.contains("99.9% answered"), "{text}");
    assert!(world.printed().iter().any(|line| line["event"] == "alert-fires"));
    // The same for who looks closer: by which rules, how it was spent, what was done, and on the map.
    let shown = asked(&world, "/api/slos");
    let availability = &shown["slos"][0];
    assert_eq!(
        (&availability["rules"][0]["long"], &availability["rules"][0]["due"]),
        (&"1h".into(), &true.into())
    );
    let spent = availability["spent"].as_array().expect("points");
    assert!(spent[0][1] == 1.0 && spent.last().expect("one")[1] == availability["budget_left"], "{spent:?}");
    assert_eq!(shown["alerts"][0]["changes"][0]["kind"], "breaker", "{shown}");
    assert_eq!(shown["past"], serde_json::json!([]));
    let done = asked(&world, "/api/changes?from=-5m");
    let kinds: Vec<&str> =
        done["changes"].as_array().expect("changes").iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["start", "breaker"], "{done}");
    assert_eq!(asked(&world, "/api/changes?from=1&to=2")["changes"], serde_json::json!([]));
    let map = asked(&world, "/api/map");
    let node =
        map["nodes"].as_array().expect("nodes").iter().find(|node| node["id"] == "cart").expect("cart");
    assert_eq!(
        node["slo"],
        serde_json::json!({ "state": "exhausted", "remaining": 0.0, "name": "availability", "alert": "page" })
    );
    // The ticket of the same objective is shown, and the page is all that is posted.
    let firing = |world: &World| -> Vec<(String, bool, u64)> {
        let alerts = asked(world, "/api/slos")["alerts"].as_array().cloned().unwrap_or_default();
        let one = |alert: &Value| {
            let key = alert["key"].as_str().unwrap_or_default().to_owned();
            (key, alert["inhibited"] == true, alert["since_ms"].as_u64().unwrap_or(0))
        };
        alerts.iter().map(one).collect()
    };
    let before = firing(&world);
    let keys: Vec<(&str, bool)> =
        before.iter().map(|(key, inhibited, _)| (key.as_str(), *inhibited)).collect();
    assert_eq!(keys, [("slo cart availability page", false), ("slo cart availability ticket", true)]);
    // A crash forgets nothing of that, and nobody is told again.
    let kept = world.dir.path().join(".colony/telemetry/metrics/alerts.json");
    wait("it to be written down", || kept.exists());
    world.signal(libc::SIGKILL);
    world.exit_code();
    let again = world.up_again();
    wait("a look at what is amiss", || again.status()["slos"][0]["alert"] == "page");
    assert_eq!(firing(&again), before);
    assert!(told.try_recv().is_err() && !again.printed().iter().any(|line| line["event"] == "alert-fires"));
}

/// `promtool` finds nothing to complain about.
#[cfg(feature = "conformance")]
#[test]
fn promtool_is_content() {
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
