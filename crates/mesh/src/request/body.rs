//! Bodies of requests, streamed: nothing is held back but what a retry may need.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use policy::Time;

use crate::client::wire::Wire;
use crate::clock;
use crate::executor::{Unwanted, Uploads};
use crate::message::fields::Fields;
use crate::message::framing::{Decoder, Malformed};
use crate::request::http2;
use crate::request::idle::IdleTimer;

/// Most bytes that are passed on at a time.
pub(crate) const PIECE_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a body that are read before an answer that does not need them.
const READ_AWAY_BYTES_MAX: usize = 64 << 10;
/// Longest time spent on that.
const READ_AWAY_TIME_MAX: Duration = Duration::from_millis(200);

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The sender of the request, or the upstream, went away or sent what is no body.
    Peer,
    /// The sender of the request broke a rule of chunked bodies: this one.
    Malformed(&'static str),
    /// Larger than the listener allows.
    TooLarge,
    /// Silent for too long.
    Idle,
    /// A later try took the body over.
    Superseded,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Broken::Peer => "the peer went away inside a body",
            Broken::Malformed(why) => why,
            Broken::TooLarge => "the body is larger than allowed",
            Broken::Idle => "the body was silent for too long",
            Broken::Superseded => "a later try took the body over",
        })
    }
}

impl std::error::Error for Broken {}

/// Where a request's body comes from.
pub(crate) enum Origin {
    Http1 { wire: Rc<Wire>, decoder: Decoder },
    Http2(Incoming),
}

/// A request's body on its way up. Shared between the tries of one request: a later try replays
/// what earlier ones have taken, as long as that is within the bound.
pub(crate) struct Source {
    origin: Origin,
    idle: IdleTimer,
    /// Bytes that may still come.
    left: Option<u64>,
    kept: Vec<u8>,
    /// Bytes that may still be kept for a replay; None: nothing is.
    keep_left: Option<usize>,
    /// Something was passed on that is not kept.
    lost: bool,
    /// What a try took and could not send.
    returned: Vec<u8>,
    trailers: Option<Fields>,
    /// Which try may read.
    reader: u32,
    broken: Option<Broken>,
    ended: bool,
    /// More was wanted when last there was nothing.
    starving: bool,
    /// When a part of it was last passed on.
    moved: Time,
}

impl Source {
    pub(crate) fn new(origin: Origin, bytes_max: Option<u64>, idle: Duration) -> Rc<RefCell<Source>> {
        Rc::new(RefCell::new(Source {
            origin,
            idle: IdleTimer::new(Some(idle)),
            left: bytes_max,
            kept: Vec::new(),
            keep_left: None,
            lost: false,
            returned: Vec::new(),
            trailers: None,
            reader: 0,
            broken: None,
            ended: false,
            starving: false,
            moved: Time::ZERO,
        }))
    }

    /// Keeps so many bytes for a replay.
    pub(crate) fn keep(&mut self, bytes_max: usize) {
        self.keep_left = Some(bytes_max);
    }

    /// Its silence is no end of it.
    pub(crate) fn wait_for_ever(&mut self) {
        self.idle = IdleTimer::new(None);
    }

    /// Whether a further try would see the whole body.
    pub(crate) fn replayable(&self) -> bool {
        !self.lost && self.broken.is_none()
    }

    /// Whether all of it has come and is kept.
    pub(crate) fn is_at_hand(&self) -> bool {
        self.ended && self.replayable() && self.returned.is_empty()
    }

    /// Whether nothing of it is left to come.
    pub(crate) fn ended(&self) -> bool {
        let over = match &self.origin {
            Origin::Http1 { decoder, .. } => decoder.is_done(),
            Origin::Http2(incoming) => incoming.is_end_stream(),
        };
        (self.ended || over) && self.returned.is_empty()
    }

    /// Since when it has not been the client who keeps the upstream waiting. None: it is.
    pub(crate) fn handed_over(&self) -> Option<Time> {
        (!self.starving).then_some(self.moved)
    }

    /// What ended the request's body early, if something did.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// Passes something on; false: that was all.
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool, Broken>> {
        if let Some(broken) = self.broken {
            return Poll::Ready(Err(broken));
        }
        if !self.returned.is_empty() {
            out.append(&mut self.returned);
            return Poll::Ready(Ok(true));
        }
        let before = out.len();
        let polled = self.origin.poll(cx, out, &mut self.trailers);
        self.starving = polled.is_pending();
        let polled = match polled {
            Poll::Pending => ready!(self.idle.poll(cx).map(|()| Err(Broken::Idle))),
            Poll::Ready(more) => {
                self.idle.reset();
                self.moved = clock::now();
                self.ended |= more == Ok(false);
                more
            }
        };
        let polled = polled.and_then(|more| self.take(&out[before..]).map(|()| more));
        if let Err(broken) = polled {
            self.broken = Some(broken);
        }
        Poll::Ready(polled)
    }

