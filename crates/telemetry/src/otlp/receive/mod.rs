//! Who is handed OTLP: listeners, connections, and how much of it there may be at a time.
//!
//! Either listener takes gRPC, HTTP/1.1 and HTTP/2, since SDKs are told one address and have their own mind about which
//! protocol is spoken there; two there are because two are known by their numbers.
//!
//! Everything has a maximum: connections, the bytes of a request, compressed or not, and those of all requests together.
//! All of it belongs on a thread of its own, where no request of a service waits for it.

mod body;
mod counts;
mod grpc;
mod http;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Malformed, Point, Signal, Taken, decode};
use crate::Recorder;
use body::Held;
pub use counts::{Counts, Received};

/// Takes what is sent and hands it on.
#[derive(Debug)]
pub struct Receiver {
    recorder: Recorder,
    /// Where metrics go, as they came in protobuf.
    metrics: Arc<dyn Metrics>,
    now_ns: fn() -> u64,
    held: Held,
    counts: Counts,
}

/// Where requests with metrics go.
pub trait Metrics: std::fmt::Debug + Send + Sync {
    /// Takes an `ExportMetricsServiceRequest` that has been looked at. MUST NOT wait. Whether there was room for it.
    fn take(&self, request: Bytes, points: u64) -> bool;

    /// Takes a point of one, before that. MUST NOT wait.
    fn point(&self, _: &Point) {}
}

/// Nobody wants them: they are looked at and counted.
impl Metrics for () {
    fn take(&self, _: Bytes, _: u64) -> bool {
        true
    }
}

impl Receiver {
    /// Hands spans and records to `recorder`. `now_ns` is the time in nanoseconds since 1970.
    pub fn new(recorder: Recorder, metrics: Arc<dyn Metrics>, now_ns: fn() -> u64) -> Receiver {
        Receiver { recorder, metrics, now_ns, held: Held::default(), counts: Counts::default() }
    }

    /// What has been received since the start.
    pub fn received(&self) -> Received {
        self.counts.received()
    }

    /// Answers whoever connects to these, until it is dropped.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for connections on one of them.
    pub async fn serve(self: &Arc<Self>, listeners: Vec<TcpListener>) -> io::Result<()> {
        let mut all = JoinSet::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            all.spawn(Arc::clone(self).accept(listener));
        }
        while all.join_next().await.is_some() {}
        Ok(())
    }

    async fn accept(self: Arc<Self>, listener: tokio::net::TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
            };
            match accepted {
                Ok((stream, _)) => drop(connections.spawn(Arc::clone(&self).connection(stream))),
                // Out of descriptors, mostly: those that end give some back.
                Err(_) => sleep(BETWEEN_TRIES).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD_BYTES_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(IDLE)
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX as u32);
        let service = service_fn(move |request| {
            let receiver = Arc::clone(&self);
            async move { Ok::<_, Infallible>(receiver.answer(request).await) }
        });
        // What goes wrong on a connection is its client's matter, who sees it.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let is_grpc = request.headers().get(CONTENT_TYPE);
        let is_grpc = is_grpc.is_some_and(|of| of.as_bytes().starts_with(b"application/grpc"));
        if is_grpc { grpc::answer(self, request).await } else { http::answer(self, request).await }
    }

    /// Takes a request that is protobuf.
    fn take(&self, signal: Signal, request: Bytes) -> Result<Taken, Malformed> {
        let taken = match signal {
            Signal::Traces => decode::traces(&request, &mut |span| self.recorder.span(span)),
            Signal::Logs => decode::logs(&request, (self.now_ns)(), &mut |log| self.recorder.log(log)),
            Signal::Metrics => self.take_metrics(request),
        };
        match &taken {
            Ok(taken) => self.counts.taken(signal, taken),
            Err(_) => self.counts.malformed(),
        }
        taken
    }

    fn take_metrics(&self, request: Bytes) -> Result<Taken, Malformed> {
        let mut taken = decode::metrics(&request, &mut |point| self.metrics.point(&point))?;
        let points = taken.accepted;
        if points > 0 && !self.metrics.take(request, points) {
            taken = Taken { rejected: points, dropped: points, why: NO_ROOM, ..Taken::default() };
        }
        Ok(taken)
    }

    /// The body of a request, if there is room for it within the time that it may take.
    async fn body(&self, body: Incoming) -> Result<body::Whole<'_>, body::Refused> {
        match timeout(BODY_WITHIN, self.held.whole(body)).await {
            Ok(whole) => whole,
            Err(_) => Err(body::Refused::Broken("the body did not come to its end in time")),
        }
    }
}

type Answer = BoxBody<Bytes, Infallible>;

/// Listens on `wanted`.
///
/// # Errors
///
/// If that cannot be: somebody else does, mostly.
pub fn bind(wanted: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(wanted)
}

const NO_ROOM: &str = "more comes than can be kept, and some was dropped";
/// Most connections to a listener at a time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// How long until the next try to take a connection, where one could not be had.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Longest wait for the head of the next request.
const IDLE: Duration = Duration::from_secs(120);
/// Longest wait for the rest of a request.
const BODY_WITHIN: Duration = Duration::from_secs(20);
/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Most requests at a time on a connection of HTTP/2.
const STREAMS_MAX: u32 = 32;
/// How much of a connection's requests may be on its way, beside what is held of them.
const WINDOW_BYTES: u32 = 1 << 20;
/// Largest request, compressed or not.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Most bytes of requests that are held at a time, whoever sends them.
pub const HELD_BYTES_MAX: usize = 32 << 20;
/// When who is told to come again shall do so, in seconds.
const RETRY_AFTER_S: u64 = 1;
