//! State and streams in the console, from what an application has written to what is shown, put right and listed; and dead letters
//! whose consumer is well again.

use serde_json::{Value, json};

use crate::console::Looked;
use crate::world::{Answer, World, request, until, wait};

/// Says where its application API is, and is there.
const TELL: &str = "sh -c 'echo $DAPR_HTTP_PORT > port.part; mv port.part port; sleep 1000 & wait'";

/// A system with one application that has the API beside it.
struct Shop {
    looked: Looked,
    api: String,
}

impl Shop {
    fn open() -> Shop {
        let dir = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
        let manifest = format!(
            "name: shop\ngateway: {{ listen: 127.0.0.1:0 }}\nservices:\n  cart:\n    run: {TELL:?}\n    ready: none\n    env: {{ DB_PASSWORD: \"${{DB_PASSWORD:hunter2}}\" }}\n"
        );
        std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
        let looked = Looked::of(World::start_with(&dir, &["--console", "127.0.0.1:0"]));
        let port = || std::fs::read_to_string(dir.path().join("port")).ok();
        let port = until("its port", port, String::new);
        Shop { looked, api: format!("127.0.0.1:{}", port.trim()) }
    }

    /// As the application asks.
    fn api(&self, method: &str, path: &str, body: Value) -> Answer {
        let answer = request(&self.api, method, &format!("/v1.0/{path}"), &[], Some(&body.to_string()));
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    }

    fn save(&self, key: &str, value: Value) {
        self.api("POST", "state/carts", json!([{ "key": key, "value": value }]));
    }

    fn refused(&self, method: &str, path: &str, body: Option<Value>, status: u16) {
        let answer = self.looked.ask(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
}

fn strings<'v>(all: &'v Value, member: &str) -> Vec<&'v str> {
    all.as_array().expect("a list").iter().filter_map(|one| one[member].as_str()).collect()
}

