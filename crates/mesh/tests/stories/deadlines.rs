//! What becomes of the time that a caller has left: it is told, it shrinks, and when it is over nothing
//! more is done.

use std::time::Duration;

use http::Request;
use mesh::config::{Call, External, Origin, Protocol, Upstream};
use policy::{BreakerConfig, EjectionConfig};

use crate::crowds::at_most;
use crate::retries::retries;
use crate::world::{Answer, Server, World, answer, call, ms, soon, until};

const HEADER: &str = "x-request-deadline";

/// What an echoing server was told, in milliseconds.
fn told(answer: &Answer) -> Option<u64> {
    let lines = answer.echoed(HEADER);
    assert!(lines.len() <= 1, "{lines:?}");
    lines.first().map(|line| line.split(';').next().and_then(|left| left.parse().ok()).expect("milliseconds"))
}

async fn in_a_hurry(world: &World, left: &str) -> Answer {
    world.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\nX-Request-Deadline: {left}\r\n\r\n")).await
}

/// One failure opens the breaker and ejects.
fn severe(timeout: Duration) -> Call {
    let breaker = BreakerConfig { failures: 1, rate: 0.0, ..BreakerConfig::default() };
    let ejection = EjectionConfig { failures: 1, ..EjectionConfig::default() };
    Call { timeout: Some(timeout), breaker: Some(breaker), ejection: Some(ejection), ..call("shop") }
}

#[tokio::test]
async fn a_service_is_told_the_least_of_what_call_try_and_caller_allow() {
    let server = Server::echo().await;
    for (timeout, per_try, left, least) in [
        (Some(2000), None, "", Some(2000)),
        (Some(2000), Some(700), "", Some(700)),
        (Some(2000), None, "500", Some(500)),
        (Some(2000), None, "500000", Some(2000)),
        (Some(2000), None, "soon", Some(2000)),
        (None, None, "500", Some(500)),
        (None, None, "", None),
    ] {
        let policies = Call { timeout: timeout.map(ms), per_try: per_try.map(ms), ..call("shop") };
        let world = World::with(&[&server], policies).await;
        let answer = if left.is_empty() { world.get("/").await } else { in_a_hurry(&world, left).await };
        let told = told(&answer);
        assert_eq!(told.is_some(), least.is_some(), "{timeout:?} {per_try:?} {left}");
        assert!(told <= least && told.is_none_or(|told| told + 450 > least.unwrap()), "{told:?} {least:?}");
    }
}

