//! Calls through policies, and applications that are asked whether they are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use api::config::HealthCheck;
use api::proto::dapr::common::v1::http_extension::Verb;
use api::proto::dapr::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use api::proto::dapr::runtime::v1::InvokeServiceRequest;
use api::resiliency::{Breaking, Policies, Resiliency, Retry, Trip};
use http::HeaderMap;
use http_body_util::BodyExt;
use policy::{CountedConfig, Pace, RepeatConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::app::{App, said};
use crate::world::{Answer, World};

/// An application that answers with these statuses, one after the other, and then with the last; and how often it was asked.
async fn answering(statuses: &'static [u16]) -> (App, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = App::new(move |request| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            said(statuses[n.min(statuses.len() - 1)], body)
        }
    })
    .await;
    (app, asked)
}

fn retry(max: u32) -> Retry {
    let pace = RepeatConfig { max: Some(max), pace: Pace::Constant(Duration::from_millis(1)) };
    Retry { pace, http: None, grpc: None }
}

fn breaking(trip: &str, open_for: Duration) -> Breaking {
    let config = CountedConfig { open_for, ..CountedConfig::default() };
    Breaking { config, trip: Trip::new(trip).unwrap(), methods_max: 100 }
}

/// A caller with these policies for `orders`, and `orders`.
async fn calling(app: &App, policies: Policies) -> (World, World) {
    let caller = World::with(|config| {
        config.resiliency =
            Resiliency { apps: [("orders".to_owned(), policies)].into(), ..Resiliency::default() };
    })
    .await;
    let port = app.port;
    let callee = caller.beside("orders", |config| config.app.port = Some(port)).await;
    (caller, callee)
}

const CALL: &str = "/v1.0/invoke/orders/method/x";

#[tokio::test]
async fn what_failed_is_tried_again_with_its_body() {
    let (app, asked) = answering(&[500, 404, 200]).await;
    let (caller, _callee) = calling(&app, Policies { retry: Some(retry(3)), ..Policies::default() }).await;
    let answer = caller.post(CALL, "once more").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "once more"));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn the_last_answer_is_the_answer() {
    let (app, asked) = answering(&[500, 503]).await;
    let (caller, _callee) = calling(&app, Policies { retry: Some(retry(2)), ..Policies::default() }).await;
    assert_eq!(caller.post(CALL, "x").await.status, 503);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let nobody = World::with(|config| config.resiliency.other_apps.retry = Some(retry(2))).await;
    assert_eq!(nobody.get(CALL).await.refused(), (500, "ERR_DIRECT_INVOKE".into()));
}

