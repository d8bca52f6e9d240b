//! The body of an answer, which has the connection that it comes over, and counts as a call in flight for as long as it is
//! there.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::Way;
use super::http1::Line;

/// A body, with the permission to make the call that it is the answer of.
pub struct Held {
    body: Incoming,
    has_ended: bool,
    line: Option<(Arc<Way>, Box<Line>)>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub(super) fn new(
        body: Incoming,
        line: Option<(Arc<Way>, Box<Line>)>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Held {
        Held { body, has_ended: false, line, _permit: permit }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let held = &mut *self;
        let mut polled = Pin::new(&mut held.body).poll_frame(context);
        if let (Poll::Pending, Some((_, line))) = (&polled, &mut held.line) {
            line.drive(context);
            polled = Pin::new(&mut held.body).poll_frame(context);
        }
        held.has_ended = held.has_ended || matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // One that is in the middle of an answer is closed, by which the application hears that nobody wants the rest.
        if let Some((way, line)) = self.line.take()
            && (self.has_ended || self.body.is_end_stream())
        {
            way.give_back(line);
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("body", &self.body).finish_non_exhaustive()
    }
}
