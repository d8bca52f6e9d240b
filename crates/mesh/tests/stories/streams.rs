//! gRPC's four kinds of calls over HTTP/2 on both sides, and how they end: taken back by the client, lost
//! with their server, or held up by whoever does not read.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::config::{Call, Protocol};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::crowds::at_most;
use crate::world::frames::*;
use crate::world::{H2, Sending, Server, Wire, World, call, ms, sending, soon, until};

/// A gateway that sends everything to this server, over HTTP/2.
async fn before(server: &Server, call: Call) -> World {
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call);
    world.start(&[server]).await
}

/// A message as it is on the wire: uncompressed, with its length.
fn message(text: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(text.len() as u32);
    framed.put(text);
    framed.freeze()
}

/// Messages as they come, in whatever pieces.
struct Messages {
    body: Incoming,
    ahead: BytesMut,
    status: Option<String>,
}

impl Messages {
    fn of(body: Incoming) -> Messages {
        Messages { body, ahead: BytesMut::new(), status: None }
    }

    /// None: that was all, and the status has come if there is one.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(length) = self.ahead.get(1..5) {
                let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
                if self.ahead.len() >= 5 + length {
                    self.ahead.advance(5);
                    return Some(self.ahead.split_to(length).freeze());
                }
            }
            let frame = soon("a message", self.body.frame()).await?.expect("no reset");
            match frame.into_data() {
                Ok(data) => self.ahead.put(data),
                Err(frame) => {
                    let trailers = frame.into_trailers().expect("trailers");
                    self.status = Some(trailers["grpc-status"].to_str().expect("text").to_owned());
                }
            }
        }
    }

    async fn all(&mut self) -> Vec<Bytes> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        all
    }
}

/// How many messages the streaming kinds take or give, and how large each is: more in all than any window.
const MESSAGES: usize = 100;
const MESSAGE_BYTES: usize = 64 << 10;

/// Answers `/Unary`, `/Gives`, `/Takes` and `/Talks`.
async fn parrot() -> Server {
    Server::http2(|request: Request<Incoming>| async move {
        let (head, body) = request.into_parts();
        assert_eq!(head.headers["te"], "trailers", "gRPC asks for it");
        let (feed, answer) = sending();
        tokio::spawn(say(head.uri.path().to_owned(), Messages::of(body), feed));
        Response::builder().header("content-type", "application/grpc").body(answer).unwrap()
    })
    .await
}

async fn say(path: String, mut messages: Messages, feed: Sending) {
    match path.as_str() {
        "/Unary" => feed.data(message(&messages.all().await[0])),
        "/Gives" => {
            messages.all().await;
            (0..MESSAGES).for_each(|nth| feed.data(message(&[nth as u8; MESSAGE_BYTES])));
        }
        "/Takes" => {
            let bytes: usize = messages.all().await.iter().map(Bytes::len).sum();
            feed.data(message(bytes.to_string().as_bytes()));
        }
        _ => {
            while let Some(one) = messages.next().await {
                feed.data(message(&one));
            }
        }
    }
    feed.trailers("grpc-status", "0");
}

