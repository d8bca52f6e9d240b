//! Locks: stores as they are declared, over the engine's.
//!
//! A store's name is a store of the engine, and the prefix of its locks' names a scope there, so two applications that name the
//! same lock have two, unless the prefix says that they share it. Who asks is told whether it holds the lock, never to wait: that
//! is Dapr's contract.

mod engine;

use std::collections::HashMap;
use std::time::Duration;

use ::engine::blocks::Idempotency;
use components::lock::{self, Store, Unlocked};
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::config::{Adapter, Block, Config, Place, Prefix};
use crate::error::Error;
use crate::idempotency;
use crate::resiliency::Family;
use crate::state::Engine;

pub use engine::Kept;

/// The stores of locks that are declared, by name.
pub(crate) struct Locks {
    declared: HashMap<String, Declared>,
    /// What all others are.
    otherwise: Declared,
}

/// What a store is.
struct Declared {
    place: Place<Adapter<dyn lock::Store>>,
    scope: String,
}

/// A lock that somebody wants, or gives back.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The store.
    pub store: &'a str,
    /// The lock's name.
    pub name: &'a str,
    /// Who.
    pub owner: &'a str,
}

impl Locks {
    pub(crate) fn new(config: &Config) -> Locks {
        let declared = config.components.iter().filter_map(|component| {
            let Block::Locks { place, prefix } = &component.block else { return None };
            let scope = config.scope(&component.name, prefix);
            Some((component.name.clone(), Declared { place: place.clone(), scope }))
        });
        let otherwise = Declared { place: Place::Disk, scope: config.scope("", &Prefix::AppId) };
        Locks { declared: declared.collect(), otherwise }
    }
}

/// Asks whoever keeps the locks.
macro_rules! ask {
    ($api:expr, $wanted:expr, $declared:expr, $once:expr, $keeper:ident => $ask:expr) => {
        match (&$declared.place, $api.host.memory()) {
            (Place::Outside(outside), _) => {
                let $keeper = &*outside.0;
                $ask.await
            }
            (Place::Memory, Some(memory)) => {
                let $keeper = &Kept::new($wanted.store, Engine::Memory(memory)).once($once);
                $ask.await
            }
            _ => {
                let $keeper = &Kept::new($wanted.store, Engine::Disk($api.host.disk())).once($once);
                $ask.await
            }
        }
    };
}

impl Api {
    /// Takes a lock for a time, if it is free; whether it was. Under `once` it is taken once: who asks again is told whether it
    /// is still held, and holds it for that time from then on.
    ///
    /// # Errors
    ///
    /// If there is no such store, something is missing, or whoever keeps the locks does not answer or remembers no keys.
    pub async fn try_lock(
        &self,
        wanted: Wanted<'_>,
        seconds: i32,
        once: Option<&Idempotency>,
    ) -> Result<bool, Error> {
        let Some(seconds) = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0) else {
            return Err(Error::malformed(format!(
                "ExpiryInSeconds is not positive in lock store {}",
                wanted.store
            )));
        };
        let declared = self.lock_store(wanted, once)?;
        check_name(wanted.name).map_err(|error| try_lock_failed(&error))?;
        let ttl = Duration::from_secs(seconds);
        let asking = self.guards.asking(Family::Lock, wanted.store);
        let ask = async || ask!(self, wanted, declared, once, keeper => keeper.try_lock(&declared.scope, wanted.name, wanted.owner, ttl));
        let answer = asking.run(ask).await;
        answer.map_err(|error| try_lock_failed(&error))
    }

    /// Gives a lock back, once under `once`.
    ///
    /// # Errors
    ///
    /// As [`Api::try_lock`].
    pub async fn unlock(&self, wanted: Wanted<'_>, once: Option<&Idempotency>) -> Result<Unlocked, Error> {
        let declared = self.lock_store(wanted, once)?;
        check_name(wanted.name).map_err(|error| unlock_failed(&error))?;
        let asking = self.guards.asking(Family::Lock, wanted.store);
        let ask = async || ask!(self, wanted, declared, once, keeper => keeper.unlock(&declared.scope, wanted.name, wanted.owner));
        let answer = asking.run(ask).await;
        answer.map_err(|error| unlock_failed(&error))
    }

    fn lock_store(&self, wanted: Wanted<'_>, once: Option<&Idempotency>) -> Result<&Declared, Error> {
        let store = wanted.store;
        if wanted.name.is_empty() {
            return Err(Error::malformed(format!("ResourceId is empty in lock store {store}")));
        }
        if wanted.owner.is_empty() {
            return Err(Error::malformed(format!("LockOwner is empty in lock store {store}")));
        }
        match self.locks.declared.get(store) {
            Some(Declared { place: Place::Outside(_), .. }) if once.is_some() => {
                Err(idempotency::refused(format!(
                    "the locks of {store} are kept outside, where nobody remembers what was asked under a key"
                )))
            }
            Some(declared) => Ok(declared),
            None if self.may_be_undeclared("lock", "lock store", store) => Ok(&self.locks.otherwise),
            None => Err(Error::new(
                "ERR_LOCK_STORE_NOT_FOUND",
                StatusCode::BAD_REQUEST,
                Code::InvalidArgument,
                format!("lock store {store} not found"),
            )),
        }
    }
}

/// What parts a name from its prefix is in no name.
fn check_name(name: &str) -> Result<(), lock::Error> {
    match name.contains("||") {
        true => Err(lock::Error::Unavailable(format!("input key/keyPrefix '{name}' can't contain '||'"))),
        false => Ok(()),
    }
}

fn try_lock_failed(error: &lock::Error) -> Error {
    failed("ERR_TRY_LOCK", error, format!("failed to try acquiring lock: {error}"))
}

fn unlock_failed(error: &lock::Error) -> Error {
    failed("ERR_UNLOCK", error, format!("failed to release lock: {error}"))
}

fn failed(code: &'static str, error: &lock::Error, message: String) -> Error {
    match error {
        lock::Error::Invalid(_) => Error::new(code, StatusCode::BAD_REQUEST, Code::InvalidArgument, message),
        lock::Error::Reused(_) => Error::new(code, StatusCode::CONFLICT, Code::FailedPrecondition, message),
        lock::Error::Unavailable(_) => {
            Error::new(code, StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
        }
    }
}
