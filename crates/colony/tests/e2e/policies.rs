//! Policies as a person meets them: in the manifest, at the command line and in the status.

use std::net::SocketAddr;
use std::time::Duration;

use crate::world::{Answer, World, request, server, slow_server};

/// A gateway in front of one service, with these policies on its only route.
fn shop(policies: &str) -> World {
    shop_of(server("well"), policies)
}

fn shop_of(app: SocketAddr, policies: &str) -> World {
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app{policies} }}\nservices:\n  \
         app: {{ url: \"http://{app}\" }}\n"
    ))
}

#[test]
fn a_breaker_is_forced_by_hand_and_survives_a_reload() {
    let world = shop("");
    assert_eq!(world.get("/").body, "well");
    let said = world.run(&["breaker", "gateway /**", "open"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("forced open"), "{text}");
    world.edit("listen: 127.0.0.1:0", "listen: 127.0.0.1:0\n  limits: { headers: 50 }");
    assert_eq!(world.json(&["apply", "--json"])["applied"], true);
    let refused = world.get("/");
    assert_eq!((refused.status, refused.json()["policy"].as_str()), (503, Some("breaker")), "{refused:?}");
    assert!(refused.body.contains("by hand") && refused.header("retry-after").is_none(), "{refused:?}");
    assert_eq!(world.call("gateway /**")["breaker"], "forced-open");
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(
        shown.contains("forced-open") && shown.contains("colony breaker \"gateway /**\" auto"),
        "{shown}"
    );

    world.edit("to: app", "to: app, timeout: 9s");
    let applied = world.json(&["apply", "--json"]);
    assert_eq!((&applied["applied"], &applied["notes"]), (&true.into(), &serde_json::json!([])), "{applied}");
    assert_eq!((world.get("/").status, &world.call("gateway /**")["breaker"]), (503, &"forced-open".into()));

    let done = world.json(&["breaker", "gateway /**", "auto", "--json"]);
    assert_eq!((&done["call"], &done["state"]), (&"gateway /**".into(), &"auto".into()));
    assert_eq!(world.get("/").body, "well");
}

#[test]
fn a_reload_says_which_breaker_it_can_force_no_more() {
    let world = shop("");
    let force_and_edit = |from, to| {
        assert!(world.run(&["breaker", "gateway /**", "closed"]).status.success());
        world.edit(from, to);
        let applied = world.json(&["apply", "--json"]);
        applied["notes"][0].as_str().unwrap_or_else(|| panic!("{applied}")).to_owned()
    };
    let lost = "the breaker of gateway /** is not forced closed any more:";
    let off = force_and_edit("to: app", "to: app, breaker: none");
    assert_eq!(off, format!("{lost} it has `breaker: none` now"));
    world.edit(", breaker: none", "");
    world.json(&["apply", "--json"]);
    assert_eq!(force_and_edit("to: app", "to: app, path: /a"), format!("{lost} the call is no more"));
}

#[test]
fn what_breaker_cannot_force_it_says() {
    let world = shop(", breaker: none");
    let failed = |args: &[&str]| {
        let output = world.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let unknown = failed(&["breaker", "app", "open"]);
    assert!(unknown.contains("there is no call `app`") && unknown.contains("gateway /**"), "{unknown}");
    let off = failed(&["breaker", "gateway /**", "open"]);
    assert!(off.contains("breaker: none"), "{off}");
}

/// So many requests at once.
fn crowd(world: &World, count: usize) -> Vec<Answer> {
    let gateway = world.gateway();
    let asking: Vec<_> = (0..count)
        .map(|_| {
            let gateway = gateway.clone();
            std::thread::spawn(move || request(&gateway, "GET", "/", &[], None))
        })
        .collect();
    asking.into_iter().map(|one| one.join().expect("answered")).collect()
}

#[test]
fn a_full_bulkhead_refuses_and_a_queue_waits() {
    let world = shop_of(slow_server("late", Duration::from_millis(400)), ", concurrency: 2");
    let answers = crowd(&world, 6);
    assert_eq!(answers.iter().filter(|answer| answer.body == "late").count(), 2, "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status == 503).expect("four of them");
    assert_eq!(
        (refused.json()["policy"].as_str(), refused.header("retry-after")),
        (Some("concurrency"), Some("1"))
    );
    let call = world.call("gateway /**");
    assert_eq!((&call["overloaded"], &call["concurrency"]["limit"]), (&4.into(), &2.into()), "{call}");
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("gateway /**: 0 of 2 requests in flight, 0 waiting, 4 refused so far"), "{shown}");

    world.edit("concurrency: 2", "concurrency: { max: 2, queue: 10, wait: 20s }");
    let applied = world.json(&["apply", "--json"]);
    assert!(applied["changes"].to_string().contains("concurrency 2 -> 2, queue 10 for 20s"), "{applied}");
    assert!(crowd(&world, 6).iter().all(|answer| answer.body == "late"));
    assert_eq!(world.call("gateway /**")["overloaded"], 0);
}

#[test]
fn what_is_retried_is_said_in_the_manifest() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let world = World::start(
        &format!(
            "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app, retries: {{ backoff: 1ms, on: reset }} }}\n\
             externals:\n  app: \"http://{gone}\"\nservices:\n  idle: {{ run: sleep 1000, ready: none }}\n"
        ),
        &[],
    );
    world.wait_for("all-ready");
    assert_eq!(world.get("/").json()["tries"], 1);
    world.edit("on: reset", "on: [reset, connect-failure], jitter: decorrelated, grpc-statuses: unavailable");
    let applied = world.json(&["apply", "--json"]);
    let changes = applied["changes"].to_string();
    assert!(changes.contains("retries.on reset -> reset, connect-failure"), "{applied}");
    assert!(changes.contains("retries.jitter full -> decorrelated"), "{applied}");
    assert_eq!(world.get("/").json()["tries"], 3);
}
