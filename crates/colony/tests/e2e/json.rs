//! With `--json` every outcome is JSON on standard output, also a failure.

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::world::{World, run_in};

/// Runs a command that must fail with JSON, and with nothing else.
fn failed(dir: &Path, args: &[&str], code: i32) -> Value {
    let output = run_in(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}");
    assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let object: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"));
    assert!(object["error"].is_string() && object["hints"].is_array(), "{args:?}: {object}");
    object
}

#[test]
fn what_cannot_be_read_or_found_is_json() {
    let dir = tempfile::tempdir().expect("a folder");
    let checked = failed(dir.path(), &["check", "nofile", "--json"], 1);
    assert_eq!(checked["valid"], false);
    for args in [&["status", "--json"][..], &["logs", "--json"], &["stop", "--json"], &["load", "--json"]] {
        let object = failed(dir.path(), args, 1);
        assert!(object["hints"].to_string().contains("colony up"), "{object}");
    }
    failed(dir.path(), &["status", "--json", "-C", "nowhere"], 1);
    let object = failed(dir.path(), &["scale", "--json", "a", "many"], 2);
    assert!(object["error"].to_string().contains("many"), "{object}");
}

#[test]
fn a_node_that_cannot_start_says_so_in_an_event() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(failed(dir.path(), &["up", "--json"], 1)["event"], "failed");
    let file = dir.path().join("colony.yaml");
    std::fs::write(&file, "name: x\nservices: { a: { rnu: x } }\n").expect("written");
    let object = failed(dir.path(), &["up", "--json"], 1);
    assert_eq!(object["event"], "invalid");
    assert!(object["diagnostics"][0]["line"].is_u64() && object["unix_ms"].is_u64(), "{object}");

    let holder = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = holder.local_addr().expect("bound").port();
    let text = format!(
        "name: x\ngateway: {{ listen: 127.0.0.1:{port} }}\nservices: {{ a: {{ run: sleep 9, ready: none }} }}\n"
    );
    std::fs::write(&file, text).expect("written");
    let object = failed(dir.path(), &["up", "--json"], 1);
    assert_eq!(object["event"], "failed");
    assert!(object["error"].to_string().contains(&format!("port {port} is in use")), "{object}");
}

#[test]
fn init_tells_what_it_wrote_or_why_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let init = ["init", "--url", "http://127.0.0.1:3000", "--json"];
    let output = run_in(dir.path(), &init);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let again = run_in(dir.path(), &["init", "--url", "http://127.0.0.1:3000", "shop.yaml"]);
    let said = String::from_utf8(again.stdout).expect("text");
    assert!(said.starts_with("wrote shop.yaml") && said.contains("up shop.yaml` now serves"), "{said}");
    let written = std::fs::read_to_string(dir.path().join("colony.yaml")).expect("written");
    assert_eq!(object["file"], "colony.yaml");
    assert_eq!(object["manifest"], written);
    assert_eq!(object["gateway"], "http://127.0.0.1:8080");
    assert!(failed(dir.path(), &init, 1)["hints"].to_string().contains("--force"));
    let bad = failed(dir.path(), &["init", "--url", "ftp://x", "--json", "other.yaml"], 1);
    assert!(bad["diagnostics"][0]["code"].is_string(), "{bad}");
}

#[test]
fn what_a_node_refuses_is_json() {
    let world = World::up(
        "name: no\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  a: { run: sleep 1000, ready: none }\n",
    );
    let object = failed(world.dir.path(), &["restart", "b", "--json"], 1);
    assert!(object["error"].to_string().contains("there is no service `b`"), "{object}");
    failed(world.dir.path(), &["up", "--json"], 1);
}

#[test]
fn the_port_that_is_told_is_the_real_one() {
    let world = World::up(
        "name: port\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  a: { run: sleep 1000, ready: none }\n",
    );
    assert_eq!(world.wait_for("up")["gateway"], world.status()["gateway"]);
    let dir = tempfile::tempdir().expect("a folder");
    let init = ["init", "--url", "http://127.0.0.1:3000", "--listen", "127.0.0.1:0"];
    let said = String::from_utf8(run_in(dir.path(), &init).stdout).expect("text");
    assert!(said.contains("at a free port") && !said.contains("http://127.0.0.1:0"), "{said}");
}
