//! The body of an application's answer, which counts as a call in flight for as long as it is there.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

/// A body, with the permission to make the call that it is the answer of.
#[derive(Debug)]
pub struct Held {
    body: Incoming,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub(super) fn new(body: Incoming, permit: Option<OwnedSemaphorePermit>) -> Held {
        Held { body, _permit: permit }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
