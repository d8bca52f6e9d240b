//! Spawns hyper's tasks of a connection to an HTTP/2 server on the core that they belong to.
//!
//! Hyper sends a request's body in a task of its own. As long as the server opens no window for it, that task
//! waits for nothing else: neither for the body, which may have broken off, nor for whether anybody still
//! takes the answer. So it is dropped once nobody does, which resets the stream.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;

use tokio::sync::oneshot;

/// The executor of one connection. Hyper asks a body for its first piece and at once spawns what sends the
/// rest: whoever is asked puts its [`Unwanted`] here.
#[derive(Clone, Default)]
pub(crate) struct Uploads {
    next: Rc<RefCell<Option<Unwanted>>>,
}

/// Held for as long as the answer to an upload is wanted.
pub(crate) struct Wanted {
    _held: oneshot::Sender<Infallible>,
}

/// Resolves once the answer to an upload is wanted no more.
pub(crate) struct Unwanted(oneshot::Receiver<Infallible>);

/// Both sides of one upload.
pub(crate) fn wanted() -> (Wanted, Unwanted) {
    let (held, unwanted) = oneshot::channel();
    (Wanted { _held: held }, Unwanted(unwanted))
}

impl Uploads {
    /// What is spawned next ends, at the latest, with this.
    pub(crate) fn end_next_with(&self, unwanted: Unwanted) {
        self.next.replace(Some(unwanted));
    }
}

impl<F> hyper::rt::Executor<F> for Uploads
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        match self.next.take() {
            Some(Unwanted(unwanted)) => tokio::task::spawn_local(async move {
                tokio::select! {
                    biased;
                    _ = unwanted => {}
                    _ = future => {}
                }
            }),
            None => tokio::task::spawn_local(async move {
                future.await;
            }),
        };
    }
}
