//! What an application sends to systems outside.

use std::sync::Arc;

use api::Config;
use api::config::{Adapter, Block, Component};
use api::proto::dapr::runtime::v1::{InvokeBindingRequest, InvokeBindingResponse};
use components::Reply;
use components::binding::{Error, Output, Request, Response};
use http::HeaderMap;
use serde_json::json;

use crate::world::{Refused, World};

/// Says what it was sent.
struct Mirror;

impl Output for Mirror {
    fn operations(&self) -> &'static [&'static str] {
        &["create", "nothing", "fail"]
    }

    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>> {
        Box::pin(async move {
            match request.operation.as_str() {
                "nothing" => Ok(Response::default()),
                "fail" => Err(Error { why: "it was told to".to_owned(), metadata: request.metadata }),
                _ => Ok(Response { data: request.data, metadata: request.metadata }),
            }
        })
    }
}

fn mirror(config: &mut Config) {
    config.components.push(Component {
        name: "mirror".to_owned(),
        kind: "bindings.mirror".to_owned(),
        version: "v1".to_owned(),
        block: Block::Binding { output: Adapter(Arc::new(Mirror)) },
    });
}

#[tokio::test]
async fn data_reaches_a_binding_as_it_was_written() {
    let world = World::with(mirror).await;
    let sent = r#"{"operation":"create","data": { "n": 12345678901234567890, "a": [1.50] },"metadata":{"Key":"v","n":3}}"#;
    for method in ["POST", "PUT"] {
        let answer = world.ask(method, "/v1.0/bindings/mirror", sent).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"n":12345678901234567890,"a":[1.50]}"#));
        assert_eq!((answer.header("metadata.key"), answer.header("metadata.n")), (Some("v"), Some("3")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let text = world.post("/v1.0/bindings/mirror", r#"{"operation":"create","data":"text"}"#).await;
    assert_eq!(text.body, "\"text\"");
    let null = world.post("/v1.0/bindings/mirror", r#"{"operation":"create"}"#).await;
    assert_eq!((null.status, null.body.as_str()), (204, ""));
    let nothing = world.post("/v1.0/bindings/mirror", r#"{"operation":"nothing","data":1}"#).await;
    assert_eq!((nothing.status, nothing.header("content-type")), (204, None));
}

#[tokio::test]
async fn the_trace_of_who_asks_is_handed_on() {
    let world = World::with(mirror).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("tracestate", "a=1")];
    let sent = br#"{"operation":"create","data":1,"metadata":{"traceparent":"mine"}}"#;
    let answer = world.ask_with("POST", "/v1.0/bindings/mirror", &headers, sent).await;
    assert_eq!(answer.header("metadata.traceparent"), Some(trace));
    assert_eq!(answer.header("metadata.tracestate"), Some("a=1"));
    let mut metadata = HeaderMap::new();
    metadata.insert("traceparent", trace.parse().unwrap());
    let request =
        InvokeBindingRequest { name: "mirror".into(), operation: "create".into(), ..Default::default() };
    let answer: InvokeBindingResponse =
        world.call_with(&method("InvokeBinding"), &request, metadata).await.unwrap();
    assert_eq!(answer.metadata["traceparent"], trace);
}

#[tokio::test]
async fn what_cannot_be_done_is_told_with_its_reason() {
    let world = World::with(mirror).await;
    let refused = async |name: &str, body: &str| {
        let answer = world.post(&format!("/v1.0/bindings/{name}"), body).await;
        (answer.refused(), answer.json()["message"].as_str().unwrap().to_owned())
    };
    let invoke = |why: &str| ((500, "ERR_INVOKE_OUTPUT_BINDING".to_owned()), why.to_owned());
    assert_eq!(
        refused("gone", r#"{"operation":"create"}"#).await,
        invoke("error invoking output binding gone: couldn't find output binding gone")
    );
    assert_eq!(
        refused("mirror", "{}").await,
        invoke("error invoking output binding mirror: operation field is missing from request")
    );
    assert_eq!(
        refused("mirror", r#"{"operation":"get"}"#).await,
        invoke(
            "error invoking output binding mirror: binding mirror does not support operation get. supported operations:create nothing fail"
        )
    );
    for odd in ["", "[]", "{", r#"{"operation":"create","metadata":{"a":[]}}"#] {
        assert_eq!(refused("mirror", odd).await.0, (400, "ERR_MALFORMED_REQUEST".to_owned()), "{odd}");
    }
    for (method, path) in [("GET", "bindings/mirror"), ("POST", "bindings"), ("POST", "bindings/mirror/more")]
    {
        let answer = world.ask(method, &format!("/v1.0/{path}"), "").await;
        assert_eq!(answer.refused(), (404, "ERR_DIRECT_INVOKE".to_owned()));
    }
}

#[tokio::test]
async fn what_the_other_side_says_of_a_failure_is_told() {
    let world = World::with(mirror).await;
    let sent = json!({ "operation": "fail", "metadata": { "Status": "503 no\nway", "odd name": "x", "long": "x".repeat(10_000) } });
    let answer = world.post("/v1.0/bindings/mirror", &sent.to_string()).await;
    assert_eq!(answer.refused(), (500, "ERR_INVOKE_OUTPUT_BINDING".to_owned()));
    assert_eq!(answer.json()["message"], "error invoking output binding mirror: it was told to");
    assert_eq!(
        (answer.header("metadata.status"), answer.header("metadata.long")),
        (Some("503 no way"), None)
    );
}

#[tokio::test]
async fn over_grpc_data_is_bytes() {
    let world = World::with(mirror).await;
    let invoke = async |name: &str, operation: &str| -> Result<InvokeBindingResponse, Refused> {
        let request = InvokeBindingRequest {
            name: name.to_owned(),
            operation: operation.to_owned(),
            data: vec![0, 255].into(),
            metadata: [("key".to_owned(), "v".to_owned())].into(),
        };
        world.call(&method("InvokeBinding"), &request).await
    };
    let answer = invoke("mirror", "create").await.unwrap();
    assert_eq!((&answer.data[..], answer.metadata["key"].as_str()), (&[0, 255][..], "v"));
    for (name, operation, why) in [
        ("gone", "create", "couldn't find output binding gone"),
        ("mirror", "", "operation field is missing from request"),
        ("mirror", "fail", "it was told to"),
    ] {
        let refused = invoke(name, operation).await.unwrap_err();
        assert_eq!(refused.code, 13);
        assert_eq!(refused.message, format!("error invoking output binding {name}: {why}"));
    }
}

fn method(name: &str) -> String {
    format!("dapr.proto.runtime.v1.Dapr/{name}")
}
