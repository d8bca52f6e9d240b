//! The console's map: where everything stands, and what is used without being declared; and queues that are filled for a while.

use serde_json::{Value, json};

use crate::console::{Looked, PROGRAM};
use crate::world::wait;

/// Calls a service that the manifest does not let it call, publishes, and sends to a queue, again and again.
const BUSY: &str = "sh -c 'while :; do for path in invoke/other/method/x publish/events/orders queues/mails/send; do \
                    curl -s -o /dev/null -d 1 http://127.0.0.1:$DAPR_HTTP_PORT/v1.0/$path; done; sleep 0.1; done'";

fn edge(map: &Value, from: &str, to: &str) -> Value {
    let edges = map["edges"].as_array().cloned().unwrap_or_default();
    edges.into_iter().find(|edge| edge["from"] == from && edge["to"] == to).unwrap_or_default()
}

#[test]
fn what_is_used_and_not_declared_is_on_the_map() {
    let looked = Looked::at(&format!(
        "  busy: {{ run: {BUSY:?}, ready: none }}\n  other: {{ run: {PROGRAM:?}, ready: none }}\n"
    ));
    let map = || looked.get("/api/map");
    let is_there = |map: &Value, to| edge(map, "busy", to)["rate"].as_f64().is_some_and(|rate| rate > 0.0);
    wait("a rate on each of them", || {
        let map = map();
        ["other", "topic events/orders", "queue mails"].into_iter().all(|to| is_there(&map, to))
    });
    let map = map();
    let declared = |from, to| edge(&map, from, to)["declared"].clone();
    assert_eq!((declared("worker", "app"), declared("busy", "other")), (json!(true), json!(false)));
    let (topic, queue) = (declared("busy", "topic events/orders"), declared("busy", "queue mails"));
    assert_eq!((topic, queue), (json!(false), Value::Null));
    assert_eq!(edge(&map, "busy", "other")["errors"], 1.0, "nobody listens there");
    assert_eq!(edge(&map, "worker", "app")["used"], false, "it is declared, and was never used");
    for shape in ["wide", "tall"] {
        let drawing = &map["drawings"][shape];
        let layer = |name: &str| drawing["nodes"][name][0].as_u64().expect("it has a place");
        assert!(layer("busy") < layer("queue mails") && layer("gateway") < layer("app"), "{drawing}");
        let ways = drawing["ways"].as_array().expect("ways");
        assert!(ways.iter().any(|way| way[0] == "busy" && way[1] == "other"), "{drawing}");
    }
}

#[test]
fn a_queue_is_filled_until_that_is_undone_or_over() {
    let looked = Looked::at("");
    let ready = || {
        let queues = looked.get("/api/queues");
        let all = queues["queues"].as_array().cloned().unwrap_or_default();
        all.iter()
            .find(|queue| queue["name"] == "mails")
            .map_or(0, |queue| queue["ready"].as_u64().unwrap_or(0))
    };
    let fill = |count: u64, for_ms: u64| {
        looked.post("/api/fills", json!({ "queue": "mails", "count": count, "for_ms": for_ms }))
    };
    let filled = fill(40, 600_000);
    assert_eq!((&filled["items"], &filled["remaining_ms"]), (&json!(40), &json!(600_000)));
    assert_eq!(ready(), 40);
    let listed = looked.get("/api/fills");
    assert_eq!((&listed["fills"][0]["queue"], &listed["fills"][1]), (&json!("mails"), &Value::Null));
    let path = format!("/api/fills/{}", filled["id"]);
    let undone = looked.ask("DELETE", &path, None).json();
    assert_eq!(
        (&undone["taken_back"], &undone["done"], &undone["held_or_dead"]),
        (&json!(40), &json!(0), &json!(0))
    );
    assert_eq!((ready(), looked.ask("DELETE", &path, None).status), (0, 404));

    fill(3, 1_000);
    wait("it to be over", || ready() == 0);
    assert_eq!(looked.get("/api/fills")["fills"], json!([]));
    for wrong in [
        json!({ "queue": "mails", "count": 0, "for_ms": 1_000 }),
        json!({ "queue": "mails", "count": 1, "for_ms": 1 }),
    ] {
        assert_eq!(looked.ask("POST", "/api/fills", Some(wrong)).status, 400);
    }
}
