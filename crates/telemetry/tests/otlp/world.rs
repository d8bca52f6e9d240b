//! A receiver with its inbox, and requests to it written by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use telemetry::otlp::Batch;
use telemetry::otlp::receive::Receiver;
use telemetry::recorder::{Inbox, Record, channel};
use telemetry::span::{Kind, Span, Status, Text};

/// A receiver that answers until this is dropped.
pub struct World {
    pub address: SocketAddr,
    pub receiver: Arc<Receiver>,
    pub inbox: Inbox,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    pub fn new(room: usize) -> World {
        let (recorder, inbox) = channel(room);
        let receiver = Arc::new(Receiver::new(recorder, Arc::new(()), || 42));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let serving = Arc::clone(&receiver);
        runtime.spawn(async move { serving.serve(vec![listener]).await });
        World { address, receiver, inbox, _runtime: runtime }
    }

    /// The names of the spans that were handed over.
    pub fn names(&self) -> Vec<String> {
        let name = |record| match record {
            Record::Span(span) => span.name.to_string(),
            Record::Log(log) => log.body.to_string(),
        };
        self.inbox.take(10_000).map(name).collect()
    }

    /// Sends a request; its status, head and body.
    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        Door(self.address).post(path, headers, body)
    }
}

/// Status, head and body.
pub type Answer = (u16, String, Vec<u8>);

/// Where a receiver is.
#[derive(Clone, Copy)]
pub struct Door(pub SocketAddr);

impl Door {
    /// Sends a request; its status, head and body.
    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        self.send(
            format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"),
            body,
        )
    }

    pub fn send(&self, head: String, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.0).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // Who refuses need not have read it.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, answer[end..].to_vec())
    }
}

pub fn span(name: &str) -> Span {
    Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent: None,
        trace_state: Text::default(),
        service: "shop".into(),
        instance: "shop-1".into(),
        scope: "tests".into(),
        name: name.to_owned().into(),
        kind: Kind::Server,
        start_ns: 1_000,
        duration_ns: 500,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    }
}

/// A request with spans of these names.
pub fn request(names: &[&str]) -> Vec<u8> {
    let mut batch = Batch::default();
    names.iter().for_each(|name| batch.span(&span(name)));
    batch.request()
}
