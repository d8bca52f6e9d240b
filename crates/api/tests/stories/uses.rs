//! What an application uses is counted, whether it is declared or not.

use api::config::{Place, Prefix};
use api::uses::{How, Used};
use serde_json::json;

use crate::app::{App, said};
use crate::subscriber::{Subscriber, beside, done, until};
use crate::world::{World, store};

fn told(world: &World, app_id: &str) -> Vec<(How, String, bool, u64, u64)> {
    let uses = world.host.uses();
    let own = uses.into_iter().find(|(id, _)| id == app_id).map(|(_, own)| own).unwrap_or_default();
    let tuple = |used: Used| (used.how, used.name, used.declared, used.count, used.failed);
    own.into_iter().map(tuple).collect()
}

#[tokio::test]
async fn who_is_called_beside_the_data_plane_is_known() {
    let app = App::new(async |request| {
        let status = if request.uri().path() == "/bad" { 500 } else { 200 };
        said(status, "")
    })
    .await;
    let world = World::new().await;
    let port = app.port;
    let _callee = world.beside("orders", |config| config.app.port = Some(port)).await;
    for path in ["a", "bad", "b"] {
        world.get(&format!("/v1.0/invoke/orders/method/{path}")).await;
    }
    world.get("/v1.0/invoke/nobody/method/a").await;
    assert_eq!(told(&world, "shop"), [(How::Call, "orders".to_owned(), false, 3, 1)]);
    assert_eq!(told(&world, "orders"), [], "it was called, and called nobody");
}

#[tokio::test]
async fn queues_and_stores_are_known_and_what_of_them_is_declared() {
    let world = World::with(|config| config.components.push(store("carts", Place::Disk, Prefix::Name))).await;
    let items = json!([{ "data": 1 }, { "data": 2 }]).to_string();
    assert_eq!(world.post("/v1.0/queues/mails/send/bulk", &items).await.status, 200);
    let had = world.post("/v1.0/queues/mails/receive", &json!({ "max": 1 }).to_string()).await.json();
    let nacked = json!({ "receipts": [had["items"][0]["receipt"]], "cause": "no" }).to_string();
    assert_eq!(world.post("/v1.0/queues/mails/nack", &nacked).await.status, 200);
    for store in ["carts", "odd"] {
        world.post(&format!("/v1.0/state/{store}"), r#"[{"key":"k","value":1}]"#).await;
    }
    world.get("/v1.0/state/carts/k").await;
    assert_eq!(
        told(&world, "shop"),
        [
            (How::Send, "mails".to_owned(), false, 2, 0),
            (How::Work, "mails".to_owned(), false, 1, 1),
            (How::State, "carts".to_owned(), true, 2, 0),
            (How::State, "odd".to_owned(), false, 1, 0),
        ]
    );
}

#[tokio::test]
async fn who_publishes_and_who_is_brought_what_is_known() {
    let orders = r#"[{"pubsubname":"pubsub","topic":"orders","route":"orders"}]"#;
    let app = Subscriber::new(orders, |_, _| done()).await;
    let world = beside(&app).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    assert_eq!(world.post("/v1.0/publish/pubsub/orders", "{}").await.status, 204);
    app.has(1, "/orders").await;
    let is_brought = || told(&world, "shop").iter().any(|used| used.0 == How::Consume);
    until(is_brought, || "brought".to_owned()).await;
    let told = told(&world, "shop");
    let name = "pubsub/orders".to_owned();
    assert_eq!(told, [(How::Publish, name.clone(), false, 1, 0), (How::Consume, name, false, 1, 0)]);
}
