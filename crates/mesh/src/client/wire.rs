//! An HTTP/1.1 client's connection. The loop that serves it and the body of the request under way both
//! read from it, in turn.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use crate::io::{Io, Outbox, Stream};
use crate::message::framing::{Decoder, Malformed};
use crate::message::head::{Parsed, Refused, RequestHead};

/// Most bytes taken in of requests that come before the one under way is answered.
const AHEAD_BYTES_MAX: usize = 16 << 10;
/// Most bytes of interim answers that wait for a client to read. What comes beyond that is of no use to it: it is
/// still busy with earlier ones.
const INTERIM_BYTES_MAX: usize = 64 << 10;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The connection.
pub(crate) struct Wire {
    inner: RefCell<Inner>,
}

struct Inner {
    io: Io,
    /// How much of the head that is to come has been looked through for its end.
    looked: usize,
    /// The client waits for leave to send its body.
    waits_for_leave: bool,
    /// Interim answers that are to be sent ahead of the answer.
    interim: Outbox,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Wire {
        let (io, interim) = (Io::new(stream), Outbox::default());
        Wire { inner: RefCell::new(Inner { io, looked: 0, waits_for_leave: false, interim }) }
    }

    /// Reads the next head. None: the client has ended the connection between two requests.
    pub(crate) fn poll_head(
        &self,
        cx: &mut Context<'_>,
        bytes_max: usize,
        fields_max: usize,
    ) -> Poll<Option<Result<RequestHead, Refused>>> {
        let mut inner = self.inner.borrow_mut();
        loop {
            if let Some(parsed) = inner.parse(bytes_max, fields_max) {
                return Poll::Ready(Some(parsed));
            }
            inner.io.shrink();
            match ready!(inner.io.poll_fill(cx)) {
                Ok(0) | Err(_) if inner.io.inbox.is_empty() => return Poll::Ready(None),
                Ok(0) => {
                    let broken = Refused::Malformed("the connection ended within the head");
                    return Poll::Ready(Some(Err(broken)));
                }
                Err(_) => return Poll::Ready(None),
                Ok(_) => {}
            }
        }
    }

    /// Takes a body's bytes out of what has come.
    pub(crate) fn decode(
        &self,
        decoder: &mut Decoder,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Malformed> {
        decoder.decode(&mut self.inner.borrow_mut().io.inbox, out, max)
    }

    /// The client waits for leave to send its body; it gets it when the body is first asked for.
    pub(crate) fn give_leave_when_asked(&self) {
        self.inner.borrow_mut().waits_for_leave = true;
    }

    /// Whether the client is still waiting for leave.
    pub(crate) fn waits_for_leave(&self) -> bool {
        self.inner.borrow().waits_for_leave
    }

    /// Takes the head of an interim answer, for [`Wire::poll_interim`] to send.
    pub(crate) fn announce(&self, head: &[u8]) {
        let interim = &mut self.inner.borrow_mut().interim.bytes;
        if interim.len() + head.len() <= INTERIM_BYTES_MAX {
            interim.extend_from_slice(head);
        }
    }

    /// Sends what there is of interim answers.
    pub(crate) fn poll_interim(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.borrow_mut().poll_interim(cx)
    }

    /// What is to be sent of an answer with this head, behind what is left of interim answers. There will be no
    /// more of those.
    pub(crate) fn answer_with(&self, head: Vec<u8>) -> Outbox {
        let inner = &mut *self.inner.borrow_mut();
        inner.waits_for_leave = false;
        let mut outbox = std::mem::take(&mut inner.interim);
        if outbox.is_empty() {
            return Outbox::new(head);
        }
        outbox.bytes.extend_from_slice(&head);
        outbox
    }

    /// Receives more of a body.
    pub(crate) fn poll_fill_body(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let inner = &mut *self.inner.borrow_mut();
        if std::mem::take(&mut inner.waits_for_leave) {
            inner.interim.bytes.extend_from_slice(CONTINUE);
        }
        match inner.poll_interim(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // A client may rightly send all of its body before it reads.
            Poll::Ready(Ok(())) | Poll::Pending => inner.io.poll_fill(cx),
        }
    }

    /// Ready when the client goes away. Takes in what it sends meanwhile, up to a bound.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.borrow_mut();
        while inner.io.inbox.len() < AHEAD_BYTES_MAX {
            match ready!(inner.io.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Receives and forgets. Ready at the end.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        let mut inner = self.inner.borrow_mut();
        loop {
            inner.io.inbox.clear();
            match ready!(inner.io.poll_fill(cx)) {
                Ok(count) if count > 0 && count < *left => *left -= count,
                _ => return Poll::Ready(()),
            }
        }
    }

    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<io::Result<()>> {
        self.inner.borrow_mut().io.poll_send(cx, outbox)
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.borrow_mut().io.poll_shutdown(cx)
    }

    /// Whether something of a next request is there.
    pub(crate) fn has_more(&self) -> bool {
        !self.inner.borrow().io.inbox.is_empty()
    }

    /// Hands the bytes over to another protocol.
    pub(crate) fn with_io<T>(&self, act: impl FnOnce(&mut Io) -> T) -> T {
        act(&mut self.inner.borrow_mut().io)
    }
}

impl Inner {
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.io.poll_send(cx, &mut self.interim))?;
        self.interim = Outbox::default();
        Poll::Ready(Ok(()))
    }

    /// The head, if it is whole or will never be. A head that comes in drops is not parsed at each.
    fn parse(&mut self, bytes_max: usize, fields_max: usize) -> Option<Result<RequestHead, Refused>> {
        let inbox = &mut self.io.inbox;
        let whole_line = inbox[self.looked..].contains(&b'\n');
        self.looked = inbox.len();
        if !whole_line && inbox.len() < bytes_max {
            return None;
        }
        match RequestHead::parse(inbox, bytes_max, fields_max) {
            Ok(Parsed::Partial) => None,
            Ok(Parsed::Whole(head, length)) => {
                bytes::Buf::advance(inbox, length);
                self.looked = 0;
                // Who sent the body without waiting for it has no use for it any more.
                self.waits_for_leave = false;
                Some(Ok(head))
            }
            Err(refused) => Some(Err(refused)),
        }
    }
}
