//! What a client of gRPC gets when Colony answers itself, and what Colony learns from what a server of gRPC
//! answers.

use std::collections::BTreeMap;

use http::Request;
use mesh::config::{Call, LimitKey, Protocol, Role};
use policy::{BreakerConfig, EjectionConfig};

use crate::crowds::at_most;
use crate::limits::limit;
use crate::world::{Answer, H2, Server, World, call, ms, sending, until, whole};

fn request() -> http::request::Builder {
    Request::post("http://shop/shop.Cart/Add").header("content-type", "application/grpc+proto")
}

async fn add(world: &World) -> Answer {
    world.h2().await.send(request(), "\0\0\0\0\0").await
}

/// Asserts that this is a whole answer in its head, and returns its status.
fn status(answer: &Answer) -> u16 {
    assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/grpc"), "{answer:?}");
    assert!(answer.trailers.is_empty(), "{answer:?}");
    answer.header("grpc-status").expect("a status").parse().expect("a number")
}

fn says(answer: &Answer, what: &str) {
    let message = answer.header("grpc-message").expect("a message");
    assert!(message.contains(what), "{message}");
    assert!(
        answer.header("x-request-id").is_some() && answer.header("content-length").is_none(),
        "{answer:?}"
    );
}

/// A server that says in the head how each call ended.
async fn ending(grpc: u16) -> Server {
    Server::answering(move |_, _, _| async move {
        Some(format!("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: {grpc}\r\nContent-Length: 0\r\n\r\n"))
    })
    .await
}

/// One failure opens the breaker.
fn breaker() -> Option<BreakerConfig> {
    Some(BreakerConfig { failures: 1, rate: 0.0, open_for: ms(60_000), ..BreakerConfig::default() })
}

#[tokio::test]
async fn a_call_without_an_answer_is_over_its_deadline() {
    let server = Server::slow(ms(3000), "late").await;
    let world = World::with(&[&server], Call { timeout: Some(ms(100)), ..call("shop") }).await;
    let answer = add(&world).await;
    assert_eq!((status(&answer), answer.header("grpc-retry-pushback-ms")), (4, None));
    says(&answer, "timeout: shop");
    let late = world.h2().await.send(request().header("grpc-timeout", "0n"), "x").await;
    assert_eq!((status(&late), world.status("shop").expired), (4, 1));
}

#[tokio::test]
async fn a_service_that_is_not_to_be_had_is_unavailable() {
    let dead = Server::dead().await;
    let world = World::with(&[&dead], Call { breaker: breaker(), ..call("shop") }).await;
    let answer = add(&world).await;
    assert_eq!(status(&answer), 14);
    says(&answer, "connect-failed: cannot connect to shop");
    let rejected = add(&world).await;
    assert_eq!(status(&rejected), 14);
    says(&rejected, "circuit-open");
    let wait: u64 = rejected.header("grpc-retry-pushback-ms").expect("a wait").parse().unwrap();
    assert!((50_000..=60_000).contains(&wait), "{wait}");

    let reset = Server::playing(&["reset"]).await;
    let world = World::of(&reset).await;
    let lost = add(&world).await;
    assert_eq!(status(&lost), 14);
    says(&lost, "connection-lost");
}

#[tokio::test]
async fn a_caller_that_is_too_fast_is_told_apart_from_a_service_that_is_too_slow() {
    let server = ending(0).await;
    let limits = vec![limit(1, LimitKey::All)];
    let world = World::with(&[&server], Call { limits, ..call("shop") }).await;
    assert_eq!(status(&add(&world).await), 0);
    let limited = add(&world).await;
    assert_eq!(status(&limited), 8);
    assert!(limited.header("grpc-retry-pushback-ms").is_some(), "{limited:?}");

    let slow = Server::slow(ms(1000), "slow").await;
    let world = World::with(&[&slow], Call { concurrency: at_most(1, 0, 1), ..call("shop") }).await;
    let first = add(&world);
    let second = async {
        until("the first to be in", || slow.requests() == 1).await;
        add(&world).await
    };
    let (_, second) = tokio::join!(first, second);
    assert_eq!((status(&second), second.header("grpc-retry-pushback-ms")), (14, Some("1000")));
}

