//! The marketplace with one service in Python, on Dapr's published SDK.

use serde_json::{Value, json};

use crate::sdk::python;
use crate::world::{World, kill, root, until};

#[test]
fn recommendations_in_python_learn_from_what_is_bought() {
    let dir = root().join("examples/marketplace-python");
    let run =
        format!("dir: {}, run: {} recommendations.py", dir.display(), python().join("python").display());
    let world = World::marketplace_but("recommendations", &run);
    let suggested = |customer: &str, product: &str| {
        let answer = world.get(&format!("/api/recommendations/{customer}?product={product}"));
        answer.json().as_array().cloned().unwrap_or_default()
    };
    let page = world.get("/api/catalog/products?limit=20").json();
    let product = |at: usize| page["products"][at]["id"].as_str().expect("an id").to_owned();
    // What comes late in the catalog is suggested for no other reason.
    let (one, other) = (product(18), product(19));
    let first = |customer: &str| suggested(customer, &one).first().map(|best| best["id"].clone());
    until("four suggestions", || (suggested("ada", &one).len() == 4).then_some(()), String::new);
    assert_ne!(first("ada"), Some(other.as_str().into()));
    for product in [&one, &other] {
        let item = json!({ "product": product, "quantity": 1 });
        assert_eq!(world.post("/api/cart/bob/items", &[], item).status, 200);
    }
    let bought = world.post("/api/checkout", &[("idempotency-key", "python")], json!({ "customer": "bob" }));
    assert_eq!(bought.status, 201, "{bought:?}");
    let learned = || (first("ada") == Some(Value::from(other.as_str()))).then_some(());
    until("what was learned", learned, || format!("{:?}", suggested("ada", &one)));
    world.pids("recommendations").into_iter().for_each(|pid| kill(pid, libc::SIGKILL));
    until("what was learned before the kill", learned, || format!("{:?}", suggested("ada", &one)));
}
