//! WebSocket between each version of HTTP and each other: as an upgrade in HTTP/1.1, as an extended
//! CONNECT in HTTP/2 (RFC 8441).

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::ext::Protocol as Asked;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::config::{Fallback, Protocol};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use crate::world::{Answer, H2, Server, World, call, ms, sending, soon, until, whole};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Repeats every message over WebSocket, in HTTP/1.1.
pub async fn parrot() -> Server {
    Server::scripted(|served| async move {
        let (stream, _open) = served.into_stream();
        repeat(tokio_tungstenite::accept_async(stream).await.expect("a handshake")).await;
    })
    .await
}

/// The same in HTTP/2.
async fn parrot_http2() -> Server {
    Server::scripted(|served| async move {
        let (stream, _open) = served.into_stream();
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| async move {
            assert_eq!(request.extensions().get::<Asked>().map(Asked::as_str), Some("websocket"));
            assert_eq!((request.method(), request.uri().path()), (&Method::CONNECT, "/chat"));
            assert!(!request.headers().contains_key("sec-websocket-key"), "HTTP/2 has none");
            let stream = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = TokioIo::new(stream.await.expect("a stream"));
                repeat(WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await;
            });
            let answer = Response::builder().header("sec-websocket-protocol", "chat");
            Ok::<_, std::convert::Infallible>(answer.body(Full::<Bytes>::default()).unwrap())
        });
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.enable_connect_protocol();
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    })
    .await
}

async fn repeat<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            let _ = socket.send(message).await;
        }
    }
}

async fn before(server: &Server, protocol: Protocol) -> World {
    let mut world = World::new();
    world.upstream("shop", protocol, &[]);
    world.route("/**", call("shop"));
    world.start(&[server]).await
}

/// Asks for a protocol over HTTP/2.
async fn ask(client: &H2, protocol: &'static str) -> Response<Incoming> {
    let (feed, pieces) = sending();
    drop(feed);
    let mut request = Request::connect("http://shop/chat").body(pieces).expect("a request");
    request.extensions_mut().insert(Asked::from_static(protocol));
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    client.stream(request).await
}

/// A WebSocket over HTTP/2.
async fn open(client: &H2) -> Socket {
    let answer = ask(client, "websocket").await;
    assert_eq!(answer.status(), 200);
    for hidden in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!answer.headers().contains_key(hidden), "{hidden}");
    }
    let stream = TokioIo::new(soon("the stream", hyper::upgrade::on(answer)).await.expect("a stream"));
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

async fn says<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, message: Message) {
    socket.send(message.clone()).await.expect("the gateway takes it");
    assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), message);
}

async fn talks<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    says(socket, Message::text("one")).await;
    says(socket, Message::binary(vec![7; 3 << 20])).await;
}

async fn refused(world: &World) -> Answer {
    whole(ask(&world.h2().await, "websocket").await).await
}

#[tokio::test]
async fn a_websocket_talks_through_the_gateway_until_it_is_closed() {
    let server = parrot().await;
    let world = World::limited(&server, |limits| limits.header_timeout = ms(300)).await;
    let stream = world.wire().await.stream;
    let (mut socket, answer) =
        tokio_tungstenite::client_async("ws://shop/chat", stream).await.expect("an upgrade");
    assert_eq!(answer.status(), 101);
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), Message::text(text));
    }
    let big = Message::binary(vec![7; 1 << 20]);
    socket.send(big.clone()).await.unwrap();
    assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), big);
    tokio::time::sleep(ms(1600)).await;
    socket.send(Message::text("after a silence")).await.unwrap();
    assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), Message::text("after a silence"));
    socket.close(None).await.unwrap();
    assert!(soon("the close", socket.next()).await.unwrap().unwrap().is_close());
    drop(socket);
    until("the server's side to end", || server.open() == 0).await;
    until("the count to fall", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn a_websocket_counts_as_one_of_the_connections() {
    let server = parrot().await;
    let world = World::limited(&server, |limits| limits.connections = 2).await;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let stream = world.wire().await.stream;
        sockets.push(tokio_tungstenite::client_async("ws://shop/", stream).await.expect("an upgrade"));
    }
    let stream = world.wire().await.stream;
    assert!(tokio_tungstenite::client_async("ws://shop/", stream).await.is_err(), "there are two already");
    sockets.pop();
    until("the server's side to end", || server.open() == 1).await;
    soon("room again", async {
        while tokio_tungstenite::client_async("ws://shop/", world.wire().await.stream).await.is_err() {}
    })
    .await;
}

#[tokio::test]
async fn a_websocket_whose_client_vanishes_frees_the_server() {
    let server = parrot().await;
    let world = World::of(&server).await;
    let stream = world.wire().await.stream;
    let (mut socket, _) = tokio_tungstenite::client_async("ws://shop/", stream).await.expect("an upgrade");
    socket.send(Message::text("x")).await.unwrap();
    soon("an echo", socket.next()).await.unwrap().unwrap();
    drop(socket);
    until("the server's side to end", || server.open() == 0).await;
}

