//! Queues over HTTP.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::{App, said};
use crate::world::{Answer, PATIENCE, World};

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

/// What the engine does by itself takes a moment.
async fn until_counts(world: &World, counts: Value) {
    let told = async {
        while world.get(QUEUE).await.json()["counts"] != counts {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("the counts never are {counts}"));
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
        ("receive", r#"{"lease":"0s"}"#, "ERR_QUEUE_INVALID"),
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

#[tokio::test]
async fn a_queue_has_settings_and_counts() {
    let world = World::new().await;
    let fresh = world.get(QUEUE).await.json();
    assert_eq!((&fresh["defined"], &fresh["settings"]["lease"]), (&json!(false), &json!("30s")));
    let settings = json!({
        "attemptsMax": 2, "lease": "1m", "backoff": "0s", "keyConcurrency": 1,
        "rate": { "count": 100, "per": "1s", "burst": 100 },
    });
    assert_eq!(world.ask("PUT", QUEUE, &settings.to_string()).await.status, 204);
    let items = json!([{ "data": 1, "key": "a" }, { "data": 2, "key": "a" }, { "delay": "1h" }]);
    send(&world, items).await;
    assert_eq!(receive(&world, json!({ "max": 10 })).await.len(), 1);
    let told = world.get(QUEUE).await.json();
    assert_eq!(told["counts"], json!({ "ready": 0, "delayed": 1, "blocked": 1, "leased": 1, "dead": 0 }));
    assert_eq!(told["settings"]["rate"], json!({ "count": 100, "per": "1s", "burst": 100 }));
    assert_eq!(
        (&told["settings"]["attemptsMax"], &told["settings"]["dedupWindow"]),
        (&json!(2), &json!("5m"))
    );
    world.post("/v1.0/queues/other/send", "1").await;
    let queues = world.get("/v1.0/queues").await.json();
    let names: Vec<_> = queues["queues"].as_array().unwrap().iter().map(|queue| &queue["name"]).collect();
    assert_eq!(names, ["other", "to-pack"]);
    assert_eq!(world.get("/v1.0/queues?after=other&max=1").await.json()["queues"][0]["name"], "to-pack");
    for (path, body) in [
        ("", r#"{"attempts":2}"#),
        ("", r#"{"lease":"13h"}"#),
        ("", r#"{"rate":{"count":0,"per":"1s"}}"#),
        ("", r#"{"spread":true,"concurrency":1}"#),
    ] {
        assert_eq!(world.ask("PUT", &format!("{QUEUE}{path}"), body).await.status, 400, "{body}");
    }
    for odd in ["max=0", "after=a%00b"] {
        let refused = world.get(&format!("/v1.0/queues?{odd}")).await;
        assert_eq!(refused.refused(), (400, "ERR_QUEUE_INVALID".to_owned()), "{odd}");
    }
}

#[tokio::test]
async fn items_are_looked_at_cancelled_purged_and_redriven() {
    let world = World::new().await;
    send(&world, json!([{ "data": "bad", "headers": { "a": "b" } }, { "data": "good" }, { "delay": "1h" }]))
        .await;
    let bad = &receive(&world, json!({ "consumer": "ada" })).await[0];
    let told = world.get(&format!("{QUEUE}/items/{}", bad["id"].as_str().unwrap())).await.json();
    assert_eq!((&told["state"], &told["lease"]["consumer"]), (&json!("leased"), &json!("ada")), "{told}");
    let dead = json!({ "receipts": [receipt(bad)], "cause": "no such order", "dead": true });
    assert_eq!(settle(&world, "nack", dead).await.status, 200);
    let letters = world.get(&format!("{QUEUE}/items?state=dead")).await.json();
    let letter = &letters["items"][0];
    assert_eq!((&letter["data"], &letter["headers"]), (&json!("bad"), &json!({ "a": "b" })));
    assert_eq!(
        (&letter["dead"]["reason"], &letter["dead"]["cause"]),
        (&json!("nacked"), &json!("no such order"))
    );
    assert_eq!(letter["failures"][0]["consumer"], "ada");
    let redrive = |body: Value| {
        let world = &world;
        async move { world.post(&format!("{QUEUE}/redrive"), &body.to_string()).await.json() }
    };
    let dry = redrive(json!({ "dryRun": true, "cause": "order" })).await;
    assert_eq!(dry, json!({ "matching": 1, "first": [bad["id"]], "more": false }));
    assert_eq!(redrive(json!({ "reason": "expired" })).await["matching"], 0);
    assert_eq!(redrive(json!({ "ids": [bad["id"]] })).await["matching"], 1);
    assert_eq!(receive(&world, json!({ "max": 10, "wait": "10s" })).await.len(), 2);
    let delayed = world.get(&format!("{QUEUE}/items?state=delayed")).await.json();
    let item = format!("{QUEUE}/items/{}", delayed["items"][0]["id"].as_str().unwrap());
    assert!(delayed["items"][0]["ready"].as_str().unwrap() > delayed["items"][0]["sent"].as_str().unwrap());
    assert_eq!(world.ask("DELETE", &item, "").await.status, 204);
    assert_eq!(world.ask("DELETE", &item, "").await.refused(), (404, "ERR_QUEUE_NOT_FOUND".to_owned()));
    assert_eq!(world.get(&item).await.refused(), (404, "ERR_QUEUE_NOT_FOUND".to_owned()));
    let held = format!("{QUEUE}/items/{}", bad["id"].as_str().unwrap());
    assert_eq!(world.ask("DELETE", &held, "").await.refused(), (409, "ERR_QUEUE_CONFLICT".to_owned()));
    send(&world, json!([{ "data": 1 }, { "data": 2 }])).await;
    assert_eq!(world.post(&format!("{QUEUE}/purge"), r#"{"waiting":true}"#).await.status, 204);
    until_counts(&world, json!({ "ready": 0, "delayed": 0, "blocked": 0, "leased": 2, "dead": 0 })).await;
    for (path, body) in [
        ("purge", ""),
        ("redrive", r#"{"reason":"bad luck"}"#),
        ("redrive", r#"{"ids":["x"]}"#),
        ("redrive", r#"{"from":"today"}"#),
    ] {
        let refused = world.post(&format!("{QUEUE}/{path}"), body).await;
        assert_eq!(refused.refused(), (400, "ERR_QUEUE_INVALID".to_owned()), "{path} {body}");
    }
    for path in ["items?state=odd", "items?max=101", "items/x"] {
        let refused = world.get(&format!("{QUEUE}/{path}")).await;
        assert_eq!(refused.refused(), (400, "ERR_QUEUE_INVALID".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_is_paused_hands_nothing_out() {
    let world = World::new().await;
    send(&world, json!([{ "data": 1 }])).await;
    assert_eq!(world.post(&format!("{QUEUE}/pause"), "").await.status, 204);
    assert_eq!(world.get(QUEUE).await.json()["paused"], true);
    let waiting = receive(&world, json!({ "wait": "1m" }));
    let resuming = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.post(&format!("{QUEUE}/resume"), "").await
    };
    let (items, resumed) = tokio::join!(waiting, resuming);
    assert_eq!((items.len(), resumed.status), (1, 204));
}

#[tokio::test]
async fn what_is_sent_under_a_key_is_sent_once() {
    let world = World::new().await;
    let path = format!("{QUEUE}/send");
    let once = |key: &'static str, body: &'static [u8]| {
        let (world, path) = (&world, &path);
        async move { world.ask_with("POST", path, &[("idempotency-key", key)], body).await }
    };
    let first = once("order 1", b"1").await;
    let again = once("\"order 1\"", b"1").await;
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!(world.get(QUEUE).await.json()["counts"]["ready"], 1);
    assert_eq!(once("order 1", b"2").await.refused(), (409, "ERR_QUEUE_CONFLICT".to_owned()));
    assert_eq!(once("", b"2").await.refused(), (400, "ERR_IDEMPOTENCY_KEY".to_owned()));
    let receive = format!("{QUEUE}/receive");
    let refused = world.ask_with("POST", &receive, &[("idempotency-key", "a")], b"").await;
    assert_eq!(refused.refused(), (400, "ERR_IDEMPOTENCY_KEY".to_owned()));
}

#[tokio::test]
async fn an_application_is_pushed_items_until_it_has_done_them() {
    let (seen, mut seeing) = tokio::sync::mpsc::unbounded_channel();
    let app = App::new(move |request: http::Request<hyper::body::Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let header =
                |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            let (attempt, key) = (header("colony-attempt"), header("colony-key"));
            let said_of = format!("{}{key} {}", head.uri.path(), header("metadata.trace"));
            seen.send((said_of, attempt.clone(), body.clone())).unwrap();
            match (&body[..], attempt.as_str()) {
                (b"\"never\"", _) => said(200, r#"{"status":"DROP"}"#),
                (_, "1") => said(500, "out of paper"),
                _ => said(200, ""),
            }
        }
    })
    .await;
    let port = app.port;
    let world = World::with(|config| config.app.port = Some(port)).await;
    assert_eq!(world.ask("PUT", QUEUE, r#"{"backoff":"0s"}"#).await.status, 204);
    let push = format!("{QUEUE}/push");
    assert_eq!(world.get(&push).await.refused(), (404, "ERR_QUEUE_NOT_FOUND".to_owned()));
    let set = world.ask("PUT", &push, r#"{"route":"/pack","concurrency":2,"lease":"1m"}"#).await;
    assert_eq!(set.status, 204, "{set:?}");
    let told = world.get(&push).await.json();
    assert_eq!(told, json!({ "route": "/pack", "concurrency": 2, "lease": "1m", "timeout": "1m" }));
    send(&world, json!([{ "data": { "order": 1 }, "headers": { "trace": "abc" } }])).await;
    let mut next = async || {
        let (said_of, attempt, body) = timeout(PATIENCE, seeing.recv()).await.unwrap().unwrap();
        (format!("{said_of} {attempt}"), body)
    };
    assert_eq!(next().await, ("/pack abc 1".to_owned(), "{\"order\":1}".into()));
    assert_eq!(next().await, ("/pack abc 2".to_owned(), "{\"order\":1}".into()));
    // Keys are told apart, also one that looks as another is encoded.
    for (key, told) in [("é", "%C3%A9"), ("%C3%A9", "%25C3%25A9")] {
        send(&world, json!([{ "data": 2, "key": key }])).await;
        assert_eq!(next().await.0, format!("/pack{told}  1"));
        assert_eq!(next().await.0, format!("/pack{told}  2"));
    }
    send(&world, json!([{ "data": "never" }])).await;
    assert_eq!(next().await.1, "\"never\"");
    until_counts(&world, json!({ "ready": 0, "delayed": 0, "blocked": 0, "leased": 0, "dead": 1 })).await;
    assert_eq!(world.ask("DELETE", &push, "").await.status, 204);
    assert_eq!(world.get(&push).await.status, 404);
    for body in [
        r"{}",
        r#"{"route":"pack"}"#,
        r#"{"route":"/p","concurrency":0}"#,
        r#"{"route":"/p","timeout":"0s"}"#,
    ] {
        assert_eq!(world.ask("PUT", &push, body).await.status, 400, "{body}");
    }
    let alone = World::new().await;
    let refused = alone.ask("PUT", &push, r#"{"route":"/pack"}"#).await;
    assert_eq!(refused.refused(), (400, "ERR_QUEUE_NO_APP".to_owned()));
}
