//! OTLP going out: to a receiver of our own over HTTP and gRPC, and to collectors that are not well.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use http::HeaderMap;
use rustls::crypto::ring;
use telemetry::otlp::Signal;
use telemetry::otlp::export::{Config, Exporter, Sent};
use telemetry::otlp::receive::Metrics;
use telemetry::recorder::{Recorder, channel};
use tokio::sync::oneshot;

use crate::world::{World, span};

fn config(to: SocketAddr, grpc: bool) -> Config {
    let uri = |signal: Signal| match grpc {
        true => format!("http://{to}").parse().unwrap(),
        false => format!("http://{to}{}", signal.path()).parse().unwrap(),
    };
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Config {
        to: Signal::ALL.map(|signal| (signal, uri(signal))).to_vec(),
        grpc,
        headers: HeaderMap::new(),
        gzip: grpc,
        timeout: Duration::from_secs(10),
        queue_bytes: 4 << 20,
        tls: tls
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        seed: 1,
    }
}

/// An exporter that runs until it is ended.
struct Exporting {
    exporter: Arc<Exporter>,
    recorder: Recorder,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
    runtime: tokio::runtime::Runtime,
}

impl Exporting {
    fn new(config: Config) -> Exporting {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let exporter = Arc::new(runtime.block_on(async { Exporter::new(config) }));
        let (recorder, inbox) = channel(4_096);
        let (stop, stopped) = oneshot::channel();
        let runs = Arc::clone(&exporter);
        let running = runtime.spawn(async move { runs.run(inbox, async { drop(stopped.await) }).await });
        Exporting { exporter, recorder, stop, running, runtime }
    }

    /// Waits for what must come.
    fn until(&self, is_so: impl Fn(&Sent) -> bool) -> Sent {
        let begin = Instant::now();
        loop {
            let sent = self.exporter.sent();
            if is_so(&sent) {
                return sent;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "{sent:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it; what it has sent then.
    fn end(self) -> Sent {
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.running).unwrap();
        self.exporter.sent()
    }
}

#[test]
fn what_is_recorded_arrives_over_http_and_over_grpc() {
    for grpc in [false, true] {
        let world = World::new(4_096);
        let exporting = Exporting::new(config(world.address, grpc));
        for at in 0..1_000 {
            exporting.recorder.span(span(&format!("span-{at}")));
        }
        // Metrics are passed on as they came.
        exporting.exporter.take(Vec::new().into(), 7);
        let sent = exporting.until(|sent| sent.spans >= 512 && sent.points == 7);
        assert_eq!(sent.trouble, None);
        // What was not enough for a request is sent at the end.
        let sent = exporting.end();
        assert_eq!(
            (sent.spans, sent.dropped, sent.refused, sent.waiting_bytes),
            (1_000, 0, 0, 0),
            "gRPC: {grpc}"
        );
        let expected: Vec<String> = (0..1_000).map(|at| format!("span-{at}")).collect();
        assert_eq!(world.names(), expected);
    }
}

#[test]
fn what_the_collector_rejects_is_counted_and_not_sent_again() {
    let world = World::new(1);
    let exporting = Exporting::new(config(world.address, true));
    for _ in 0..3 {
        exporting.recorder.span(span("a"));
    }
    let sent = exporting.until(|sent| sent.refused == 2);
    assert_eq!(sent.spans, 1);
    assert!(sent.trouble.is_some_and(|why| why.contains("rejects some")), "it is told why");
    assert_eq!(exporting.end().refused, 2);
}

#[test]
fn an_outage_loses_nothing_within_the_bound() {
    let collector = Collector::new(|at| if at < 2 { "503 Service Unavailable" } else { "200 OK" });
    let exporting = Exporting::new(config(collector.address, false));
    for _ in 0..600 {
        exporting.recorder.span(span("a"));
    }
    let troubled = exporting.until(|sent| sent.trouble.is_some());
    assert!(troubled.waiting_bytes > 0 && troubled.spans == 0);
    let sent = exporting.until(|sent| sent.spans == 600);
    assert_eq!((sent.dropped, sent.refused, sent.trouble), (0, 0, None));
}

#[test]
fn memory_has_a_bound_when_nothing_is_taken() {
    let collector = Collector::new(|_| "503 Service Unavailable");
    let exporting = Exporting::new(Config { queue_bytes: 200_000, ..config(collector.address, false) });
    let mut given = 0;
    let sent = loop {
        for _ in 0..1_000 {
            given += u64::from(exporting.recorder.span(span(&"n".repeat(200))));
        }
        let sent = exporting.exporter.sent();
        if sent.dropped > 0 && given > 5_000 {
            break sent;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(sent.waiting_bytes <= 200_000 + (1 << 20), "{sent:?}");
}

#[test]
fn what_is_not_wanted_is_not_sent_again() {
    let collector = Collector::new(|_| "401 Unauthorized");
    let exporting = Exporting::new(config(collector.address, false));
    exporting.recorder.span(span("a"));
    let sent = exporting.until(|sent| sent.refused == 1);
    assert!(sent.trouble.is_some_and(|why| why.contains("401")));
    assert_eq!(collector.asked.load(SeqCst), 1);
}

/// A collector that answers each request, from 0, with a status of its own.
struct Collector {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Collector {
    fn new(status: fn(usize) -> &'static str) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut read, mut piece) = (Vec::new(), [0; 8_192]);
                while !is_whole(&read) {
                    match stream.read(&mut piece) {
                        Ok(length @ 1..) => read.extend_from_slice(&piece[..length]),
                        _ => break,
                    }
                }
                let status = status(count.fetch_add(1, SeqCst));
                let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Collector { address, asked }
    }
}

/// Whether a request is there with all of its body.
fn is_whole(read: &[u8]) -> bool {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    read.len() - end - 4 >= length.parse::<usize>().unwrap()
}
