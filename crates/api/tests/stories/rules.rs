//! What holds for every request.

use api::config::{Place, Prefix};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Answer, World, store};

#[tokio::test]
async fn paths_are_cleaned_and_their_segments_decoded() {
    let world = World::new().await;
    assert_eq!(
        world.post("/v1.0//state/s/", r#"[{"key":"a/b","value":1},{"key":"ü","value":2}]"#).await.status,
        204
    );
    assert_eq!(world.get("/v1.0/state/s/a%2Fb/").await.body, "1");
    assert_eq!(world.get("/v1.0/x/../state/s/%C3%BC?").await.body, "2");
    assert_eq!(world.get("/v1.0/state/s/%FF").await.refused(), (400, "ERR_BAD_REQUEST".into()));
}

#[tokio::test]
async fn what_is_no_endpoint_is_a_call_to_another_application() {
    let world = World::new().await;
    let nowhere = [
        ("GET", "/"),
        ("GET", "/orders"),
        ("GET", "/v1.0"),
        ("GET", "/v2.0/state/s/k"),
        ("PATCH", "/v1.0/state/s/k"),
        ("DELETE", "/v1.0/state/s"),
        ("GET", "/v1.0/shutdown"),
        ("POST", "/v1.0/healthz"),
        ("POST", "/v1.0/healthz/outbound"),
        ("GET", "/v1.0/state/s/k/more"),
    ];
    for (method, path) in nowhere {
        assert_eq!(
            world.ask(method, path, "").await.refused(),
            (404, "ERR_DIRECT_INVOKE".into()),
            "{method} {path}"
        );
    }
    assert_eq!(world.ask("HEAD", "/v1.0/state/s/k", "").await.status, 404);
    let meant = world.ask_with("GET", "/orders", &[("dapr-app-id", "orders")], b"").await;
    assert_eq!(meant.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    assert!(meant.body.contains("failed to invoke, id: orders, err: "), "{meant:?}");
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_set() {
    let world = World::with(|config| config.token = Some("secret".to_owned())).await;
    for wrong in [&[][..], &[("dapr-api-token", "")], &[("dapr-api-token", "Secret")]] {
        let refused = world.ask_with("GET", "/v1.0/metadata", wrong, b"").await;
        assert_eq!((refused.status, refused.body.as_str()), (401, "invalid api token\n"));
        assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(
        world.ask_with("GET", "/v1.0/metadata", &[("dapr-api-token", "secret")], b"").await.status,
        200
    );
    assert_eq!(world.get("/v1.0/healthz").await.status, 204);
    assert_eq!(world.get("/v1.0/healthz/outbound").await.status, 204);
}

#[tokio::test]
async fn answers_say_which_trace_they_belong_to() {
    let world = World::new().await;
    assert_eq!(world.get("/v1.0/state/s/k").await.header("traceparent"), None, "it belongs to none");
    assert_eq!(world.get("/v1.0/healthz").await.header("traceparent"), None);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("tracestate", "a=1"), ("baggage", "b=2")];
    let answer = world.ask_with("GET", "/nowhere", &headers, b"").await;
    assert_eq!(answer.header("traceparent"), Some(trace));
    assert_eq!((answer.header("tracestate"), answer.header("baggage")), (Some("a=1"), Some("b=2")));
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let world = World::with(|config| config.body_bytes_max = 1_000).await;
    let item = |bytes: usize| format!(r#"[{{"key":"k","value":"{}"}}]"#, "x".repeat(bytes));
    assert_eq!(world.post("/v1.0/state/s", &item(900)).await.status, 204);
    let large = world.post("/v1.0/state/s", &item(1_000_000)).await;
    assert_eq!(large.refused(), (400, "ERR_MALFORMED_REQUEST".into()));
    assert!(large.json()["message"].as_str().unwrap().ends_with("stream too large"), "{large:?}");
    // As Dapr has it, each in its own words.
    let long = format!("[{}]", "1".repeat(2_000));
    let refused = [
        ("/v1.0/publish/pubsub/t", 500, "ERR_PUBSUB_PUBLISH_MESSAGE"),
        ("/v1.0/publish/bulk/pubsub/t", 400, "ERR_PUBSUB_EVENTS_SER"),
    ];
    for (path, status, code) in refused {
        assert_eq!(world.post(path, &long).await.refused(), (status, code.into()), "{path}");
    }
    let chunked = "3e9\r\n".to_owned() + &"x".repeat(1001) + "\r\n0\r\n\r\n";
    let mut stream = TcpStream::connect(&world.http).await.unwrap();
    let head =
        "POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all((head.to_owned() + &chunked).as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.refused(), (400, "ERR_MALFORMED_REQUEST".into()));
    let note = world.ask("PUT", "/v1.0/metadata/k", &"x".repeat(1_001)).await;
    assert_eq!(note.refused(), (400, "ERR_BODY_READ".into()));
    assert_eq!(world.get("/v1.0/state/s/k").await.body.len(), 902, "what was there is there");
}

#[tokio::test]
async fn heads_have_a_bound() {
    let world = World::new().await;
    let (small, large) = ("x".repeat(4_000), "x".repeat(20_000));
    assert_eq!(world.ask_with("GET", "/v1.0/healthz", &[("x", &small)], b"").await.status, 204);
    assert_eq!(world.ask_with("GET", "/v1.0/healthz", &[("x", &large)], b"").await.status, 431);
}

#[tokio::test]
async fn a_request_that_is_half_sent_keeps_nobody_waiting() {
    let world = World::new().await;
    let mut half = TcpStream::connect(&world.http).await.unwrap();
    half.write_all(b"POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{").await.unwrap();
    assert_eq!(world.post("/v1.0/state/s", r#"[{"key":"k","value":1}]"#).await.status, 204);
    drop(half);
    assert_eq!(world.get("/v1.0/state/s/k").await.body, "1");
    world.end().await;
}

#[tokio::test]
async fn the_port_of_http_speaks_http2() {
    let world = World::new().await;
    let stream = TokioIo::new(TcpStream::connect(&world.http).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request =
        Request::get(format!("http://{}/v1.0/metadata", world.http)).body(Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.ends_with(b"}\n"));
}

#[tokio::test]
async fn ready_is_who_is_reached() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let world = World::with(|config| config.app.port = Some(port)).await;
    while world.get("/v1.0/healthz/outbound").await.status != 204 {}
    let waiting = world.get("/v1.0/healthz").await;
    assert_eq!(waiting.refused(), (500, "ERR_HEALTH_NOT_READY".into()));
    assert_eq!(waiting.json()["message"], "dapr is not ready: [app]");
    let _app = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    while world.get("/v1.0/healthz").await.status != 204 {}
    assert_eq!(world.get("/v1.0/healthz?appid=shop").await.status, 204);
    assert_eq!(
        world.get("/v1.0/healthz?appid=other").await.refused(),
        (500, "ERR_HEALTH_APPID_NOT_MATCH".into())
    );
}

#[tokio::test]
async fn a_sidecar_says_what_it_is_and_keeps_notes() {
    let world = World::with(|config| {
        config.components = vec![store("carts", Place::Disk, Prefix::AppId)];
        config.app.port = Some(1);
    })
    .await;
    let told = world.get("/v1.0/metadata").await;
    assert!(told.body.ends_with("}\n"));
    let told = told.json();
    assert_eq!(
        (&told["id"], &told["extended"]["daprRuntimeVersion"]),
        (&json!("shop"), &told["runtimeVersion"])
    );
    let carts = json!({ "name": "carts", "type": "state.colony", "version": "v1", "capabilities": ["ETAG", "TRANSACTIONAL", "TTL"] });
    assert_eq!(told["components"], json!([carts]));
    assert_eq!(
        told["appConnectionProperties"],
        json!({ "port": 1, "protocol": "http", "channelAddress": "127.0.0.1", "maxConcurrency": -1 })
    );
    assert_eq!(
        told["actorRuntime"],
        json!({ "runtimeStatus": "DISABLED", "hostReady": false, "placement": "" })
    );
    assert_eq!(told.get("subscriptions"), None);
    assert_eq!(world.ask("PUT", "/v1.0/metadata/cliPID", "42").await.status, 204);
    assert_eq!(world.get("/v1.0/metadata").await.json()["extended"]["cliPID"], "42");
    let long = format!("/v1.0/metadata/{}", "x".repeat(1_025));
    assert_eq!(world.ask("PUT", &long, "x").await.refused(), (400, "ERR_BAD_REQUEST".into()));
}
