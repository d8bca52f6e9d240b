//! Topics in a Redis through a sidecar: as with the engine, laid out as Dapr lays them out, and through an outage.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::Server;
use super::sidecar::{Sidecar, component, folder, refused};
use crate::world;

/// What an application has been brought, in its order: to which path, and the event.
type Brought = Arc<Mutex<Vec<(String, Value)>>>;

/// An application that subscribes to `orders` with dead letters in `dead`, and to those. It lives as long as the test.
struct App {
    port: u16,
    brought: Brought,
}

impl App {
    /// What it says to an event is for `says` to say, a status.
    fn start(says: fn(&Value) -> u16) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let brought = Brought::default();
        let notes = Arc::clone(&brought);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let notes = Arc::clone(&notes);
                std::thread::spawn(move || serve(stream, &notes, says));
            }
        });
        App { port, brought }
    }

    /// The data of what came to a path.
    fn had(&self, path: &str) -> BTreeSet<String> {
        let brought = self.brought.lock().expect("nobody has panicked");
        let to = brought.iter().filter(|(to, _)| to == path);
        to.map(|(_, event)| event["data"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn serve(stream: TcpStream, notes: &Brought, says: fn(&Value) -> u16) {
    let mut reader = BufReader::new(&stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let (mut line, mut bytes) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                bytes = length.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; bytes];
        reader.read_exact(&mut body).expect("a body");
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match path {
            "/dapr/subscribe" => (200, subscribed()),
            "/orders" | "/dead" => {
                let event: Value = serde_json::from_slice(&body).expect("an event");
                let status = if path == "/dead" { 200 } else { says(&event) };
                notes.lock().expect("nobody has panicked").push((path.to_owned(), event));
                (status, String::new())
            }
            _ => (404, String::new()),
        };
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if (&stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn subscribed() -> String {
    json!([
        {"pubsubname": "messages", "topic": "orders", "route": "/orders", "deadLetterTopic": "dead"},
        {"pubsubname": "messages", "topic": "dead", "route": "/dead"},
    ])
    .to_string()
}

fn shop(server: &Server, more: &[(&str, &str)]) -> TempDir {
    let host = format!("127.0.0.1:{}", server.port);
    let all: Vec<_> = [("redisHost", host.as_str())].into_iter().chain(more.iter().copied()).collect();
    folder(&[("resources/messages.yaml", &component("messages", "pubsub.redis", &all, ""))])
}

fn start(folder: &TempDir, app: &App) -> Sidecar {
    Sidecar::start(folder.path(), "shop", &["--app-port", &app.port.to_string()], &[])
}

fn publish(sidecar: &Sidecar, data: &str) -> u16 {
    sidecar.ask_with("POST", "/v1.0/publish/messages/orders", &[("content-type", "text/plain")], data).status
}

fn pending(server: &Server, topic: &str) -> String {
    server.ask(&["XPENDING", topic, "shop"]).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn topics_in_a_redis_are_consumed_with_dead_letters_and_lie_where_dapr_looks_for_them() {
    let server = Server::start();
    let folder = shop(&server, &[("consumerID", "shop"), ("maxLenApprox", "1000")]);
    let app = App::start(|event| if event["data"] == "bad" { 500 } else { 200 });
    let sidecar = start(&folder, &app);
    assert_eq!(publish(&sidecar, "ours"), 204);
    assert_eq!(publish(&sidecar, "bad"), 204);
    let theirs = json!({"id": "1", "source": "s", "type": "t", "specversion": "1.0", "datacontenttype": "text/plain", "data": "theirs"});
    server.ask(&["XADD", "orders", "*", "data", &theirs.to_string()]);
    let all = ["ours", "bad", "theirs"].map(str::to_owned).into();
    world::wait("the events", || app.had("/orders") == all && app.had("/dead").len() == 1);
    assert_eq!(app.had("/dead"), ["bad".to_owned()].into());
    world::wait("nothing to be pending", || {
        pending(&server, "orders") == "0" && pending(&server, "dead") == "0"
    });
    let entry = server.ask(&["XRANGE", "orders", "-", "+", "COUNT", "1"]);
    let fields: Vec<&str> = entry.lines().skip(1).collect();
    assert_eq!(fields[0], "data");
    let event: Value = serde_json::from_str(fields[1]).expect("an event");
    assert_eq!(
        (&event["data"], &event["pubsubname"], &event["topic"]),
        (&json!("ours"), &json!("messages"), &json!("orders"))
    );
    let told = sidecar.json("GET", "/v1.0/metadata", "").1;
    assert_eq!(told["components"][0]["capabilities"], json!(["BULK_PUBSUB", "HISTORY", "ATTEMPTS"]));
    let once = sidecar.ask_with("POST", "/v1.0/publish/messages/orders", &[("idempotency-key", "k")], "x");
    assert_eq!(once.status, 400, "nobody remembers keys there: {once:?}");
}

#[test]
fn a_redis_that_goes_away_and_comes_back_loses_no_event() {
    let mut server = Server::start();
    let settings = [("processingTimeout", "1s"), ("redeliverInterval", "200ms"), ("redisMaxRetries", "0")];
    let folder = shop(&server, &settings);
    let app = App::start(|_| 200);
    let sidecar = start(&folder, &app);
    assert_eq!(publish(&sidecar, "0"), 204);
    world::wait("the first", || app.had("/orders").contains("0"));
    server.kill();
    let answer = sidecar.ask("POST", "/v1.0/publish/messages/orders", "1");
    assert_eq!((answer.status, &answer.json()["errorCode"]), (500, &json!("ERR_PUBSUB_PUBLISH_MESSAGE")));
    assert_eq!(sidecar.ask("GET", "/v1.0/healthz", "").status, 204);
    server.restart();
    let mut acknowledged = BTreeSet::from(["0".to_owned()]);
    world::wait("the redis", || publish(&sidecar, "2") == 204);
    acknowledged.insert("2".to_owned());
    for n in 3..50 {
        if publish(&sidecar, &n.to_string()) == 204 {
            acknowledged.insert(n.to_string());
        }
    }
    world::wait("all that was acknowledged", || acknowledged.is_subset(&app.had("/orders")));
    world::wait("nothing to be pending", || pending(&server, "orders") == "0");
    // What was with the application when its sidecar ends comes to the next.
    drop(sidecar);
    server.ask(&["XADD", "orders", "*", "data", &json!({"data": "later"}).to_string()]);
    let sidecar = start(&folder, &app);
    world::wait("what came meanwhile", || app.had("/orders").contains("later"));
    drop(sidecar);
}

#[test]
fn what_a_redis_cannot_do_with_topics_is_refused_at_the_start() {
    let server = Server::start();
    for (name, text) in
        [("processingTimeout", "0"), ("concurrency", "0"), ("redisType", "cluster"), ("consumerID", "{uuid}")]
    {
        let said = refused(shop(&server, &[(name, text)]).path(), "shop", &[]);
        assert!(said.contains(&format!("`{name}`")) || said.contains("consumerID"), "{said}");
    }
    let host = format!("127.0.0.1:{}", server.port);
    let outbox =
        [("redisHost", host.as_str()), ("outboxPublishPubsub", "messages"), ("outboxPublishTopic", "saved")];
    let both = shop(&server, &[]);
    std::fs::write(both.path().join("resources/carts.yaml"), component("carts", "state.redis", &outbox, ""))
        .expect("written");
    let said = refused(both.path(), "shop", &[]);
    assert!(said.contains("needs its state and its messages in one commit"), "{said}");
    let nowhere = component("messages", "pubsub.redis", &[("redisHost", "127.0.0.1:1")], "");
    let said = refused(folder(&[("resources/m.yaml", &nowhere)]).path(), "shop", &[]);
    assert!(said.contains("`messages` does not answer"), "{said}");
}
