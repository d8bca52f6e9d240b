//! Clients and servers that lie, flood, stall or babble.

use tokio::io::AsyncWriteExt;

use crate::world::{Server, Wire, World, call, ms, soon, until};

async fn echoing() -> (World, Server) {
    let echo = Server::echo().await;
    (World::of(&echo).await, echo)
}

/// Asserts that these bytes are refused and the connection closed, with nothing sent upstream.
async fn refused(world: &World, echo: &Server, what: &str, bytes: &str) {
    let before = echo.requests();
    let mut wire = world.wire().await;
    // A second request hides behind the first: whoever is fooled about the first one's end serves it.
    wire.send(bytes).await;
    let answer = wire.head().await;
    assert!(matches!(answer.status, 400 | 431), "{what}: {}", answer.status);
    soon("the end of the connection", wire.rest()).await;
    assert_eq!(echo.requests(), before, "{what} reached the server");
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n";

#[tokio::test]
async fn requests_whose_end_is_doubtful_are_refused_and_the_connection_closed() {
    let (world, echo) = echoing().await;
    for (what, headers, body) in [
        ("both lengths", "Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("both lengths, the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n"),
        ("two lengths", "Content-Length: 4\r\nContent-Length: 5", "abcd"),
        ("two lengths in one line", "Content-Length: 4, 5", "abcd"),
        ("a signed length", "Content-Length: +4", "abcd"),
        ("a negative length", "Content-Length: -4", "abcd"),
        ("a hexadecimal length", "Content-Length: 0x4", "abcd"),
        ("a huge length", "Content-Length: 99999999999999999999999", "abcd"),
        ("chunked not last", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        ("an unknown coding", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("a second coding", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ("space before the colon", "Content-Length : 4", "abcd"),
        ("a folded line", "X-A: 1\r\n Transfer-Encoding: chunked", ""),
        ("a folded coding", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        ("NUL in a value", "X-A: a\0b", ""),
        ("NUL in a name", "X-\0A: b", ""),
        ("a bare CR", "X-A: a\rTransfer-Encoding: chunked", ""),
        ("a name with a space", "X A: 1", ""),
        ("a line without a colon", "nonsense", ""),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: shop\r\n{headers}\r\n\r\n{body}{SMUGGLED}");
        refused(&world, &echo, what, &request).await;
    }
}

#[tokio::test]
async fn a_conflict_behind_a_chunked_request_is_refused_too() {
    let (world, echo) = echoing().await;
    let mut wire = world.wire().await;
    let chunked = "POST /one HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    assert_eq!(wire.ask(chunked).await.status, 200);
    let both = "POST /two HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    wire.ask(both).await.problem(400, "bad-request");
    assert!(wire.ends().await);
    assert_eq!(echo.requests(), 1);
    // In one go: the chunked body hides where the next head begins, so either it is refused or it is
    // read by its chunks alone, as the RFC has it, and the connection closed.
    let mut wire = world.wire().await;
    wire.send(format!("{chunked}{both}{SMUGGLED}")).await;
    let all = String::from_utf8_lossy(&soon("the end", wire.rest()).await).into_owned();
    assert!(!all.contains("/smuggled"), "{all}");
}

#[tokio::test]
async fn bad_chunks_end_the_request() {
    for chunks in [
        "xyz\r\nabc\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcde\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
    ] {
        let (world, _echo) = echoing().await;
        let mut wire = world.wire().await;
        let head = "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.send(format!("{head}{chunks}{SMUGGLED}")).await;
        let all = String::from_utf8_lossy(&soon("the end", wire.rest()).await).into_owned();
        assert!(all.starts_with("HTTP/1.1 400 "), "{chunks:?}: {all}");
        assert!(!all.contains("smuggled"), "{chunks:?}: {all}");
    }
}

#[tokio::test]
async fn a_request_is_for_exactly_one_host() {
    let (world, echo) = echoing().await;
    for (what, lines) in [
        ("none", ""),
        ("two", "Host: shop\r\nHost: evil\r\n"),
        ("the same twice", "Host: shop\r\nHost: shop\r\n"),
        ("a path", "Host: shop/evil\r\n"),
        ("a list", "Host: shop, evil\r\n"),
        ("a space", "Host: shop evil\r\n"),
        ("a user", "Host: me@shop\r\n"),
    ] {
        refused(&world, &echo, what, &format!("GET / HTTP/1.1\r\n{lines}\r\n{SMUGGLED}")).await;
    }
    assert_eq!(world.ask("GET / HTTP/1.0\r\n\r\n").await.echoed("host"), ["shop"], "named for the server");
    for host in ["[::1]:80", "shop.example:8080", "10.0.0.1", "a_b-c"] {
        let answer = world.ask(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.echoed("host"), [host]);
    }
}

#[tokio::test]
async fn paths_that_climb_are_refused() {
    let (world, echo) = echoing().await;
    for path in ["/a/../b", "/../etc", "/%2e%2e/etc", "/a/.%2E/b", "/a\\..\\b", "/./a", "/a/.."] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    assert_eq!(echo.requests(), 0);
    assert_eq!(world.get("/.well-known/a..b/...?x=/../").await.status, 200);
}

#[tokio::test]
async fn no_tunnel_is_dug() {
    let (world, echo) = echoing().await;
    let answer = world.ask("CONNECT shop:80 HTTP/1.1\r\nHost: shop:80\r\n\r\n").await;
    assert!((400..500).contains(&answer.status));
    assert_eq!(echo.requests(), 0);
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_in_lines() {
    let echo = Server::echo().await;
    let world = World::limited(&echo, |limits| (limits.header_bytes, limits.headers) = (8192, 20)).await;
    let long = "a".repeat(8192);
    refused(&world, &echo, "a long head", &format!("GET / HTTP/1.1\r\nHost: shop\r\nX-A: {long}\r\n\r\n"))
        .await;
    let many: String = (0..20).map(|nth| format!("X-{nth}: 1\r\n")).collect();
    refused(&world, &echo, "many headers", &format!("GET / HTTP/1.1\r\nHost: shop\r\n{many}\r\n")).await;
    let few: String = (0..15).map(|nth| format!("X-{nth}: {}\r\n", "a".repeat(400))).collect();
    assert_eq!(world.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{few}\r\n")).await.status, 200);
    let mut wire = world.wire().await;
    wire.send(format!("GET /{long} HTTP/1.1\r\nHost: shop\r\n\r\n")).await;
    assert!(matches!(wire.head().await.status, 414 | 431));
}

#[tokio::test]
async fn a_head_without_end_is_not_collected_for_ever() {
    let (world, echo) = echoing().await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n").await;
    let line = format!("X-A: {}\r\n", "a".repeat(1000));
    for _ in 0..10_000 {
        if !wire.try_send(&line).await {
            break;
        }
    }
    assert!(!wire.try_send("\r\n").await || wire.head().await.status == 431);
    assert_eq!(echo.requests(), 0);
}

#[tokio::test]
async fn who_sends_a_head_drop_by_drop_is_cut_off() {
    let echo = Server::echo().await;
    let world = World::limited(&echo, |limits| limits.header_timeout = ms(300)).await;
    let (mut silent, mut slow, mut preface, mut idle) =
        (world.wire().await, world.wire().await, world.wire().await, world.wire().await);
    preface.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(idle.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    let dripping = async {
        for byte in b"GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaa" {
            if !slow.try_send([*byte]).await {
                return;
            }
            tokio::time::sleep(ms(50)).await;
        }
        soon("the end of the slow one", slow.rest()).await;
    };
    let silence = async { assert!(silent.ends().await) };
    let rest = async { soon("the end of the idle one", idle.rest()).await };
    let greeting = async { soon("the end after a preface", preface.rest()).await };
    tokio::join!(dripping, silence, rest, greeting);
    assert_eq!(echo.requests(), 1);
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_others_go_on() {
    let echo = Server::echo().await;
    let world = World::limited(&echo, |limits| limits.connections = 8).await;
    let mut wires = Vec::new();
    for _ in 0..60 {
        let mut wire = world.wire().await;
        if wire.try_send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await && wire.line().await.is_some() {
            wires.push(wire);
        }
    }
    assert_eq!(wires.len(), 8);
    wires.clear();
    soon("room again", async {
        loop {
            let mut wire = world.wire().await;
            if wire.try_send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await && wire.line().await.is_some() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_http_at_all_is_refused() {
    let (world, echo) = echoing().await;
    for bytes in ["\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", "hello\r\n\r\n", "GET / HTTP/3.0\r\n\r\n"]
    {
        let mut wire = world.wire().await;
        wire.send(bytes).await;
        wire.stream.shutdown().await.unwrap();
        let all = String::from_utf8_lossy(&soon("the end", wire.rest()).await).into_owned();
        assert!(all.is_empty() || all.starts_with("HTTP/1.1 400 "), "{all}");
    }
    assert_eq!(echo.requests(), 0);
}

/// Answers every request with these bytes and closes.
async fn babbling(bytes: &'static str) -> Server {
    Server::scripted(move |mut served| async move {
        served.request().await;
        served.wire.try_send(bytes).await;
        served.wire.stream.shutdown().await.ok();
    })
    .await
}

#[tokio::test]
async fn a_server_that_babbles_is_a_bad_gateway() {
    for bytes in [
        "hello, I am no HTTP server\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ] {
        let server = babbling(bytes).await;
        let world = World::of(&server).await;
        let problem = world.get("/").await.problem(502, "bad-answer");
        assert!(problem["detail"].as_str().unwrap().contains(&server.id), "{problem}");
    }
    for bytes in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let server = babbling(bytes).await;
        let world = World::of(&server).await;
        world.get("/").await.problem(502, "connection-lost");
    }
}

#[tokio::test]
async fn a_server_with_an_endless_head_is_cut_off() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        served.wire.try_send("HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-A: {}\r\n", "a".repeat(64 << 10));
        for _ in 0..160 {
            if !served.wire.try_send(&line).await {
                return;
            }
        }
        served.wire.try_send("\r\n").await;
    })
    .await;
    let world = World::of(&server).await;
    world.get("/").await.problem(502, "bad-answer");
    until("the server's connection to end", || server.open() == 0).await;
}

#[tokio::test]
async fn a_server_that_says_more_than_its_length_cannot_answer_the_next_request() {
    let server = Server::scripted(|mut served| async move {
        while let Some(seen) = served.request().await {
            let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
            served.text("200 OK", &seen.target).await;
            served.wire.try_send(poison).await;
        }
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    for nth in 0..20 {
        let answer = wire.ask(&format!("GET /{nth} HTTP/1.1\r\nHost: shop\r\n\r\n")).await;
        match answer.status {
            200 => assert_eq!(answer.text(), format!("/{nth}")),
            status => assert_eq!(status, 502, "{}", answer.text()),
        }
        tokio::time::sleep(ms(2)).await;
    }
}

#[tokio::test]
async fn http2_requests_are_checked_like_others() {
    let (world, echo) = echoing().await;
    let client = world.h2().await;
    assert_eq!(client.get("http://shop/a/../b").await.status, 400);
    assert_eq!(client.get("http://shop/\u{e9}").await.status, 400);
    let request = http::Request::get("http://shop/").header("x-long", "a".repeat(64 << 10));
    let answer = client.send(request, "").await;
    assert_eq!(answer.status, 431);
    assert_eq!(echo.requests(), 0);
    assert_eq!(client.get("http://shop/").await.status, 200);
}

#[tokio::test]
async fn connections_of_one_listener_do_not_count_for_another() {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", mesh::config::Protocol::Http1, &[]);
    world.route("/**", call("shop"));
    let role = mesh::config::Role::Call { caller: "a".into(), call: call("shop") };
    world.listener("inner", role);
    world.edge().limits.connections = 4;
    let world = world.start(&[&echo]).await;
    let inner = world.mesh.address("inner").unwrap();
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut wire = Wire::connect(inner).await;
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
        held.push(wire);
    }
    assert_eq!(world.get("/").await.status, 200);
}
