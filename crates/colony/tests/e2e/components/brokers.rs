//! Brokers of others through `colony sidecar`: what is published reaches the application, whatever it says to it and though the
//! broker goes away.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::nats_server::Server as Nats;
use super::rabbitmq_server::Server as Rabbit;
use super::sidecar::{Sidecar, component, folder, refused};
use crate::world::{listening, wait};

/// An application that notes what it is brought, by route, and cannot deal with what asks for that.
#[derive(Clone, Default)]
struct Shop(Arc<Mutex<BTreeMap<String, Vec<Value>>>>);

impl Shop {
    fn listen(&self) -> SocketAddr {
        let shop = self.clone();
        listening(move |stream| {
            let _ = shop.answer(stream);
        })
    }

    /// None when the connection is over.
    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
            let path = line.split(' ').nth(1)?.to_owned();
            let mut length = 0;
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().ok()?;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let (status, said) = self.said(&path, &body);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{said}", said.len());
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn said(&self, path: &str, body: &[u8]) -> (u16, String) {
        let to = |topic: &str| json!({"pubsubname": "broker", "topic": topic, "route": topic});
        let mut returns = to("returns");
        returns["deadLetterTopic"] = "trouble".into();
        match path {
            "/dapr/subscribe" => (200, json!([to("orders"), returns, to("trouble")]).to_string()),
            "/dapr/config" => (404, String::new()),
            path => {
                let event: Value = serde_json::from_slice(body).unwrap_or_default();
                let data = event["data"].clone();
                let mut had = self.0.lock().expect("lock");
                let had = had.entry(path.to_owned()).or_default();
                had.push(data.clone());
                let times = had.iter().filter(|other| **other == data).count() as u64;
                let fails = path != "/trouble" && data["fails"].as_u64().is_some_and(|fails| times <= fails);
                (if fails { 500 } else { 200 }, String::new())
            }
        }
    }

    fn times(&self, route: &str, data: &Value) -> usize {
        let had = self.0.lock().expect("lock");
        had.get(route).map_or(0, |had| had.iter().filter(|other| *other == data).count())
    }
}

/// A broker that can be killed and started again.
trait Broken {
    fn kill(&mut self);
    fn restart(&mut self);
}

impl Broken for Rabbit {
    fn kill(&mut self) {
        Rabbit::kill(self);
    }

    fn restart(&mut self) {
        Rabbit::restart(self);
    }
}

impl Broken for Nats {
    fn kill(&mut self) {
        Nats::kill(self);
    }

    fn restart(&mut self) {
        Nats::restart(self);
    }
}

fn story(kind: &str, settings: &[(&str, &str)], broker: &mut dyn Broken) {
    let shop = Shop::default();
    let port = shop.listen().port().to_string();
    let folder = folder(&[("resources/broker.yaml", &component("broker", kind, settings, ""))]);
    let sidecar = Sidecar::start(folder.path(), "shop", &["--app-port", &port], &[]);
    let kinds = sidecar.json("GET", "/v1.0/metadata", "").1["components"].clone();
    assert_eq!(kinds[0]["type"], kind);
    // The groups are there when the application is.
    wait("the application", || sidecar.ask("GET", "/v1.0/healthz", "").status == 204);
    let subscribed = || sidecar.json("GET", "/v1.0/metadata", "").1["subscriptions"].as_array().map(Vec::len);
    wait("the subscriptions", || subscribed() == Some(3));
    let publish = |topic: &str, data: &Value| {
        let headers = [("content-type", "application/json")];
        sidecar.ask_with("POST", &format!("/v1.0/publish/broker/{topic}"), &headers, &data.to_string())
    };
    let arrives = |route: &str, data: &Value, times: usize| {
        wait("an event", || shop.times(route, data) >= times);
    };
    // A queue is there from its group's first moment on, which may not be yet.
    let first = json!({"n": 0});
    wait("the first", || publish("orders", &first).status == 204 && shop.times("/orders", &first) > 0);
    let bulk = json!([
        {"entryId": "1", "event": {"n": 1}, "contentType": "application/json"},
        {"entryId": "2", "event": {"n": 2}, "contentType": "application/json"},
    ]);
    assert_eq!(
        sidecar.json("POST", "/v1.0/publish/bulk/broker/orders", &bulk.to_string()),
        (204, Value::Null)
    );
    arrives("/orders", &json!({"n": 1}), 1);
    arrives("/orders", &json!({"n": 2}), 1);
    // What it cannot deal with is tried again; where there is a topic for dead letters, it goes there.
    let twice = json!({"fails": 1});
    assert_eq!(publish("orders", &twice).status, 204);
    arrives("/orders", &twice, 2);
    wait("the queues", || {
        publish("returns", &first).status == 204
            && shop.times("/returns", &first) > 0
            && publish("trouble", &first).status == 204
            && shop.times("/trouble", &first) > 0
    });
    let poison = json!({"fails": 1_000});
    assert_eq!(publish("returns", &poison).status, 204);
    arrives("/trouble", &poison, 1);
    // It goes away, and comes back.
    broker.kill();
    let refused = publish("orders", &json!({"n": 3}));
    assert_eq!((refused.status, &refused.json()["errorCode"]), (500, &json!("ERR_PUBSUB_PUBLISH_MESSAGE")));
    assert_eq!(sidecar.ask("GET", "/v1.0/healthz", "").status, 204, "all else goes on");
    broker.restart();
    let back = json!({"n": 4});
    wait("the broker", || publish("orders", &back).status == 204);
    arrives("/orders", &back, 1);
    // What another process of the application left is brought to the next.
    drop(sidecar);
    let sidecar = Sidecar::start(folder.path(), "shop", &["--app-port", &port], &[]);
    let headers = [("content-type", "application/json")];
    let last = json!({"n": 5}).to_string();
    assert_eq!(sidecar.ask_with("POST", "/v1.0/publish/broker/orders", &headers, &last).status, 204);
    arrives("/orders", &json!({"n": 5}), 1);
}

#[test]
fn events_go_through_a_rabbitmq() {
    let mut server = Rabbit::start();
    let url = server.url();
    story("pubsub.rabbitmq", &[("connectionString", &url)], &mut server);
}

#[test]
fn events_go_through_a_jetstream() {
    let mut server = Nats::start(&[]);
    let url = server.url();
    story("pubsub.jetstream", &[("natsURL", &url), ("ackWait", "2s")], &mut server);
}

#[test]
fn where_no_broker_answers_nothing_starts() {
    for (kind, settings) in [
        ("pubsub.rabbitmq", [("connectionString", "amqp://ada:hidden@127.0.0.1:1"), ("durable", "true")]),
        ("pubsub.jetstream", [("natsURL", "nats://ada:hidden@127.0.0.1:1"), ("name", "x")]),
    ] {
        let folder = folder(&[("resources/broker.yaml", &component("broker", kind, &settings, ""))]);
        let said = refused(folder.path(), "shop", &[]);
        assert!(said.contains("C0040") && said.contains("127.0.0.1:1"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    let odd = component("broker", "pubsub.rabbitmq", &[("hostname", "x"), ("autoAck", "true")], "");
    let folder = folder(&[("resources/broker.yaml", &odd)]);
    let said = refused(folder.path(), "shop", &[]);
    assert!(said.contains("`autoAck` cannot be had"), "{said}");
}
