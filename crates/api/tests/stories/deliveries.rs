//! Events brought to an application over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::subscription::{Rule, Subscription};
use components::pubsub::Message;
use serde_json::{Value, json};

use crate::subscriber::{
    Does, Had, Subscriber, answers, beside, declared, done, event, is_told_away, publish, until,
};
use crate::world::World;

const ORDERS: &str = r#"[{"pubsubname":"pubsub","topic":"orders","route":"orders"}]"#;

fn ids(had: &[Had]) -> Vec<String> {
    had.iter().map(|had| had.json()["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn what_an_application_subscribes_to_is_brought_to_it() {
    let app = Subscriber::new(ORDERS, |_, _| done()).await;
    let world = beside(&app).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    let asked = app.all();
    assert_eq!(asked.iter().map(|had| &*had.path).collect::<Vec<_>>(), ["/dapr/config", "/dapr/subscribe"]);
    assert!(asked.iter().all(|had| had.header("dapr-app-id") == "shop"));
    let told = world.get("/v1.0/metadata").await.json();
    assert_eq!(
        told["subscriptions"],
        json!([{ "pubsubname": "pubsub", "topic": "orders", "rules": [{ "path": "orders" }], "deadLetterTopic": "", "type": "PROGRAMMATIC" }])
    );
    let odd =
        [("priority", "high"), ("content-type", "text/odd"), ("no header", "x"), ("a", "\n"), ("host", "x")];
    let metadata = odd.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let message = Message { metadata, ..event("1") };
    publish(&world, "orders", message.clone()).await;
    let had = app.has(1, "/orders").await.remove(0);
    assert_eq!(had.body, message.data, "an event is brought as it is");
    assert_eq!(had.header("content-type"), "application/cloudevents+json");
    assert_eq!((had.header("pubsubname"), had.header("priority")), ("pubsub", "high"));
    assert_eq!(had.header("traceparent"), "", "zeros would be no trace either");
    assert_eq!((had.header("host"), had.header("a")), (&*format!("127.0.0.1:{}", app.port), ""));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    publish(&world, "orders", Message::new(format!(r#"{{"id":"2","traceparent":"{trace}"}}"#))).await;
    assert_eq!(app.has(2, "/orders").await[1].header("traceparent"), trace);
    world.end().await;
    assert_eq!(app.on("/orders").len(), 2, "what is acknowledged is not brought again");
}

#[tokio::test]
async fn what_the_application_cannot_deal_with_is_tried_again() {
    let seen: Arc<std::sync::Mutex<BTreeSet<String>>> = Arc::default();
    let app = Subscriber::new(ORDERS, move |had, _| {
        let id = had.json()["id"].as_str().unwrap().to_owned();
        if !seen.lock().unwrap().insert(id.clone()) {
            return done();
        }
        match &*id {
            "status" => answers(500, ""),
            "redirect" => answers(301, ""),
            "word" => answers(200, r#"{"status":"RETRY"}"#),
            "unknown" => answers(200, r#"{"status":"Success"}"#),
            "breaks" => Does::Breaks,
            odd => panic!("{odd}"),
        }
    })
    .await;
    let world = beside(&app).await;
    let all = ["breaks", "redirect", "status", "unknown", "word"];
    for id in all {
        publish(&world, "orders", event(id)).await;
    }
    let mut had = ids(&app.has(10, "/orders").await);
    had.sort_unstable();
    assert_eq!(had, all.map(|id| [id, id]).concat());
    let said = world.said.lock().unwrap().concat();
    assert!(said.contains("of topic \"orders\" of \"pubsub\" is tried again: "), "{said}");
    world.end().await;
    assert_eq!(app.on("/orders").len(), 10);
}

#[tokio::test]
async fn what_is_not_wanted_is_dropped_or_a_dead_letter() {
    let subscribes = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders"},
        {"pubsubname":"pubsub","topic":"kept","route":"/kept","deadLetterTopic":"dead"},
        {"pubsubname":"pubsub","topic":"dead","route":"/dead"}]"#;
    let app = Subscriber::new(subscribes, |had, _| match (&*had.path, had.json()["id"].as_str().unwrap()) {
        ("/dead", _) | (_, "good") => done(),
        (_, "404") => answers(404, "no such route"),
        (_, "drop") => answers(200, r#"{"status":"DROP"}"#),
        (_, "retry") => answers(200, r#"{"status":"RETRY"}"#),
        odd => panic!("{odd:?}"),
    })
    .await;
    let world = beside(&app).await;
    for id in ["404", "drop", "good"] {
        publish(&world, "orders", event(id)).await;
    }
    for id in ["404", "drop", "retry", "good"] {
        publish(&world, "kept", event(id)).await;
    }
    let expired = Message::new(r#"{"id":"expired","expiration":"2020-01-01T00:00:00Z"}"#);
    publish(&world, "orders", expired.clone()).await;
    publish(&world, "kept", expired).await;
    let dead = app.has(4, "/dead").await;
    let causes: BTreeMap<String, String> = dead
        .iter()
        .map(|had| (ids(std::slice::from_ref(had)).remove(0), had.header("dead-letter-cause").to_owned()))
        .collect();
    assert_eq!(causes.keys().collect::<Vec<_>>(), ["404", "drop", "expired", "retry"]);
    assert_eq!((&*causes["retry"], &*causes["expired"]), ("it answered RETRY", "it has expired"));
    assert!(dead.iter().all(|had| had.header("dead-letter-topic") == "kept"));
    let all = dead.iter().find(|had| had.json()["id"] == "drop").unwrap();
    assert_eq!(all.body, event("drop").data, "a dead letter is the event as it was");
    app.has(4, "/kept").await;
    app.has(3, "/orders").await;
    world.end().await;
    assert_eq!((app.on("/orders").len(), app.on("/kept").len(), app.on("/dead").len()), (3, 4, 4));
}

#[tokio::test]
async fn events_go_where_rules_say() {
    let subscribes = r#"[{"pubsubname":"pubsub","topic":"orders","deadLetterTopic":"dead","routes":{"rules":[
            {"match":"event.type == 'large' && int(event.data.n) > 100","path":"/large"},
            {"match":"event.data.kind == 'gift'","path":"/gifts"}]}},
        {"pubsubname":"pubsub","topic":"dead","route":"/dead"}]"#;
    let app = Subscriber::new(subscribes, |_, _| done()).await;
    let world = beside(&app).await;
    for (id, kind, data) in [
        ("1", "large", json!({ "n": 101 })),
        ("2", "small", json!({ "kind": "gift" })),
        ("3", "small", json!({ "kind": "other" })),
        ("4", "small", json!({})),
    ] {
        publish(&world, "orders", Message::new(json!({ "id": id, "type": kind, "data": data }).to_string()))
            .await;
    }
    let mut dead: Vec<_> =
        app.has(2, "/dead").await.iter().map(|had| had.header("dead-letter-cause").to_owned()).collect();
    dead.sort_unstable();
    assert!(dead[0].starts_with("event.data.kind == 'gift': No such key: kind"), "{dead:?}");
    assert!(dead[1].starts_with("no rule holds"), "{dead:?}");
    assert_eq!(ids(&app.has(1, "/large").await), ["1"]);
    assert_eq!(ids(&app.has(1, "/gifts").await), ["2"]);
}

#[tokio::test]
async fn who_takes_it_raw_gets_what_was_published_in_an_envelope() {
    let subscribes =
        r#"[{"pubsubname":"pubsub","topic":"raw","route":"/raw","metadata":{"rawPayload":"true"}}]"#;
    let app =
        Subscriber::new(subscribes, |_, count| if count == 1 { answers(500, "") } else { done() }).await;
    let world = beside(&app).await;
    publish(&world, "raw", Message::new(&b"\xff no JSON"[..])).await;
    let had = app.has(2, "/raw").await;
    let envelope = had[0].json();
    assert_eq!((&envelope["data_base64"], &envelope["source"]), (&json!("/yBubyBKU09O"), &json!("Dapr")));
    assert_eq!(envelope["id"], had[1].json()["id"], "it is known again");
}

#[tokio::test]
async fn what_is_no_event_is_tried_again_where_somebody_might_take_it_raw() {
    let app = Subscriber::new(ORDERS, |_, _| done()).await;
    let world = beside(&app).await;
    publish(&world, "orders", Message::new("no event")).await;
    publish(&world, "orders", event("1")).await;
    app.has(1, "/orders").await;
    until(
        || world.said.lock().unwrap().concat().contains("what was published is no JSON object"),
        || "said".into(),
    )
    .await;
    world.end().await;
    assert_eq!(ids(&app.on("/orders")), ["1"]);
}

#[tokio::test]
async fn an_application_that_comes_back_has_all_that_it_was_away_for() {
    let app = Subscriber::new(ORDERS, |_, _| done()).await;
    let port = app.port;
    let world = beside(&app).await;
    publish(&world, "orders", event("0")).await;
    app.has(1, "/orders").await;
    drop(app);
    let expected: BTreeSet<String> = (1..=100).map(|n| n.to_string()).collect();
    for id in &expected {
        publish(&world, "orders", event(id)).await;
    }
    let said = || world.said.lock().unwrap().concat();
    until(|| is_told_away(&said()), said).await;
    let app = Subscriber::at(port, "[]", |_, _| done()).await;
    let had = ids(&app.has(100, "/orders").await);
    assert_eq!(had.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(had.len(), 100, "nothing was attempted before");
}

#[tokio::test]
async fn an_application_that_hangs_holds_up_an_event_for_a_bounded_time() {
    let subscribes = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders","deadLetterTopic":"dead",
            "metadata":{"processingTimeout":"100ms"}},
        {"pubsubname":"pubsub","topic":"dead","route":"/dead"}]"#;
    let app = Subscriber::new(subscribes, |had, count| match &*had.path {
        "/orders" if count <= 3 => Does::Hangs,
        _ => done(),
    })
    .await;
    let world = beside(&app).await;
    publish(&world, "orders", event("1")).await;
    let dead = app.has(1, "/dead").await;
    assert_eq!(dead[0].header("dead-letter-cause"), "it has not answered within 100ms");
    assert_eq!(app.on("/orders").len(), 3, "silence is no answer before the third");
    publish(&world, "orders", event("2")).await;
    assert_eq!(ids(&app.has(4, "/orders").await[3..]), ["2"]);
}

#[tokio::test]
async fn no_more_are_under_way_than_may_be() {
    let slowly = |_: &Had, _: usize| Does::Answers(200, String::new(), Duration::from_millis(20));
    let app = Subscriber::new(
        r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders","metadata":{"concurrency":"3"}}]"#,
        slowly,
    )
    .await;
    let world = beside(&app).await;
    for n in 0..20 {
        publish(&world, "orders", event(&n.to_string())).await;
    }
    app.has(20, "/orders").await;
    assert_eq!(app.most_under_way(), 3);
    world.end().await;
    let app = Subscriber::new(
        r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders"},{"pubsubname":"pubsub","topic":"others","route":"/others"}]"#,
        slowly,
    )
    .await;
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        config.app.max_concurrency = 2;
    })
    .await;
    for n in 0..10 {
        publish(&world, "orders", event(&n.to_string())).await;
        publish(&world, "others", event(&n.to_string())).await;
    }
    app.has(10, "/orders").await;
    app.has(10, "/others").await;
    assert_eq!(app.most_under_way(), 2);
}

#[tokio::test]
async fn who_may_not_be_called_gets_nothing_and_finishes_what_it_has() {
    let app =
        Subscriber::new(ORDERS, |_, _| Does::Answers(200, String::new(), Duration::from_millis(300))).await;
    let (open, is_open) = tokio::sync::watch::channel(false);
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        config.app.gate = Some(api::config::Gate(is_open));
    })
    .await;
    publish(&world, "orders", event("0")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((app.on("/orders").len(), app.on("/dapr/subscribe").len()), (0, 0));
    open.send_replace(true);
    app.has(1, "/orders").await;
    open.send_replace(false);
    // What comes in this moment may still be brought.
    tokio::time::sleep(Duration::from_millis(600)).await;
    publish(&world, "orders", event("1")).await;
    // Longer than the first takes, and than it would take to bring it again.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(ids(&app.on("/orders")), ["0"]);
    open.send_replace(true);
    assert_eq!(ids(&app.has(2, "/orders").await), ["0", "1"]);
}

#[tokio::test]
async fn events_of_one_key_are_brought_in_order_even_where_one_fails() {
    let failed = std::sync::atomic::AtomicBool::new(false);
    let app = Subscriber::new(ORDERS, move |had, _| {
        let fails = had.json()["id"] == "3" && !failed.swap(true, std::sync::atomic::Ordering::SeqCst);
        if fails { answers(500, "") } else { done() }
    })
    .await;
    let world = beside(&app).await;
    for n in 0..10 {
        publish(&world, "orders", event(&n.to_string()).key("ada")).await;
    }
    let had = ids(&app.has(11, "/orders").await);
    assert_eq!(had, ["0", "1", "2", "3", "3", "4", "5", "6", "7", "8", "9"]);
}

#[tokio::test]
async fn several_are_brought_at_once() {
    let subscribes = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders",
            "bulkSubscribe":{"enabled":true,"maxMessagesCount":5,"maxAwaitDurationMs":100}},
        {"pubsubname":"pubsub","topic":"gone","route":"/gone","deadLetterTopic":"dead",
            "bulkSubscribe":{"enabled":true,"maxMessagesCount":2,"maxAwaitDurationMs":60000}},
        {"pubsubname":"pubsub","topic":"dead","route":"/dead"}]"#;
    let app = Subscriber::new(subscribes, |had, count| match (&*had.path, count) {
        ("/dead", _) => done(),
        ("/gone", _) => {
            let statuses =
                entries(had).into_iter().map(|(entry, _)| json!({ "entryId": entry, "status": "DROP" }));
            answers(200, &json!({ "statuses": statuses.collect::<Vec<_>>() }).to_string())
        }
        (_, 1) => answers(200, "garbage"),
        _ => {
            let all = entries(had);
            let done = all.iter().filter(|(_, id)| id != "3" || count > 3);
            let statuses: Vec<_> =
                done.map(|(entry, _)| json!({ "entryId": entry, "status": "SUCCESS" })).collect();
            answers(200, &json!({ "statuses": statuses }).to_string())
        }
    })
    .await;
    let world = beside(&app).await;
    let message = Message { metadata: BTreeMap::from([("a".to_owned(), "1".to_owned())]), ..event("0") };
    let messages = [message].into_iter().chain((1..7).map(|n| event(&n.to_string())));
    for message in messages {
        publish(&world, "orders", message).await;
    }
    for n in 0..2 {
        publish(&world, "gone", event(&n.to_string())).await;
    }
    let first = app.has(1, "/orders").await.remove(0);
    assert_eq!(first.header("content-type"), "application/json");
    let whole = first.json();
    assert_eq!((&whole["type"], &whole["topic"]), (&json!("com.dapr.event.sent.bulk"), &json!("orders")));
    assert_eq!(
        (&whole["pubsubname"], &whole["metadata"]),
        (&json!("pubsub"), &json!({ "pubsubName": "pubsub" }))
    );
    let entry = whole["entries"].as_array().unwrap().iter().find(|entry| entry["event"]["id"] == "0");
    if let Some(entry) = entry {
        assert_eq!(
            (&entry["metadata"], &entry["contentType"]),
            (&json!({ "a": "1" }), &json!("application/cloudevents+json"))
        );
    }
    assert!(first.body.windows(4).any(|part| part == b"1.50"), "an event is brought as it is");
    assert_eq!(app.has(2, "/dead").await.len(), 2);
    let all: BTreeSet<String> = (0..7).map(|n| n.to_string()).collect();
    let answered = || {
        let later = app.on("/orders").into_iter().skip(1);
        let ids = later.flat_map(|had| entries(&had)).map(|(_, id)| id);
        ids.collect::<Vec<_>>()
    };
    until(|| answered().iter().cloned().collect::<BTreeSet<_>>() == all, || format!("{:?}", answered()))
        .await;
    assert!(app.on("/orders").iter().all(|had| entries(had).len() <= 5));
}

