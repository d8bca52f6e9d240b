//! Traces and logs as a user looks at them: while the system is up, after it was killed, and from the folder that is left.

use std::path::Path;

use serde_json::Value;

use crate::console::Looked;
use crate::world::{World, request, run_in, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A service that writes lines of several kinds, and serves nothing.
const MANIFEST: &str = r#"name: shop
gateway: { listen: 127.0.0.1:0 }
services:
  talker:
    run: sh talk.sh
    ready: none
"#;

fn talk() -> String {
    format!(
        "echo '{{\"level\":\"error\",\"msg\":\"no stock\",\"trace_id\":\"{TRACE}\"}}'\n\
         echo 'level=warn msg=\"low on stock\" sku=17'\n\
         echo 'nothing in particular'\n\
         exec sleep 1000\n"
    )
}

fn records(dir: &Path, words: &[&str]) -> Vec<Value> {
    let output = run_in(dir, &[&["logs", "--json"], words].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn bodies(records: &[Value]) -> Vec<&str> {
    records.iter().filter(|log| log["service"] == "talker").filter_map(|log| log["body"].as_str()).collect()
}

#[test]
fn what_services_wrote_is_found_by_trace_and_level_also_after_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("talk.sh"), talk()).expect("written");
    std::fs::write(dir.path().join("colony.yaml"), MANIFEST).expect("written");
    let dir = std::sync::Arc::new(dir);
    let mut world = World::start_with(&dir, &[]);
    let seen = |words: &[&str]| records(dir.path(), words);
    let found = until(
        "a record of the trace",
        || Some(seen(&["--trace", TRACE])).filter(|found| !found.is_empty()),
        || format!("{:?}", seen(&["--since", "1h"])),
    );
    assert_eq!(bodies(&found), ["no stock"]);
    assert_eq!((&found[0]["level"], &found[0]["trace_id"]), (&"error".into(), &TRACE.into()));
    until(
        "the line after it",
        || bodies(&seen(&["--level", "warn"])).contains(&"low on stock").then_some(()),
        String::new,
    );
    // Written to the disk each second; what was not is lost when the node is killed.
    until(
        "a file",
        || {
            std::fs::read_dir(dir.path().join(".colony/telemetry")).ok()?.flatten().find(|file| {
                file.file_name().to_string_lossy().starts_with("logs-tail")
                    && std::fs::read(file.path()).is_ok_and(|bytes| {
                        // LZ4 leaves what comes once as it is.
                        bytes.windows(9).any(|window| window == b"nothing i")
                    })
            })
        },
        String::new,
    );
    world.signal(9);
    world.exit_code();
    let after = seen(&["--since", "1h"]);
    assert_eq!(bodies(&after).iter().filter(|body| **body == "no stock").count(), 1, "{after:?}");
    assert!(after.iter().any(|log| log["event"] == "starting" || log["event"] == "ready"), "{after:?}");

    let traces = run_in(dir.path(), &["trace", "--json"]);
    let told: Value = serde_json::from_slice(&traces.stdout).expect("JSON");
    assert!(told["traces"].is_array(), "{told}");
    let wrong = run_in(dir.path(), &["trace", "nonsense"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("32 hexadecimal digits"));
}

#[test]
fn where_nothing_ever_ran_there_is_nothing_to_read() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("colony.yaml"), MANIFEST).expect("written");
    let output = run_in(dir.path(), &["trace"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("colony up"));
}

#[test]
fn which_requests_are_recorded_is_said_in_the_manifest_and_changes_with_it() {
    let looked = Looked::at("telemetry: { traces: none }\n");
    let gateway = looked.world.gateway();
    let unsampled = |n: u8| format!("{:032x}", u128::from(n) + 0xabc0);
    let ask = |n: u8| {
        let parent = format!("00-{}-00f067aa0ba902b7-00", unsampled(n));
        assert_eq!(request(&gateway, "GET", "/", &[("traceparent", &parent)], None).status, 200);
    };
    let kept = |n: u8| looked.ask("GET", &format!("/api/traces/{}", unsampled(n)), None).status == 200;
    ask(1);
    let file = looked.world.dir.path().join("colony.yaml");
    let written = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, written.replace("traces: none", "traces: all")).expect("written");
    looked.post("/api/apply", Value::Null);
    ask(2);
    until("what is recorded now", || kept(2).then_some(()), String::new);
    assert!(!kept(1), "nothing was recorded then");
}
