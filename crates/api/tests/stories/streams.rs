//! Event streams over HTTP and gRPC.

use api::app::App;
use api::config;
use api::proto::colony::v1::expected::Is;
use api::proto::colony::v1::streams_client::StreamsClient;
use api::proto::colony::v1::subscribe_request::From;
use api::proto::colony::v1::{
    AppendRequest, DefineStoreRequest, DeleteStreamRequest, Expected, GetSnapshotRequest, GetStoreRequest,
    NewEvent, ReadRequest, SaveSnapshotRequest, StreamState, SubscribeRequest, TruncateRequest,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use crate::world::{Answer, PATIENCE, World};

const STORE: &str = "/v1.0/streams/facts";
const STREAM: &str = "/v1.0/streams/facts/order-1";

async fn defined() -> World {
    let world = World::new().await;
    assert_eq!(world.ask("PUT", STORE, "").await.status, 204);
    world
}

async fn append(world: &World, query: &str, events: Value) -> Answer {
    world.post(&format!("{STREAM}{query}"), &events.to_string()).await
}

/// Somebody who follows.
struct Follower(Lines<BufReader<TcpStream>>);

impl Follower {
    async fn new(world: &World, path: &str, more: &str) -> Follower {
        let mut stream = TcpStream::connect(&world.http).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Follower(BufReader::new(stream).lines())
    }

    /// The next field of this name.
    async fn field(&mut self, name: &str) -> String {
        let found = async {
            loop {
                let line = self.0.next_line().await.unwrap().expect("it goes on");
                if let Some(value) = line.strip_prefix(name) {
                    return value.to_owned();
                }
            }
        };
        timeout(PATIENCE, found).await.expect("it comes")
    }

    /// The id and the data of the next event.
    async fn next(&mut self) -> (String, Value) {
        let id = self.field("id: ").await;
        (id, serde_json::from_str(&self.field("data: ").await).unwrap())
    }
}

#[tokio::test]
async fn events_are_appended_and_read_both_ways() {
    let world = defined().await;
    let events = json!([
        { "type": "placed", "id": "e1", "data": { "apples": 3 }, "metadata": { "by": "ada" } },
        { "type": "paid", "data": "in cash", "contentType": "text/plain" },
        { "type": "packed", "dataBase64": "/w==" },
    ]);
    let appended = append(&world, "?expected=noStream", events.clone()).await;
    assert_eq!((appended.status, &appended.json()["version"]), (200, &json!(3)), "{appended:?}");
    let late = append(&world, "?expected=2", json!([{ "type": "x" }])).await;
    assert_eq!(late.refused(), (409, "ERR_STREAM_CONFLICT".to_owned()));
    let page = world.get(&format!("{STREAM}?max=2")).await.json();
    assert_eq!((&page["version"], &page["state"], &page["next"]), (&json!(3), &json!("live"), &json!(3)));
    let first = &page["events"][0];
    assert_eq!((&first["data"], &first["metadata"]), (&json!({ "apples": 3 }), &json!({ "by": "ada" })));
    assert_eq!(
        (&first["id"], &first["type"], &first["version"]),
        (&json!("e1"), &json!("placed"), &json!(1))
    );
    assert_eq!(page["events"][1]["data"], "in cash");
    let back = world.get(&format!("{STREAM}?direction=backwards&max=1")).await.json();
    assert_eq!((&back["events"][0]["dataBase64"], &back["next"]), (&json!("/w=="), &json!(2)));
    let rest = world.get(&format!("{STREAM}?from=3")).await.json();
    assert_eq!((rest["events"].as_array().unwrap().len(), rest.get("next")), (1, None));
    let typed = world.get(&format!("{STREAM}?type=paid&type=packed")).await.json();
    assert_eq!(typed["events"].as_array().unwrap().len(), 2);
    assert_eq!(world.get(&format!("{STORE}/none")).await.refused(), (404, "ERR_STREAM_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_store_is_defined_once_and_for_all() {
    let world = World::new().await;
    let refused = append(&world, "", json!([{ "type": "x" }])).await;
    assert_eq!(refused.refused(), (404, "ERR_STREAM_NOT_FOUND".to_owned()));
    assert_eq!(world.get(STORE).await.refused(), (404, "ERR_STREAM_NOT_FOUND".to_owned()));
    let settings = json!({ "spread": "together", "countMax": 10, "ageMax": "24h", "snapshots": 2 });
    assert_eq!(world.ask("PUT", STORE, &settings.to_string()).await.status, 204);
    assert_eq!(world.get(STORE).await.json(), settings);
    let other = world.ask("PUT", STORE, r#"{"spread":"byStream"}"#).await;
    assert!((400..500).contains(&other.status), "{other:?}");
    assert_eq!(world.ask("PUT", STORE, r#"{"snapshots":17,"spread":"together"}"#).await.status, 400);
}

#[tokio::test]
async fn who_follows_goes_on_where_it_was() {
    let world = defined().await;
    append(&world, "", json!([{ "type": "placed" }, { "type": "paid" }])).await;
    let mut follower = Follower::new(&world, STREAM, "").await;
    let (_, placed) = follower.next().await;
    let (id, paid) = follower.next().await;
    assert_eq!((&placed["version"], &paid["type"]), (&json!(1), &json!("paid")));
    append(&world, "", json!([{ "type": "packed" }])).await;
    assert_eq!(follower.next().await.1["type"], "packed");
    drop(follower);
    let mut again = Follower::new(&world, STREAM, &format!("last-event-id: {id}\r\n")).await;
    assert_eq!(again.next().await.1["type"], "packed", "what was had does not come again");
    let mut from = Follower::new(&world, &format!("{STREAM}?from=1"), "").await;
    assert_eq!(from.next().await.1["type"], "paid");
    let mut all = Follower::new(&world, &format!("{STORE}?type=shipped&streams=order"), "").await;
    let mut now = Follower::new(&world, &format!("{STORE}?from=now"), "").await;
    assert_eq!(now.field("HTTP/1.1 ").await, "200 OK");
    world.post(&format!("{STORE}/visit-1"), r#"[{"type":"shipped"}]"#).await;
    world.post(&format!("{STORE}/order-2"), r#"[{"type":"shipped"}]"#).await;
    assert_eq!(all.next().await.1["stream"], "order-2");
    assert_eq!(
        (now.next().await.1["stream"].clone(), now.next().await.1["stream"].clone()),
        ("visit-1".into(), "order-2".into())
    );
    timeout(PATIENCE, world.end()).await.expect("who follows is let go of");
    assert!(timeout(PATIENCE, all.0.next_line()).await.is_ok());
}

#[tokio::test]
async fn snapshots_are_kept_and_what_lies_before_goes() {
    let world = defined().await;
    append(&world, "", json!([{ "type": "a" }, { "type": "b" }, { "type": "c" }])).await;
    let snapshot = format!("{STREAM}/snapshot");
    assert_eq!(world.get(&snapshot).await.refused(), (404, "ERR_STREAM_NOT_FOUND".to_owned()));
    assert_eq!(world.ask("PUT", &format!("{snapshot}?version=2"), "two apples").await.status, 204);
    let saved = world.get(&format!("{snapshot}?version=3")).await;
    assert_eq!((saved.body.as_str(), saved.header("colony-version")), ("two apples", Some("2")));
    assert_eq!(world.post(&format!("{STREAM}/truncate"), r#"{"before":3}"#).await.status, 204);
    let page = world.get(STREAM).await.json();
    assert_eq!((&page["first"], page["events"].as_array().unwrap().len()), (&json!(3), 1));
    let early = world.ask("DELETE", &format!("{STREAM}?expected=2"), "").await;
    assert_eq!(early.refused(), (409, "ERR_STREAM_CONFLICT".to_owned()));
    assert_eq!(world.ask("DELETE", &format!("{STREAM}?expected=3&tombstone=true"), "").await.status, 204);
    assert_eq!(world.get(STREAM).await.json()["state"], "tombstone");
    let dead = append(&world, "", json!([{ "type": "d" }])).await;
    assert!((400..500).contains(&dead.status), "{dead:?}");
}

#[tokio::test]
async fn what_streams_do_not_take_is_refused() {
    let world = defined().await;
    for (method, path, body, code) in [
        ("POST", "", "[]", "ERR_STREAM_INVALID"),
        ("POST", "", "{", "ERR_MALFORMED_REQUEST"),
        ("POST", "", r#"[{"data":1}]"#, "ERR_MALFORMED_REQUEST"),
        ("POST", "", r#"[{"type":"a","data":1,"contentType":"text/plain"}]"#, "ERR_STREAM_INVALID"),
        ("POST", "?expected=soon", r#"[{"type":"a"}]"#, "ERR_STREAM_INVALID"),
        ("GET", "?from=first", "", "ERR_STREAM_INVALID"),
        ("GET", "?max=0", "", "ERR_STREAM_INVALID"),
        ("GET", "?direction=sideways", "", "ERR_STREAM_INVALID"),
        ("PUT", "/snapshot", "x", "ERR_STREAM_INVALID"),
        ("POST", "/truncate", "{}", "ERR_MALFORMED_REQUEST"),
        ("DELETE", "?tombstone=maybe", "", "ERR_STREAM_INVALID"),
    ] {
        let refused = world.ask(method, &format!("{STREAM}{path}"), body).await;
        assert_eq!(refused.refused(), (400, code.to_owned()), "{method} {path} {body}");
    }
    let accept = [("accept", "text/html, text/event-stream")];
    let odd = world.ask_with("GET", &format!("{STREAM}?from=x"), &accept, b"").await;
    assert_eq!(odd.refused(), (400, "ERR_STREAM_INVALID".to_owned()));
    let none = world.ask_with("GET", "/v1.0/streams/none", &accept, b"").await;
    assert_eq!(none.refused(), (404, "ERR_STREAM_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn what_is_appended_under_a_key_is_appended_once() {
    let world = defined().await;
    let once = || world.ask_with("POST", STREAM, &[("idempotency-key", "a")], br#"[{"type":"a"}]"#);
    assert_eq!(once().await.json(), once().await.json());
    assert_eq!(world.get(STREAM).await.json()["version"], 1);
}

#[tokio::test]
async fn streams_are_the_same_over_grpc() {
    let world = World::new().await;
    let port = world.grpc.rsplit(':').next().unwrap().parse().ok();
    let app = App::new(&config::App { port, protocol: "grpc".to_owned(), ..config::App::default() });
    let mut client = StreamsClient::new(app);
    let (store, stream) = (|| "facts".to_owned(), || "order-1".to_owned());
    let appending = |expected: Is, types: &[&str]| AppendRequest {
        store: store(),
        stream: stream(),
        expected: Some(Expected { is: Some(expected) }),
        events: types
            .iter()
            .map(|r#type| NewEvent { r#type: (*r#type).to_owned(), data: "1".into(), ..NewEvent::default() })
            .collect(),
    };
    let undefined = client.append(appending(Is::NoStream(()), &["a"])).await.unwrap_err();
    assert_eq!(undefined.code(), Code::NotFound);
    client.define(DefineStoreRequest { store: store(), settings: None }).await.unwrap();
    assert_eq!(client.get(GetStoreRequest { store: store() }).await.unwrap().into_inner().snapshots, 1);
    let appended = client.append(appending(Is::NoStream(()), &["a", "b"])).await.unwrap().into_inner();
    assert_eq!((appended.version, appended.position), (2, 2));
    assert_eq!(client.append(appending(Is::Version(1), &["c"])).await.unwrap_err().code(), Code::Aborted);
    let reading =
        ReadRequest { store: store(), stream: stream(), backwards: true, max: 1, ..ReadRequest::default() };
    let page = client.read(reading.clone()).await.unwrap().into_inner();
    assert_eq!(
        (page.events[0].r#type.as_str(), page.events[0].content_type.as_str(), page.next),
        ("b", "application/json", Some(1))
    );
    assert_eq!(
        client.read(ReadRequest { max: 1_001, ..reading.clone() }).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let following = SubscribeRequest {
        store: store(),
        stream: stream(),
        from: Some(From::Version(1)),
        ..SubscribeRequest::default()
    };
    let mut events = client.subscribe(following.clone()).await.unwrap().into_inner();
    let told = timeout(PATIENCE, events.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.event.unwrap().r#type, "b");
    client.append(appending(Is::Version(2), &["c"])).await.unwrap();
    let mut on = client
        .subscribe(SubscribeRequest { from: Some(From::Place(told.place)), ..following.clone() })
        .await
        .unwrap()
        .into_inner();
    for events in [&mut events, &mut on] {
        let told = timeout(PATIENCE, events.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(told.event.unwrap().r#type, "c");
    }
    for from in [From::Version(1), From::Place("x".to_owned())] {
        let odd = SubscribeRequest { stream: String::new(), from: Some(from), ..following.clone() };
        assert_eq!(client.subscribe(odd).await.unwrap_err().code(), Code::InvalidArgument);
    }
    client
        .save_snapshot(SaveSnapshotRequest { store: store(), stream: stream(), version: 3, data: "s".into() })
        .await
        .unwrap();
    let snapshot = client
        .get_snapshot(GetSnapshotRequest { store: store(), stream: stream(), version: None })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((snapshot.version, &snapshot.data[..]), (3, &b"s"[..]));
    client.truncate(TruncateRequest { store: store(), stream: stream(), before: 3 }).await.unwrap();
    client
        .delete(DeleteStreamRequest { store: store(), stream: stream(), expected: None, tombstone: false })
        .await
        .unwrap();
    assert_eq!(client.read(reading).await.unwrap().into_inner().state(), StreamState::Deleted);
}
