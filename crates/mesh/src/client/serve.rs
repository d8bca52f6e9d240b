//! Clients' connections: accepted, told apart by protocol, served until they end or must.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::client::tls::{self, Accepted};
use crate::client::{http1, http2};
use crate::core::{Admitted, Core, End};
use crate::io::Stream;
use crate::request::headers::ClientText;
use crate::table::{LocalListener, LocalTable};

/// Pause after the kernel refuses to accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long a connection that has to end may still bring its first request, sent before the client
/// could know.
const SILENT_END: Duration = Duration::from_millis(50);

/// What is known of the client of a request.
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    pub(crate) text: ClientText,
    pub(crate) spoken: Spoken,
    /// The listener's name and what it serves; kept when a reload removes it, for the requests
    /// that are still on their way.
    name: String,
    listener: RefCell<Rc<LocalListener>>,
    /// The table that `listener` was last looked up in.
    table: RefCell<Rc<LocalTable>>,
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
        let table = core.table();
        if !Rc::ptr_eq(&table, &self.table.borrow()) {
            if let Some(now) = table.listeners.get(&self.name) {
                *self.listener.borrow_mut() = now.clone();
            }
            *self.table.borrow_mut() = table;
        }
        self.listener.borrow().clone()
    }
}

/// Accepts until it is aborted.
pub(crate) async fn accept(core: Rc<Core>, name: String, socket: Rc<TcpListener>) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                if let Some(stream) = core.neighbours.offer(core.index, &name, stream, peer) {
                    start(&core, &core.table(), &name, stream, peer);
                }
            }
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
                    start(core, &core.table(), name, stream, peer);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(_) => return,
        }
    }
}

/// Serves a connection by what `table` says of its listener.
pub(crate) fn start(core: &Rc<Core>, table: &LocalTable, name: &str, stream: TcpStream, peer: SocketAddr) {
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
        return serve(core, admitted, listener, Stream::Plain(stream), peer, Spoken::new(http2, false)).await;
    };
    match in_time(&admitted, time, tls::accept(tls.server.clone(), stream)).await {
        Some(Accepted::Tls { stream, http2 }) => {
            let stream = Stream::Tls(Box::new((*stream).into()));
            serve(core, admitted, listener, stream, peer, Spoken::new(http2, true)).await;
        }
        Some(Accepted::Cleartext(stream)) => {
            serve(core, admitted, listener, Stream::Plain(stream), peer, Spoken::CleartextForTls).await;
        }
        None => {}
    }
}

async fn serve(
    core: Rc<Core>,
    admitted: Admitted,
    listener: Rc<LocalListener>,
    stream: Stream,
    peer: SocketAddr,
    spoken: Spoken,
) {
    let name = admitted.connection.listener.clone();
    let table = RefCell::default();
    let client = Rc::new(Client {
        peer,
        text: ClientText::new(peer.ip()),
        spoken,
        name,
        listener: RefCell::new(listener),
        table,
    });
    match spoken.http2() {
        true => http2::serve(&core, &admitted, &client, stream).await,
        false => http1::serve(&core, &admitted, &client, stream).await,
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
