//! Publishing through `colony sidecar`: what is answered is on the disk, and where it is kept.

use api::proto::dapr::runtime::v1::PublishEventRequest;
use engine::{Config, Embedded};
use serde_json::{Value, json};

use super::sidecar::{Sidecar, component, folder, refused};

const OUTBOX: [(&str, &str); 2] = [("outboxPublishPubsub", "messages"), ("outboxPublishTopic", "saved")];

/// What of a topic is kept in a folder whose sidecar has ended.
fn kept(folder: &std::path::Path, topic: &str) -> Vec<Value> {
    let data = folder.join(".colony/engine");
    let engine = Embedded::open_in(&data, Config::default()).expect("it opens");
    let mut events = Vec::new();
    let topic = engine.topic(topic).expect("it is read");
    for partition in 0..topic.partitions() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let page = runtime.block_on(topic.read(partition, 0, 100)).expect("it is read");
        events.extend(page.iter().map(|kept| serde_json::from_slice::<Value>(&kept.payload).expect("JSON")));
    }
    engine.close();
    events.sort_by_key(|event| event["data"].to_string());
    events
}

#[test]
fn what_was_published_survives_a_kill() {
    let folder = folder(&[("resources/keep", "")]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let headers = [("content-type", "application/json")];
    let answer = sidecar.ask_with("POST", "/v1.0/publish/messages/orders/new", &headers, "{\"n\": 1}");
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let bulk = json!([
        {"entryId": "1", "event": {"n": 2}, "contentType": "application/json"},
        {"entryId": "2", "event": {"n": 3}, "contentType": "application/json"},
    ]);
    let answer = sidecar.json("POST", "/v1.0/publish/bulk/messages/orders/new", &bulk.to_string());
    assert_eq!(answer, (204, Value::Null));
    let request = PublishEventRequest {
        pubsub_name: "messages".to_owned(),
        topic: "orders/new".to_owned(),
        data: "{\"n\":4}".into(),
        data_content_type: "application/json".to_owned(),
        ..PublishEventRequest::default()
    };
    sidecar.call::<()>("PublishEvent", &request).expect("it is published");
    drop(sidecar);
    let events = kept(folder.path(), "messages/orders/new");
    let data: Vec<_> = events.iter().map(|event| event["data"]["n"].as_u64()).collect();
    assert_eq!(data, [Some(1), Some(2), Some(3), Some(4)]);
    assert!(
        events.iter().all(|event| event["source"] == "shop" && event["specversion"] == "1.0"),
        "{events:?}"
    );
}

#[test]
fn resources_say_who_may_publish_what() {
    let scopes =
        [("publishingScopes", "shop=orders;other="), ("protectedTopics", "secret"), ("no", "effect")];
    let messages = component("messages", "pubsub.in-memory", &scopes, "");
    let theirs = component("theirs", "pubsub.colony", &[], "scopes: [other]\n");
    let folder = folder(&[("resources/messages.yaml", &messages), ("resources/theirs.yaml", &theirs)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let said = format!("{:?}", sidecar.said);
    assert!(said.contains("the setting `no` has no effect on `pubsub.in-memory`"), "{said}");
    let told = |path: &str| {
        let (status, body) = sidecar.json("POST", &format!("/v1.0/publish/{path}"), "1");
        (status, body["errorCode"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(told("messages/orders"), (204, String::new()));
    assert_eq!(told("messages/other"), (403, "ERR_PUBSUB_FORBIDDEN".to_owned()));
    assert_eq!(told("theirs/orders"), (404, "ERR_PUBSUB_NOT_FOUND".to_owned()));
    let components = sidecar.json("GET", "/v1.0/metadata", "").1["components"].clone();
    assert_eq!(
        (&components[0]["name"], &components[0]["type"]),
        (&json!("messages"), &json!("pubsub.in-memory"))
    );
}

#[test]
fn a_transaction_and_its_events_are_one() {
    let carts = component("carts", "state.colony", &OUTBOX, "");
    let messages = component("messages", "pubsub.colony", &[], "");
    let folder = folder(&[("resources/carts.yaml", &carts), ("resources/messages.yaml", &messages)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let upsert = json!({"operation": "upsert", "request": {"key": "ada", "value": {"apples": 3}, "contentType": "application/json"}});
    let body = json!({"operations": [upsert]}).to_string();
    assert_eq!(sidecar.json("POST", "/v1.0/state/carts/transaction", &body), (204, Value::Null));
    let refused =
        json!({"operations": [upsert, {"operation": "delete", "request": {"key": "bob", "etag": "7"}}]});
    assert_eq!(sidecar.json("POST", "/v1.0/state/carts/transaction", &refused.to_string()).0, 500);
    drop(sidecar);
    let events = kept(folder.path(), "messages/saved");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["data"], json!({"apples": 3}));
    assert!(events[0]["id"].as_str().is_some_and(|id| id.starts_with("outbox-")));
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    let refused_with = |carts: &str, messages: &str| {
        let folder = folder(&[("resources/carts.yaml", carts), ("resources/messages.yaml", messages)]);
        refused(folder.path(), "shop", &[])
    };
    let messages = component("messages", "pubsub.colony", &[], "");
    let redis = [OUTBOX[0], OUTBOX[1], ("redisHost", "127.0.0.1:1")];
    for kind in ["state.redis", "state.in-memory"] {
        let said = refused_with(&component("carts", kind, &redis, ""), &messages);
        assert!(said.contains("needs its state and its messages in one commit"), "{said}");
    }
    let odd = component("messages", "pubsub.colony", &[("consumerID", "{uuid}")], "");
    let said = refused_with("", &odd);
    assert!(said.contains("the component `messages` cannot be opened"), "{said}");
}
