//! Publishing, over both transports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::config::{Adapter, Block, Broker, Component, PubSub};
use api::proto::colony::v1::{GetTopicRequest, Topic};
use api::proto::dapr::runtime::v1::{
    BulkPublishRequest, BulkPublishRequestEntry, BulkPublishResponse, PublishEventRequest,
};
use api::pubsub::Subscribed;
use components::Reply;
use components::pubsub::{self, Delivery, Error, Features, Message, Options, Scope, Subscription};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{PATIENCE, World};

#[tokio::test]
async fn what_is_published_arrives_in_an_envelope() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders/new").await;
    let headers = [("content-type", "application/json"), ("traceparent", "00-a-b-01"), ("tracestate", "x=y")];
    let body = br#"{"id": 1.50}"#;
    let answer = world.ask_with("POST", "/v1.0/publish/pubsub/orders/new?metadata.a=b", &headers, body).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let delivery = one(&orders).await;
    assert_eq!(delivery.message.content_type, "application/cloudevents+json");
    assert_eq!(delivery.message.metadata, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    assert!(
        delivery
            .message
            .data
            .starts_with(br#"{"data":{"id": 1.50},"datacontenttype":"application/json","id":""#)
    );
    let event = event(&delivery);
    let fields =
        ["source", "type", "specversion", "topic", "pubsubname", "traceid", "traceparent", "tracestate"];
    let expected = json!([
        "shop",
        "com.dapr.event.sent",
        "1.0",
        "orders/new",
        "pubsub",
        "00-a-b-01",
        "00-a-b-01",
        "x=y"
    ]);
    assert_eq!(Value::from(fields.map(|field| event[field].clone()).to_vec()), expected);
    assert_eq!((event["id"].as_str().unwrap().len(), event["time"].as_str().unwrap().len()), (36, 20));

    let answer = world.ask("PUT", "/v1.0/publish/pubsub/orders%2Fnew?metadata.ttlInSeconds=5", "two").await;
    assert_eq!(answer.status, 204);
    let event = self::event(&one(&orders).await);
    assert_eq!((&event["data"], &event["datacontenttype"]), (&json!("two"), &json!("text/plain")));
    assert!(event["expiration"].is_string() && event["traceparent"] == "");
    world.end().await;
}

#[tokio::test]
async fn what_is_wished_otherwise_is_done_otherwise() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders").await;
    let raw = "/v1.0/publish/pubsub/orders?metadata.rawPayload=true&metadata.partitionKey=ada";
    assert_eq!(world.ask_with("POST", raw, &[("content-type", "a/b")], b"\0\xff").await.status, 204);
    let message = one(&orders).await.message;
    assert_eq!(
        (&message.data[..], message.content_type.as_str(), &message.key[..]),
        (&b"\0\xff"[..], "a/b", &b"ada"[..])
    );

    let named = "/v1.0/publish/pubsub/orders?metadata.cloudevent.id=7&metadata.CloudEvent.Type=order&metadata.cloudevent.source=s";
    assert_eq!(world.post(named, "x").await.status, 204);
    let own = event(&one(&orders).await);
    assert_eq!((&own["id"], &own["type"], &own["source"]), (&json!("7"), &json!("order"), &json!("s")));

    let ready = [("content-type", "application/cloudevents+json")];
    let body = br#"{"id":"mine","type":"t","topic":"x","data":[1]}"#;
    assert_eq!(world.ask_with("POST", "/v1.0/publish/pubsub/orders", &ready, body).await.status, 204);
    let kept = event(&one(&orders).await);
    assert_eq!((&kept["id"], &kept["type"], &kept["topic"]), (&json!("mine"), &json!("t"), &json!("orders")));
    assert_eq!((&kept["source"], &kept["data"]), (&json!("Dapr"), &json!([1])));
    world.end().await;
}

