//! Faults on purpose, and the policies that save requests from them as from any ill instance.

use std::time::{Duration, Instant};

use mesh::config::{Call, Fallback, Protocol};
use mesh::{FaultEnd, FaultError};
use policy::fault::{Effect, Scope, Share, Then};
use policy::{BreakerConfig, EjectionConfig, FaultConfig, RetryConfig};

use crate::retries::retries;
use crate::world::{Server, World, answer, call, ms, until};

const HOUR: Duration = Duration::from_secs(3600);

fn always(delay: Option<u64>, then: Then) -> FaultConfig {
    let effect = Effect::new(delay.map(|delay| (ms(delay), ms(delay))), then).expect("something");
    FaultConfig { effect, share: Share::ALL, scope: Scope::default() }
}

fn sometimes(delay: Option<u64>, then: Then) -> FaultConfig {
    FaultConfig { share: Share::percent(30.0).expect("a share"), ..always(delay, then) }
}

/// A call with so many retries that a fault of 30 % does not strike all of them.
fn retried() -> Call {
    let mut retries = retries();
    retries.retry = RetryConfig { max: 12, ..retries.retry };
    retries.budget.ratio = 10.0;
    Call { retries: Some(retries), ..call("shop") }
}

#[tokio::test]
async fn retries_hide_connections_that_are_lost() {
    let server = Server::fixed("200 OK", "well").await;
    let world = World::with(&[&server], retried()).await;
    world.mesh.add_fault("shop", sometimes(None, Then::Reset), HOUR).expect("there is a call");
    for _ in 0..40 {
        assert_eq!(world.get("/").await.text(), "well");
    }
    let fault = world.mesh.status().faults.remove(0);
    assert_eq!(server.requests(), 40, "what is struck does not reach the server");
    assert_eq!(fault.tries, 40 + fault.struck);
    assert_eq!(world.status("shop").retries, fault.struck);
    assert!(fault.struck > 0, "{fault:?}");
}

#[tokio::test]
async fn what_is_not_safe_to_repeat_is_not_repeated() {
    let server = Server::fixed("200 OK", "well").await;
    let world = World::with(&[&server], retried()).await;
    world.mesh.add_fault("shop", always(None, Then::Reset), HOUR).expect("there is a call");
    let problem = world.post("/", "", "x").await.problem(502, "connection-lost");
    assert_eq!(problem["tries"], 1);
    assert!(problem["detail"].as_str().unwrap().contains("fault 1 on purpose"), "{problem}");
}

#[tokio::test]
async fn a_deadline_of_the_try_hides_delays() {
    let server = Server::fixed("200 OK", "well").await;
    let world = World::with(&[&server], Call { per_try: Some(ms(60)), ..retried() }).await;
    world.mesh.add_fault("shop", sometimes(Some(60_000), Then::Pass), HOUR).expect("there is a call");
    for _ in 0..15 {
        assert_eq!(world.get("/").await.text(), "well");
    }
    assert_eq!(world.status("shop").failures, 0);
}

#[tokio::test]
async fn a_delay_is_the_time_of_its_instance() {
    let server = Server::fixed("200 OK", "well").await;
    let world = World::with(&[&server], Call { timeout: Some(ms(5000)), ..call("shop") }).await;
    world.mesh.add_fault("shop", always(Some(120), Then::Pass), HOUR).expect("there is a call");
    let started = Instant::now();
    assert_eq!(world.get("/").await.text(), "well");
    assert!(started.elapsed() >= ms(120));
    world.mesh.add_fault("shop", always(Some(60_000), Then::Pass), HOUR).expect("there is a call");
    world.get("/").await.problem(504, "timeout");
}

#[tokio::test]
async fn a_breaker_opens_on_aborts() {
    let server = Server::fixed("200 OK", "well").await;
    let breaker = BreakerConfig { failures: 3, ..BreakerConfig::default() };
    let world = World::with(&[&server], Call { breaker: Some(breaker), ..call("shop") }).await;
    world.mesh.add_fault("shop", always(None, Then::Status(500)), HOUR).expect("there is a call");
    for _ in 0..3 {
        let problem = world.get("/").await.problem(500, "fault-injected");
        assert_eq!(problem["remedy"], "`colony fault clear 1` ends it");
        assert_eq!((&problem["call"], &problem["policy"]), (&"shop".into(), &"fault".into()));
    }
    world.get("/").await.problem(503, "circuit-open");
    assert_eq!((server.requests(), world.status("shop").breaker_opened), (0, 1));
}