/// Begins a call.
async fn begin(client: &H2, path: &str) -> (Sending, Messages) {
    let (feed, body) = sending();
    let request = Request::post(format!("http://shop{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body);
    let answer = client.stream(request.unwrap()).await;
    assert_eq!(answer.status(), 200);
    (feed, Messages::of(answer.into_body()))
}

#[tokio::test]
async fn each_kind_of_call_passes_whole() {
    let server = parrot().await;
    let world = before(&server, call("shop")).await;
    let client = world.h2().await;

    let (feed, mut answer) = begin(&client, "/Unary").await;
    feed.data(message(b"hello"));
    drop(feed);
    assert_eq!((answer.all().await, answer.status.as_deref()), (vec![Bytes::from("hello")], Some("0")));

    let (feed, mut answer) = begin(&client, "/Gives").await;
    feed.data(message(b"all"));
    drop(feed);
    let all = answer.all().await;
    assert_eq!(all.len(), MESSAGES);
    for (nth, one) in all.iter().enumerate() {
        assert!(one.len() == MESSAGE_BYTES && one.iter().all(|byte| *byte == nth as u8), "message {nth}");
    }
    assert_eq!(answer.status.as_deref(), Some("0"));

    let (feed, mut answer) = begin(&client, "/Takes").await;
    (0..MESSAGES).for_each(|_| feed.data(message(&[7; MESSAGE_BYTES])));
    drop(feed);
    let sum = (MESSAGES * MESSAGE_BYTES).to_string();
    assert_eq!((answer.all().await, answer.status.as_deref()), (vec![Bytes::from(sum)], Some("0")));

    let (feed, mut answer) = begin(&client, "/Talks").await;
    for text in ["one", "two", "three"] {
        feed.data(message(text.as_bytes()));
        assert_eq!(answer.next().await.as_deref(), Some(text.as_bytes()), "before the next is sent");
    }
    drop(feed);
    assert_eq!((answer.all().await.len(), answer.status.as_deref()), (0, Some("0")));
    assert_eq!((server.requests(), server.connections()), (4, 1));
}

/// A body without end, which counts what is taken of it.
struct Endless(Arc<AtomicUsize>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let piece = message(&[7; 1019]);
        self.0.fetch_add(piece.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }
}

/// Most bytes that may be under way between a writer and a reader that does not read: the windows of one
/// stream on two connections, and some more.
const UNDER_WAY_MAX: usize = 2 << 20;

/// Waits until nothing more is taken, and returns how much was.
async fn at_rest(taken: &AtomicUsize) -> usize {
    soon("the writer to be held up", async {
        let mut before = 0;
        loop {
            tokio::time::sleep(ms(150)).await;
            let now = taken.load(Ordering::SeqCst);
            if now > 0 && now == before {
                return now;
            }
            before = now;
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_server_up() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let server = Server::http2(move |_| {
        let answer = Endless(counted.clone());
        async move { Response::builder().header("content-type", "application/grpc").body(answer).unwrap() }
    })
    .await;
    let world = before(&server, call("shop")).await;
    let mut wire = world.wire().await;
    wire.greet(&[]).await;
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, POST)).await;
    let ahead = at_rest(&taken).await;
    assert!(ahead < UNDER_WAY_MAX, "{ahead} bytes were taken ahead of the client");
    let window = |stream| frame(WINDOW_UPDATE, 0, stream, &1000_u32.to_be_bytes());
    wire.send([window(0), get(3)].concat()).await;
    wire.await_frame(DATA, 3).await;
    wire.send([window(0), window(1)].concat()).await;
    wire.await_frame(DATA, 1).await;
}

#[tokio::test]
async fn clients_that_do_not_read_hold_up_no_others_of_the_same_server() {
    let server = Server::http2(|request: Request<Incoming>| async move {
        let answer = match request.method() {
            &http::Method::POST => Endless(Arc::default()).boxed_unsync(),
            _ => Full::new(Bytes::from("quick")).boxed_unsync(),
        };
        Response::new(answer)
    })
    .await;
    let world = before(&server, call("shop")).await;
    // More than connections have windows' worth of, on each core.
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut wire = world.wire().await;
        wire.greet(&[]).await;
        wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, POST)).await;
        wire.await_frame(DATA, 1).await;
        slow.push(wire);
    }
    for _ in 0..8 {
        assert_eq!(world.get("/").await.text(), "quick");
    }
    assert!(server.connections() <= 2, "one a core");
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_the_client_up() {
    let (server, _seen) = by_hand().await;
    let world = before(&server, call("shop")).await;
    let stream = TcpStream::connect(world.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let taken = Arc::new(AtomicUsize::new(0));
    let _answer =
        soon("the answer's head", sender.send_request(asking(Endless(taken.clone())))).await.unwrap();
    let ahead = at_rest(&taken).await;
    assert!(ahead < UNDER_WAY_MAX, "{ahead} bytes were taken ahead of the server");
}

/// What a peer may send before more is allowed (RFC 9113 section 6.9.2).
const WINDOW_BYTES: usize = 65_535;

fn asking<B>(body: B) -> Request<B> {
    Request::post("http://shop/Talks").header("content-type", "application/grpc").body(body).unwrap()
}

/// Begins to answer each call, opens no window, ends nothing, and says which frames came.
async fn by_hand() -> (Server, mpsc::UnboundedReceiver<Frame>) {
    let (say, said) = mpsc::unbounded_channel();
    let server = Server::scripted(move |served| {
        let say = say.clone();
        async move {
            let (stream, _open) = served.into_stream();
            let mut wire = Wire::new(stream);
            wire.take(PREFACE.len()).await;
            wire.try_send(frame(SETTINGS, 0, 0, &[])).await;
            while let Some(came) = wire.frame().await {
                match came.kind {
                    SETTINGS if came.flags & ACK == 0 => {
                        wire.try_send(frame(SETTINGS, ACK, 0, &[])).await;
                    }
                    HEADERS => {
                        // `:status: 200`, by HPACK's static table.
                        let head = [&[0x88][..], &literal(b"content-type", b"application/grpc")].concat();
                        wire.try_send(frame(HEADERS, END_HEADERS, came.stream, &head)).await;
                        wire.try_send(frame(DATA, 0, came.stream, &message(b"first"))).await;
                    }
                    _ => {}
                }
                let _ = say.send(came);
            }
        }
    })
    .await;
    (server, said)
}

async fn reset_of(seen: &mut mpsc::UnboundedReceiver<Frame>) -> Frame {
    soon("a reset", async {
        loop {
            let frame = seen.recv().await.expect("the server goes on");
            if frame.kind == RST_STREAM {
                return frame;
            }
            assert!(frame.kind != DATA || frame.flags & END_STREAM == 0, "no end that looks like one");
        }
    })
    .await
}

#[tokio::test]
async fn what_a_client_takes_back_is_taken_back_from_the_server_and_its_place_is_free() {
    let (server, mut seen) = by_hand().await;
    let world = before(&server, Call { concurrency: at_most(1, 0, 1), ..call("shop") }).await;
    let mut wire = world.wire().await;
    wire.greet(&[]).await;
    for round in 0..3 {
        let stream = 2 * round + 1;
        // As one that streams itself, and has not ended.
        wire.send(frame(HEADERS, END_HEADERS, stream, POST)).await;
        assert_eq!(wire.await_frame(DATA, stream).await.payload, message(b"first"));
        assert_eq!(world.get("/").await.status, 503, "there is one place");
        wire.send(reset(stream)).await;
        let told = reset_of(&mut seen).await;
        assert_eq!((told.stream, told.reason()), (stream, CANCEL));
        until("the place to be free", || world.mesh.in_flight("shop", &server.id) == 0).await;
    }
    assert_eq!(world.status("shop").concurrency.expect("it is limited").in_flight, 0);
    assert_eq!(server.connections(), 1);

    // The same when the whole client goes.
    wire.send(frame(HEADERS, END_HEADERS, 7, POST)).await;
    wire.await_frame(DATA, 7).await;
    drop(wire);
    assert_eq!(reset_of(&mut seen).await.reason(), CANCEL);
    until("the place to be free", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn what_is_taken_back_while_the_server_does_not_read_is_taken_back_from_it_too() {
    let (server, mut seen) = by_hand().await;
    let world = before(&server, call("shop")).await;
    let mut wire = world.wire().await;
    wire.greet(&[]).await;
    wire.send(frame(HEADERS, END_HEADERS, 1, POST)).await;
    wire.await_frame(DATA, 1).await;
    wire.send(frame(SETTINGS, ACK, 0, &[])).await;
    for _ in 0..8 {
        wire.send(frame(DATA, 0, 1, &[7; 16 << 10])).await;
    }
    soon("its window to be used up", async {
        let mut left = WINDOW_BYTES;
        while left > 0 {
            let came = seen.recv().await.expect("the server goes on");
            left -= if came.kind == DATA { came.payload.len() } else { 0 };
        }
    })
    .await;
    wire.send(reset(1)).await;
    assert_eq!(reset_of(&mut seen).await.reason(), CANCEL);
}

#[tokio::test]
async fn a_server_that_dies_ends_its_streams_and_no_others() {
    let ((mortal, _), (other, _)) = (by_hand().await, by_hand().await);
    let mut world = World::new();
    for (name, server) in [("shop", &mortal), ("cart", &other)] {
        world.upstream(name, Protocol::Http2, &[]);
        world.publish(name, &[server]);
    }
    world.route("/**", call("shop")).matcher.methods = vec!["POST".to_owned()];
    world.route("/**", call("cart"));
    let world = world.start(&[&mortal]).await;
    world.publish("cart", &[&other]);
    let mut wire = world.wire().await;
    wire.greet(&[]).await;
    wire.send([frame(HEADERS, END_HEADERS, 1, POST), get(3)].concat()).await;
    wire.await_frame(DATA, 1).await;
    let mut wire_of_another = world.wire().await;
    wire_of_another.greet(&[]).await;
    wire_of_another.send(get(1)).await;
    wire_of_another.await_frame(DATA, 1).await;
    mortal.kill();
    let told = wire.await_frame(HEADERS, 1).await;
    assert!(told.flags & END_STREAM != 0, "trailers");
    until("the place to be free", || world.mesh.in_flight("shop", &mortal.id) == 0).await;
    assert_eq!(world.mesh.in_flight("cart", &other.id), 2, "the others go on");

    let fields = [POST, &literal(b"content-type", b"application/grpc")].concat();
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, &fields)).await;
    let unavailable = wire.await_frame(HEADERS, 5).await;
    assert!(unavailable.flags & END_STREAM != 0, "all is said in the head");
    let client = world.h2().await;
    let answer =
        client.send(Request::post("http://shop/").header("content-type", "application/grpc"), "").await;
    assert_eq!(answer.header("grpc-status"), Some("14"), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_is_lost_on_its_way_is_unavailable() {
    let (server, _seen) = by_hand().await;
    let world = before(&server, call("shop")).await;
    let (_feed, mut answer) = begin(&world.h2().await, "/Talks").await;
    assert_eq!(answer.next().await.as_deref(), Some(&b"first"[..]));
    server.kill();
    assert_eq!((answer.next().await, answer.status.as_deref()), (None, Some("14")));
}
