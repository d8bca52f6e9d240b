//! The manifest changed while everything runs.

use std::sync::Arc;

use crate::world::{World, server, wait};

fn manifest() -> String {
    let (one, two) = (server("one"), server("two"));
    format!(
        "name: live\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ path: /**, to: one }}\nservices:\n  \
         one: {{ url: \"http://{one}\" }}\n  two: {{ url: \"http://{two}\" }}\n  \
         own: {{ run: sleep 1000, ready: none }}\n"
    )
}

#[test]
fn a_saved_manifest_is_taken_on_by_itself() {
    let world = World::up(&manifest());
    assert_eq!(world.get("/").body, "one");
    let own = world.pids("own");
    world.edit("path: /**, to: one", "path: /**, to: two");
    wait("the other service", || world.get("/").body == "two");
    assert_eq!(world.pids("own"), own, "what has not changed goes on");
    assert_eq!(world.wait_for("reloaded")["applied"], true);
}

#[test]
fn a_broken_manifest_changes_nothing() {
    let world = World::up(&manifest());
    world.edit("to: one", "to: oen");
    let output = world.run(&["apply"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("colony.yaml:5") && text.contains("`one`"), "{text}");
    assert!(text.contains("everything runs on as before"), "{text}");
    assert_eq!(world.get("/").body, "one");
}

#[test]
fn a_changed_command_replaces_the_process() {
    let dir = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(dir.path().join("colony.yaml"), manifest()).expect("written");
    // Or it might be taken on before it is asked for.
    let world = World::start_with(&dir, &["--no-watch"]);
    world.wait_for("all-ready");
    let before = world.pids("own");
    world.edit("sleep 1000", "sleep 2000");
    let report = world.json(&["apply", "--json"]);
    assert_eq!(report["applied"], true, "{report}");
    let after = world.pids("own");
    assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
    assert!(report["changes"].to_string().contains("service own"), "{report}");
}

#[test]
fn a_new_service_is_there_before_its_route() {
    let world = World::up(&manifest());
    let three = server("three");
    world.edit("  own: {", &format!("  three: {{ url: \"http://{three}\" }}\n  own: {{"));
    world.edit("path: /**, to: one", "path: /**, to: three");
    let report = world.json(&["apply", "--json"]);
    assert_eq!(report["applied"], true, "{report}");
    assert_eq!(world.get("/").body, "three");
}

#[test]
fn a_version_that_does_not_start_leaves_the_old_one() {
    let world = World::up(&manifest());
    let before = world.pids("own");
    world.edit("sleep 1000", "./no-such-program");
    let output = world.run(&["apply"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(world.pids("own"), before);
}
