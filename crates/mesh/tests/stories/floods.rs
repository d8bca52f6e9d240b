//! Attacks that HTTP/2 makes possible, frame by frame: each ends the attacker's connection, or is bounded,
//! and others notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::frames::*;
use crate::world::{H2, Server, Wire, World, call, ms, soon, until};

/// A gateway before an echo, a greeted attacker, and a client that should notice nothing.
struct Scene {
    world: World,
    echo: Server,
    attacker: Wire,
    honest: H2,
}

impl Scene {
    async fn new() -> Scene {
        let echo = Server::echo().await;
        let world = World::of(&echo).await;
        let (mut attacker, honest) = (world.wire().await, world.h2().await);
        attacker.greet(&[]).await;
        Scene { world, echo, attacker, honest }
    }

    /// Sends these, a hundred at a time, until the gateway has had enough; why it had.
    async fn flood(&mut self, mut next: impl FnMut(u32) -> Vec<u8>, most: u32) -> Option<u32> {
        let mut writing = self.attacker.twin();
        let sending = async {
            for nth in 0..most / 100 {
                let some: Vec<u8> = (0..100).flat_map(|one| next(100 * nth + one)).collect();
                if !writing.try_send(some).await {
                    return;
                }
            }
        };
        let (reason, ()) = tokio::join!(self.attacker.goaway(), sending);
        reason
    }

    /// Asserts that the flood went no further.
    async fn others_go_on(&self) {
        let before = self.echo.requests();
        assert_eq!(self.honest.get("http://shop/").await.status, 200);
        assert_eq!(self.world.get("/").await.status, 200);
        assert_eq!(self.echo.requests(), before + 2);
    }
}

#[tokio::test]
async fn frames_that_bring_nothing_end_the_connection() {
    let ping = frame(PING, 0, 0, b"attacker");
    let priority = frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]);
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    let window = frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    let unknown = frame(0xfa, 0, 0, &[]);
    for (what, one, most) in [
        ("pings (CVE-2019-9512)", ping, 20_000),
        ("priorities (CVE-2019-9513)", priority, 20_000),
        ("settings (CVE-2019-9515)", settings, 3_000),
        ("windows opened by a byte (CVE-2019-9511)", window, 100_000),
        ("frames that nobody knows", unknown, 20_000),
    ] {
        let mut scene = Scene::new().await;
        assert_eq!(scene.flood(|_| one.clone(), most).await, Some(ENHANCE_YOUR_CALM), "{what}");
        assert_eq!(scene.echo.requests(), 0);
        scene.others_go_on().await;
    }
}

#[tokio::test]
async fn empty_frames_end_the_connection() {
    for (what, opening, begun, empty) in [
        ("DATA (CVE-2019-9518)", frame(HEADERS, END_HEADERS, 1, POST), 1, frame(DATA, 0, 1, &[])),
        ("CONTINUATION", frame(HEADERS, END_STREAM, 1, GET), 0, frame(CONTINUATION, 0, 1, &[])),
    ] {
        let mut scene = Scene::new().await;
        scene.attacker.send(opening).await;
        until("what is a request to be passed on", || scene.echo.requests() == begun).await;
        assert_eq!(scene.flood(|_| empty.clone(), 1000).await, Some(ENHANCE_YOUR_CALM), "{what}");
        scene.others_go_on().await;
    }
}

#[tokio::test]
async fn a_body_byte_by_byte_is_bounded() {
    let mut scene = Scene::new().await;
    scene.attacker.send(frame(HEADERS, END_HEADERS, 1, POST)).await;
    until("the upload to begin", || scene.echo.requests() == 1).await;
    let one = frame(DATA, 0, 1, b"a");
    assert_eq!(scene.flood(|_| one.clone(), 100_000).await, Some(ENHANCE_YOUR_CALM));
    scene.others_go_on().await;
}

#[tokio::test]
async fn an_endless_row_of_continuations_ends_the_connection() {
    let mut scene = Scene::new().await;
    scene.attacker.send(frame(HEADERS, END_STREAM, 1, GET)).await;
    let more = frame(CONTINUATION, 0, 1, &literal(b"x", &[b'a'; 8192]));
    let reason = scene.flood(|_| more.clone(), 2000).await;
    assert!(reason.is_some(), "VU#421644");
    assert_eq!(scene.echo.requests(), 0);
    scene.others_go_on().await;
}

