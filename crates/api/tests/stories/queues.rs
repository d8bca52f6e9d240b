//! Queues over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Answer, World};

const QUEUE: &str = "/v1.0/queues/to-pack";

async fn send(world: &World, items: Value) -> Answer {
    world.post(&format!("{QUEUE}/send/bulk"), &items.to_string()).await
}

async fn receive(world: &World, asked: Value) -> Vec<Value> {
    let answer = world.post(&format!("{QUEUE}/receive"), &asked.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

async fn settle(world: &World, verb: &str, body: Value) -> Answer {
    world.post(&format!("{QUEUE}/{verb}"), &body.to_string()).await
}

fn receipt(item: &Value) -> &str {
    item["receipt"].as_str().unwrap()
}

#[tokio::test]
async fn an_item_is_sent_worked_on_and_done() {
    let world = World::new().await;
    let path = format!("{QUEUE}/send?priority=7&key=ada&metadata.trace=abc");
    let sent =
        world.ask_with("POST", &path, &[("content-type", "application/json")], b"{\"order\": 1}").await;
    assert_eq!((sent.status, &sent.json()["duplicate"]), (200, &json!(false)), "{sent:?}");
    let items = receive(&world, json!({ "max": 10, "consumer": "packer", "lease": "1m" })).await;
    let item = &items[0];
    assert_eq!(items.len(), 1);
    assert_eq!((&item["id"], &item["attempt"]), (&sent.json()["id"], &json!(1)));
    assert_eq!((&item["data"], &item["contentType"]), (&json!({ "order": 1 }), &json!("application/json")));
    assert_eq!(
        (&item["key"], &item["priority"], &item["headers"]),
        (&json!("ada"), &json!(7), &json!({ "trace": "abc" }))
    );
    assert!(item["until"].as_str().unwrap() > item["sent"].as_str().unwrap(), "{item}");
    assert!(receive(&world, json!({})).await.is_empty(), "it is with somebody");
    let done = settle(&world, "ack", json!({ "receipts": [receipt(item)] })).await;
    assert_eq!((done.status, done.json()), (200, json!({ "fenced": [] })));
    let again = settle(&world, "ack", json!({ "receipts": [receipt(item)] })).await;
    assert_eq!(again.refused(), (409, "ERR_QUEUE_FENCED".to_owned()));
    assert_eq!(again.json()["details"][0]["resource_name"], "to-pack");
}

#[tokio::test]
async fn payloads_of_queues_are_any_bytes() {
    let world = World::new().await;
    let sent = send(
        &world,
        json!([
            { "data": [1, 2] },
            { "data": "text", "contentType": "text/plain" },
            { "dataBase64": "/wA=", "headers": { "a": "b" } },
            {},
        ]),
    )
    .await;
    assert_eq!(sent.json()["items"].as_array().map(Vec::len), Some(4), "{sent:?}");
    let plain = world.ask_with("POST", &format!("{QUEUE}/send"), &[], b"no { json").await;
    assert_eq!(plain.status, 200, "{plain:?}");
    let items = receive(&world, json!({ "max": 10 })).await;
    let told: Vec<_> = items.iter().map(|item| (&item["data"], &item["dataBase64"])).collect();
    assert_eq!(
        told,
        [
            (&json!([1, 2]), &Value::Null),
            (&json!("text"), &Value::Null),
            (&Value::Null, &json!("/wA=")),
            (&Value::Null, &Value::Null),
            (&json!("no { json"), &Value::Null),
        ]
    );
    assert_eq!(items[2]["headers"], json!({ "a": "b" }));
}

#[tokio::test]
async fn who_waits_for_items_has_them_as_they_come() {
    let world = World::new().await;
    let waiting = receive(&world, json!({ "wait": "1m" }));
    let sending = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        send(&world, json!([{ "data": 1 }])).await
    };
    let (items, sent) = tokio::join!(waiting, sending);
    assert_eq!((items.len(), sent.status), (1, 200));
    assert!(receive(&world, json!({ "wait": "10ms" })).await.is_empty());
}

#[tokio::test]
async fn work_is_extended_given_back_and_tried_again() {
    let world = World::new().await;
    send(&world, json!([{ "data": 1, "dedupId": "order 1" }])).await;
    let twice = send(&world, json!([{ "data": 1, "dedupId": "order 1" }])).await;
    assert_eq!(twice.json()["items"][0]["duplicate"], true);
    let first = &receive(&world, json!({})).await[0];
    let longer = settle(&world, "extend", json!({ "receipts": [receipt(first)], "lease": "10m" })).await;
    assert_eq!(longer.status, 200, "{longer:?}");
    assert_eq!(settle(&world, "release", json!({ "receipts": [receipt(first)] })).await.status, 200);
    let second = &receive(&world, json!({})).await[0];
    assert_eq!(second["attempt"], 1, "what was not begun is no attempt");
    let failed = json!({ "receipts": [receipt(second), receipt(first)], "cause": "no paper", "delay": "0s" });
    let failed = settle(&world, "nack", failed).await;
    assert_eq!(failed.json()["fenced"], json!([receipt(first)]), "{failed:?}");
    let third = &receive(&world, json!({ "wait": "10s" })).await[0];
    assert_eq!(third["attempt"], 2);
}

#[tokio::test]
async fn what_queues_do_not_take_is_refused() {
    let world = World::new().await;
    for (path, body, code) in [
        ("send/bulk", "{", "ERR_MALFORMED_REQUEST"),
        ("send/bulk", "[]", "ERR_QUEUE_INVALID"),
        ("send/bulk", r#"[{"date":1}]"#, "ERR_MALFORMED_REQUEST"),
        ("send/bulk", r#"[{"data":1,"dataBase64":"/wA="}]"#, "ERR_QUEUE_INVALID"),
        ("send/bulk", r#"[{"priority":10}]"#, "ERR_QUEUE_INVALID"),
        ("send/bulk", r#"[{"delay":"5"}]"#, "ERR_MALFORMED_REQUEST"),
        ("send/bulk", r#"[{"at":"tomorrow"}]"#, "ERR_QUEUE_INVALID"),
        ("send?priority=high", "1", "ERR_QUEUE_INVALID"),
        ("send?delay=5", "1", "ERR_QUEUE_INVALID"),
        ("receive", "[]", "ERR_MALFORMED_REQUEST"),
        ("receive", r#"{"max":0}"#, "ERR_QUEUE_INVALID"),
        ("receive", r#"{"max":1001}"#, "ERR_QUEUE_INVALID"),
        ("receive", r#"{"wait":"1h"}"#, "ERR_QUEUE_INVALID"),
        ("receive", r#"{"lease":"13h"}"#, "ERR_QUEUE_INVALID"),
        ("ack", "{}", "ERR_MALFORMED_REQUEST"),
        ("ack", r#"{"receipts":[]}"#, "ERR_QUEUE_INVALID"),
        ("ack", r#"{"receipts":["1"]}"#, "ERR_QUEUE_INVALID"),
        ("release", r#"{"receipts":["99999-1-1"]}"#, "ERR_QUEUE_INVALID"),
        ("nack", r#"{"receipts":["0-1-1"],"delay":"-1s"}"#, "ERR_MALFORMED_REQUEST"),
        ("extend", r#"{"receipts":["0-1-1"]}"#, "ERR_MALFORMED_REQUEST"),
    ] {
        let refused = world.post(&format!("{QUEUE}/{path}"), body).await;
        assert_eq!(refused.refused(), (400, code.to_owned()), "{path} {body}");
    }
    let long = format!("/v1.0/queues/{}/send", "q".repeat(256));
    assert_eq!(world.post(&long, "1").await.refused(), (400, "ERR_QUEUE_INVALID".to_owned()));
    assert_eq!(world.get(&format!("{QUEUE}/send")).await.refused(), (404, "ERR_DIRECT_INVOKE".to_owned()));
}
