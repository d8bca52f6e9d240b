//! The one connection of HTTP/2, which carries all calls.

use std::sync::{Mutex, PoisonError};

use http::header::HOST;
use http::uri::Scheme;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tonic::body::Body;

use super::{Unanswered, Way};

/// The connection, once there is one.
#[derive(Default)]
pub(super) struct Shared {
    sender: Mutex<Option<SendRequest<Body>>>,
    /// Held by who connects.
    connecting: tokio::sync::Mutex<()>,
}

/// Sends a request, over a new connection if there is none.
pub(super) async fn send(
    way: &Way,
    shared: &Shared,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, Unanswered> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if way.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(way.authority.clone());
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(HOST);
    let mut sender = match shared.current() {
        Some(sender) => sender,
        None => shared.connect(way).await?,
    };
    let mut failed = match sender.try_send_request(request).await {
        Ok(response) => return Ok(response),
        Err(failed) => failed,
    };
    // It has ended just now, before anything was sent.
    let Some(unsent) = failed.take_message() else { return Err(broken(failed.error())) };
    let mut sender = shared.connect(way).await?;
    sender.send_request(unsent).await.map_err(|error| broken(&error))
}

fn broken(error: &hyper::Error) -> Unanswered {
    Unanswered::Broken(engine::with_causes(error))
}

impl Shared {
    fn current(&self) -> Option<SendRequest<Body>> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    async fn connect(&self, way: &Way) -> Result<SendRequest<Body>, Unanswered> {
        let _connecting = self.connecting.lock().await;
        if let Some(sender) = self.current() {
            return Ok(sender);
        }
        let io = TokioIo::new(way.connect().await?);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) = builder
            .handshake(io)
            .await
            .map_err(|error| Unanswered::Unreachable(engine::with_causes(&error)))?;
        // Its end is seen by who sends next.
        tokio::spawn(connection);
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        Ok(sender)
    }
}

/// How much of a call, and of all calls of a connection, may be on its way.
const WINDOW_BYTES: u32 = 8 << 20;
