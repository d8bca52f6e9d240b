//! What a call does when its upstream is slow, ill or away, and when its caller is too eager.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh::config::{Call, Fallback, Protocol};
use policy::{BreakerConfig, EjectionConfig};

use crate::retries::retries;
use crate::world::{Server, World, answer, call, ms, until};

#[tokio::test]
async fn a_slow_answer_is_a_timeout_that_names_call_and_instance() {
    let server = Server::slow(ms(3000), "late").await;
    let world = World::with(&[&server], Call { timeout: Some(ms(100)), ..call("shop") }).await;
    let problem = world.get("/").await.problem(504, "timeout");
    assert_eq!(problem["policy"], "timeout");
    assert_eq!((&problem["call"], &problem["upstream"]), (&"shop".into(), &"shop".into()));
    assert_eq!(problem["tries"], 1);
    assert!(problem["detail"].as_str().unwrap().contains(&server.id), "{problem}");
    let status = world.status("shop");
    assert_eq!((status.timeouts, status.status_5xx, status.failures), (1, 1, 1));
    until("the server's connection to end", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn the_whole_is_over_in_time_however_many_tries_there_were() {
    let server = Server::slow(ms(3000), "late").await;
    let policies =
        Call { timeout: Some(ms(250)), per_try: Some(ms(100)), retries: Some(retries()), ..call("shop") };
    let world = World::with(&[&server], policies).await;
    let begun = tokio::time::Instant::now();
    let problem = world.get("/").await.problem(504, "timeout");
    assert!(begun.elapsed() < ms(1500) && begun.elapsed() >= ms(240), "{:?}", begun.elapsed());
    assert_eq!((&problem["tries"], server.requests()), (&3.into(), 3));
}

#[tokio::test]
async fn a_body_may_take_longer_than_the_timeout_of_its_head() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        served.wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
        tokio::time::sleep(ms(300)).await;
        served.wire.try_send("half").await;
    })
    .await;
    let world = World::with(&[&server], Call { timeout: Some(ms(100)), ..call("shop") }).await;
    assert_eq!(world.get("/").await.text(), "halfhalf");
}

fn breaker(failures: u32, open_for: Duration) -> BreakerConfig {
    BreakerConfig { failures, open_for, rate: 0.0, ..BreakerConfig::default() }
}

/// Ill or well, as the switch says.
async fn moody() -> (Server, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let mood = well.clone();
    let server = Server::answering(move |_, _, _| {
        let status = if mood.load(Ordering::SeqCst) { "200 OK" } else { "500 Ill" };
        async move { Some(answer(status, status)) }
    })
    .await;
    (server, well)
}

#[tokio::test]
async fn the_death_of_one_instance_opens_no_breaker() {
    let healthy = Server::fixed("200 OK", "well").await;
    let dying = Server::playing(&["reset"]).await;
    let policies = Call { retries: Some(retries()), breaker: Some(breaker(2, ms(60_000))), ..call("shop") };
    let world = World::with(&[&dying, &healthy], policies).await;
    let all = (0..40).map(|_| world.get("/"));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.text(), "well");
    }
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.breaker_opened, status.failures), ("closed", 0, 0));
    assert!(dying.requests() >= 1 && status.retries >= 1, "{status:?}");
}

#[tokio::test]
async fn a_breaker_opens_when_no_try_gets_through() {
    let dead = Server::dead().await;
    let policies = Call { retries: Some(retries()), breaker: Some(breaker(2, ms(60_000))), ..call("shop") };
    let world = World::with(&[&dead], policies).await;
    for _ in 0..2 {
        world.get("/").await.problem(503, "connect-failed");
    }
    world.get("/").await.problem(503, "circuit-open");
}

