//! What a service says behind its answer, through the built binary: a stream of gRPC that fails after its
//! messages, from a server that is written frame by frame.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, field, frame};
use crate::world::{World, listening, request, wait};

/// A message, and then the word that it failed.
fn failing(stream: u32) -> Vec<u8> {
    let status_200: &[u8] = &[0x88];
    let head = [status_200, &field("content-type", "application/grpc")].concat();
    let trailers = field("grpc-status", "14");
    [
        frame(HEADERS, END_HEADERS, stream, &head),
        frame(DATA, 0, stream, b"\0\0\0\0\x03one"),
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers),
    ]
    .concat()
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE.len()])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize])?;
        if head[3] == HEADERS {
            stream.write_all(&failing(u32::from_be_bytes([head[5], head[6], head[7], head[8]])))?;
        }
    }
}

#[test]
fn a_stream_that_fails_behind_its_messages_opens_the_breaker() {
    let server = listening(|stream| _ = serve(stream));
    let world = World::up(&format!(
        "name: stream
gateway:
  listen: 127.0.0.1:0
  routes:
    - {{ to: server, breaker: {{ failures: 3, open-for: 1h }} }}
services:
  server: {{ url: \"http://{server}\", protocol: http2 }}
"
    ));
    let ask = || {
        request(&world.gateway(), "POST", "/shop.Cart/Watch", &[("content-type", "application/grpc")], None)
    };
    for _ in 0..3 {
        let answer = ask();
        assert_eq!((answer.status, answer.body.as_str()), (200, "\0\0\0\0\x03one"));
        assert_eq!(answer.header("grpc-status"), None, "it comes behind the messages");
    }
    wait("the breaker to open", || world.call("gateway /**")["breaker"] == "open");
    assert_eq!(world.call("gateway /**")["failures"], 3);
    let rejected = ask();
    assert!(
        rejected.header("grpc-message").is_some_and(|why| why.starts_with("circuit-open")),
        "{rejected:?}"
    );
}
