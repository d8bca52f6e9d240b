//! What an upstream says ahead of its answer: who gets it, when, and what it means for further tries.

use std::sync::Arc;

use mesh::config::{Call, Hedge};
use policy::{After, HedgeConfig};
use tokio::sync::Notify;

use crate::retries::retries;
use crate::world::{Answer, Server, Wire, World, answer, call, ms, soon, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";

/// Gives this hint ahead of a 200.
async fn hinting(hint: &'static str) -> Server {
    Server::answering(move |_, _, _| async move { Some(format!("{hint}{}", answer("200 OK", "real"))) }).await
}

/// Reads the answer and what comes ahead of it, whose statuses are first.
async fn all(wire: &mut Wire) -> (Vec<u16>, Answer) {
    let mut ahead = Vec::new();
    loop {
        let answer = wire.answer().await;
        match answer.status {
            100..200 => ahead.push(answer.status),
            _ => return (ahead, answer),
        }
    }
}

async fn ask(world: &World, request: &str) -> (Vec<u16>, Answer) {
    let mut wire = world.wire().await;
    wire.send(request).await;
    all(&mut wire).await
}

#[tokio::test]
async fn hints_are_there_before_the_answer_is_made() {
    let seen = Arc::new(Notify::new());
    let told = seen.clone();
    let server = Server::scripted(move |mut served| {
        let told = told.clone();
        async move {
            while served.request().await.is_some() {
                served.wire.try_send(HINT).await;
                told.notified().await;
                served.text("200 OK", "real").await;
            }
        }
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    for _ in 0..2 {
        wire.send(GET).await;
        let hint = wire.head().await;
        assert_eq!((hint.status, hint.header("link")), (103, Some("</a.css>")));
        seen.notify_one();
        assert_eq!(wire.answer().await.text(), "real");
    }
    assert_eq!(server.connections(), 1, "both sides stay of use");
}

#[tokio::test]
async fn what_is_meant_for_one_hop_is_taken_out_of_them() {
    let server = hinting(
        "HTTP/1.1 103 Early Hints\r\nConnection: x-secret, upgrade\r\nX-Secret: 1\r\nUpgrade: x\r\n\
         Keep-Alive: timeout=5\r\nContent-Length: 0\r\nLink: </a.css>\r\nLink: </b.css>\r\n\r\n",
    )
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send(GET).await;
    let pairs = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(wire.head().await.headers, [pairs("Link", "</a.css>"), pairs("Link", "</b.css>")]);
    assert_eq!(wire.answer().await.text(), "real");
}

#[tokio::test]
async fn all_kinds_go_on_in_their_order_but_leave_that_nobody_asked_for() {
    let server = hinting(
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n\
         HTTP/1.1 104 Upload Resumption Supported\r\n\r\nHTTP/1.1 199 Who Knows\r\n\r\n",
    )
    .await;
    let world = World::of(&server).await;
    let twice = GET.repeat(2);
    let mut wire = world.wire().await;
    wire.send(twice).await;
    for _ in 0..2 {
        let (ahead, answer) = all(&mut wire).await;
        assert_eq!((ahead.as_slice(), answer.text().as_str()), (&[102, 103, 104, 199][..], "real"));
    }
    wire.send("HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    for status in [102, 103, 104, 199, 200] {
        assert_eq!(wire.head().await.status, status);
    }
}

#[tokio::test]
async fn who_may_not_know_them_gets_none() {
    let server = hinting(HINT).await;
    let world = World::of(&server).await;
    let (ahead, answer) = ask(&world, "GET / HTTP/1.0\r\nHost: shop\r\n\r\n").await;
    assert_eq!((ahead.len(), answer.text().as_str()), (0, "real"));
    let request = http::Request::get("http://shop/");
    assert_eq!(world.h2().await.send(request, "").await.text(), "real");
}

#[tokio::test]
async fn hints_do_not_wait_for_the_body_of_the_request() {
    let server = Server::scripted(|mut served| async move {
        let seen = served.request().await.expect("a request");
        served.wire.try_send(HINT).await;
        let (body, _) = served.wire.body_of(&seen).await.expect("a body");
        served.text("200 OK", &String::from_utf8_lossy(&body)).await;
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!((wire.head().await.status, wire.head().await.status), (100, 103));
    wire.send("body").await;
    assert_eq!(wire.answer().await.text(), "body");
}

#[tokio::test]
async fn a_switch_to_another_protocol_may_be_announced() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello";
        served.wire.try_send(format!("{HINT}{switch}")).await;
        served.wire.rest().await;
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!((wire.head().await.status, wire.head().await.status), (103, 101));
    assert_eq!(wire.take(5).await.expect("the other protocol"), b"hello");
}

#[tokio::test]
async fn a_try_that_gave_hints_is_retried_as_any_other() {
    let failing = |nth: usize| async move {
        let trouble = ["503 Ill", "reset", "200 OK"][nth % 3];
        let then = if trouble == "reset" { "garbage\r\n".to_owned() } else { answer(trouble, trouble) };
        Some(format!("{HINT}{then}"))
    };
    let server = Server::answering(move |nth, _, _| failing(nth)).await;
    let world = World::with(&[&server], Call { retries: Some(retries()), ..call("shop") }).await;
    let (ahead, answer) = ask(&world, GET).await;
    assert_eq!((ahead.as_slice(), answer.text().as_str()), (&[103, 103, 103][..], "200 OK"));
    let status = world.status("shop");
    assert_eq!((status.requests, status.retries, status.failures), (1, 2, 0));
}

#[tokio::test]
async fn hints_do_not_make_a_request_repeatable() {
    let server = Server::answering(|_, _, _| async { Some(format!("{HINT}garbage\r\n")) }).await;
    let world = World::with(&[&server], Call { retries: Some(retries()), ..call("shop") }).await;
    let (ahead, answer) = ask(&world, "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\nx").await;
    assert_eq!(ahead, [103]);
    answer.problem(502, "bad-answer");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_sign_of_life_does_not_stop_the_clock() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        while served.wire.try_send("HTTP/1.1 102 Processing\r\n\r\n").await {
            tokio::time::sleep(ms(50)).await;
        }
    })
    .await;
    let world = World::with(&[&server], Call { timeout: Some(ms(300)), ..call("shop") }).await;
    let (ahead, answer) = ask(&world, GET).await;
    assert!(!ahead.is_empty());
    answer.problem(504, "timeout");
    until("the connection to be closed", || server.open() == 0).await;
}

/// Gives a hint once both tries are under way, and another once the other one has failed.
async fn racer(race: &Arc<Race>, fails: bool) -> Server {
    let race = race.clone();
    Server::scripted(move |mut served| {
        let race = race.clone();
        async move {
            if served.request().await.is_none() {
                return;
            }
            race.both.wait().await;
            served.wire.try_send("HTTP/1.1 103 Early Hints\r\nLink: </racing.css>\r\n\r\n").await;
            if fails {
                // The hints of both have come by the time that this one has failed.
                tokio::time::sleep(ms(200)).await;
                served.text("503 Ill", "ill").await;
                return race.alone.notify_one();
            }
            race.alone.notified().await;
            tokio::time::sleep(ms(200)).await;
            served.wire.try_send("HTTP/1.1 103 Early Hints\r\nLink: </alone.css>\r\n\r\n").await;
            served.text("200 OK", "well").await;
        }
    })
    .await
}

struct Race {
    both: tokio::sync::Barrier,
    alone: Notify,
}

#[tokio::test]
async fn while_tries_race_their_hints_stay_behind() {
    let race = Arc::new(Race { both: tokio::sync::Barrier::new(2), alone: Notify::new() });
    let (ill, well) = (racer(&race, true).await, racer(&race, false).await);
    let hedge = Hedge { hedge: HedgeConfig { after: After::Fixed(ms(40)), max: 1 }, body_bytes: 0 };
    let world = World::with(&[&ill, &well], Call { hedge: Some(hedge), ..call("shop") }).await;
    let mut wire = world.wire().await;
    wire.send(GET).await;
    let hint = wire.head().await;
    assert_eq!((hint.status, hint.header("link")), (103, Some("</alone.css>")));
    assert_eq!(wire.answer().await.text(), "well");
    assert_eq!((ill.requests(), well.requests(), world.status("shop").hedges), (1, 1, 1));
}

#[tokio::test]
async fn a_server_that_only_ever_hints_has_failed() {
    let server = Server::answering(|_, _, _| async { Some(HINT.repeat(65)) }).await;
    let world = World::with(&[&server], Call { retries: Some(retries()), ..call("shop") }).await;
    let (ahead, answer) = ask(&world, GET).await;
    assert_eq!(ahead.len(), 3 * 64, "of each try so many");
    let problem = answer.problem(502, "bad-answer");
    assert_eq!((&problem["tries"], world.status("shop").failures), (&3.into(), 1));
}

#[tokio::test]
async fn hints_that_a_client_does_not_read_hold_up_nothing() {
    let hint = format!("HTTP/1.1 103 Early Hints\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    let whole = Arc::new(format!("{}{}", hint.repeat(64), answer("200 OK", "real")));
    let server = Server::answering(move |_, _, _| {
        let whole = whole.clone();
        async move { Some(whole.to_string()) }
    })
    .await;
    let world = World::of(&server).await;
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let stream = soon("connecting", socket.connect(world.address())).await.expect("somebody listens");
    let mut wire = Wire::new(stream);
    wire.send(GET).await;
    until("the answer to have come", || world.status("shop").requests == 1).await;
    let (ahead, answer) = all(&mut wire).await;
    assert!((1..64).contains(&ahead.len()), "what waits is bounded: {}", ahead.len());
    assert_eq!(answer.text(), "real");
}
