//! Transactions and their events, in one commit.

use std::collections::BTreeMap;

use api::config::{Broker, Outbox, Place, Prefix, PubSub};
use api::proto::dapr::common::v1::StateItem;
use api::proto::dapr::runtime::v1::{ExecuteStateTransactionRequest, TransactionalStateOperation};
use components::pubsub::Scope;
use serde_json::{Value, json};

use crate::publish::{event, one, pubsub, several, subscribed};
use crate::world::{World, store};

/// A sidecar whose store `carts` publishes what it saves to `saved` of `messages`.
async fn world(place: Place, broker: Broker) -> World {
    World::with(|config| {
        let outbox = Outbox { pubsub: "messages".to_owned(), topic: "saved".to_owned() };
        config.outboxes = BTreeMap::from([("carts".to_owned(), outbox)]);
        config.components = vec![
            store("carts", place, Prefix::AppId),
            pubsub("messages", PubSub { broker, ..PubSub::default() }),
        ];
    })
    .await
}

fn upsert(key: &str, value: &Value, more: &Value) -> Value {
    let mut request = json!({"key": key, "value": value});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    json!({"operation": "upsert", "request": request})
}

async fn transact(world: &World, operations: &[Value]) -> u16 {
    let body = json!({"operations": operations}).to_string();
    let headers = [("traceparent", "00-a-b-01")];
    world.ask_with("POST", "/v1.0/state/carts/transaction", &headers, body.as_bytes()).await.status
}

#[tokio::test]
async fn what_a_transaction_saves_is_published_with_it() {
    for (place, broker) in [(Place::Disk, Broker::Disk), (Place::Memory, Broker::Memory)] {
        let world = world(place, broker).await;
        let saved = subscribed(&world, "messages", "saved").await;
        let as_json = json!({"contentType": "application/json"});
        let operations = [
            upsert("ada", &json!({"apples": 3}), &as_json),
            json!({"operation": "delete", "request": {"key": "bob"}}),
        ];
        assert_eq!(transact(&world, &operations).await, 204);
        assert_eq!(world.get("/v1.0/state/carts/ada").await.body, r#"{"apples":3}"#);
        let delivery = one(&saved).await;
        assert_eq!(&delivery.message.key[..], b"ada");
        let event = event(&delivery);
        assert!(event["id"].as_str().unwrap().starts_with("outbox-"), "{event}");
        let fields = ["data", "datacontenttype", "source", "topic", "pubsubname", "type", "traceparent"];
        let expected = json!([
            {"apples": 3}, "application/json", "shop", "saved", "messages", "com.dapr.event.sent", "00-a-b-01"
        ]);
        assert_eq!(Value::from(fields.map(|field| event[field].clone()).to_vec()), expected);
        assert_eq!(world.post("/v1.0/state/carts", r#"[{"key":"eve","value":1}]"#).await.status, 204);
        assert_eq!(transact(&world, &[upsert("zoe", &json!("text"), &json!({}))]).await, 204);
        let next = self::event(&one(&saved).await);
        assert_eq!((&next["data"], &next["datacontenttype"]), (&json!("text"), &json!("text/plain")));
        world.end().await;
    }
}

#[tokio::test]
async fn a_transaction_that_is_not_done_publishes_nothing() {
    let world = world(Place::Disk, Broker::Disk).await;
    let saved = subscribed(&world, "messages", "saved").await;
    let refused = [upsert("ada", &json!(1), &json!({})), upsert("bob", &json!(1), &json!({"etag": "7"}))];
    assert_eq!(transact(&world, &refused).await, 500);
    assert_eq!(transact(&world, &[upsert("eve", &json!(2), &json!({}))]).await, 204);
    assert_eq!(event(&one(&saved).await)["data"], "2");
    assert_eq!(world.get("/v1.0/state/carts/ada").await.status, 204);
    world.end().await;
}

#[tokio::test]
async fn a_projection_is_published_and_not_saved() {
    let world = world(Place::Disk, Broker::Disk).await;
    let saved = subscribed(&world, "messages", "saved").await;
    let shown = json!({"metadata": {"outbox.projection": "true", "contentType": "application/json"}});
    let own = json!({"metadata": {
        "type": "order.saved", "tenant": "t1", "data": "x", "id": "x", "topic": "x", "cloudevent.subject": "ada"
    }});
    let operations = [upsert("ada", &json!({"card": "4711"}), &own), upsert("ada", &json!({"n": 1}), &shown)];
    assert_eq!(transact(&world, &operations).await, 204);
    assert_eq!(world.get("/v1.0/state/carts/ada").await.body, r#"{"card":"4711"}"#);
    let event = event(&one(&saved).await);
    assert_eq!(
        (&event["data"], &event["type"], &event["tenant"]),
        (&json!({"n": 1}), &json!("order.saved"), &json!("t1"))
    );
    assert_eq!((&event["topic"], &event["subject"]), (&json!("saved"), &json!("ada")));
    assert!(
        event["id"] != "x"
            && event.get("cloudevent.subject").is_none()
            && event.get("outbox.projection").is_none()
    );
    world.end().await;
}

#[tokio::test]
async fn over_grpc_a_transaction_publishes_as_well() {
    let world = world(Place::Disk, Broker::Disk).await;
    let saved = subscribed(&world, "messages", "saved").await;
    let item = |key: &str, value: &'static str, content_type: &str| TransactionalStateOperation {
        operation_type: "upsert".to_owned(),
        request: Some(StateItem {
            key: key.to_owned(),
            value: value.into(),
            metadata: BTreeMap::from([("contentType".to_owned(), content_type.to_owned())]),
            ..StateItem::default()
        }),
    };
    let request = ExecuteStateTransactionRequest {
        store_name: "carts".to_owned(),
        operations: vec![item("a", "{\"n\":1}", "application/json"), item("b", "\"x\"", "text/plain")],
        ..ExecuteStateTransactionRequest::default()
    };
    world.call::<()>("dapr.proto.runtime.v1.Dapr/ExecuteStateTransaction", &request).await.unwrap();
    let mut data: Vec<String> =
        several(&saved, 2).await.iter().map(|one| event(one)["data"].to_string()).collect();
    data.sort();
    assert_eq!(data, [r#""\"x\"""#, r#"{"n":1}"#]);
    world.end().await;
}

#[tokio::test]
async fn what_may_not_be_published_is_not_saved() {
    let world = World::with(|config| {
        let outbox = Outbox { pubsub: "messages".to_owned(), topic: "saved".to_owned() };
        config.outboxes = BTreeMap::from([("carts".to_owned(), outbox)]);
        let scope = Scope { allowed: Some(["other".to_owned()].into()), ..Scope::default() };
        config.components = vec![pubsub("messages", PubSub { scope, ..PubSub::default() })];
    })
    .await;
    let body = json!({"operations": [upsert("ada", &json!(1), &json!({}))]}).to_string();
    let answer = world.post("/v1.0/state/carts/transaction", &body).await;
    assert_eq!(answer.refused(), (500, "ERR_PUBLISH_OUTBOX".to_owned()));
    assert_eq!(world.get("/v1.0/state/carts/ada").await.status, 204);
    world.end().await;
}
