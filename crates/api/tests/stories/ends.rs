//! How a sidecar ends.

use std::time::Duration;

use api::proto::dapr::runtime::v1::ShutdownRequest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{Answer, World};

#[tokio::test]
async fn a_request_ends_it() {
    let world = World::new().await;
    assert_eq!(world.post("/v1.0/shutdown", "").await.status, 204);
    world.ended().await;
    let world = World::new().await;
    world.call::<()>("dapr.proto.runtime.v1.Dapr/Shutdown", &ShutdownRequest {}).await.unwrap();
    world.ended().await;
}

#[tokio::test]
async fn what_is_being_answered_is_finished() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(&world.http).await.unwrap();
    let body = br#"[{"key":"k","value":1}]"#;
    let head = format!("POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..10]).await.unwrap();
    assert_eq!(world.post("/v1.0/shutdown", "").await.status, 204);
    while TcpStream::connect(&world.http).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(&body[10..]).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 204);
    world.ended().await;
}

#[tokio::test]
async fn what_does_not_finish_is_not_waited_for_for_ever() {
    let world = World::with(|config| config.grace = Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(&world.http).await.unwrap();
    stream.write_all(b"POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n[").await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn while_the_end_is_put_off_requests_are_answered() {
    let world = World::with(|config| config.block_shutdown = Duration::from_secs(2)).await;
    assert_eq!(world.post("/v1.0/shutdown", "").await.status, 204);
    while world.get("/v1.0/healthz").await.status == 204 {}
    let ending = world.get("/v1.0/healthz").await;
    assert_eq!(ending.json()["message"], "dapr is not ready: [runtime]");
    assert_eq!(
        world.get("/v1.0/healthz/outbound").await.refused(),
        (500, "ERR_OUTBOUND_HEALTH_NOT_READY".into())
    );
    assert_eq!(world.post("/v1.0/state/s", r#"[{"key":"k","value":1}]"#).await.status, 204);
    world.ended().await;
}
