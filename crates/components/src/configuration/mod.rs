//! Configuration: the contract, which is that of the engine's own stores, and adapters.

#[cfg(feature = "outside")]
pub mod postgres;
#[cfg(feature = "outside")]
pub mod redis;
#[cfg(feature = "outside")]
mod watched;

use std::collections::BTreeMap;
use std::fmt;

use crate::Reply;

/// Keeps items that an operator sets and programs read and watch.
///
/// - Whoever watches MUST be told of every item that is changed afterwards, in the order in which each item was changed. Changes
///   that follow each other may be told of as one, by what the item is in the end.
/// - Watching MUST NOT cost more memory the slower whoever watches is.
/// - If changes were missed, all that is watched MUST be told of anew, rather than nothing; an item more than once, or one that
///   is as it was, does no harm.
/// - A watch MUST outlive that what keeps the items goes away and comes back.
/// - An answer MUST come in bounded time, also while what keeps the items is away; and what keeps them MUST be found
///   again when it is back, without help.
pub trait Store: Send + Sync {
    /// The items of these keys that are there; all if no key is named.
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<BTreeMap<String, Item>, Error>>;

    /// Watches these keys; all if none is named. `metadata` is what else whoever watches says, of which most stores need
    /// nothing.
    fn watch<'a>(
        &'a self,
        keys: &'a [String],
        metadata: &'a BTreeMap<String, String>,
    ) -> Reply<'a, Result<Box<dyn Watch>, Error>>;
}

/// What happens to items that are watched.
pub trait Watch: Send {
    /// What happened next. Waits until something has. If the future is dropped, nothing is passed over.
    fn next(&mut self) -> Reply<'_, Result<Change, Error>>;
}

/// An item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Its value.
    pub value: String,
    /// What it is called as it is; may be empty.
    pub version: String,
    /// What else is said of it.
    pub metadata: BTreeMap<String, String>,
}

/// What an item is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// The item; nothing if it is gone.
    pub item: Option<Item>,
}

/// Why there is no answer, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It cannot be done as it was asked for.
    Invalid(String),
    /// What keeps the items could not be asked, or did not answer.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Invalid(why) | Error::Unavailable(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Error {}
