//! State in a Redis through a sidecar: as it is with the engine, laid out as Dapr lays it out, and through an outage.

use std::path::Path;

use api::proto::dapr::runtime::v1::{GetStateRequest, GetStateResponse};
use serde_json::json;
use tempfile::TempDir;

use super::server::Server;
use super::sidecar::{Sidecar, component, folder, refused};
use crate::world;

/// A folder with a component `carts` in this Redis.
fn shop(server: &Server, settings: &[(&str, &str)], more: &str) -> TempDir {
    let host = format!("127.0.0.1:{}", server.port);
    let settings: Vec<_> =
        [("redisHost", host.as_str())].into_iter().chain(settings.iter().copied()).collect();
    folder(&[("resources/carts.yaml", &component("carts", "state.redis", &settings, more))])
}

fn start(folder: &Path, app_id: &str) -> Sidecar {
    Sidecar::start(folder, app_id, &[], &[])
}

#[test]
fn state_is_as_with_the_engine_and_lies_where_dapr_looks_for_it() {
    let server = Server::start();
    let folder = shop(&server, &[], "");
    let sidecar = start(folder.path(), "shop");
    let put = |body: &str| sidecar.json("POST", "/v1.0/state/carts", body);
    assert_eq!(put(r#"[{"key": "ada", "value": {"n": 1}}]"#).0, 204);
    assert_eq!(server.ask(&["HMGET", "shop||ada", "data", "version"]), "{\"n\":1}\n1");

    let answer = sidecar.ask("GET", "/v1.0/state/carts/ada", "");
    assert_eq!((answer.status, answer.header("etag"), answer.body.as_str()), (200, Some("1"), "{\"n\":1}"));
    assert_eq!(put(r#"[{"key": "ada", "value": 2, "etag": "1"}]"#).0, 204);
    let (status, body) = put(r#"[{"key": "ada", "value": 3, "etag": "1"}]"#);
    assert_eq!((status, &body["errorCode"]), (409, &json!("ERR_STATE_SAVE")));
    assert_eq!(put(r#"[{"key": "ada", "value": 3, "etag": "x"}]"#).0, 400);
    let first = r#"[{"key": "ada", "value": 3, "options": {"concurrency": "first-write"}}]"#;
    assert_eq!(put(first).0, 409);

    assert_eq!(
        put(r#"[{"key": "a", "value": 1, "metadata": {"ttlInSeconds": "100"}}, {"key": "b", "value": 2}]"#).0,
        204
    );
    assert!(sidecar.ask("GET", "/v1.0/state/carts/a", "").header("metadata.ttlexpiretime").is_some());
    let (_, bulk) = sidecar.json("POST", "/v1.0/state/carts/bulk", r#"{"keys": ["b", "none"]}"#);
    assert_eq!(bulk, json!([{ "key": "b", "data": 2, "etag": "1" }, { "key": "none" }]));

    let transact = |operations| {
        sidecar.json(
            "POST",
            "/v1.0/state/carts/transaction",
            &json!({ "operations": operations }).to_string(),
        )
    };
    let upsert = |key, value| json!({ "operation": "upsert", "request": { "key": key, "value": value } });
    let stale = json!({ "operation": "delete", "request": { "key": "b", "etag": "7" } });
    let (status, body) = transact(json!([upsert("b", 9), stale]));
    assert_eq!((status, &body["errorCode"]), (500, &json!("ERR_STATE_TRANSACTION")));
    assert_eq!(sidecar.json("GET", "/v1.0/state/carts/b", ""), (200, json!(2)));
    let delete = json!({ "operation": "delete", "request": { "key": "a" } });
    assert_eq!(transact(json!([upsert("b", 9), delete])).0, 204);
    assert_eq!(sidecar.ask("GET", "/v1.0/state/carts/a", "").status, 204);

    let stale = sidecar.ask_with("DELETE", "/v1.0/state/carts/b", &[("if-match", "1")], "");
    assert_eq!(stale.status, 409);
    assert_eq!(sidecar.ask_with("DELETE", "/v1.0/state/carts/b", &[("if-match", "2")], "").status, 204);

    let get = GetStateRequest { store_name: "carts".into(), key: "ada".into(), ..GetStateRequest::default() };
    let told: GetStateResponse = sidecar.call("GetState", &get).expect("told");
    assert_eq!((&told.data[..], told.etag.as_str()), (&b"2"[..], "2"));
    assert_eq!(sidecar.json("GET", "/v1.0/metadata", "").1["components"][0]["type"], "state.redis");
}

#[test]
fn what_dapr_has_written_is_read_by_whoever_shares_the_prefix() {
    let server = Server::start();
    server.ask(&["HSET", "both||k", "data", "{\"from\":\"dapr\"}", "version", "5"]);
    server.ask(&["SET", "both||plain", "\"text\""]);
    let folder = shop(&server, &[("keyPrefix", "both"), ("poolSize", "20")], "");
    let sidecar = start(folder.path(), "another");
    let answer = sidecar.ask("GET", "/v1.0/state/carts/k", "");
    assert_eq!((answer.header("etag"), answer.json()), (Some("5"), json!({ "from": "dapr" })));
    let answer = sidecar.ask("GET", "/v1.0/state/carts/plain", "");
    assert_eq!((answer.header("etag"), answer.json()), (None, json!("text")));
    let warned =
        sidecar.said.iter().any(|line| line["msg"].as_str().is_some_and(|text| text.contains("`poolSize`")));
    assert!(warned, "{:?}", sidecar.said);
}

#[test]
fn a_redis_that_goes_away_is_an_error_and_is_used_again_when_it_is_back() {
    let mut server = Server::start();
    let folder = shop(&server, &[], "");
    let sidecar = start(folder.path(), "shop");
    let put = || sidecar.json("POST", "/v1.0/state/carts", r#"[{"key": "ada", "value": 1}]"#);
    assert_eq!(put().0, 204);
    server.kill();
    let (status, body) = put();
    assert_eq!((status, &body["errorCode"]), (500, &json!("ERR_STATE_SAVE")));
    let (status, body) = sidecar.json("GET", "/v1.0/state/carts/ada", "");
    assert_eq!((status, &body["errorCode"]), (500, &json!("ERR_STATE_GET")));
    assert_eq!(sidecar.ask("GET", "/v1.0/healthz", "").status, 204);
    // Another store goes on meanwhile.
    assert_eq!(sidecar.ask("POST", "/v1.0/state/own", r#"[{"key": "k", "value": 1}]"#).status, 204);
    server.restart();
    world::wait("the redis", || sidecar.json("GET", "/v1.0/state/carts/ada", "") == (200, json!(1)));
    assert_eq!(put().0, 204);
}

#[test]
fn a_password_is_taken_from_a_secret() {
    let server = Server::start();
    server.ask(&["CONFIG", "SET", "requirepass", "hush"]);
    let host = format!("127.0.0.1:{}", server.port);
    let with_secret = |secret: &str, auth: &str| {
        let settings = [("redisHost", host.as_str())];
        let reference = format!("    - name: redisPassword\n      secretKeyRef: {secret}\n{auth}");
        component("carts", "state.redis", &settings, &reference)
    };
    let vault = component("vault", "secretstores.local.file", &[("secretsFile", "secrets.json")], "");
    let auth = "auth: { secretStore: vault }\n";
    let of = |secret: &str, auth: &str| {
        folder(&[
            ("resources/carts.yaml", &with_secret(secret, auth)),
            ("resources/vault.yaml", &vault),
            ("secrets.json", r#"{"redis": "hush"}"#),
        ])
    };
    let good = of("{ name: redis, key: redis }", auth);
    let sidecar = start(good.path(), "shop");
    assert_eq!(sidecar.ask("POST", "/v1.0/state/carts", r#"[{"key": "k", "value": 1}]"#).status, 204);
    drop(sidecar);
    for (secret, auth, parts) in [
        ("{ name: none, key: none }", auth, ["C0040", "carts.yaml:12", "secret none not found"]),
        ("{ name: redis, key: odd }", auth, ["C0040", "carts.yaml:12", "has no value `odd`"]),
        (
            "{ name: redis }",
            "auth: { secretStore: vualt }\n",
            ["C0040", "carts.yaml:12", "did you mean `vault`"],
        ),
        ("{ name: redis }", "", ["C0005", "carts.yaml:12", "auth: { secretStore: NAME }"]),
    ] {
        let text = refused(of(secret, auth).path(), "shop", &[]);
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn the_example_of_the_page_is_refused_as_it_says() {
    let page = std::fs::read_to_string(world::root().join("docs/errors/C0040.md")).expect("a page");
    let example =
        page.split("```").nth(1).and_then(|block| block.strip_prefix("yaml\n")).expect("an example");
    let folder = folder(&[("resources/statestore.yaml", example)]);
    let text = refused(folder.path(), "shop", &[]);
    assert!(
        text.contains("C0040") && text.contains("statestore.yaml:10") && text.contains("cluster"),
        "{text}"
    );
}

#[test]
fn where_no_redis_answers_nothing_starts_unless_it_may_be_done_without() {
    let mut server = Server::start();
    server.kill();
    let needed = shop(&server, &[], "");
    let text = refused(needed.path(), "shop", &[]);
    for part in ["C0040", "resources/carts.yaml:10", "`carts` does not answer", &server.port.to_string()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let optional = shop(&server, &[], "  ignoreErrors: true\n");
    let sidecar = start(optional.path(), "shop");
    let (status, body) = sidecar.json("GET", "/v1.0/state/carts/k", "");
    assert_eq!((status, &body["errorCode"]), (400, &json!("ERR_STATE_STORE_NOT_FOUND")));
    drop(sidecar);
    let cluster = shop(&server, &[("redisType", "cluster")], "");
    let text = refused(cluster.path(), "shop", &[]);
    assert!(text.contains("carts.yaml:12") && text.contains("only a single"), "{text}");
}
