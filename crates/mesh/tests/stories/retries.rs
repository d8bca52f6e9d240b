//! Which requests are sent again after a failure, and how many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mesh::config::{Call, Protocol, Retries};
use policy::{Backoff, BudgetConfig, Conditions, Jitter, RetryConfig};

use crate::world::{Server, World, answer, call, ms, soon};

/// Two retries without a wait to speak of, and a budget that these stories do not exhaust.
pub fn retries() -> Retries {
    Retries {
        retry: RetryConfig { max: 2, backoff: Backoff { base: ms(1), max: ms(5) }, ..RetryConfig::default() },
        budget: BudgetConfig { ratio: 1.0, min_per_second: 100.0, window: Duration::from_secs(10) },
        body_bytes: 1000,
    }
}

fn retried() -> Call {
    Call { retries: Some(retries()), ..call("shop") }
}

const KEY: &str = "Idempotency-Key: 7\r\n";

#[tokio::test]
async fn an_answer_that_may_pass_is_asked_for_again() {
    for trouble in [&["503 No", "200 OK"][..], &["502 No", "504 No", "200 OK"], &["reset", "200 OK"]] {
        let server = Server::playing(trouble).await;
        let world = World::with(&[&server], retried()).await;
        assert_eq!(world.get("/").await.status, 200, "{trouble:?}");
        assert_eq!(server.requests(), trouble.len());
        let status = world.status("shop");
        assert_eq!((status.requests, status.retries, status.failures), (1, trouble.len() as u64 - 1, 0));
    }
}

#[tokio::test]
async fn after_the_last_retry_the_caller_gets_the_last_answer() {
    let server = Server::playing(&["503 One", "503 Two", "503 Three", "200 OK"]).await;
    let world = World::with(&[&server], retried()).await;
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "503 Three"));
    assert_eq!(server.requests(), 3);
    let server = Server::playing(&["reset"]).await;
    let world = World::with(&[&server], retried()).await;
    let problem = world.get("/").await.problem(502, "connection-lost");
    assert_eq!((&problem["tries"], server.requests()), (&3.into(), 3));
}

#[tokio::test]
async fn other_failures_are_not_asked_for_again() {
    for status in ["500 No", "501 No", "404 No", "429 No"] {
        let server: &'static [&'static str] = Box::leak(Box::new([status]));
        let server = Server::playing(server).await;
        let world = World::with(&[&server], retried()).await;
        assert_eq!(world.get("/").await.text(), status);
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_post_that_was_sent_is_not_sent_again() {
    for trouble in [&["503 No", "200 OK"][..], &["reset", "200 OK"]] {
        let server = Server::playing(trouble).await;
        let world = World::with(&[&server], retried()).await;
        assert!(world.post("/", "", "pay").await.status >= 500);
        assert_eq!(server.requests(), 1, "{trouble:?}");
        let server = Server::playing(trouble).await;
        let world = World::with(&[&server], retried()).await;
        assert!(world.post("/", "Idempotency-Key: \r\n", "pay").await.status >= 500);
        assert_eq!(server.requests(), 1, "{trouble:?}, and a key that names nothing");
    }
}

#[tokio::test]
async fn a_post_with_a_key_is_sent_again_with_its_body() {
    for trouble in [&["503 No", "reset", "200 OK"][..], &["reset", "503 No", "200 OK"]] {
        let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = bodies.clone();
        let server = Server::answering(move |nth, head, body| {
            assert_eq!(head.header("idempotency-key"), Some("7"));
            seen.lock().unwrap().push(String::from_utf8(body).unwrap());
            async move { Some(trouble[nth]).filter(|status| *status != "reset").map(|s| answer(s, s)) }
        })
        .await;
        let world = World::with(&[&server], retried()).await;
        assert_eq!(world.post("/", KEY, "the body").await.status, 200);
        assert_eq!(*bodies.lock().unwrap(), ["the body"; 3]);
        let chunked = format!(
            "POST / HTTP/1.1\r\nHost: shop\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n3\r\nthe\r\n5\r\n body\r\n0\r\n\r\n"
        );
        drop(world);
        let seen = bodies.clone();
        let server = Server::answering(move |nth, _, body| {
            seen.lock().unwrap().push(String::from_utf8(body).unwrap());
            async move { Some(trouble[nth]).filter(|status| *status != "reset").map(|s| answer(s, s)) }
        })
        .await;
        let world = World::with(&[&server], retried()).await;
        assert_eq!(world.ask(&chunked).await.status, 200);
        assert_eq!(*bodies.lock().unwrap(), ["the body"; 6]);
    }
}

#[tokio::test]
async fn a_body_over_the_bound_is_sent_once() {
    let server = Server::playing(&["503 No", "200 OK"]).await;
    let world = World::with(&[&server], retried()).await;
    assert_eq!(world.post("/", KEY, &"x".repeat(1001)).await.status, 503);
    assert_eq!(server.requests(), 1);
    let server = Server::playing(&["503 No", "200 OK"]).await;
    let world = World::with(&[&server], retried()).await;
    assert_eq!(world.post("/", KEY, &"x".repeat(1000)).await.status, 200);
}

#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere_whatever_the_method() {
    let (dead, alive) = (Server::dead().await, Server::fixed("200 OK", "alive").await);
    let world = World::with(&[&dead, &alive], retried()).await;
    for _ in 0..20 {
        assert_eq!(world.post("/", "", "pay").await.status, 200);
    }
    assert_eq!(alive.requests(), 20);
}

