//! Shops at the built program, as one process and as eight, with the same assertions.

mod http;
mod town;

use serde_json::{Value, json};

use http::Answer;
use town::Town;

/// The same story at the monolith and at the services.
fn everywhere(story: fn(&Town)) {
    for town in [Town::monolith(), Town::services()] {
        story(&town);
        town.close();
    }
}

fn put(town: &Town, customer: &str, product: &str, quantity: u32) -> Answer {
    let item = json!({ "product": product, "quantity": quantity });
    town.post(&format!("/api/cart/{customer}/items"), &[], &item)
}

fn buy(town: &Town, customer: &str, key: &str) -> Answer {
    town.post("/api/checkout", &[("idempotency-key", key)], &json!({ "customer": customer }))
}

#[test]
fn a_customer_finds_chooses_and_buys() {
    everywhere(|town| {
        let found = town.get("/api/catalog/products?q=stoneware%20mugs&limit=2").json(200);
        assert_eq!(found["products"][0]["id"], "stoneware-mug");
        let id = found["products"][0]["id"].as_str().expect("an id");
        let product = town.get(&format!("/api/catalog/products/{id}")).json(200);
        assert_eq!(product["price_cents"], 1_800);

        assert_eq!(put(town, "anna", id, 2).json(200)["total_cents"], 3_600);
        assert_eq!(put(town, "anna", "monstera", 1).json(200)["count"], 3);
        assert_eq!(town.get("/api/cart/anna").json(200)["items"].as_array().map(Vec::len), Some(2));
        let picks = town.get("/api/recommendations/anna").json(200);
        assert_eq!(picks.as_array().map(Vec::len), Some(4));
        assert!(picks.as_array().expect("a list").iter().all(|p| p["id"] != id));

        let order = buy(town, "anna", "k1").json(201);
        assert_eq!((&order["status"], &order["delivery"]), (&json!("paid"), &json!("arranged")));
        assert_eq!(town.get("/api/cart/anna").json(200)["count"], 0);
        let order_id = order["order_id"].as_str().expect("an id");
        assert_eq!(town.get(&format!("/api/orders/{order_id}")).json(200), order);
        assert_eq!(buy(town, "anna", "k1").json(201)["order_id"], order["order_id"]);
        let delivery = town.get(&format!("/api/delivery/deliveries/{order_id}")).json(200);
        assert_eq!(delivery["estimated"], order["estimated"]);
        let told = town.get("/api/notifications/notifications/anna").json(200);
        assert_eq!(told[0]["order"], order["order_id"]);
    });
}

#[test]
fn what_goes_wrong_is_told_as_a_problem() {
    everywhere(|town| {
        let problem = |answer: Answer, status: u16| -> Value {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            answer.json(status)
        };
        problem(town.get("/api/catalog/products/dodo"), 404);
        problem(put(town, "anna", "dodo", 1), 422);
        problem(put(town, "anna", "stoneware-mug", 100), 422);
        problem(put(town, "not a customer".replace(' ', "%20").as_str(), "stoneware-mug", 1), 400);
        problem(buy(town, "anna", "k1"), 409);
        problem(town.get("/api/orders/none"), 404);
        problem(town.post("/api/checkout", &[], &json!({ "who": "anna" })), 422);
        problem(
            town.post("/api/payments/charges", &[], &json!({ "order": "o", "amount": 1, "customer": "c" })),
            400,
        );

        put(town, "rich", "flatweave-rug", 90).json(200);
        let declined = problem(buy(town, "rich", "k2"), 402);
        assert!(declined["order_id"].is_string());
    });
}

#[test]
fn payments_that_fail_never_charge_twice() {
    everywhere(|town| {
        let dial = json!({ "latency_ms": 2, "failure": 0.4, "after_charge": 0.3 });
        assert_eq!(town.post("/api/payments/dial", &[], &dial).json(200), dial);
        std::thread::scope(|scope| {
            for customer in 0..6 {
                scope.spawn(move || {
                    let customer = format!("c{customer}");
                    put(town, &customer, "stoneware-mug", 1).json(200);
                    let (mut order, mut tries) = (None, 0);
                    while order.is_none() {
                        tries += 1;
                        assert!(tries < 200, "never paid");
                        let answer = buy(town, &customer, &format!("key-{customer}"));
                        match answer.status {
                            201 => order = Some(answer.json(201)),
                            503 => assert_eq!(answer.header("retry-after"), Some("1")),
                            other => panic!("{other}: {}", answer.text()),
                        }
                    }
                    let again = buy(town, &customer, &format!("key-{customer}")).json(201);
                    assert_eq!(Some(again["order_id"].clone()), order.map(|o| o["order_id"].clone()));
                });
            }
        });
        let ledger = town.get("/api/payments/ledger").json(200);
        assert_eq!((&ledger["charges"], &ledger["double_charges"]), (&json!(6), &json!(0)), "{ledger}");
        assert!(ledger["requests"].as_u64() > ledger["charges"].as_u64(), "{ledger}");
    });
}

