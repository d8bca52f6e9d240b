//! The engine's locks behind the trait that stores outside implement too, so that one suite holds for all.

use std::time::Duration;

use components::Reply;
use components::lock::{Error, Store, Unlocked};
use engine::Kind;

use crate::state::Engine;

/// A store of locks of an engine.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    name: &'a str,
    engine: Engine<'a>,
}

/// Asks whichever engine keeps the lock.
macro_rules! ask {
    ($kept:expr, $scope:expr, $name:expr, $lock:ident => $ask:expr) => {
        match $kept.engine {
            Engine::Disk(engine) => {
                let $lock = engine.lock($kept.name, $scope, $name);
                $ask.await
            }
            Engine::Memory(engine) => {
                let $lock = engine.lock($kept.name, $scope, $name);
                $ask.await
            }
        }
    };
}

impl<'a> Kept<'a> {
    /// The store of this name.
    pub fn new(name: &'a str, engine: Engine<'a>) -> Kept<'a> {
        Kept { name, engine }
    }
}

impl Store for Kept<'_> {
    fn try_lock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> Reply<'a, Result<bool, Error>> {
        Box::pin(async move {
            let held = ask!(self, scope, name, lock => lock.try_lock(owner, ttl));
            held.map(|held| held.is_some()).map_err(|error| refused(&error))
        })
    }

    fn unlock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
    ) -> Reply<'a, Result<Unlocked, Error>> {
        Box::pin(async move {
            let unlocked = ask!(self, scope, name, lock => lock.unlock(owner, None));
            match unlocked.map_err(|error| (error.kind(), error)) {
                Ok(()) => Ok(Unlocked::Done),
                Err((Kind::NotFound, _)) => Ok(Unlocked::NotHeld),
                Err((Kind::Fenced, _)) => Ok(Unlocked::Others),
                Err((_, error)) => Err(refused(&error)),
            }
        })
    }
}

fn refused(error: &engine::Error) -> Error {
    match error.kind() {
        Kind::Invalid | Kind::TooLarge => Error::Invalid(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}