#[tokio::test]
async fn fields_without_a_name_are_no_request() {
    let mut scene = Scene::new().await;
    for stream in [1, 3, 5] {
        let head = [GET, &literal(b"", b"leak")].concat();
        scene.attacker.try_send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)).await;
    }
    scene.attacker.try_send(frame(PING, 0, 0, b"settling")).await;
    tokio::time::timeout(ms(300), scene.attacker.rest()).await.ok();
    assert_eq!(scene.echo.requests(), 0, "CVE-2019-9516");
    scene.others_go_on().await;
}

/// A small head that stands for a large one: a value is put into the table once and named many times.
fn bomb(times: usize) -> Vec<u8> {
    let mut indexed = literal(b"x", &[b'a'; 3000]);
    indexed[0] = 0x40;
    [GET, &indexed, &vec![0x80 | 62; times]].concat()
}

#[tokio::test]
async fn a_small_head_that_stands_for_a_large_one_is_refused() {
    let mut scene = Scene::new().await;
    scene.attacker.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb(20))).await;
    let refused = scene.attacker.await_frame(HEADERS, 1).await;
    assert!(refused.flags & END_STREAM != 0, "an answer without a request");
    scene.attacker.send(get(3)).await;
    scene.attacker.await_frame(HEADERS, 3).await;
    assert_eq!(scene.echo.requests(), 1, "the connection goes on");
    scene.attacker.send(frame(HEADERS, END_STREAM | END_HEADERS, 5, &bomb(10_000))).await;
    assert_eq!(scene.attacker.goaway().await, Some(ENHANCE_YOUR_CALM));
    scene.others_go_on().await;
}

#[tokio::test]
async fn fields_are_counted_as_in_http1() {
    let scene = Scene::new().await;
    let many = (0..101)
        .fold(http::Request::get("http://shop/"), |request, nth| request.header(format!("x-{nth}"), "1"));
    scene.honest.send(many, "").await.problem(431, "head-too-large");
    assert_eq!(scene.echo.requests(), 0);
    scene.others_go_on().await;
}

#[tokio::test]
async fn requests_taken_back_before_they_are_seen_end_the_connection() {
    let mut scene = Scene::new().await;
    let reason = scene.flood(|nth| [get(2 * nth + 1), reset(2 * nth + 1)].concat(), 5000).await;
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "CVE-2023-44487");
    let (mesh, id) = (&scene.world.mesh, &scene.echo.id);
    until("the flood's requests to be given up", || mesh.in_flight("shop", id) == 0).await;
    assert!(scene.echo.requests() < 1000);
    scene.others_go_on().await;
}

