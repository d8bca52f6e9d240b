//! An answer's body that goes on slowly on purpose.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use policy::{Time, Trickle};
use tokio::time::Sleep;

use crate::call::faults::Active;
use crate::clock;
use crate::message::fields::Fields;
use crate::request::answer::From;
use crate::request::body::Broken;

/// A body held back. No more than a piece of it is held: what comes after waits at the instance.
pub(crate) struct Slow {
    from: From,
    trickle: Trickle,
    /// The end of the fault that holds it back. None: it has come, and the rest passes as it comes.
    held_by: Option<Pin<Box<dyn Future<Output = ()>>>>,
    held: Vec<u8>,
    /// Nothing comes after what is held.
    last: bool,
    sleep: Pin<Box<Sleep>>,
}

impl Slow {
    /// The same body at so many bytes a second, until the fault is over.
    pub(crate) fn over(from: From, bytes_per_second: u64, now: Time, by: Arc<Active>) -> From {
        From::Slow(Box::new(Slow {
            from,
            trickle: Trickle::new(bytes_per_second, now),
            held_by: Some(Box::pin(async move { by.over().await })),
            held: Vec::new(),
            last: false,
            sleep: Box::pin(tokio::time::sleep_until(clock::instant(now))),
        }))
    }

    /// Passes something on; false: that was all.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        trailers: &mut Option<Fields>,
    ) -> Poll<Result<bool, Broken>> {
        if self.held_by.as_mut().is_some_and(|over| over.as_mut().poll(cx).is_ready()) {
            self.held_by = None;
        }
        loop {
            if self.held.is_empty() {
                if self.last {
                    return Poll::Ready(Ok(false));
                }
                let more = ready!(self.from.poll(cx, &mut self.held, trailers))?;
                self.last = self.from.is_over(more);
                continue;
            }
            if self.held_by.is_none() {
                out.append(&mut self.held);
                return Poll::Ready(Ok(true));
            }
            match self.trickle.take(clock::now(), self.held.len() as u64) {
                Ok(lot) => {
                    out.extend(self.held.drain(..lot as usize));
                    return Poll::Ready(Ok(true));
                }
                Err(later) => {
                    self.sleep.as_mut().reset(clock::instant(later));
                    ready!(self.sleep.as_mut().poll(cx));
                }
            }
        }
    }

    /// Whether all of it has been passed on.
    pub(super) fn is_over(&self) -> bool {
        self.last && self.held.is_empty()
    }

    pub(super) fn into_inner(self) -> From {
        self.from
    }
}
