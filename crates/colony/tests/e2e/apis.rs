//! The application API beside each instance of `colony up`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::world::{Answer, World, lives, request, run_in, server, until, wait};

/// What an instance has in its environment.
fn environment(world: &World, instance: &str) -> BTreeMap<String, String> {
    let path = world.dir.path().join(format!("{instance}.env"));
    let read = || {
        let text = std::fs::read_to_string(&path).ok()?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let all: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        all.contains_key("PORT").then_some(all)
    };
    until("its environment", read, String::new)
}

/// Where its API is.
fn http(world: &World, instance: &str) -> String {
    format!("127.0.0.1:{}", environment(world, instance)["DAPR_HTTP_PORT"])
}

fn save(http: &str, key: &str, value: Value) -> Answer {
    let body = json!([{ "key": key, "value": value }]).to_string();
    request(http, "POST", "/v1.0/state/carts", &[], Some(&body))
}

fn get(http: &str, path: &str) -> Answer {
    request(http, "GET", path, &[], None)
}

/// Writes its environment down, and is there.
const TELL: &str =
    "sh -c 'env > $COLONY_INSTANCE.part; mv $COLONY_INSTANCE.part $COLONY_INSTANCE.env; sleep 1000 & wait'";

#[test]
fn each_instance_has_its_own_and_is_known_by_it() {
    let known = server("known");
    let manifest = format!(
        "name: shop\nservices:\n  cart: {{ run: {TELL:?}, ready: none, scale: 2, calls: [prices] }}\n  \
         orders: {{ run: {TELL:?}, ready: none, env: {{ APP_ID: own }} }}\n  \
         plain: {{ run: {TELL:?}, ready: none, api: false }}\n  prices: {{ url: \"http://{known}\" }}\n"
    );
    let world = World::up(&manifest);
    let (one, two, orders) = (http(&world, "cart-1"), http(&world, "cart-2"), http(&world, "orders-1"));
    assert_ne!(one, two);
    assert_eq!(save(&one, "ada", json!({ "apples": 3 })).status, 204);
    assert_eq!(get(&two, "/v1.0/state/carts/ada").json(), json!({ "apples": 3 }), "it is one application");
    assert_eq!(get(&orders, "/v1.0/state/carts/ada").status, 204, "and this another");
    let metadata = get(&orders, "/v1.0/metadata").json();
    assert_eq!((&metadata["id"], &metadata["extended"]["instance"]), (&json!("orders"), &json!("orders-1")));
    assert_eq!(environment(&world, "orders-1")["APP_ID"], "own", "what a service says of itself goes before");
    let plain = environment(&world, "plain-1");
    assert!(!plain.keys().any(|name| name.starts_with("DAPR_") || name.starts_with("APP_")), "{plain:?}");

    let called = get(&one, "/v1.0/invoke/prices/method/apples");
    assert_eq!((called.status, called.body.as_str()), (200, "known"));
    assert_eq!(world.call("cart -> prices")["requests"], 1, "by way of the data plane");
    let nobody = get(&orders, "/v1.0/invoke/prices/method/apples");
    assert_eq!((nobody.status, nobody.json()["errorCode"].clone()), (500, json!("ERR_DIRECT_INVOKE")));

    let listed = world.run(&["list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let port = |http: &str| http.rsplit(':').next().unwrap_or_default().to_owned();
    assert!([&one, &two, &orders].iter().all(|http| listed.contains(&port(http))), "{listed}");
    let listed: Value = serde_json::from_slice(&world.run(&["list", "--json"]).stdout).expect("JSON");
    let commands: Vec<&Value> =
        listed.as_array().expect("a list").iter().map(|one| &one["command"]).collect();
    assert_eq!(commands, [&json!(TELL); 3]);
}

#[test]
fn what_was_saved_is_there_after_a_kill() {
    let manifest = format!(
        "name: shop\ngateway: {{ listen: 127.0.0.1:0 }}\nservices:\n  cart: {{ run: {TELL:?}, ready: none }}\n"
    );
    let mut world = World::up(&manifest);
    let before = http(&world, "cart-1");
    assert_eq!(save(&before, "ada", json!(7)).status, 204);
    let _ = std::fs::remove_file(world.dir.path().join("cart-1.env"));
    world.signal(libc::SIGKILL);
    world.exit_code();
    let again = world.up_again();
    assert_eq!(get(&http(&again, "cart-1"), "/v1.0/state/carts/ada").json(), json!(7));
}

#[test]
fn an_instance_that_asks_for_its_end_is_started_again() {
    let manifest = format!(
        "name: shop\ngateway: {{ listen: 127.0.0.1:0 }}\nservices:\n  cart: {{ run: {TELL:?}, ready: none }}\n"
    );
    let world = World::up(&manifest);
    let (first, http) = (world.pids("cart"), http(&world, "cart-1"));
    assert_eq!(request(&http, "POST", "/v1.0/shutdown", &[], None).status, 204);
    wait("another process", || {
        let now = world.pids("cart");
        !now.is_empty() && now != first && first.iter().all(|pid| !lives(*pid))
    });
}

#[test]
fn resources_are_checked_with_the_manifest_and_servers_can_be_done_without() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let dir = folder.path();
    let manifest = format!(
        "name: shop\ngateway: {{ listen: 127.0.0.1:0 }}\nresources: parts\nservices:\n  cart: {{ run: {TELL:?}, ready: none }}\n"
    );
    std::fs::write(dir.join("shop.yaml"), manifest).expect("written");
    let missing = run_in(dir, &["check", "shop.yaml"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot read the folder"), "{missing:?}");
    std::fs::create_dir(dir.join("parts")).expect("made");
    let component = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: carts }\n\
        spec:\n  type: state.etcd\n  version: v1\n";
    std::fs::write(dir.join("parts/carts.yaml"), component).expect("written");
    for command in ["check", "up"] {
        let refused = run_in(dir, &[command, "shop.yaml"]);
        let text = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(text.contains("parts/carts.yaml:5:9") && text.contains("C0039"), "{command}: {text}");
    }
    let taken = run_in(dir, &["check", "shop.yaml", "--embedded"]);
    assert!(taken.status.success(), "{taken:?}");
    let own = World::start_with(&folder, &["shop.yaml", "--embedded", "--data", "own"]);
    own.wait_for("all-ready");
    let http = http(&own, "cart-1");
    assert_eq!(save(&http, "ada", json!(1)).status, 204);
    assert_eq!(get(&http, "/v1.0/metadata").json()["components"][0]["type"], "state.etcd");
    let said = own.printed();
    let kept = |line: &Value| {
        line["event"] == "api" && line["text"].as_str().is_some_and(|text| text.contains("kept by Colony"))
    };
    assert!(said.iter().any(kept), "{said:?}");
}