/// The entries of a bulk: their ids, and those of their events.
fn entries(had: &Had) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = had.json()["entries"].as_array().unwrap().clone();
    entries.iter().map(|entry| (text(&entry["entryId"]), text(&entry["event"]["id"]))).collect()
}

#[tokio::test]
async fn what_is_declared_is_brought_and_what_is_told_goes_before() {
    let app = Subscriber::new(ORDERS, |_, _| done()).await;
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        let ruled = Subscription { dead_letter: Some("dead".to_owned()), ..declared("returns", "/returns") };
        config.subscriptions = vec![Arc::new(declared("orders", "/declared")), Arc::new(ruled)];
    })
    .await;
    publish(&world, "orders", event("1")).await;
    publish(&world, "returns", event("2")).await;
    assert_eq!(ids(&app.has(1, "/orders").await), ["1"]);
    assert_eq!(ids(&app.has(1, "/returns").await), ["2"]);
    let told = world.get("/v1.0/metadata").await.json();
    let kinds: BTreeMap<_, _> = told["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["topic"].to_string(), one["type"].clone()))
        .collect();
    assert_eq!(json!(kinds), json!({ "\"orders\"": "PROGRAMMATIC", "\"returns\"": "DECLARATIVE" }));
    assert!(world.said.lock().unwrap().concat().contains("one that is declarative is left out"));
    assert!(app.on("/declared").is_empty());
}

