//! Topics as operators have them: what there is, how far groups are, and moving them; what becomes of messages that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::config::{Adapter, Broker, PubSub};
use api::proto::colony::v1::{
    DefineGroupRequest, DeleteGroupRequest, GetGroupRequest, GetTopicRequest, GivenUp, ListFailedRequest,
    ListFailedResponse, ListTopicsRequest, ListTopicsResponse, OnFailure, ReadTopicRequest,
    ReadTopicResponse, ResolveAction, ResolveRequest, ResolveResponse, SeekRequest, Topic, TopicGroup,
    seek_request,
};
use components::pubsub::{Message, Options, Scope};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::publish::Broken;
use crate::subscriber::{Had, Subscriber, answers, beside, done, event, publish};
use crate::world::{PATIENCE, World};

const ORDERS: &str = r#"[{"pubsubname":"pubsub","topic":"orders","route":"orders"}]"#;
const TOPIC: &str = "/v1.0/topics/pubsub/orders";
const GROUP: &str = "/v1.0/topics/pubsub/orders/groups/shop";

/// What is told there, once it is so.
async fn told(world: &World, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let answer = world.get(path).await;
        if answer.status == 200 && is_so(&answer.json()) {
            return answer.json();
        }
        assert!(begun.elapsed() < PATIENCE, "{path}: {answer:?}");
        sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn ids(had: &[Had]) -> Vec<String> {
    had.iter().map(|had| had.json()["id"].as_str().unwrap_or_default().to_owned()).collect()
}

fn of(key: &'static str, id: &str) -> Message {
    Message { key: key.into(), ..event(id) }
}

fn method(name: &str) -> String {
    format!("colony.v1.Topics/{name}")
}

#[tokio::test]
async fn a_group_is_looked_at_and_moved() {
    let app = Subscriber::new(ORDERS, |_, _| done()).await;
    let world = beside(&app).await;
    for id in ["1", "2", "3"] {
        publish(&world, "orders", of("ada", id)).await;
    }
    app.has(3, "/orders").await;
    let done = told(&world, TOPIC, |topic| topic["groups"][0]["lag"] == 0).await;
    assert_eq!((&done["name"], &done["messages"]), (&json!("orders"), &json!(3)));
    let partition = &done["partitions"][0];
    assert_eq!((&partition["first"], &partition["next"]), (&json!(0), &json!(3)));
    assert_eq!(done["groups"][0]["name"], "shop");
    assert_eq!(done["groups"][0]["partitions"][0]["offset"], 3);
    let number = &partition["partition"];
    let listed = world.get("/v1.0/topics/pubsub").await.json();
    assert_eq!(listed["topics"][0], done);
    assert_eq!(world.get("/v1.0/topics/pubsub?after=orders").await.json(), json!({ "topics": [] }));

    let seek = |to: Value| {
        let (world, to) = (&world, to.to_string());
        async move { world.post(&format!("{GROUP}/seek"), &to).await.status }
    };
    assert_eq!(seek(json!({ "to": "start" })).await, 204);
    assert_eq!(ids(&app.has(6, "/orders").await), ["1", "2", "3", "1", "2", "3"]);
    assert_eq!(seek(json!({ "partition": number, "offset": 2 })).await, 204);
    assert_eq!(ids(&app.has(7, "/orders").await)[6], "3");
    assert_eq!(seek(json!({ "time": "2020-01-31T10:00:00Z" })).await, 204);
    app.has(10, "/orders").await;
    told(&world, GROUP, |group| group["lag"] == 0).await;
    assert_eq!(seek(json!({ "to": "end" })).await, 204);

    let read = world.get(&format!("{TOPIC}/messages?partition={number}&from=1&max=1")).await.json();
    assert_eq!((&read["messages"][0]["offset"], &read["messages"][0]["key"]), (&json!(1), &json!("ada")));
    assert!(
        read["messages"][0].to_string().contains(r#"\"id\":\"2\""#)
            || read["messages"][0]["data"]["id"] == "2",
        "{read}"
    );
    assert_eq!(read["messages"].as_array().map(Vec::len), Some(1));
    world.end().await;
    assert_eq!(app.on("/orders").len(), 10);
}

#[tokio::test]
async fn a_message_that_keeps_failing_is_parked_left_out_or_a_dead_letter() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let app = Subscriber::new(ORDERS, move |had, _| {
        match had.json()["id"].as_str().unwrap_or_default().starts_with("bad") && !well.load(Ordering::SeqCst)
        {
            true => answers(500, "no"),
            false => done(),
        }
    })
    .await;
    let world = beside(&app).await;
    let define = |on: Value| {
        let (world, body) = (&world, json!({ "onFailure": on }).to_string());
        async move { assert_eq!(world.ask("PUT", GROUP, &body).await.status, 204) }
    };
    define(json!({ "attemptsMax": 1, "givenUp": "park" })).await;
    publish(&world, "orders", of("ada", "bad-1")).await;
    publish(&world, "orders", of("ada", "2")).await;
    publish(&world, "orders", of("bob", "3")).await;
    let failed = told(&world, &format!("{GROUP}/failed"), |failed| {
        failed["messages"].as_array().is_some_and(|all| all.iter().any(|one| one["state"] == "parked"))
    })
    .await;
    let first = &failed["messages"][0];
    assert_eq!((&first["key"], &first["attempts"]), (&json!("ada"), &json!(1)));
    assert!(first["failures"][0]["cause"].as_str().is_some_and(|cause| cause.contains("500")), "{first}");
    let mut had = ids(&app.has(2, "/orders").await);
    had.sort_unstable();
    assert_eq!(had, ["3", "bad-1"], "its key waits, others do not");

    is_well.store(true, Ordering::SeqCst);
    let resolve = |body: Value| {
        let (world, body) = (&world, body.to_string());
        async move { world.post(&format!("{GROUP}/resolve"), &body).await }
    };
    assert_eq!(resolve(json!({ "action": "retry", "key": "nobody" })).await.json()["resolved"], 0);
    let retried = resolve(json!({ "action": "retry", "key": "ada" })).await.json();
    assert!(retried["resolved"].as_u64().is_some_and(|count| count >= 1), "{retried}");
    assert_eq!(ids(&app.has(4, "/orders").await)[2..], ["bad-1", "2"], "in their order");

    is_well.store(false, Ordering::SeqCst);
    define(json!({ "attemptsMax": 1, "givenUp": "skip" })).await;
    publish(&world, "orders", of("ada", "bad-4")).await;
    let group = told(&world, GROUP, |group| group["skipped"] == 1 && group["lag"] == 0).await;
    assert_eq!(
        group["onFailure"],
        json!({ "attemptsMax": 1, "backoff": "1s", "backoffMax": "1m", "givenUp": "skip" })
    );
    define(json!({ "attemptsMax": 1, "givenUp": "deadLetter", "deadLetter": "dead" })).await;
    publish(&world, "orders", of("ada", "bad-5")).await;
    told(&world, GROUP, |group| group["dead"] == 1 && group["onFailure"]["deadLetter"] == "dead").await;
    let dead = told(&world, "/v1.0/topics/pubsub/dead", |dead| dead["messages"] == 1).await;
    let partition = &dead["partitions"][0]["partition"];
    let read = world.get(&format!("/v1.0/topics/pubsub/dead/messages?partition={partition}")).await.json();
    assert_eq!(read["messages"][0]["metadata"]["dead-letter-group"], "shop");
    world.end().await;
}

#[tokio::test]
async fn what_topics_do_not_take_is_refused() {
    let world = World::with(|config| {
        let scope = Scope { allowed: Some(["open".to_owned()].into()), ..Scope::default() };
        let scoped = PubSub { scope, ..PubSub::default() };
        let outside = PubSub { broker: Broker::Outside(Adapter(Arc::new(Broken))), ..PubSub::default() };
        config.components =
            vec![crate::publish::pubsub("scoped", scoped), crate::publish::pubsub("outside", outside)];
        config.foreign = vec!["theirs".to_owned()];
    })
    .await;
    publish(&world, "orders", event("1")).await;
    drop(world.api.pubsub("pubsub").unwrap().subscribe("orders", Options::default()).await.unwrap());
    for (method, path, body, status, code) in [
        ("GET", "theirs/orders", "", 404, "ERR_PUBSUB_NOT_FOUND"),
        ("GET", "scoped/secret", "", 403, "ERR_TOPIC_FORBIDDEN"),
        ("GET", "outside", "", 400, "ERR_TOPIC_OUTSIDE"),
        ("GET", "pubsub/nothing", "", 404, "ERR_TOPIC_NOT_FOUND"),
        ("GET", "pubsub/%0a", "", 400, "ERR_TOPIC_INVALID"),
        ("GET", "pubsub?max=0", "", 400, "ERR_TOPIC_INVALID"),
        ("GET", "pubsub/orders/messages?partition=99", "", 400, "ERR_TOPIC_INVALID"),
        ("GET", "pubsub/orders/messages?from=x", "", 400, "ERR_TOPIC_INVALID"),
        ("GET", "pubsub/orders/messages?max=101", "", 400, "ERR_TOPIC_INVALID"),
        ("GET", "pubsub/orders/groups/nobody", "", 404, "ERR_TOPIC_NOT_FOUND"),
        ("GET", "pubsub/orders/groups/nobody/failed", "", 404, "ERR_TOPIC_NOT_FOUND"),
        ("DELETE", "pubsub/orders/groups/nobody", "", 404, "ERR_TOPIC_NOT_FOUND"),
        ("POST", "pubsub/orders/groups/nobody/seek", r#"{"to":"end"}"#, 404, "ERR_TOPIC_NOT_FOUND"),
        ("POST", "pubsub/orders/groups/shop/seek", "", 400, "ERR_MALFORMED_REQUEST"),
        ("POST", "pubsub/orders/groups/shop/seek", "{}", 400, "ERR_TOPIC_INVALID"),
        ("POST", "pubsub/orders/groups/shop/seek", r#"{"to":"nowhere"}"#, 400, "ERR_TOPIC_INVALID"),
        ("POST", "pubsub/orders/groups/shop/seek", r#"{"time":"noon"}"#, 400, "ERR_TOPIC_INVALID"),
        (
            "POST",
            "pubsub/orders/groups/shop/seek",
            r#"{"partition":99,"offset":0}"#,
            400,
            "ERR_TOPIC_INVALID",
        ),
        ("POST", "pubsub/orders/groups/shop/resolve", "{}", 400, "ERR_TOPIC_INVALID"),
        (
            "POST",
            "pubsub/orders/groups/shop/resolve",
            r#"{"action":"retry","offset":1}"#,
            400,
            "ERR_TOPIC_INVALID",
        ),
        (
            "POST",
            "pubsub/orders/groups/shop/resolve",
            r#"{"action":"deadLetter"}"#,
            409,
            "ERR_TOPIC_CONFLICT",
        ),
        ("PUT", "pubsub/orders/groups/shop", "[]", 400, "ERR_MALFORMED_REQUEST"),
        ("PUT", "pubsub/orders/groups/shop", r#"{"onFailure":{"givenUp":"hope"}}"#, 400, "ERR_TOPIC_INVALID"),
        (
            "PUT",
            "pubsub/orders/groups/shop",
            r#"{"onFailure":{"givenUp":"deadLetter"}}"#,
            400,
            "ERR_TOPIC_INVALID",
        ),
        ("POST", "pubsub/orders", "", 404, "ERR_DIRECT_INVOKE"),
        ("GET", "", "", 404, "ERR_DIRECT_INVOKE"),
    ] {
        let answer = world.ask(method, &format!("/v1.0/topics/{path}"), body).await;
        assert_eq!(answer.refused(), (status, code.to_owned()), "{method} {path} {body}");
    }
    let keyed = [("idempotency-key", "")];
    let answer = world.ask_with("POST", &format!("{GROUP}/seek"), &keyed, br#"{"to":"end"}"#).await;
    assert_eq!(answer.refused(), (400, "ERR_IDEMPOTENCY_KEY".to_owned()));
    assert_eq!(world.ask("PUT", GROUP, r#"{"onFailure":null}"#).await.status, 204);
    assert_eq!(world.ask("DELETE", GROUP, "").await.status, 204);
    assert_eq!(world.ask("DELETE", GROUP, "").await.status, 404);
    world.end().await;
}

#[tokio::test]
async fn topics_are_the_same_over_grpc() {
    let world = World::new().await;
    publish(&world, "orders", of("ada", "1")).await;
    drop(world.api.pubsub("pubsub").unwrap().subscribe("orders", Options::default()).await.unwrap());
    let (pubsub, topic, group) = ("pubsub".to_owned(), "orders".to_owned(), "shop".to_owned());
    let listed: ListTopicsResponse = world
        .call(&method("List"), &ListTopicsRequest { pubsub: pubsub.clone(), ..ListTopicsRequest::default() })
        .await
        .unwrap();
    let get = GetTopicRequest { pubsub: pubsub.clone(), topic: topic.clone() };
    let looked: Topic = world.call(&method("Get"), &get).await.unwrap();
    assert_eq!(listed.topics, std::slice::from_ref(&looked));
    assert_eq!((looked.messages, looked.groups[0].lag), (1, 1));
    let partition = looked.partitions[0].partition;
    let read = ReadTopicRequest {
        pubsub: pubsub.clone(),
        topic: topic.clone(),
        partition,
        ..ReadTopicRequest::default()
    };
    let read: ReadTopicResponse = world.call(&method("Read"), &read).await.unwrap();
    assert_eq!((&read.messages[0].key[..], &read.messages[0].data), (&b"ada"[..], &event("1").data));

    let on_failure =
        OnFailure { attempts_max: Some(3), given_up: GivenUp::Skip.into(), ..OnFailure::default() };
    let define = DefineGroupRequest {
        pubsub: pubsub.clone(),
        topic: topic.clone(),
        group: group.clone(),
        on_failure: Some(on_failure),
    };
    world.call::<()>(&method("DefineGroup"), &define).await.unwrap();
    let get = GetGroupRequest { pubsub: pubsub.clone(), topic: topic.clone(), group: group.clone() };
    let told: TopicGroup = world.call(&method("GetGroup"), &get).await.unwrap();
    let on = told.on_failure.unwrap();
    assert_eq!((on.attempts_max, on.given_up()), (Some(3), GivenUp::Skip));

    let seek = |to| SeekRequest { pubsub: pubsub.clone(), topic: topic.clone(), group: group.clone(), to };
    world.call::<()>(&method("Seek"), &seek(Some(seek_request::To::End(())))).await.unwrap();
    let told: TopicGroup = world.call(&method("GetGroup"), &get).await.unwrap();
    assert_eq!(told.lag, 0);
    assert_eq!(world.call::<()>(&method("Seek"), &seek(None)).await.unwrap_err().code, 3);
    let failed =
        ListFailedRequest { pubsub: pubsub.clone(), topic: topic.clone(), group: group.clone(), max: 0 };
    let failed: ListFailedResponse = world.call(&method("ListFailed"), &failed).await.unwrap();
    assert!(failed.messages.is_empty());
    let resolve = ResolveRequest {
        pubsub: pubsub.clone(),
        topic: topic.clone(),
        group: group.clone(),
        action: ResolveAction::Skip.into(),
        which: None,
    };
    let resolved: ResolveResponse = world.call(&method("Resolve"), &resolve).await.unwrap();
    assert_eq!(resolved.resolved, 0);
    let delete = DeleteGroupRequest { pubsub, topic, group };
    world.call::<()>(&method("DeleteGroup"), &delete).await.unwrap();
    assert_eq!(world.call::<()>(&method("DeleteGroup"), &delete).await.unwrap_err().code, 5);
    world.end().await;
}
