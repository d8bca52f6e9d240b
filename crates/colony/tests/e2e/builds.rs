//! Builds as one sees them: what they write, what waits for them, what a failed one leaves as it was.

use std::process::Output;

use crate::world::World;

/// A service whose build fails as soon as there is a certain file, and says what is in it.
const BUILT: &str = "\
name: built
gateway: { listen: 127.0.0.1:0 }
services:
  app:
    build: echo compiling; echo hm >&2; test ! -e broken || { cat broken; exit 7; }
    run: sleep 1000
    ready: none
";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_restart_shows_the_build() {
    let world = World::up(BUILT);
    world.json(&["stop", "app", "--json"]);
    let output = world.run(&["restart", "app"]);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let places = ["* app: building with `echo compiling", "| compiling", "restarted app"];
    let places = places.map(|text| said.find(text).unwrap_or_else(|| panic!("no `{text}`: {said}")));
    assert!(places.is_sorted(), "{said}");
}

#[test]
fn a_restart_whose_build_fails_fails_with_the_last_lines() {
    let world = World::up(BUILT);
    world.json(&["stop", "app", "--json"]);
    std::fs::write(world.dir.path().join("broken"), "no semicolon\n").expect("written");
    let output = world.run(&["restart", "app"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("failed: exit code 7") && text.contains("\n    no semicolon"), "{text}");
    let app = world.service("app");
    assert_eq!(app["state"], "failed", "{app}");
}