#[tokio::test]
async fn a_connection_that_went_stale_costs_nobody_anything() {
    let server = Server::scripted(|mut served| async move {
        served.whole().await;
        served.text("200 OK", "bye").await;
    })
    .await;
    // Without retries: taking another connection is not one.
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    for _ in 0..20 {
        let answer = wire.ask("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(answer.text(), "bye");
        tokio::time::sleep(ms(5)).await;
    }
    assert_eq!((server.connections(), server.requests()), (20, 20));
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_made_elsewhere() {
    let (slow, quick) = (Server::slow(ms(2000), "slow").await, Server::fixed("200 OK", "quick").await);
    let world = World::with(&[&slow, &quick], Call { per_try: Some(ms(80)), ..retried() }).await;
    for _ in 0..6 {
        assert_eq!(world.get("/").await.text(), "quick");
    }
    assert!(slow.requests() >= 1, "two choices find the slow one at first");
    assert_eq!(world.status("shop").status_2xx, 6);
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_kept_where_the_deadline_allows_it() {
    let server = Server::answering(|nth, _, _| async move {
        match nth {
            0 => Some("HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_owned()),
            _ => Some(answer("200 OK", "")),
        }
    })
    .await;
    let patient = Call { timeout: Some(ms(5000)), ..retried() };
    let world = World::with(&[&server], patient).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(world.get("/").await.status, 200);
    assert!(begun.elapsed() >= ms(1000));
    let server = Server::answering(|_, _, _| async move {
        Some("HTTP/1.1 503 No\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n".to_owned())
    })
    .await;
    let world = World::with(&[&server], Call { timeout: Some(ms(5000)), ..retried() }).await;
    assert_eq!(world.get("/").await.status, 503);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_flood_of_failures_is_retried_within_the_budget() {
    let server = Server::playing(&["503 No"]).await;
    let budget = BudgetConfig { ratio: 0.2, min_per_second: 1.0, window: Duration::from_secs(10) };
    let world =
        World::with(&[&server], Call { retries: Some(Retries { budget, ..retries() }), ..call("shop") })
            .await;
    const REQUESTS: usize = 300;
    let mut wires = Vec::new();
    for _ in 0..6 {
        wires.push(world.wire().await);
    }
    for nth in 0..REQUESTS {
        let answer = wires[nth % 6].ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        assert_eq!(answer.status, 503);
    }
    let status = world.status("shop");
    assert!(status.retries <= REQUESTS as u64 / 5 + 10, "{} retries", status.retries);
    assert!(status.retries >= 30 && status.retries_denied > 0, "{status:?}");
    assert_eq!(server.requests() as u64, REQUESTS as u64 + status.retries);
}

#[tokio::test]
async fn a_killed_instance_fails_no_get() {
    let (one, two) = (Server::fixed("200 OK", "one").await, Server::fixed("200 OK", "two").await);
    let world = World::with(&[&one, &two], retried()).await;
    let (failed, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut wire = world.wire().await;
        let (failed, done, stop) = (failed.clone(), done.clone(), stop.clone());
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let answer = wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
                done.fetch_add(1, Ordering::SeqCst);
                failed.fetch_add(usize::from(answer.status != 200), Ordering::SeqCst);
            }
        }));
    }
    tokio::time::sleep(ms(150)).await;
    one.kill();
    tokio::time::sleep(ms(250)).await;
    world.publish("shop", &[&two]);
    tokio::time::sleep(ms(100)).await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        soon("the end of a client", client).await.unwrap();
    }
    assert!(one.requests() > 0 && done.load(Ordering::SeqCst) > one.requests());
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {}", done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn http2_requests_are_retried_like_others() {
    let count = Arc::new(AtomicUsize::new(0));
    let server = Server::http2(move |_| {
        let status = if count.fetch_add(1, Ordering::SeqCst) == 0 { 503 } else { 200 };
        async move {
            let body = http_body_util::Full::new(bytes::Bytes::from("x"));
            http::Response::builder().status(status).body(body).unwrap()
        }
    })
    .await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", retried());
    let world = world.start(&[&server]).await;
    assert_eq!(world.post("/", KEY, "again").await.status, 200);
    assert_eq!((server.requests(), server.connections()), (2, 1));
}

