//! One HTTP/1.1 connection to an instance: a request is written, its answer's head awaited, its body
//! received, while the rest of the request's body may still be on its way.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Buf;

use crate::io::{Io, Outbox, Stream};
use crate::message::fields::{Fields, Id};
use crate::message::framing::{Decoder, Framing, write_chunk, write_last_chunk};
use crate::message::head::{AnswerHead, Parsed, Refused, Version};
use crate::request::body::{Broken, PIECE_BYTES_MAX, RequestBody};
use crate::request::interim::Interim;

/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// Most heads that may come before the answer's own: hints and signs of life.
const ANNOUNCED_MAX: u32 = 64;

/// A connection that is not busy.
pub(crate) struct Connection {
    io: Io,
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nothing of it was sent.
    Unsent(io::Error),
    /// The connection ended before the answer's head.
    Closed(Option<io::Error>),
    /// The answer is not HTTP, for this reason.
    BadAnswer(&'static str),
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Connection {
        Connection { io: Io::new(stream) }
    }

    /// Whether it can carry a request: the server has neither closed it nor said what nobody asked for.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.io.is_silent()
    }

    /// Sends a request whose head is written already, and waits for the head of its answer. `to_head`:
    /// it is a HEAD, whose answer has no body. `interim`: whereto what comes ahead of the answer.
    ///
    /// # Errors
    /// [`Lost`]. Where nothing was sent, the body has back what was taken of it.
    pub(crate) async fn exchange(
        self,
        head: Vec<u8>,
        body: Option<RequestBody>,
        chunked: bool,
        to_head: bool,
        interim: &Interim,
    ) -> Result<(AnswerHead, Receiving), Lost> {
        let upload =
            body.map(|body| Upload { body, chunked, done: false, piece: Vec::new(), staged: Vec::new() });
        let outbox = Outbox::new(head);
        let mut sending =
            Sending { io: self.io, outbox, upload, begun: false, deaf: false, looked: 0, announced: 0 };
        let sent = std::future::poll_fn(|cx| sending.poll(cx, interim)).await;
        let mut head = match sent {
            Ok(head) => head,
            Err(lost) => {
                if let (Lost::Unsent(_), Some(upload)) = (&lost, sending.upload) {
                    upload.body.give_back(upload.staged);
                }
                return Err(lost);
            }
        };
        let framing = match head.status {
            101 => Framing::Close,
            _ => Framing::of_answer(&head, to_head).map_err(Lost::BadAnswer)?,
        };
        if head.status < 200 || head.status == 204 {
            // They have no body, and may not say that they have (RFC 9110 section 8.6): HTTP/2 clients take
            // it for an error.
            head.fields.remove(Id::ContentLength);
        }
        let keep = keeps_alive(&head) && framing != Framing::Close && !sending.deaf;
        Ok((head, Receiving { sending, decoder: Decoder::new(framing), keep }))
    }
}

/// Whether the server will take another request after this answer (RFC 9112 section 9.3).
fn keeps_alive(head: &AnswerHead) -> bool {
    let says = |what: &str| {
        let lines = head.fields.all(Id::Connection).filter_map(|line| std::str::from_utf8(line).ok());
        lines.flat_map(|line| line.split(',')).any(|token| token.trim().eq_ignore_ascii_case(what))
    };
    match head.version {
        Version::Http10 => says("keep-alive"),
        _ => !says("close"),
    }
}

/// A request on its way.
struct Sending {
    io: Io,
    outbox: Outbox,
    upload: Option<Upload>,
    /// Something has been sent.
    begun: bool,
    /// The server takes no more; it may still have answered.
    deaf: bool,
    /// How much of the answer's head has been looked through for its end.
    looked: usize,
    /// Heads that merely announced an answer.
    announced: u32,
}