    /// Counts what was passed on and keeps a copy if there is room.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes.len() as u64).ok_or(Broken::TooLarge)?;
        }
        self.keep_left = self.keep_left.and_then(|left| left.checked_sub(bytes.len()));
        match self.keep_left {
            Some(_) => self.kept.extend_from_slice(bytes),
            None if bytes.is_empty() => {}
            None => {
                self.lost = true;
                self.kept = Vec::new();
            }
        }
        Ok(())
    }
}

impl Origin {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        trailers: &mut Option<Fields>,
    ) -> Poll<Result<bool, Broken>> {
        match self {
            Origin::Http1 { wire, decoder } => loop {
                let before = out.len();
                let decoded = wire.decode(decoder, out, PIECE_BYTES_MAX);
                decoded.map_err(|Malformed(why)| Broken::Malformed(why))?;
                if out.len() > before {
                    return Poll::Ready(Ok(true));
                }
                if decoder.is_done() {
                    *trailers = decoder.take_trailers();
                    return Poll::Ready(Ok(false));
                }
                match ready!(wire.poll_fill_body(cx)) {
                    Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Peer)),
                    Ok(_) => {}
                }
            },
            Origin::Http2(incoming) => http2::poll(incoming, cx, out, trailers),
        }
    }
}

/// Reads a short body to its end for nobody, before an answer that does not need it: a client that is
/// still sending may take the end of the stream for a failure and not see the answer.
pub(crate) async fn read_away(source: &Rc<RefCell<Source>>) {
    let (mut left, mut away) = (READ_AWAY_BYTES_MAX, Vec::new());
    let reading = std::future::poll_fn(|cx| {
        loop {
            away.clear();
            let more = ready!(source.borrow_mut().poll(cx, &mut away));
            match left.checked_sub(away.len()) {
                Some(rest) if more == Ok(true) => left = rest,
                _ => return Poll::Ready(()),
            }
        }
    });
    let _ = tokio::time::timeout(READ_AWAY_TIME_MAX, reading).await;
}

/// One try's view of a request's body.
pub(crate) struct RequestBody {
    source: Rc<RefCell<Source>>,
    /// Which try this is.
    reader: u32,
    /// Kept bytes this try has seen.
    at: usize,
}

impl RequestBody {
    /// The body for a new try, which from now on is the only one that may read, unless all that there is
    /// to read is kept.
    pub(crate) fn open(source: &Rc<RefCell<Source>>) -> RequestBody {
        let mut inner = source.borrow_mut();
        if !inner.is_at_hand() {
            inner.reader += 1;
        }
        RequestBody { source: source.clone(), reader: inner.reader, at: 0 }
    }

    /// Passes something on; false: that was all.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool, Broken>> {
        let mut source = self.source.borrow_mut();
        if source.reader != self.reader {
            return Poll::Ready(Err(Broken::Superseded));
        }
        if self.at < source.kept.len() {
            out.extend_from_slice(&source.kept[self.at..]);
            self.at = source.kept.len();
            return Poll::Ready(Ok(true));
        }
        if source.ended {
            return Poll::Ready(Ok(false));
        }
        let polled = source.poll(cx, out);
        self.at = source.kept.len();
        polled
    }

    /// Takes back what was taken and not sent, unless it is kept anyway.
    pub(crate) fn give_back(self, bytes: Vec<u8>) {
        let mut source = self.source.borrow_mut();
        if source.lost {
            source.left = source.left.map(|left| left + bytes.len() as u64);
            source.returned = bytes;
            source.lost = false;
        }
    }

    pub(crate) fn trailers(&self) -> Option<Fields> {
        self.source.borrow().trailers.clone()
    }
}

/// The same as HTTP/2 takes it. None: there is no body, or nothing more of it.
pub(crate) struct Http2Upload {
    body: Option<RequestBody>,
    /// When it shall end, told to whom before the first piece.
    end: Option<(Unwanted, Uploads)>,
}

impl Http2Upload {
    pub(crate) fn new(body: Option<RequestBody>) -> Http2Upload {
        Http2Upload { body, end: None }
    }

    pub(crate) fn end_with(&mut self, unwanted: Unwanted, uploads: Uploads) {
        self.end = Some((unwanted, uploads));
    }
}

impl HttpBody for Http2Upload {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if let Some((unwanted, uploads)) = this.end.take() {
            uploads.end_next_with(unwanted);
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let mut piece = Vec::new();
        Poll::Ready(match ready!(body.poll(cx, &mut piece)) {
            Ok(true) => Some(Ok(Frame::data(piece.into()))),
            Ok(false) => {
                let trailers = body.trailers();
                this.body = None;
                trailers.map(|trailers| Ok(Frame::trailers(http2::to_map(&trailers))))
            }
            // The server has done nothing wrong, and gRPC knows this for what it is.
            Err(_) => Some(Err(h2::Reason::CANCEL.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }
}
