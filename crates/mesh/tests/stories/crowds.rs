//! More requests than an upstream shall have at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh::config::{Call, Concurrency, ConcurrencyLimit, Fallback, Protocol};
use policy::{GradientConfig, Shares};

use crate::world::{Answer, Server, World, answer, call, ms, until};

pub fn at_most(max: u32, queue: u32, wait: u64) -> Option<Concurrency> {
    Some(Concurrency { limit: ConcurrencyLimit::Fixed(max), queue, wait: ms(wait), shares: Shares::WHOLE })
}

/// A server that takes so long, and the most requests that it had at a time.
async fn crowded(millis: u64) -> (Server, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    let (now, seen) = (Arc::new(AtomicUsize::new(0)), most.clone());
    let server = Server::answering(move |_, _, _| {
        let (now, seen) = (now.clone(), seen.clone());
        async move {
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(ms(millis)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Some(answer("200 OK", "served"))
        }
    })
    .await;
    (server, most)
}

async fn all(world: &World, count: usize) -> Vec<Answer> {
    futures_util::future::join_all((0..count).map(|_| world.get("/"))).await
}

fn with_status(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn no_more_than_so_many_are_in_flight_over_all_cores() {
    let (server, most) = crowded(100).await;
    let world = World::with(&[&server], Call { concurrency: at_most(4, 0, 1), ..call("shop") }).await;
    let answers = all(&world, 24).await;
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
    let served = with_status(&answers, 200);
    assert!(served >= 4 && served + with_status(&answers, 503) == 24, "{served}");
    let refused = answers.iter().find(|answer| answer.status == 503).expect("there was no room for all");
    let problem = refused.problem(503, "overloaded");
    assert_eq!((&problem["policy"], &problem["call"]), (&"concurrency".into(), &"shop".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let status = world.status("shop");
    assert_eq!((status.overloaded, status.requests), (24 - served as u64, 24));
    let concurrency = status.concurrency.expect("it is limited");
    assert_eq!((concurrency.in_flight, concurrency.limit, concurrency.waiting), (0, 4, 0));
    assert_eq!(world.get("/").await.status, 200, "there is room again");
}

/// Two routes to one upstream that takes so many requests at a time, whoever calls.
async fn shared(server: &Server, concurrency: Option<Concurrency>, own: Option<Concurrency>) -> World {
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.config.upstreams.get_mut("shop").expect("just added").concurrency = concurrency;
    for id in ["a", "b"] {
        let own = own.filter(|_| id == "b");
        world.route(&format!("/{id}"), Call { id: id.into(), concurrency: own, ..call("shop") });
    }
    world.start(&[server]).await
}

#[tokio::test]
async fn all_routes_to_an_upstream_share_its_places() {
    let (server, most) = crowded(100).await;
    let world = shared(&server, at_most(4, 0, 1), None).await;
    let asking = (0..24).map(|nth| world.get(if nth % 2 == 0 { "/a" } else { "/b" }));
    let answers = futures_util::future::join_all(asking).await;
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
    let refused = answers.iter().find(|answer| answer.status == 503).expect("there was no room for all");
    let problem = refused.problem(503, "overloaded");
    assert!(problem["detail"].as_str().unwrap().contains("all calls to shop"), "{problem}");
    let status = world.upstream_status("shop").concurrency.expect("it is limited");
    assert_eq!((status.in_flight, status.limit, status.waiting), (0, 4, 0));
    let counted = world.status("a").overloaded + world.status("b").overloaded;
    assert_eq!((status.refused, counted), (with_status(&answers, 503) as u64, status.refused));
    assert!(world.status("a").concurrency.is_none());
}

#[tokio::test]
async fn a_request_needs_a_place_of_its_call_and_one_of_the_upstream() {
    let (server, _) = crowded(60_000).await;
    let world = shared(&server, at_most(2, 0, 1), at_most(1, 0, 1)).await;
    let send = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n");
    let in_flight = || world.upstream_status("shop").concurrency.map(|one| one.in_flight);
    let (mut first, mut second) = (world.wire().await, world.wire().await);
    first.send(send("/b")).await;
    until("the first to be in flight", || in_flight() == Some(1)).await;
    world.get("/b").await.problem(503, "overloaded");
    assert_eq!(in_flight(), Some(1), "who finds no place of its own takes none of the others'");
    second.send(send("/a")).await;
    until("the second to be in flight", || in_flight() == Some(2)).await;
    drop(first);
    until("a place to be free", || in_flight() == Some(1)).await;
    assert_eq!(world.status("b").concurrency.map(|own| (own.in_flight, own.refused)), Some((0, 1)));
    first = world.wire().await;
    first.send(send("/a")).await;
    until("the places to be taken", || in_flight() == Some(2)).await;
    world.get("/b").await.problem(503, "overloaded");
    let own = world.status("b").concurrency.expect("it is limited");
    assert_eq!((own.in_flight, own.refused, world.status("b").overloaded), (0, 1, 2));
}

#[tokio::test]
async fn who_is_in_flight_is_counted_on_over_a_reload_of_the_upstream() {
    let (server, _) = crowded(60_000).await;
    let mut world = shared(&server, at_most(1, 0, 1), None).await;
    let mut wire = world.wire().await;
    wire.send("GET /a HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    let places =
        |world: &World| world.upstream_status("shop").concurrency.map(|one| (one.in_flight, one.limit));
    until("it to be in flight", || places(&world) == Some((1, 1))).await;
    world.config.upstreams.get_mut("shop").expect("it is there").protocol = Protocol::Http2;
    world.apply().await;
    assert_eq!(places(&world), Some((1, 1)));
    world.get("/b").await.problem(503, "overloaded");
    world.config.upstreams.get_mut("shop").expect("it is there").concurrency = at_most(2, 0, 1);
    world.apply().await;
    assert_eq!(places(&world), Some((0, 2)), "another limit begins anew");
}

#[tokio::test]
async fn who_waits_in_the_queue_is_served_when_a_place_is_free_on_whichever_core() {
    let (server, most) = crowded(30).await;
    let world = World::with(&[&server], Call { concurrency: at_most(2, 40, 10_000), ..call("shop") }).await;
    assert_eq!(with_status(&all(&world, 40).await, 200), 40);
    assert_eq!((most.load(Ordering::SeqCst), server.requests()), (2, 40));
    let status = world.status("shop");
    assert_eq!((status.overloaded, status.concurrency.map(|one| one.in_flight)), (0, Some(0)));
}

#[tokio::test]
async fn nobody_waits_for_longer_than_allowed_or_in_too_long_a_queue() {
    let (server, _) = crowded(1_000).await;
    let world = World::with(&[&server], Call { concurrency: at_most(1, 2, 150), ..call("shop") }).await;
    let begun = tokio::time::Instant::now();
    let answers = all(&world, 6).await;
    assert_eq!((with_status(&answers, 200), with_status(&answers, 503)), (1, 5));
    assert!(begun.elapsed() >= ms(950), "{:?}", begun.elapsed());
    assert_eq!((server.requests(), world.status("shop").overloaded), (1, 5));
}

#[tokio::test]
async fn the_wait_for_a_place_is_part_of_the_timeout() {
    let (server, _) = crowded(1_000).await;
    let policies = Call { concurrency: at_most(1, 9, 60_000), timeout: Some(ms(200)), ..call("shop") };
    let world = World::with(&[&server], policies).await;
    let begun = tokio::time::Instant::now();
    for answer in all(&world, 2).await {
        assert!([503, 504].contains(&answer.status), "{answer:?}");
    }
    assert!(begun.elapsed() < ms(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue_and_its_place() {
    let (server, _) = crowded(60_000).await;
    let (quick, _) = crowded(0).await;
    let world = World::with(&[&server], Call { concurrency: at_most(1, 1, 60_000), ..call("shop") }).await;
    let occupancy = || world.status("shop").concurrency.map(|one| (one.in_flight, one.waiting));
    let get = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    let mut first = world.wire().await;
    first.send(get).await;
    until("the first to be in flight", || occupancy() == Some((1, 0))).await;
    for _ in 0..3 {
        let mut second = world.wire().await;
        second.send(get).await;
        until("the second to wait", || occupancy() == Some((1, 1))).await;
        drop(second);
        until("the second to have gone", || occupancy() == Some((1, 0))).await;
    }
    world.publish("shop", &[&quick]);
    let mut waiting = world.wire().await;
    waiting.send(get).await;
    until("the next to wait", || occupancy() == Some((1, 1))).await;
    drop(first);
    assert_eq!(waiting.answer().await.text(), "served");
    assert_eq!(occupancy(), Some((0, 0)));
}

#[tokio::test]
async fn a_request_is_in_flight_until_the_last_byte_of_its_answer() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        served.wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
        tokio::time::sleep(ms(300)).await;
        served.wire.try_send("half").await;
        tokio::time::sleep(ms(5_000)).await;
    })
    .await;
    let world = World::with(&[&server], Call { concurrency: at_most(1, 0, 1), ..call("shop") }).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("the answer to begin", || world.status("shop").status_2xx == 1).await;
    world.get("/").await.problem(503, "overloaded");
    assert_eq!(wire.answer().await.text(), "halfhalf");
    assert_eq!(world.status("shop").concurrency.map(|one| one.in_flight), Some(0));
}

#[tokio::test]
async fn retries_need_no_further_place_and_a_fallback_stands_in_for_the_refused() {
    let flaky = Server::playing(&["503", "503", "200"]).await;
    let policies =
        Call { concurrency: at_most(1, 0, 1), retries: Some(crate::retries::retries()), ..call("shop") };
    let world = World::with(&[&flaky], policies).await;
    assert_eq!(world.get("/").await.status, 200);
    assert_eq!(world.status("shop").retries, 2);

    let fallback =
        Fallback::Static { status: 200, body: "instead".into(), content_type: "text/plain".into() };
    let policies = Call { concurrency: at_most(0, 0, 1), fallback: Some(fallback), ..call("shop") };
    let world = World::with(&[&flaky], policies).await;
    assert_eq!(world.get("/").await.text(), "instead");
    let status = world.status("shop");
    assert_eq!((status.overloaded, status.fallbacks), (1, 1));
}

#[tokio::test]
async fn an_adaptive_limit_grows_with_a_quick_upstream_and_falls_with_a_slow_one() {
    let latency = Arc::new(AtomicUsize::new(5));
    let takes = latency.clone();
    let server = Server::answering(move |_, _, _| {
        let wait = takes.load(Ordering::SeqCst) as u64;
        async move {
            tokio::time::sleep(ms(wait)).await;
            Some(answer("200 OK", ""))
        }
    })
    .await;
    let gradient = GradientConfig { min: 4, max: 40, window: ms(40) };
    let limit = ConcurrencyLimit::Adaptive(gradient);
    let concurrency = Some(Concurrency { limit, queue: 1000, wait: ms(10_000), shares: Shares::WHOLE });
    let world = World::with(&[&server], Call { concurrency, ..call("shop") }).await;
    let now = || world.status("shop").concurrency.expect("it is limited").limit;
    assert_eq!(now(), 4, "it begins at its least");
    crate::world::soon("a higher limit", async {
        while now() < 12 {
            assert_eq!(with_status(&all(&world, 48).await, 200), 48);
        }
    })
    .await;
    latency.store(200, Ordering::SeqCst);
    let grown = now();
    crate::world::soon("a lower limit", async {
        while now() >= grown {
            all(&world, 48).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_spread_evenly_whatever_the_kernel_does() {
    let server = Server::answering(|_, _, _| async { Some(answer("200 OK", "served")) }).await;
    let world = World::of(&server).await;
    let mut kept = Vec::new();
    for opened in 1..=15_usize {
        let mut wire = world.wire().await;
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer().await.status, 200);
        kept.push(wire);
        let mut each = world.mesh.status().connections;
        each.sort_unstable();
        assert_eq!(each, [opened / 2, opened.div_ceil(2)]);
    }
    drop(kept);
    until("all are gone", || world.mesh.status().connections == [0, 0]).await;
}
