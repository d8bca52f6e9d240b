//! Who watches configuration: a subscription is there until whoever has it is gone, or it is ended by its id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::carried::{Changed, Watched};

/// The subscriptions of an application, by id. Looked at when one begins or ends, never in between.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    all: Mutex<HashMap<String, Entry>>,
    changed: Arc<Changed>,
}

#[derive(Debug)]
struct Entry {
    store: String,
    /// What is brought to the application, if it is.
    pushed: Option<Watched>,
    /// Whoever has the subscription hears it when this goes.
    _there: oneshot::Sender<()>,
}

/// One of them. It ends with this.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: String,
    all: Arc<Subscriptions>,
    gone: oneshot::Receiver<()>,
}

impl Subscriptions {
    /// None yet; `changed` is told of those that are brought to the application.
    pub(super) fn new(changed: &Arc<Changed>) -> Subscriptions {
        Subscriptions { all: Mutex::default(), changed: Arc::clone(changed) }
    }

    /// One of them is brought to the application.
    pub(super) fn push(&self, id: &str, watched: Watched) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.pushed = Some(watched);
        }
        self.changed.watched(id);
    }

    /// It was brought what has happened up to there.
    pub(super) fn moved(&self, id: &str, position: String) {
        if let Some(watched) = self.lock().get_mut(id).and_then(|entry| entry.pushed.as_mut()) {
            watched.after = Some(position);
        }
        self.changed.watched(id);
    }

    /// What is brought by one of them.
    pub(crate) fn pushed(&self, id: &str) -> Option<Watched> {
        self.lock().get(id)?.pushed.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, unless there are too many.
    pub(super) fn open(self: &Arc<Self>, store: &str, id: &str) -> Option<Subscription> {
        let (there, gone) = oneshot::channel();
        let mut all = self.lock();
        if all.len() >= SUBSCRIPTIONS_MAX {
            return None;
        }
        all.insert(id.to_owned(), Entry { store: store.to_owned(), pushed: None, _there: there });
        Some(Subscription { id: id.to_owned(), all: Arc::clone(self), gone })
    }

    /// Ends one; whether it was there.
    pub(super) fn close(&self, store: &str, id: &str) -> bool {
        let mut all = self.lock();
        let is_there = all.get(id).is_some_and(|entry| entry.store == store);
        is_there && all.remove(id).is_some()
    }

    /// Ends all.
    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }
}

impl Subscription {
    /// All, of which it is one.
    pub(super) fn all(&self) -> Arc<Subscriptions> {
        Arc::clone(&self.all)
    }

    /// By what it is ended.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Waits until it is ended.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.gone).await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

/// Most subscriptions of an application at a time.
const SUBSCRIPTIONS_MAX: usize = 1_000;
/// What is said where there are as many.
pub(super) const TOO_MANY: &str = "there are 1000 subscriptions already, which are the most";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_there_until_it_is_ended_or_dropped() {
        let all = Arc::new(Subscriptions::default());
        let mut one = all.open("s", "1").expect("there is room");
        let other = all.open("s", "2").expect("there is room");
        assert!(
            !all.close("another", "1")
                && one.gone.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty)
        );
        assert!(all.close("s", "1") && !all.close("s", "1"));
        assert!(one.gone.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Closed));
        drop(other);
        assert!(!all.close("s", "2"));
        let many: Vec<_> = (0..SUBSCRIPTIONS_MAX).map(|n| all.open("s", &n.to_string())).collect();
        assert!(many.iter().all(Option::is_some) && all.open("s", "more").is_none());
    }
}
