//! Writes that come again under the same idempotency key.

use api::proto::dapr::common::v1::StateItem;
use api::proto::dapr::runtime::v1::{
    DeleteJobRequest, Job, PublishEventRequest, SaveStateRequest, ScheduleJobRequest, TryLockRequest,
};
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
    assert_eq!(other.refused().1, "ERR_PUBSUB_PUBLISH_MESSAGE");
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

#[tokio::test]
async fn what_cannot_be_done_once_takes_no_key() {
    let world = World::new().await;
    for (method, path) in [
        ("POST", "/v1.0/publish/bulk/p/orders"),
        ("POST", "/v1.0-alpha1/lock/s"),
        ("PUT", "/v1.0/metadata/k"),
        ("POST", "/v1.0/bindings/b"),
    ] {
        let refused = keyed(&world, method, path, "a", "[]").await;
        assert_eq!(refused.refused(), (400, "ERR_IDEMPOTENCY_KEY".to_owned()), "{method} {path}");
    }
    let lock = TryLockRequest { store_name: "s".to_owned(), ..TryLockRequest::default() };
    let method = "dapr.proto.runtime.v1.Dapr/TryLockAlpha1";
    assert_eq!(world.call_with::<()>(method, &lock, metadata("a")).await.unwrap_err().code, 3);
}