#[tokio::test]
async fn a_breaker_opens_spares_the_server_and_closes_again() {
    let (server, well) = moody().await;
    let world = World::with(&[&server], Call { breaker: Some(breaker(3, ms(400))), ..call("shop") }).await;
    for _ in 0..3 {
        assert_eq!(world.get("/").await.status, 500);
    }
    assert_eq!(world.status("shop").breaker, "open");
    for _ in 0..5 {
        let answer = world.get("/").await;
        let problem = answer.problem(503, "circuit-open");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(problem["retry_after_ms"].as_u64().unwrap() <= 400, "{problem}");
        assert_eq!(problem["policy"], "breaker");
    }
    assert_eq!(server.requests(), 3, "an open breaker touches nobody");
    tokio::time::sleep(ms(450)).await;
    assert_eq!(world.status("shop").breaker, "half-open");
    assert_eq!(world.get("/").await.status, 500);
    assert_eq!(world.get("/").await.status, 503);
    assert_eq!(server.requests(), 4, "one probe failed, so it is open again");
    well.store(true, Ordering::SeqCst);
    tokio::time::sleep(ms(450)).await;
    for _ in 0..5 {
        assert_eq!(world.get("/").await.status, 200);
    }
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.breaker_opened, status.rejected), ("closed", 2, 6));
}