#[tokio::test]
async fn what_is_not_there_is_not_implemented_and_what_is_not_declared_not_permitted() {
    let server = ending(0).await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/other/**", call("shop"));
    let calls = BTreeMap::from([("shop".to_owned(), call("payments"))]);
    let known = ["shop", "payments", "catalog"].map(str::to_owned).to_vec();
    world.upstream("payments", Protocol::Http1, &[]);
    world.listener("checkout", Role::Sidecar { caller: "checkout".into(), calls, known });
    let world = world.start(&[&server]).await;
    let nowhere = add(&world).await;
    assert_eq!(status(&nowhere), 12);
    says(&nowhere, "no-route");
    let sidecar = H2::connect(world.mesh.address("checkout").unwrap()).await;
    let ask = |host: &str| {
        let uri = format!("http://{host}/shop.Cart/Add");
        Request::post(uri).header("content-type", "application/grpc")
    };
    let undeclared = sidecar.send(ask("catalog"), "x").await;
    assert_eq!(status(&undeclared), 7);
    says(&undeclared, "(add to the manifest:  services.checkout.calls.catalog: {})");
    assert_eq!(status(&sidecar.send(ask("nobody"), "x").await), 12);
}

#[tokio::test]
async fn an_answer_that_is_not_of_grpc_passes_as_it_is() {
    let server = Server::fixed("503 Busy", "try later").await;
    let answer = add(&World::of(&server).await).await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "try later"));
    assert_eq!(answer.header("grpc-status"), None);
}

#[tokio::test]
async fn other_requests_get_a_document_as_ever() {
    let dead = Server::dead().await;
    let world = World::with(&[&dead], call("shop")).await;
    let web = Request::post("http://shop/").header("content-type", "application/grpc-web");
    world.h2().await.send(web, "x").await.problem(503, "connect-failed");
}

#[tokio::test]
async fn a_failure_in_the_head_is_a_failure_of_the_service() {
    for (grpc, ill) in
        [(14, true), (13, true), (2, true), (4, true), (0, false), (5, false), (8, false), (12, false)]
    {
        let server = ending(grpc).await;
        let ejection = Some(EjectionConfig { failures: 1, ..EjectionConfig::default() });
        let world =
            World::with(&[&server, &server], Call { breaker: breaker(), ejection, ..call("shop") }).await;
        assert_eq!(status(&add(&world).await), grpc);
        let seen = world.status("shop");
        assert_eq!((seen.breaker == "open", seen.failures == 1), (ill, ill), "{grpc}: {seen:?}");
        assert_eq!(seen.status_2xx, 1);
    }
    let server = ending(14).await;
    let world = World::with(&[&server], Call { breaker: breaker(), ..call("shop") }).await;
    assert_eq!(world.get("/").await.status, 200);
    assert_eq!(world.status("shop").breaker, "closed", "to others the field means nothing");
}

#[tokio::test]
async fn a_stream_of_messages_may_be_silent_for_as_long_as_it_likes() {
    let server = Server::http2(|request| async move {
        use http_body_util::BodyExt;
        let (head, mut body) = request.into_parts();
        let (feed, answer) = sending();
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    feed.data(data);
                }
            }
            feed.trailers("grpc-status", "0");
        });
        let answer =
            http::Response::builder().header("content-type", "application/grpc").body(answer).unwrap();
        drop(head);
        answer
    })
    .await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call("shop"));
    world.edge().limits.body_idle = ms(100);
    let world = world.start(&[&server]).await;
    let (feed, body) = sending();
    let streaming = world.h2().await.stream(request().body(body).unwrap()).await;
    feed.data("one ");
    tokio::time::sleep(ms(350)).await;
    feed.data("two");
    tokio::time::sleep(ms(350)).await;
    drop(feed);
    let answer = whole(streaming).await;
    assert_eq!((answer.text().as_str(), answer.trailer("grpc-status")), ("one two", Some("0")));
}

/// A server of streams that sends a message, and ends each as it is told.
async fn streaming(ends: tokio::sync::watch::Receiver<&'static str>) -> Server {
    Server::http2(move |_| {
        let mut ends = ends.clone();
        async move {
            let (feed, answer) = sending();
            feed.data("one");
            tokio::spawn(async move {
                if let Ok(status) = ends.wait_for(|end| !end.is_empty()).await {
                    feed.trailers("grpc-status", &status);
                }
            });
            http::Response::builder().header("content-type", "application/grpc").body(answer).unwrap()
        }
    })
    .await
}

async fn streams(server: &Server, call: Call) -> World {
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call);
    world.start(&[server, server]).await
}

#[tokio::test]
async fn a_failure_behind_the_messages_counts_when_it_is_known() {
    for (end, ill) in [("14", true), ("13", true), ("0", false), ("5", false), ("8", false)] {
        let (tell, ends) = tokio::sync::watch::channel("");
        let server = streaming(ends).await;
        let ejection = Some(EjectionConfig { failures: 1, ..EjectionConfig::default() });
        let two = BreakerConfig { failures: 2, ..breaker().unwrap() };
        let world = streams(&server, Call { breaker: Some(two), ejection, ..call("shop") }).await;
        let client = world.h2().await;
        let ask = || async {
            let (_, nothing) = sending();
            client.stream(request().body(nothing).unwrap()).await
        };
        let (one, other) = (ask().await, ask().await);
        assert_eq!((world.status("shop").failures, world.status("shop").breaker.as_str()), (0, "closed"));
        tell.send_replace(end);
        for answer in [whole(one).await, whole(other).await] {
            assert_eq!((answer.text().as_str(), answer.trailer("grpc-status")), ("one", Some(end)));
        }
        until("both to be told", || (world.status("shop").breaker == "open") == ill).await;
        let seen = world.status("shop");
        assert_eq!((seen.failures, seen.requests), (if ill { 2 } else { 0 }, 2), "{end}");
        assert_eq!(seen.ejections > 0, ill, "{end}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_a_status_counts_as_it_began() {
    let (_tell, ends) = tokio::sync::watch::channel("");
    let server = streaming(ends).await;
    let world = streams(&server, Call { breaker: breaker(), ..call("shop") }).await;
    let (_, nothing) = sending();
    // Taken back by the client.
    drop(world.h2().await.stream(request().body(nothing).unwrap()).await);
    let (_, nothing) = sending();
    let lost = world.h2().await.stream(request().body(nothing).unwrap()).await;
    server.kill();
    assert_eq!(whole(lost).await.trailer("grpc-status"), Some("14"), "it is told what is known");
    let seen = world.status("shop");
    assert_eq!((seen.breaker.as_str(), seen.failures), ("closed", 0));
}

#[tokio::test]
async fn a_probe_that_streams_keeps_nobody_out() {
    let (tell, ends) = tokio::sync::watch::channel("14");
    let server = streaming(ends).await;
    let probing = BreakerConfig { open_for: ms(50), ..breaker().unwrap() };
    let world = streams(&server, Call { breaker: Some(probing), ..call("shop") }).await;
    let client = world.h2().await;
    let ask = || async {
        let (_, nothing) = sending();
        client.stream(request().body(nothing).unwrap()).await
    };
    assert_eq!(whole(ask().await).await.trailer("grpc-status"), Some("14"));
    until("it to open", || world.status("shop").breaker == "open").await;
    tell.send_replace("");
    until("it to half-open", || world.status("shop").breaker == "half-open").await;
    let probe = ask().await;
    until("it to close", || world.status("shop").breaker == "closed").await;
    let beside = ask().await;
    tell.send_replace("14");
    assert_eq!(whole(probe).await.trailer("grpc-status"), Some("14"));
    assert_eq!(whole(beside).await.trailer("grpc-status"), Some("14"));
    until("it to open again", || world.status("shop").breaker == "open").await;
}
