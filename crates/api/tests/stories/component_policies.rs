//! Policies between an application and its components, both ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::config::{Adapter, Binding, Block, Component, Input as Declared, Place, Prefix};
use api::resiliency::{Breaking, Components, Family, Policies, Retry, Trip};
use bytes::Bytes;
use components::state::{Error, Item, Operation, Store};
use components::{Reply, binding, secret};
use policy::{CountedConfig, Pace, RepeatConfig};
use tokio::sync::Notify;

use crate::subscriber::{Does, Subscriber, answers, beside_with, done, event, publish};
use crate::world::{PATIENCE, World, store};

fn retry(max: u32) -> Policies {
    let pace = RepeatConfig { max: Some(max), pace: Pace::Constant(Duration::from_millis(1)) };
    Policies { retry: Some(Retry { pace, http: None, grpc: None }), ..Policies::default() }
}

fn named(name: &str, policies: Policies) -> Components {
    Components { named: [(name.to_owned(), policies)].into(), ..Components::default() }
}

/// Does not answer this many times, and then does.
struct Shaky {
    away: usize,
    asked: AtomicUsize,
}

impl Shaky {
    fn new(away: usize) -> Arc<Shaky> {
        Arc::new(Shaky { away, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn is_away(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) < self.away
    }

    fn answer<T>(&self, answer: T) -> Result<T, Error> {
        if self.is_away() { Err(Error::Unavailable("it is away".to_owned())) } else { Ok(answer) }
    }
}

impl Store for Shaky {
    fn get<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a, Result<Option<Item>, Error>> {
        let item = Item { value: Bytes::from_static(b"1"), etag: 1, expires: None };
        Box::pin(async { self.answer(Some(item)) })
    }

    fn get_many<'a>(&'a self, _: &'a str, keys: &'a [String]) -> Reply<'a, Result<Vec<Option<Item>>, Error>> {
        Box::pin(async { self.answer(vec![None; keys.len()]) })
    }

    fn write<'a>(&'a self, _: &'a str, operation: Operation) -> Reply<'a, Result<(), Error>> {
        Box::pin(async move {
            self.answer(())?;
            if operation.key == "taken" { Err(Error::Conflict("it is taken".to_owned())) } else { Ok(()) }
        })
    }

    fn write_many<'a>(
        &'a self,
        _: &'a str,
        operations: Vec<Operation>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(async move { self.answer(operations.iter().map(|_| Ok(())).collect()) })
    }

    fn transact<'a>(&'a self, _: &'a str, _: Vec<Operation>) -> Reply<'a, Result<(), Error>> {
        Box::pin(async { self.answer(()) })
    }
}

impl secret::Store for Shaky {
    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<secret::Secret, secret::Error>> {
        let _ = self.is_away();
        Box::pin(async move { Err(secret::Error::Unknown(name.to_owned())) })
    }

    fn all(&self) -> Reply<'_, Result<std::collections::BTreeMap<String, secret::Secret>, secret::Error>> {
        let away = self.is_away();
        Box::pin(async move {
            if away { Err(secret::Error::Unavailable("away".to_owned())) } else { Ok([].into()) }
        })
    }
}

impl binding::Output for Shaky {
    fn operations(&self) -> &'static [&'static str] {
        &["create", "hang"]
    }

    fn invoke(&self, request: binding::Request) -> Reply<'_, Result<binding::Response, binding::Error>> {
        let away = self.is_away();
        Box::pin(async move {
            if request.operation == "hang" {
                std::future::pending::<()>().await;
            }
            match away {
                true => Err(binding::Error::new("away")),
                false => Ok(binding::Response::of(request.data)),
            }
        })
    }
}

fn component(name: &str, kind: &str, block: Block) -> Component {
    Component { name: name.to_owned(), kind: kind.to_owned(), version: "v1".to_owned(), block }
}

fn output(shaky: &Arc<Shaky>) -> Component {
    let output: Arc<dyn binding::Output> = shaky.clone();
    component("b", "bindings.shaky", Block::Binding(Binding { output: Some(Adapter(output)), input: None }))
}