#[test]
fn state_is_browsed_in_pages_and_put_right() {
    let shop = Shop::open();
    for n in 0..7 {
        shop.save(&format!("ada/{n}"), json!({ "apples": n }));
    }
    shop.save("ben", json!("hunter2"));
    shop.api(
        "POST",
        "state/carts",
        json!([{ "key": "late", "value": 1, "metadata": { "ttlInSeconds": "600" } }]),
    );
    let stores = shop.looked.get("/api/state");
    let carts = &stores["stores"][0];
    assert_eq!(
        (&carts["store"], &carts["place"], &carts["items"]),
        (&json!("carts"), &json!("disk"), &json!(9))
    );
    assert_eq!((&carts["apps"], &carts["changes"]), (&json!(["cart"]), &Value::Null));
    assert_eq!(carts["scopes"], json!([{ "scope": "cart", "items": 9, "more": false }]));

    let (mut keys, mut after) = (Vec::new(), String::new());
    for page in 0.. {
        assert!(page < 9, "pages come to an end");
        let told = shop.looked.get(&format!("/api/state/carts?prefix=ada%2F&limit=3{after}"));
        assert!(told["items"].as_array().is_some_and(|items| items.len() <= 3), "{told}");
        keys.extend(strings(&told["items"], "key").into_iter().map(str::to_owned));
        match told["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(keys, (0..7).map(|n| format!("ada/{n}")).collect::<Vec<_>>());
    shop.refused("GET", "/api/state/carts?limit=0", None, 400);
    shop.refused("GET", "/api/state/carts?after=!", None, 400);

    let item = shop.looked.get("/api/state/carts/ada%2F3");
    assert_eq!((&item["value"]["text"], &item["hidden"]), (&json!("{\"apples\":3}"), &json!(false)));
    assert_eq!((&item["scope"], &item["history"]), (&json!("cart"), &Value::Null));
    let etag = item["etag"].as_str().expect("an ETag").to_owned();
    let path = "/api/state/carts/ada%2F3";
    shop.refused("PUT", path, Some(json!({ "etag": etag, "value": "{" })), 400);
    shop.refused("PUT", path, Some(json!({ "etag": "1", "value": "{}" })), 409);
    let put = shop.looked.ask("PUT", path, Some(json!({ "etag": etag, "value": "{\"apples\":30}" })));
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(
        request(&shop.api, "GET", "/v1.0/state/carts/ada%2F3", &[], None).json(),
        json!({ "apples": 30 })
    );
    shop.refused("DELETE", path, None, 400);
    shop.refused("DELETE", &format!("{path}?etag={etag}"), None, 409);
    let now = put.json()["etag"].as_str().expect("an ETag").to_owned();
    assert_eq!(shop.looked.ask("DELETE", &format!("{path}?etag={now}"), None).json()["deleted"], true);
    shop.refused("GET", path, None, 404);

    let late = shop.looked.get("/api/state/carts/late");
    let edit = json!({ "etag": late["etag"], "value": "2" });
    assert_eq!(shop.looked.ask("PUT", "/api/state/carts/late", Some(edit)).status, 200);
    let again = shop.looked.get("/api/state/carts/late");
    let [before, after] = [&late, &again].map(|item| item["expires_unix_ms"].as_u64().expect("a time"));
    assert!(before.abs_diff(after) < 5_000, "an edit is no longer life: {before} {after}");

    let secret = shop.looked.get("/api/state/carts/ben");
    assert!(!secret.to_string().contains("hunter2") && secret["hidden"] == true, "{secret}");
    let edit = json!({ "etag": secret["etag"], "value": "\"***\"" });
    shop.refused("PUT", "/api/state/carts/ben", Some(edit), 422);
    let listed = shop.looked.get("/api/state/carts");
    assert!(!listed.to_string().contains("hunter2"), "{listed}");

    let listed = shop.looked.world.json(&["state", "list", "carts", "--prefix", "ada", "--json"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(6));
    let told = shop.looked.world.run(&["state", "list", "carts", "--max", "2"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("ada/0") && !told.contains("ada/2") && told.contains("--after"), "{told}");
    let stores = shop.looked.world.run(&["state", "list"]);
    assert!(String::from_utf8_lossy(&stores.stdout).contains("carts"), "{stores:?}");
}

#[test]
fn a_stream_is_a_line_of_events_that_leads_to_their_traces() {
    let shop = Shop::open();
    shop.api("PUT", "streams/orders", json!({ "snapshots": 2 }));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let event = |n: u32| {
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        json!({ "type": "moved", "data": { "to": n }, "metadata": { "traceparent": parent } })
    };
    for stream in ["order-1", "order-2", "return-1"] {
        shop.api("POST", &format!("streams/orders/{stream}"), json!([event(1), event(2), event(3)]));
    }
    shop.api("PUT", "streams/orders/order-1/snapshot?version=2", json!({ "at": 2 }));
    let stores = shop.looked.get("/api/streams");
    assert_eq!(
        (&stores["stores"][0]["store"], &stores["stores"][0]["events"]),
        (&json!("orders"), &json!(9))
    );

    let first = shop.looked.get("/api/streams/orders?prefix=order-&limit=1");
    assert_eq!((strings(&first["streams"], "stream"), &first["next"]), (vec!["order-1"], &json!("order-1")));
    let rest = shop.looked.get("/api/streams/orders?prefix=order-&after=order-1");
    assert_eq!((strings(&rest["streams"], "stream"), &rest["next"]), (vec!["order-2"], &Value::Null));

    let stream = shop.looked.get("/api/streams/orders/order-1?limit=2");
    let versions = |told: &Value| -> Vec<u64> {
        told["event_list"]
            .as_array()
            .expect("events")
            .iter()
            .filter_map(|one| one["version"].as_u64())
            .collect()
    };
    assert_eq!((versions(&stream), &stream["next"], &stream["version"]), (vec![3, 2], &json!(1), &json!(3)));
    let last = &stream["event_list"][0];
    assert_eq!((&last["type"], &last["trace"]), (&json!("moved"), &json!(trace)));
    assert_eq!(last["payload"]["text"], "{\"to\":3}");
    assert_eq!(stream["snapshots"][0]["version"], 2);
    assert_eq!(stream["snapshots"][0]["payload"]["text"], "{\"at\":2}");
    let earlier = shop.looked.get("/api/streams/orders/order-1?limit=2&from=1");
    assert_eq!((versions(&earlier), &earlier["next"]), (vec![1], &Value::Null));
    let forwards = shop.looked.get("/api/streams/orders/order-1?direction=forwards");
    assert_eq!(versions(&forwards), [1, 2, 3]);
    shop.refused("GET", "/api/streams/orders/none", None, 404);
    shop.refused("GET", "/api/streams/none", None, 404);
    shop.refused("GET", "/api/streams/orders/order-1?direction=x", None, 400);

    shop.api(
        "POST",
        "state/views/transaction",
        json!({
            "operations": [{ "operation": "upsert", "request": { "key": "sum", "value": 1 } }],
            "metadata": {
                "projection.name": "sums", "projection.streams": "orders", "projection.from": "start",
                "projection.to": "0:1",
            },
        }),
    );
    let projection = &shop.looked.get("/api/streams/orders")["projections"][0];
    assert_eq!(projection["projection"], "sums");
    assert_eq!(
        (&projection["position"], projection["behind"].is_u64()),
        (&json!("0:1"), true),
        "{projection}"
    );

    let listed = shop.looked.world.json(&["stream", "list", "orders", "--prefix", "return", "--json"]);
    assert_eq!(strings(&listed["streams"], "stream"), ["return-1"]);
    let stores = shop.looked.world.run(&["stream", "list"]);
    let stores = String::from_utf8_lossy(&stores.stdout).into_owned();
    assert!(stores.contains("orders") && stores.contains("sums"), "{stores}");
}

#[test]
fn jobs_locks_and_configuration_are_shown() {
    let shop = Shop::open();
    shop.api("POST", "jobs/remind", json!({ "schedule": "@every 1h", "data": { "whom": "ada" } }));
    let lock = json!({ "resourceId": "till", "lockOwner": "ada", "expiryInSeconds": 60 });
    let held = request(&shop.api, "POST", "/v1.0-alpha1/lock/locks", &[], Some(&lock.to_string()));
    assert_eq!(held.json()["success"], true, "{held:?}");
    let jobs = shop.looked.get("/api/jobs");
    let job = &jobs["jobs"][0];
    assert_eq!(
        (&job["app"], &job["name"], &job["schedule"]),
        (&json!("cart"), &json!("remind"), &json!("@every 1h"))
    );
    assert_eq!((&job["paused"], job["next_unix_ms"].is_u64()), (&json!(false), true), "{job}");
    let locks = shop.looked.get("/api/locks");
    let lock = &locks["locks"][0];
    assert_eq!(
        (&lock["name"], &lock["owner"], &lock["store"]),
        (&json!("till"), &json!("ada"), &json!("locks"))
    );
    assert_eq!(shop.looked.get("/api/configuration"), json!({ "items": [], "more": false }));
}

#[test]
fn dead_letters_are_put_back_once_their_consumer_is_well() {
    let shop = Shop::open();
    shop.api("PUT", "queues/to-pack", json!({ "attemptsMax": 1 }));
    for order in 0..5 {
        shop.api("POST", "queues/to-pack/send", json!({ "order": order }));
    }
    let receive = || {
        let had = shop.api("POST", "queues/to-pack/receive", json!({ "max": 10 })).json();
        had["items"].as_array().expect("items").clone()
    };
    for item in receive() {
        let cause = if item["data"]["order"].as_u64() < Some(3) { "no boxes" } else { "no tape" };
        shop.api("POST", "queues/to-pack/nack", json!({ "receipts": [item["receipt"]], "cause": cause }));
    }
    let queue = "/api/queues/to-pack";
    let dead = || shop.looked.get(&format!("{queue}/dead"))["causes"].clone();
    let causes = dead();
    let counts: Vec<_> = [0, 1].iter().map(|at| (&causes[*at]["cause"], &causes[*at]["count"])).collect();
    assert_eq!(counts, [(&json!("no boxes"), &json!(3)), (&json!("no tape"), &json!(2))], "{causes}");
    assert_eq!(causes[0]["reason"], "nacked");

    let redrive = |dry_run: bool| {
        shop.looked.post(
            &format!("{queue}/redrive"),
            json!({ "dry_run": dry_run, "cause": "no boxes", "reason": "nacked" }),
        )
    };
    assert_eq!(redrive(true)["matching"], 3);
    assert_eq!(dead(), causes, "a dry run changes nothing");
    assert!(receive().is_empty(), "nor is anything handed out");
    assert_eq!(redrive(false)["matching"], 3);

    let mut packed = Vec::new();
    wait("them being packed", || {
        for item in receive() {
            packed.push(item["data"]["order"].as_u64().expect("an order"));
            shop.api("POST", "queues/to-pack/ack", json!({ "receipts": [item["receipt"]] }));
        }
        packed.len() == 3
    });
    packed.sort_unstable();
    assert_eq!(packed, [0, 1, 2]);
    let left = dead();
    assert_eq!((left.as_array().map(Vec::len), &left[0]["cause"]), (Some(1), &json!("no tape")), "{left}");
    let listed = shop.looked.get("/api/queues");
    assert_eq!((&listed["queues"][0]["dead"], &listed["queues"][0]["ready"]), (&json!(2), &json!(0)));
    assert_eq!(
        shop.looked.get("/api/status")["durable"],
        json!({ "payloads_lost": 0, "payloads_unreadable": 0 })
    );
}
