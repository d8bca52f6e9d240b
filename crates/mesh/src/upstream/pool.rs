//! Connections to one instance, kept by one core.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use http::Request;
use http_body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use policy::Time;
use tokio::net::TcpStream;

use crate::config::Upstream;
use crate::executor::{Uploads, Wanted, wanted};
use crate::io::Stream;
use crate::request::body::Http2Upload;
use crate::upstream::greeting::{Greeted, Heard};
use crate::upstream::http1::Connection;
use crate::upstream::{LocalInstance, tls};

/// Longest time a connection is kept without use. Below the shortest idle timeout that servers
/// commonly have (Node.js: 5 s), for a server that closes while we send costs the request.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Most idle connections kept to one instance by one core.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// Bytes of one answer over HTTP/2 that its server may send ahead of its client: 10 MB a second at a round
/// trip of 100 ms.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same of all answers on one connection: as good as no bound, since clients that have nothing to do with
/// each other share it, and one that does not read must not hold the others up. What is kept is bounded by
/// the streams' own windows, as it would be by as many connections.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// What an HTTP/2 request is sent by.
#[derive(Clone)]
pub(crate) struct Http2Sender {
    pub(crate) requests: http2::SendRequest<Http2Upload>,
    heard: Rc<Heard>,
    uploads: Uploads,
}

impl Http2Sender {
    /// Has the request's upload, if there is one, end when the answer is wanted no more.
    pub(crate) fn watch(&self, request: &mut Request<Http2Upload>) -> Option<Wanted> {
        if request.body().is_end_stream() {
            return None;
        }
        let (held, unwanted) = wanted();
        request.body_mut().end_with(unwanted, self.uploads.clone());
        Some(held)
    }

    /// Whether the server takes an extended CONNECT, once it has said so. None: it ended before.
    pub(crate) async fn takes_connect(&self) -> Option<bool> {
        let mut heard = Heard::clone(&self.heard);
        heard.wait_for(Option::is_some).await.ok().and_then(|takes| *takes)
    }
}

/// Idle HTTP/1.1 connections, last used last, and the HTTP/2 connection if that is spoken.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<Vec<(Connection, Time)>>,
    http2: RefCell<Option<Http2Sender>>,
}

impl Pool {
    /// A kept HTTP/1.1 connection that is open as far as one can know.
    pub(crate) fn get(&self, now: Time) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle.borrow_mut().pop()?;
            if now.since(since) <= IDLE_MAX && connection.is_usable() {
                return Some(connection);
            }
        }
    }

    /// The HTTP/2 connection, if it is open as far as one can know.
    pub(crate) fn http2(&self) -> Option<Http2Sender> {
        self.http2.borrow().as_ref().filter(|shared| !shared.requests.is_closed()).cloned()
    }

    pub(crate) fn put(&self, connection: Connection, now: Time) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push((connection, now));
        }
    }

    pub(crate) fn sweep(&self, now: Time) {
        let usable = |kept: &mut (Connection, Time)| now.since(kept.1) <= IDLE_MAX && kept.0.is_usable();
        self.idle.borrow_mut().retain_mut(usable);
    }
}

/// A new HTTP/1.1 connection to an instance.
pub(crate) async fn connect(instance: &LocalInstance, upstream: &Upstream) -> io::Result<Connection> {
    Ok(Connection::new(open(instance, upstream).await?))
}

/// A new HTTP/2 connection to an instance, which becomes the one that is kept.
pub(crate) async fn connect_http2(instance: &LocalInstance, upstream: &Upstream) -> io::Result<Http2Sender> {
    let (stream, heard) = Greeted::new(open(instance, upstream).await?);
    let uploads = Uploads::default();
    let (requests, connection) = http2::Builder::new(uploads.clone())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(connection);
    let sender = Http2Sender { requests, heard: Rc::new(heard), uploads };
    *instance.pool.http2.borrow_mut() = Some(sender.clone());
    Ok(sender)
}

async fn open(instance: &LocalInstance, upstream: &Upstream) -> io::Result<Stream> {
    let stream = TcpStream::connect(instance.shared.endpoint.address).await?;
    stream.set_nodelay(true)?;
    Ok(match &upstream.external {
        Some(external) if external.tls => {
            let host = &external.origins[instance.shared.endpoint.origin].host;
            let stream = tls::handshake(stream, host, upstream.protocol).await?;
            Stream::Tls(Box::new(stream.into()))
        }
        _ => Stream::Plain(stream),
    })
}
