//! Events through the built binary: published to a sidecar, brought to an application that is written here, with either of
//! them killed on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::sidecar::Sidecar;
use crate::world::{binary, listening, run_in, until};

/// An application that notes what it is brought, by route.
#[derive(Clone, Default)]
struct Shop {
    subscribes: String,
    had: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    /// How long it takes over an event.
    takes: Duration,
}

impl Shop {
    fn new(subscribes: Value) -> Shop {
        Shop { subscribes: subscribes.to_string(), ..Shop::default() }
    }

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
            let (status, said) = match path.as_str() {
                "/dapr/subscribe" => (200, self.subscribes.as_str()),
                "/dapr/config" => (404, ""),
                _ => {
                    let event = serde_json::from_slice(&body).unwrap_or_default();
                    self.had.lock().expect("lock").entry(path).or_default().push(event);
                    std::thread::sleep(self.takes);
                    (200, "")
                }
            };
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{said}", said.len());
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn on(&self, route: &str) -> Vec<Value> {
        self.had.lock().expect("lock").get(route).cloned().unwrap_or_default()
    }

    fn numbers(&self, route: &str) -> BTreeSet<u64> {
        self.on(route).iter().filter_map(|event| event["data"]["n"].as_u64()).collect()
    }
}

fn sidecar(dir: &tempfile::TempDir, app: SocketAddr, flags: &[&str]) -> Sidecar {
    let port = app.port().to_string();
    Sidecar::start(dir, &[&["--app-port", &port], flags].concat())
}

/// Whether it was acknowledged; a sidecar may be gone at any moment.
fn published(address: &str, n: u64) -> Option<()> {
    let body = json!({ "n": n }).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let head = format!(
        "POST /v1.0/publish/pubsub/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 204").then_some(())
}

#[test]
fn every_acknowledged_publish_is_delivered_though_sidecars_are_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut shop = Shop::new(json!([{ "pubsubname": "pubsub", "topic": "orders", "route": "/orders" }]));
    shop.takes = Duration::from_millis(2);
    let app = shop.listen();
    let (mut acknowledged, mut n) = (BTreeSet::new(), 0);
    for round in 1..=4 {
        let mut sidecar = sidecar(&dir, app, &[]);
        let address = sidecar.http.clone();
        let publisher = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            let first = n;
            while published(&address, n).is_some() {
                acknowledged.push(n);
                n += 1;
            }
            assert!(n > first, "at least one is published");
            (acknowledged, n + 1)
        });
        let had = shop.numbers("/orders").len();
        until(
            "deliveries",
            || (shop.numbers("/orders").len() >= had + 10 * round).then_some(()),
            || format!("{:?}", shop.numbers("/orders").len()),
        );
        sidecar.kill();
        let (more, next) = publisher.join().expect("it publishes");
        acknowledged.extend(more);
        n = next;
    }
    let mut sidecar = sidecar(&dir, app, &[]);
    let missing = || acknowledged.difference(&shop.numbers("/orders")).copied().collect::<Vec<_>>();
    until("all", || missing().is_empty().then_some(()), || format!("missing: {:?}", missing()));
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn an_application_that_is_killed_gets_what_it_had_not_answered_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = dir.path().join("app.py");
    std::fs::write(&script, APP).expect("written");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = holder.local_addr().expect("an address").port().to_string();
    drop(holder);
    let start = || {
        let mut command = std::process::Command::new("python3");
        command.arg(&script).arg(&port).arg(dir.path().join("had")).spawn().expect("it starts")
    };
    let had = || -> BTreeSet<u64> {
        let text = std::fs::read_to_string(dir.path().join("had")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    let mut app = start();
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &port]);
    for n in 0..100 {
        published(&sidecar.http, n).expect("it is taken");
        if n % 40 == 20 {
            app.kill().expect("killed");
            app.wait().expect("waited");
            app = start();
        }
    }
    let all: BTreeSet<u64> = (0..100).collect();
    until(
        "all",
        || (had() == all).then_some(()),
        || format!("{:?}", all.difference(&had()).collect::<Vec<_>>()),
    );
    assert_eq!(sidecar.end(), Some(0));
    app.kill().expect("killed");
    app.wait().expect("waited");
}

#[test]
fn what_is_declared_is_brought_to_whom_it_is_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let resources = dir.path().join("resources");
    std::fs::create_dir(&resources).expect("made");
    let good = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: { name: orders }\nspec:\n  pubsubname: pubsub\n  topic: orders\n  \
        routes:\n    rules:\n    - match: int(event.data.n) > 10\n      path: /large\n    default: /small\nscopes: [shop]\n";
    std::fs::write(resources.join("orders.yaml"), good).expect("written");
    let shop = Shop::new(json!([]));
    let flags = ["--resources-path", "resources"];
    let mut sidecar = sidecar(&dir, shop.listen(), &flags);
    for n in [5, 50] {
        published(&sidecar.http, n).expect("it is taken");
    }
    let brought = || shop.numbers("/small").contains(&5) && shop.numbers("/large").contains(&50);
    until("both", || brought().then_some(()), || format!("{:?}", shop.had));
    let told = sidecar.ask("GET", "/v1.0/metadata", "").json();
    assert_eq!(told["subscriptions"][0]["type"], "DECLARATIVE", "{told}");
    assert_eq!(told["subscriptions"][0]["rules"][0]["match"], "int(event.data.n) > 10");
    assert_eq!(sidecar.end(), Some(0));
    let wrong = good.replace("int(event.data.n) > 10", "evnt.data.n > 10").replace("scopes", "scope");
    let wrong =
        format!("{}---\n{}", wrong, good.replace("> 10", "> ").replace("topic: orders", "topic: returns"));
    std::fs::write(resources.join("orders.yaml"), wrong.replace("scope:", "scopes:")).expect("written");
    let refused = run_in(dir.path(), &["sidecar", "--app-id", "shop", "--resources-path", "resources"]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("there is no `evnt` here, only `event`") && said.contains("orders.yaml:9:14"),
        "{said}"
    );
    assert!(said.contains("this is no condition: Syntax error"), "{said}");
    let other = Sidecar::start_in(
        &PathBuf::from(binary()),
        dir.path(),
        &["--app-id", "other", "--resources-path", "resources"],
        &[],
    );
    assert_eq!(other.ask("GET", "/v1.0/metadata", "").json()["subscriptions"], Value::Null);
}

/// Notes what it is brought in a file, and is slow about it.
const APP: &str = r#"
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/dapr/subscribe":
            self.say(200, json.dumps([{"pubsubname": "pubsub", "topic": "orders", "route": "orders"}]).encode())
        else:
            self.say(404)

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(0.02)
        with open(sys.argv[2], "a") as had:
            had.write(f"{event['data']['n']}\n")
        self.say(200)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;
