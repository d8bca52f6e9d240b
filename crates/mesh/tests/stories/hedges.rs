//! What happens when a request takes longer than most: it is sent once more, to another instance, and
//! whoever answers first counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh::config::{Call, Hedge, Protocol, Retries};
use policy::{After, BreakerConfig, BudgetConfig, EjectionConfig, HedgeConfig};

use crate::retries::retries;
use crate::world::{Server, World, answer, call, ms, until};

const KEY: &str = "Idempotency-Key: 7\r\n";

fn after(after: After, max: u32) -> Option<Hedge> {
    Some(Hedge { hedge: HedgeConfig { after, max }, body_bytes: 1000 })
}

fn soon(max: u32) -> Option<Hedge> {
    after(After::Fixed(ms(40)), max)
}

/// Hedged at once, and severe with failures.
fn hedged() -> Call {
    let breaker = BreakerConfig { failures: 1, rate: 0.0, ..BreakerConfig::default() };
    let ejection = EjectionConfig { failures: 1, ..EjectionConfig::default() };
    Call { hedge: soon(1), breaker: Some(breaker), ejection: Some(ejection), ..call("shop") }
}

#[tokio::test]
async fn the_first_answer_counts_and_the_other_try_is_let_go_of() {
    let slow = Server::slow(ms(5000), "late").await;
    let quick = Server::fixed("200 OK", "well").await;
    let world = World::with(&[&slow, &quick], hedged()).await;
    let mut wire = world.wire().await;
    while slow.requests() == 0 {
        let begun = tokio::time::Instant::now();
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "well");
        assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
    }
    until("the slow connection to be closed", || slow.open() == 0).await;
    let status = world.status("shop");
    assert_eq!((status.hedges, status.hedges_won, status.retries), (1, 1, 0));
    assert_eq!((status.breaker.as_str(), status.ejections, status.failures), ("closed", 0, 0));
    assert_eq!(world.mesh.in_flight("shop", &slow.id), 0);
}

#[tokio::test]
async fn in_http2_a_stream_is_let_go_of_and_its_connection_lives_on() {
    let slow = Server::http2(|_| async {
        tokio::time::sleep(ms(5000)).await;
        http::Response::new(http_body_util::Full::new(bytes::Bytes::from("late")))
    })
    .await;
    let quick = Server::http2(|_| async {
        http::Response::new(http_body_util::Full::new(bytes::Bytes::from("well")))
    })
    .await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", hedged());
    let world = world.start(&[&slow, &quick]).await;
    let mut wire = world.wire().await;
    while slow.requests() == 0 {
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "well");
    }
    assert_eq!((world.status("shop").hedges_won, slow.open()), (1, 1));
    assert_eq!(world.mesh.in_flight("shop", &slow.id), 0);
}

#[tokio::test]
async fn only_what_is_safe_to_repeat_and_at_hand_is_hedged() {
    let servers = [Server::slow(ms(250), "late").await, Server::slow(ms(250), "late").await];
    let requests = || servers[0].requests() + servers[1].requests();
    let world = World::with(&[&servers[0], &servers[1]], hedged()).await;
    world.post("/", "", "once").await;
    assert_eq!(requests(), 1, "a POST may have been done");
    world.post("/", KEY, &"x".repeat(2000)).await;
    assert_eq!(requests(), 2, "a body that is larger than what is kept");
    world.post("/", KEY, "twice").await;
    assert_eq!(requests(), 4);
    assert_eq!(world.status("shop").hedges, 1);
}

#[tokio::test]
async fn each_try_gets_the_whole_body() {
    let echo = || {
        Server::answering(|_, _, body| async move {
            tokio::time::sleep(ms(if body.len() == 3 { 0 } else { 200 })).await;
            Some(answer("200 OK", &format!("{} bytes", body.len())))
        })
    };
    let (one, other) = (echo().await, echo().await);
    let world = World::with(&[&one, &other], hedged()).await;
    assert_eq!(world.post("/", KEY, &"x".repeat(900)).await.text(), "900 bytes");
    assert_eq!((one.requests(), other.requests()), (1, 1), "a hedge goes to another instance");
}