#[tokio::test]
async fn a_probe_that_its_client_gives_up_does_not_block_the_next() {
    let (server, well) = moody().await;
    let slow = Arc::new(AtomicBool::new(false));
    let waits = slow.clone();
    let sleepy = Server::answering(move |_, _, _| {
        let (status, wait) = match waits.load(Ordering::SeqCst) {
            true => ("200 OK", 5000),
            false => ("500 Ill", 0),
        };
        async move {
            tokio::time::sleep(ms(wait)).await;
            Some(answer(status, ""))
        }
    })
    .await;
    let world = World::with(&[&sleepy], Call { breaker: Some(breaker(1, ms(100))), ..call("shop") }).await;
    assert_eq!(world.get("/").await.status, 500);
    slow.store(true, Ordering::SeqCst);
    tokio::time::sleep(ms(150)).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("the probe's way up", || sleepy.requests() == 2).await;
    assert_eq!(world.get("/").await.status, 503, "one probe at a time");
    drop(wire);
    well.store(true, Ordering::SeqCst);
    world.publish("shop", &[&server]);
    until("the probe to be given up", || world.mesh.in_flight("shop", &sleepy.id) == 0).await;
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn a_client_that_stalls_its_upload_does_not_open_the_breaker() {
    let echo = Server::echo().await;
    let policies = Call {
        breaker: Some(breaker(2, ms(60_000))),
        ejection: Some(EjectionConfig { failures: 2, ..EjectionConfig::default() }),
        timeout: Some(ms(80)),
        ..call("shop")
    };
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/**", policies);
    world.edge().limits.body_idle = ms(200);
    let world = world.start(&[&echo]).await;
    for _ in 0..3 {
        let half = "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nhalf";
        world.ask(half).await.problem(408, "body-idle");
        let bad = "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n\r\n";
        assert_eq!(world.ask(bad).await.status, 400);
    }
    assert_eq!(world.get("/").await.status, 200);
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.ejections), ("closed", 0));
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_timeout_and_the_service_may_not() {
    let policies = Call { timeout: Some(ms(150)), per_try: Some(ms(100)), ..call("shop") };
    let (echo, slow) = (Server::echo().await, Server::slow(ms(3000), "late").await);
    let world = World::with(&[&echo], policies).await;
    for server in [&echo, &slow] {
        world.publish("shop", &[server]);
        let mut wire = world.wire().await;
        wire.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 8\r\n\r\n").await;
        for _ in 0..8 {
            tokio::time::sleep(ms(50)).await;
            wire.send("x").await;
        }
        let sent = tokio::time::Instant::now();
        let answer = wire.answer().await;
        if server.id == echo.id {
            assert_eq!(answer.json()["body"], "xxxxxxxx");
        } else {
            answer.problem(504, "timeout");
            assert!(sent.elapsed() >= ms(90) && sent.elapsed() < ms(1500), "{:?}", sent.elapsed());
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_an_upload_is_timed_out() {
    let deaf = Server::scripted(|served| async move {
        tokio::time::sleep(ms(10_000)).await;
        drop(served);
    })
    .await;
    let world = World::with(&[&deaf], Call { timeout: Some(ms(200)), ..call("shop") }).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 30000000\r\n\r\n").await;
    let flood = "x".repeat(1 << 16);
    while tokio::time::timeout(ms(100), wire.try_send(&flood)).await == Ok(true) {}
    wire.answer().await.problem(504, "timeout");
}

#[tokio::test]
async fn a_bad_instance_of_three_is_left_out_and_comes_back() {
    let (bad, well) = moody().await;
    let (one, two) = (Server::fixed("200 OK", "").await, Server::fixed("200 OK", "").await);
    let ejection = EjectionConfig { failures: 3, base: ms(600), max: ms(600), ceiling: 0.5 };
    let policies = Call { ejection: Some(ejection), retries: Some(retries()), ..call("shop") };
    let world = World::with(&[&bad, &one, &two], policies).await;
    let mut asked = 0;
    while world.status("shop").ejections == 0 {
        world.get("/").await;
        asked += 1;
        assert!(asked < 300, "the bad one is found out");
    }
    let status = world.status("shop");
    assert_eq!(status.ejected[0].instance, bad.id);
    assert!(status.ejected[0].remaining_ms <= 600);
    let before = bad.requests();
    for _ in 0..50 {
        assert_eq!(world.get("/").await.status, 200);
    }
    assert_eq!(bad.requests(), before, "an ejected instance gets nothing");
    well.store(true, Ordering::SeqCst);
    tokio::time::sleep(ms(650)).await;
    assert!(world.status("shop").ejected.is_empty());
    for _ in 0..300 {
        assert_eq!(world.get("/").await.status, 200);
        if bad.requests() > before {
            return;
        }
    }
    panic!("the instance that is well again got no request");
}

#[tokio::test]
async fn the_last_instance_is_never_ejected() {
    let (bad, _well) = moody().await;
    let ejection = EjectionConfig { failures: 1, ..EjectionConfig::default() };
    let world = World::with(&[&bad], Call { ejection: Some(ejection), ..call("shop") }).await;
    for _ in 0..5 {
        assert_eq!(world.get("/").await.status, 500);
    }
    assert_eq!(world.status("shop").ejections, 0);
}

fn static_fallback() -> Option<Fallback> {
    Some(Fallback::Static { status: 200, body: "[]".into(), content_type: "application/json".into() })
}

#[tokio::test]
async fn a_static_fallback_stands_in_for_every_kind_of_failure() {
    let dead = Server::dead().await;
    let (ill, _well) = moody().await;
    let slow = Server::slow(ms(3000), "late").await;
    for server in [&dead, &ill, &slow] {
        let policies = Call {
            timeout: Some(ms(100)),
            breaker: Some(breaker(2, ms(60_000))),
            fallback: static_fallback(),
            ..call("shop")
        };
        let world = World::with(&[server], policies).await;
        for _ in 0..4 {
            let answer = world.post("/", "", "body").await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
        let status = world.status("shop");
        assert_eq!((status.fallbacks, status.failures, status.rejected), (4, 4, 2));
        assert_eq!((status.breaker.as_str(), status.status_2xx), ("open", 4));
        assert!(server.requests() <= 2);
    }
}

#[tokio::test]
async fn a_fallback_does_not_stand_in_for_the_clients_own_errors() {
    let server = Server::fixed("404 Not Found", "no such thing").await;
    let world = World::with(&[&server], Call { fallback: static_fallback(), ..call("shop") }).await;
    assert_eq!(world.get("/").await.text(), "no such thing");
    assert_eq!(world.status("shop").fallbacks, 0);
}

#[tokio::test]
async fn another_upstream_stands_in_with_the_same_request() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let dead = Server::dead().await;
        let echo = match protocol {
            Protocol::Http1 => Server::echo().await,
            Protocol::Http2 => Server::echo_http2().await,
        };
        let mut world = World::new();
        world.upstream("shop", Protocol::Http1, &[]);
        world.upstream("spare", protocol, &[]);
        let spare = Call { id: "shop, in its stead spare".into(), ..call("spare") };
        let policies = Call { fallback: Some(Fallback::Call(Box::new(spare))), ..call("shop") };
        world.route("/**", policies);
        let world = world.start(&[&dead]).await;
        world.publish("spare", &[&echo]);
        let answer = world.get("/things?a=1").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["target"], "/things?a=1");
        let host = if protocol == Protocol::Http1 { "host" } else { ":authority" };
        assert_eq!(answer.echoed(host), ["shop"]);
        let answer = world.post("/", "", "unsent").await;
        assert_eq!(answer.json()["body"], "unsent");
        assert_eq!(world.status("shop").fallbacks, 2);
        assert_eq!(world.status("shop, in its stead spare").status_2xx, 2);
    }
}

#[tokio::test]
async fn another_upstream_that_fails_too_says_so() {
    let (dead, ill) = (Server::dead().await, Server::fixed("500 Ill", "both").await);
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.upstream("spare", Protocol::Http1, &[]);
    world.route("/**", Call { fallback: Some(Fallback::Call(Box::new(call("spare")))), ..call("shop") });
    let world = world.start(&[&dead]).await;
    world.publish("spare", &[&ill]);
    assert_eq!(world.get("/").await.text(), "both");
}

#[tokio::test]
async fn nothing_that_may_have_been_done_is_done_again_elsewhere() {
    let (lost, echo) = (Server::playing(&["reset"]).await, Server::echo().await);
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.upstream("spare", Protocol::Http1, &[]);
    world.route("/**", Call { fallback: Some(Fallback::Call(Box::new(call("spare")))), ..call("shop") });
    let world = world.start(&[&lost]).await;
    world.publish("spare", &[&echo]);
    world.post("/", "", "").await.problem(502, "connection-lost");
    assert_eq!((world.status("shop").fallbacks, echo.requests()), (0, 0));
    assert_eq!(world.post("/", "Idempotency-Key: 1\r\n", "").await.status, 200);
    assert_eq!((world.status("shop").fallbacks, echo.requests()), (1, 1));
}

#[tokio::test]
async fn a_body_that_was_sent_goes_to_who_stands_in() {
    for trouble in [&["reset"], &["503 No"]] {
        let (ill, echo) = (Server::playing(trouble).await, Server::echo().await);
        let mut world = World::new();
        world.upstream("shop", Protocol::Http1, &[]);
        world.upstream("spare", Protocol::Http1, &[]);
        let fallback = Some(Fallback::Call(Box::new(call("spare"))));
        world.route("/**", Call { retries: None, fallback, ..call("shop") });
        let world = world.start(&[&ill]).await;
        world.publish("spare", &[&echo]);
        let key = "Idempotency-Key: 1\r\n";
        let answer = world.post("/", key, "the body").await;
        assert_eq!((answer.status, &answer.json()["body"]), (200, &"the body".into()), "{trouble:?}");
        let most = "x".repeat(64 << 10);
        assert_eq!(world.post("/", key, &most).await.json()["body"], most);
        assert!(world.post("/", key, &format!("{most}x")).await.status >= 500, "more than is kept");
        assert!(world.post("/", "", "the body").await.status >= 500, "it may have been done");
        assert_eq!((world.status("shop").fallbacks, echo.requests()), (2, 2));
    }
}

#[tokio::test]
async fn the_quick_instance_gets_more() {
    let (slow, quick) = (Server::slow(ms(30), "").await, Server::fixed("200 OK", "").await);
    let world = World::with(&[&slow, &quick], call("shop")).await;
    for _ in 0..100 {
        assert_eq!(world.get("/").await.status, 200);
    }
    assert!(quick.requests() > 3 * slow.requests(), "{} and {}", quick.requests(), slow.requests());
}

#[tokio::test]
async fn a_request_waits_for_an_instance_that_is_about_to_come() {
    let server = Server::fixed("200 OK", "here").await;
    let world = World::with(&[], Call { timeout: Some(ms(5000)), ..call("shop") }).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    tokio::time::sleep(ms(150)).await;
    world.publish("shop", &[&server]);
    assert_eq!(wire.answer().await.text(), "here");
}

#[tokio::test]
async fn a_request_without_an_instance_is_told_so_in_time() {
    let world = World::with(&[], Call { timeout: Some(ms(150)), ..call("shop") }).await;
    let answer = world.get("/").await;
    let problem = answer.problem(503, "no-instance");
    assert!(answer.header("retry-after").is_some());
    assert!(problem["remedy"].as_str().unwrap().contains("colony status"), "{problem}");
}
