//! A route and a call shared by two services, as a person writes, changes and watches it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::{World, request, server};

/// Two versions of a service, these keys on the route to them, and a service that calls the first.
fn shop(route: &str, call: &str) -> World {
    let (one, two) = (server("one"), server("two"));
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ path: /api/**, {route} }}\nservices:\n  \
         app: {{ url: \"http://{one}\" }}\n  app-v2: {{ url: \"http://{two}\" }}\n  \
         front: {{ url: \"http://{one}\", calls: {{ app: {{ {call} }} }} }}\n"
    ))
}

fn ask(address: &str, header: &str, value: &str) -> String {
    request(address, "GET", "/api/x", &[(header, value)], None).body
}

/// How often each version answered so many requests.
fn count(address: &str, requests: usize) -> BTreeMap<String, usize> {
    let mut sides = BTreeMap::new();
    (0..requests).for_each(|_| *sides.entry(ask(address, "x-none", "1")).or_insert(0) += 1);
    sides
}

fn share(world: &World, call: &str) -> Value {
    world.call(call)["share"].clone()
}

#[test]
fn weights_are_kept_shown_and_changed_while_requests_come() {
    let world = shop("to: { app: 80%, app-v2: 20% }", "");
    let gateway = world.gateway();
    let second = count(&gateway, 400)["two"];
    assert!((32..128).contains(&second), "80 and six deviations: {second}");
    let requests = world.call("gateway /api/** (app-v2)")["requests"].clone();
    assert_eq!(requests, second, "counted apart");
    assert_eq!(
        (share(&world, "gateway /api/**"), share(&world, "gateway /api/** (app-v2)")),
        (0.8.into(), 0.2.into())
    );
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("share") && shown.contains("gateway /api/** (app-v2)   20 %"), "{shown}");

    let load = world.load(&[&format!("http://{gateway}/api/x"), "--rate", "200", "--duration", "2s"]);
    for shares in ["app: 50%, app-v2: 50%", "app: 1, app-v2: 9", "app: 0%, app-v2: 100%"] {
        let path = world.dir.path().join("colony.yaml");
        let text = std::fs::read_to_string(&path).expect("read");
        let (before, after) = text.split_once("to: { ").expect("a split");
        let (_, after) = after.split_once(" }").expect("its end");
        std::fs::write(&path, format!("{before}to: {{ {shares} }}{after}")).expect("written");
        let applied = world.json(&["apply", "--json"]);
        assert_eq!(applied["applied"], true, "{applied}");
    }
    let report = load.join().expect("loaded");
    assert_eq!((&report["failed"], report["sent"].as_u64() > Some(300)), (&0.into(), true), "{report}");
    assert_eq!(count(&gateway, 20), BTreeMap::from([("two".to_owned(), 20)]));
    let counted = |call: &str| world.call(call)["requests"].as_u64().expect("a number");
    let all = counted("gateway /api/**") + counted("gateway /api/** (app-v2)");
    assert_eq!(all, 420 + report["sent"].as_u64().expect("a number"), "no counter began anew");

    world.edit("to: { app: 0%, app-v2: 100% }", "to: app-v2");
    let applied = world.json(&["apply", "--json"]);
    assert!(applied["changes"].to_string().contains("to app 0%, app-v2 100% -> app-v2"), "{applied}");
}

#[test]
fn a_header_and_a_cookie_decide_before_chance() {
    let world = shop("to: { app: 50%, app-v2: { weight: 50%, when: { x-beta: yes } } }, sticky: cookie", "");
    let gateway = world.gateway();
    for _ in 0..20 {
        assert_eq!(ask(&gateway, "X-Beta", "yes"), "two");
    }
    for _ in 0..10 {
        let first = world.get("/api/x");
        let given =
            first.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        assert!(given.starts_with("colony-split="), "{given}");
        for _ in 0..5 {
            assert_eq!(ask(&gateway, "cookie", &given), first.body);
        }
    }
}

#[test]
fn a_user_stays_and_a_larger_share_moves_no_one_back() {
    let world = shop("to: { app: 90%, app-v2: 10% }, sticky: { header: x-user }", "");
    let gateway = world.gateway();
    let sides = || (0..200).map(|user| ask(&gateway, "x-user", &user.to_string())).collect::<Vec<_>>();
    let before = sides();
    assert_eq!(sides(), before);
    world.edit("app: 90%, app-v2: 10%", "app: 80%, app-v2: 20%");
    assert_eq!(world.json(&["apply", "--json"])["applied"], true);
    let after = sides();
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!((5..45).contains(&moved), "a tenth of 200: {moved}");
    assert!(before.iter().zip(&after).all(|(before, after)| before == "one" || after == "two"));
}

#[test]
fn a_call_is_split_in_the_sidecar_and_faults_find_a_side() {
    let world = shop("to: app", "to: { app: 50%, app-v2: 50% }, retries: none, sticky: { header: x-user }");
    let status = world.status();
    let listeners = status["listeners"].as_array().expect("listeners");
    let own = listeners.iter().find(|listener| listener["name"] == "front -> app").expect("its own");
    let own = own["address"].as_str().expect("an address").to_owned();
    let sides = count(&own, 100);
    assert!(sides.values().all(|count| (20..80).contains(count)) && sides.len() == 2, "{sides:?}");
    world.json(&["fault", "add", "front -> app (app-v2)", "--abort", "503", "--json"]);
    for user in 0..20 {
        let answer = request(&own, "GET", "/", &[("x-user", &user.to_string())], None);
        assert!(answer.body == "one" || answer.status == 503, "{answer:?}");
    }
    assert_eq!(world.call("front -> app")["failures"], 0);
    assert_ne!(world.call("front -> app (app-v2)")["failures"], 0);
}

#[test]
fn explain_tells_the_sides() {
    let world =
        shop("to: { app: 90%, app-v2: { weight: 10%, when: { x-beta: yes } } }", "to: { app: 1, app-v2: 3 }");
    let text = |args: &[&str]| String::from_utf8_lossy(&world.run(args).stdout).into_owned();
    let route = text(&["explain", "GET", "/api/x"]);
    assert!(route.contains("app 90%, app-v2 10% (x-beta: yes)"), "{route}");
    let call = text(&["explain", "front", "app"]);
    assert!(call.contains("app 25%, app-v2 75%"), "{call}");
    assert_eq!(world.json(&["explain", "front", "app", "--json"])["split"], "app 25%, app-v2 75%");
}
