//! Changes while traffic goes on, and ends without a cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mesh::ApplyError;
use mesh::config::{Call, Protocol};
use policy::BreakerConfig;

use crate::world::{EDGE, Server, Wire, World, call, ms, soon, until};

/// Clients that ask over kept connections until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    async fn begin(world: &World) -> Load {
        let mut load = Load { stop: Arc::default(), done: Arc::default(), clients: Vec::new() };
        for _ in 0..6 {
            let mut wire = world.wire().await;
            let (stop, done) = (load.stop.clone(), load.done.clone());
            load.clients.push(tokio::spawn(async move {
                let mut wrong = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let answer = wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
                    done.fetch_add(1, Ordering::SeqCst);
                    if answer.status != 200 {
                        wrong.push(answer.text());
                    }
                }
                wrong
            }));
        }
        load
    }

    /// Waits for some more requests.
    async fn some(&self) {
        let target = self.done.load(Ordering::SeqCst) + 60;
        until("some requests", || self.done.load(Ordering::SeqCst) >= target).await;
    }

    /// Asserts that nothing went wrong.
    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            let wrong = soon("the end of a client", client).await.expect("no connection was cut");
            assert_eq!(wrong, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn changed_routes_drop_nothing_and_keep_connections() {
    let (old, new) = (Server::fixed("200 OK", "old").await, Server::fixed("200 OK", "new").await);
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.upstream("cart", Protocol::Http1, &[]);
    world.route("/**", call("shop"));
    world.apply().await;
    world.publish("shop", &[&old]);
    world.publish("cart", &[&new]);
    let mut wire = world.wire().await;
    let load = Load::begin(&world).await;
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "old");
    for round in 0..20 {
        load.some().await;
        world.routes()[0].call = call(if round % 2 == 0 { "cart" } else { "shop" });
        world.apply().await;
    }
    world.routes()[0].call = call("cart");
    world.apply().await;
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "new");
    load.some().await;
    load.end().await;
}

#[tokio::test]
async fn instances_come_and_go_under_load() {
    let (one, two) = (Server::fixed("200 OK", "").await, Server::fixed("200 OK", "").await);
    let world = World::with(&[&one, &two], call("shop")).await;
    let load = Load::begin(&world).await;
    for _ in 0..5 {
        load.some().await;
        world.publish("shop", &[&two]);
        until("the first to be let go", || world.mesh.in_flight("shop", &one.id) == 0).await;
        let before = one.requests();
        load.some().await;
        assert_eq!(one.requests(), before, "nothing more once the count was zero");
        world.publish("shop", &[&one, &two]);
    }
    load.end().await;
}

#[tokio::test]
async fn a_changed_call_is_in_force_and_an_unchanged_one_keeps_what_it_learned() {
    let ill = Server::fixed("500 Ill", "").await;
    let config = BreakerConfig { failures: 2, open_for: Duration::from_secs(60), ..BreakerConfig::default() };
    let mut world = World::with(&[&ill], Call { breaker: Some(config), ..call("shop") }).await;
    for _ in 0..2 {
        assert_eq!(world.get("/").await.status, 500);
    }
    assert_eq!(world.get("/").await.status, 503);
    world.upstream("cart", Protocol::Http1, &[]);
    world.route("/cart", call("cart"));
    world.apply().await;
    let status = world.status("shop");
    assert_eq!((status.breaker.as_str(), status.requests, status.status_5xx), ("open", 3, 3));
    assert_eq!(world.get("/").await.status, 503, "still open");
    world.routes()[0].call.breaker = None;
    world.apply().await;
    assert_eq!(world.get("/").await.status, 500, "the instances are kept, the breaker is gone");
    assert_eq!(world.status("shop").breaker, "none");
    world.routes().clear();
    world.apply().await;
    world.get("/").await.problem(404, "no-route");
    assert!(world.mesh.status().calls.is_empty());
}

