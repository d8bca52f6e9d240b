//! Protocols through the built binary, frame by frame: a WebSocket over HTTP/2, and floods.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::frames::{DATA, END_HEADERS, GOAWAY, HEADERS, PING, PREFACE, SETTINGS, field, frame};
use crate::world::{World, listening, server};

const ENHANCE_YOUR_CALM: u32 = 11;

/// A greeted connection of HTTP/2.
fn connect(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.gateway()).expect("the gateway listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    stream.write_all(PREFACE).expect("taken");
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).expect("taken");
    stream
}

/// The payload of the next frame of this kind. None: the connection ended before.
fn next(stream: &mut TcpStream, kind: u8) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).ok()?;
        if head[3] == kind {
            return Some(payload);
        }
    }
}

/// Takes part in WebSocket's handshake of HTTP/1.1, then repeats every byte.
fn parrot() -> SocketAddr {
    listening(|stream| _ = repeat(stream))
}

fn repeat(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut key) = (String::new(), None);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let found = line.trim_end().split_once(": ").filter(|(name, _)| *name == "sec-websocket-key");
        key = found.map(|(_, value)| value.to_owned()).or(key);
    }
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, (key? + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket";
    write!(stream, "{head}\r\nSec-WebSocket-Accept: {}\r\n\r\n", STANDARD.encode(proof)).ok()?;
    std::io::copy(&mut reader, &mut stream).ok().map(|_| ())
}

#[test]
fn a_websocket_over_http2_reaches_a_server_of_http1_and_outlives_a_reload() {
    let (chat, two) = (parrot(), server("two"));
    let world = World::up(&format!(
        "name: chat\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ path: /chat, to: chat }}, {{ path: /, to: two }}] }}\n\
         services:\n  chat: {{ url: \"http://{chat}\" }}\n  two: {{ url: \"http://{two}\" }}\n"
    ));
    let mut stream = connect(&world);
    let head = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "shop"),
        (":path", "/chat"),
        ("sec-websocket-version", "13"),
    ];
    stream
        .write_all(&frame(HEADERS, END_HEADERS, 1, &head.map(|(name, value)| field(name, value)).concat()))
        .expect("taken");
    // 200, by HPACK's static table, maybe behind a change of the dynamic one's size.
    assert!(next(&mut stream, HEADERS).expect("an answer").contains(&0x88));
    let mut say = |text: &str| {
        stream.write_all(&frame(DATA, 0, 1, text.as_bytes())).expect("taken");
        assert_eq!(next(&mut stream, DATA).as_deref(), Some(text.as_bytes()));
    };
    say("before");
    world.edit("path: /,", "path: /other,");
    assert_eq!(world.json(&["apply", "--json"])["applied"], true);
    assert_eq!((world.get("/other").status, world.get("/").status), (200, 404));
    say("after");
}

/// Far more than the kernel keeps for a reader, in hundreds of frames.
const FLOOD_MAX: usize = 100_000;

#[test]
fn a_flood_ends_its_connection_and_nothing_else() {
    let app = server("calm");
    let world = World::up(&format!(
        "name: calm\ngateway: {{ listen: 127.0.0.1:0 }}\nservices: {{ app: {{ url: \"http://{app}\" }} }}\n"
    ));
    let mut attacker = connect(&world);
    let mut writing = attacker.try_clone().expect("the same socket");
    let flood = std::thread::spawn(move || {
        let pings = frame(PING, 0, 0, b"attacker").repeat(100);
        (0..FLOOD_MAX).take_while(|_| writing.write_all(&pings).is_ok()).count()
    });
    // What the attacker had under way when the connection was closed may cost it the last word.
    if let Some(reason) = next(&mut attacker, GOAWAY) {
        assert_eq!(reason[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
    }
    drop(attacker);
    assert_eq!(world.get("/").body, "calm");
    assert!(flood.join().expect("ended") < FLOOD_MAX, "the connection took all of it");
}
