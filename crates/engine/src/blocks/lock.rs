//! Locks: leases with fencing tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use log::Log;
use machine::command::Answer;
pub use machine::lock::Place;
use machine::{Entry, Shard, Time, lock};
use tokio::time::Instant;

use super::{Ask, dressing, millis, unexpected};
use crate::engine::Engine;
use crate::error::Error;
use crate::store::Store;
use crate::wait::Waiters;

/// A lock.
pub struct Lock<'a, L, S> {
    ask: Ask<'a, L, S>,
    store: &'a str,
    scope: &'a str,
    name: &'a str,
}

/// A lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The fencing token: greater than all of this lock before.
    pub token: u64,
    /// Until when.
    pub until: Time,
}

dressing!(Lock);

impl<L: Log, S: Store> Engine<L, S> {
    /// The first `max` locks that somebody holds, by store, scope and name; each with its owner.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn locks(&self, max: usize) -> Result<Vec<(Place, String, Held)>, Error> {
        let mut all = BTreeMap::new();
        for shard in self.inner.shards().all() {
            all.extend(self.inner.read(shard, |state, now| lock::held(state, max, now))?);
        }
        let told = |(place, lease): (Place, lock::Lease)| {
            let held = Held { token: lease.token, until: lease.expires() };
            (place, lease.owner, held)
        };
        Ok(all.into_iter().take(max).map(told).collect())
    }
}

impl<'a, L: Log, S: Store> Lock<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, store: &'a str, scope: &'a str, name: &'a str) -> Lock<'a, L, S> {
        Lock { ask, store, scope, name }
    }

    /// Takes the lock for `owner` and `ttl`, if it is free. Nothing if somebody holds it.
    ///
    /// # Errors
    ///
    /// If something is malformed.
    pub async fn try_lock(&self, owner: &str, ttl: Duration) -> Result<Option<Held>, Error> {
        let answer = self.ask.propose(self.shard(), Entry::new(self.command(owner, ttl))).await?;
        Ok(held(answer))
    }

    /// As [`Lock::try_lock`], and waits until it is free, no longer than `wait`. Who waits longest does not get it
    /// first. If the future is dropped the lock is not held.
    ///
    /// # Errors
    ///
    /// If something is malformed, or the engine has ended.
    pub async fn lock(&self, owner: &str, ttl: Duration, wait: Duration) -> Result<Option<Held>, Error> {
        let inner = self.ask.inner;
        let deadline = Instant::now().checked_add(wait);
        let waiting = Waiters::at(inner.waiters(), vec![lock::channel(self.store, self.scope, self.name)]);
        loop {
            let woken = waiting.woken();
            let is_free = self.ask.read(self.shard(), |state, now| {
                lock::get(state, self.store, self.scope, self.name, now).is_none()
            })?;
            if is_free {
                let entry = self.ask.dress(Entry::new(self.command(owner, ttl)));
                let undo = self.undo(owner);
                let reply = inner.propose_or_undo(self.shard(), entry, undo, || {}).await?;
                if let Some(held) = held(reply.answer) {
                    return Ok(Some(held));
                }
                continue;
            }
            match deadline {
                Some(deadline) => {
                    if tokio::time::timeout_at(deadline, woken).await.is_err() {
                        return Ok(None);
                    }
                }
                None => woken.await,
            }
            inner.may_go_on()?;
        }
    }

    /// Holds it for `ttl` from now on.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Kind::NotFound) if nobody holds it, [`Fenced`](crate::Kind::Fenced) if somebody else does, or
    /// the token is an earlier one.
    pub async fn extend(&self, owner: &str, token: Option<u64>, ttl: Duration) -> Result<Held, Error> {
        let (store, scope, name) = self.place();
        let owner = owner.to_owned();
        let extend = lock::Extend { store, scope, name, owner, token, ttl_ms: millis(ttl) };
        let answer = self.ask.propose(self.shard(), Entry::new(extend)).await?;
        Ok(held(answer).unwrap_or_else(|| unexpected(None)))
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// As [`Lock::extend`].
    pub async fn unlock(&self, owner: &str, token: Option<u64>) -> Result<(), Error> {
        let (store, scope, name) = self.place();
        let unlock = lock::Unlock { store, scope, name, owner: owner.to_owned(), token };
        self.ask.propose(self.shard(), Entry::new(unlock)).await.map(|_| ())
    }

    /// Who holds it, if somebody does.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn get(&self) -> Result<Option<(String, Held)>, Error> {
        let lease = self
            .ask
            .read(self.shard(), |state, now| lock::get(state, self.store, self.scope, self.name, now))?;
        Ok(lease.map(|lease| {
            let held = Held { token: lease.token, until: lease.expires() };
            (lease.owner, held)
        }))
    }

    fn command(&self, owner: &str, ttl: Duration) -> lock::TryLock {
        let (store, scope, name) = self.place();
        lock::TryLock { store, scope, name, owner: owner.to_owned(), ttl_ms: millis(ttl) }
    }

    /// Gives the lock back that nobody is there for any more; if that does not work, its time ends.
    fn undo(&self, owner: &str) -> impl FnOnce(machine::Reply) + Send + 'static + use<L, S> {
        let (inner, shard) = (std::sync::Arc::downgrade(self.ask.inner), self.shard());
        let (store, scope, name) = self.place();
        let owner = owner.to_owned();
        move |reply| {
            if let (Some(held), Some(inner)) = (held(reply.answer), inner.upgrade()) {
                let unlock = lock::Unlock { store, scope, name, owner, token: Some(held.token) };
                let _ = inner.propose_then(shard, Entry::new(unlock), |_| {});
            }
        }
    }

    fn place(&self) -> (String, String, String) {
        (self.store.to_owned(), self.scope.to_owned(), self.name.to_owned())
    }

    fn shard(&self) -> Shard {
        lock::shard(self.ask.inner.shards(), self.store, self.scope, self.name)
    }
}

fn held(answer: Option<Answer>) -> Option<Held> {
    match answer {
        Some(Answer::Lock(reply)) => {
            reply.held.then(|| Held { token: reply.token, until: Time::from_millis(reply.expires_ms) })
        }
        odd => unexpected(odd),
    }
}