#[tokio::test]
async fn an_application_that_says_nothing_at_first_is_asked_again() {
    let app = Subscriber::serving(0, |had, count| match (&*had.path, count) {
        ("/dapr/config", _) => answers(200, r#"{"entities":["cart"]}"#),
        ("/dapr/subscribe", 1..=4) => Does::Breaks,
        ("/dapr/subscribe", _) => answers(200, ORDERS),
        _ => done(),
    })
    .await;
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        config.subscriptions = vec![Arc::new(declared("orders", "/declared"))];
    })
    .await;
    publish(&world, "orders", event("1")).await;
    app.has(1, "/declared").await;
    assert!(world.api.health.is_ready());
    let told = || world.api.health.is_ready() && app.on("/dapr/subscribe").len() == 5;
    until(told, || format!("{:?}", app.all())).await;
    let said = world.said.lock().unwrap().concat();
    assert!(said.contains("hosts actors (cart), which are not served"), "{said}");
    assert!(said.contains("the application does not say what it subscribes to"), "{said}");
    publish(&world, "orders", event("2")).await;
    app.has(1, "/orders").await;
}

#[tokio::test]
async fn who_says_nothing_does_not_put_off_the_end() {
    let app = Subscriber::serving(0, |_, _| Does::Breaks).await;
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        config.grace = Duration::from_secs(600);
    })
    .await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    world.end().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_left_out_and_told() {
    for (status, body, said) in [
        (200, "garbage", "cannot be read, and counts as none"),
        (500, "[]", "answers 500 Internal Server Error to GET /dapr/subscribe"),
        (200, r#"[{"pubsubname":"pubsub","topic":"a"}]"#, "it has no route"),
    ] {
        let app = Subscriber::serving(0, move |had, _| match &*had.path {
            "/dapr/subscribe" => answers(status, body),
            _ => answers(404, ""),
        })
        .await;
        let world = beside(&app).await;
        until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
        let lines = world.said.lock().unwrap().concat();
        assert!(lines.contains(said), "{body}: {lines}");
        assert_eq!(world.get("/v1.0/metadata").await.json()["subscriptions"], Value::Null);
    }
}

#[tokio::test]
async fn what_is_under_way_at_the_end_is_finished() {
    let app =
        Subscriber::new(ORDERS, |_, _| Does::Answers(200, String::new(), Duration::from_millis(300))).await;
    let world = beside(&app).await;
    publish(&world, "orders", event("1")).await;
    app.has(1, "/orders").await;
    let api = Arc::clone(&world.api);
    world.end().await;
    let broker = api.pubsub("pubsub").unwrap();
    let held = broker.subscribe("orders", Default::default()).await.unwrap();
    let again = tokio::time::timeout(Duration::from_millis(100), held.next(1)).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn what_does_not_finish_at_the_end_is_given_back() {
    let app = Subscriber::new(ORDERS, |_, _| Does::Hangs).await;
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        config.grace = Duration::from_millis(50);
    })
    .await;
    publish(&world, "orders", event("1")).await;
    app.has(1, "/orders").await;
    let api = Arc::clone(&world.api);
    world.end().await;
    let broker = api.pubsub("pubsub").unwrap();
    let held = broker.subscribe("orders", Default::default()).await.unwrap();
    assert_eq!(held.next(1).await.unwrap()[0].attempt, 1, "nothing was attempted, as far as is known");
}

#[tokio::test]
async fn what_is_declared_waits_where_there_is_no_application() {
    let world =
        World::with(|config| config.subscriptions = vec![Arc::new(declared("orders", "/orders"))]).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    assert!(world.said.lock().unwrap().concat().contains("the application has no port (--app-port)"));
}

#[tokio::test]
async fn a_rule_without_an_end_costs_a_subscription_and_not_a_sidecar() {
    assert!(Rule::new(&"(".repeat(4_000), "/").is_err());
    let deep = "[".repeat(3_000);
    let subscribes = format!(
        r#"[{{"pubsubname":"pubsub","topic":"a","routes":{{"rules":[{{"match":"{deep}","path":"/a"}}]}}}}]"#
    );
    let app = Subscriber::new(&subscribes, |_, _| done()).await;
    let world = beside(&app).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    assert!(world.said.lock().unwrap().concat().contains("is left out: it has the rule"));
}