#[tokio::test]
async fn over_grpc_it_is_the_same() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders").await;
    let request = PublishEventRequest {
        data: "{\"a\":1}".into(),
        data_content_type: "application/json".to_owned(),
        metadata: BTreeMap::from([("cloudevent.id".to_owned(), "7".to_owned())]),
        ..to("pubsub", "orders")
    };
    let trace = HeaderMap::from_iter([("traceparent".parse().unwrap(), "00-a-b-01".parse().unwrap())]);
    world.call_with::<()>(PUBLISH, &request, trace).await.unwrap();
    let event = event(&one(&orders).await);
    assert_eq!((&event["data"], &event["id"]), (&json!({"a": 1}), &json!("7")));
    assert_eq!((&event["traceparent"], &event["source"]), (&json!("00-a-b-01"), &json!("shop")));
    let raw = BTreeMap::from([("rawPayload".to_owned(), "true".to_owned())]);
    let request = PublishEventRequest { data: "x".into(), metadata: raw, ..to("pubsub", "orders") };
    world.call::<()>(PUBLISH, &request).await.unwrap();
    assert_eq!(one(&orders).await.message.data, "x");
    world.end().await;
}

#[tokio::test]
async fn a_message_that_is_delayed_comes_when_it_is_due() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders").await;
    let publish = "/v1.0/publish/pubsub/orders";
    assert_eq!(world.post(&format!("{publish}?metadata.delay=1h"), "much later").await.status, 204);
    assert_eq!(
        world.post(&format!("{publish}?metadata.deliverAt=2020-01-01T00:00:00Z"), "past").await.status,
        204
    );
    assert_eq!(event(&one(&orders).await)["data"], "past");
    let topic = world.get("/v1.0/topics/pubsub/orders").await.json();
    assert_eq!((&topic["messages"], &topic["delayed"]), (&json!(1), &json!(1)));

    let before = SystemTime::now();
    let soon = BTreeMap::from([
        ("delay".to_owned(), "200ms".to_owned()),
        ("ttlInSeconds".to_owned(), "60".to_owned()),
    ]);
    let request = PublishEventRequest { data: "soon".into(), metadata: soon, ..to("pubsub", "orders") };
    world.call::<()>(PUBLISH, &request).await.unwrap();
    assert_eq!(event(&one(&orders).await)["data"], "soon");
    assert!(before.elapsed().unwrap() >= Duration::from_millis(200));

    let entries = json!([
        {"entryId": "1", "event": "later", "contentType": "text/plain", "metadata": {"delay": "1h"}},
        {"entryId": "2", "event": "at once", "contentType": "text/plain"},
    ]);
    assert_eq!(world.post("/v1.0/publish/bulk/pubsub/orders", &entries.to_string()).await.status, 204);
    assert_eq!(event(&one(&orders).await)["data"], "at once");
    let of = GetTopicRequest { pubsub: "pubsub".to_owned(), topic: "orders".to_owned() };
    let topic: Topic = world.call("colony.v1.Topics/Get", &of).await.unwrap();
    assert_eq!((topic.messages, topic.delayed), (3, 2));
    let partitions: u64 = topic.partitions.iter().map(|partition| partition.delayed).sum();
    assert_eq!(partitions, 2);
    world.end().await;
}

#[tokio::test]
async fn several_are_published_at_once() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders").await;
    let entries = json!([
        {"entryId": "1", "event": {"n": 1}, "contentType": "application/json"},
        {"entryId": "2", "event": "two", "contentType": "text/plain", "metadata": {"a": "own"}},
        {"entryId": "3", "event": "AP8=", "contentType": "application/octet-stream"},
    ]);
    for path in ["/v1.0/publish/bulk/pubsub/orders", "/v1.0-alpha1/publish/bulk/pubsub/orders"] {
        let answer = world.post(&format!("{path}?metadata.a=all&metadata.b=all"), &entries.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        let mut had = several(&orders, 3).await;
        had.sort_by_key(|delivery| event(delivery)["datacontenttype"].to_string());
        let data: Vec<Value> =
            had.iter()
                .map(event)
                .map(|event| {
                    if event["data"].is_null() { event["data_base64"].clone() } else { event["data"].clone() }
                })
                .collect();
        assert_eq!(data, [json!({"n": 1}), json!("AP8="), json!("two")]);
        let metadata = |place: usize| serde_json::to_value(&had[place].message.metadata).unwrap();
        assert_eq!((metadata(0), metadata(2)), (json!({}), json!({"a": "own", "b": "all"})));
    }
    assert_eq!(world.post("/v1.0/publish/bulk/pubsub/orders", "[]").await.status, 204);
    let raw = json!([{"entryId": "1", "event": "one", "contentType": "text/plain"}]).to_string();
    assert_eq!(
        world.post("/v1.0/publish/bulk/pubsub/orders?metadata.rawPayload=true", &raw).await.status,
        204
    );
    assert_eq!(one(&orders).await.message.data, "one");

    for method in
        ["dapr.proto.runtime.v1.Dapr/BulkPublishEvent", "dapr.proto.runtime.v1.Dapr/BulkPublishEventAlpha1"]
    {
        let answer: BulkPublishResponse = world.call(method, &entries_of(2, "text/plain")).await.unwrap();
        assert_eq!(answer.failed_entries, []);
        assert_eq!(several(&orders, 2).await.len(), 2);
    }
    world.end().await;
}

