//! Writes that come again under the same idempotency key.

use std::ops::Range;

use api::proto::colony::v1::{SeekRequest, seek_request};
use api::proto::dapr::common::v1::StateItem;
use api::proto::dapr::runtime::v1::{
    BulkPublishRequest, BulkPublishRequestEntry, BulkPublishResponse, DeleteJobRequest,
    DeleteJobsByPrefixRequest, InvokeBindingRequest, Job, PublishEventRequest, SaveStateRequest,
    ScheduleJobRequest, TryLockRequest, TryLockResponse, UnlockRequest, UnlockResponse,
};
use engine::ConsumerConfig;
use engine::blocks::topic::{Kept, Place};
use http::HeaderMap;

use crate::world::{Answer, World};

async fn keyed(world: &World, method: &str, path: &str, key: &str, body: &str) -> Answer {
    world.ask_with(method, path, &[("idempotency-key", key)], body.as_bytes()).await
}

fn metadata(key: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("idempotency-key"),
        http::HeaderValue::from_static(key),
    )])
}

#[tokio::test]
async fn state_is_written_once_under_a_key() {
    let world = World::new().await;
    let (store, item) = ("/v1.0/state/s", "/v1.0/state/s/k");
    assert_eq!(keyed(&world, "POST", store, "a", r#"[{"key":"k","value":1}]"#).await.status, 204);
    assert_eq!(world.post(store, r#"[{"key":"k","value":2}]"#).await.status, 204);
    assert_eq!(keyed(&world, "POST", store, "a", r#"[{"key":"k","value":1}]"#).await.status, 204);
    assert_eq!(world.get(item).await.body, "2", "it was done before");
    let other = keyed(&world, "POST", store, "a", r#"[{"key":"k","value":3}]"#).await;
    assert_eq!(other.refused(), (409, "ERR_STATE_SAVE".to_owned()));
    let why = other.json()["message"].to_string();
    assert!(why.contains("was used for another request") && !why.contains("etag"), "{why}");
    assert_eq!(keyed(&world, "DELETE", item, "b", "").await.status, 204);
    let insert = r#"[{"key":"k","value":4,"options":{"concurrency":"first-write"}}]"#;
    for _ in 0..2 {
        assert_eq!(keyed(&world, "POST", store, "c", insert).await.status, 204, "as the first time");
    }
    assert_eq!(keyed(&world, "DELETE", item, "b", "").await.status, 204);
    assert_eq!(world.get(item).await.body, "4");
    let transaction = r#"{"operations":[{"operation":"upsert","request":{"key":"k","value":5}}]}"#;
    let path = format!("{store}/transaction");
    assert_eq!(keyed(&world, "POST", &path, "d", transaction).await.status, 204);
    assert_eq!(world.post(store, r#"[{"key":"k","value":6}]"#).await.status, 204);
    assert_eq!(keyed(&world, "POST", &path, "d", transaction).await.status, 204);
    assert_eq!(world.get(item).await.body, "6");
    let states = vec![StateItem { key: "k".to_owned(), value: "7".into(), ..StateItem::default() }];
    let save = SaveStateRequest { store_name: "s".to_owned(), states };
    let saved = || world.call_with::<()>("dapr.proto.runtime.v1.Dapr/SaveState", &save, metadata("e"));
    saved().await.unwrap();
    assert_eq!(world.post(store, r#"[{"key":"k","value":8}]"#).await.status, 204);
    saved().await.unwrap();
    assert_eq!(world.get(item).await.body, "8");
}

#[tokio::test]
async fn a_message_is_published_once_under_a_key() {
    let world = World::new().await;
    let path = "/v1.0/publish/p/orders";
    for _ in 0..3 {
        assert_eq!(keyed(&world, "POST", path, "a", r#"{"order":1}"#).await.status, 204);
    }
    let publish = PublishEventRequest {
        pubsub_name: "p".to_owned(),
        topic: "orders".to_owned(),
        data: "1".into(),
        ..PublishEventRequest::default()
    };
    for _ in 0..3 {
        let method = "dapr.proto.runtime.v1.Dapr/PublishEvent";
        world.call_with::<()>(method, &publish, metadata("b")).await.unwrap();
    }
    let topic = world.host.disk().topic("p/orders").unwrap();
    let mut kept = 0;
    for partition in 0..topic.partitions() {
        kept += topic.read(partition, 0, 10).await.unwrap().len();
    }
    assert_eq!(kept, 2);
    let other = keyed(&world, "POST", path, "a", r#"{"order":2}"#).await;
    assert_eq!(other.refused(), (409, "ERR_PUBSUB_PUBLISH_MESSAGE".to_owned()));
}

#[tokio::test]
async fn a_key_at_another_place_is_another_key() {
    let world = World::new().await;
    let create = world.ask("PUT", "/v1.0/streams/facts", "{}").await;
    assert!(create.status < 300, "{create:?}");
    // There are more of them than shards, so some lie in the same, by whichever hash.
    for n in 0..40 {
        let paths = [
            format!("/v1.0/queues/q{n}/send"),
            format!("/v1.0/publish/p/t{n}"),
            format!("/v1.0/streams/facts/s{n}"),
        ];
        let event = r#"[{"type":"placed","data":1}]"#;
        for (path, body) in paths.iter().zip(["1", "1", event]) {
            for _ in 0..2 {
                let answer = keyed(&world, "POST", path, "order-1", body).await;
                assert!(answer.status < 300, "{path}: {answer:?}");
            }
        }
        let again = keyed(&world, "POST", &paths[0], "order-1", "2").await;
        assert_eq!(again.refused(), (409, "ERR_QUEUE_CONFLICT".to_owned()));
    }
    world.end().await;
}

#[tokio::test]
async fn a_job_is_scheduled_and_taken_away_once_under_a_key() {
    let world = World::new().await;
    let (path, job) = ("/v1.0/jobs/remind", r#"{"dueTime":"1h"}"#);
    for _ in 0..2 {
        assert_eq!(keyed(&world, "POST", path, "a", job).await.status, 204, "as the first time");
    }
    assert_eq!(world.post(path, job).await.status, 409);
    let other = keyed(&world, "POST", path, "a", r#"{"dueTime":"2h"}"#).await;
    assert_eq!(other.refused(), (409, "DAPR_SCHEDULER_SCHEDULE_JOB".to_owned()));
    assert_eq!(keyed(&world, "DELETE", path, "b", "").await.status, 204);
    assert_eq!(world.post(path, job).await.status, 204);
    assert_eq!(keyed(&world, "DELETE", path, "b", "").await.status, 204);
    assert_eq!(world.get(path).await.status, 200, "it was taken away before");
    let other = keyed(&world, "DELETE", "/v1.0/jobs/other", "b", "").await;
    assert_eq!(other.refused(), (409, "DAPR_SCHEDULER_DELETE_JOB".to_owned()));

    let of = |name: &str| {
        let job = Job { name: name.to_owned(), due_time: Some("1h".to_owned()), ..Job::default() };
        ScheduleJobRequest { job: Some(job), overwrite: false }
    };
    let method = |name: &str| format!("dapr.proto.runtime.v1.Dapr/{name}");
    for _ in 0..2 {
        world.call_with::<()>(&method("ScheduleJob"), &of("call"), metadata("c")).await.unwrap();
    }
    let other = world.call_with::<()>(&method("ScheduleJob"), &of("write"), metadata("c")).await;
    assert_eq!(other.unwrap_err().code, 10);
    let delete = DeleteJobRequest { name: "call".to_owned() };
    world.call_with::<()>(&method("DeleteJob"), &delete, metadata("d")).await.unwrap();
    world.call::<()>(&method("ScheduleJob"), &of("call")).await.unwrap();
    world.call_with::<()>(&method("DeleteJob"), &delete, metadata("d")).await.unwrap();
    assert_eq!(world.get("/v1.0/jobs/call").await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn configuration_is_written_once_under_a_key() {
    let world = World::new().await;
    let path = "/v1.0/configuration/c";
    let first = keyed(&world, "POST", path, "a", r#"{"items":[{"key":"k","value":"1"}]}"#).await;
    assert_eq!(first.status, 200);
    assert_eq!(world.post(path, r#"{"items":[{"key":"k","value":"2"}]}"#).await.status, 200);
    let again = keyed(&world, "POST", path, "a", r#"{"items":[{"key":"k","value":"1"}]}"#).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "the revision of the first time");
    assert_eq!(world.get(path).await.json()["k"]["value"], "2");
    let other = keyed(&world, "POST", path, "a", r#"{"items":[{"key":"k","value":"3"}]}"#).await;
    assert_eq!(other.refused(), (409, "ERR_CONFIGURATION_CONFLICT".to_owned()));
    world.end().await;
}

/// Messages of a topic, in the order of their partitions and offsets.
async fn kept(world: &World, topic: &str) -> Vec<Kept> {
    let topic = world.host.disk().topic(topic).unwrap();
    let mut all = Vec::new();
    for partition in 0..topic.partitions() {
        let mut from = 0;
        loop {
            let page = topic.read(partition, from, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            from = last.offset + 1;
            all.extend(page);
        }
    }
    all
}

/// Entries with a number each.
fn entries(numbers: Range<usize>, more: &str) -> String {
    let entry =
        |number| format!(r#"{{"entryId":"{number}","event":"{number}","contentType":"text/plain"{more}}}"#);
    format!("[{}]", numbers.map(entry).collect::<Vec<_>>().join(","))
}

fn numbers(kept: &[Kept]) -> Vec<usize> {
    let number = |kept: &Kept| {
        let event: serde_json::Value = serde_json::from_slice(&kept.payload).unwrap();
        event["data"].as_str().unwrap().parse().unwrap()
    };
    kept.iter().map(number).collect()
}

#[tokio::test]
async fn several_messages_are_published_once_under_a_key_and_stay_in_order() {
    let world = World::new().await;
    let path = "/v1.0/publish/bulk/p/orders";
    for traceparent in ["", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
        let headers = [("idempotency-key", "a"), ("traceparent", traceparent)];
        let body = entries(0..700, "");
        assert_eq!(world.ask_with("POST", path, &headers, body.as_bytes()).await.status, 204);
    }
    assert_eq!(numbers(&kept(&world, "p/orders").await), (0..700).collect::<Vec<_>>());
    let other = keyed(&world, "POST", path, "a", &entries(0..701, "")).await;
    let refused = other.json();
    assert_eq!(refused["failedEntries"].as_array().map(Vec::len), Some(701), "also those that were in none");
    assert_eq!(kept(&world, "p/orders").await.len(), 700);

    let of = |entry_id: &str| BulkPublishRequestEntry {
        entry_id: entry_id.to_owned(),
        event: entry_id.to_owned().into(),
        content_type: "text/plain".to_owned(),
        ..BulkPublishRequestEntry::default()
    };
    let bulk = BulkPublishRequest {
        pubsub_name: "p".to_owned(),
        topic: "calls".to_owned(),
        entries: ["1", "2", "3"].map(of).into(),
        ..BulkPublishRequest::default()
    };
    for method in ["BulkPublishEvent", "BulkPublishEvent", "BulkPublishEventAlpha1"] {
        let method = format!("dapr.proto.runtime.v1.Dapr/{method}");
        let done: BulkPublishResponse = world.call_with(&method, &bulk, metadata("b")).await.unwrap();
        assert_eq!(done.failed_entries, []);
    }
    assert_eq!(numbers(&kept(&world, "p/calls").await), [1, 2, 3]);
    world.end().await;
}

#[tokio::test]
async fn what_of_several_messages_was_not_published_is_when_the_request_comes_again() {
    const COUNT: usize = 2_000;
    let world = World::new().await;
    let more = r#","metadata":{"partitionKey":"k"}"#;
    let (path, body) = ("/v1.0/publish/bulk/p/orders", entries(0..COUNT, more));
    // Whoever asks has ever more patience, until all of it is done.
    let mut parts = Vec::new();
    for doubled in 0.. {
        let limit = (1_u64 << doubled).to_string();
        let headers = [("idempotency-key", "a"), ("x-request-deadline", limit.as_str())];
        let answer = world.ask_with("POST", path, &headers, body.as_bytes()).await;
        let count = kept(&world, "p/orders").await.len();
        if answer.status == 204 {
            break;
        }
        assert_eq!(answer.status, 504, "{}", answer.body);
        parts.push(count);
    }
    assert!(
        parts.iter().any(|part| (1..COUNT).contains(part)),
        "it was never cut off in the middle: {parts:?}"
    );
    let kept = kept(&world, "p/orders").await;
    assert_eq!(numbers(&kept), (0..COUNT).collect::<Vec<_>>());
    world.end().await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_published_under_a_key_is_told_each_time() {
    let world = World::new().await;
    let path = "/v1.0/publish/bulk/p/orders";
    let large = "x".repeat(2 << 20);
    let body = format!(
        r#"[{{"entryId":"1","event":"1","contentType":"text/plain"}},
            {{"entryId":"2","event":"{large}","contentType":"text/plain"}},
            {{"entryId":"3","event":"3","contentType":"text/plain"}}]"#
    );
    for _ in 0..2 {
        let answer = keyed(&world, "POST", path, "a", &body).await;
        let failed = answer.json()["failedEntries"].clone();
        let ids: Vec<_> = failed.as_array().unwrap().iter().map(|one| one["entryId"].clone()).collect();
        assert_eq!(ids, ["2"], "{failed}");
    }
    assert_eq!(numbers(&kept(&world, "p/orders").await), [1, 3]);
    world.end().await;
}

#[tokio::test]
async fn jobs_are_taken_away_by_a_prefix_once_under_a_key() {
    let world = World::new().await;
    let put = async |name: &str| {
        let put = world.post(&format!("/v1.0/jobs/{name}"), r#"{"dueTime":"1h"}"#).await;
        assert_eq!(put.status, 204);
    };
    let is_there = async |name: &str| world.get(&format!("/v1.0/jobs/{name}")).await.status == 200;
    let method = "dapr.proto.runtime.v1.Dapr/DeleteJobsByPrefix";
    let delete = DeleteJobsByPrefixRequest { name_prefix: Some("a-".to_owned()) };
    put("a-1").await;
    put("b").await;
    world.call_with::<()>(method, &delete, metadata("a")).await.unwrap();
    assert!(!is_there("a-1").await);
    put("a-2").await;
    world.call_with::<()>(method, &delete, metadata("a")).await.unwrap();
    assert!(is_there("a-2").await, "it was done before");
    let other = DeleteJobsByPrefixRequest { name_prefix: Some("b".to_owned()) };
    assert_eq!(world.call_with::<()>(method, &other, metadata("a")).await.unwrap_err().code, 10);
    world.call::<()>(method, &delete).await.unwrap();
    assert!(!is_there("a-2").await && is_there("b").await);
    world.end().await;
}

#[tokio::test]
async fn a_lock_is_taken_once_under_a_key_and_told_only_while_it_is_held() {
    let world = World::new().await;
    let (lock, unlock) = ("/v1.0-alpha1/lock/l", "/v1.0-alpha1/unlock/l");
    let wanted = r#"{"resourceId":"r","lockOwner":"ada","expiryInSeconds":60}"#;
    let own = r#"{"resourceId":"r","lockOwner":"ada"}"#;
    let success = |answer: Answer| answer.json()["success"].as_bool().unwrap();
    let status = |answer: Answer| answer.json()["status"].as_u64().unwrap();
    let until = async || {
        let locks = world.host.disk().locks(10).await.unwrap();
        locks.first().map(|(_, _, held)| (held.token, held.until))
    };
    assert!(success(keyed(&world, "POST", lock, "a", wanted).await));
    let (token, first) = until().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(success(keyed(&world, "POST", lock, "a", wanted).await), "it is held by who asks");
    let (same, later) = until().await.unwrap();
    assert_eq!(same, token, "and was not taken again");
    assert!(later > first, "who is told so now holds it from now on");
    assert!(!success(keyed(&world, "POST", lock, "b", wanted).await), "another asks");

    assert_eq!(status(keyed(&world, "POST", unlock, "c", own).await), 0);
    assert_eq!(status(keyed(&world, "POST", unlock, "c", own).await), 0, "as the first time");
    assert_eq!(status(keyed(&world, "POST", unlock, "d", own).await), 1);
    assert!(!success(keyed(&world, "POST", lock, "a", wanted).await), "it is held no more");
    let try_lock = TryLockRequest {
        store_name: "l".to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: "bob".to_owned(),
        expiry_in_seconds: 60,
    };
    let method = "dapr.proto.runtime.v1.Dapr/TryLockAlpha1";
    for _ in 0..2 {
        let held: TryLockResponse = world.call_with(method, &try_lock, metadata("e")).await.unwrap();
        assert!(held.success);
    }
    assert!(!success(keyed(&world, "POST", lock, "a", wanted).await), "another holds it");
    let free = UnlockRequest {
        store_name: "l".to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: "bob".to_owned(),
    };
    for _ in 0..2 {
        let method = "dapr.proto.runtime.v1.Dapr/UnlockAlpha1";
        let freed: UnlockResponse = world.call_with(method, &free, metadata("f")).await.unwrap();
        assert_eq!(freed.status, 0);
    }
    let other = keyed(&world, "POST", lock, "a", &wanted.replace("60", "61")).await;
    assert_eq!(other.refused(), (409, "ERR_TRY_LOCK".to_owned()));
    world.end().await;
}

#[tokio::test]
async fn a_group_is_moved_once_under_a_key() {
    let world = World::new().await;
    let topic = world.host.disk().topic("p/orders").unwrap();
    let consumer = topic.consume("shop", Place::start(), ConsumerConfig::default()).await.unwrap();
    assert_eq!(world.post("/v1.0/publish/p/orders", "1").await.status, 204);
    let done = async |count: usize| {
        let mut left = count;
        while left > 0 {
            let received = consumer.next(left).await.unwrap();
            left -= received.len();
            consumer.acknowledge(&received).unwrap();
        }
        consumer.settled().await.unwrap();
    };
    let path = "/v1.0/topics/p/orders/groups/shop";
    let lag = async || world.get(path).await.json()["lag"].as_u64().unwrap();
    done(1).await;
    assert_eq!(lag().await, 0);
    let seek = format!("{path}/seek");
    assert_eq!(keyed(&world, "POST", &seek, "a", r#"{"to":"start"}"#).await.status, 204);
    done(1).await;
    assert_eq!(keyed(&world, "POST", &seek, "a", r#"{"to":"start"}"#).await.status, 204);
    assert_eq!(lag().await, 0, "it was moved before");
    let other = keyed(&world, "POST", &seek, "a", r#"{"to":"end"}"#).await;
    assert_eq!(other.refused(), (409, "ERR_TOPIC_CONFLICT".to_owned()));
    let to = SeekRequest {
        pubsub: "p".to_owned(),
        topic: "orders".to_owned(),
        group: "shop".to_owned(),
        to: Some(seek_request::To::Start(())),
    };
    for _ in 0..2 {
        world.call_with::<()>("colony.v1.Topics/Seek", &to, metadata("b")).await.unwrap();
        if lag().await > 0 {
            done(1).await;
        }
    }
    assert_eq!(lag().await, 0);
    let nobody = "/v1.0/topics/p/orders/groups/nobody/seek";
    let missing = keyed(&world, "POST", nobody, "c", r#"{"to":"start"}"#).await;
    assert_eq!(missing.refused(), (404, "ERR_TOPIC_NOT_FOUND".to_owned()));

    drop(consumer);
    assert_eq!(keyed(&world, "DELETE", path, "d", "").await.status, 204);
    topic.consume("shop", Place::start(), ConsumerConfig::default()).await.unwrap();
    assert_eq!(keyed(&world, "DELETE", path, "d", "").await.status, 204);
    assert_eq!(world.get(path).await.status, 200, "it was taken away before");
    world.end().await;
}

#[tokio::test]
async fn a_key_makes_no_difference_where_the_same_is_set_again() {
    let world = World::new().await;
    assert_eq!(keyed(&world, "PUT", "/v1.0/metadata/k", "a", "1").await.status, 204);
    assert_eq!(keyed(&world, "PUT", "/v1.0/metadata/k", "a", "2").await.status, 204);
    assert_eq!(world.get("/v1.0/metadata").await.json()["extended"]["k"], "2");
    let set = r#"{"onFailure":{"attemptsMax":5}}"#;
    let path = "/v1.0/topics/p/orders/groups/shop";
    for _ in 0..2 {
        assert_eq!(keyed(&world, "PUT", path, "b", set).await.status, 204);
    }
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_done_once_takes_no_key() {
    let world = World::new().await;
    for (method, path, why) in [
        ("POST", "/v1.0/bindings/b", "who is behind a binding"),
        ("POST", "/v1.0/shutdown", "what has ended"),
        ("POST", "/v1.0/queues/q/receive", "other items"),
    ] {
        let refused = keyed(&world, method, path, "a", "{}").await;
        assert_eq!(refused.refused(), (400, "ERR_IDEMPOTENCY_KEY".to_owned()), "{method} {path}");
        assert!(refused.body.contains(why), "{}", refused.body);
    }
    let invoke = InvokeBindingRequest { name: "b".to_owned(), ..InvokeBindingRequest::default() };
    let method = "dapr.proto.runtime.v1.Dapr/InvokeBinding";
    assert_eq!(world.call_with::<()>(method, &invoke, metadata("a")).await.unwrap_err().code, 3);
}