#[tokio::test]
async fn requests_taken_back_after_they_were_sent_on_end_the_connection_too() {
    let server = Server::slow(ms(60_000), "never").await;
    let world = World::of(&server).await;
    let mut attacker = world.wire().await;
    attacker.greet(&[]).await;
    let mut ended = false;
    for nth in 0..1000 {
        let stream = 2 * nth + 1;
        attacker.try_send(get(stream)).await;
        attacker.try_send(frame(PING, 0, 0, b"settling")).await;
        let pong = soon("a pong", async {
            loop {
                match attacker.frame().await {
                    Some(frame) if frame.kind == GOAWAY => return Some(frame.reason()),
                    Some(frame) if frame.kind == PING => return None,
                    Some(_) => {}
                    None => panic!("it ended without a word"),
                }
            }
        })
        .await;
        if let Some(reason) = pong {
            assert_eq!(reason, ENHANCE_YOUR_CALM);
            ended = true;
            break;
        }
        attacker.try_send(reset(stream)).await;
    }
    assert!(ended);
    assert!(server.requests() < 700, "{}", server.requests());
    until("what was sent on to be given up", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn who_makes_the_server_reset_is_counted() {
    let mut scene = Scene::new().await;
    let overflow = |stream: u32| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
    scene.attacker.send([frame(HEADERS, END_HEADERS, 1, POST), overflow(1)].concat()).await;
    let told = scene.attacker.await_frame(RST_STREAM, 1).await;
    assert_eq!(told.reason(), FLOW_CONTROL_ERROR);
    let one = |nth: u32| {
        let stream = 2 * nth + 3;
        [frame(HEADERS, END_HEADERS, stream, POST), overflow(stream)].concat()
    };
    assert_eq!(scene.flood(one, 5000).await, Some(ENHANCE_YOUR_CALM), "CVE-2019-9514, CVE-2025-8671");
    assert!(scene.echo.requests() < 1100, "{}", scene.echo.requests());
    scene.others_go_on().await;
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_and_the_rest_served() {
    let server = Server::slow(ms(500), "here").await;
    let world = World::of(&server).await;
    let mut wire = world.wire().await;
    wire.greet(&[]).await;
    wire.send((0..300).flat_map(|nth| get(2 * nth + 1)).collect::<Vec<u8>>()).await;
    let (mut refused, mut answered) = (0, 0);
    soon("all answers", async {
        while refused + answered < 300 {
            let frame = wire.frame().await.expect("a frame");
            match frame.kind {
                RST_STREAM => {
                    assert_eq!(frame.reason(), REFUSED_STREAM);
                    refused += 1;
                }
                HEADERS => answered += 1,
                _ => {}
            }
        }
    })
    .await;
    assert_eq!((refused, answered, server.requests()), (44, 256, 256));
}

/// A server whose answer never ends, and how much of it was taken.
async fn endless() -> (Server, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let server = Server::scripted(move |mut served| {
        let counted = counted.clone();
        async move {
            let Some(seen) = served.request().await else { return };
            if seen.target == "/small" {
                return served.text("200 OK", "small").await;
            }
            served.wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            while served.wire.try_send(vec![b'a'; 16 << 10]).await {
                counted.fetch_add(16 << 10, Ordering::SeqCst);
            }
        }
    })
    .await;
    (server, taken)
}

/// What the kernel keeps of both connections, and the gateway between them.
const BOUND: usize = 24 << 20;

#[tokio::test]
async fn who_opens_no_window_holds_an_answer_for_a_while_only() {
    let (server, taken) = endless().await;
    let world = World::limited(&server, |limits| limits.body_idle = ms(400)).await;
    let mut wire = world.wire().await;
    wire.greet(&[(4, 0)]).await;
    wire.send(get(1)).await;
    wire.await_frame(HEADERS, 1).await;
    assert_eq!(wire.await_frame(RST_STREAM, 1).await.reason(), CANCEL);
    until("the server to be let go", || world.mesh.in_flight("shop", &server.id) == 0).await;
    assert!(taken.load(Ordering::SeqCst) < BOUND);
    let small = [GET[..2].to_vec(), vec![0x44, 6], b"/small".to_vec(), GET[3..].to_vec()].concat();
    wire.send(frame(HEADERS, END_STREAM | END_HEADERS, 3, &small)).await;
    wire.send(frame(WINDOW_UPDATE, 0, 3, &100_u32.to_be_bytes())).await;
    assert_eq!(wire.await_frame(DATA, 3).await.payload, b"small");
}

#[tokio::test]
async fn who_opens_the_window_and_does_not_read_makes_nothing_grow() {
    let (server, taken) = endless().await;
    let world = World::limited(&server, |limits| limits.body_idle = ms(400)).await;
    let mut wire = world.wire().await;
    wire.greet(&[(4, 0x7fff_ffff)]).await;
    wire.send(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes())).await;
    wire.send((0..20).flat_map(|nth| get(2 * nth + 1)).collect::<Vec<u8>>()).await;
    until("the requests' way up", || server.requests() == 20).await;
    until("them to be given up", || world.mesh.in_flight("shop", &server.id) == 0).await;
    assert!(taken.load(Ordering::SeqCst) < 20 * BOUND, "CVE-2019-9517");
}

#[tokio::test]
async fn an_honest_client_may_take_back_what_it_likes() {
    let server = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", mesh::config::Protocol::Http1, &[]);
    world.route("/**", call("shop"));
    let world = world.start(&[&server]).await;
    let mut wire = world.wire().await;
    wire.greet(&[]).await;
    // As a page that is left does: many at once, answered and not, and the next page is fine.
    for page in 0..4 {
        let streams = (0..100).map(|nth| 2 * (100 * page + nth) + 1);
        for stream in streams.clone() {
            wire.send(get(stream)).await;
        }
        wire.settle().await;
        for stream in streams.step_by(2) {
            wire.send(reset(stream)).await;
        }
        wire.settle().await;
    }
    wire.send(get(1001)).await;
    wire.await_frame(HEADERS, 1001).await;
}
