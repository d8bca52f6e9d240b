//! State in a PostgreSQL through a sidecar, in either layout, and statements sent to it.

use serde_json::json;

use super::postgres_server::Server;
use super::sidecar::{Sidecar, component, folder, refused};

#[test]
fn state_is_kept_in_a_postgresql() {
    let server = Server::shared();
    for version in ["v1", "v2"] {
        let database = server.database();
        let string = server.string(&database);
        let set = [("connectionString", string.as_str())];
        let carts = component("carts", "state.postgresql", &set, "");
        let carts = carts.replace("version: v1", &format!("version: {version}"));
        let statements = component("db", "bindings.postgresql", &set, "");
        let folder = folder(&[("resources/carts.yaml", &carts), ("resources/db.yaml", &statements)]);
        let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
        let put = |body: &str| sidecar.json("POST", "/v1.0/state/carts", body);
        assert_eq!(put(r#"[{"key": "ada", "value": {"b": 1, "a": 12345678901234567890}}]"#).0, 204);
        let answer = sidecar.ask("GET", "/v1.0/state/carts/ada", "");
        assert_eq!((answer.status, &*answer.body), (200, r#"{"b":1,"a":12345678901234567890}"#));
        let etag = answer.header("etag").expect("an ETag").to_owned();
        let late = json!([{ "key": "ada", "value": 2, "etag": etag }]).to_string();
        assert_eq!(put(&late).0, 204);
        let (status, body) = put(&late);
        assert_eq!((status, &body["errorCode"]), (409, &json!("ERR_STATE_SAVE")));
        let query =
            json!({ "operation": "query", "metadata": { "sql": "SELECT key FROM state" } }).to_string();
        let rows = sidecar.json("POST", "/v1.0/bindings/db", &query);
        assert_eq!(rows, (200, json!([["shop||ada"]])));
    }
}

#[test]
fn a_postgresql_that_does_not_answer_is_told_where_it_is_declared() {
    let set = [("connectionString", "host=127.0.0.1 port=1 user=u password=hush")];
    let carts = component("carts", "state.postgresql", &set, "");
    let nowhere = folder(&[("resources/carts.yaml", &carts)]);
    let said = refused(nowhere.path(), "shop", &[]);
    assert!(said.contains("C0040") && said.contains("carts.yaml:6") && !said.contains("hush"), "{said}");
    let odd = folder(&[("resources/carts.yaml", &carts.replace("version: v1", "version: v3"))]);
    let said = refused(odd.path(), "shop", &[]);
    assert!(said.contains("there is no version `v3` of `state.postgresql`"), "{said}");
}
