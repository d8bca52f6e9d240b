//! State over HTTP.

use api::config::{Place, Prefix};
use serde_json::json;

use crate::world::{World, store};

const STORE: &str = "/v1.0/state/s";
const KEY: &str = "/v1.0/state/s/k";

async fn etag(world: &World) -> String {
    world.get(KEY).await.header("etag").expect("an ETag").to_owned()
}

#[tokio::test]
async fn what_was_saved_is_had_as_it_was_written() {
    let world = World::new().await;
    let absent = world.get(KEY).await;
    assert_eq!((absent.status, absent.body.as_str(), absent.header("etag")), (204, "", None));
    let body = r#"[{"key": "k", "value": {"z": 1.50, "a": [12345678901234567890, "ü \" x"]}}, {"key": "none"}, {"key": "null", "value": null}]"#;
    assert_eq!(world.post(STORE, body).await.status, 204);
    let got = world.get(KEY).await;
    assert_eq!((got.status, got.body.as_str()), (200, r#"{"z":1.50,"a":[12345678901234567890,"ü \" x"]}"#));
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert!(got.header("etag").is_some_and(|etag| etag.parse::<u64>().is_ok()), "{got:?}");
    for key in ["none", "null"] {
        assert_eq!(world.get(&format!("{STORE}/{key}")).await.body, "null");
    }
    assert_eq!(world.ask("PUT", STORE, r#"[{"key":"k","value":"text"}]"#).await.status, 204);
    assert_eq!(world.get(&format!("{KEY}?consistency=strong")).await.body, r#""text""#);
    for nothing in ["[]", "null"] {
        assert_eq!(world.post(STORE, nothing).await.status, 204);
    }
    assert_eq!(world.ask("DELETE", KEY, "").await.status, 204);
    assert_eq!(world.get(KEY).await.status, 204);
    assert_eq!(world.ask("DELETE", KEY, "").await.status, 204, "gone already is as good");
}

#[tokio::test]
async fn what_cannot_be_saved_is_refused() {
    let world = World::new().await;
    let malformed = |code: &str| (400, code.to_owned());
    for body in
        ["", "{", "[1]", r#"[["k",1]]"#, r#"{"key":"k"}"#, r#"[{"key":1}]"#, r#"[{"key":"k","value":}]"#]
    {
        let refused = world.post(STORE, body).await;
        assert_eq!(refused.refused(), malformed("ERR_MALFORMED_REQUEST"), "{body}");
        assert!(refused.body.contains("failed deserializing HTTP body: "), "{refused:?}");
    }
    let no_key = world.post(STORE, r#"[{"value":1}]"#).await;
    assert_eq!(no_key.refused(), malformed("ERR_MALFORMED_REQUEST"));
    assert_eq!(no_key.json()["message"], "\"key\" is a required field");
    for (method, path, body) in [
        ("POST", STORE, r#"[{"key":"a||b","value":1}]"#),
        ("GET", "/v1.0/state/s/a%7C%7Cb", ""),
        ("DELETE", "/v1.0/state/s/a||b", ""),
        ("POST", "/v1.0/state/s/bulk", r#"{"keys":["a||b"]}"#),
    ] {
        let illegal = world.ask(method, path, body).await;
        assert_eq!(illegal.refused(), malformed("ERR_MALFORMED_REQUEST"), "{method} {path}");
        let details = &illegal.json()["details"];
        assert_eq!(details[0]["field_violations"][0]["field"], "a||b");
        assert_eq!(
            (&details[1]["resource_type"], &details[1]["resource_name"]),
            (&json!("state"), &json!("s"))
        );
        assert_eq!(
            (&details[2]["reason"], &details[2]["metadata"]),
            (&json!("DAPR_STATE_ILLEGAL_KEY"), &json!(null))
        );
    }
    for item in [
        r#"{"key":"k","options":{"concurrency":"odd"}}"#,
        r#"{"key":"k","options":{"consistency":"odd"}}"#,
        r#"{"key":"k","metadata":{"ttlInSeconds":"soon"}}"#,
    ] {
        let refused = world.post(STORE, &format!("[{item}]")).await;
        assert_eq!(refused.refused(), (500, "ERR_STATE_SAVE".into()), "{item}");
        assert!(refused.body.contains("failed saving state in state store s: "), "{refused:?}");
    }
    let long = format!(r#"[{{"key":"{}","value":1}}]"#, "k".repeat(1_025));
    assert_eq!(world.post(STORE, &long).await.refused(), (400, "ERR_STATE_SAVE".into()));
    let long = "k".repeat(1_025);
    assert_eq!(world.get(&format!("{STORE}/{long}")).await.refused(), (400, "ERR_STATE_GET".into()));
    let asked = world.post(&format!("{STORE}/bulk"), &format!(r#"{{"keys":["{long}"]}}"#)).await;
    assert_eq!(asked.refused(), (400, "ERR_STATE_BULK_GET".into()));
    assert_eq!(world.get(&format!("{KEY}?consistency=odd")).await.refused(), (500, "ERR_STATE_GET".into()));
    assert_eq!(
        world.ask("DELETE", &format!("{KEY}?concurrency=odd"), "").await.refused(),
        (500, "ERR_STATE_DELETE".into())
    );
    assert_eq!(world.get(KEY).await.status, 204, "nothing was saved");
}

#[tokio::test]
async fn the_first_write_wins_where_an_etag_is_given() {
    let world = World::new().await;
    assert_eq!(world.post(STORE, r#"[{"key":"k","value":1}]"#).await.status, 204);
    let first = etag(&world).await;
    let save = |etag: &str, more: &str| format!(r#"[{{"key":"k","value":2,"etag":"{etag}"{more}}}]"#);
    assert_eq!(world.post(STORE, &save(&first, "")).await.status, 204);
    let late = world.post(STORE, &save(&first, "")).await;
    assert_eq!(late.refused(), (409, "ERR_STATE_SAVE".into()));
    let text = "failed saving state in state store s: possible etag mismatch. error from state store: ";
    assert!(late.json()["message"].as_str().unwrap().starts_with(text), "{late:?}");
    let first_write = r#","options":{"concurrency":"first-write"}"#;
    let last_write = r#","options":{"concurrency":"last-write"}"#;
    assert_eq!(world.post(STORE, &save(&first, first_write)).await.status, 409);
    assert_eq!(world.post(STORE, &save("0", "")).await.status, 409, "no item has this ETag");
    assert_eq!(world.post(STORE, &save("odd", "")).await.refused(), (400, "ERR_STATE_SAVE".into()));
    assert_eq!(world.post(STORE, &save("", "")).await.status, 204, "an empty one is none");
    assert_eq!(world.post(STORE, &save(&first, last_write)).await.status, 204);
    let insert = |key: &str| format!(r#"[{{"key":"{key}","value":2{first_write}}}]"#);
    assert_eq!(world.post(STORE, &insert("k")).await.status, 409, "it is there");
    assert_eq!(world.post(STORE, &insert("new")).await.status, 204);
    let others = format!(
        r#"[{{"key":"a","value":1}},{{"key":"k","value":3,"etag":"{first}"}},{{"key":"b","value":1}}]"#
    );
    assert_eq!(world.post(STORE, &others).await.status, 409);
    assert_eq!(
        world.get(&format!("{STORE}/a")).await.body + &world.get(&format!("{STORE}/b")).await.body,
        "11"
    );
}

#[tokio::test]
async fn a_delete_relies_on_an_etag_if_one_is_given() {
    let world = World::new().await;
    world.post(STORE, r#"[{"key":"k","value":1}]"#).await;
    let delete = |path: &'static str, etag: String| {
        let world = &world;
        async move { world.ask_with("DELETE", path, &[("if-match", &etag)], b"").await }
    };
    let mismatch = delete(KEY, "99".to_owned()).await;
    assert_eq!(mismatch.refused(), (409, "ERR_STATE_DELETE".into()));
    assert!(
        mismatch.body.contains("failed deleting state with key k: possible etag mismatch."),
        "{mismatch:?}"
    );
    assert_eq!(
        delete(KEY, "\"1\"".to_owned()).await.refused(),
        (400, "ERR_STATE_DELETE".into()),
        "taken literally"
    );
    assert_eq!(delete(KEY, etag(&world).await).await.status, 204);
    assert_eq!(delete(KEY, "1".to_owned()).await.status, 409, "there is none that could have it");
    world.post(STORE, r#"[{"key":"k","value":1}]"#).await;
    assert_eq!(delete("/v1.0/state/s/k?concurrency=last-write", "99".to_owned()).await.status, 204);
    world.post(STORE, r#"[{"key":"k","value":1}]"#).await;
    assert_eq!(world.ask("DELETE", "/v1.0/state/s/k?concurrency=first-write", "").await.status, 204);
}

#[tokio::test]
async fn an_item_lives_as_long_as_it_is_told_to() {
    let world = World::new().await;
    let body = r#"[{"key":"k","value":1,"metadata":{"ttlInSeconds":"1000"}},{"key":"number","value":1,"metadata":{"ttlInSeconds":1000}},{"key":"ever","value":1,"metadata":{"ttlInSeconds":"0"}},{"key":"always","value":1,"metadata":{"ttlInSeconds":"-1"}}]"#;
    assert_eq!(world.post(STORE, body).await.status, 204);
    let expires = world.get(KEY).await.header("metadata.ttlExpireTime").expect("a time").to_owned();
    assert!(expires.len() == 20 && expires.ends_with('Z'), "{expires}");
    assert!(world.get("/v1.0/state/s/number").await.header("metadata.ttlExpireTime").is_some());
    for key in ["ever", "always"] {
        assert_eq!(world.get(&format!("{STORE}/{key}")).await.header("metadata.ttlExpireTime"), None);
    }
    let told = world.post("/v1.0/state/s/bulk", r#"{"keys":["k"]}"#).await.json();
    assert_eq!(told[0]["metadata"]["ttlExpireTime"], expires);
    let short = format!("{STORE}?metadata.ttlInSeconds=1");
    assert_eq!(world.post(&short, body).await.status, 204);
    while world.get(KEY).await.status == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(world.get("/v1.0/state/s/ever").await.status, 204, "the query goes before the item's own");
}

#[tokio::test]
async fn several_are_had_at_once() {
    let world = World::new().await;
    world.post(STORE, r#"[{"key":"a","value":{"x": 1}},{"key":"b","value":"y"}]"#).await;
    let bulk = |body: &'static str| {
        let world = &world;
        async move { world.post("/v1.0/state/s/bulk", body).await }
    };
    let answer = bulk(r#"{"keys":["b","none","a"],"parallelism":2}"#).await;
    let told = answer.json();
    assert_eq!((&told[0]["key"], &told[0]["data"]), (&json!("b"), &json!("y")));
    assert_eq!(told[1], json!({ "key": "none" }));
    assert!(
        told[2]["etag"].is_string()
            && answer.body.contains(r#""data":{"x":1}"#)
            && answer.body.ends_with("]\n")
    );
    for nothing in ["{}", r#"{"keys":[]}"#, r#"{"keys":null}"#] {
        let answer = bulk(nothing).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "[]\n"));
    }
    for odd in ["", "[]", r#"{"keys":"a"}"#] {
        assert_eq!(bulk(odd).await.refused(), (400, "ERR_MALFORMED_REQUEST".into()), "{odd}");
    }
    assert_eq!(world.get("/v1.0/state/s/bulk").await.status, 204, "to a GET it is a key");
}

#[tokio::test]
async fn a_transaction_does_all_or_nothing() {
    let world = World::new().await;
    let transact = |body: String| {
        let world = &world;
        async move { world.post("/v1.0/state/s/transaction", &body).await }
    };
    world.post(STORE, r#"[{"key":"old","value":1}]"#).await;
    let both = r#"{"operations":[{"operation":"upsert","request":{"key":"k","value":{"a": 1},"metadata":{"ttlInSeconds":"100"}}},{"operation":"delete","request":{"key":"old"}}],"metadata":{"x":"y"}}"#;
    assert_eq!(transact(both.to_owned()).await.status, 204);
    let got = world.get(KEY).await;
    assert!(got.body == r#"{"a":1}"# && got.header("metadata.ttlExpireTime").is_some());
    assert_eq!(world.get("/v1.0/state/s/old").await.status, 204);
    let mismatch = r#"{"operations":[{"operation":"upsert","request":{"key":"new","value":1}},{"operation":"upsert","request":{"key":"k","value":2,"etag":"99"}}]}"#;
    let refused = transact(mismatch.to_owned()).await;
    assert_eq!(refused.refused(), (500, "ERR_STATE_TRANSACTION".into()));
    assert!(refused.body.contains("error while executing state transaction: "), "{refused:?}");
    assert_eq!(world.get("/v1.0/state/s/new").await.status, 204, "nothing was done");
    for nothing in ["{}", r#"{"operations":[]}"#] {
        assert_eq!(transact(nothing.to_owned()).await.status, 204);
    }
    for operation in ["Upsert", "get", ""] {
        let body = format!(r#"{{"operations":[{{"operation":"{operation}","request":{{"key":"k"}}}}]}}"#);
        assert_eq!(
            transact(body).await.refused(),
            (400, "ERR_NOT_SUPPORTED_STATE_OPERATION".into()),
            "{operation}"
        );
    }
    let step = r#"{"operation":"delete","request":{"key":"k"}}"#;
    let many = format!(r#"{{"operations":[{}]}}"#, [step; 1_001].join(","));
    let refused = transact(many).await;
    assert_eq!(refused.refused(), (400, "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS".into()));
    let info = &refused.json()["details"][1];
    assert_eq!(info["reason"], "DAPR_STATE_TOO_MANY_TRANSACTIONS");
    assert_eq!(info["metadata"], json!({ "currentOpsTransaction": "1001", "maxOpsPerTransaction": "1000" }));
    assert_eq!(transact("[".to_owned()).await.refused(), (400, "ERR_MALFORMED_REQUEST".into()));
}

#[tokio::test]
async fn stores_are_apart_and_those_with_one_prefix_are_shared() {
    let world = World::with(|config| {
        config.namespace = "prod".to_owned();
        config.components = vec![
            store("s", Place::Disk, Prefix::Namespace),
            store("mem", Place::Memory, Prefix::Name),
            store("lit", Place::Disk, Prefix::Literal("all".to_owned())),
            store("none", Place::Disk, Prefix::None),
        ];
        config.foreign = vec!["theirs".to_owned()];
    })
    .await;
    let names = ["s", "mem", "lit", "none", "undeclared"];
    for name in names {
        let path = format!("/v1.0/state/{name}");
        assert_eq!(world.post(&path, &format!(r#"[{{"key":"k","value":"{name}"}}]"#)).await.status, 204);
    }
    for name in names {
        assert_eq!(world.get(&format!("/v1.0/state/{name}/k")).await.body, format!("{name:?}"));
    }
    for theirs in ["/v1.0/state/theirs/k".to_owned(), format!("/v1.0/state/{}/k", "x".repeat(256))] {
        let refused = world.get(&theirs).await;
        assert_eq!(refused.refused(), (400, "ERR_STATE_STORE_NOT_FOUND".into()));
        let info = &refused.json()["details"][0];
        assert_eq!(
            (&info["reason"], &info["metadata"]["appID"]),
            (&json!("DAPR_STATE_NOT_FOUND"), &json!("shop"))
        );
    }
    let said = world.said.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "once for each that is not declared: {said:?}");
    assert!(said[0].starts_with("state store \"undeclared\" is declared in no file"), "{said:?}");
    let told = world.get("/v1.0/metadata").await.json();
    assert_eq!(told["components"][4]["name"], "undeclared");
    assert_eq!(told["components"][1]["type"], "state.in-memory");
}

#[tokio::test]
async fn more_than_one_request_to_the_engine_takes_is_saved() {
    let world = World::with(|config| config.body_bytes_max = 32 << 20).await;
    let items: Vec<String> = (0..2_500).map(|n| format!(r#"{{"key":"k{n}","value":{n}}}"#)).collect();
    assert_eq!(world.post(STORE, &format!("[{}]", items.join(","))).await.status, 204);
    assert_eq!(world.get("/v1.0/state/s/k2499").await.body, "2499");
    let large = "x".repeat(1_000_000);
    let items: Vec<String> = (0..10).map(|n| format!(r#"{{"key":"l{n}","value":"{large}"}}"#)).collect();
    assert_eq!(world.post(STORE, &format!("[{}]", items.join(","))).await.status, 204);
    assert_eq!(world.get("/v1.0/state/s/l9").await.body.len(), 1_000_002);
}
