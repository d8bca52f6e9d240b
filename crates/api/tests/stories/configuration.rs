//! Configuration over both transports, read, written and watched.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::config::{Block, Component, Place};
use api::proto::dapr::runtime::v1::{
    GetConfigurationRequest, GetConfigurationResponse, SubscribeConfigurationRequest,
    SubscribeConfigurationResponse, UnsubscribeConfigurationRequest, UnsubscribeConfigurationResponse,
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::{Value, json};

use crate::app::{App, said};
use crate::world::{Answer, PATIENCE, World};

async fn write(world: &World, store: &str, items: Value) -> Answer {
    world.post(&format!("/v1.0/configuration/{store}"), &json!({ "items": items }).to_string()).await
}

fn dapr(method: &str) -> String {
    format!("dapr.proto.runtime.v1.Dapr/{method}")
}

/// A stream of changes, read as they come.
/// With what has come of it and is no whole message yet, or several.
struct Stream(Incoming, BytesMut);

impl Stream {
    async fn open(world: &World, method: &str, keys: &[&str]) -> Stream {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let request =
            SubscribeConfigurationRequest { store_name: "c".to_owned(), keys, ..Default::default() };
        let message = request.encode_to_vec();
        let mut body = vec![0];
        body.extend_from_slice(&(message.len() as u32).to_be_bytes());
        body.extend_from_slice(&message);
        let stream = TokioIo::new(tokio::net::TcpStream::connect(&world.grpc).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://{}/{}", world.grpc, dapr(method)))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(body)));
        Stream(sender.send_request(request.unwrap()).await.unwrap().into_body(), BytesMut::new())
    }

    /// The next message; nothing at the end.
    async fn next(&mut self) -> Option<SubscribeConfigurationResponse> {
        loop {
            if let Some(length) = self.1.get(1..5) {
                let end = 5 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if self.1.len() >= end {
                    let message = self.1.split_to(end);
                    return Some(SubscribeConfigurationResponse::decode(&message[5..]).unwrap());
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.0.frame()).await.expect("in time")?.unwrap();
            if let Ok(data) = frame.into_data() {
                self.1.extend_from_slice(&data);
            }
        }
    }

    /// Of the next change, the key and the value.
    async fn change(&mut self) -> (String, String) {
        let told = self.next().await.expect("a change");
        let (key, item) = told.items.into_iter().next().expect("an item");
        (key, item.value)
    }
}

#[tokio::test]
async fn items_are_written_together_and_read() {
    let world = World::new().await;
    assert_eq!(world.get("/v1.0/configuration/c").await.status, 204);
    let items = json!([
        { "key": "a", "value": "1", "version": "v1", "metadata": { "by": "ada", "n": 2 } },
        { "key": "b/c d", "value": "2" },
    ]);
    let written = write(&world, "c", items).await;
    let revision = written.json()["revision"].as_str().expect("a revision").to_owned();
    let all = world.get("/v1.0/configuration/c").await;
    assert!(all.body.ends_with('\n'));
    assert_eq!(
        all.json(),
        json!({
            "a": { "value": "1", "version": "v1", "metadata": { "by": "ada", "n": "2", "revision": revision } },
            "b/c d": { "value": "2", "version": revision },
        })
    );
    let some = world.get("/v1.0-alpha1/configuration/c?key=b%2Fc+d&key=none&metadata.x=y").await.json();
    assert_eq!(some.as_object().unwrap().keys().collect::<Vec<_>>(), ["b/c d"]);
    assert_eq!(world.get("/v1.0/configuration/c?key=none").await.status, 204);
    for method in ["GetConfiguration", "GetConfigurationAlpha1"] {
        let request = GetConfigurationRequest {
            store_name: "c".to_owned(),
            keys: vec!["a".to_owned()],
            ..Default::default()
        };
        let told: GetConfigurationResponse = world.call(&dapr(method), &request).await.unwrap();
        assert_eq!((told.items.len(), told.items["a"].value.as_str()), (1, "1"));
        assert_eq!(
            (told.items["a"].version.as_str(), told.items["a"].metadata["by"].as_str()),
            ("v1", "ada")
        );
    }
    let told = world.get("/v1.0/metadata").await.json();
    assert_eq!(told["components"][0]["type"], "configuration.colony");
}

#[tokio::test]
async fn an_edit_relies_on_a_revision_if_it_names_one() {
    let world = World::new().await;
    let new = json!([{ "key": "a", "value": "1", "ifRevision": 0 }, { "key": "b", "value": "1" }]);
    let first = write(&world, "c", new.clone()).await.json()["revision"].as_str().unwrap().to_owned();
    assert_eq!(write(&world, "c", new).await.refused(), (409, "ERR_CONFIGURATION_CONFLICT".to_owned()));
    assert_eq!(
        write(&world, "c", json!([{ "key": "a", "value": "2", "ifRevision": first }])).await.status,
        200
    );
    let late = json!([{ "key": "b", "value": "3" }, { "key": "a", "ifRevision": first }]);
    assert_eq!(write(&world, "c", late).await.refused(), (409, "ERR_CONFIGURATION_CONFLICT".to_owned()));
    let told = world.get("/v1.0/configuration/c").await.json();
    assert_eq!((&told["a"]["value"], &told["b"]["value"]), (&json!("2"), &json!("1")), "all or nothing");
    assert_eq!(write(&world, "c", json!([{ "key": "a" }])).await.status, 200);
    assert_eq!(world.get("/v1.0/configuration/c?key=a").await.status, 204);
}

#[tokio::test]
async fn changes_are_a_stream_over_grpc() {
    let world = World::new().await;
    write(&world, "c", json!([{ "key": "a", "value": "0" }])).await;
    let mut some = Stream::open(&world, "SubscribeConfigurationAlpha1", &["a", "b"]).await;
    let mut all = Stream::open(&world, "SubscribeConfiguration", &[]).await;
    let id = some.next().await.expect("the first says the id").id;
    assert!(!id.is_empty() && all.next().await.is_some_and(|first| first.items.is_empty()));
    write(&world, "c", json!([{ "key": "other", "value": "1" }])).await;
    write(&world, "c", json!([{ "key": "a", "value": "2" }])).await;
    assert_eq!(some.change().await, ("a".to_owned(), "2".to_owned()));
    assert_eq!(all.change().await.0, "other");
    assert_eq!(all.change().await.0, "a");
    write(&world, "c", json!([{ "key": "a" }])).await;
    let gone = some.next().await.expect("a change");
    assert_eq!((gone.id.as_str(), gone.items["a"].value.as_str()), (id.as_str(), ""));
    let unsubscribe =
        |id: &str| UnsubscribeConfigurationRequest { store_name: "c".to_owned(), id: id.to_owned() };
    for (method, ok) in [("UnsubscribeConfiguration", true), ("UnsubscribeConfigurationAlpha1", false)] {
        let told: UnsubscribeConfigurationResponse =
            world.call(&dapr(method), &unsubscribe(&id)).await.unwrap();
        assert_eq!((told.ok, told.message.is_empty()), (ok, ok), "{}", told.message);
    }
    assert_eq!(some.next().await, None, "it has ended");
    world.instance.end();
    while all.next().await.is_some() {}
}

#[tokio::test]
async fn who_watches_goes_on_where_the_store_is_kept_from_now_on() {
    let world = World::new().await;
    write(&world, "c", json!([{ "key": "a", "value": "disk" }])).await;
    let mut watch = Stream::open(&world, "SubscribeConfiguration", &["a"]).await;
    assert!(watch.next().await.is_some_and(|first| !first.id.is_empty()));
    world.renew(|config| config.grace = Duration::from_secs(6));
    write(&world, "c", json!([{ "key": "a", "value": "still" }])).await;
    assert_eq!(watch.change().await, ("a".to_owned(), "still".to_owned()));
    let block = Block::Configuration { place: Place::Memory };
    let component =
        Component { name: "c".into(), kind: "configuration.in-memory".into(), version: "v1".into(), block };
    world.renew(|config| config.components.push(component));
    write(&world, "c", json!([{ "key": "a", "value": "memory" }])).await;
    assert_eq!(watch.change().await, ("a".to_owned(), "memory".to_owned()));
    // Of what was there it may be told again.
    write(&world, "c", json!([{ "key": "a", "value": "later" }])).await;
    while watch.change().await.1 != "later" {}
}

#[tokio::test]
async fn changes_are_brought_to_the_application_in_their_order() {
    let calls: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let status = Arc::new(AtomicU16::new(500));
    let (noted, answer) = (Arc::clone(&calls), Arc::clone(&status));
    let app = App::new(move |request| {
        let (noted, status) = (Arc::clone(&noted), answer.load(Ordering::Relaxed));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            // What it is asked at its start is no call of these.
            if head.method == http::Method::POST {
                let path = format!("{} {}", head.method, head.uri.path());
                noted.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
            }
            said(status, "")
        }
    })
    .await;
    let world = World::with(|config| config.app.port = Some(app.port)).await;
    let wait = async |count: usize| {
        let begun = Instant::now();
        while calls.lock().unwrap().len() < count {
            assert!(begun.elapsed() < PATIENCE, "{:?}", calls.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        calls.lock().unwrap().clone()
    };
    let id = world.get("/v1.0/configuration/c/subscribe?key=a&key=b%20c").await.json()["id"].clone();
    for (key, value) in [("a", "1"), ("other", "1"), ("b c", "2")] {
        write(&world, "c", json!([{ "key": key, "value": value, "version": "v" }])).await;
    }
    let tried = wait(3).await;
    assert!(tried.iter().all(|(path, _)| path == "POST /configuration/c/a"), "until it is taken: {tried:?}");
    status.store(200, Ordering::Relaxed);
    let begun = Instant::now();
    let last = loop {
        let last = calls.lock().unwrap().last().cloned().expect("one");
        if last.0.ends_with("c/b%20c") {
            break last.1;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&last["id"], &last["items"]["b c"]["value"]), (&id, &json!("2")));
    let count = calls.lock().unwrap().len();
    write(&world, "c", json!([{ "key": "a" }])).await;
    let gone = wait(count + 1).await.pop().expect("one").1;
    assert_eq!(gone["items"], json!({ "a": {} }));
    let path = format!("/v1.0/configuration/c/{}/unsubscribe", id.as_str().unwrap());
    assert_eq!(world.get(&path).await.json(), json!({ "ok": true }));
    let again = world.get(&path).await;
    assert_eq!(
        (again.status, again.json()["message"].is_string(), &again.json()["errorCode"]),
        (500, true, &Value::Null)
    );
    write(&world, "c", json!([{ "key": "a", "value": "3" }])).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(calls.lock().unwrap().len(), count + 1, "nobody is told any more");
}

#[tokio::test]
async fn what_configuration_does_not_take_is_refused() {
    let world = World::with(|config| {
        config.foreign.push("theirs".to_owned());
        let block = Block::Configuration { place: Place::Memory };
        let (name, kind, version) =
            ("memory".to_owned(), "configuration.in-memory".to_owned(), "v1".to_owned());
        config.components.push(Component { name, kind, version, block });
    })
    .await;
    for path in ["theirs", "theirs/subscribe", "theirs/id/unsubscribe"] {
        let refused = world.get(&format!("/v1.0/configuration/{path}")).await;
        assert_eq!(refused.refused(), (400, "ERR_CONFIGURATION_STORE_NOT_FOUND".to_owned()), "{path}");
    }
    let request = GetConfigurationRequest { store_name: "theirs".to_owned(), ..Default::default() };
    let refused =
        world.call::<GetConfigurationResponse>(&dapr("GetConfiguration"), &request).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (3, "configuration store theirs not found"));
    assert_eq!(
        world.get("/v1.0/configuration/c/subscribe").await.refused(),
        (500, "ERR_APP_CHANNEL_NIL".to_owned())
    );
    let nothing = world.post("/v1.0/configuration/c", r#"{"items":[]}"#).await;
    assert_eq!(nothing.refused(), (400, "ERR_CONFIGURATION_INVALID".to_owned()));
    let many: Vec<String> = (0..1_001).map(|n| format!("key={n}")).collect();
    let refused = world.get(&format!("/v1.0/configuration/c?{}", many.join("&"))).await;
    assert!(
        matches!(refused.refused(), (500, code) if code == "ERR_CONFIGURATION_GET") || refused.status == 431
    );
    assert_eq!(write(&world, "memory", json!([{ "key": "a", "value": "1" }])).await.status, 200);
    assert_eq!(world.get("/v1.0/configuration/memory?key=a").await.json()["a"]["value"], "1");
    for items in [
        json!([{ "key": "a", "value": 1 }]),
        json!([{ "value": "1" }]),
        json!({}),
        json!([{ "key": "a", "odd": 1 }]),
    ] {
        let refused = write(&world, "c", items.clone()).await;
        assert_eq!(refused.refused(), (400, "ERR_MALFORMED_REQUEST".to_owned()), "{items}");
    }
    let twice = json!([{ "key": "a", "value": "1" }, { "key": "a", "value": "2" }]);
    assert_eq!(write(&world, "c", twice).await.refused(), (400, "ERR_CONFIGURATION_INVALID".to_owned()));
}
