//! Bodies of gRPC that are passed on as they come: a request's with a bound for each message, an answer's with an end that
//! says why it is one, also if the application is gone in the middle of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;

use super::bounded::TooLarge;
use crate::app::Held;

/// Whether a message of a request was too large, which is answered whatever else goes wrong for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Over(Arc<AtomicBool>);

impl Over {
    /// Whether it was.
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What the caller is told, or else this.
    pub(crate) fn status_or(&self, other: impl FnOnce() -> Status) -> Status {
        match self.is_so() {
            true => Status::resource_exhausted("a message is larger than may be: see --max-body-size"),
            false => other(),
        }
    }
}

/// A request's messages.
pub(crate) struct Messages {
    body: Incoming,
    bytes_max: usize,
    over: Over,
    /// Of the message's prefix, how much has come: a flag and four bytes of length.
    prefix: u8,
    /// The length as far as it has come, then what is still to come of the message.
    left: usize,
}

impl Messages {
    pub(crate) fn new(body: Incoming, bytes_max: usize, over: Over) -> Messages {
        Messages { body, bytes_max, over, prefix: 0, left: 0 }
    }

    /// Goes through what has come.
    fn check(&mut self, mut data: &[u8]) -> Result<(), TooLarge> {
        while !data.is_empty() {
            if self.prefix < PREFIX_BYTES {
                if self.prefix > 0 {
                    self.left = self.left << 8 | usize::from(data[0]);
                }
                self.prefix += 1;
                data = &data[1..];
                if self.prefix == PREFIX_BYTES && self.left > self.bytes_max {
                    return Err(TooLarge);
                }
            } else {
                let here = self.left.min(data.len());
                self.left -= here;
                data = &data[here..];
            }
            if self.prefix == PREFIX_BYTES && self.left == 0 {
                self.prefix = 0;
            }
        }
        Ok(())
    }
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else { return polled.map_err(Into::into) };
        if let Some(Err(too_large)) = frame.data_ref().map(|data| self.check(data)) {
            self.over.0.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(too_large.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's messages and trailers.
pub(crate) struct Ending {
    body: Held,
    over: Over,
    has_ended: bool,
}

impl Ending {
    pub(crate) fn new(body: Held, over: Over) -> Ending {
        Ending { body, over, has_ended: false }
    }
}

impl Body for Ending {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Err(error))) = polled else { return polled };
        self.has_ended = true;
        let status = self.over.status_or(|| Status::unavailable(format!("the application is gone: {error}")));
        let mut trailers = HeaderMap::new();
        match status.add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(_) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}

/// Before each message.
const PREFIX_BYTES: u8 = 5;
