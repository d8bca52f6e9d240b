//! Streams of events that outlive what changes around them: a reload, their instance's last day, and a drain
//! up to its end.

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mesh::config::Protocol;
use tokio::sync::broadcast;

use crate::world::{H2, Server, Wire, World, call, ms, sending, soon, until};

/// Tells all that listen what the story wants told. Who asks for `/slow` gets that, after a while.
async fn herald() -> (Server, broadcast::Sender<&'static str>) {
    let (tell, _) = broadcast::channel(16);
    let telling = tell.clone();
    let server = Server::scripted(move |mut served| {
        let telling = telling.clone();
        async move {
            while let Some(seen) = served.request().await {
                if seen.target == "/slow" {
                    tokio::time::sleep(ms(400)).await;
                    served.text("200 OK", "slow").await;
                    continue;
                }
                let mut told = telling.subscribe();
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                served.wire.try_send(head).await;
                while let Ok(event) = told.recv().await {
                    let event = format!("data: {event}\n\n");
                    served.wire.try_send(format!("{:x}\r\n{event}\r\n", event.len())).await;
                }
            }
        }
    })
    .await;
    (server, tell)
}

/// One that listens over HTTP/1.1, and one over HTTP/2.
struct Listeners {
    one: Wire,
    two: Incoming,
    client: H2,
}

impl Listeners {
    async fn begin(world: &World) -> Listeners {
        let mut one = world.wire().await;
        one.send("GET /events HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        assert_eq!(one.head().await.status, 200);
        let client = world.h2().await;
        let (_, nothing) = sending();
        let two = client.stream(Request::get("http://shop/events").body(nothing).unwrap()).await;
        Listeners { one, two: two.into_body(), client }
    }

    async fn hear(&mut self, event: &str) {
        let wanted = format!("data: {event}\n\n");
        assert_eq!(soon("an event", self.one.chunk()).await.unwrap(), wanted.as_bytes());
        let frame = soon("an event", self.two.frame()).await.expect("no end").expect("no reset");
        assert_eq!(frame.data_ref().expect("data"), wanted.as_bytes());
    }
}

#[tokio::test]
async fn they_go_on_over_reloads_that_change_their_route_or_do_not() {
    let ((old, tell), new) = (herald().await, Server::fixed("200 OK", "new").await);
    let mut world = World::of(&old).await;
    world.upstream("cart", Protocol::Http1, &[]);
    let mut listeners = Listeners::begin(&world).await;
    tell.send("before").unwrap();
    listeners.hear("before").await;

    world.route("/other", call("shop"));
    world.apply().await;
    tell.send("beside a new route").unwrap();
    listeners.hear("beside a new route").await;

    world.routes()[0].call = call("cart");
    world.apply().await;
    world.publish("cart", &[&new]);
    assert_eq!(world.get("/events").await.text(), "new", "who asks now gets what holds now");
    tell.send("past its route").unwrap();
    listeners.hear("past its route").await;

    world.routes().clear();
    world.config.upstreams.remove("shop");
    world.apply().await;
    world.get("/events").await.problem(404, "no-route");
    tell.send("past its upstream").unwrap();
    listeners.hear("past its upstream").await;
}

#[tokio::test]
async fn an_instance_that_is_let_go_counts_them_until_they_end() {
    let ((old, tell), new) = (herald().await, Server::fixed("200 OK", "new").await);
    let world = World::of(&old).await;
    let mut listeners = Listeners::begin(&world).await;
    world.publish("shop", &[&new]);
    for _ in 0..10 {
        assert_eq!(world.get("/").await.text(), "new");
    }
    tell.send("of an old instance").unwrap();
    listeners.hear("of an old instance").await;
    assert_eq!(world.mesh.in_flight("shop", &old.id), 2, "it must not be ended yet");
    drop(listeners);
    until("the instance to be free", || world.mesh.in_flight("shop", &old.id) == 0).await;
}

#[tokio::test]
async fn a_drain_leaves_them_its_whole_time_and_finishes_the_rest() {
    let (server, tell) = herald().await;
    let world = World::of(&server).await;
    let mut listeners = Listeners::begin(&world).await;
    let mut busy = world.wire().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    let client = listeners.client.clone();
    let beside = tokio::spawn(async move { client.get("http://shop/slow").await.text() });
    until("the requests' way up", || server.requests() == 4).await;
    let mesh = world.mesh.clone();
    let draining = tokio::spawn(async move {
        let begun = tokio::time::Instant::now();
        (mesh.drain_gateway(ms(1500)).await, begun.elapsed())
    });
    let answer = busy.answer().await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("slow", Some("close")));
    assert_eq!(beside.await.unwrap(), "slow");
    tell.send("while it drains").unwrap();
    listeners.hear("while it drains").await;
    let (all, took) = draining.await.unwrap();
    assert!(!all && took >= ms(1500), "the drain says after {took:?} that something is left");
    tell.send("at the very end").unwrap();
    listeners.hear("at the very end").await;
    world.mesh.stop();
    assert_eq!(soon("the cut", listeners.one.rest()).await, b"", "no end that looks like one");
    let cut = soon("the cut", listeners.two.frame()).await;
    assert!(cut.is_none_or(|frame| frame.is_err()));
}
