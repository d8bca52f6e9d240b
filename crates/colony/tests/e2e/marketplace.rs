//! The shop, as customers meet it on good days and bad ones.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Answer, World, kill, wait};

fn fill_cart(world: &World, customer: &str) {
    let products = world.get("/api/catalog/products?q=lamp").json();
    let product = products["products"][0]["id"].clone();
    assert!(product.is_string(), "{products}");
    let path = format!("/api/cart/{customer}/items");
    let answer = world.post(&path, &[], json!({ "product": product, "quantity": 2 }));
    assert!((200..300).contains(&answer.status), "{answer:?}");
}

fn check_out(world: &World, customer: &str, key: &str) -> Answer {
    world.post("/api/checkout", &[("idempotency-key", key)], json!({ "customer": customer }))
}

fn dial(world: &World, settings: Value) {
    let answer = world.post("/api/payments/dial", &[], settings);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_customer_shops() {
    let world = World::marketplace();
    let home = world.get("/");
    assert_eq!(home.status, 200);
    assert!(home.body.contains("<html"), "{}", home.body);
    assert!(home.header("x-request-id").is_some(), "{}", home.head);

    fill_cart(&world, "ada");
    let cart = world.get("/api/cart/ada").json();
    assert_eq!(cart["items"][0]["quantity"], 2, "{cart}");

    let first = check_out(&world, "ada", "key-1");
    assert_eq!(first.status, 201, "{first:?}");
    let again = check_out(&world, "ada", "key-1");
    assert_eq!(again.status, 201, "{again:?}");
    assert_eq!(first.json()["order_id"], again.json()["order_id"]);
    assert!(first.json()["status"].is_string());

    let order = first.json()["order_id"].as_str().expect("an id").to_owned();
    assert_eq!(world.get(&format!("/api/orders/{order}")).status, 200);
    assert_eq!(world.get("/api/recommendations/ada").status, 200);
    assert_eq!(world.get("/api/orders/none").status, 404);
}

#[test]
fn what_was_bought_in_one_process_is_known_after_a_kill() {
    let mut world = World::monolith();
    fill_cart(&world, "ada");
    let bought = check_out(&world, "ada", "key-1");
    assert_eq!(bought.status, 201, "{bought:?}");
    let order = bought.json()["order_id"].as_str().expect("an id").to_owned();
    let pids = world.pids("shop");
    world.signal(libc::SIGKILL);
    pids.into_iter().for_each(|pid| kill(pid, libc::SIGKILL));
    world.exit_code();
    let again = world.up_again();
    let found = again.get(&format!("/api/orders/{order}"));
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(check_out(&again, "ada", "key-1").json()["order_id"], order.as_str(), "it is bought once");
    wait("it among the orders of who bought it", || {
        again.get("/api/orders?customer=ada").json().to_string().contains(&order)
    });
}

#[test]
fn nobody_notices_kills_restarts_and_route_changes() {
    let world = World::marketplace();
    let load = world.load(&["--rate", "150", "--duration", "9s", "--scenario", "shopping"]);
    std::thread::sleep(Duration::from_secs(1));
    for service in ["catalog", "storefront"] {
        let victim = world.pids(service)[0];
        kill(victim, libc::SIGKILL);
        wait("a new instance", || {
            let service = world.service(service);
            service["state"] == "ready" && service["instances"].to_string().contains("SIGKILL")
        });
    }
    let before = world.pids("catalog");
    let done = world.json(&["restart", "catalog", "--json"]);
    assert_eq!(done["instances"].as_array().map(Vec::len), Some(2), "{done}");
    assert!(world.pids("catalog").iter().all(|pid| !before.contains(pid)), "all instances are new ones");
    world.edit("path: /api/notifications/**", "path: /api/messages/**");
    let applied = world.json(&["apply", "--json"]);
    assert_eq!(applied["applied"], true, "{applied}");
    assert_eq!(world.get("/api/messages/healthz").status, 200);
    world.json(&["scale", "storefront", "3", "--json"]);
    world.json(&["scale", "storefront", "1", "--json"]);

    let report = load.join().expect("joined");
    assert_eq!(report["failed"], 0, "{report:#}");
    assert!(report["ok"].as_u64().unwrap_or(0) >= 1200, "{report:#}");
}

#[test]
fn people_buy_although_recommendations_are_gone() {
    let world = World::marketplace();
    world.json(&["stop", "recommendations", "--json"]);
    let report =
        world.load(&["--rate", "100", "--duration", "5s", "--scenario", "shopping"]).join().expect("joined");
    assert_eq!(report["failed"], 0, "{report:#}");
    let journeys = report["journeys"].as_array().expect("journeys");
    let buy = journeys.iter().find(|journey| journey["name"] == "buy").expect("people buy");
    assert!(buy["completed"].as_u64().unwrap_or(0) > 10, "{buy}");
    assert!(world.call("storefront -> recommendations")["fallbacks"].as_u64().unwrap_or(0) > 0);
    assert_eq!(world.get("/").status, 200);
}

#[test]
fn failing_payments_cost_nobody_twice_and_open_the_breaker() {
    let world = World::marketplace();
    dial(&world, json!({ "failure": 0.4, "after_charge": 0.1 }));
    let started = std::time::Instant::now();
    let load = world.load(&["--rate", "150", "--duration", "8s", "--scenario", "shopping"]);
    let id = "checkout -> payments";
    wait("an open breaker", || world.call(id)["breaker_opened"].as_u64().unwrap_or(0) > 0);
    load.join().expect("joined");

    let call = world.call(id);
    let (requests, retries) =
        (call["requests"].as_f64().expect("a count"), call["retries"].as_f64().expect("a count"));
    assert!(retries > 0.0, "{call}");
    let allowed = 0.2 * requests + 10.0 * (started.elapsed().as_secs_f64() + 10.0);
    assert!(retries <= allowed, "{retries} retries, {allowed} allowed: {call}");
    let ledger = world.get("/api/payments/ledger").json();
    assert_eq!(ledger["double_charges"], 0, "{ledger}");
    assert!(ledger["failed_answers"].as_u64().unwrap_or(0) > 0, "{ledger}");

    dial(&world, json!({ "failure": 0.0, "after_charge": 0.0 }));
    fill_cart(&world, "grace");
    wait("a purchase", || check_out(&world, "grace", "key-after").status == 201);
    assert_eq!(world.call(id)["breaker"], "closed");
    assert_eq!(world.get("/api/payments/ledger").json()["double_charges"], 0);
}