#[tokio::test]
async fn keys_are_taken_in_any_case() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders").await;
    // As the SDK for JavaScript writes it.
    let entries = json!([{"entryID": "1", "event": "one", "contentType": "text/plain", "metadata": {"RawPayload": "true"}}]);
    let answer = world.post("/v1.0-alpha1/publish/bulk/pubsub/orders", &entries.to_string()).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(event(&one(&orders).await)["data"], "one");
    let twice = json!([{"entryId": "1", "EntryID": "2", "event": "one", "contentType": "text/plain"}]);
    let answer = world.post("/v1.0/publish/bulk/pubsub/orders", &twice.to_string()).await;
    assert_eq!(answer.refused(), (400, "ERR_PUBSUB_EVENTS_SER".to_owned()));
    let items = r#"[{"Key":"ada","\u0056alue":{"Apples":3},"Other":1}]"#;
    assert_eq!(world.post("/v1.0/state/s", items).await.status, 204);
    assert_eq!(world.get("/v1.0/state/s/ada").await.body, r#"{"Apples":3}"#);
    world.end().await;
}

#[tokio::test]
async fn more_than_one_request_to_the_engine_takes_is_published() {
    let world = World::new().await;
    let orders = subscribed(&world, "pubsub", "orders").await;
    let answer: BulkPublishResponse =
        world.call("dapr.proto.runtime.v1.Dapr/BulkPublishEvent", &entries_of(10_001, "")).await.unwrap();
    assert_eq!(answer.failed_entries, []);
    assert_eq!(several(&orders, 10_001).await.len(), 10_001);
    world.end().await;
}