#[tokio::test]
async fn an_instance_that_seems_ill_is_ejected() {
    let (one, two) = (Server::fixed("200 OK", "").await, Server::fixed("200 OK", "").await);
    let ejection = EjectionConfig { failures: 2, ..EjectionConfig::default() };
    let world = World::with(&[&one, &two], Call { ejection: Some(ejection), ..call("shop") }).await;
    world.mesh.add_fault("shop", always(None, Then::Reset), HOUR).expect("there is a call");
    for _ in 0..6 {
        world.get("/").await.problem(502, "connection-lost");
    }
    assert_eq!(world.status("shop").ejections, 1);
}

#[tokio::test]
async fn a_fallback_stands_in() {
    let (ill, well) = (Server::fixed("200 OK", "ill").await, Server::fixed("200 OK", "other").await);
    let other = Call { id: "shop (fallback other)".into(), ..call("other") };
    let policies = Call { fallback: Some(Fallback::Call(Box::new(other))), ..call("shop") };
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.upstream("other", Protocol::Http1, &[]);
    world.route("/**", policies);
    let world = world.start(&[&ill]).await;
    world.publish("other", &[&well]);
    world.mesh.add_fault("shop", always(None, Then::Status(503)), HOUR).expect("there is a call");
    assert_eq!(world.get("/").await.text(), "other");
    world.mesh.add_fault("other", always(None, Then::Status(504)), HOUR).expect("there is a service");
    world.get("/").await.problem(504, "fault-injected");
}

#[tokio::test]
async fn grpc_gets_a_status_of_its_own_in_the_head() {
    let server = Server::echo_http2().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call("shop"));
    let world = world.start(&[&server]).await;
    world.mesh.add_fault("shop", always(None, Then::Grpc(14)), HOUR).expect("there is a call");
    let answer = world.h2().await.send(http::Request::post("http://shop/a.B/C"), "\0\0\0\0\0").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    assert_eq!(answer.header("grpc-status"), Some("14"));
    assert_eq!(answer.header("grpc-message"), Some("fault 1 on purpose"));
    assert!(answer.trailers.is_empty());
}

#[tokio::test]
async fn grpc_gets_a_status_of_http_as_one_of_its_own() {
    let server = Server::echo_http2().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call("shop"));
    let world = world.start(&[&server]).await;
    for (http, grpc) in
        [(400, "13"), (401, "16"), (403, "7"), (404, "12"), (429, "14"), (500, "2"), (503, "14")]
    {
        let fault = world.mesh.add_fault("shop", always(None, Then::Status(http)), HOUR).expect("a call");
        let request = http::Request::post("http://shop/a.B/C").header("content-type", "application/grpc");
        let answer = world.h2().await.send(request, "\0\0\0\0\0").await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, Some(grpc)), "{http}");
        assert_eq!(answer.header("grpc-message"), Some(format!("fault {} on purpose", fault.id).as_str()));
        let plain = world.h2().await.send(http::Request::post("http://shop/a.B/C"), "x").await;
        assert_eq!((plain.status, plain.header("grpc-status")), (http, None));
        world.mesh.clear_faults(None).expect("all");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_status_of_grpc_is_retried_where_that_is_asked_for() {
    let server = Server::echo_http2().await;
    let mut policies = retried();
    policies.retries.as_mut().expect("retried").retry.grpc_statuses = vec![14];
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", policies);
    let world = world.start(&[&server]).await;
    world.mesh.add_fault("shop", sometimes(None, Then::Grpc(14)), HOUR).expect("there is a call");
    let client = world.h2().await;
    for _ in 0..20 {
        let request = http::Request::post("http://shop/a.B/C").header("idempotency-key", "1");
        let request = request.header("content-type", "application/grpc");
        assert_eq!(client.send(request, "x").await.header("grpc-status"), None);
    }
}

#[tokio::test]
async fn a_body_trickles_over_both_versions_and_its_connection_lives_on() {
    let server = Server::fixed("200 OK", "0123456789").await;
    let world = World::of(&server).await;
    world.mesh.add_fault("shop", always(None, Then::SlowBody(50)), HOUR).expect("there is a call");
    let started = Instant::now();
    let mut wire = world.wire().await;
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "0123456789");
    assert!(started.elapsed() >= ms(200));
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "0123456789");
    assert!(started.elapsed() >= ms(400));
    assert_eq!(world.h2().await.get("http://shop/").await.text(), "0123456789");
    assert!(started.elapsed() >= ms(600));
    world.mesh.clear_faults(None).expect("all");
    until("every answer to be over", || {
        world.mesh.status().upstreams[0].instances.iter().all(|one| one.in_flight == 0)
    })
    .await;
    assert!(server.connections() <= 2, "one a core");
}

