//! HTTP/1.0, HTTP/1.1 and HTTP/2 on either side.

use http::Request;
use mesh::config::Protocol;

use crate::world::{Answer, Server, World, answer, call, ms, sending, until, whole};

/// A gateway before an echo that speaks this protocol.
async fn echoing(protocol: Protocol) -> (World, Server) {
    let echo = match protocol {
        Protocol::Http1 => Server::echo().await,
        Protocol::Http2 => Server::echo_http2().await,
    };
    let mut world = World::new();
    world.upstream("shop", protocol, &[]);
    world.route("/**", call("shop"));
    (world.start(&[&echo]).await, echo)
}

fn is_whole(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(
        (&json["method"], &json["target"], &json["body"]),
        (&"PUT".into(), &"/things/1?q=%20".into(), &"some body".into())
    );
    assert_eq!(answer.echoed("x-mine"), ["yes"]);
}

#[tokio::test]
async fn each_protocol_meets_each_other() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (world, _echo) = echoing(protocol).await;
        let host = if protocol == Protocol::Http1 { "host" } else { ":authority" };
        let one = "PUT /things/1?q=%20 HTTP/1.1\r\nHost: shop:81\r\nX-Mine: yes\r\nContent-Length: 9\r\n\r\nsome body";
        let answer = world.ask(one).await;
        is_whole(&answer);
        assert_eq!(answer.echoed(host), ["shop:81"]);
        let two = Request::put("http://shop:81/things/1?q=%20").header("x-mine", "yes");
        let answer = world.h2().await.send(two, "some body").await;
        is_whole(&answer);
        assert_eq!(answer.echoed(host), ["shop:81"]);
        assert_eq!(answer.echoed("x-forwarded-host"), ["shop:81"]);
    }
}

#[tokio::test]
async fn cookies_split_by_http2_become_one_line_for_http1() {
    let (world, _echo) = echoing(Protocol::Http1).await;
    let request = Request::get("http://shop/").header("cookie", "a=1").header("cookie", "b=2");
    let answer = world.h2().await.send(request, "").await;
    assert_eq!(answer.echoed("cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn requests_over_http2_are_served_at_the_same_time() {
    let server = Server::answering(|_, seen, _| async move {
        tokio::time::sleep(ms(if seen.target == "/slow" { 400 } else { 0 })).await;
        Some(answer("200 OK", &seen.target))
    })
    .await;
    let world = World::of(&server).await;
    let client = world.h2().await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.get("http://shop/slow").await.text() }
    });
    until("the slow request's way up", || server.requests() == 1).await;
    assert_eq!(client.get("http://shop/quick").await.text(), "/quick");
    assert!(!slow.is_finished());
    assert_eq!(slow.await.unwrap(), "/slow");
}

#[tokio::test]
async fn one_http2_connection_upstream_carries_many_requests() {
    let (world, echo) = echoing(Protocol::Http2).await;
    let mut wire = world.wire().await;
    for _ in 0..20 {
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    }
    assert_eq!((echo.requests(), echo.connections()), (20, 1));
}

