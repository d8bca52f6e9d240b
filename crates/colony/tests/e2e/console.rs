//! The console's port: who is let in, what is told, and what is done.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::world::{Answer, World, lives, request, server, wait};

/// Is there, and has the application API beside it.
pub const PROGRAM: &str = "sh -c 'echo up; sleep 1000 & wait'";

/// A system with a console, and how it is asked.
pub struct Looked {
    pub world: World,
    pub address: String,
    pub token: String,
}

impl Looked {
    pub fn at(more: &str) -> Looked {
        let app = server("hello");
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        let manifest = format!(
            "name: shop\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: app }}] }}\nservices:\n  \
             app: {{ url: \"http://{app}\" }}\n  worker:\n    run: {PROGRAM:?}\n    ready: none\n    calls: [app]\n    \
             env: {{ COLOUR: red, DB_PASSWORD: \"${{DB_PASSWORD:hunter2}}\" }}\n{more}"
        );
        std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
        Looked::of(World::start_with(&dir, &["--console", "127.0.0.1:0"]))
    }

    pub fn of(world: World) -> Looked {
        world.wait_for("all-ready");
        let link = world.wait_for("up")["console"].as_str().expect("a link").to_owned();
        let (address, token) = link.split_once("/?token=").expect("with a token");
        let address = address.strip_prefix("http://").expect("over HTTP").to_owned();
        Looked { address, token: token.to_owned(), world }
    }

    /// Where the page's files lie, with a slash behind.
    pub fn assets(&self) -> String {
        let shell = self.ask("GET", "/map", None).body;
        let (before, _) = shell.split_once("app.js\"></script>").expect("its first module");
        before.rsplit_once('"').expect("in quotes").1.to_owned()
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let body = body.map(|body| body.to_string());
        request(&self.address, method, path, &[("authorization", &bearer)], body.as_deref())
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, Some(body));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

#[test]
fn a_link_lets_one_in_and_nothing_else_does() {
    let looked = Looked::at("");
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        request(&looked.address, method, path, headers, None)
    };
    let file = format!("{}app.js", looked.assets());
    for path in ["/", "/map", &file, "/api/status", "/api/events", "/metrics", "/assets/../x"] {
        let refused = ask("GET", path, &[]);
        assert_eq!(refused.status, 401, "{path}: {refused:?}");
        assert!(!refused.body.contains("shop"), "{path}: {refused:?}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(refused.header(name), Some(value), "{path}: {refused:?}");
        }
        let policy = refused.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(ask("GET", "/api/status", &[]).header("content-type"), Some("application/problem+json"));

    let exchanged = ask("GET", &format!("/services?a=1&token={}", looked.token), &[]);
    assert_eq!((exchanged.status, exchanged.header("location")), (303, Some("/services?a=1")));
    let cookie = exchanged.header("set-cookie").expect("a session").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(&looked.token), "{cookie}");
    let session = ("cookie", cookie.split(';').next().expect("its value"));
    for page in ["/services", "/messages/queue/mails.eu", "/policies/gateway%20%2Fa.html"] {
        assert!(ask("GET", page, &[session]).body.contains("<main"), "{page}");
    }
    for file in ["/favicon.ico", "/robots.txt", "/assets/app.js", "/api"] {
        assert_eq!(ask("GET", file, &[session]).status, 404, "{file}");
    }
    assert_eq!(ask("GET", "/api/status", &[session]).json()["name"], "shop");

