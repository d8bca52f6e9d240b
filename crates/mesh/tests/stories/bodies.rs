//! Bodies: streamed both ways, bounded where the listener says so, and let go of when one side
//! goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Request;
use mesh::config::Protocol;

use crate::world::{Server, World, call, ms, sending, soon, until};

/// Repeats each chunk of a chunked request as soon as it has come.
async fn chunk_parrot() -> Server {
    Server::scripted(|mut served| async move {
        while served.request().await.is_some() {
            served.wire.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while let Some(chunk) = served.wire.chunk().await {
                let text = String::from_utf8_lossy(&chunk).into_owned();
                served.wire.try_send(format!("{:x}\r\n{text}\r\n", chunk.len())).await;
                if chunk.is_empty() {
                    served.wire.line().await;
                    break;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn chunks_pass_both_ways_before_the_last_is_sent() {
    let server = chunk_parrot().await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    for text in ["first", "second"] {
        wire.send(format!("{:x}\r\n{text}\r\n", text.len())).await;
        assert_eq!(soon("the echo", wire.chunk()).await.unwrap(), text.as_bytes());
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(soon("the end", wire.chunk()).await.unwrap(), b"");
}

#[tokio::test]
async fn http2_streams_both_ways_too() {
    let server = chunk_parrot().await;
    let world = World::of(&server).await;
    let (feed, body) = sending();
    let answer = world.h2().await.stream(Request::post("http://shop/").body(body).unwrap()).await;
    let mut answer = answer.into_body();
    for text in ["first", "second"] {
        feed.data(text);
        let frame = soon("the echo", http_body_util::BodyExt::frame(&mut answer)).await.unwrap().unwrap();
        assert_eq!(frame.data_ref().unwrap(), text);
    }
    drop(feed);
    assert!(soon("the end", http_body_util::BodyExt::frame(&mut answer)).await.is_none_or(|end| end.is_ok()));
}

const MIB: usize = 1 << 20;
const BIG: usize = 64 * MIB;

/// Resident memory of this process, in bytes.
#[allow(clippy::disallowed_methods, reason = "there is no configuration to put it into")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}

/// Takes large bodies, and sends one back of the same size, counting what it could get rid of.
async fn warehouse() -> (Server, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let server = Server::scripted(move |mut served| {
        let count = count.clone();
        async move {
            while let Some(seen) = served.request().await {
                let mut left: usize = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
                while left > 0 {
                    let part = left.min(MIB);
                    if served.wire.take(part).await.is_none() {
                        return;
                    }
                    left -= part;
                }
                served.wire.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")).await;
                let part = vec![7; MIB];
                for _ in 0..BIG / MIB {
                    if !served.wire.try_send(&part).await {
                        return;
                    }
                    count.fetch_add(MIB, Ordering::SeqCst);
                }
            }
        }
    })
    .await;
    (server, sent)
}

#[tokio::test]
async fn large_bodies_pass_in_little_memory() {
    let (server, _) = warehouse().await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    let before = resident();
    wire.send(format!("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: {BIG}\r\n\r\n")).await;
    let part = vec![7; MIB];
    for _ in 0..BIG / MIB {
        wire.send(&part).await;
    }
    let answer = wire.head().await;
    assert_eq!(answer.status, 200);
    for _ in 0..BIG / MIB {
        assert!(wire.take(MIB).await.expect("a whole body").iter().all(|byte| *byte == 7));
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < BIG / 2, "{} MiB more for a body of {} MiB", grown / MIB, BIG / MIB);
}

#[tokio::test]
async fn a_reader_that_pauses_holds_the_writer_back() {
    let (server, sent) = warehouse().await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    tokio::time::sleep(ms(400)).await;
    let ahead = sent.load(Ordering::SeqCst);
    assert!(ahead < BIG / 2, "{} MiB were read ahead of the client", ahead / MIB);
    assert_eq!(wire.take(BIG).await.map(|body| body.len()), Some(BIG));
}

/// Sends `events` server-sent events this far apart, then ends.
async fn herald(events: usize, apart: u64) -> Server {
    Server::scripted(move |mut served| async move {
        served.request().await;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        served.wire.try_send(head).await;
        for at in 0..events {
            tokio::time::sleep(ms(apart)).await;
            served.wire.try_send(format!("9\r\ndata: {at}\n\n\r\n")).await;
        }
        served.wire.try_send("0\r\n\r\n").await;
    })
    .await
}

#[tokio::test]
async fn events_come_as_they_are_sent_however_far_apart() {
    let server = herald(3, 400).await;
    let world = World::limited(&server, |limits| limits.body_idle = ms(150)).await;
    let mut wire = world.wire().await;
    wire.send("GET /events HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    for at in 0..3 {
        assert_eq!(soon("an event", wire.chunk()).await.unwrap(), format!("data: {at}\n\n").as_bytes());
    }
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_head() {
    let server = herald(8, 300).await;
    let world = World::limited(&server, |limits| limits.header_timeout = ms(200)).await;
    let answer = world.get("/events").await;
    assert_eq!(answer.text().lines().filter(|line| line.starts_with("data")).count(), 8);
    let server = herald(8, 300).await;
    let world = World::limited(&server, |limits| limits.header_timeout = ms(200)).await;
    let answer = world.h2().await.get("http://shop/events").await;
    assert_eq!(answer.text().lines().filter(|line| line.starts_with("data")).count(), 8);
}

#[tokio::test]
async fn a_silent_answer_is_cut_off() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        served.wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
        assert!(served.wire.ends().await, "the data plane lets go");
    })
    .await;
    let world = World::limited(&server, |limits| limits.body_idle = ms(150)).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    assert_eq!(soon("the cut", wire.rest()).await, b"half");
    until("the server's connection to end", || server.open() == 0).await;
}

#[tokio::test]
async fn a_request_that_falls_silent_is_cut_off() {
    let server = Server::echo().await;
    let world = World::limited(&server, |limits| limits.body_idle = ms(150)).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nhalf").await;
    wire.answer().await.problem(408, "body-idle");
    assert!(wire.ends().await);
    until("the server's connection to end", || server.open() == 0).await;
}

#[tokio::test]
async fn a_body_that_comes_slowly_but_steadily_is_not_cut() {
    let server = Server::echo().await;
    let world = World::limited(&server, |limits| limits.body_idle = ms(250)).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 8\r\n\r\n").await;
    for _ in 0..8 {
        tokio::time::sleep(ms(80)).await;
        wire.send("x").await;
    }
    assert_eq!(wire.answer().await.json()["body"], "xxxxxxxx");
}

#[tokio::test]
async fn a_chunked_body_of_a_get_arrives() {
    for (server, protocol) in
        [(Server::echo().await, Protocol::Http1), (Server::echo_http2().await, Protocol::Http2)]
    {
        let mut world = World::new();
        world.upstream("shop", protocol, &[]);
        world.route("/**", call("shop"));
        let world = world.start(&[&server]).await;
        let chunked =
            "GET / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
        assert_eq!(world.ask(chunked).await.json()["body"], "body");
        let streamed = http::Request::get("http://shop/");
        assert_eq!(world.h2().await.send(streamed, "body").await.json()["body"], "body");
    }
}

#[tokio::test]
async fn a_refusal_reads_a_short_body_first_and_keeps_the_connection() {
    let server = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/here", call("shop"));
    let world = world.start(&[&server]).await;
    let mut wire = world.wire().await;
    wire.send("POST /nowhere HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\n").await;
    tokio::time::sleep(ms(50)).await;
    wire.send("body").await;
    wire.answer().await.problem(404, "no-route");
    assert_eq!(wire.ask("GET /here HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    let two = http::Request::post("http://shop/nowhere");
    world.h2().await.send(two, &"x".repeat(60_000)).await.problem(404, "no-route");
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_never_reaches_the_server() {
    let server = Server::echo().await;
    let world = World::limited(&server, |limits| limits.body_bytes = Some(1000)).await;
    assert_eq!(world.post("/", "", &"x".repeat(1000)).await.status, 200);
    let mut wire = world.wire().await;
    let big = "x".repeat(1001);
    let answer =
        wire.ask(&format!("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1001\r\n\r\n{big}")).await;
    answer.problem(413, "body-too-large");
    assert!(wire.ends().await);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_cut_off() {
    let server = Server::echo().await;
    let world = World::limited(&server, |limits| limits.body_bytes = Some(1000)).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
    wire.send(chunk.repeat(3)).await;
    wire.answer().await.problem(413, "body-too-large");
    let (feed, body) = sending();
    let client = world.h2().await;
    feed.data("x".repeat(1001));
    let answer = client.stream(Request::post("http://shop/").body(body).unwrap()).await;
    assert_eq!(answer.status(), 413);
    drop(feed);
    assert_eq!(client.get("http://shop/").await.status, 200, "other streams go on");
    until("the server's connections to end", || server.open() <= 1).await;
}

#[tokio::test]
async fn a_client_that_goes_away_inside_its_body_frees_the_server() {
    let server = Server::echo().await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nhalf").await;
    until("the request's way up", || server.requests() == 1).await;
    drop(wire);
    until("the server's connection to end", || server.open() == 0).await;
    until("the count to fall", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_frees_the_server() {
    let waited = Arc::new(AtomicBool::new(false));
    let ended = waited.clone();
    let server = Server::scripted(move |mut served| {
        let ended = ended.clone();
        async move {
            served.request().await;
            served.wire.rest().await;
            ended.store(true, Ordering::SeqCst);
        }
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("the request's way up", || server.requests() == 1).await;
    drop(wire);
    until("the server to be told", || waited.load(Ordering::SeqCst)).await;
    let (feed, body) = sending();
    let client = world.h2().await;
    let asking = tokio::spawn(async move {
        client.stream(Request::post("http://shop/").body(body).unwrap()).await;
    });
    until("the request's way up", || server.requests() == 2).await;
    asking.abort();
    drop(feed);
    until("the server's connection to end", || server.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_inside_the_answer_frees_the_server() {
    let (server, _) = warehouse().await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    assert!(wire.take(MIB).await.is_some());
    drop(wire);
    until("the server's connection to end", || server.open() == 0).await;
    until("the count to fall", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let server = Server::scripted(move |mut served| async move {
            served.request().await;
            served.wire.try_send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nhalf\r\n")).await;
        })
        .await;
        let world = World::of(&server).await;
        let mut wire = world.wire().await;
        wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        assert_eq!(wire.head().await.status, 200);
        let rest = soon("the end", wire.rest()).await;
        assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 100, "{}", String::from_utf8_lossy(&rest));
        let (_feed, body) = sending();
        let answer = world.h2().await.stream(Request::get("http://shop/").body(body).unwrap()).await;
        let collected = soon("the end", http_body_util::BodyExt::collect(answer.into_body())).await;
        assert!(collected.is_err(), "HTTP/2 resets the stream");
    }
}

#[tokio::test]
async fn an_early_answer_with_the_upload_still_running_keeps_nobody_else_waiting() {
    let server = Server::scripted(|mut served| async move {
        while let Some(seen) = served.request().await {
            served.text("200 OK", "early").await;
            served.wire.body_of(&seen).await;
        }
    })
    .await;
    let world = World::of(&server).await;
    let client = world.h2().await;
    let (feed, body) = sending();
    feed.data("part");
    let early = client.stream(Request::post("http://shop/").body(body).unwrap()).await;
    assert_eq!(crate::world::whole(early).await.text(), "early");
    for _ in 0..3 {
        assert_eq!(client.get("http://shop/").await.text(), "early");
    }
    drop(feed);
}

#[tokio::test]
async fn a_chunked_upload_reaches_http2_and_back() {
    let server = Server::echo_http2().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call("shop"));
    let world = world.start(&[&server]).await;
    let request = "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let answer = world.ask(request).await;
    assert_eq!(answer.json()["body"], "abcde");
    assert!(answer.echoed("transfer-encoding").is_empty());
}
