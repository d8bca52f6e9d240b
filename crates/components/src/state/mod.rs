//! Stores of items: the contract, which is that of the engine's own, and adapters.

#[cfg(feature = "outside")]
pub mod postgres;
#[cfg(feature = "outside")]
pub mod redis;

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::Reply;

/// Keeps items, each known by a scope and a key. A scope tells apart whose items they are; it may be empty.
///
/// - What has been written MUST be seen by every read that is asked for afterwards.
/// - A condition MUST be judged in the same step in which what depends on it is written.
/// - An ETag MUST change whenever its item is written, and MUST NOT be zero; zero is for an item without one, that
///   something else has put there.
/// - An item MUST be gone when its time to live has passed. One that is put without MUST live for ever, whatever held
///   before.
/// - An answer MUST come in bounded time, also while what keeps the items is away; and what keeps them MUST be found
///   again when it is back, without help.
/// - Nothing that was not done MUST be answered as done. After [`Error::Unavailable`] it may have been done.
pub trait Store: Send + Sync {
    /// An item, if it is there.
    fn get<'a>(&'a self, scope: &'a str, key: &'a str) -> Reply<'a, Result<Option<Item>, Error>>;

    /// Items, in the order of the keys.
    fn get_many<'a>(
        &'a self,
        scope: &'a str,
        keys: &'a [String],
    ) -> Reply<'a, Result<Vec<Option<Item>>, Error>>;

    /// Does something to an item.
    fn write<'a>(&'a self, scope: &'a str, operation: Operation) -> Reply<'a, Result<(), Error>>;

    /// Does several things, each by itself and in their order; why those were not done that were not.
    fn write_many<'a>(
        &'a self,
        scope: &'a str,
        operations: Vec<Operation>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>>;

    /// Does several things, all or none. Each sees what those before it did.
    fn transact<'a>(&'a self, scope: &'a str, operations: Vec<Operation>) -> Reply<'a, Result<(), Error>>;
}

/// An item that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its value.
    pub value: Bytes,
    /// Its ETag; zero if it has none.
    pub etag: u64,
    /// When it expires, if it does.
    pub expires: Option<SystemTime>,
}

/// What is done to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The item's key.
    pub key: String,
    /// What is done.
    pub action: Action,
    /// Under which condition.
    pub condition: Condition,
}

/// What can be done to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is put, in place of what was there.
    Put {
        /// Its value.
        value: Bytes,
        /// For how long it lives, if not for ever.
        ttl: Option<Duration>,
    },
    /// It is deleted; that there is none is as good.
    Delete,
}

/// What must hold for an item to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// It has this ETag.
    Etag(u64),
    /// It is not there.
    Absent,
}

impl Operation {
    /// Puts an item, for ever and whatever is there.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Operation {
        let action = Action::Put { value: value.into(), ttl: None };
        Operation { key: key.into(), action, condition: Condition::None }
    }

    /// Deletes an item, whatever it is.
    pub fn delete(key: impl Into<String>) -> Operation {
        Operation { key: key.into(), action: Action::Delete, condition: Condition::None }
    }

    /// The same, if this holds.
    #[must_use]
    pub fn only_if(mut self, condition: Condition) -> Operation {
        self.condition = condition;
        self
    }

    /// The same, for so long. Nothing that is deleted lives.
    #[must_use]
    pub fn for_(mut self, time: Duration) -> Operation {
        if let Action::Put { ttl, .. } = &mut self.action {
            *ttl = Some(time);
        }
        self
    }
}

/// Why something was not done, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The condition does not hold. Nothing was written.
    Conflict(String),
    /// It was to be done once under a key, and the key was used for something else. Nothing was written.
    Reused(String),
    /// It cannot be done as it was asked for. Nothing was written.
    Invalid(String),
    /// What keeps the items could not be asked, or did not answer: it may have been done.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Conflict(why) | Error::Reused(why) | Error::Invalid(why) | Error::Unavailable(why)) =
            self;
        f.write_str(why)
    }
}

impl std::error::Error for Error {}