/// A request's body on its way.
struct Upload {
    body: RequestBody,
    chunked: bool,
    done: bool,
    piece: Vec<u8>,
    /// What was taken before the first byte was sent.
    staged: Vec<u8>,
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>, interim: &Interim) -> Poll<Result<AnswerHead, Lost>> {
        self.poll_upload(cx)?;
        loop {
            match self.parse(interim) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(why) => return Poll::Ready(Err(Lost::BadAnswer(why))),
            }
            match ready!(self.io.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(Lost::Closed(None))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Lost::Closed(Some(error)))),
            }
        }
    }

    /// Sends what can be sent. Err: nothing could be, ever.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        while !self.deaf {
            let full = self.outbox.len() >= PIECE_BYTES_MAX;
            let taken = match &mut self.upload {
                Some(upload) if !upload.done && !full => upload.poll(cx, &mut self.outbox.bytes, !self.begun),
                _ => Poll::Pending,
            };
            match taken {
                Poll::Ready(Ok(_)) => {}
                // Who owns the body knows why; half a request must not look like a whole one.
                Poll::Ready(Err(_)) => return Err(Lost::Closed(None)),
                Poll::Pending if self.outbox.is_empty() => return Ok(()),
                Poll::Pending => {}
            }
            let sent = self.io.poll_send(cx, &mut self.outbox);
            self.begun |= self.outbox.has_begun() || matches!(sent, Poll::Ready(Ok(())));
            match sent {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) if taken.is_pending() && !full => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if !self.begun => return Err(Lost::Unsent(error)),
                Poll::Ready(Err(_)) => self.deaf = true,
            }
        }
        Ok(())
    }

    /// Whether nothing is left to be sent.
    fn is_over(&self) -> bool {
        self.outbox.is_empty() && self.upload.as_ref().is_none_or(|upload| upload.done)
    }

    /// The head of the answer. What merely announces one goes on at once (RFC 9110 section 15.2).
    fn parse(&mut self, interim: &Interim) -> Result<Option<AnswerHead>, &'static str> {
        loop {
            let inbox = &mut self.io.inbox;
            let whole_line = inbox[self.looked.min(inbox.len())..].contains(&b'\n');
            self.looked = inbox.len();
            if !whole_line && inbox.len() < HEAD_BYTES_MAX {
                return Ok(None);
            }
            match AnswerHead::parse(inbox, HEAD_BYTES_MAX) {
                Ok(Parsed::Partial) => return Ok(None),
                Ok(Parsed::Whole(head, length)) => {
                    inbox.advance(length);
                    self.looked = 0;
                    if !(100..200).contains(&head.status) || head.status == 101 {
                        return Ok(Some(head));
                    }
                    self.announce(head, interim)?;
                }
                Err(Refused::TooLarge) => return Err("its head has more than 256 KiB or 512 fields"),
                Err(Refused::Malformed(why)) => return Err(why),
            }
        }
    }

    #[cold]
    fn announce(&mut self, head: AnswerHead, interim: &Interim) -> Result<(), &'static str> {
        self.announced += 1;
        if self.announced > ANNOUNCED_MAX {
            return Err("it announces answers without end");
        }
        Framing::check_interim(&head)?;
        // Leave to send a body is the data plane's own to give: nobody asked for it here.
        if head.status != 100 {
            interim.pass_on(head);
        }
        Ok(())
    }
}

impl Upload {
    /// Takes a piece and frames it; false: that was all.
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>, stage: bool) -> Poll<Result<bool, Broken>> {
        self.piece.clear();
        let more = ready!(self.body.poll(cx, &mut self.piece))?;
        self.done = !more;
        if stage {
            self.staged.extend_from_slice(&self.piece);
        }
        match (self.chunked, more) {
            (false, _) => out.extend_from_slice(&self.piece),
            (true, true) => write_chunk(out, &self.piece),
            (true, false) => write_last_chunk(out, self.body.trailers().as_ref()),
        }
        Poll::Ready(Ok(more))
    }
}

/// An answer whose head is there.
pub(crate) struct Receiving {
    sending: Sending,
    decoder: Decoder,
    keep: bool,
}

impl Receiving {
    /// Takes the whole body, if all of it is there and its length was told.
    pub(crate) fn take_whole(&mut self, out: &mut Vec<u8>) -> bool {
        let inbox = &mut self.sending.io.inbox;
        if self.decoder.length().is_none_or(|length| length > inbox.len() as u64) {
            return false;
        }
        self.decoder.decode(inbox, out, usize::MAX).is_ok() && self.decoder.is_done()
    }

    /// Whether the whole body has been received.
    pub(crate) fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Passes something on; false: that was all.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool, Broken>> {
        if !self.sending.is_over() {
            self.sending.poll_upload(cx).map_err(|_| Broken::Peer)?;
        }
        loop {
            let before = out.len();
            let inbox = &mut self.sending.io.inbox;
            self.decoder.decode(inbox, out, PIECE_BYTES_MAX).map_err(|_| Broken::Peer)?;
            if out.len() > before {
                return Poll::Ready(Ok(true));
            }
            if self.decoder.is_done() {
                return Poll::Ready(Ok(false));
            }
            match ready!(self.sending.io.poll_fill(cx)) {
                Ok(0) if self.decoder.ends_by_close() => return Poll::Ready(Ok(false)),
                Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Peer)),
                Ok(_) => {}
            }
        }
    }

    /// Trailers, and the connection if it can be used again.
    pub(crate) fn finish(mut self) -> (Option<Fields>, Option<Connection>) {
        let trailers = self.decoder.take_trailers();
        let sending = self.sending;
        let clean = self.keep && sending.is_over() && sending.io.inbox.is_empty();
        (trailers, clean.then(|| idle(sending.io)))
    }

    /// The bare connection, for another protocol.
    pub(crate) fn into_io(self) -> Io {
        self.sending.io
    }
}

fn idle(mut io: Io) -> Connection {
    io.shrink();
    Connection { io }
}
