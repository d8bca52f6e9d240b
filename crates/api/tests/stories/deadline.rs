//! A caller that waits no longer.

use std::time::Duration;

use api::proto::dapr::common::v1::http_extension::Verb;
use api::proto::dapr::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use api::proto::dapr::runtime::v1::InvokeServiceRequest;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::app::{App, said};
use crate::world::{Answer, World};

const HEADER: &str = "x-request-deadline";

fn too_late() -> (u16, String) {
    (504, "ERR_DEADLINE_EXCEEDED".to_owned())
}

/// A sidecar whose application has this port.
async fn with_app(port: u16) -> World {
    World::with(move |config| config.app.port = Some(port)).await
}

#[tokio::test]
async fn for_who_has_no_time_left_nothing_is_begun() {
    let app = App::echo().await;
    let world = with_app(app.port).await;
    for (method, path, body) in [
        ("GET", "/v1.0/metadata", ""),
        ("POST", "/v1.0/state/s", r#"[{"key":"k","value":1}]"#),
        ("POST", "/v1.0/publish/p/t", "x"),
        ("POST", "/v1.0/queues/q/send", "x"),
        ("PUT", "/v1.0/streams/facts", ""),
        ("POST", "/v1.0/jobs/j", r#"{"dueTime":"1h"}"#),
        ("POST", "/v1.0-alpha1/lock/l", r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#),
        ("POST", "/v1.0/configuration/c", r#"{"items":[{"key":"k","value":"v"}]}"#),
        ("POST", "/v1.0/invoke/shop/method/x", "x"),
        ("POST", "/v1.0/shutdown", ""),
    ] {
        let late = world.ask_with(method, path, &[(HEADER, "0")], body.as_bytes()).await;
        assert_eq!(late.refused(), too_late(), "{method} {path}");
        assert_eq!(late.json()["message"], "the caller's deadline has passed");
    }
    assert_eq!(world.get("/v1.0/state/s/k").await.status, 204);
    assert_eq!(world.post("/v1.0/queues/q/receive", "").await.json()["items"], serde_json::json!([]));
    let ignored = world.ask_with("GET", "/v1.0/metadata", &[(HEADER, "soon")], b"").await;
    assert_eq!(ignored.status, 200, "what is no deadline is none");
    world.end().await;
}

#[tokio::test]
async fn who_waits_for_something_waits_no_longer() {
    let world = World::new().await;
    let waits =
        world.ask_with("POST", "/v1.0/queues/q/receive", &[(HEADER, "50")], br#"{"wait":"5m"}"#).await;
    assert_eq!(waits.refused(), too_late());
    let mut half = TcpStream::connect(&world.http).await.unwrap();
    let head =
        format!("POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n{HEADER}: 50\r\n\r\n[");
    half.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut half).await.refused(), too_late(), "nor for the rest of a body");
    world.end().await;
}

#[tokio::test]
async fn an_application_is_told_what_is_left_and_given_up_after_that() {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let app = App::new(move |request| {
        let deadline = request.headers().get(HEADER).map(|value| value.to_str().unwrap().to_owned());
        let path = request.uri().path().to_owned();
        heard.send(deadline).unwrap();
        async move {
            if path == "/hang" {
                std::future::pending::<()>().await;
            }
            said(200, "")
        }
    })
    .await;
    let world = World::new().await;
    let other = world.beside("orders", |config| config.app.port = Some(app.port)).await;
    let call = |path: &'static str, deadline: String| {
        let world = &world;
        async move {
            let path = format!("/v1.0/invoke/orders/method/{path}");
            world.ask_with("GET", &path, &[(HEADER, &deadline)], b"").await
        }
    };
    assert_eq!(call("x", "60000".to_owned()).await.status, 200);
    let told = hears.recv().await.unwrap().expect("a deadline");
    let (left, instant) = told.split_once(";node=").expect("whose clock it is");
    assert!(left.parse::<u64>().unwrap() <= 60_000 && instant.contains(";at="), "{told}");
    assert_eq!(call("x", told.clone()).await.status, 200);
    let again = hears.recv().await.unwrap().expect("a deadline");
    let at = |text: &str| text.rsplit_once("at=").unwrap().1.parse::<u64>().unwrap();
    assert!(at(&again) <= at(&told), "who passes it on does not lengthen it: {told} and {again}");
    assert_eq!(call("hang", "50".to_owned()).await.refused(), too_late());
    assert!(hears.recv().await.unwrap().is_some());
    assert_eq!(world.get("/v1.0/invoke/orders/method/x").await.status, 200);
    assert_eq!(hears.recv().await.unwrap(), None, "of who has said nothing nothing is told");
    let mut metadata = HeaderMap::new();
    metadata.insert("grpc-timeout", HeaderValue::from_static("60S"));
    let message = InvokeRequest {
        method: "x".to_owned(),
        http_extension: Some(HttpExtension { verb: Verb::Get.into(), ..HttpExtension::default() }),
        ..InvokeRequest::default()
    };
    let request = InvokeServiceRequest { id: "orders".to_owned(), message: Some(message) };
    let method = "dapr.proto.runtime.v1.Dapr/InvokeService";
    world.call_with::<InvokeResponse>(method, &request, metadata).await.unwrap();
    let told = hears.recv().await.unwrap().expect("a deadline");
    assert!(told.split(';').next().unwrap().parse::<u64>().unwrap() <= 60_000, "{told}");
    other.end().await;
    world.end().await;
}

#[tokio::test]
async fn an_application_that_speaks_grpc_is_told_in_its_own_way() {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let app = App::new(move |request| {
        let head = request.headers().clone();
        heard.send((head.get("grpc-timeout").cloned(), head.contains_key(HEADER))).unwrap();
        async move {
            let _ = request.into_body().collect().await;
            let mut unimplemented = said(200, "");
            let headers = unimplemented.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("grpc-status", "12".parse().unwrap());
            unimplemented
        }
    })
    .await;
    let world = World::with(|config| {
        config.app.port = Some(app.port);
        config.app.protocol = "grpc".to_owned();
    })
    .await;
    let path = "/v1.0/invoke/shop/method/x";
    assert_eq!(world.ask_with("POST", path, &[(HEADER, "60000")], b"{}").await.status, 501);
    let (timeout, header) =
        tokio::time::timeout(Duration::from_secs(20), hears.recv()).await.unwrap().unwrap();
    assert!(timeout.is_some() && !header, "{timeout:?}");
    world.end().await;
}
