//! A client's stream for hyper's HTTP/2.
//!
//! Hyper flushes after every frame with a body: what it writes is gathered here, and sent when its
//! connection has been driven as far as it goes. And what the client sends is weighed on the way.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::flood::Flood;
use crate::clock;
use crate::io::{Outbox, Stream};

/// So much is gathered at most before it is sent.
const BATCH_BYTES_MAX: usize = 64 << 10;

/// The stream. Whoever drives the connection MUST call [`Batched::poll_send`] afterwards.
#[derive(Clone)]
pub(crate) struct Batched(Rc<RefCell<Inner>>);

struct Inner {
    stream: Stream,
    outbox: Outbox,
    flood: Flood,
}

impl Batched {
    pub(crate) fn new(stream: Stream) -> Batched {
        let flood = Flood::new(clock::now());
        Batched(Rc::new(RefCell::new(Inner { stream, outbox: Outbox::default(), flood })))
    }

    /// Sends what was gathered.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Inner { stream, outbox, .. } = &mut *self.0.borrow_mut();
        match outbox.is_empty() {
            true => Poll::Ready(Ok(())),
            false => outbox.poll_send(cx, stream),
        }
    }

    /// Receives and forgets. Ready at the end.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        let stream = &mut self.0.borrow_mut().stream;
        let mut away = [0; 4 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut away);
            let received = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf));
            match buf.filled().len() {
                count @ 1.. if received.is_ok() && count < *left => *left -= count,
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Batched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Inner { stream, outbox, flood } = &mut *self.0.borrow_mut();
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        if flood.received(&buf.filled()[before..], clock::now).is_err() {
            outbox.bytes.extend(flood.goaway().into_iter().flatten());
            return Poll::Ready(Err(io::Error::other("the client floods")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Batched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.borrow().outbox.len() >= BATCH_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        let Inner { outbox, flood, .. } = &mut *self.0.borrow_mut();
        flood.sent(buf);
        outbox.bytes.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }
}
