//! Connections to one instance, kept by one core.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use policy::Time;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::{Protocol, Upstream};
use crate::executor::LocalExecutor;
use crate::request::body::RequestBody;
use crate::upstream::LocalInstance;

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
            Stream::Tls(Box::new(handshake(stream, &external.host, upstream.protocol).await?))
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

async fn handshake(stream: TcpStream, host: &str, protocol: Protocol) -> io::Result<TlsStream<TcpStream>> {
    static HTTP1: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static HTTP2: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = match protocol {
        Protocol::Http1 => HTTP1.get_or_init(|| client_config(b"http/1.1")),
        Protocol::Http2 => HTTP2.get_or_init(|| client_config(b"h2")),
    };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config.clone()).connect(name, stream).await
}

fn client_config(alpn: &[u8]) -> Arc<ClientConfig> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

/// Cleartext or TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
