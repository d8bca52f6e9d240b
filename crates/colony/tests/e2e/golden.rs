//! What people read, frozen: a change of wording is seen in review.

use crate::world::{World, run_in, wait};

fn help(command: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let output = run_in(dir.path(), &[command, &["--help"]].concat());
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn help_reads_well() {
    let mut text = help(&[]);
    for command in [
        "up", "check", "status", "logs", "apply", "restart", "scale", "stop", "init", "certs", "load",
        "explain", "data", "sidecar", "run", "list", "publish", "send", "receive", "invoke", "schema",
    ] {
        text.push_str(&format!("\n\n=== colony {command} --help\n\n{}", help(&[command])));
    }
    for command in ["inspect", "backup", "restore", "verify", "repair", "export", "exercise"] {
        text.push_str(&format!("\n\n=== colony data {command} --help\n\n{}", help(&["data", command])));
    }
    for (group, commands) in [
        ("state", &["get", "set", "delete"][..]),
        ("stream", &["append", "read"]),
        ("jobs", &["list", "get", "schedule", "delete"]),
        ("topics", &["list", "lag", "seek", "failed", "resolve"]),
    ] {
        text.push_str(&format!("\n\n=== colony {group} --help\n\n{}", help(&[group])));
        for command in commands {
            text.push_str(&format!("\n\n=== colony {group} {command} --help\n\n{}", help(&[group, command])));
        }
    }
    insta::assert_snapshot!(text);
}

/// Numbers differ from run to run, and with them the widths of columns.
pub fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match (letter, out.chars().last()) {
            ('0'..='9', Some('N')) | (' ', Some(' ')) => {}
            ('0'..='9', _) => out.push('N'),
            _ => out.push(letter),
        }
    }
    out.replace("N.N", "N")
}

/// Times have other units from run to run, too.
fn masked(text: &str) -> String {
    let mut out = without_numbers(text).replace("N.N", "N");
    for unit in [" us", " ms", " s", " min"] {
        out = out.replace(&format!("N{unit}"), "T");
    }
    out
}

#[test]
fn status_shows_services_calls_and_troubles() {
    let world = World::start(
        "name: seen\ngateway: { listen: 127.0.0.1:0, routes: [{ to: front }] }\nservices:\n  \
         back: { run: sh -c 'echo no disk; exit 1', ready: none }\n  \
         front: { run: sleep 1000, ready: none, scale: 2, calls: { back: { wait: false } } }\n",
        &[],
    );
    wait("two instances", || world.service("front")["state"] == "ready");
    assert_eq!(world.get("/").status, 503);
    wait("a crash loop", || world.service("back")["state"] == "crash-loop");
    let shown = String::from_utf8(world.run(&["status"]).stdout).expect("text");
    insta::assert_snapshot!(masked(&shown));
}
