//! The engine's locks behind the trait that stores outside implement too, so that one suite holds for all.

use std::time::{Duration, SystemTime};

use components::Reply;
use components::lock::{Error, Store, Unlocked};
use engine::Kind;
use engine::blocks::{Idempotency, Time};

use crate::state::Engine;
use crate::time::millis;

/// A store of locks of an engine.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    name: &'a str,
    engine: Engine<'a>,
    once: Option<&'a Idempotency>,
}

/// Asks whichever engine keeps the lock.
macro_rules! ask {
    ($kept:expr, $once:expr, $scope:expr, $name:expr, $lock:ident => $ask:expr) => {
        match $kept.engine {
            Engine::Disk(engine) => {
                let $lock = engine.lock($kept.name, $scope, $name);
                let $lock = match $once {
                    Some(once) => $lock.once(once),
                    None => $lock,
                };
                $ask.await
            }
            Engine::Memory(engine) => {
                let $lock = engine.lock($kept.name, $scope, $name);
                let $lock = match $once {
                    Some(once) => $lock.once(once),
                    None => $lock,
                };
                $ask.await
            }
        }
    };
}

impl<'a> Kept<'a> {
    /// The store of this name.
    pub fn new(name: &'a str, engine: Engine<'a>) -> Kept<'a> {
        Kept { name, engine, once: None }
    }

    /// The same, with what is asked done once under this.
    #[must_use]
    pub fn once(self, once: Option<&'a Idempotency>) -> Kept<'a> {
        Kept { once, ..self }
    }

    /// Whether a lock that was granted is held still, which is asked where that may have been long ago. It is held for `ttl`
    /// from now on then, for that is what whoever asked believes who is told so only now.
    async fn hold(
        &self,
        scope: &str,
        name: &str,
        owner: &str,
        token: u64,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let extended =
            ask!(self, None::<&Idempotency>, scope, name, lock => lock.extend(owner, Some(token), ttl));
        match extended.map_err(|error| (error.kind(), error)) {
            Ok(_) => Ok(true),
            Err((Kind::NotFound | Kind::Fenced, _)) => Ok(false),
            Err((_, error)) => Err(refused(&error)),
        }
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
            let asked = millis(SystemTime::now());
            let held = ask!(self, self.once, scope, name, lock => lock.try_lock(owner, ttl));
            match held.map_err(|error| refused(&error))? {
                None => Ok(false),
                // The answer of before, of a lease that does not last as long.
                Some(held)
                    if self.once.is_some()
                        && held.until
                            < Time::from_millis(asked)
                                .after(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)) =>
                {
                    self.hold(scope, name, owner, held.token, ttl).await
                }
                Some(_) => Ok(true),
            }
        })
    }

    fn unlock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
    ) -> Reply<'a, Result<Unlocked, Error>> {
        Box::pin(async move {
            let unlocked = ask!(self, self.once, scope, name, lock => lock.unlock(owner, None));
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
        Kind::Reused => Error::Reused(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}
