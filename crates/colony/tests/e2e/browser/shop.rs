//! A small shop to look at: two services that do what they are asked, with an application API, an objective and OTLP.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::console::Looked;
use crate::port::free_port;
use crate::world::{Answer, World, request, wait};

/// The shop, with a console.
pub struct Shop {
    pub looked: Looked,
}

impl Shop {
    pub fn open() -> Shop {
        Shop::open_with("")
    }

    /// With more in its manifest.
    pub fn open_with(more: &str) -> Shop {
        Shop::open_as(&format!("{MANIFEST}{more}"))
    }

    /// As another manifest says.
    pub fn open_as(manifest: &str) -> Shop {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        std::fs::write(dir.path().join("app.py"), APP).expect("written");
        std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
        // A port that is the same after a restart.
        let console = format!("127.0.0.1:{}", free_port());
        let world = World::start_with(&dir, &["--console", &console, "--no-watch"]);
        Shop { looked: Looked::of(world) }
    }

    pub fn world(&self) -> &World {
        &self.looked.world
    }

    /// A request through the gateway.
    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        request(&self.world().gateway(), method, path, &[], body)
    }

    /// A request to the application API of an instance.
    pub fn api(&self, instance: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let file = self.world().dir.path().join(format!("{instance}.api"));
        wait("where its API is", || file.exists());
        let port = std::fs::read_to_string(file).expect("a port");
        let answer = request(
            &format!("127.0.0.1:{port}"),
            method,
            path,
            &[],
            body.map(|body| body.to_string()).as_deref(),
        );
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer
    }

    /// Has an instance of `front` write lines.
    pub fn write(&self, lines: &str) {
        assert_eq!(self.ask("POST", "/write", Some(lines)).status, 200);
    }

    /// Items of the queue `to-pack` are brought to `packer`, which fails at each: it has no tape.
    pub fn pack_without_tape(&self, orders: u64) {
        self.api("packer-1", "PUT", "/v1.0/queues/to-pack", Some(json!({ "attemptsMax": 1 })));
        self.api("packer-1", "PUT", "/v1.0/queues/to-pack/push", Some(json!({ "route": "/pack" })));
        for order in 0..orders {
            let order = json!({ "order": order, "size": if order % 3 == 0 { "large" } else { "small" } });
            self.api("packer-1", "POST", "/v1.0/queues/to-pack/send", Some(order));
        }
        wait("the dead letters", || {
            let queues = self.looked.get("/api/queues");
            let all = queues["queues"].as_array().cloned().unwrap_or_default();
            all.iter().any(|one| one["name"] == "to-pack" && one["dead"] == orders)
        });
    }

    /// From now on it packs.
    pub fn mend(&self) {
        std::fs::write(self.world().dir.path().join("tape"), "").expect("written");
    }

    /// How many it has packed.
    pub fn packed(&self) -> usize {
        let packed = std::fs::read_to_string(self.world().dir.path().join("packed"));
        packed.unwrap_or_default().lines().count()
    }

    /// Where spans and records are taken by HTTP.
    pub fn otlp(&self) -> String {
        self.world().status()["otlp"]["http"].as_str().expect("an address").to_owned()
    }
}

/// `front` asks `packer`, which packs.
pub const MANIFEST: &str = "\
name: shop
gateway:
  listen: 127.0.0.1:0
  routes:
    - { path: /pack/**, to: packer, rewrite: /** }
    - { to: front }
services:
  front:
    run: python3 app.py
    ready: /healthz
    calls: { packer: { timeout: 20s, retries: none } }
    env: { COLOUR: red, DB_PASSWORD: \"${DB_PASSWORD:hunter2}\", DATABASE: \"postgres://me:sesame@db/shop\" }
  packer:
    run: python3 app.py
    ready: /healthz
slo:
  packer: { availability: 99.9%, window: 1d }
telemetry:
  otlp: { grpc: 127.0.0.1:0, http: 127.0.0.1:0 }
";

/// Answers, asks, writes, packs or fails, as its path says.
const APP: &str = r#"
import json, os, sys, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, body=""):
        body = body.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/ask":
            try:
                with urllib.request.urlopen(os.environ["PACKER_URL"] + "/made", timeout=30) as answer:
                    self.say(answer.status, answer.read().decode())
            except urllib.error.HTTPError as refused:
                self.say(refused.code, refused.read().decode())
        elif self.path.startswith("/dapr/"):
            self.say(404)
        else:
            self.say(200, "made")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/write":
            print(body, flush=True)
            self.say(200)
        elif self.path == "/pack" and not os.path.exists("tape"):
            self.say(500, "no tape of size " + json.loads(body)["size"])
        else:
            with open("packed", "a") as packed:
                packed.write(body.replace("\n", " ") + "\n")
            self.say(200)

    def log_message(self, *_):
        pass

name = os.environ["COLONY_INSTANCE"] + ".api"
with open(name + ".part", "w") as api:
    api.write(os.environ.get("DAPR_HTTP_PORT", ""))
os.rename(name + ".part", name)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
