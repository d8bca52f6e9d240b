//! Commands that need no running system, or only look at one.

use serde_json::Value;

use crate::world::{World, request, run_in, server, wait};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("colony.yaml");
    std::fs::write(&file, "name: x\nservices:\n  app:\n    rnu: ./app\n    scale: lots\n").expect("written");
    let output = run_in(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(shown.contains("colony.yaml:4:5") && shown.contains("`run`"), "{shown}");
    assert!(shown.contains("colony.yaml:5:"), "both errors in one run: {shown}");

    let output = run_in(dir.path(), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["valid"], false);
    assert_eq!(object["diagnostics"][0]["line"], 4, "{object}");

    let code = object["diagnostics"][0]["code"].as_str().expect("a code");
    let page = run_in(dir.path(), &["explain", code]);
    assert!(page.status.success() && text(&page.stdout).contains(code));

    std::fs::write(&file, "name: x\nservices:\n  app:\n    run: ./app\n").expect("written");
    assert_eq!(run_in(dir.path(), &["check"]).status.code(), Some(0));
    assert_eq!(run_in(dir.path(), &["check", "nowhere.yaml"]).status.code(), Some(1));
}

#[test]
fn the_schema_is_json() {
    let dir = tempfile::tempdir().expect("a folder");
    let schema: Value = serde_json::from_slice(&run_in(dir.path(), &["schema"]).stdout).expect("JSON");
    assert!(schema["properties"]["services"].is_object(), "{schema}");
}

#[test]
fn init_writes_a_manifest_that_serves_what_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("http://{}", server("hello"));
    let output = run_in(dir.path(), &["init", "--url", &url, "--listen", "127.0.0.1:0"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = std::fs::read_to_string(dir.path().join("colony.yaml")).expect("written");
    assert_eq!(manifest.lines().count(), 5, "{manifest}");
    let again = run_in(dir.path(), &["init", "--url", &url]);
    assert_eq!(again.status.code(), Some(1), "an existing manifest is kept");
    let bad = run_in(dir.path(), &["init", "--url", "ftp://x", "other.yaml"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(!dir.path().join("other.yaml").exists());

    let world = World::up(&manifest);
    assert_eq!(world.get("/").body, "hello");
}

#[test]
fn logs_show_and_follow_what_services_write() {
    let world = World::up(
        "name: logs\nservices:\n  a: { run: \"sh -c 'echo first; echo second >&2; exec sleep 1000'\", ready: none }\n  \
         b: { run: \"sh -c 'echo other; exec sleep 1000'\", ready: none }\n",
    );
    wait("the lines", || text(&world.run(&["logs"]).stdout).contains("other"));
    let of_a = text(&world.run(&["logs", "a"]).stdout);
    assert!(of_a.contains("| first") && of_a.contains("! second") && !of_a.contains("other"), "{of_a}");
    let last: Value = {
        let output = world.run(&["logs", "b", "-n", "1", "--json"]);
        serde_json::from_str(text(&output.stdout).trim()).expect("one JSON line")
    };
    assert_eq!(last["service"], "b");
    let unknown = world.run(&["logs", "c"]);
    assert!(text(&unknown.stderr).contains("there are a, b"), "{}", text(&unknown.stderr));
}

#[test]
fn commands_refuse_what_cannot_be() {
    let world = World::up(
        "name: no\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  a: { run: sleep 1000, ready: none, scale: { min: 1, max: 2 } }\n",
    );
    for (args, said) in [
        (&["restart", "b"][..], "there is no service `b`; there are a"),
        (&["scale", "a", "3"], "1 to 2 instances"),
        (&["scale", "a", "0"], "1 to 2 instances"),
        (&["stop", "zzz"], "there is no service `zzz`"),
    ] {
        let output = world.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains(said), "{args:?}: {}", text(&output.stderr));
    }
    world.json(&["scale", "a", "2", "--json"]);
    assert_eq!(world.pids("a").len(), 2);
}

#[test]
fn nothing_running_is_said_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = run_in(dir.path(), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("colony up"), "{}", text(&output.stderr));
}

#[test]
fn the_only_system_is_found_from_elsewhere_but_not_from_a_folder_with_its_own() {
    let world = World::up(
        "name: far\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  a: { run: sleep 1000, ready: none }\n",
    );
    let elsewhere = tempfile::tempdir().expect("a folder");
    let status = || {
        let mut command = std::process::Command::new(crate::world::binary());
        command
            .args(["status", "--json"])
            .current_dir(elsewhere.path())
            .env("XDG_RUNTIME_DIR", world.dir.path());
        command.output().expect("runs")
    };
    let found: Value = serde_json::from_slice(&status().stdout).expect("JSON");
    assert_eq!(found["name"], "far");
    std::fs::write(elsewhere.path().join("colony.yaml"), "name: near\n").expect("written");
    assert_eq!(status().status.code(), Some(1));
}

#[test]
fn load_reports_and_fails_when_answers_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("http://{}/", server("hello"));
    let output = run_in(dir.path(), &["load", &url, "--rate", "100", "--duration", "1s", "--json"]);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["ok"], 100, "{report:#}");
    let nobody = run_in(dir.path(), &["load", "http://127.0.0.1:9/", "--rate", "10", "--duration", "1s"]);
    assert_eq!(nobody.status.code(), Some(1));
}

#[test]
fn a_number_below_zero_is_out_of_range_and_no_option() {
    let dir = tempfile::tempdir().expect("a folder");
    for (args, why) in [
        (&["load", "http://127.0.0.1:9/", "--rate", "-1"][..], "the rate must lie above 0"),
        (&["load", "http://127.0.0.1:9/", "--connections", "-1"], "invalid value '-1'"),
        (&["fault", "add", "app", "--reset", "--percent", "-5"], "more than 0 and at most 100"),
        (&["fault", "add", "app", "--abort", "-503"], "-503 is not in"),
        (&["load", "http://127.0.0.1:9/", "--duration", "-5s"], "a time is not negative"),
        (&["fault", "add", "app", "--delay", "-5s"], "a time is not negative"),
        (&["fault", "add", "app", "--reset", "--for", "-1m"], "a time is not negative"),
        (&["fault", "add", "app", "--slow-body", "-1KiB/s"], "no rate; write"),
        (&["fault", "add", "app", "--reset", "--percent", "-5%"], "more than 0 and at most 100"),
        (&["scale", "app", "-1"], "-1 is not in"),
        (&["logs", "-n", "-5"], "invalid value '-5'"),
    ] {
        let output = run_in(dir.path(), args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{args:?}: {said}");
    }
}

#[test]
fn the_control_socket_speaks_http() {
    let world = World::up(
        "name: ctl\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  a: { run: sleep 1000, ready: none }\n",
    );
    let gateway = world.gateway();
    assert!(request(&gateway, "GET", "/", &[], None).status >= 500);
    let status = world.status();
    assert_eq!(status["name"], "ctl");
    assert!(status["rss_kib"].as_u64().unwrap_or(0) > 0);
}
