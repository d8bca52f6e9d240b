//! Listeners, connections, and the life of a sidecar from its first request to its last.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api::Api;
use crate::config::Config;
use crate::grpc::Services;
use crate::health::Phase;
use crate::inbound;

/// Listeners on which nobody is answered yet.
#[derive(Debug)]
pub struct Server {
    http: Vec<TcpListener>,
    grpc: Vec<TcpListener>,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// What should be served there: `HTTP` or `gRPC`.
    pub what: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

impl Server {
    /// Listens on all addresses.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on.
    pub async fn bind(config: &Config) -> Result<Server, BindError> {
        Ok(Server {
            http: listeners("HTTP", &config.http).await?,
            grpc: listeners("gRPC", &config.grpc).await?,
        })
    }

    /// Where HTTP is served.
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.http)
    }

    /// Where gRPC is served.
    pub fn grpc_addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.grpc)
    }

    /// Answers until `stop`, or until a request asks for the end; then lets those finish that are being answered.
    pub async fn run(self, api: &Arc<Api>, stop: impl Future<Output = ()>) {
        let (closing, closed) = watch::channel(());
        let mut all = JoinSet::new();
        for listener in self.http {
            all.spawn(serve_http(listener, Arc::clone(api), closed.clone()));
        }
        for listener in self.grpc {
            all.spawn(serve_grpc(listener, Arc::clone(api), closed.clone()));
        }
        drop(closed);
        api.health.reach(Phase::Waiting);
        let inbound = inbound::run(api);
        tokio::select! {
            () = stop => {}
            () = api.ending.notified() => {}
            () = inbound => {}
        }
        api.health.reach(Phase::Stopping);
        sleep(api.config.block_shutdown).await;
        // Whoever waits for a change of it hears that there will be none.
        drop(closing);
        let finished = async { while all.join_next().await.is_some() {} };
        let _ = timeout(api.config.grace, finished).await;
        all.shutdown().await;
    }
}

async fn listeners(what: &'static str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses.iter().copied() {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| BindError { what, address, source })?);
    }
    Ok(listeners)
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

async fn serve_http(listener: TcpListener, api: Arc<Api>, closed: watch::Receiver<()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(api.config.head_bytes_max);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(api.config.head_bytes_max as u32);
    let builder = if api.config.http2 { builder } else { builder.http1_only() };
    let answer = move |request| {
        let api = Arc::clone(&api);
        async move { crate::http::answer(&api, request).await }
    };
    accept(listener, builder, answer, closed).await;
}

async fn serve_grpc(listener: TcpListener, api: Arc<Api>, closed: watch::Receiver<()>) {
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(api.config.head_bytes_max as u32)
        .initial_stream_window_size(GRPC_WINDOW_BYTES)
        .initial_connection_window_size(GRPC_WINDOW_BYTES);
    let services = Services::new(&api);
    let answer = move |request| services.clone().answer(request);
    accept(listener, builder, answer, closed).await;
}

/// Answers whoever connects until it is closed, and then waits for those that are being answered.
async fn accept<A, F, B>(
    listener: TcpListener,
    builder: Builder<TokioExecutor>,
    answer: A,
    mut closed: watch::Receiver<()>,
) where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = closed.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(stream, builder.clone(), answer.clone(), closed.clone()));
            }
            // Out of descriptors, mostly: those that end give some back.
            Err(_) => sleep(BETWEEN_TRIES).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<A, F, B>(
    stream: TcpStream,
    builder: Builder<TokioExecutor>,
    answer: A,
    mut closed: watch::Receiver<()>,
) where
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut closing = std::pin::pin!(closed.changed());
    let mut told = false;
    // What goes wrong on a connection is its client's matter, who sees it.
    let _ = poll_fn(|context| {
        if !told && closing.as_mut().poll(context).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await;
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot serve {} on {}", self.what, self.address)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// How long until the next try to take a connection, where one could not be had.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Longest wait for the head of the next request, which is also how long a connection may be idle.
const IDLE: Duration = Duration::from_secs(120);
/// Most connections to a listener at a time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 16_384;
/// How much of a call, and of all calls of a connection, may be on its way: more than one largest message by default.
const GRPC_WINDOW_BYTES: u32 = 8 << 20;