async fn keeping(away: usize, policies: Policies) -> (World, Arc<Shaky>) {
    let shaky = Shaky::new(away);
    let kept: Arc<dyn Store> = shaky.clone();
    let world = World::with(|config| {
        config.components.push(store("s", Place::Outside(Adapter(kept)), Prefix::AppId));
        config.resiliency.outbound = named("s", policies);
    })
    .await;
    (world, shaky)
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_asked_again() {
    for (method, path, body, status) in [
        ("GET", "/v1.0/state/s/k", "", 200),
        ("POST", "/v1.0/state/s", r#"[{"key":"k","value":1}]"#, 204),
        ("POST", "/v1.0/state/s", r#"[{"key":"k","value":1},{"key":"l","value":2}]"#, 204),
        ("DELETE", "/v1.0/state/s/k", "", 204),
        ("POST", "/v1.0/state/s/bulk", r#"{"keys":["k"]}"#, 200),
        (
            "POST",
            "/v1.0/state/s/transaction",
            r#"{"operations":[{"operation":"upsert","request":{"key":"k","value":1}}]}"#,
            204,
        ),
    ] {
        let (world, shaky) = keeping(2, retry(2)).await;
        let answer = world.ask(method, path, body).await;
        assert_eq!((answer.status, shaky.asked()), (status, 3), "{method} {path} {body}: {answer:?}");
    }
    let (world, shaky) = keeping(9, retry(2)).await;
    assert_eq!(world.get("/v1.0/state/s/k").await.refused(), (500, "ERR_STATE_GET".to_owned()));
    assert_eq!(shaky.asked(), 3);
    let (world, shaky) = keeping(0, retry(2)).await;
    let taken = world.post("/v1.0/state/s", r#"[{"key":"taken","value":1}]"#).await;
    assert_eq!((taken.status, shaky.asked()), (409, 1), "it has answered");
}

#[tokio::test]
async fn a_component_that_fails_is_left_alone() {
    let config = CountedConfig { open_for: Duration::from_secs(600), ..CountedConfig::default() };
    let breaker = Breaking { config, trip: Trip::new("consecutiveFailures >= 2").unwrap(), methods_max: 100 };
    let policies = Policies { breaker: Some(breaker), ..retry(9) };
    let (world, shaky) = keeping(9, policies).await;
    let answer = world.get("/v1.0/state/s/k").await;
    assert!(answer.status == 500 && answer.body.contains("circuit breaker is open"), "{answer:?}");
    assert_eq!(shaky.asked(), 2);
    assert!(world.post("/v1.0/state/s", r#"[{"key":"k","value":1}]"#).await.body.contains("breaker is open"));
    assert_eq!((shaky.asked(), world.get("/v1.0/state/other/k").await.status), (2, 204));
}

#[tokio::test]
async fn what_takes_too_long_is_not_waited_for() {
    let shaky = Shaky::new(0);
    let world = World::with(|config| {
        config.components.push(output(&shaky));
        let policies = Policies { timeout: Some(Duration::from_millis(20)), ..retry(1) };
        config.resiliency.outbound.others = [(Family::Binding, policies)].into();
    })
    .await;
    let answer = world.post("/v1.0/bindings/b", r#"{"operation":"hang"}"#).await;
    assert_eq!(answer.refused(), (500, "ERR_INVOKE_OUTPUT_BINDING".to_owned()));
    assert!(answer.body.contains("context deadline exceeded"), "{answer:?}");
    assert_eq!(shaky.asked(), 2);
}

#[tokio::test]
async fn bindings_and_secrets_are_asked_again() {
    let shaky = Shaky::new(1);
    let vault = Shaky::new(1);
    let known: Arc<dyn secret::Store> = vault.clone();
    let world = World::with(|config| {
        config.components.push(output(&shaky));
        let block = Block::Secrets { store: Adapter(known), scope: secret::Scope::default() };
        config.components.push(component("vault", "secretstores.shaky", block));
        let others = [Family::Binding, Family::Secrets].map(|family| (family, retry(3)));
        config.resiliency.outbound.others = others.into();
    })
    .await;
    assert_eq!(world.post("/v1.0/bindings/b", r#"{"operation":"create","data":1}"#).await.status, 200);
    assert_eq!(shaky.asked(), 2);
    assert_eq!(world.get("/v1.0/secrets/vault/bulk").await.status, 200);
    assert_eq!(vault.asked(), 2);
    assert_eq!(world.get("/v1.0/secrets/vault/none").await.status, 500);
    assert_eq!(vault.asked(), 3, "it has said that there is none");
}

const ORDERS: &str = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders","deadLetterTopic":"dead"},
    {"pubsubname":"pubsub","topic":"dead","route":"/dead"}]"#;

#[tokio::test]
async fn an_event_is_tried_as_often_as_the_policy_says_before_it_is_a_dead_letter() {
    let app = Subscriber::new(ORDERS, |had, count| match (&*had.path, had.json()["id"].as_str().unwrap()) {
        ("/orders", "heals") if count < 3 => answers(500, ""),
        ("/orders", "never") => answers(200, r#"{"status":"RETRY"}"#),
        ("/orders", "breaks") => Does::Breaks,
        ("/orders", "unwanted") => answers(404, ""),
        _ => done(),
    })
    .await;
    let world = beside_with(&app, |config| config.resiliency.inbound = named("pubsub", retry(2))).await;
    publish(&world, "orders", event("heals")).await;
    app.has(3, "/orders").await;
    for (before, id, tries) in [(3, "never", 3), (6, "breaks", 3), (9, "unwanted", 1)] {
        publish(&world, "orders", event(id)).await;
        app.has(before + tries, "/orders").await;
    }
    let dead = app.has(3, "/dead").await;
    let ids: Vec<_> = dead.iter().map(|had| had.json()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["never", "breaks", "unwanted"]);
    world.end().await;
    assert_eq!(app.on("/orders").len(), 10);
}

#[tokio::test]
async fn of_several_those_are_tried_again_that_failed() {
    let subscribes = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders",
        "bulkSubscribe":{"enabled":true,"maxMessagesCount":3,"maxAwaitDurationMs":60000}}]"#;
    let app = Subscriber::new(subscribes, |had, count| {
        let entries = had.json()["entries"].as_array().unwrap().clone();
        let of = |at: usize, entry: &serde_json::Value| {
            let status = if at == 0 && count < 3 { "RETRY" } else { "SUCCESS" };
            serde_json::json!({ "entryId": entry["entryId"], "status": status })
        };
        let statuses: Vec<_> = entries.iter().enumerate().map(|(at, entry)| of(at, entry)).collect();
        answers(200, &serde_json::json!({ "statuses": statuses }).to_string())
    })
    .await;
    let world = beside_with(&app, |config| config.resiliency.inbound = named("pubsub", retry(5))).await;
    for id in ["1", "2", "3"] {
        publish(&world, "orders", event(id)).await;
    }
    let had = app.has(3, "/orders").await;
    let counts: Vec<_> = had.iter().map(|had| had.json()["entries"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [3, 1, 1]);
    world.end().await;
    assert_eq!(app.on("/orders").len(), 3);
}

/// Brings one event, and notes what came of it.
struct Once(Arc<Notify>);

impl binding::Input for Once {
    fn run<'a>(&'a self, taker: &'a dyn binding::Taker) -> Reply<'a, ()> {
        Box::pin(async move {
            if taker.take(binding::Event::default()).await.is_ok() {
                self.0.notify_one();
            }
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn an_event_of_a_binding_is_tried_again() {
    let app = Subscriber::new("[]", |_, count| if count < 3 { answers(500, "") } else { done() }).await;
    let taken = Arc::new(Notify::new());
    let source: Arc<dyn binding::Input> = Arc::new(Once(Arc::clone(&taken)));
    let _world = beside_with(&app, |config| {
        let input = Declared { source: Adapter(source), route: "events".to_owned(), asked: false };
        let block = Block::Binding(Binding { output: None, input: Some(input) });
        config.components.push(component("b", "bindings.once", block));
        config.resiliency.inbound.others = [(Family::Binding, retry(2))].into();
    })
    .await;
    tokio::time::timeout(PATIENCE, taken.notified()).await.expect("it is taken in the end");
    assert_eq!(app.on("/events").len(), 3);
}