#[tokio::test]
async fn head_has_the_length_but_not_the_body() {
    let server = Server::answering(|_, seen, _| async move {
        assert_eq!(seen.method, "HEAD");
        Some("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_owned())
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    for _ in 0..2 {
        let answer = wire.ask("HEAD /x HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
    }
    assert_eq!(server.connections(), 1);
    let answer = world.h2().await.send(Request::head("http://shop/x"), "").await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    let server = Server::answering(|_, seen, _| async move {
        Some(match seen.target.as_str() {
            "/204" => "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n".to_owned(),
            _ => "HTTP/1.1 304 Not Modified\r\nETag: \"7\"\r\nContent-Length: 99\r\n\r\n".to_owned(),
        })
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    let none = wire.ask("GET /204 HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!((none.status, none.header("x-a"), none.header("content-length")), (204, Some("1"), None));
    let same = wire.ask("GET /304 HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!((same.status, same.header("etag")), (304, Some("\"7\"")));
    assert_eq!(wire.ask("GET /204 HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 204);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_has_no_body_does_not_say_that_it_has() {
    let server = Server::answering(|_, seen, _| async move {
        Some(match seen.target.as_str() {
            "/length" => "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n".to_owned(),
            "/body" => "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde".to_owned(),
            "/chunks" => "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "/same" => "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
            // It says how long what is not sent would be.
            _ => "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_owned(),
        })
    })
    .await;
    let world = World::of(&server).await;
    let (mut wire, h2) = (world.wire().await, world.h2().await);
    for (path, status, length) in [
        ("/length", 204, None),
        ("/body", 204, None),
        ("/chunks", 204, None),
        ("/same", 304, None),
        ("/304", 304, Some("99")),
    ] {
        for _ in 0..2 {
            let answer = wire.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")).await;
            assert_eq!((answer.status, answer.header("content-length")), (status, length), "{path}");
            assert_eq!(answer.header("transfer-encoding"), None, "{path}");
            let answer = h2.get(&format!("http://shop{path}")).await;
            assert_eq!((answer.status, answer.header("content-length")), (status, length), "{path}");
        }
    }
}

#[tokio::test]
async fn an_http10_client_gets_an_answer_it_understands() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let server = Server::answering(move |_, _, _| async move { Some(chunked.to_owned()) }).await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    let answer = wire.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        (answer.status, answer.header("transfer-encoding"), answer.text().as_str()),
        (200, None, "ok")
    );
    assert!(wire.ends().await);
}

#[tokio::test]
async fn an_http10_server_that_ends_its_body_by_closing_is_understood() {
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        served.wire.try_send("HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    for _ in 0..2 {
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "until the end");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::answering(|_, seen, body| async move {
        tokio::time::sleep(ms(if seen.target == "/1" { 100 } else { 0 })).await;
        Some(answer("200 OK", &format!("{} {}", seen.target, String::from_utf8_lossy(&body))))
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send(
        "GET /1 HTTP/1.1\r\nHost: shop\r\n\r\nPOST /2 HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\n\
         abcPOST /3 HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n\
         GET /4 HTTP/1.1\r\nHost: shop\r\n\r\n",
    )
    .await;
    for wanted in ["/1 ", "/2 abc", "/3 d", "/4 "] {
        assert_eq!(wire.answer().await.text(), wanted);
    }
}

#[tokio::test]
async fn an_absolute_address_wins_over_the_host_header() {
    let (world, _echo) = echoing(Protocol::Http1).await;
    let answer = world.ask("GET http://shop.example:8080/a?b HTTP/1.1\r\nHost: other\r\n\r\n").await;
    assert_eq!(answer.json()["target"], "/a?b");
    assert_eq!(answer.echoed("host"), ["shop.example:8080"]);
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let (world, echo) = echoing(Protocol::Http1).await;
    let mut wire = world.wire().await;
    for _ in 0..20 {
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    }
    assert_eq!((echo.requests(), echo.connections()), (20, 1));
    let answer = wire.ask("GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").await;
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(wire.ends().await);
    assert_eq!(echo.open(), 1, "what the client closes stays open upstream");
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let (world, _echo) = echoing(Protocol::Http1).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 100);
    wire.send("body").await;
    let answer = wire.answer().await;
    assert_eq!(answer.json()["body"], "body");
    assert!(answer.echoed("expect").is_empty(), "the data plane has answered it");
}

#[tokio::test]
async fn a_client_that_waits_for_leave_in_vain_is_told_why_at_once() {
    let echo = Server::echo().await;
    let world = World::limited(&echo, |limits| limits.body_bytes = Some(3)).await;
    let request = "POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    world.ask(request).await.problem(413, "body-too-large");
    assert_eq!(echo.requests(), 0);
}

#[tokio::test]
async fn leave_is_given_once_though_the_server_gives_it_too() {
    let server = Server::scripted(|mut served| async move {
        while let Some(seen) = served.request().await {
            assert_eq!(seen.header("expect"), None, "what the data plane has answered is not asked again");
            served.wire.try_send("HTTP/1.1 100 Continue\r\n\r\n").await;
            let Some((body, _)) = served.wire.body_of(&seen).await else { return };
            served.text("200 OK", &String::from_utf8_lossy(&body)).await;
        }
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    for _ in 0..2 {
        wire.send("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
        assert_eq!(wire.head().await.status, 100);
        wire.send("body").await;
        assert_eq!(wire.answer().await.text(), "body");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(world.post("/", "", "unasked").await.text(), "unasked");
    let asking = Request::post("http://shop/").header("expect", "100-continue");
    assert_eq!(world.h2().await.send(asking, "over HTTP/2").await.text(), "over HTTP/2");
}

#[tokio::test]
async fn a_server_that_will_not_have_the_body_is_heard() {
    // It reads the head only, and so its connection is of no more use.
    let server = Server::scripted(|mut served| async move {
        served.request().await;
        let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        served.wire.try_send(refusal).await;
        served.wire.rest().await;
    })
    .await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 100);
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (417, "no"), "though the body has not come");
    drop(wire);
    let asking = Request::post("http://shop/").header("expect", "100-continue");
    assert_eq!(world.h2().await.send(asking, "body").await.status, 417);
    until("the connections to end", || server.open() == 0).await;
}

#[tokio::test]
async fn an_answer_that_was_not_asked_to_upgrade_does_not() {
    let server = Server::answering(|_, _, _| async {
        Some("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".to_owned())
    })
    .await;
    World::of(&server).await.get("/").await.problem(502, "bad-answer");
}

#[tokio::test]
async fn an_upgrade_that_is_refused_is_answered_by_the_server() {
    let server = Server::fixed("426 Upgrade Required", "not here").await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    let request = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for _ in 0..2 {
        let answer = wire.ask(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (426, "not here"));
    }
}

#[tokio::test]
async fn the_server_sees_that_an_upgrade_is_wanted() {
    let (world, _echo) = echoing(Protocol::Http1).await;
    let request = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: abc\r\n\r\n";
    let answer = world.ask(request).await;
    assert_eq!(answer.echoed("upgrade"), ["websocket"]);
    assert_eq!(answer.echoed("connection")[0].to_ascii_lowercase(), "upgrade");
    assert_eq!(answer.echoed("sec-websocket-key"), ["abc"]);
}

#[tokio::test]
async fn trailers_cross_http2_both_ways() {
    let server = Server::http2(|request| async move {
        use http_body_util::BodyExt;
        let sum = request.into_body().collect().await.unwrap().trailers().unwrap()["x-sum"].clone();
        let (feed, body) = sending();
        feed.data("answer");
        feed.trailers("grpc-status", sum.to_str().unwrap());
        http::Response::builder().body(body).unwrap()
    })
    .await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call("shop"));
    let world = world.start(&[&server]).await;
    let (feed, body) = sending();
    let request = Request::post("http://shop/").header("te", "trailers").body(body).unwrap();
    feed.data("question");
    feed.trailers("x-sum", "42");
    drop(feed);
    let answer = whole(world.h2().await.stream(request).await).await;
    assert_eq!(answer.trailer("grpc-status"), Some("42"));
    assert_eq!(answer.text(), "answer");
}

#[tokio::test]
async fn trailers_cross_http1_both_ways_where_they_are_announced() {
    let server = Server::scripted(|mut served| async move {
        let seen = served.request().await.expect("a request");
        assert_eq!(seen.header("te"), Some("trailers"));
        let (_, trailers) = served.wire.body_of(&seen).await.expect("a body");
        let (_, value) = trailers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-sum")).expect("a trailer");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Back\r\n\r\n2\r\nok\r\n0\r\nX-Back: {value}\r\n\r\n"
        );
        served.wire.try_send(answer).await;
        served.request().await;
    })
    .await;
    let world = World::of(&server).await;
    let answer = world
        .ask(
            "POST / HTTP/1.1\r\nHost: shop\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n",
        )
        .await;
    assert_eq!((answer.text().as_str(), answer.trailer("x-back")), ("ok", Some("42")));
}
