//! A body that can be sent again: what has come of it is kept, up to a bound, and what has not come yet comes to who sends it
//! at the time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// The body.
#[derive(Clone)]
pub(crate) struct Replay(Arc<Mutex<Kept>>);

struct Kept {
    body: Body,
    hint: SizeHint,
    pieces: Vec<Bytes>,
    has_ended: bool,
    /// How much more can be kept.
    room: usize,
    is_lost: bool,
}

/// It, once more from its beginning.
pub(crate) struct Again {
    replay: Replay,
    next: usize,
}

impl Replay {
    /// A body of which so much is kept; if it is longer, it can be sent once only.
    pub(crate) fn new(body: Body, bytes_max: usize) -> Replay {
        let (hint, has_ended) = (body.size_hint(), body.is_end_stream());
        let kept = Kept { body, hint, pieces: Vec::new(), has_ended, room: bytes_max, is_lost: false };
        Replay(Arc::new(Mutex::new(kept)))
    }

    /// For another attempt.
    pub(crate) fn again(&self) -> Body {
        Body::new(Again { replay: self.clone(), next: 0 })
    }

    /// Whether all of it that has come is kept.
    pub(crate) fn is_kept(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_lost
    }
}

impl Kept {
    fn keep(&mut self, piece: &Bytes) {
        match self.room.checked_sub(piece.len()) {
            Some(room) if !self.is_lost => {
                self.room = room;
                self.pieces.push(piece.clone());
            }
            _ => {
                self.is_lost = true;
                self.pieces = Vec::new();
            }
        }
    }
}

impl http_body::Body for Again {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let replay = self.replay.clone();
        let mut kept = replay.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(piece) = kept.pieces.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        if kept.has_ended {
            return Poll::Ready(None);
        }
        loop {
            let frame = match Pin::new(&mut kept.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) => {
                    kept.has_ended = true;
                    return Poll::Ready(None);
                }
            };
            // Trailers of a request say nothing here.
            let Ok(piece) = frame.into_data() else { continue };
            kept.keep(&piece);
            kept.has_ended = kept.body.is_end_stream();
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
    }

    fn is_end_stream(&self) -> bool {
        let kept = self.replay.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.has_ended && self.next >= kept.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        if self.next > 0 {
            return SizeHint::default();
        }
        self.replay.0.lock().unwrap_or_else(PoisonError::into_inner).hint
    }
}