#[tokio::test]
async fn a_client_of_http2_talks_to_a_server_of_http1_until_it_closes() {
    let server = parrot().await;
    let world = before(&server, Protocol::Http1).await;
    let client = world.h2().await;
    let mut socket = open(&client).await;
    talks(&mut socket).await;
    assert_eq!(world.mesh.in_flight("shop", &server.id), 1);
    socket.close(None).await.unwrap();
    assert!(soon("the close", socket.next()).await.unwrap().unwrap().is_close());
    drop(socket);
    until("the server's side to end", || server.open() == 0).await;
    until("the count to fall", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn both_sides_in_http2_need_no_key() {
    let server = parrot_http2().await;
    let world = before(&server, Protocol::Http2).await;
    let client = world.h2().await;
    let (mut one, mut two) = (open(&client).await, open(&client).await);
    talks(&mut one).await;
    talks(&mut two).await;
    assert_eq!(server.connections(), 1, "each is a stream");
    drop(one);
    until("one count to fall", || world.mesh.in_flight("shop", &server.id) == 1).await;
    says(&mut two, Message::text("still here")).await;
}

#[tokio::test]
async fn a_client_of_http1_talks_to_a_server_of_http2() {
    let server = parrot_http2().await;
    let world = before(&server, Protocol::Http2).await;
    let stream = world.wire().await.stream;
    let request = http::Request::get("ws://shop/chat")
        .header("host", "shop")
        .header("connection", "Upgrade")
        .header("upgrade", "WebSocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap();
    // The library checks the proof.
    let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["sec-websocket-protocol"]),
        (101, &"chat".parse().unwrap())
    );
    talks(&mut socket).await;
    socket.close(None).await.unwrap();
    drop(socket);
    until("the count to fall", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn a_server_of_http2_that_does_not_announce_it_is_not_asked() {
    let echo = Server::echo_http2().await;
    let world = before(&echo, Protocol::Http2).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for _ in 0..2 {
        let problem = world.ask(upgrade).await.problem(501, "no-upgrade");
        assert!(problem["remedy"].as_str().unwrap().contains("protocol: http1"), "{problem}");
        refused(&world).await.problem(501, "no-upgrade");
    }
    assert_eq!(echo.requests(), 0);
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn other_protocols_do_not_cross() {
    let (one, two) = (Server::echo().await, parrot_http2().await);
    let world = before(&one, Protocol::Http1).await;
    let answer = whole(ask(&world.h2().await, "connect-udp").await).await;
    answer.problem(501, "no-upgrade");
    let world = before(&two, Protocol::Http2).await;
    for (protocol, status, name) in [("irc", 501, "no-upgrade"), ("websocket", 400, "bad-request")] {
        let ask =
            format!("GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        world.ask(&ask).await.problem(status, name);
    }
    let body = "POST / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 2\r\n\r\nab";
    world.ask(body).await.problem(400, "bad-request");
    assert_eq!((one.requests(), two.requests()), (0, 0));
}

#[tokio::test]
async fn a_refusal_is_passed_on_and_what_opens_nothing_does_not_look_like_success() {
    let server = Server::fixed("426 Upgrade Required", "not here").await;
    let answer = refused(&before(&server, Protocol::Http1).await).await;
    assert_eq!((answer.status, answer.text().as_str()), (426, "not here"));
    let server = Server::echo().await;
    let world = before(&server, Protocol::Http1).await;
    refused(&world).await.problem(502, "bad-answer");
    assert_eq!(server.requests(), 1, "an answer is an answer");
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    let fallback = Fallback::Static { status: 200, body: "[]".into(), content_type: "text/json".into() };
    world.route("/**", mesh::config::Call { fallback: Some(fallback), ..call("shop") });
    let world = world.start(&[&Server::dead().await]).await;
    refused(&world).await.problem(502, "bad-answer");
}

#[tokio::test]
async fn an_upgrade_without_its_proof_is_none() {
    for proof in ["", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"] {
        let server = Server::answering(move |_, seen, _| async move {
            assert_eq!(seen.header("sec-websocket-key").map(str::len), Some(24));
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
            Some(format!("{head}{proof}\r\n"))
        })
        .await;
        let world = before(&server, Protocol::Http1).await;
        refused(&world).await.problem(502, "bad-answer");
    }
}

#[tokio::test]
async fn a_plain_connect_is_refused_and_the_connection_goes_on() {
    let echo = Server::echo().await;
    let world = before(&echo, Protocol::Http1).await;
    let client = world.h2().await;
    let (feed, pieces) = sending();
    drop(feed);
    let answer = client.stream(Request::connect("shop:80").body(pieces).unwrap()).await;
    whole(answer).await.problem(400, "bad-request");
    assert_eq!(client.get("http://shop/").await.status, 200);
}

#[tokio::test]
async fn it_outlives_silence_and_reloads() {
    let server = parrot().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/**", call("shop"));
    world.edge().limits.header_timeout = ms(300);
    world.edge().limits.body_idle = ms(300);
    let mut world = world.start(&[&server]).await;
    let client = world.h2().await;
    let mut socket = open(&client).await;
    says(&mut socket, Message::text("before")).await;
    world.routes().clear();
    world.apply().await;
    assert_eq!(client.get("http://shop/").await.status, 404, "the new routes are in force");
    tokio::time::sleep(ms(1600)).await;
    says(&mut socket, Message::text("after")).await;
}

#[tokio::test]
async fn a_drain_waits_for_requests_beside_it_and_not_for_it() {
    let (server, slow) = (parrot().await, Server::slow(ms(400), "in the end").await);
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.upstream("slow", Protocol::Http1, &[]);
    world.route("/chat", call("shop"));
    world.route("/slow", call("slow"));
    let world = world.start(&[&server]).await;
    world.publish("slow", &[&slow]);
    let client = world.h2().await;
    let mut socket = open(&client).await;
    let beside = tokio::spawn({
        let client = client.clone();
        async move { client.get("http://shop/slow").await.text() }
    });
    until("the request's way up", || slow.requests() == 1).await;
    let begun = tokio::time::Instant::now();
    assert!(world.mesh.drain_gateway(Duration::from_secs(8)).await);
    assert!((ms(200)..ms(4000)).contains(&begun.elapsed()));
    assert_eq!(beside.await.unwrap(), "in the end");
    says(&mut socket, Message::text("still here")).await;
    world.mesh.stop();
    assert!(!matches!(soon("the end", socket.next()).await, Some(Ok(message)) if !message.is_close()));
}
