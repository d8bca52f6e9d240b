//! How a server of HTTP/2 ends connections and streams: what it says that it has not done is done again, and
//! what it breaks off does not look whole.

use http::Request;
use mesh::config::{Call, Protocol};

use crate::retries::retries;
use crate::world::frames::*;
use crate::world::{Server, Wire, World, call, sending, soon};

/// Answers each request with these frames, which may depend on how many came before and on its stream.
async fn framing(answer: impl Fn(usize, u32) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let answer = std::sync::Arc::new(answer);
    let before = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Server::scripted(move |served| {
        let (answer, before) = (answer.clone(), before.clone());
        async move {
            let (stream, _open) = served.into_stream();
            let mut wire = Wire::new(stream);
            wire.take(PREFACE.len()).await;
            wire.try_send(frame(SETTINGS, 0, 0, &[])).await;
            while let Some(came) = wire.frame().await {
                if came.kind == HEADERS {
                    let nth = before.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    wire.try_send(answer(nth, came.stream)).await;
                }
            }
        }
    })
    .await
}

/// `:status: 200`, by HPACK's static table.
const OK: &[u8] = &[0x88];

fn whole(stream: u32) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, b"whole")].concat()
}

async fn before(server: &Server, call: Call) -> World {
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call);
    world.start(&[server]).await
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nbody";

#[tokio::test]
async fn what_crosses_with_a_goodbye_is_sent_again_on_a_new_connection() {
    // Each connection takes one request, and says so when it has got the next.
    let server = framing(|_, stream| match stream {
        1 => whole(1),
        _ => frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]),
    })
    .await;
    let world = before(&server, Call { retries: Some(retries()), ..call("shop") }).await;
    let mut wire = world.wire().await;
    for _ in 0..10 {
        assert_eq!(wire.ask(UPLOAD).await.text(), "whole");
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "whole");
    }
    let status = world.status("shop");
    assert_eq!((status.failures, status.retries, server.connections()), (0, 0, 20));
}

#[tokio::test]
async fn what_a_server_refuses_to_begin_with_was_not_sent() {
    let refusing = |stream| frame(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes());
    let server = framing(move |nth, stream| if nth == 0 { refusing(stream) } else { whole(stream) }).await;
    let world = before(&server, Call { retries: Some(retries()), ..call("shop") }).await;
    assert_eq!(world.ask(UPLOAD).await.text(), "whole", "though it is a POST");
    assert_eq!(world.status("shop").retries, 1);

    let server = framing(move |_, stream| refusing(stream)).await;
    let world = before(&server, call("shop")).await;
    world.ask(UPLOAD).await.problem(503, "connect-failed");
}

#[tokio::test]
async fn a_server_that_speaks_http1_after_all_is_told_apart_from_one_that_is_lost() {
    let server = Server::scripted(|mut served| async move {
        served.wire.take(PREFACE.len()).await;
        // What is lost before there was a request is another story.
        while served.wire.frame().await.is_some_and(|frame| frame.kind != HEADERS) {}
        served.wire.try_send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        served.wire.rest().await;
    })
    .await;
    let world = before(&server, call("shop")).await;
    world.get("/").await.problem(502, "bad-answer");
}

#[tokio::test]
async fn what_a_server_breaks_off_is_not_whole_whatever_it_says_of_it() {
    for reason in [0_u32, CANCEL, 2] {
        let server = framing(move |_, stream| {
            let half = [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"half")].concat();
            [half, frame(RST_STREAM, 0, stream, &reason.to_be_bytes())].concat()
        })
        .await;
        let world = before(&server, call("shop")).await;
        let mut wire = world.wire().await;
        wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        let rest = soon("the end", wire.rest()).await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{reason}: {}", String::from_utf8_lossy(&rest));
        let (_, nothing) = sending();
        let answer = world.h2().await.stream(Request::get("http://shop/").body(nothing).unwrap()).await;
        if answer.status() == 200 {
            let collected = soon("the end", http_body_util::BodyExt::collect(answer.into_body())).await;
            assert!(collected.is_err(), "{reason}");
        }
    }
}