#[tokio::test]
async fn each_failure_of_publishing_has_its_code_and_status() {
    let world = World::with(|config| {
        config.foreign = vec!["theirs".to_owned()];
        let scope = Scope { allowed: Some(["orders".to_owned()].into()), ..Scope::default() };
        config.components = vec![
            pubsub("scoped", PubSub { scope, ..PubSub::default() }),
            pubsub(
                "broken",
                PubSub { broker: Broker::Outside(Adapter(Arc::new(Broken))), ..PubSub::default() },
            ),
        ];
    })
    .await;
    let json = ("content-type", "application/json");
    let event = ("content-type", "application/cloudevents+json");
    let bulk =
        |entry: &str| format!(r#"[{{"entryId":"1","event":1,"contentType":"application/json"}},{entry}]"#);
    for (path, header, body, status, code) in [
        ("theirs/orders", json, "1".to_owned(), 404, "ERR_PUBSUB_NOT_FOUND"),
        ("bulk/theirs/orders", json, "[]".to_owned(), 404, "ERR_PUBSUB_NOT_FOUND"),
        ("p", json, "1".to_owned(), 404, "ERR_DIRECT_INVOKE"),
        ("scoped/secret", json, "1".to_owned(), 403, "ERR_PUBSUB_FORBIDDEN"),
        ("bulk/scoped/secret", json, "[]".to_owned(), 403, "ERR_PUBSUB_FORBIDDEN"),
        ("p/orders?metadata.rawPayload=yes", json, "1".to_owned(), 400, "ERR_PUBSUB_REQUEST_METADATA"),
        ("p/orders?metadata.delay=soon", json, "1".to_owned(), 400, "ERR_PUBSUB_REQUEST_METADATA"),
        ("p/orders?metadata.deliverAt=tomorrow", json, "1".to_owned(), 400, "ERR_PUBSUB_REQUEST_METADATA"),
        ("broken/orders?metadata.delay=1s", json, "1".to_owned(), 400, "ERR_PUBSUB_REQUEST_METADATA"),
        (
            "bulk/broken/orders",
            json,
            bulk(r#"{"entryId":"2","event":"1","contentType":"text/plain","metadata":{"delay":"1s"}}"#),
            400,
            "ERR_PUBSUB_REQUEST_METADATA",
        ),
        ("p/orders", event, "[1]".to_owned(), 500, "ERR_PUBSUB_CLOUD_EVENTS_SER"),
        ("p/orders", json, "1".repeat((4 << 20) + 1), 500, "ERR_PUBSUB_PUBLISH_MESSAGE"),
        ("bulk/p/orders", json, "1".repeat((4 << 20) + 1), 400, "ERR_PUBSUB_EVENTS_SER"),
        ("broken/orders", json, "1".to_owned(), 500, "ERR_PUBSUB_PUBLISH_MESSAGE"),
        (
            "bulk/broken/none",
            json,
            bulk(r#"{"entryId":"2","event":1,"contentType":"application/json"}"#),
            500,
            "ERR_PUBSUB_PUBLISH_MESSAGE",
        ),
        ("bulk/p/orders", json, "{}".to_owned(), 400, "ERR_PUBSUB_EVENTS_SER"),
        (
            "bulk/p/orders",
            json,
            bulk(r#"{"entryId":"1","event":1,"contentType":"application/json"}"#),
            400,
            "ERR_PUBSUB_EVENTS_SER",
        ),
        (
            "bulk/p/orders",
            json,
            bulk(r#"{"event":1,"contentType":"application/json"}"#),
            400,
            "ERR_PUBSUB_EVENTS_SER",
        ),
        (
            "bulk/p/orders",
            json,
            bulk(r#"{"entryId":"2","event":1,"contentType":"text/plain"}"#),
            400,
            "ERR_PUBSUB_EVENTS_SER",
        ),
        (
            "bulk/p/orders",
            json,
            bulk(r#"{"entryId":"2","event":"?","contentType":"application/octet-stream"}"#),
            400,
            "ERR_PUBSUB_EVENTS_SER",
        ),
        ("bulk/p/orders", json, bulk(r#"{"entryId":"2","event":1}"#), 400, "ERR_PUBSUB_EVENTS_SER"),
    ] {
        let answer =
            world.ask_with("POST", &format!("/v1.0/publish/{path}"), &[header], body.as_bytes()).await;
        assert_eq!(answer.refused(), (status, code.to_owned()), "{path} {answer:?}");
    }
    let answer = world.post("/v1.0/publish/theirs/orders", "").await;
    assert_eq!(answer.json()["message"], "pubsub theirs is not found");
    let answer = world.post("/v1.0/publish/scoped/secret", "").await;
    assert_eq!(answer.json()["message"], "topic secret is not allowed for app id shop");
    let answer = world.post("/v1.0/publish/broken/orders", "").await;
    assert_eq!(
        answer.json()["message"],
        "error when publishing to topic orders in pubsub broken: it is away"
    );
    for (pubsub, topic, code) in [
        ("", "orders", 3),
        ("theirs", "orders", 3),
        ("p", "", 3),
        ("scoped", "secret", 7),
        ("broken", "orders", 13),
    ] {
        let refused = world.call::<()>(PUBLISH, &to(pubsub, topic)).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.details.is_some());
    }
    world.end().await;
}

#[tokio::test]
async fn of_several_it_is_told_which_were_not_published() {
    let world = World::with(|config| {
        let broker = Broker::Outside(Adapter(Arc::new(Broken)));
        config.components = vec![pubsub("broken", PubSub { broker, ..PubSub::default() })];
    })
    .await;
    let entries = json!([
        {"entryId": "1", "event": "1", "contentType": "text/plain"},
        {"entryId": "2", "event": "2", "contentType": "text/plain"},
    ]);
    let answer = world.post("/v1.0/publish/bulk/broken/orders", &entries.to_string()).await;
    let told = json!({"failedEntries": [{"entryId": "2", "error": "too odd"}], "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE"});
    assert_eq!((answer.status, answer.json()), (500, told));
    assert_eq!(answer.header("metadata.responsedata"), Some(answer.body.as_str()));
    let request = BulkPublishRequest { pubsub_name: "broken".to_owned(), ..entries_of(2, "text/plain") };
    let answer: BulkPublishResponse =
        world.call("dapr.proto.runtime.v1.Dapr/BulkPublishEvent", &request).await.unwrap();
    let failed: Vec<_> =
        answer.failed_entries.iter().map(|one| (one.entry_id.as_str(), one.error.as_str())).collect();
    assert_eq!(failed, [("1", "too odd")]);
    world.end().await;
}

#[tokio::test]
async fn a_broker_that_is_declared_nowhere_is_the_engines_and_that_is_said() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(world.post("/v1.0/publish/messages/orders", "1").await.status, 204);
    }
    let said = world.said.lock().unwrap().clone();
    assert_eq!(
        said,
        ["pubsub \"messages\" is declared in no file of the resources: it is kept in the folder of the data"]
    );
    let components = world.get("/v1.0/metadata").await.json()["components"].clone();
    assert_eq!(components[0]["type"], "pubsub.colony");
    world.end().await;
}

#[tokio::test]
async fn a_broker_in_memory_is_another() {
    let world = World::with(|config| {
        let memory = PubSub { broker: Broker::Memory, group: Some("g".to_owned()), ..PubSub::default() };
        config.components = vec![pubsub("memory", memory)];
    })
    .await;
    assert_eq!(world.post("/v1.0/publish/memory/orders", "1").await.status, 204);
    let consumer = subscribed(&world, "memory", "orders").await;
    assert_eq!(event(&one(&consumer).await)["data"], "1");
    assert_eq!(world.api.pubsub("memory").unwrap().group(), "g");
    assert_eq!(world.api.pubsub("other").unwrap().group(), "shop");
    world.end().await;
}

/// A broker that takes nothing, or of two one.
pub struct Broken;

impl pubsub::Broker for Broken {
    fn features(&self) -> Features {
        Features::default()
    }

    fn publish<'a>(&'a self, _: &'a str, _: Message) -> Reply<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Err(Error::Unavailable("it is away".to_owned()))))
    }

    fn publish_many<'a>(
        &'a self,
        topic: &'a str,
        _: Vec<Message>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        let some = Ok(vec![Ok(()), Err(Error::Invalid("too odd".to_owned()))]);
        let none = Err(Error::Unavailable("it is away".to_owned()));
        Box::pin(std::future::ready(if topic == "none" { none } else { some }))
    }

    fn subscribe<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Options,
    ) -> Reply<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(std::future::ready(Err(Error::Unavailable("it is away".to_owned()))))
    }
}

/// A broker that is declared.
pub fn pubsub(name: &str, declared: PubSub) -> Component {
    let (kind, version) = ("pubsub.colony".to_owned(), "v1".to_owned());
    Component { name: name.to_owned(), kind, version, block: Block::PubSub(declared) }
}

pub async fn subscribed(world: &World, pubsub: &str, topic: &str) -> Subscribed {
    world.api.pubsub(pubsub).unwrap().subscribe(topic, Options::default()).await.unwrap()
}

pub async fn one(consumer: &Subscribed) -> Delivery {
    several(consumer, 1).await.remove(0)
}

/// So many messages, which are acknowledged.
pub async fn several(consumer: &Subscribed, count: usize) -> Vec<Delivery> {
    let mut had = Vec::new();
    while had.len() < count {
        let messages =
            timeout(PATIENCE, consumer.next(count - had.len())).await.expect("something comes").unwrap();
        let receipts: Vec<_> = messages.iter().map(|delivery| delivery.receipt).collect();
        consumer.acknowledge(&receipts).await.unwrap();
        had.extend(messages);
    }
    had
}

pub fn event(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.message.data).unwrap()
}

fn to(pubsub: &str, topic: &str) -> PublishEventRequest {
    PublishEventRequest {
        pubsub_name: pubsub.to_owned(),
        topic: topic.to_owned(),
        ..PublishEventRequest::default()
    }
}

fn entries_of(count: usize, content_type: &str) -> BulkPublishRequest {
    let entry = |n: usize| BulkPublishRequestEntry {
        entry_id: n.to_string(),
        event: n.to_string().into(),
        content_type: content_type.to_owned(),
        ..BulkPublishRequestEntry::default()
    };
    let (pubsub_name, topic) = ("pubsub".to_owned(), "orders".to_owned());
    BulkPublishRequest {
        pubsub_name,
        topic,
        entries: (0..count).map(entry).collect(),
        metadata: BTreeMap::new(),
    }
}

const PUBLISH: &str = "dapr.proto.runtime.v1.Dapr/PublishEvent";