fn retried_as(change: impl FnOnce(&mut RetryConfig)) -> Call {
    let mut retries = retries();
    change(&mut retries.retry);
    Call { retries: Some(retries), ..call("shop") }
}

#[tokio::test]
async fn only_what_on_names_is_tried_again() {
    let none = Conditions { connect_failure: false, reset: false, timeout: false, statuses: false };
    let server = Server::playing(&["503 No", "reset", "200 OK"]).await;
    let only_lost = retried_as(|retry| retry.on = Conditions { reset: true, ..none });
    let world = World::with(&[&server], only_lost).await;
    assert_eq!(world.get("/").await.status, 503, "an answer is an answer");
    assert_eq!(world.get("/").await.status, 200, "a lost connection is tried again");
    assert_eq!((server.requests(), world.status("shop").retries), (3, 1));
    let dead = Server::dead().await;
    let only_answers = retried_as(|retry| retry.on = Conditions { statuses: true, ..none });
    let world = World::with(&[&dead], only_answers).await;
    assert_eq!(world.get("/").await.problem(503, "connect-failed")["tries"], 1);
}

#[tokio::test]
async fn a_grpc_call_that_failed_before_it_began_is_tried_again() {
    let server = Server::answering(|nth, _, _| async move {
        let grpc = if nth == 0 { 14 } else { 0 };
        Some(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: {grpc}\r\nContent-Length: 0\r\n\r\n"
        ))
    })
    .await;
    let world = World::with(&[&server], retried_as(|retry| retry.grpc_statuses = vec![14])).await;
    let grpc = format!("{KEY}Content-Type: application/grpc\r\n");
    let answer = world.post("/shop.Cart/Add", &grpc, "").await;
    assert_eq!((answer.header("grpc-status"), server.requests()), (Some("0"), 2));
    assert_eq!(world.status("shop").retries, 1);
}

#[tokio::test]
async fn decorrelated_jitter_waits_at_least_its_base() {
    let server = Server::playing(&["503 No", "200 OK"]).await;
    let policies = retried_as(|retry| {
        retry.jitter = Jitter::Decorrelated;
        retry.backoff = Backoff { base: ms(120), max: ms(130) };
    });
    let world = World::with(&[&server], policies).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(world.get("/").await.status, 200);
    assert!(begun.elapsed() >= ms(115), "{:?}", begun.elapsed());
}
