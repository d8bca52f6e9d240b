//! Answers on their way to the client, made here or by an upstream, whose body streams.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;

use crate::executor::Wanted;
use crate::io::Io;
use crate::message::fields::Fields;
use crate::request::body::{Broken, Source};
use crate::request::grpc;
use crate::request::http2::{self, to_map};
use crate::request::idle::IdleTimer;
use crate::request::slow::Slow;
use crate::upstream::Lease;
use crate::upstream::http1::{Connection, Receiving};

/// An answer for the client.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: Body,
    /// The connection is of no use any more.
    pub(crate) close: bool,
}

/// What comes after its head.
pub(crate) enum Body {
    /// None, or all of it at once.
    Full(Vec<u8>),
    /// An upstream's, as it comes.
    Upstream(Box<UpstreamBody>),
    /// The connection speaks another protocol from now on.
    Tunnel(Tunnel),
}

/// The upstream's side of another protocol, with the hold on its instance.
pub(crate) struct Tunnel {
    pub(crate) io: Box<Io>,
    pub(crate) lease: Lease,
}

/// An upstream's body with the hold on its connection, which goes back to the pool at the end.
pub(crate) struct UpstreamBody {
    from: From,
    lease: Option<Lease>,
    idle: IdleTimer,
    trailers: Option<Fields>,
    /// The request's body, if it was still on its way when the answer began.
    upload: Option<Rc<RefCell<Source>>>,
}

/// How the upstream is spoken to.
pub(crate) enum From {
    Http1(Box<Receiving>),
    /// With a hold on the request's body, if that may still be on its way.
    Http2(Incoming, #[expect(dead_code, reason = "to be held is all it is for")] Option<Wanted>),
    /// In another protocol from now on.
    Switched(Box<Io>),
    /// Made here in its stead, all of it.
    Made(Vec<u8>),
    /// Slowed down on purpose.
    Slow(Box<Slow>),
    /// The end has come.
    Over,
}

impl From {
    /// Takes all of it, if it is there already.
    fn take_whole(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            From::Http1(receiving) => receiving.take_whole(out),
            From::Http2(incoming, _) => incoming.is_end_stream(),
            From::Made(bytes) => {
                out.append(bytes);
                true
            }
            From::Slow(_) => false,
            From::Switched(_) | From::Over => true,
        }
    }

    /// Passes something on; false: that was all.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        trailers: &mut Option<Fields>,
    ) -> Poll<Result<bool, Broken>> {
        match self {
            From::Http1(receiving) => receiving.poll(cx, out),
            From::Http2(incoming, _) => http2::poll(incoming, cx, out, trailers),
            From::Made(bytes) => {
                let more = !bytes.is_empty();
                out.append(bytes);
                Poll::Ready(Ok(more))
            }
            From::Slow(slow) => slow.poll(cx, out, trailers),
            From::Switched(_) | From::Over => Poll::Ready(Ok(false)),
        }
    }

    /// Whether nothing is left to come, after a poll that said whether there may be more.
    pub(super) fn is_over(&self, more: bool) -> bool {
        match self {
            From::Http1(receiving) => receiving.is_done(),
            From::Slow(slow) => slow.is_over(),
            From::Http2(..) | From::Switched(_) | From::Made(_) | From::Over => !more,
        }
    }

    /// What came after it, and the connection if it can carry another request.
    fn finish(self) -> (Option<Fields>, Option<Connection>) {
        match self {
            From::Http1(receiving) => receiving.finish(),
            From::Slow(slow) => slow.into_inner().finish(),
            From::Http2(..) | From::Switched(_) | From::Made(_) | From::Over => (None, None),
        }
    }
}

impl Body {
    pub(crate) fn empty() -> Body {
        Body::Full(Vec::new())
    }

    /// What has come of it already is not streamed.
    pub(crate) fn upstream(
        mut from: From,
        lease: Lease,
        idle: Option<Duration>,
        upload: Option<Rc<RefCell<Source>>>,
    ) -> Body {
        let mut all = Vec::new();
        let ended = from.take_whole(&mut all);
        let mut body =
            UpstreamBody { from, lease: Some(lease), idle: IdleTimer::new(idle), trailers: None, upload };
        if ended {
            body.end();
            return Body::Full(all);
        }
        Body::Upstream(Box::new(body))
    }

    /// Whether nothing is left to come.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Body::Full(bytes) if bytes.is_empty())
    }

    /// Passes something on; false: that was all.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool, Broken>> {
        match self {
            Body::Full(bytes) => {
                let more = !bytes.is_empty();
                out.append(bytes);
                Poll::Ready(Ok(more))
            }
            Body::Upstream(body) => body.poll(cx, out),
            Body::Tunnel(..) => Poll::Ready(Ok(false)),
        }
    }

    /// What came after the body.
    pub(crate) fn trailers(&self) -> Option<&Fields> {
        match self {
            Body::Upstream(body) => body.trailers.as_ref(),
            Body::Full(_) | Body::Tunnel(..) => None,
        }
    }
}

impl UpstreamBody {
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool, Broken>> {
        match self.from.poll(cx, out, &mut self.trailers) {
            Poll::Pending => self.idle.poll(cx).map(|()| Err(Broken::Idle)),
            Poll::Ready(Ok(more)) => {
                self.idle.reset();
                if self.from.is_over(more) {
                    self.end();
                }
                Poll::Ready(Ok(more))
            }
            failed => failed,
        }
    }

    /// The answer has come to its end: its connection can carry another request, unless it is still
    /// busy with the body of this one.
    fn end(&mut self) {
        let uploaded = self.upload.as_ref().is_none_or(|upload| upload.borrow().ended());
        let (trailers, connection) = std::mem::replace(&mut self.from, From::Over).finish();
        // Those of HTTP/2 have come by then.
        self.trailers = self.trailers.take().or(trailers);
        if let (Some(Lease { late: Some(late), .. }), Some(trailers)) = (&mut self.lease, &self.trailers) {
            late.hear(trailers);
        }
        if let (Some(lease), Some(connection), true) = (&self.lease, connection, uploaded) {
            lease.keep(connection);
        }
        self.lease = None;
    }
}

/// As HTTP/2 takes it.
pub(crate) struct Http2Body {
    body: Body,
    ended: bool,
    broken: Option<Broken>,
    /// A client of gRPC takes it.
    grpc: bool,
}

impl Http2Body {
    pub(crate) fn new(body: Body, grpc: bool) -> Http2Body {
        Http2Body { ended: body.is_empty(), body, broken: None, grpc }
    }
}

impl HttpBody for Http2Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if let (Some(Broken::Peer), true) = (this.broken, this.grpc) {
            this.ended = true;
            return Poll::Ready(Some(Ok(Frame::trailers(to_map(&grpc::lost())))));
        }
        if let Some(broken) = this.broken {
            return Poll::Ready(Some(Err(broken)));
        }
        let mut piece = Vec::new();
        Poll::Ready(match ready!(this.body.poll(cx, &mut piece)) {
            Ok(true) => Some(Ok(Frame::data(piece.into()))),
            Ok(false) => {
                this.ended = true;
                this.body.trailers().map(|trailers| Ok(Frame::trailers(to_map(trailers))))
            }
            Err(broken) => {
                // A reset takes back what has not left yet: let that leave first.
                this.broken = Some(broken);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
