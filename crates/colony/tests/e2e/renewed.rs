//! Resources and configuration that change while the application API is served, through the built binary: nobody is started anew
//! and nobody is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::configured::{start, write};
use crate::world::{Answer, World, request, slow_server, wait};

fn component(name: &str, kind: &str, settings: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{ name: {name} }}\nspec:\n  type: {kind}\n  \
         version: v1\n  metadata: [{settings}]\n"
    )
}

fn secrets(name: &str) -> String {
    component(name, "secretstores.local.file", "{ name: secretsFile, value: secrets.json }")
}

fn get(http: &str, path: &str) -> Answer {
    request(http, "GET", path, &[], None)
}

/// The type that a component has, if it is there.
fn kind_of(http: &str, name: &str) -> Option<String> {
    let told = get(http, "/v1.0/metadata").json();
    let all = told["components"].as_array().cloned().unwrap_or_default();
    let one = all.iter().find(|one| one["name"] == name)?;
    one["type"].as_str().map(str::to_owned)
}

/// Asks without end; whether it was answered each time is known when it is over.
fn asking(http: &str, over: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let (http, over) = (http.to_owned(), Arc::clone(over));
    std::thread::spawn(move || {
        let mut asked = 0;
        while !over.load(Ordering::Relaxed) {
            assert_eq!(get(&http, "/v1.0/secrets/first/key").status, 200);
            asked += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        asked
    })
}

#[test]
fn changed_resources_are_taken_on_without_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    write(&dir, "secrets.json", r#"{"key": "1"}"#);
    write(&dir, "resources/first.yaml", &secrets("first"));
    write(&dir, "config.yaml", "kind: Configuration\n");
    let app = slow_server("slow", Duration::from_millis(1_500)).port().to_string();
    let flags = ["--resources-path", "resources", "--config", "config.yaml", "--app-port", &app];
    // The one serves the other.
    let both = [start(&dir, "shop", &flags), start(&dir, "orders", &flags)];
    let is = |store: &str, status: u16| {
        let path = format!("/v1.0/secrets/{store}/key");
        both.iter().all(|one| one.ask("GET", &path, "").status == status)
    };
    assert!(is("first", 200) && is("second", 401));
    for one in &both {
        wait("it is ready", || one.ask("GET", "/v1.0/healthz", "").status == 204);
        assert_eq!(one.ask("PUT", "/v1.0/metadata/note", "kept").status, 204);
    }
    let over = Arc::new(AtomicBool::new(false));
    let asked = both.each_ref().map(|one| asking(&one.http, &over));
    let calls = both.each_ref().map(|one| {
        let http = one.http.clone();
        std::thread::spawn(move || get(&http, "/v1.0/invoke/orders/method/x").status)
    });
    write(&dir, "resources/second.yaml", &secrets("second"));
    wait("what is new is there", || is("second", 200));
    for one in &both {
        assert_eq!(one.ask("GET", "/v1.0/healthz", "").status, 204, "it was all the time");
        assert_eq!(one.ask("GET", "/v1.0/metadata", "").json()["extended"]["note"], "kept");
    }
    for call in calls {
        assert_eq!(call.join().expect("a call"), 200, "what was begun is finished");
    }
    write(&dir, "resources/second.yaml", &secrets("second").replace("local.file", "local.flie"));
    for one in &both {
        let told = one.wait_for(|line| line["event"] == "not-reloaded");
        let found = &told["diagnostics"][0];
        assert_eq!((&found["file"], &found["line"]), (&json!("resources/second.yaml"), &json!(5)), "{told}");
        assert!(one.said("what was declared before holds"));
    }
    assert!(is("second", 200));
    std::fs::remove_file(dir.path().join("resources/second.yaml")).expect("removed");
    wait("what is gone is gone", || is("second", 401));
    over.store(true, Ordering::Relaxed);
    for asked in asked {
        assert!(asked.join().expect("all are answered") > 0);
    }
    let closed =
        "kind: Configuration\nspec: { api: { denied: [{ name: secrets, version: v1, protocol: http }] } }\n";
    write(&dir, "config.yaml", closed);
    wait("what is closed is closed", || is("first", 404));
}

#[test]
fn a_component_that_does_not_answer_stays_as_it_was_and_is_tried_again() {
    let dir = tempfile::tempdir().expect("a folder");
    // Nobody listens there, and nobody else gets it meanwhile.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let away = held.local_addr().expect("an address");
    drop(held);
    let redis =
        |name: &str| component(name, "state.redis", &format!("{{ name: redisHost, value: '{away}' }}"));
    write(&dir, "resources/carts.yaml", &component("carts", "state.in-memory", ""));
    let sidecar = start(&dir, "shop", &["--resources-path", "resources"]);
    let save =
        |store: &str| sidecar.ask("POST", &format!("/v1.0/state/{store}"), r#"[{"key":"k","value":1}]"#);
    assert_eq!(save("carts").status, 204);
    write(&dir, "resources/carts.yaml", &format!("{}---\n{}", redis("carts"), redis("new")));
    assert!(sidecar.said("`carts` does not answer"));
    assert!(sidecar.said("it stays as it was, and is tried again"));
    assert!(sidecar.said("it is left out, and tried again"));
    assert_eq!(sidecar.ask("GET", "/v1.0/state/carts/k", "").body, "1", "what it has is there");
    assert_eq!(save("new").status, 400, "and nothing is kept elsewhere than is declared");
    assert_eq!(kind_of(&sidecar.http, "carts").as_deref(), Some("state.in-memory"));
    write(&dir, "resources/carts.yaml", &component("carts", "state.colony", ""));
    wait("it is what is declared", || kind_of(&sidecar.http, "carts").as_deref() == Some("state.colony"));
    assert_eq!(sidecar.ask("GET", "/v1.0/state/carts/k", "").status, 204);
}

/// Writes down where its API is, and is there.
const TELL: &str = "sh -c 'echo $DAPR_HTTP_PORT > port.part; mv port.part port; sleep 1000 & wait'";

#[test]
fn instances_of_a_manifest_take_on_what_changes_and_go_on() {
    let dir = Arc::new(tempfile::tempdir().expect("a folder"));
    let manifest = format!(
        "name: shop\ngateway: {{ listen: 127.0.0.1:0 }}\nresources: parts\nservices:\n  cart: {{ run: {TELL:?}, ready: none }}\n"
    );
    write(&dir, "shop.yaml", &manifest);
    write(&dir, "secrets.json", r#"{"key": "1"}"#);
    write(&dir, "parts/first.yaml", &secrets("first"));
    let world = World::start_with(&dir, &["shop.yaml"]);
    world.wait_for("all-ready");
    let mut port = String::new();
    wait("its port", || {
        port = std::fs::read_to_string(dir.path().join("port")).unwrap_or_default();
        !port.is_empty()
    });
    let (http, pids) = (format!("127.0.0.1:{}", port.trim()), world.pids("cart"));
    let over = Arc::new(AtomicBool::new(false));
    let asked = asking(&http, &over);
    write(&dir, "parts/second.yaml", &secrets("second"));
    wait("what is new is there", || get(&http, "/v1.0/secrets/second/key").status == 200);
    let told = world.wait_for("reloaded");
    assert!(
        told["changes"][0]["what"].as_str().is_some_and(|what| what.ends_with("second.yaml is new")),
        "{told}"
    );

    write(&dir, "parts/second.yaml", &secrets("second").replace("local.file", "local.flie"));
    let is_refused = |event: &Value| event["event"] == "reloaded" && event["applied"] == false;
    wait("the mistake is told", || world.printed().iter().any(is_refused));
    let refused = world.run(&["apply"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(get(&http, "/v1.0/secrets/second/key").status, 200);

    write(&dir, "parts/second.yaml", &secrets("third"));
    wait("what is mended is there", || get(&http, "/v1.0/secrets/third/key").status == 200);
    assert_eq!(get(&http, "/v1.0/secrets/second/key").status, 401);

    // Another folder, and a file of configuration.
    write(&dir, "others/first.yaml", &secrets("first"));
    write(&dir, "others/carts.yaml", &component("carts", "state.in-memory", ""));
    write(
        &dir,
        "closed.yaml",
        "kind: Configuration\nspec: { secrets: { scopes: [{ storeName: other, defaultAccess: deny }] } }\n",
    );
    write(
        &dir,
        "shop.yaml",
        &manifest.replace("resources: parts", "resources: others\nconfiguration: closed.yaml"),
    );
    wait("the other folder is taken on", || kind_of(&http, "carts").as_deref() == Some("state.in-memory"));
    assert_eq!(get(&http, "/v1.0/secrets/third/key").status, 401);
    write(&dir, "others/carts.yaml", &component("carts", "state.colony", ""));
    wait("and watched", || kind_of(&http, "carts").as_deref() == Some("state.colony"));
    over.store(true, Ordering::Relaxed);
    assert!(asked.join().expect("all are answered") > 0);
    assert_eq!(world.pids("cart"), pids, "nobody was started anew");
    assert_eq!(json!(world.service("cart")["instances"].as_array().map(Vec::len)), json!(1));
}
