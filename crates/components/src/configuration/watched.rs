//! What happens to items, from news that name keys: an adapter hears which items may have changed, and here they are read as
//! they are by then. So whoever is slow sees how it ends, and what is kept of what it has not seen is at most a key for each item.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Change, Error, Store, Watch};
use crate::Reply;

/// Keys of which there is news, for who watches. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct News(Arc<Shared>);

#[derive(Default)]
struct Shared {
    changed: Mutex<Changed>,
    arrived: Notify,
}

/// Which items may have changed, in the order in which they did, each once.
#[derive(Debug, Default)]
struct Changed {
    order: VecDeque<String>,
    known: HashSet<String>,
    all: bool,
}

/// What there is to be looked at.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Key(String),
    All,
}

impl News {
    /// An item may have changed.
    pub(super) fn of(&self, key: &str) {
        self.lock().note(key);
        self.0.arrived.notify_one();
    }

    /// Any item may have changed.
    pub(super) fn missed(&self) {
        self.lock().note_all();
        self.0.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.0.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changed {
    fn note(&mut self, key: &str) {
        if self.all || !self.known.insert(key.to_owned()) {
            return;
        }
        match self.order.len() < KEYS_MAX {
            true => self.order.push_back(key.to_owned()),
            false => self.note_all(),
        }
    }

    fn note_all(&mut self) {
        *self = Changed { all: true, ..Changed::default() };
    }

    fn next(&mut self) -> Option<Next> {
        if std::mem::take(&mut self.all) {
            return Some(Next::All);
        }
        let key = self.order.pop_front()?;
        self.known.remove(&key);
        Some(Next::Key(key))
    }
}

/// Who watches. Whoever hears the news ends with it.
pub(super) struct Watched<S> {
    store: S,
    /// What is watched; all if there is none.
    keys: BTreeSet<String>,
    news: News,
    /// What is looked at next, before there can be other news of it.
    looking: VecDeque<String>,
    /// All has to be looked at.
    anew: bool,
    hearing: JoinHandle<()>,
}

impl<S: Store> Watched<S> {
    /// Watches these keys of a store, with somebody who hears the news.
    pub(super) fn new(store: S, keys: &[String], news: News, hearing: JoinHandle<()>) -> Watched<S> {
        let keys = keys.iter().cloned().collect();
        Watched { store, keys, news, looking: VecDeque::new(), anew: false, hearing }
    }

    async fn change(&mut self) -> Result<Change, Error> {
        let mut wait = WAIT_MIN;
        loop {
            match self.look().await {
                Ok(Some(change)) => return Ok(change),
                Ok(None) => wait = WAIT_MIN,
                // It will be back: nothing is passed over meanwhile.
                Err(Error::Unavailable(_)) => {
                    sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at what is next. What was begun is gone on with if this is dropped meanwhile.
    async fn look(&mut self) -> Result<Option<Change>, Error> {
        if self.anew {
            self.looking = match self.keys.is_empty() {
                true => self.store.get(&[]).await?.into_keys().collect(),
                false => self.keys.iter().cloned().collect(),
            };
            self.anew = false;
        }
        if let Some(key) = self.looking.front() {
            let mut found = self.store.get(std::slice::from_ref(key)).await?;
            let item = found.remove(key);
            return Ok(self.looking.pop_front().map(|key| Change { key, item }));
        }
        let next = self.news.lock().next();
        match next {
            Some(Next::All) => self.anew = true,
            Some(Next::Key(key)) if self.keys.is_empty() || self.keys.contains(&key) => {
                self.looking.push_back(key);
            }
            Some(Next::Key(_)) => {}
            None => self.news.0.arrived.notified().await,
        }
        Ok(None)
    }
}

impl<S: Store> Watch for Watched<S> {
    fn next(&mut self) -> Reply<'_, Result<Change, Error>> {
        Box::pin(self.change())
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

/// Of how many items is kept that they have changed; then all is looked at.
const KEYS_MAX: usize = 10_000;
/// The first wait before a store that is away is asked again.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// And the longest.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(2);
/// How often is looked whether who tells the news is still there.
pub(super) const ASKED_EVERY: Duration = Duration::from_secs(10);
/// Most bytes of an answer with all items.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// There are more items than an answer has room for.
pub(super) fn too_many() -> Error {
    Error::Invalid(format!("the items have more than {ANSWER_BYTES_MAX} bytes: ask for them by their keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_noted_once_until_it_is_looked_at() {
        let mut changed = Changed::default();
        for key in ["a", "b", "a"] {
            changed.note(key);
        }
        let key = |key: &str| Some(Next::Key(key.to_owned()));
        assert_eq!((changed.next(), changed.next(), changed.next()), (key("a"), key("b"), None));
        changed.note("a");
        assert_eq!(changed.next(), key("a"));
    }

    #[test]
    fn of_too_many_nothing_is_kept_but_that_it_is_all() {
        let mut changed = Changed::default();
        for n in 0..=KEYS_MAX {
            changed.note(&n.to_string());
        }
        changed.note("more");
        assert!(changed.order.is_empty() && changed.known.is_empty());
        assert_eq!((changed.next(), changed.next()), (Some(Next::All), None));
        changed.note("a");
        assert_eq!(changed.next(), Some(Next::Key("a".to_owned())));
    }
}
