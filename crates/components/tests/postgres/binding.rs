//! Statements reach the database, and its rows are JSON.

use components::Properties;
use components::binding::{Error, Output, Postgres, Request, Response};
use serde_json::{Value, json};

use crate::server::Server;

async fn ask(binding: &Postgres, operation: &str, sql: &str, params: &str) -> Result<Response, Error> {
    let metadata = [("sql".to_owned(), sql.to_owned()), ("params".to_owned(), params.to_owned())];
    binding
        .invoke(Request { operation: operation.to_owned(), metadata: metadata.into(), ..Request::default() })
        .await
}

#[tokio::test]
async fn statements_are_done_and_rows_are_json() {
    let server = Server::shared();
    let string = server.string(&server.database());
    let binding = Postgres::connect(&Properties::from_iter([("connectionString", string)])).await;
    let binding = binding.expect("it answers");
    let exec = async |sql, params| ask(&binding, "exec", sql, params).await.expect(sql).metadata;
    let rows = async |sql, params| -> Value {
        let answer = ask(&binding, "query", sql, params).await.expect(sql);
        serde_json::from_slice(&answer.data).expect("JSON")
    };
    exec("CREATE TABLE foo (id bigint PRIMARY KEY, c1 text, n numeric, at timestamptz, j jsonb, b bytea, l int[])", "").await;
    let done = exec(
        "INSERT INTO foo VALUES ($1, $2, $3, $4, $5, $6, $7)",
        r#"[1, "Ada", 1.50, "2026-01-02T03:04:05Z", {"a":[1]}, "\\x00ff", [1,2]]"#,
    )
    .await;
    assert_eq!((&*done["rows-affected"], &*done["operation"]), ("1", "exec"));
    assert!(
        done.contains_key("start-time") && done.contains_key("end-time") && done.contains_key("duration")
    );
    exec("INSERT INTO foo (id) VALUES ($1)", "[2]").await;
    assert_eq!(
        rows("SELECT *, c1 FROM foo ORDER BY id -- all of them", "").await,
        json!([
            [1, "Ada", 1.5, "2026-01-02T03:04:05+00:00", {"a": [1]}, "AP8=", [1, 2], "Ada"],
            [2, null, null, null, null, null, null, null]
        ])
    );
    assert_eq!(rows("SELECT c1 FROM foo WHERE id = ANY($1)", "[[1,7]]").await, json!([["Ada"]]));
    assert_eq!(
        rows("UPDATE foo SET c1 = $2 WHERE id = $1 RETURNING id, c1", "[2,\"Bo\"]").await,
        json!([[2, "Bo"]])
    );
    assert_eq!(rows("DELETE FROM foo WHERE id = 2", "").await, json!([]));
    assert_eq!(rows("SELECT id FROM foo WHERE false", "").await, json!([]));
    assert_eq!(rows("SHOW server_encoding", "").await, json!([["UTF8"]]));
    let answer = ask(&binding, "query", "SELECT count(*) FROM foo", "").await.expect("it is counted");
    assert_eq!(answer.data, "[[1]]");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_what_is_closed_stays_closed() {
    let server = Server::shared();
    let string = server.string(&server.database());
    let binding = Postgres::connect(&Properties::from_iter([("connectionString", string)])).await;
    let binding = binding.expect("it answers");
    for (sql, params, why) in [
        ("", "", "required metadata not set: sql"),
        ("SELECT 1", "{}", "invalid metadata property params"),
        ("SELECT nothing", "", "column \"nothing\" does not exist (SQLSTATE 42703)"),
        ("SELECT $1::int", "[\"x\"]", "invalid input syntax for type integer"),
        ("SELECT $1::int", "[]", "error executing query"),
    ] {
        for operation in ["query", "exec"] {
            let error = ask(&binding, operation, sql, params).await.expect_err(sql);
            assert!(error.why.contains(why), "{sql}: {error}");
        }
    }
    assert_eq!(ask(&binding, "query", "SELECT 1", "").await.expect("it goes on").data, "[[1]]");
    assert_eq!(ask(&binding, "close", "", "").await, Ok(Response::default()));
    assert_eq!(ask(&binding, "query", "SELECT 1", "").await, Err(Error::new("component is closed")));
    assert_eq!(ask(&binding, "close", "", "").await, Ok(Response::default()));
}