#[tokio::test]
async fn only_statuses_that_are_named_are_tried_again() {
    let (app, asked) = answering(&[503, 400, 200]).await;
    let retry = Retry { http: Some(vec![(429, 429), (500, 599)]), ..retry(5) };
    let (caller, _callee) = calling(&app, Policies { retry: Some(retry), ..Policies::default() }).await;
    assert_eq!(caller.get(CALL).await.status, 400);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_sent_once() {
    let (app, asked) = answering(&[500, 200]).await;
    let (caller, _callee) = calling(&app, Policies { retry: Some(retry(3)), ..Policies::default() }).await;
    let mut stream = TcpStream::connect(&caller.http).await.unwrap();
    let head =
        format!("POST {CALL} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all((head + "1\r\nx\r\n0\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 500);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn who_takes_too_long_is_not_waited_for() {
    let app = App::new(|_| std::future::pending()).await;
    let limit = Some(Duration::from_millis(50));
    let (caller, _callee) = calling(&app, Policies { timeout: limit, ..Policies::default() }).await;
    let late = caller.get(CALL).await;
    assert_eq!(late.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    assert!(late.body.contains("context deadline exceeded"), "{late:?}");
    let refused = invoke(&caller, Verb::Get).await.unwrap_err();
    assert_eq!(refused.code, 4, "{refused:?}");
}

#[tokio::test]
async fn who_fails_is_left_alone_for_a_while() {
    let (app, asked) = answering(&[500, 500, 200]).await;
    let breaker = Some(breaking("consecutiveFailures > 1", Duration::from_millis(300)));
    let (caller, _callee) = calling(&app, Policies { breaker, ..Policies::default() }).await;
    for _ in 0..2 {
        assert_eq!(caller.get(CALL).await.status, 500);
    }
    let open = caller.get(CALL).await;
    assert_eq!(open.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    assert!(open.body.contains("circuit breaker is open"), "{open:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(caller.get("/v1.0/invoke/orders/method/other").await.status, 200, "each method has its own");
    while caller.get(CALL).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_breaker_stays_open_whatever_else_is_declared() {
    let (app, asked) = answering(&[500]).await;
    let breaker = Some(breaking("consecutiveFailures > 1", Duration::from_secs(600)));
    let (caller, _callee) = calling(&app, Policies { breaker, ..Policies::default() }).await;
    for _ in 0..2 {
        assert_eq!(caller.get(CALL).await.status, 500);
    }
    caller.renew(|config| config.resiliency.other_apps.retry = Some(retry(1)));
    assert!(caller.get(CALL).await.body.contains("circuit breaker is open"));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    caller.renew(|config| config.resiliency = Resiliency::default());
    assert_eq!(caller.get(CALL).await.status, 500);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "what is declared no longer is forgotten");
}

#[tokio::test]
async fn an_open_breaker_ends_the_tries() {
    let (app, asked) = answering(&[500]).await;
    let breaker = Some(breaking("totalFailures >= 2", Duration::from_secs(60)));
    let (caller, _callee) = calling(&app, Policies { retry: Some(retry(10)), breaker, timeout: None }).await;
    let open = caller.get(CALL).await;
    assert!(open.status == 500 && open.body.contains("circuit breaker is open"), "{open:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

async fn invoke(world: &World, verb: Verb) -> Result<InvokeResponse, crate::world::Refused> {
    let extension = HttpExtension { verb: verb.into(), querystring: String::new() };
    let message =
        InvokeRequest { method: "x".to_owned(), http_extension: Some(extension), ..InvokeRequest::default() };
    let request = InvokeServiceRequest { id: "orders".to_owned(), message: Some(message) };
    world.call("dapr.proto.runtime.v1.Dapr/InvokeService", &request).await
}

#[tokio::test]
async fn calls_over_grpc_have_the_same_policies() {
    let (app, asked) = answering(&[500, 503, 200]).await;
    let (caller, _callee) = calling(&app, Policies { retry: Some(retry(3)), ..Policies::default() }).await;
    invoke(&caller, Verb::Post).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_is_passed_on_over_grpc_is_tried_again_with_its_messages() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = App::new(move |request| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut response = said(200, if n < 2 { bytes::Bytes::new() } else { body });
            response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            response.headers_mut().insert("grpc-status", if n < 2 { "14" } else { "0" }.parse().unwrap());
            response
        }
    })
    .await;
    let (caller, _callee) = {
        let policies = Policies { retry: Some(retry(3)), ..Policies::default() };
        let caller = World::with(|config| {
            config.resiliency =
                Resiliency { apps: [("orders".to_owned(), policies)].into(), ..Resiliency::default() };
        })
        .await;
        let port = app.port;
        let callee = caller
            .beside("orders", |config| {
                config.app.port = Some(port);
                config.app.protocol = "grpc".to_owned();
            })
            .await;
        (caller, callee)
    };
    let said = HeaderMap::from_iter([("dapr-app-id".parse().unwrap(), "orders".parse().unwrap())]);
    let sent = InvokeRequest { method: "again and again".to_owned(), ..InvokeRequest::default() };
    assert_eq!(caller.call_with::<InvokeRequest>("a.B/C", &sent, said).await.unwrap(), sent);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_application_that_is_not_well_gets_no_calls() {
    for protocol in ["http", "grpc"] {
        let well = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&well);
        let app = App::new(move |request| {
            let is_well = answer.load(Ordering::Relaxed);
            let path = request.uri().path().to_owned();
            async move {
                let asked = path == "/alive" || path.ends_with("AppCallbackHealthCheck/HealthCheck");
                assert!(!asked || !request.headers().contains_key("dapr-api-token"));
                let status = if asked && !is_well { 503 } else { 200 };
                let mut response = said(status, if path.ends_with("Check") { &[0; 5][..] } else { &[][..] });
                response.headers_mut().insert("grpc-status", "0".parse().unwrap());
                if asked && !is_well {
                    response.headers_mut().insert("grpc-status", "2".parse().unwrap());
                }
                response
            }
        })
        .await;
        let caller = World::new().await;
        let port = app.port;
        let callee = caller
            .beside("orders", |config| {
                config.app.port = Some(port);
                config.app.protocol = protocol.to_owned();
                config.app.token = Some("secret".to_owned());
                let every = Duration::from_millis(20);
                let path = "/alive".to_owned();
                let timeout = Duration::from_secs(20);
                config.app.health = Some(HealthCheck { path, interval: every, timeout, threshold: 2 });
            })
            .await;
        while callee.get("/v1.0/healthz").await.status != 204 {}
        let ill = caller.get(CALL).await;
        assert_eq!(ill.refused(), (500, "ERR_DIRECT_INVOKE".into()));
        assert!(ill.body.contains("app is not in a healthy state"), "{ill:?}");
        let mut health = callee.api.app.watch_health().unwrap();
        well.store(true, Ordering::Relaxed);
        health.wait_for(|well| *well).await.unwrap();
        if protocol == "http" {
            assert_eq!(caller.get(CALL).await.status, 200);
        }
        well.store(false, Ordering::Relaxed);
        health.wait_for(|well| !*well).await.unwrap();
        assert_eq!(caller.get(CALL).await.status, 500);
        assert_eq!(callee.get("/v1.0/healthz").await.status, 204, "its sidecar is well");
        assert!(callee.said.lock().unwrap().iter().any(|line| line.contains("not well")));
    }
}
