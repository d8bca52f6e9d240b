//! Services that don't work, and calls nobody declared.

use serde_json::Value;

use crate::world::{World, request, server, until, wait};

#[test]
fn a_crash_loop_shows_the_last_words() {
    let world = World::start(
        "name: loop\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  bad:\n    run: sh -c 'echo the database is gone >&2; exit 3'\n    ready: none\n",
        &[],
    );
    wait("a crash loop", || world.service("bad")["state"] == "crash-loop");
    let bad = world.service("bad");
    assert!(bad["last_lines"].to_string().contains("the database is gone"), "{bad}");
    let event = world.wait_for("crash-loop");
    assert!(event["last_lines"].to_string().contains("the database is gone"), "{event}");
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("crash-loop") && shown.contains("the database is gone"), "{shown}");
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let world = World::start(
        "name: typo\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  app: { run: ./no-such-program, ready: none }\n",
        &[],
    );
    let event = world.wait_for("not-ready");
    assert!(event.to_string().contains("no-such-program"), "{event}");
}

#[test]
fn a_failed_build_says_why() {
    let world = World::start(
        "name: build\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  app: { build: \"echo line 7 is wrong; exit 2\", run: sleep 1000, ready: none }\n",
        &[],
    );
    let event = world.wait_for("build-failed");
    assert!(event.to_string().contains("line 7 is wrong"), "{event}");
    assert_eq!(world.service("app")["state"], "failed");
}

#[test]
fn the_gateway_says_whose_failure_it_is() {
    let world = World::up(
        "name: down\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  app: { run: sleep 1000, ready: none }\n",
    );
    let answer = world.get("/");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:colony:problem:connect-failed");
    assert_eq!(problem["upstream"], "app");
    assert_eq!(problem["tries"], 3);
}

#[test]
fn an_undeclared_call_is_refused_with_the_line_to_add() {
    let address = server("hello");
    let world = World::up(&format!(
        "name: zero\nservices:\n  a: {{ run: sleep 1000, ready: none, calls: [b] }}\n  \
         b: {{ url: \"http://{address}\" }}\n  c: {{ url: \"http://{address}\" }}\n",
    ));
    let status = world.status();
    let listeners = status["listeners"].as_array().expect("listeners");
    let at = |name: &str| {
        let found = listeners.iter().find(|listener| listener["name"] == name);
        found.and_then(|listener| listener["address"].as_str()).expect("an address").to_owned()
    };
    let sidecar = at("a sidecar");
    assert_eq!(request(&sidecar, "GET", "/", &[("host", "b")], None).body, "hello");
    assert_eq!(request(&at("a -> b"), "GET", "/", &[], None).body, "hello");
    let refused = request(&sidecar, "GET", "/", &[("host", "c")], None);
    assert_eq!(refused.status, 403);
    assert!(refused.json()["remedy"].to_string().contains("services.a.calls.c: {}"), "{refused:?}");
    assert_eq!(request(&sidecar, "GET", "/", &[("host", "nobody")], None).status, 404);
}

#[test]
fn a_service_gets_the_addresses_of_what_it_calls() {
    let address = server("hello");
    let world = World::up(&format!(
        "name: env\nservices:\n  a:\n    run: sh -c 'env; exec sleep 1000'\n    ready: none\n    env: {{ COLOUR: blue }}\n    \
         calls: [b-side]\n  b-side: {{ url: \"http://{address}\" }}\n",
    ));
    let has = |start: &str| {
        let lines = world.printed();
        lines.iter().any(|line| line["text"].as_str().is_some_and(|text| text.starts_with(start)))
    };
    for variable in
        ["B_SIDE_URL=http://127.0.0.1:", "PORT=2", "COLONY_SERVICE=a", "COLONY_INSTANCE=a-1", "COLOUR=blue"]
    {
        wait(variable, || has(variable));
    }
}

#[test]
fn secrets_are_never_printed() {
    let manifest = |arguments: &str| {
        format!(
            "name: secret\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: app }}] }}\nservices:\n  app:\n    \
             build: echo building with ${{APP_TOKEN}}\n    \
             run: sh -c 'echo the token is $APP_TOKEN; exec sleep 1000' {arguments}\n    \
             ready: none\n    env: {{ APP_TOKEN: \"${{APP_TOKEN}}\" }}\n  \
             ill:\n    run: sh -c 'echo $0; exit 1' ${{APP_TOKEN}}\n    ready: none\n"
        )
    };
    let world = World::start(&manifest("${APP_TOKEN}"), &[("APP_TOKEN", "hunter2-and-more")]);
    wait("the app", || world.service("app")["state"] == "ready");
    let line = until(
        "the line",
        || world.printed().into_iter().find(|line| line["text"].to_string().contains("the token is")),
        String::new,
    );
    assert_eq!(line["text"], "the token is [secret]");
    world.edit("1000' ${APP_TOKEN}", "1000' --token ${APP_TOKEN}");
    let commands: [&[&str]; 8] = [
        &["apply", "--json"],
        &["apply"],
        &["status", "--json"],
        &["status"],
        &["logs"],
        &["logs", "--json"],
        &["restart", "ill", "--json"],
        &["stop", "app", "--json"],
    ];
    for command in commands {
        let output = world.run(command);
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains("hunter2"), "{command:?}: {text}");
        }
    }
    assert!(!Value::from(world.printed()).to_string().contains("hunter2"));
}

#[test]
fn an_external_without_an_address_says_so() {
    let world = World::start(
        "name: out\ngateway: { listen: 127.0.0.1:0, routes: [{ path: /pay/**, to: pay }, { to: app }] }\n\
         services:\n  app: { run: sleep 1000, ready: none }\nexternals:\n  pay: https://nowhere.invalid\n",
        &[],
    );
    let answer = world.get("/pay/");
    assert_eq!(answer.status, 503);
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("cannot resolve `nowhere.invalid`"), "{detail}");
    let shown = String::from_utf8(world.run(&["status"]).stdout).expect("text");
    let line = shown.lines().find(|line| line.trim_start().starts_with("pay ")).unwrap_or_default();
    assert!(line.contains("cannot resolve `nowhere.invalid`"), "{shown}");
}