#[tokio::test]
async fn a_caller_in_a_hurry_gets_an_answer_in_time_and_speaks_ill_of_nobody() {
    let server = Server::slow(ms(3000), "late").await;
    let world = World::with(&[&server, &server], severe(ms(10_000))).await;
    let problem = in_a_hurry(&world, "150").await.problem(504, "timeout");
    assert!(problem["detail"].as_str().unwrap().contains("all that the caller had left"), "{problem}");
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.breaker_opened, status.ejections), ("closed", 0, 0));
    assert_eq!((status.timeouts, status.expired), (1, 0));
    until("the try to be let go of", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn a_caller_with_all_the_time_in_the_world_gets_no_more_than_the_call_has() {
    let server = Server::slow(ms(3000), "late").await;
    let world = World::with(&[&server], severe(ms(150))).await;
    in_a_hurry(&world, "60000").await.problem(504, "timeout");
    assert_eq!(world.status("shop").breaker, "open");
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_sent() {
    let server = Server::fixed("200 OK", "well").await;
    let world = World::with(&[&server], severe(ms(10_000))).await;
    let problem = in_a_hurry(&world, "0").await.problem(504, "timeout");
    assert_eq!((&problem["call"], &problem["tries"]), (&"shop".into(), &0.into()));
    let status = world.status("shop");
    assert_eq!((server.requests(), status.expired, status.timeouts, status.requests), (0, 1, 1, 1));
    assert_eq!(in_a_hurry(&world, "5000").await.text(), "well");
}

#[tokio::test]
async fn a_wait_for_a_place_is_no_longer_than_the_caller_s() {
    let server = Server::slow(ms(400), "slow").await;
    let policies = Call { concurrency: at_most(1, 9, 60_000), ..severe(ms(10_000)) };
    let world = World::with(&[&server], policies).await;
    let first = world.get("/");
    let second = async {
        until("the first to be in", || server.requests() == 1).await;
        in_a_hurry(&world, "100").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.text(), "slow");
    second.problem(504, "timeout");
    let status = world.status("shop");
    assert_eq!((server.requests(), status.expired, status.overloaded), (1, 1, 0));
}

#[tokio::test]
async fn no_retry_is_made_that_could_only_begin_too_late() {
    let server = Server::answering(|_, _, _| async {
        Some("HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_owned())
    })
    .await;
    let world = World::with(&[&server], Call { retries: Some(retries()), ..call("shop") }).await;
    assert_eq!(in_a_hurry(&world, "500").await.status, 503);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn each_try_is_told_less_than_the_one_before() {
    let server = Server::answering(|nth, seen, _| async move {
        let told = seen.header(HEADER).expect("it is told").split(';').next().unwrap().to_owned();
        if nth < 2 {
            tokio::time::sleep(ms(60)).await;
        }
        // What this one was told goes back by way of a header.
        let status = if nth < 2 { "503 No" } else { "200 OK" };
        Some(format!("HTTP/1.1 {status}\r\nX-Told: {told}\r\nContent-Length: 0\r\n\r\n"))
    })
    .await;
    let policies = Call { timeout: Some(ms(5000)), retries: Some(retries()), ..call("shop") };
    let world = World::with(&[&server], policies).await;
    let answer = world.get("/").await;
    let told: u64 = answer.header("x-told").expect("one").parse().unwrap();
    assert_eq!((answer.status, server.requests()), (200, 3));
    assert!(told <= 5000 - 120, "{told}");
}

#[tokio::test]
async fn from_hop_to_hop_it_shrinks() {
    let server = Server::echo().await;
    let inner = World::with(&[&server], Call { timeout: Some(ms(60_000)), ..call("shop") }).await;
    let inner_address = inner.address();
    // A service that takes its time and copies the header as it is to the next call.
    let middle = Server::answering(move |_, seen, _| async move {
        tokio::time::sleep(ms(80)).await;
        let left = seen.header(HEADER).expect("it is told").to_owned();
        let mut wire = crate::world::Wire::connect(inner_address).await;
        let request = format!("GET / HTTP/1.1\r\nHost: shop\r\nX-Request-Deadline: {left}\r\n\r\n");
        Some(answer("200 OK", &wire.ask(&request).await.text()))
    })
    .await;
    let outer = World::with(&[&middle], Call { timeout: Some(ms(3000)), ..call("shop") }).await;
    let told = told(&outer.get("/").await).expect("the last hop is told");
    assert!(told <= 3000 - 80 && told > 1000, "{told}");
}

#[tokio::test]
async fn an_external_is_told_only_if_that_is_asked_for() {
    let server = Server::echo().await;
    for (deadline_header, expected) in [(None, false), (Some(true), true), (Some(false), false)] {
        let mut world = World::new();
        let (host, port) = (server.address.ip().to_string(), server.address.port());
        let origins = vec![Origin { host, port, srv: None }];
        let external = External { tls: false, origins, prefix: String::new(), resolver: Vec::new() };
        let upstream =
            Upstream { protocol: Protocol::Http1, external: Some(external), concurrency: None, zones: None };
        world.config.upstreams.insert("shop".to_owned(), upstream);
        world.route("/**", Call { timeout: Some(ms(9000)), deadline_header, ..call("shop") });
        world.apply().await;
        let answer = in_a_hurry(&world, "4000").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(told(&answer).is_some(), expected, "{deadline_header:?}");
    }
}

#[tokio::test]
async fn grpc_has_a_header_of_its_own_whose_time_is_the_caller_s_alone() {
    let server = Server::echo_http2().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[&server]);
    world.route("/**", Call { timeout: Some(ms(2000)), ..call("shop") });
    let world = world.start(&[&server]).await;
    let h2 = world.h2().await;
    let ask = |left: Option<&'static str>| {
        let request = Request::post("http://shop/a.B/C").header("content-type", "application/grpc");
        left.into_iter().fold(request, |request, left| request.header("grpc-timeout", left))
    };
    let none = soon("an answer", h2.send(ask(None), "x")).await;
    assert_eq!((none.echoed("grpc-timeout"), told(&none)), (Vec::new(), None), "a stream may last longer");
    for (left, most) in [("1S", 1_000_000), ("3600S", 3_600_000_000), ("700m", 700_000)] {
        let seen = h2.send(ask(Some(left)), "x").await.echoed("grpc-timeout");
        let [text] = seen.as_slice() else { panic!("{seen:?}") };
        let read = policy::deadline::grpc::parse(text.as_bytes()).expect("as gRPC writes it");
        let micros = read.as_micros() as u64;
        assert!(micros <= most && micros + 500_000 > most, "{left} became {text}");
    }
    assert_eq!(h2.send(ask(Some("2 weeks")), "x").await.echoed("grpc-timeout"), ["2 weeks"]);
}
