//! Bodies, streamed through in both directions: nothing is held back but what a retry may need.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use policy::Time;
use tokio::time::Sleep;

use crate::clock;
use crate::upstream::Lease;

/// Most bytes of a body that are read before an answer that does not need them.
const READ_AWAY_BYTES_MAX: usize = 64 << 10;
/// Longest time spent on that.
const READ_AWAY_TIME_MAX: Duration = Duration::from_millis(200);

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The sender of the request, or the upstream, went away.
    Peer,
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
            Broken::TooLarge => "the body is larger than allowed",
            Broken::Idle => "the body was silent for too long",
            Broken::Superseded => "a later try took the body over",
        })
    }
}

impl std::error::Error for Broken {}

/// The body of an answer.
pub(crate) enum Body {
    /// None, or all of it at once.
    Full(Option<Bytes>),
    /// An upstream's, as it comes.
    Upstream(UpstreamBody),
}

impl Body {
    pub(crate) fn empty() -> Body {
        Body::Full(None)
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
        Body::Full(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }

    pub(crate) fn upstream(incoming: Incoming, lease: Lease, idle: Option<Duration>) -> Body {
        if incoming.is_end_stream() {
            lease.release();
            return Body::empty();
        }
        Body::Upstream(UpstreamBody { incoming, lease: Some(lease), idle: IdleTimer::new(idle) })
    }
}

/// An upstream's body with the connection it comes over, which goes back to the pool at the end.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
    idle: IdleTimer,
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Body::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Upstream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_none(),
            Body::Upstream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Upstream(body) => body.incoming.size_hint(),
        }
    }
}

impl UpstreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        match polled {
            Poll::Pending => self.idle.poll(cx).map(|()| Some(Err(Broken::Idle))),
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.reset();
                if self.incoming.is_end_stream() {
                    self.release();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Broken::Peer))),
            Poll::Ready(None) => {
                self.release();
                Poll::Ready(None)
            }
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}

/// A timer that costs nothing until a body first keeps us waiting.
struct IdleTimer {
    after: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Set by a frame; the next wait starts the time anew.
    moved: bool,
}

impl IdleTimer {
    fn new(after: Option<Duration>) -> IdleTimer {
        IdleTimer { after, sleep: None, moved: false }
    }

    fn reset(&mut self) {
        self.moved = true;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(after) = self.after else { return Poll::Pending };
        let moved = std::mem::take(&mut self.moved);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        if moved {
            sleep.as_mut().reset(tokio::time::Instant::now() + after);
        }
        sleep.as_mut().poll(cx)
    }
}

/// A request's body on its way up. Shared between the tries of one request: a later try replays
/// what earlier ones have taken, as long as that is within the bound.
pub(crate) struct Source {
    incoming: Incoming,
    idle: IdleTimer,
    /// Bytes that may still come.
    left: Option<u64>,
    kept: Vec<Frame<Bytes>>,
    /// Bytes that may still be kept for a replay; None: nothing is.
    keep_left: Option<usize>,
    /// Something was passed on that is not kept.
    lost: bool,
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
    pub(crate) fn new(
        incoming: Incoming,
        bytes_max: Option<u64>,
        keep_max: Option<usize>,
        idle: Duration,
    ) -> Rc<RefCell<Source>> {
        Rc::new(RefCell::new(Source {
            incoming,
            idle: IdleTimer::new(Some(idle)),
            left: bytes_max,
            kept: Vec::new(),
            keep_left: keep_max,
            lost: false,
            reader: 0,
            broken: None,
            ended: false,
            starving: false,
            moved: Time::ZERO,
        }))
    }

    /// Whether a further try would see the whole body.
    pub(crate) fn replayable(&self) -> bool {
        !self.lost && self.broken.is_none()
    }

    /// Whether the client said how long it is.
    pub(crate) fn has_length(&self) -> bool {
        self.incoming.size_hint().exact().is_some()
    }

