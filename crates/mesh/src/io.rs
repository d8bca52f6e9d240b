//! Connections as bytes: cleartext or TLS, what came and was not read yet, what is to be sent.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Bytes asked for at a time.
const READ_BYTES: usize = 8 << 10;
/// The same once a peer has filled that: it sends something large.
const READ_BYTES_LARGE: usize = 64 << 10;
/// With less room than this in the buffer there is a new one.
const ROOM_MIN: usize = 1 << 10;
/// Empty buffers that a core keeps for the next connection that receives something.
const SPARE_MAX: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for [`READ_BYTES`].
fn spare() -> BytesMut {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(READ_BYTES))
}

/// Keeps a buffer whose bytes nobody needs, if it is one as [`spare`] gives.
fn keep(mut buffer: BytesMut) {
    buffer.clear();
    // What was taken off its front is room again.
    if buffer.try_reclaim(READ_BYTES) && buffer.capacity() < 2 * READ_BYTES {
        SPARE.with_borrow_mut(|kept| {
            if kept.len() < SPARE_MAX {
                kept.push(buffer);
            }
        });
    }
}

/// Cleartext, TLS, or one of the streams of HTTP/2 that carries another protocol.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Http2(Box<TokioIo<Upgraded>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Http2(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Http2(stream) => Pin::new(stream).poll_write(cx, buf),
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
            Stream::Http2(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Http2(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Http2(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A stream with what was received and not used yet.
pub(crate) struct Io {
    stream: Stream,
    pub(crate) inbox: BytesMut,
    read_bytes: usize,
}

impl Io {
    pub(crate) fn new(stream: Stream) -> Io {
        Io { stream, inbox: BytesMut::new(), read_bytes: READ_BYTES }
    }

    /// Receives something; 0 is the end. Without room in the inbox, room is only made once there is
    /// something to receive: an idle connection holds no buffer.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.inbox.capacity() - self.inbox.len() < ROOM_MIN {
            if let Stream::Plain(stream) = &self.stream {
                ready!(stream.poll_read_ready(cx))?;
            }
            match self.inbox.is_empty() && self.read_bytes == READ_BYTES {
                true => keep(std::mem::replace(&mut self.inbox, spare())),
                false => self.inbox.reserve(self.read_bytes),
            }
        }
        let room = self.inbox.capacity() - self.inbox.len();
        let count = ready!(pin!(self.stream.read_buf(&mut self.inbox)).poll(cx))?;
        self.read_bytes = if count == room { READ_BYTES_LARGE } else { READ_BYTES };
        Poll::Ready(Ok(count))
    }

    /// Sends all that is in the outbox.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<io::Result<()>> {
        outbox.poll_send(cx, &mut self.stream)
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Whether a connection that should be silent is: it has neither ended nor said anything.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.inbox.is_empty() && self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Gives back buffers that hold nothing.
    pub(crate) fn shrink(&mut self) {
        if self.inbox.is_empty() {
            keep(std::mem::take(&mut self.inbox));
        }
    }
}

/// What is to be sent.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) bytes: Vec<u8>,
    /// How much of it has been.
    sent: usize,
}

impl Outbox {
    pub(crate) fn new(bytes: Vec<u8>) -> Outbox {
        Outbox { bytes, sent: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends all of it.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.bytes.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Bytes that are still to be sent.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether some of it is on its way.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent > 0
    }
}
