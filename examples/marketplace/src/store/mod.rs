//! Where the shop keeps its facts: things on a [`Shelf`], what happened in a [`Journal`].
//!
//! Services know these traits only. In [`memory`] all is bounded and gone when the process ends; in [`durable`] it lies
//! behind the application API that the environment names. Which it is, [`crate::wiring`] says.

pub mod durable;
pub mod follow;
pub mod memory;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::remote::Reply;

/// Things by their keys. Of two who change the same one the second is told, and looks again.
pub trait Shelf<T>: Send + Sync {
    /// The thing with this key.
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Option<Item<T>>>;
    /// Puts a thing in the place of the one that was seen, or where none was. False if that has changed since.
    fn put<'a>(&'a self, key: &'a str, value: &'a T, seen: Option<&'a str>) -> Reply<'a, bool>;
    /// Takes away the thing that was seen. False if it has changed since.
    fn remove<'a>(&'a self, key: &'a str, seen: &'a str) -> Reply<'a, bool>;
}

/// A thing and which edition of it this is.
pub struct Item<T> {
    /// The thing.
    pub value: T,
    /// Another after each change.
    pub edition: String,
}

/// Streams of what happened, each from its first event on.
pub trait Journal<E>: Send + Sync {
    /// Adds an event to a stream, if one is said only to a stream of that many events. False if it has others.
    fn append<'a>(&'a self, stream: &'a str, after: Option<u64>, event: &'a E) -> Reply<'a, bool>;
    /// All events of a stream; none if there is no such stream.
    fn read<'a>(&'a self, stream: &'a str) -> Reply<'a, Vec<E>>;
}

/// Who is told all events of a journal, at least once, those of a stream in their order.
pub trait Follower<E>: Send + Sync {
    /// Takes an event. What fails is told again before any other.
    fn take<'a>(&'a self, stream: &'a str, event: E) -> Reply<'a, ()>;
}

/// What is kept.
pub trait Kept: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Kept for T {}

/// Changes the thing with this key, with the others in mind who do so at the same time, and returns what it is then.
///
/// # Errors
/// What `change` says, and 503 if the thing cannot be had or changes all the time.
pub async fn change<T: Kept>(
    shelf: &dyn Shelf<T>,
    key: &str,
    mut change: impl FnMut(Option<T>) -> Result<Option<T>, Problem>,
) -> Result<Option<T>, Problem> {
    for _ in 0..TRIES_MAX {
        let (before, edition) = match shelf.get(key).await? {
            Some(Item { value, edition }) => (Some(value), Some(edition)),
            None => (None, None),
        };
        let Some(after) = change(before.clone())? else { return Ok(before) };
        if shelf.put(key, &after, edition.as_deref()).await? {
            return Ok(Some(after));
        }
    }
    Err(contended(key))
}

/// What was done that often is given up.
pub fn contended(what: &str) -> Problem {
    Problem::unavailable("storage", format!("Too many change {what} at the same time."))
}

/// How often a change is tried against others.
pub const TRIES_MAX: usize = 16;