#[tokio::test]
async fn no_more_tries_are_under_way_than_are_allowed() {
    let servers = [(); 4].map(|()| Server::slow(ms(400), "late"));
    let servers = futures_util::future::join_all(servers).await;
    let all: Vec<&Server> = servers.iter().collect();
    let world = World::with(&all, Call { hedge: soon(2), ..call("shop") }).await;
    assert_eq!(world.get("/").await.text(), "late");
    let requests: usize = servers.iter().map(Server::requests).sum();
    assert_eq!((requests, world.status("shop").hedges), (3, 2));
}

#[tokio::test]
async fn hedges_withdraw_from_the_budget_of_retries() {
    let servers = [Server::slow(ms(100), "late").await, Server::slow(ms(100), "late").await];
    let budget = |ratio| BudgetConfig { ratio, min_per_second: 0.0, window: Duration::from_secs(60) };
    for (ratio, most) in [(0.0, 0), (0.25, 5)] {
        let retries = Some(Retries { budget: budget(ratio), ..retries() });
        let world =
            World::with(&[&servers[0], &servers[1]], Call { hedge: soon(1), retries, ..call("shop") }).await;
        let all = (0..20).map(|_| world.get("/"));
        assert!(futures_util::future::join_all(all).await.iter().all(|answer| answer.status == 200));
        let status = world.status("shop");
        assert!(status.hedges <= most && (status.hedges > 0) == (ratio > 0.0), "{status:?}");
        assert_eq!(status.hedges + status.retries_denied, 20);
    }
}

#[tokio::test]
async fn a_failure_counts_only_if_no_other_try_is_under_way() {
    let ill = Server::answering(|_, _, _| async {
        tokio::time::sleep(ms(150)).await;
        Some(answer("503 Ill", "ill"))
    })
    .await;
    let well = Server::slow(ms(300), "well").await;
    let world = World::with(&[&ill, &well], Call { hedge: soon(1), ..call("shop") }).await;
    assert_eq!(world.get("/").await.text(), "well", "whichever was first");
    assert_eq!((ill.requests(), well.requests()), (1, 1));
    assert_eq!(world.status("shop").failures, 0);

    let resetting = || {
        Server::answering(|_, _, _| async {
            tokio::time::sleep(ms(150)).await;
            None
        })
    };
    let (one, other) = (resetting().await, resetting().await);
    let world = World::with(&[&one, &other], Call { hedge: soon(1), ..call("shop") }).await;
    let problem = world.get("/").await.problem(502, "connection-lost");
    assert_eq!((&problem["tries"], world.status("shop").failures), (&2.into(), 1));
}

#[tokio::test]
async fn a_single_instance_is_not_asked_twice() {
    let server = Server::slow(ms(200), "late").await;
    let world = World::with(&[&server], hedged()).await;
    assert_eq!(world.get("/").await.text(), "late");
    assert_eq!((server.requests(), world.status("shop").hedges), (1, 0));
}

#[tokio::test]
async fn a_quantile_has_to_be_learned_first() {
    let slow = Arc::new(AtomicBool::new(false));
    let moody = || {
        let slow = slow.clone();
        Server::answering(move |_, _, _| {
            let wait = if slow.load(Ordering::SeqCst) { 300 } else { 0 };
            async move {
                tokio::time::sleep(ms(wait)).await;
                Some(answer("200 OK", ""))
            }
        })
    };
    let (one, other) = (moody().await, moody().await);
    let hedge = after(After::Quantile(0.5), 1);
    let world = World::with(&[&one, &other], Call { hedge, ..call("shop") }).await;
    // One connection is one core's, which learns by itself.
    let mut wire = world.wire().await;
    let get = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    slow.store(true, Ordering::SeqCst);
    wire.ask(get).await;
    assert_eq!((one.requests() + other.requests(), world.status("shop").hedges), (1, 0));
    slow.store(false, Ordering::SeqCst);
    for _ in 0..60 {
        wire.ask(get).await;
    }
    tokio::time::sleep(ms(120)).await;
    slow.store(true, Ordering::SeqCst);
    let before = world.status("shop").hedges;
    wire.ask(get).await;
    assert_eq!(world.status("shop").hedges, before + 1);
}
