//! Facts in memory: bounded, and gone with the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Follower, Item, Journal, Kept, Shelf};
use crate::recent::Recent;
use crate::remote::Reply;

/// The things that were changed last.
pub struct MemoryShelf<T>(Mutex<Things<T>>);

struct Things<T> {
    editions: u64,
    by_key: Recent<String, (u64, T)>,
}

impl<T> MemoryShelf<T> {
    /// Room for `max` things.
    pub fn new(max: usize) -> Self {
        MemoryShelf(Mutex::new(Things { editions: 0, by_key: Recent::new(max) }))
    }

    fn things(&self) -> MutexGuard<'_, Things<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Things<T> {
    fn is_seen(&self, key: &str, seen: Option<&str>) -> bool {
        self.by_key.get(key).map(|(edition, _)| edition.to_string()).as_deref() == seen
    }
}

impl<T: Kept> Shelf<T> for MemoryShelf<T> {
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Option<Item<T>>> {
        let found = self.things().by_key.get(key).cloned();
        let found = found.map(|(edition, value)| Item { value, edition: edition.to_string() });
        Box::pin(async { Ok(found) })
    }

    fn put<'a>(&'a self, key: &'a str, value: &'a T, seen: Option<&'a str>) -> Reply<'a, bool> {
        let mut things = self.things();
        let is_seen = things.is_seen(key, seen);
        if is_seen {
            things.editions += 1;
            let edition = things.editions;
            things.by_key.insert(key.to_owned(), (edition, value.clone()));
        }
        Box::pin(async move { Ok(is_seen) })
    }

    fn remove<'a>(&'a self, key: &'a str, seen: &'a str) -> Reply<'a, bool> {
        let mut things = self.things();
        let is_seen = things.is_seen(key, Some(seen));
        if is_seen {
            things.by_key.remove(key);
        }
        Box::pin(async move { Ok(is_seen) })
    }
}

/// The streams that were begun or went on last.
pub struct MemoryJournal<E> {
    streams: Mutex<Recent<String, Vec<E>>>,
    follower: Option<Arc<dyn Follower<E>>>,
}

impl<E> MemoryJournal<E> {
    /// Room for `max` streams. The follower has an event before it is said that it was appended.
    pub fn new(max: usize, follower: Option<Arc<dyn Follower<E>>>) -> Self {
        MemoryJournal { streams: Mutex::new(Recent::new(max)), follower }
    }

    fn streams(&self) -> MutexGuard<'_, Recent<String, Vec<E>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Kept> Journal<E> for MemoryJournal<E> {
    fn append<'a>(&'a self, stream: &'a str, after: Option<u64>, event: &'a E) -> Reply<'a, bool> {
        let mut streams = self.streams();
        let mut events = streams.get(stream).cloned().unwrap_or_default();
        if after.is_some_and(|after| after != events.len() as u64) {
            return Box::pin(async { Ok(false) });
        }
        events.push(event.clone());
        streams.insert(stream.to_owned(), events);
        drop(streams);
        Box::pin(async move {
            if let Some(follower) = &self.follower {
                follower.take(stream, event.clone()).await?;
            }
            Ok(true)
        })
    }

    fn read<'a>(&'a self, stream: &'a str) -> Reply<'a, Vec<E>> {
        let events = self.streams().get(stream).cloned().unwrap_or_default();
        Box::pin(async { Ok(events) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_who_change_a_thing_the_second_is_told() {
        let shelf = MemoryShelf::new(10);
        assert!(shelf.put("k", &1, None).await.expect("answered"));
        assert!(!shelf.put("k", &2, None).await.expect("answered"));
        let seen = shelf.get("k").await.expect("answered").expect("there").edition;
        assert!(shelf.put("k", &3, Some(&seen)).await.expect("answered"));
        assert!(!shelf.remove("k", &seen).await.expect("answered"));
        assert_eq!(shelf.get("k").await.expect("answered").map(|item| item.value), Some(3));
    }

    #[tokio::test]
    async fn a_stream_goes_on_where_its_writer_thinks_it_is_or_not_at_all() {
        let journal = MemoryJournal::new(10, None);
        assert!(journal.append("s", Some(0), &"placed".to_owned()).await.expect("answered"));
        assert!(!journal.append("s", Some(0), &"placed".to_owned()).await.expect("answered"));
        assert!(journal.append("s", Some(1), &"paid".to_owned()).await.expect("answered"));
        assert!(journal.append("s", None, &"shipped".to_owned()).await.expect("answered"));
        assert_eq!(journal.read("s").await.expect("answered"), ["placed", "paid", "shipped"]);
    }
}
