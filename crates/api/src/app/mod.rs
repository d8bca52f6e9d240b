//! The application: every call into it, over HTTP or gRPC, goes through here, so that the most calls at a time and the token
//! hold for all of them.

mod health;
mod held;
mod http1;
mod http2;
mod io;
mod tls;
mod way;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::body::Body;
use tower_service::Service;

use crate::config;
use crate::proto::dapr::runtime::v1::app_callback_client::AppCallbackClient;
use crate::token;
pub use held::Held;
pub(crate) use way::Way;

/// A way to the application. A clone is the same way.
#[derive(Clone)]
pub struct App(Option<Arc<Reached>>);

struct Reached {
    way: Arc<Way>,
    is_grpc: bool,
    token: Option<HeaderValue>,
    /// For the most calls at a time, if there is one.
    permits: Option<(usize, Arc<Semaphore>)>,
    /// Whether it is well, if it is asked.
    health: Option<watch::Sender<bool>>,
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
        let Some(port) = config.port else { return App(None) };
        let is_grpc = config.protocol.starts_with("grpc");
        let http2 = is_grpc || config.protocol == "h2c";
        let tls = match config.protocol.as_str() {
            "https" => tls::with_anybody(b"http/1.1"),
            "grpcs" => tls::with_anybody(b"h2"),
            _ => None,
        };
        let Some(way) = Way::new(&config.host, port, tls, http2) else { return App(None) };
        let token = config.token.as_deref().and_then(|token| {
            let mut value = HeaderValue::from_str(token).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let most = usize::try_from(config.max_concurrency).ok().filter(|most| *most > 0);
        // Where somebody wants to know when nothing is under way, calls are counted by their permits.
        let most = most.or(config.gate.as_ref().map(|_| Semaphore::MAX_PERMITS));
        App(Some(Arc::new(Reached {
            way: Arc::new(way),
            is_grpc,
            token,
            permits: most.map(|most| (most, Arc::new(Semaphore::new(most)))),
            health: (config.health.is_some() || config.gate.is_some()).then(|| watch::Sender::new(false)),
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

    /// Calls that are under way, of one that has a gate; of others they are not counted.
    pub fn in_flight(&self) -> usize {
        let permits = self.0.as_ref().and_then(|app| app.permits.as_ref());
        permits.map_or(0, |(most, permits)| most.saturating_sub(permits.available_permits()))
    }

    /// Sends a request with a path for a URI, and has the head of the answer. It counts as one of the most calls at a time until
    /// the answer's body has ended or is dropped.
    ///
    /// # Errors
    ///
    /// If it does not come to an answer.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Held>, Unanswered> {
        self.send_in(self.turn().await, request).await
    }

    /// Waits until one more call may be made. For those who count the time of the call, and not of the wait.
    pub async fn turn(&self) -> Turn {
        match self.0.as_ref().and_then(|app| app.permits.as_ref()) {
            // It is never closed.
            Some((_, permits)) => Turn(Arc::clone(permits).acquire_owned().await.ok()),
            None => Turn(None),
        }
    }

    /// As [`App::send`], by who has waited for its turn.
    ///
    /// # Errors
    ///
    /// If it does not come to an answer.
    pub async fn send_in(
        &self,
        turn: Turn,
        mut request: Request<Body>,
    ) -> Result<Response<Held>, Unanswered> {
        let app = self.0.as_ref().ok_or(Unanswered::NoPort)?;
        if let Some(token) = &app.token {
            request.headers_mut().insert(token::HEADER, token.clone());
        }
        app.way.send(request, turn.0).await
    }

    /// The application's own service, where it speaks gRPC.
    pub fn callback(&self) -> AppCallbackClient<App> {
        AppCallbackClient::new(self.clone())
    }

    /// A way on which the first call is made in this turn.
    pub fn in_turn(&self, turn: Turn) -> InTurn {
        InTurn { app: self.clone(), turn: Some(turn) }
    }
}

/// Permission to make a call, if there is a most of them at a time.
#[derive(Debug)]
pub struct Turn(Option<OwnedSemaphorePermit>);

/// A way to the application for who has waited for its turn.
pub struct InTurn {
    app: App,
    turn: Option<Turn>,
}

impl Service<Request<Body>> for InTurn {
    type Response = Response<Held>;
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Held>, Unanswered>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (app, turn) = (self.app.clone(), self.turn.take());
        Box::pin(async move {
            match turn {
                Some(turn) => app.send_in(turn, request).await,
                None => app.send(request).await,
            }
        })
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

impl Unanswered {
    /// It has not answered to questions after its health.
    pub(crate) fn unhealthy() -> Unanswered {
        Unanswered::Unreachable("app is not in a healthy state".to_owned())
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
