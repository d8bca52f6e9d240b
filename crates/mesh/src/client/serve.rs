//! Clients' connections: accepted, told apart by protocol, served until they end or must.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::client::inspect::{HeadWatch, Inspected};
use crate::client::tls::{self, Accepted};
use crate::config::Limits;
use crate::core::{Admitted, Core, End, Exchange, Place};
use crate::executor::LocalExecutor;
use crate::request::body::{Body, Broken};
use crate::request::forward;
use crate::table::LocalListener;

/// Pause after the kernel refuses to accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long a connection that has to end may still bring its first request, sent before the client
/// could know.
const SILENT_END: Duration = Duration::from_millis(50);
/// Headers that hyper has room for without an allocation; its own default.
const HEADERS_INLINE: usize = 100;
/// Streams that a client may have open at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// What is known of the client of a request.
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    pub(crate) spoken: Spoken,
    /// The listener's name and what it serves; kept when a reload removes it, for the requests
    /// that are still on their way.
    name: String,
    listener: RefCell<Rc<LocalListener>>,
    pub(crate) watch: Arc<HeadWatch>,
    pub(crate) place: Rc<Place>,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1 {
        tls: bool,
    },
    Http2 {
        tls: bool,
    },
    /// Something that is not TLS on a listener that is for TLS.
    CleartextForTls,
}

impl Spoken {
    fn new(http2: bool, tls: bool) -> Spoken {
        if http2 { Spoken::Http2 { tls } } else { Spoken::Http1 { tls } }
    }

    pub(crate) fn http2(self) -> bool {
        matches!(self, Spoken::Http2 { .. })
    }

    pub(crate) fn tls(self) -> bool {
        matches!(self, Spoken::Http1 { tls: true } | Spoken::Http2 { tls: true })
    }
}

impl Client {
    /// What the listener serves now.
    pub(crate) fn listener(&self, core: &Core) -> Rc<LocalListener> {
        if let Some(now) = core.table().listeners.get(&self.name) {
            *self.listener.borrow_mut() = now.clone();
        }
        self.listener.borrow().clone()
    }
}