#[tokio::test]
async fn what_is_under_way_on_a_removed_listener_is_finished() {
    let server = Server::slow(ms(300), "in the end").await;
    let mut world = World::of(&server).await;
    let address = world.address();
    let (mut busy, mut idle) = (world.wire().await, world.wire().await);
    assert_eq!(idle.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    busy.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("the request's way up", || server.requests() == 2).await;
    world.config.listeners.remove(EDGE);
    world.apply().await;
    assert!(idle.ends().await, "an idle connection is closed at once");
    let answer = busy.answer().await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("in the end", Some("close")));
    assert!(busy.ends().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert_eq!(world.mesh.address(EDGE), None);
}

#[tokio::test]
async fn a_listener_that_moves_serves_at_its_new_address() {
    let echo = Server::echo().await;
    let mut world = World::of(&echo).await;
    let before = world.address();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.edge().bind = free;
    world.apply().await;
    assert_eq!(world.address(), free);
    assert_eq!(world.get("/").await.status, 200);
    assert!(tokio::net::TcpStream::connect(before).await.is_err());
}

#[tokio::test]
async fn changed_limits_hold_for_the_next_request() {
    let echo = Server::echo().await;
    let mut world = World::of(&echo).await;
    let mut wire = world.wire().await;
    let request = "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(wire.ask(request).await.status, 200);
    world.edge().limits.body_bytes = Some(3);
    world.apply().await;
    assert_eq!(wire.ask(request).await.status, 413);
}

#[tokio::test]
async fn a_taken_port_changes_nothing() {
    let echo = Server::echo().await;
    let mut world = World::of(&echo).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.listener("second", mesh::config::Role::Gateway { routes: Vec::new() });
    world.config.listeners.get_mut("second").unwrap().bind = taken.local_addr().unwrap();
    world.routes().clear();
    let error = world.mesh.apply(world.config.clone()).await.expect_err("the port is taken");
    let ApplyError::Bind(error) = error else { panic!("{error}") };
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!((error.listener.as_str(), error.address), ("second", taken.local_addr().unwrap()));
    assert_eq!(world.mesh.address("second"), None);
    assert_eq!(world.get("/").await.status, 200, "the old routes are in force");
}

#[tokio::test]
async fn a_contradiction_changes_nothing() {
    let echo = Server::echo().await;
    let mut world = World::of(&echo).await;
    world.route("/x", call("nowhere"));
    let error = world.mesh.apply(world.config.clone()).await.expect_err("no such upstream");
    assert!(matches!(&error, ApplyError::Config(text) if text.contains("nowhere")), "{error}");
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn a_drain_answers_what_came_in_and_closes() {
    let server = Server::slow(ms(300), "in the end").await;
    let world = World::of(&server).await;
    let (mut busy, mut idle, mut silent) = (world.wire().await, world.wire().await, world.wire().await);
    let client = world.h2().await;
    assert_eq!(idle.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    busy.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    let over_http2 = tokio::spawn(async move { client.get("http://shop/").await.text() });
    until("the requests' way up", || server.requests() == 3).await;
    let mesh = world.mesh.clone();
    let draining = tokio::spawn(async move {
        let begun = tokio::time::Instant::now();
        (mesh.drain_gateway(Duration::from_secs(5)).await, begun.elapsed())
    });
    let answer = busy.answer().await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("in the end", Some("close")));
    assert_eq!(over_http2.await.unwrap(), "in the end");
    assert!(idle.ends().await && silent.ends().await);
    let (all, took) = draining.await.unwrap();
    assert!(all && took < Duration::from_secs(4), "{took:?}");
    assert!(tokio::net::TcpStream::connect(world.address()).await.is_err());
}

#[tokio::test]
async fn a_drain_waits_for_bodies_too() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        served.wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
        tokio::time::sleep(ms(400)).await;
        served.wire.try_send("half").await;
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    let mesh = world.mesh.clone();
    let draining = tokio::spawn(async move { mesh.drain_gateway(Duration::from_secs(5)).await });
    assert_eq!(wire.take(8).await.as_deref(), Some(&b"halfhalf"[..]));
    assert!(draining.await.unwrap());
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_websocket() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let server = crate::websocket::parrot().await;
    let world = World::of(&server).await;
    let stream = world.wire().await.stream;
    let (mut socket, _) = tokio_tungstenite::client_async("ws://shop/", stream).await.expect("an upgrade");
    let begun = tokio::time::Instant::now();
    assert!(world.mesh.drain_gateway(Duration::from_secs(8)).await);
    assert!(begun.elapsed() < Duration::from_secs(4));
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still here"));
}

#[tokio::test]
async fn a_drain_that_takes_too_long_says_so() {
    let server = Server::slow(ms(3000), "late").await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("the request's way up", || server.requests() == 1).await;
    assert!(!world.mesh.drain_gateway(ms(150)).await);
}

#[tokio::test]
async fn a_drained_gateway_leaves_the_calls_between_services_alone() {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    let role = mesh::config::Role::Call { caller: "a".into(), call: call("shop") };
    world.listener("inner", role);
    let world = world.start(&[&echo]).await;
    assert!(world.mesh.drain_gateway(ms(1000)).await);
    let mut wire = Wire::connect(world.mesh.address("inner").unwrap()).await;
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    assert!(world.mesh.drain_calls(ms(1000)).await);
    assert!(wire.ends().await);
}

#[tokio::test]
async fn connections_that_the_kernel_has_queued_are_served_before_a_listener_goes() {
    for removed in [false, true] {
        let echo = Server::echo().await;
        let mut world = World::of(&echo).await;
        let mut wires = Vec::new();
        for _ in 0..100 {
            let mut wire = world.wire().await;
            wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
            wires.push(wire);
        }
        if removed {
            world.config.listeners.remove(EDGE);
            world.apply().await;
        } else {
            assert!(world.mesh.drain_gateway(Duration::from_secs(5)).await);
        }
        for mut wire in wires {
            assert_eq!(wire.answer().await.status, 200);
        }
    }
}
