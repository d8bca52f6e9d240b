//! Locks: the contract, which is that of the engine's own, and adapters.

#[cfg(feature = "outside")]
pub mod redis;

use std::fmt;
use std::time::Duration;

use crate::Reply;

/// Keeps locks, each known by a scope and a name. A scope tells apart whose locks they are; it may be empty.
///
/// - A lock MUST have one holder at most at any time. Its holder MUST NOT get it a second time either.
/// - A lock MUST be free when the time for which it was taken has passed, whether anybody gives it back or not.
/// - Only its holder MUST be able to give a lock back, and only while it is held.
/// - An answer MUST come in bounded time, also while what keeps the locks is away; and what keeps them MUST be found
///   again when it is back, without help.
/// - Nobody MUST be told to hold a lock that does not. After [`Error::Unavailable`] whoever asked may hold it.
pub trait Store: Send + Sync {
    /// Takes a lock for an owner and a time, if it is free; whether it was.
    fn try_lock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> Reply<'a, Result<bool, Error>>;

    /// Gives a lock back.
    fn unlock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
    ) -> Reply<'a, Result<Unlocked, Error>>;
}

/// What came of giving a lock back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It is free.
    Done,
    /// It was free already.
    NotHeld,
    /// It is somebody else's.
    Others,
}

/// Why there is no answer, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It cannot be done as it was asked for.
    Invalid(String),
    /// It was to be done once under a key, and the key was used for something else.
    Reused(String),
    /// What keeps the locks could not be asked, or did not answer: it may have been done.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Invalid(why) | Error::Reused(why) | Error::Unavailable(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Error {}
