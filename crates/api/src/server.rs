//! Listeners, connections, and the life of a sidecar from its first request to its last.

use std::convert::Infallible;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::health::Phase;
use crate::inbound;
use crate::instance::Instance;
use crate::listeners::{Accepted, Accepting, BindError, Listener, Listeners};

/// Listeners that will be answered on.
#[derive(Debug)]
pub struct Server {
    http: Vec<Accepting>,
    grpc: Vec<Accepting>,
}

/// How the serving of an application ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is over: whoever still asks is told so for as long as that is configured, then nobody is answered.
    Whole,
    /// Another process goes on with duplicates of the listeners: whoever connects meanwhile waits.
    HandedOver,
}

impl Server {
    /// Listens on all addresses of the configuration.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on.
    pub async fn bind(config: &Config) -> Result<Server, BindError> {
        let listeners = Listeners::bind(&config.http, &config.grpc).await?;
        Server::on(listeners).map_err(|source| BindError {
            what: "the API",
            address: "its sockets".to_owned(),
            port: None,
            source,
        })
    }

    /// On what was bound before.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for connections on them.
    pub fn on(listeners: Listeners) -> io::Result<Server> {
        let accepting =
            |all: Vec<Listener>| all.into_iter().map(Listener::accepting).collect::<io::Result<_>>();
        Ok(Server { http: accepting(listeners.http)?, grpc: accepting(listeners.grpc)? })
    }

    /// Where HTTP is served.
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.iter().filter_map(Accepting::address).collect()
    }

    /// Where gRPC is served.
    pub fn grpc_addresses(&self) -> Vec<SocketAddr> {
        self.grpc.iter().filter_map(Accepting::address).collect()
    }

    /// Answers until `stop`, or until a request asks for the end; then lets those finish that are being answered.
    pub async fn run(self, instance: &Arc<Instance>, stop: impl Future<Output = ()>) {
        let stop = async {
            stop.await;
            End::Whole
        };
        self.run_until(instance, stop, || {}).await;
    }

    /// The same, where the end may be a new beginning elsewhere; `closing` is called when no more connections are taken because
    /// it is over. How it has ended.
    pub async fn run_until(
        self,
        instance: &Arc<Instance>,
        stop: impl Future<Output = End>,
        closing: impl FnOnce(),
    ) -> End {
        let (close, closed) = watch::channel(());
        // First this: somebody may have connected already.
        instance.health.reach(Phase::Waiting);
        let (block_shutdown, grace) = {
            let config = &instance.api().config;
            (config.block_shutdown, config.grace)
        };
        let mut all = JoinSet::new();
        for listener in self.http {
            all.spawn(serve_http(listener, Arc::clone(instance), closed.clone()));
        }
        for listener in self.grpc {
            all.spawn(serve_grpc(listener, Arc::clone(instance), closed.clone()));
        }
        drop(closed);
        let mut deliveries = JoinSet::new();
        let inbound = inbound::run(instance, &mut deliveries);
        let end = tokio::select! {
            end = stop => end,
            () = instance.ending.notified() => End::Whole,
            () = inbound => End::Whole,
        };
        instance.health.reach(Phase::Stopping);
        if end == End::Whole {
            sleep(block_shutdown).await;
            closing();
        }
        // Whoever waits for a change of it hears that there will be none.
        drop(close);
        let finished = async {
            while deliveries.join_next().await.is_some() {}
            while all.join_next().await.is_some() {}
        };
        let _ = timeout(grace, finished).await;
        deliveries.shutdown().await;
        all.shutdown().await;
        end
    }
}

async fn serve_http(listener: Accepting, instance: Arc<Instance>, closed: watch::Receiver<()>) {
    let builder = http(&instance.api().config);
    let answer = move |request| {
        let api = instance.api();
        async move { crate::http::answer(&api, request).await }
    };
    accept(listener, builder, answer, closed).await;
}

async fn serve_grpc(listener: Accepting, instance: Arc<Instance>, closed: watch::Receiver<()>) {
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(instance.api().config.head_bytes_max as u32)
        .initial_stream_window_size(GRPC_WINDOW_BYTES)
        .initial_connection_window_size(GRPC_WINDOW_BYTES);
    let answer = move |request| instance.services().answer(request);
    accept(listener, builder, answer, closed).await;
}

/// HTTP as it is spoken to applications.
fn http(config: &Config) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(config.head_bytes_max);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(config.head_bytes_max as u32);
    if config.http2 { builder } else { builder.http1_only() }
}

/// Answers what comes over one connection.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) async fn serve_one<S>(stream: S, instance: Arc<Instance>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = http(&instance.api().config);
    let answer = move |request| {
        let api = instance.api();
        async move { crate::http::answer(&api, request).await }
    };
    let (_open, closed) = watch::channel(());
    connection(stream, builder, answer, closed).await;
}

/// Answers whoever connects until it is closed, and then waits for those that are being answered.
async fn accept<A, F, B>(
    listener: Accepting,
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
            Ok(Accepted::Tcp(stream)) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(stream, builder.clone(), answer.clone(), closed.clone()));
            }
            Ok(Accepted::Unix(stream)) => {
                connections.spawn(connection(stream, builder.clone(), answer.clone(), closed.clone()));
            }
            // Out of descriptors, mostly: those that end give some back.
            Err(_) => sleep(BETWEEN_TRIES).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<S, A, F, B>(
    stream: S,
    builder: Builder<TokioExecutor>,
    answer: A,
    mut closed: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
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

/// How long until the next try to take a connection, where one could not be had.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Longest wait for the head of the next request, which is also how long a connection may be idle.
const IDLE: Duration = Duration::from_secs(120);
/// Most connections to a listener at a time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 16_384;
/// How much of a call, and of all calls of a connection, may be on its way: more than one largest message by default.
const GRPC_WINDOW_BYTES: u32 = 8 << 20;