    let cross = [session, ("origin", "http://evil.example")];
    assert_eq!(ask("POST", "/api/stop", &cross).status, 403);
    assert_eq!(ask("POST", "/api/stop", &[session]).status, 403, "nobody says who asks");
    assert_eq!(ask("GET", "/api/status", &[session, ("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(ask("GET", "/api/status", &[session, ("host", "evil.example")]).status, 421);
    assert_eq!(ask("GET", "/api/nothing", &[session]).status, 404);
    let refused = looked.ask("DELETE", "/api/status", None);
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET,HEAD")), "{refused:?}");
    assert!(refused.json()["detail"].as_str().is_some_and(|why| why.contains("DELETE")), "{refused:?}");
    let long = format!("{{\"on\":{:?}}}", "x".repeat(300_000));
    let refused = looked.ask("POST", "/api/faults", Some(serde_json::from_str(&long).expect("JSON")));
    assert_eq!((refused.status, refused.json()["status"].as_u64()), (413, Some(413)), "{refused:?}");
    // A browser may keep the page's files, which lie elsewhere when they change, and nothing else.
    let kept = |path: &str| ask("GET", path, &[session]).header("cache-control").map(str::to_owned);
    assert_eq!(kept(&file).as_deref(), Some("private, max-age=31536000, immutable"));
    for path in ["/map", "/api/status", "/assets/0/app.js"] {
        assert_eq!(kept(path).as_deref(), Some("no-store"), "{path}");
    }
    assert_eq!(ask("GET", &format!("{}index.html", looked.assets()), &[session]).status, 404);

    let file = looked.world.dir.path().join(".colony/console.token");
    assert_eq!(std::fs::metadata(file).expect("a token").permissions().mode() & 0o777, 0o600);
    let said = looked.world.json(&["console", "--json"]);
    assert_eq!(said["link"], format!("http://{}/?token={}", looked.address, looked.token));
}

#[test]
fn what_is_told_has_no_secrets_and_what_is_asked_for_is_done() {
    let looked = Looked::at("");
    let service = looked.get("/api/services/worker");
    let environment = &service["declared"]["environment"];
    assert_eq!((&environment["COLOUR"], &environment["DB_PASSWORD"]), (&json!("red"), &Value::Null));
    let manifest = looked.get("/api/manifest");
    assert!(manifest["applied"][0]["text"].as_str().expect("text").contains("name: shop"));
    assert_eq!(manifest["changes"], json!([]));
    for path in ["/api/status", "/api/services", "/api/manifest", "/api/map", "/api/policies"] {
        let answer = looked.ask("GET", path, None);
        assert_eq!((answer.status, answer.body.contains("hunter2")), (200, false), "{path}");
    }
    let explained = looked.get("/api/policies?call=worker%20-%3E%20app");
    assert!(explained["policies"].as_array().is_some_and(|all| !all.is_empty()), "{explained}");
    assert_eq!(looked.ask("GET", "/api/policies?call=x", None).status, 422);

    let nodes = looked.get("/api/map");
    let nodes: Vec<&str> =
        nodes["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["id"].as_str()).collect();
    assert_eq!(nodes, ["app", "gateway", "worker"]);

    let forced = looked.post("/api/breakers", json!({ "call": "worker -> app", "state": "open" }));
    assert_eq!(forced["state"], "open");
    assert_eq!(looked.world.call("worker -> app")["breaker"], "forced-open");
    let fault = looked.post("/api/faults", json!({ "on": "app", "status": 503, "for_ms": 60_000 }));
    assert_eq!(looked.world.get("/").status, 503);
    let id = fault["id"].as_u64().expect("its number");
    assert_eq!(looked.ask("DELETE", &format!("/api/faults/{id}"), None).status, 200);
    assert_eq!(looked.world.get("/").status, 200);

    let pid = looked.world.pids("worker")[0];
    assert_eq!(looked.post("/api/instances/worker-1/kill", json!({}))["killed"], true);
    wait("its end", || !lives(pid));
    wait("another", || looked.world.service("worker")["ready"] == 1);
    assert_eq!(looked.ask("POST", "/api/instances/x/kill", Some(json!({}))).status, 404);
    assert_eq!(looked.ask("POST", "/api/services/x/stop", None).status, 422);
    assert_eq!(looked.ask("POST", "/api/faults", Some(json!({ "on": 1 }))).status, 400);
    assert_eq!(looked.ask("DELETE", "/api/faults/x", None).status, 400);
}

#[test]
fn queues_and_topics_are_looked_at_and_dead_letters_put_back() {
    let looked = Looked::at("");
    let queue = "/api/queues/to%20pack";
    let sent = looked.post(&format!("{queue}/items"), json!({ "payload": "{\"order\":1}", "count": 3 }));
    assert_eq!(sent["sent"], 3);
    let items = looked.get(&format!("{queue}/items"));
    assert_eq!(items["items"][0]["payload"]["text"], "{\"order\":1}");
    let taken = looked.ask("DELETE", &format!("{queue}/items"), Some(json!({ "ids": [sent["ids"][0]] })));
    assert_eq!(taken.json()["cancelled"], 1);
    let listed = looked.get("/api/queues");
    assert_eq!((&listed["queues"][0]["name"], &listed["queues"][0]["ready"]), (&json!("to pack"), &json!(2)));
    assert_eq!(looked.get(&format!("{queue}/dead"))["causes"], json!([]));
    let none = looked.post(&format!("{queue}/redrive"), json!({ "dry_run": true }));
    assert_eq!((&none["matching"], &none["dry_run"]), (&json!(0), &json!(true)));
    for wrong in [json!({ "payload": "x", "count": 0 }), json!({}), json!({ "payload": "x", "count": 1_001 })]
    {
        assert_eq!(looked.ask("POST", &format!("{queue}/items"), Some(wrong)).status, 400);
    }
    assert_eq!(looked.ask("GET", &format!("{queue}/items?which=x"), None).status, 400);

    let topic = "/api/topics/pubsub%2Forders";
    let published = looked.post(&format!("{topic}/messages"), json!({ "payload": "{\"a\":1}", "key": "k" }));
    let partition = published["partition"].as_u64().expect("a partition");
    let shown = looked.get(&format!("{topic}/messages?partition={partition}"));
    let event = shown["messages"][0]["payload"]["text"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Value>(event).expect("JSON")["data"], json!({ "a": 1 }));
    assert_eq!(looked.get("/api/topics")["topics"][0]["name"], "pubsub/orders");
    assert_eq!(looked.ask("GET", &format!("{topic}/messages?partition=9999"), None).status, 404);
    wait("them on the map", || {
        let map = looked.get("/api/map");
        let has =
            |id: &str| map["nodes"].as_array().is_some_and(|all| all.iter().any(|node| node["id"] == id));
        has("queue to pack") && has("topic pubsub/orders")
    });
}

/// The event and its id and data, the next of a stream.
fn next(lines: &mut impl Iterator<Item = String>) -> (String, String, Value) {
    let mut field = |name: &str| {
        let line = lines.find(|line| line.starts_with(name)).expect("the stream goes on");
        line[name.len()..].trim().to_owned()
    };
    (field("event:"), field("id:"), serde_json::from_str(&field("data:")).expect("JSON"))
}

fn follow(looked: &Looked, path: &str, header: &str) -> impl Iterator<Item = String> + use<> {
    let mut stream = TcpStream::connect(&looked.address).expect("connected");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{header}\r\n",
        looked.address, looked.token
    );
    stream.write_all(head.as_bytes()).expect("sent");
    BufReader::new(stream).lines().map_while(Result::ok)
}

#[test]
fn what_changes_is_told_and_gone_on_with() {
    let looked = Looked::at("");
    let mut stream = follow(&looked, "/api/events", "");
    let (event, id, view) = next(&mut stream);
    assert_eq!((event.as_str(), &view["node/app"]["kind"]), ("view", &json!("service")));
    drop(stream);
    looked.post("/api/faults", json!({ "on": "app", "status": 503, "for_ms": 60_000 }));
    let mut stream = follow(&looked, "/api/events", &format!("last-event-id: {id}\r\n"));
    loop {
        let (event, _, changes) = next(&mut stream);
        assert_eq!(event, "changes", "it goes on");
        if changes["fault/1"]["status"] == 503 {
            break;
        }
    }
    // Who has closed the stream itself says in the address where it was.
    let (event, ..) = next(&mut follow(&looked, &format!("/api/events?after={id}"), ""));
    assert_eq!(event, "changes");
    let mut stream = follow(&looked, "/api/events?logs=true&service=worker", "");
    let (event, ..) = next(&mut stream);
    assert_eq!(event, "view");
    let (event, _, told) = next(&mut stream);
    assert_eq!(event, "logs");
    let lines = told["lines"].as_array().expect("lines");
    assert!(lines.iter().any(|line| line["text"] == "up"), "{told}");
}

#[test]
fn without_a_console_nothing_listens() {
    let app = server("hello");
    let world = World::up(&format!("name: shop\nservices:\n  app: {{ url: \"http://{app}\" }}\n"));
    assert_eq!(world.wait_for("up")["console"], Value::Null);
    let refused = world.run(&["console"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--console off"));
}
