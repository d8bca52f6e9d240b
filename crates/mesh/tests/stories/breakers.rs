//! A breaker that opens on slow answers, and one that a person holds open or closed.

use policy::{BreakerConfig, Force};

use mesh::config::{Call, Fallback};
use mesh::{ForceEnd, ForceError, LostForce};

use crate::world::{Server, World, call, ms};

fn by_slowness() -> BreakerConfig {
    BreakerConfig {
        slow: Some(ms(80)),
        slow_rate: 0.5,
        minimum: 4,
        open_for: ms(60_000),
        ..BreakerConfig::default()
    }
}

#[tokio::test]
async fn answers_that_are_well_and_late_open_the_breaker() {
    let server = Server::slow(ms(120), "late").await;
    let world = World::with(&[&server], Call { breaker: Some(by_slowness()), ..call("shop") }).await;
    for _ in 0..4 {
        assert_eq!(world.get("/").await.text(), "late");
    }
    let problem = world.get("/").await.problem(503, "circuit-open");
    assert!(problem["detail"].as_str().unwrap().contains("too slow"), "{problem}");
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.failures, server.requests()), ("open", 1, 4));
}

#[tokio::test]
async fn few_slow_answers_among_quick_ones_open_nothing() {
    let server = Server::answering(|_, seen, _| async move {
        if seen.target == "/slow" {
            tokio::time::sleep(ms(120)).await;
        }
        Some(crate::world::answer("200 OK", ""))
    })
    .await;
    let world = World::with(&[&server], Call { breaker: Some(by_slowness()), ..call("shop") }).await;
    for path in ["/", "/", "/slow", "/", "/slow", "/", "/slow", "/", "/"] {
        assert_eq!(world.get(path).await.status, 200);
    }
    assert_eq!(world.status("shop").breaker, "closed");
}

#[tokio::test]
async fn neither_a_slow_client_nor_the_wait_for_an_instance_is_the_servers_slowness() {
    let echo = Server::echo().await;
    let config = BreakerConfig { minimum: 1, ..by_slowness() };
    let world = World::with(&[], Call { breaker: Some(config), ..call("shop") }).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    tokio::time::sleep(ms(150)).await;
    world.publish("shop", &[&echo]);
    assert_eq!(wire.answer().await.status, 200);
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\n").await;
    for _ in 0..4 {
        tokio::time::sleep(ms(50)).await;
        wire.send("x").await;
    }
    assert_eq!(wire.answer().await.json()["body"], "xxxx");
    assert_eq!(world.status("shop").breaker, "closed");
}

#[tokio::test]
async fn a_breaker_is_forced_open_and_left_to_itself() {
    let server = Server::fixed("200 OK", "well").await;
    let policies = Call { breaker: Some(BreakerConfig::default()), ..call("shop") };
    let mut world = World::with(&[&server], policies).await;
    world.mesh.force_breaker("shop", Force::Open).expect("there is one");
    world.upstream("other", mesh::config::Protocol::Http1, &[]);
    world.apply().await;
    for _ in 0..3 {
        let answer = world.get("/").await;
        let problem = answer.problem(503, "circuit-open");
        assert!(problem["detail"].as_str().unwrap().contains("forced open by hand"), "{problem}");
        assert!(problem["remedy"].as_str().unwrap().contains("colony breaker \"shop\" auto"), "{problem}");
        assert_eq!(answer.header("retry-after"), None, "nobody knows until when");
    }
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.rejected, status.breaker_opened), ("forced-open", 3, 0));
    world.mesh.force_breaker("shop", Force::Auto).expect("there is one");
    assert_eq!(world.get("/").await.text(), "well");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_breaker_that_is_forced_closed_lets_failures_through() {
    let ill = Server::fixed("500 Ill", "").await;
    let config = BreakerConfig { failures: 2, ..BreakerConfig::default() };
    let world = World::with(&[&ill], Call { breaker: Some(config), ..call("shop") }).await;
    world.mesh.force_breaker("shop", Force::Closed).expect("there is one");
    for _ in 0..5 {
        assert_eq!(world.get("/").await.status, 500);
    }
    assert_eq!(world.status("shop").breaker, "forced-closed");
    world.mesh.force_breaker("shop", Force::Auto).expect("there is one");
    for status in [500, 500, 503] {
        assert_eq!(world.get("/").await.status, status);
    }
}

