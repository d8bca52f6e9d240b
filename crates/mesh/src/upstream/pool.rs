//! Connections to one instance, kept by one core.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use policy::Time;
use tokio::net::TcpStream;

use crate::config::{Protocol, Upstream};
use crate::executor::LocalExecutor;
use crate::request::body::RequestBody;
use crate::upstream::LocalInstance;
use crate::upstream::tls::{self, Stream};

/// Longest time a connection is kept without use. Below the shortest idle timeout that servers
/// commonly have (Node.js: 5 s), for a server that closes while we send costs the request.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Most idle connections kept to one instance by one core.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// Idle HTTP/1.1 connections, last used last, and the HTTP/2 connection if that is spoken.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<Vec<(http1::SendRequest<RequestBody>, Time)>>,
    http2: RefCell<Option<http2::SendRequest<RequestBody>>>,
}

/// A connection that can take a request.
pub(crate) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// A request that got no answer.
pub(crate) struct Unanswered {
    /// The request itself, if nothing of it was sent.
    pub(crate) unsent: Option<Request<RequestBody>>,
    pub(crate) error: hyper::Error,
}

impl Pool {
    /// A connection from the pool that is open as far as one can know.
    pub(crate) async fn get(&self, now: Time) -> Option<Sender> {
        if let Some(shared) = self.http2.borrow().as_ref()
            && !shared.is_closed()
        {
            return Some(Sender::Http2(shared.clone()));
        }
        loop {
            let (mut sender, since) = self.idle.borrow_mut().pop()?;
            if sender.is_closed() || now.since(since) > IDLE_MAX {
                continue;
            }
            if sender.is_ready() || sender.ready().await.is_ok() {
                return Some(Sender::Http1(sender));
            }
        }
    }

    pub(crate) fn put(&self, sender: Sender, now: Time) {
        let Sender::Http1(sender) = sender else { return };
        let mut idle = self.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push((sender, now));
        }
    }

    pub(crate) fn sweep(&self, now: Time) {
        self.idle.borrow_mut().retain(|(sender, since)| !sender.is_closed() && now.since(*since) <= IDLE_MAX);
    }
}

impl Sender {
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let sent = match self {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut failed| Unanswered { unsent: failed.take_message(), error: failed.into_error() })
    }
}

/// A new connection to an instance.
pub(crate) async fn connect(instance: &LocalInstance, upstream: &Upstream) -> io::Result<Sender> {
    let stream = TcpStream::connect(instance.shared.endpoint.address).await?;
    stream.set_nodelay(true)?;
    let stream = match &upstream.external {
        Some(external) if external.tls => {
            Stream::Tls(Box::new(tls::handshake(stream, &external.host, upstream.protocol).await?))
        }
        _ => Stream::Plain(stream),
    };
    match upstream.protocol {
        Protocol::Http1 => {
            let (sender, connection) =
                http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            tokio::task::spawn_local(connection.with_upgrades());
            Ok(Sender::Http1(sender))
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::Builder::new(LocalExecutor)
                .adaptive_window(true)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            tokio::task::spawn_local(connection);
            *instance.pool.http2.borrow_mut() = Some(sender.clone());
            Ok(Sender::Http2(sender))
        }
    }
}