/// Accepts until it is aborted.
pub(crate) async fn accept(core: Rc<Core>, name: String, socket: Rc<TcpListener>) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => start(&core, &name, stream, peer),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Accepts what the kernel has queued, without waiting. Asks the kernel itself, for the runtime may
/// not have heard yet that there is something.
pub(crate) fn accept_pending(core: &Rc<Core>, name: &str, socket: &TcpListener) {
    let socket = socket2::SockRef::from(socket);
    loop {
        match socket.accept() {
            Ok((stream, peer)) => {
                let stream = std::net::TcpStream::from(stream);
                let ready = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                if let (Ok(stream), Some(peer)) = (ready, peer.as_socket()) {
                    start(core, name, stream, peer);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(_) => return,
        }
    }
}

fn start(core: &Rc<Core>, name: &str, stream: TcpStream, peer: SocketAddr) {
    let table = core.table();
    let Some(listener) = table.listeners.get(name) else { return };
    let Some(admitted) = core.admit(name, listener) else { return };
    let _ = stream.set_nodelay(true);
    tokio::task::spawn_local(connection(core.clone(), admitted, listener.clone(), stream, peer));
}

/// Finds out what the client speaks, then serves it.
async fn connection(
    core: Rc<Core>,
    admitted: Admitted,
    listener: Rc<LocalListener>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let time = listener.limits.header_timeout;
    let Some(tls) = &listener.tls else {
        let Some(http2) = in_time(&admitted, time, speaks_http2(&stream)).await else { return };
        return serve(core, admitted, listener, stream, peer, Spoken::new(http2, false)).await;
    };
    match in_time(&admitted, time, tls::accept(tls.server.clone(), stream)).await {
        Some(Accepted::Tls { stream, http2 }) => {
            serve(core, admitted, listener, stream, peer, Spoken::new(http2, true)).await;
        }
        Some(Accepted::Cleartext(stream)) => {
            serve(core, admitted, listener, stream, peer, Spoken::CleartextForTls).await;
        }
        None => {}
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    core: Rc<Core>,
    admitted: Admitted,
    listener: Rc<LocalListener>,
    stream: S,
    peer: SocketAddr,
    spoken: Spoken,
) {
    let watch = Arc::new(HeadWatch::default());
    let limits = listener.limits.clone();
    let name = admitted.connection.listener.clone();
    let client = Rc::new(Client {
        peer,
        spoken,
        name,
        listener: RefCell::new(listener),
        watch: watch.clone(),
        place: admitted.place.clone(),
    });
    let state = admitted.connection.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let (core, client, state) = (core.clone(), client.clone(), state.clone());
        async move {
            let exchange = state.begin();
            let chunked = request.headers().contains_key(http::header::TRANSFER_ENCODING);
            let answer = forward::handle(&core, &client, request).await;
            if chunked {
                client.watch.expect_head();
            }
            Ok::<_, Infallible>(answer.map(|body| Answered { body, _exchange: exchange }))
        }
    });
    if spoken.http2() {
        let serving = http2_builder(&limits).serve_connection(TokioIo::new(stream), service);
        let serving = pin!(serving);
        drive(&admitted, serving, |serving| serving.graceful_shutdown()).await;
    } else {
        let stream = TokioIo::new(Inspected::new(stream, watch));
        let serving = http1_builder(&limits).serve_connection(stream, service).with_upgrades();
        let serving = pin!(serving);
        drive(&admitted, serving, |serving| serving.graceful_shutdown()).await;
    }
}

/// An answer's body, whose end is the end of the exchange.
struct Answered {
    body: Body,
    _exchange: Exchange,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the client begins with. None: it failed to in time, or before the connection had to end.
async fn in_time<T>(
    admitted: &Admitted,
    time: Duration,
    beginning: impl Future<Output = std::io::Result<T>>,
) -> Option<T> {
    let mut beginning = pin!(tokio::time::timeout(time, beginning));
    tokio::select! {
        biased;
        begun = &mut beginning => return begun.ok()?.ok(),
        _ = poll_fn(|cx| admitted.connection.poll_end(End::No, cx)) => {}
    }
    tokio::time::timeout(SILENT_END, beginning).await.ok()?.ok()?.ok()
}

/// Drives a connection to its end, and towards it when it is asked to end.
async fn drive<F: Future>(admitted: &Admitted, mut serving: Pin<&mut F>, graceful: impl Fn(Pin<&mut F>)) {
    let mut seen = End::No;
    poll_fn(|cx| {
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while let Poll::Ready(end) = admitted.connection.poll_end(seen, cx) {
            seen = end;
            if end == End::Now {
                if admitted.connection.is_waiting() {
                    // HTTP/2 says goodbye with a GOAWAY.
                    graceful(serving.as_mut());
                    let _ = serving.as_mut().poll(cx);
                    return Poll::Ready(());
                }
                // The request that was waited for has come at the last moment.
                admitted.connection.end.set(End::No);
                seen = End::No;
                continue;
            }
            graceful(serving.as_mut());
            if serving.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_header_size(limits.header_bytes);
    // Not `pipeline_flush`: with it hyper buffers without bound for a client that does not read.
    builder.max_buf_size(limits.header_bytes.max(64 << 10)).writev(false);
    if limits.headers != HEADERS_INLINE {
        builder.max_headers(limits.headers);
    }
    builder
}

fn http2_builder(limits: &Limits) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder.max_header_list_size(limits.header_bytes.try_into().unwrap_or(u32::MAX));
    builder.max_concurrent_streams(STREAMS_MAX).adaptive_window(true);
    builder
}

/// Whether the client begins with the HTTP/2 preface (RFC 9113 section 3.4). No HTTP/1 method
/// begins with `PRI`.
async fn speaks_http2(stream: &TcpStream) -> std::io::Result<bool> {
    const PREFACE: &[u8] = b"PRI";
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        if seen == 0 || !PREFACE.starts_with(&first[..seen]) {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        // Part of the preface: peeking again would return at once.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