#[tokio::test]
async fn a_forced_breaker_stays_so_while_its_call_has_one() {
    let server = Server::fixed("200 OK", "well").await;
    for (force, state) in [(Force::Open, "forced-open"), (Force::Closed, "forced-closed")] {
        let policies = Call { breaker: Some(BreakerConfig::default()), ..call("shop") };
        let mut world = World::with(&[&server], policies).await;
        world.mesh.force_breaker("shop", force).expect("there is one");
        world.routes()[0].call.timeout = Some(ms(9000));
        world.apply().await;
        assert_eq!(world.status("shop").breaker, state, "with another timeout");
        let breaker = Some(BreakerConfig { failures: 7, ..BreakerConfig::default() });
        world.routes()[0].call.breaker = breaker;
        world.apply().await;
        assert_eq!(world.status("shop").breaker, state, "with other criteria");
        assert_eq!(world.get("/").await.status, if force == Force::Open { 503 } else { 200 });
        world.mesh.force_breaker("shop", Force::Auto).expect("there is one");
        world.routes()[0].call.timeout = None;
        world.apply().await;
        assert_eq!(world.status("shop").breaker, "closed", "it was given back");
    }
}

#[tokio::test]
async fn a_force_ends_with_its_breaker_or_its_call_and_that_is_told() {
    let server = Server::fixed("200 OK", "well").await;
    let mut world =
        World::with(&[&server], Call { breaker: Some(BreakerConfig::default()), ..call("shop") }).await;
    let lost = |call: &str, why| [LostForce { call: call.to_owned(), force: Force::Open, why }];
    world.mesh.force_breaker("shop", Force::Open).expect("there is one");
    world.routes()[0].call.breaker = None;
    let told = world.mesh.apply(world.config.clone()).await.expect("valid");
    assert_eq!(told, lost("shop", ForceEnd::BreakerGone));
    world.routes()[0].call.breaker = Some(BreakerConfig::default());
    assert_eq!(world.mesh.apply(world.config.clone()).await.expect("valid"), []);
    assert_eq!(world.get("/").await.text(), "well", "what was lost does not come back");

    world.mesh.force_breaker("shop", Force::Open).expect("there is one");
    world.routes()[0].call.id = "another".into();
    let told = world.mesh.apply(world.config.clone()).await.expect("valid");
    assert_eq!(told, lost("shop", ForceEnd::CallGone));
    assert_eq!(world.get("/").await.text(), "well");
}

#[tokio::test]
async fn a_fallback_stands_in_where_a_breaker_is_forced_open() {
    let server = Server::fixed("200 OK", "well").await;
    let fallback =
        Fallback::Static { status: 200, body: "instead".into(), content_type: "text/plain".into() };
    let policies = Call { breaker: Some(BreakerConfig::default()), fallback: Some(fallback), ..call("shop") };
    let world = World::with(&[&server], policies).await;
    world.mesh.force_breaker("shop", Force::Open).expect("there is one");
    assert_eq!(world.get("/").await.text(), "instead");
}

#[tokio::test]
async fn what_has_no_breaker_is_not_forced() {
    let server = Server::fixed("200 OK", "").await;
    let world = World::of(&server).await;
    assert!(matches!(world.mesh.force_breaker("shop", Force::Open), Err(ForceError::NoBreaker)));
    match world.mesh.force_breaker("shpo", Force::Open) {
        Err(ForceError::NoCall { known }) => assert_eq!(known, ["shop"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.get("/").await.status, 200);
}