#[test]
fn a_person_can_shop_on_the_pages() {
    everywhere(|town| {
        let home = town.get("/");
        assert!(home.text().contains("Stoneware Mug") && home.text().contains("Picked for you"));
        let cookie =
            home.header("set-cookie").and_then(|c| c.split(';').next()).expect("a cookie").to_owned();
        let me = [("cookie", cookie.as_str())];
        let style =
            home.text().split('"').find(|part| part.starts_with("/assets/")).expect("a style").to_owned();
        assert!(town.get(&style).header("cache-control").is_some_and(|c| c.contains("immutable")));
        assert!(town.get("/products/stoneware-mug").text().contains("Add to basket"));
        assert!(town.get("/?q=%3Cscript%3E").text().contains("&lt;script&gt;"));
        assert_eq!(town.get("/products/dodo").status, 404);
        assert_eq!(town.get("/no/such/page").status, 404);

        for _ in 0..2 {
            let added = town.form("/cart", &me, "product=stoneware-mug&quantity=1&add=true");
            assert_eq!((added.status, added.header("location")), (303, Some("/cart")));
        }
        let basket = town.get_with("/cart", &me);
        assert!(basket.text().contains("€36.00"), "{}", basket.text());
        let page = town.get_with("/checkout", &me);
        let key = page.text().split('"').find(|part| part.starts_with("page-")).expect("a key").to_owned();
        let bought = town.form("/checkout", &me, &format!("key={key}"));
        assert_eq!(bought.status, 303, "{}", bought.text());
        let place = bought.header("location").expect("a place").to_owned();
        let again = town.form("/checkout", &me, &format!("key={key}"));
        assert_eq!(again.header("location"), Some(place.as_str()));
        assert!(town.get_with(&place, &me).text().contains("Arrives "));
        assert_eq!(town.get(&place).status, 404, "other people's orders are not shown");
    });
}

#[test]
fn without_recommendations_pages_come_and_people_buy() {
    let mut town = Town::services();
    town.stop("recommendations");
    let home = town.get("/");
    assert_eq!(home.status, 200);
    assert!(!home.text().contains("Picked for you"));
    put(&town, "anna", "stoneware-mug", 1).json(200);
    assert_eq!(buy(&town, "anna", "k1").json(201)["status"], "paid");
    town.close();
}

#[test]
fn a_paid_order_is_delivered_when_delivery_comes_back() {
    let mut town = Town::services();
    let port = town.stop("delivery");
    put(&town, "anna", "stoneware-mug", 1).json(200);
    let order = buy(&town, "anna", "k1").json(201);
    assert_eq!((&order["status"], &order["delivery"]), (&json!("paid"), &json!("pending")));
    town.start("delivery", port);
    let path = format!("/api/orders/{}", order["order_id"].as_str().expect("an id"));
    let arranged = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        town.get(&path).json(200)["delivery"] == "arranged"
    });
    assert!(arranged);
    town.close();
}

#[test]
fn what_is_under_way_is_finished_before_the_end() {
    let town = Town::monolith();
    put(&town, "anna", "stoneware-mug", 1).json(200);
    town.post("/api/payments/dial", &[], &json!({ "latency_ms": 400 })).json(200);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| buy(&town, "anna", "k1"));
        std::thread::sleep(std::time::Duration::from_millis(150));
        town.terminate();
        assert_eq!(slow.join().expect("no panic").json(201)["status"], "paid");
    });
    town.close();
}

#[test]
fn a_service_says_what_it_misses() {
    let run = |arguments: &[&str]| town::program().args(arguments).output().expect("it starts");
    let cart = run(&["cart"]);
    assert_eq!(cart.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&cart.stderr).contains("CATALOG_URL"));
    assert!(String::from_utf8_lossy(&run(&["cat"]).stderr).contains("catalog"));
    assert!(String::from_utf8_lossy(&run(&["--help"]).stdout).contains("marketplace SERVICE"));
}
