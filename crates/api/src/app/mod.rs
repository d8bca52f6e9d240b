//! The application: every call into it, over HTTP or gRPC, goes through here, so that the most calls at a time and the token
//! hold for all of them.

mod held;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower_service::Service;

use crate::config;
use crate::proto::dapr::runtime::v1::app_callback_client::AppCallbackClient;
use crate::token;
pub use held::Held;

/// A way to the application. A clone is the same way.
#[derive(Clone)]
pub struct App(Option<Arc<Reached>>);

struct Reached {
    client: Client<HttpConnector, Body>,
    authority: Authority,
    host: HeaderValue,
    is_grpc: bool,
    token: Option<HeaderValue>,
    permits: Option<Arc<Semaphore>>,
}

/// Why the application has not answered.
#[derive(Debug)]
pub enum Unanswered {
    /// It has no port.
    NoPort,
    /// It cannot be connected to.
    Unreachable(String),
    /// The connection has ended before it answered.
    Broken(String),
}

impl App {
    /// The way to what is configured.
    pub fn new(config: &config::App) -> App {
        let authority = config.port.map(|port| match config.host.contains(':') {
            true => format!("[{}]:{port}", config.host.trim_matches(['[', ']'])),
            false => format!("{}:{port}", config.host),
        });
        let authority = authority.and_then(|text| Authority::try_from(text).ok());
        let Some(authority) = authority else { return App(None) };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let is_grpc = config.protocol.starts_with("grpc");
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_only(is_grpc || config.protocol == "h2c")
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_initial_connection_window_size(WINDOW_BYTES)
            .build(connector);
        let token = config.token.as_deref().and_then(|token| {
            let mut value = HeaderValue::from_str(token).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let permits = usize::try_from(config.max_concurrency).ok().filter(|most| *most > 0);
        App(Some(Arc::new(Reached {
            client,
            host: HeaderValue::from_str(authority.as_str()).unwrap_or(LOCALHOST),
            authority,
            is_grpc,
            token,
            permits: permits.map(|most| Arc::new(Semaphore::new(most))),
        })))
    }

    /// Whether there is one that can be called.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it speaks gRPC rather than HTTP.
    pub fn is_grpc(&self) -> bool {
        self.0.as_ref().is_some_and(|app| app.is_grpc)
    }

    /// Sends a request with a path for a URI, and has the head of the answer. It counts as one of the most calls at a time until
    /// the answer's body has ended or is dropped.
    ///
    /// # Errors
    ///
    /// If it does not come to an answer.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Held>, Unanswered> {
        let app = self.0.as_ref().ok_or(Unanswered::NoPort)?;
        let permit = match &app.permits {
            // It is never closed.
            Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
            None => None,
        };
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(app.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request.headers_mut().insert(HOST, app.host.clone());
        if let Some(token) = &app.token {
            request.headers_mut().insert(token::HEADER, token.clone());
        }
        let response = app.client.request(request).await.map_err(|error| match error.is_connect() {
            true => Unanswered::Unreachable(engine::with_causes(&error)),
            false => Unanswered::Broken(engine::with_causes(&error)),
        })?;
        Ok(response.map(|body| Held::new(body, permit)))
    }

    /// The application's own service, where it speaks gRPC.
    pub fn callback(&self) -> AppCallbackClient<App> {
        AppCallbackClient::new(self.clone())
    }
}

impl Service<Request<Body>> for App {
    type Response = Response<Held>;
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Held>, Unanswered>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let app = self.clone();
        Box::pin(async move { app.send(request).await })
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::NoPort => {
                f.write_str("the application has no port: it was started without --app-port")
            }
            Unanswered::Unreachable(why) => write!(f, "the application cannot be reached: {why}"),
            Unanswered::Broken(why) => write!(f, "the application has not answered: {why}"),
        }
    }
}

impl std::error::Error for Unanswered {}

/// How long a connection may take until it is there.
const CONNECT: Duration = Duration::from_secs(5);
/// For how long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(90);
/// How much of a call, and of all calls of a connection, may be on its way.
const WINDOW_BYTES: u32 = 8 << 20;
/// What an application is called whose address is no header's value.
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");
