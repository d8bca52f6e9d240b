//! A body that is passed on as it comes, up to its bound.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A caller's body; an error, once it is too long.
#[derive(Debug)]
pub(crate) struct Bounded {
    body: Incoming,
    left: usize,
}

/// It is longer than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Bounded {
    /// A body of at most so many bytes.
    ///
    /// # Errors
    ///
    /// If it says that it has more.
    pub(crate) fn new(body: Incoming, bytes_max: usize) -> Result<Bounded, TooLarge> {
        match body.size_hint().lower() > bytes_max as u64 {
            true => Err(TooLarge),
            false => Ok(Bounded { body, left: bytes_max }),
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else { return polled.map_err(Into::into) };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(TooLarge.into()))),
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

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stream too large")
    }
}

impl std::error::Error for TooLarge {}