/// Clears all faults after a while.
fn clear_soon(world: &World) {
    let mesh = world.mesh.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ms(100)).await;
        mesh.clear_faults(None).expect("all");
    });
}

#[tokio::test]
async fn whom_a_fault_holds_is_let_go_at_its_end() {
    let server = Server::fixed("200 OK", "0123456789").await;
    let world = World::of(&server).await;
    let effects = [
        (Some(3_600_000), Then::Pass),
        (Some(3_600_000), Then::Status(503)),
        (None, Then::SlowBody(1)),
        (Some(50), Then::SlowBody(1)),
    ];
    for (delay, then) in effects {
        world.mesh.add_fault("shop", always(delay, then), ms(150)).expect("there is a call");
        let started = Instant::now();
        assert_eq!(world.get("/").await.text(), "0123456789", "{then:?} is over by its time");
        assert_eq!(world.h2().await.get("http://shop/").await.text(), "0123456789");

        world.mesh.add_fault("shop", always(delay, then), HOUR).expect("there is a call");
        clear_soon(&world);
        assert_eq!(world.get("/").await.text(), "0123456789", "{then:?} is cleared");
        assert!(started.elapsed() < ms(5000), "{then:?}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn each_of_several_faults_ends_for_itself() {
    let server = Server::fixed("200 OK", "0123456789").await;
    let world = World::of(&server).await;
    let started = Instant::now();
    world.mesh.add_fault("shop", always(Some(3_600_000), Then::Status(500)), ms(80)).expect("a call");
    world.mesh.add_fault("shop", always(Some(100), Then::SlowBody(50)), HOUR).expect("a call");
    world.mesh.add_fault("shop", always(None, Then::SlowBody(1)), ms(120)).expect("a call");
    assert_eq!(world.get("/").await.text(), "0123456789");
    assert!(started.elapsed() >= ms(180 + 180), "80 and 100 of delays, and 10 bytes at 50 a second");
    assert!(started.elapsed() < ms(5000), "{:?}", started.elapsed());
    let struck: Vec<u64> = world.mesh.status().faults.iter().map(|fault| fault.struck).collect();
    assert_eq!(struck, [1], "the others are over");
}

#[tokio::test]
async fn a_fault_whose_call_goes_lets_go_of_whom_it_holds() {
    let server = Server::fixed("200 OK", "well").await;
    let mut world = World::with(&[&server], Call { id: "gateway /**".into(), ..call("shop") }).await;
    world.mesh.add_fault("gateway /**", always(Some(3_600_000), Then::Pass), HOUR).expect("a call");
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("the fault to strike", || world.mesh.status().faults[0].struck == 1).await;
    world.routes()[0].call.id = "gateway /".into();
    world.apply().await;
    assert_eq!(world.mesh.ended_faults().len(), 1);
    assert_eq!(wire.answer().await.text(), "well");
}

#[tokio::test]
async fn a_slow_body_keeps_its_trailers() {
    let server = Server::scripted(|mut served| async move {
        while served.whole().await.is_some() {
            let answer =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n";
            served.wire.try_send(answer).await;
        }
    })
    .await;
    let world = World::of(&server).await;
    world.mesh.add_fault("shop", always(None, Then::SlowBody(30)), HOUR).expect("there is a call");
    let answer = world.get("/").await;
    assert_eq!((answer.text().as_str(), answer.trailer("x-end")), ("abc", Some("1")));
}

#[tokio::test]
async fn only_the_requests_in_its_scope_are_struck() {
    let server = Server::fixed("200 OK", "well").await;
    let world = World::of(&server).await;
    let headers = vec![("x-test".into(), Some("1".into()))];
    let scope = Scope::new(vec!["GET".into()], Some("/orders".into()), headers).expect("a scope");
    let config = FaultConfig { scope, ..always(None, Then::Status(503)) };
    world.mesh.add_fault("shop", config, HOUR).expect("there is a call");
    let ask = async |method: &str, path: &str, test: &str| {
        world.ask(&format!("{method} {path} HTTP/1.1\r\nHost: shop\r\nX-Test: {test}\r\n\r\n")).await.status
    };
    assert_eq!(ask("GET", "/orders/7?a=b", "1").await, 503);
    assert_eq!(ask("GET", "/orders?a=/b", "1").await, 503);
    assert_eq!(ask("PUT", "/orders/7", "1").await, 200);
    assert_eq!(ask("GET", "/order", "1").await, 200);
    assert_eq!(ask("GET", "/orders", "2").await, 200);
    assert_eq!(world.get("/orders").await.status, 200);
    let fault = world.mesh.status().faults.remove(0);
    assert_eq!((fault.tries, fault.struck), (2, 2));
}

#[tokio::test]
async fn a_fault_outlives_a_reload_and_ends_with_its_call() {
    let server = Server::fixed("200 OK", "well").await;
    let mut world = World::with(&[&server], call("shop")).await;
    world.mesh.add_fault("shop", always(None, Then::Status(503)), HOUR).expect("there is a call");
    // The call of another name, and to another service.
    world.upstream("other", Protocol::Http1, &[]);
    let route = Call { id: "gateway /other".into(), ..call("other") };
    world.routes()[0].call.per_try = Some(ms(900));
    world.route("/other", route);
    world.routes().rotate_right(1);
    world.apply().await;
    world.publish("other", &[&server]);
    assert_eq!(world.get("/").await.status, 503, "also with other policies");
    assert_eq!(world.get("/other").await.status, 200);
    world.mesh.add_fault("gateway /other", always(None, Then::Status(500)), HOUR).expect("a call");
    assert_eq!(world.get("/other").await.status, 500);
    world.routes().remove(0);
    world.apply().await;
    let ended = world.mesh.ended_faults();
    assert_eq!((ended.len(), ended[0].0.id, ended[0].1), (1, 2, FaultEnd::TargetGone));
    assert_eq!(world.mesh.status().faults.len(), 1);
}

#[tokio::test]
async fn a_fault_on_a_service_is_on_calls_that_come_later() {
    let server = Server::fixed("200 OK", "well").await;
    let mut world = World::with(&[&server], Call { id: "gateway /**".into(), ..call("shop") }).await;
    world.mesh.add_fault("shop", always(None, Then::Status(503)), HOUR).expect("there is a service");
    world.route("/late", Call { id: "gateway /late".into(), ..call("shop") });
    world.routes().rotate_right(1);
    world.apply().await;
    assert_eq!([world.get("/").await.status, world.get("/late").await.status], [503, 503]);
}

#[tokio::test]
async fn a_fault_ends_by_its_time_and_by_hand() {
    let server = Server::answering(|_, _, _| async { Some(answer("200 OK", "well")) }).await;
    let world = World::of(&server).await;
    world.mesh.add_fault("shop", always(None, Then::Status(503)), ms(50)).expect("there is a call");
    tokio::time::sleep(ms(60)).await;
    assert_eq!(world.get("/").await.status, 200, "although nobody has looked since");
    assert!(world.mesh.status().faults.is_empty());
    let ended = world.mesh.ended_faults();
    assert_eq!((ended.len(), ended[0].1), (1, FaultEnd::Expired));
    assert!(world.mesh.ended_faults().is_empty(), "told once");

    world.mesh.add_fault("shop", always(None, Then::Status(503)), HOUR).expect("there is a call");
    assert_eq!(world.get("/").await.status, 503);
    let cleared = world.mesh.clear_faults(Some(2)).expect("that one");
    assert_eq!((cleared[0].id, cleared[0].struck), (2, 1));
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_struck_or_cleared() {
    let server = Server::fixed("200 OK", "").await;
    let world = World::of(&server).await;
    let reset = || always(None, Then::Reset);
    match world.mesh.add_fault("shpo", reset(), HOUR) {
        Err(FaultError::NoTarget { calls, upstreams }) => {
            assert_eq!((calls, upstreams), (vec!["shop".into()], vec!["shop".into()]))
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.mesh.add_fault("shop", reset(), HOUR * 25), Err(FaultError::Nonsense(_))));
    assert!(
        matches!(world.mesh.clear_faults(Some(1)), Err(FaultError::NoFault { known }) if known.is_empty())
    );
    assert!(world.mesh.clear_faults(None).expect("nothing to do").is_empty());
    for _ in 0..mesh::FAULTS_MAX {
        world.mesh.add_fault("shop", reset(), HOUR).expect("room");
    }
    assert!(matches!(world.mesh.add_fault("shop", reset(), HOUR), Err(FaultError::TooMany)));
}
