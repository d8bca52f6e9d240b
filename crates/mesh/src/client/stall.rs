//! Answers over HTTP/2 whose client does not take them: it opens no window, and the library would wait
//! for ever. As in HTTP/1.1 the answer is given up after a silence.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::request::idle::IdleTimer;

/// Whether an answer waits for its client: a piece of it was handed over, and nobody has come for the
/// next one.
#[derive(Default)]
pub(crate) struct Stall {
    waits: Cell<bool>,
    /// A piece was handed over since the last look.
    moved: Cell<bool>,
}

impl Stall {
    /// The next piece is asked for.
    pub(crate) fn asked(&self) {
        self.waits.set(false);
    }

    pub(crate) fn handed_over(&self) {
        self.waits.set(true);
        self.moved.set(true);
    }

    /// Runs what sends an answer, until it is done or has waited for its client for so long; then it is
    /// dropped, which resets the stream.
    async fn guard(self: Rc<Self>, sending: impl Future, longest: Duration) {
        let (mut sending, mut idle) = (pin!(sending), IdleTimer::new(Some(longest)));
        poll_fn(|cx| {
            if sending.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if self.moved.take() {
                idle.reset();
            }
            if self.waits.get() { idle.poll(cx) } else { Poll::Pending }
        })
        .await;
    }
}

/// Spawns hyper's tasks of a client's connection on the core they belong to. Hyper calls the service and
/// at once spawns what sends its answer: whoever is called puts the answer's [`Stall`] into `next`.
#[derive(Clone)]
pub(crate) struct Guarding {
    pub(crate) longest: Duration,
    pub(crate) next: Rc<RefCell<Option<Rc<Stall>>>>,
}

impl<F> hyper::rt::Executor<F> for Guarding
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        match self.next.take() {
            Some(stall) => {
                tokio::task::spawn_local(stall.guard(future, self.longest));
            }
            None => {
                tokio::task::spawn_local(future);
            }
        }
    }
}