    /// Whether nothing of it is left to be sent.
    pub(crate) fn ended(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    /// Since when it has not been the client who keeps the upstream waiting. None: it is.
    pub(crate) fn handed_over(&self) -> Option<Time> {
        (!self.starving).then_some(self.moved)
    }

    /// What ended the request's body early, if something did.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.broken
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(broken) = self.broken {
            return Poll::Ready(Some(Err(broken)));
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        self.starving = polled.is_pending();
        let polled = match polled {
            Poll::Pending => self.idle.poll(cx).map(|()| Some(Err(Broken::Idle))),
            Poll::Ready(frame) => {
                self.idle.reset();
                self.moved = clock::now();
                self.ended |= frame.is_none();
                Poll::Ready(frame.map(|frame| frame.map_err(|_| Broken::Peer)))
            }
        };
        let polled = match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.take(frame))),
            other => other,
        };
        if let Poll::Ready(Some(Err(broken))) = &polled {
            self.broken = Some(*broken);
        }
        polled
    }

    /// Counts a frame and keeps a copy if there is room.
    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Broken> {
        let size = frame.data_ref().map_or(0, Bytes::len);
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(size as u64).ok_or(Broken::TooLarge)?;
        }
        let room = self.keep_left.and_then(|left| left.checked_sub(size));
        self.keep_left = room;
        match room {
            Some(_) => self.kept.push(copy(&frame)),
            None => {
                self.lost = true;
                self.kept = Vec::new();
            }
        }
        Ok(frame)
    }
}

/// Reads a short body to its end for nobody, before an answer that does not need it: a client that is
/// still sending may take the end of the stream for a failure and not see the answer.
pub(crate) async fn read_away(incoming: Incoming) {
    let mut left = READ_AWAY_BYTES_MAX;
    let mut incoming = std::pin::pin!(incoming);
    let reading = async {
        while let Some(Ok(frame)) = std::future::poll_fn(|cx| incoming.as_mut().poll_frame(cx)).await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(READ_AWAY_TIME_MAX, reading).await;
}

/// A second handle on the same bytes.
fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (None, Some(trailers)) => Frame::trailers(trailers.clone()),
        (None, None) => Frame::data(Bytes::new()),
    }
}

/// One try's view of a request's body.
pub(crate) enum RequestBody {
    /// The request has none.
    Empty,
    /// It has one.
    Shared {
        /// The body itself.
        source: Rc<RefCell<Source>>,
        /// Which try this is.
        reader: u32,
        /// Kept frames this try has seen.
        at: usize,
        /// Size as the client declared it.
        size: SizeHint,
    },
}

impl RequestBody {
    /// The body for a new try, which from now on is the only one that may read.
    pub(crate) fn open(source: &Rc<RefCell<Source>>) -> RequestBody {
        let mut inner = source.borrow_mut();
        inner.reader += 1;
        let mut size = inner.incoming.size_hint();
        if let Some(left) = size.exact() {
            let kept: usize = inner.kept.iter().filter_map(|frame| frame.data_ref()).map(Bytes::len).sum();
            size = SizeHint::with_exact(left + kept as u64);
        }
        RequestBody::Shared { source: source.clone(), reader: inner.reader, at: 0, size }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let RequestBody::Shared { source, reader, at, .. } = self.get_mut() else { return Poll::Ready(None) };
        let mut source = source.borrow_mut();
        if source.reader != *reader {
            return Poll::Ready(Some(Err(Broken::Superseded)));
        }
        if let Some(frame) = source.kept.get(*at) {
            *at += 1;
            return Poll::Ready(Some(Ok(copy(frame))));
        }
        let polled = source.poll(cx);
        *at = source.kept.len();
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Shared { source, at, .. } => {
                let source = source.borrow();
                source.broken.is_none() && *at >= source.kept.len() && source.incoming.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Shared { size, .. } => *size,
        }
    }
}
