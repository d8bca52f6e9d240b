//! Locks: leases with an owner, an end and a fencing token.
//!
//! A lock is known by its store, a scope (whose it is, as a rule a service) and its name. At any time one
//! holds it at most, and not for longer than its time to live unless it is extended: whoever held it and
//! was too slow, paused or cut off, may still believe to hold it. So each grant comes with a token that is
//! greater than every token of that lock before. Whoever is asked to do something under the lock remembers
//! the greatest token it has seen, and refuses those that are less (Kleppmann, "How to do distributed
//! locking", 2016). The token is the sequence of the entry that granted the lock, so it grows also when
//! the lock has been free and forgotten in between, and nothing needs to be kept for it. For that to hold
//! a lock is granted once in an entry at most.
//!
//! A lease has ended when its time has passed by the time of whoever looks, whether its timer has fired or
//! not. To wait for a lock is to try, and to try again when its [`channel`] is woken.

mod extend;
mod read;
mod try_lock;
mod unlock;

pub use extend::Extend;
pub use read::{Place, get, held, list};
pub use try_lock::TryLock;
pub use unlock::Unlock;

use crate::command::commands;
use crate::context::Context;
use crate::effect::Channel;
use crate::key::{Key, Table};
use crate::limits;
use crate::placement::{Shard, Shards};
use crate::refusal::{Code, Refusal};
use crate::time::Time;
use crate::timer::Owner;

commands! {
    "locks";
    /// Takes a lock if it is free.
    1 => TryLock,
    /// Gives a lock back.
    2 => Unlock,
    /// Holds a lock for longer.
    3 => Extend,
}

/// What a command to locks was answered.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reply {
    /// Whether whoever asked holds the lock now.
    #[prost(bool, tag = "1")]
    pub held: bool,
    /// The fencing token, if so.
    #[prost(uint64, tag = "2")]
    pub token: u64,
    /// When the lease ends, in milliseconds since the epoch: one's own, or that of who holds it.
    #[prost(uint64, tag = "3")]
    pub expires_ms: u64,
}

/// A lease: a value under [`Table::Lock`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Lease {
    /// Who holds it; empty if it has been given back in the entry that granted it.
    #[prost(string, tag = "1")]
    pub owner: String,
    /// The fencing token: the sequence of the entry that granted it.
    #[prost(uint64, tag = "2")]
    pub token: u64,
    /// When it ends, in milliseconds since the epoch.
    #[prost(uint64, tag = "3")]
    pub expires_ms: u64,
    /// Where its timer is set, not after it ends.
    #[prost(uint64, tag = "4")]
    pub timer_ms: u64,
}

impl Lease {
    /// When it ends.
    pub fn expires(&self) -> Time {
        Time::from_millis(self.expires_ms)
    }

    fn timer(&self) -> Time {
        Time::from_millis(self.timer_ms)
    }

    /// Whether somebody holds the lock.
    pub fn is_held(&self, now: Time) -> bool {
        !self.owner.is_empty() && now < self.expires()
    }

    /// Puts it under `key`, to end `ttl_ms` from now on. Its timer is where it was set, unless it would come too late.
    fn hold(mut self, context: &mut Context<'_>, key: Key, ttl_ms: u64) -> Reply {
        let expires = context.time().after(ttl_ms);
        let set = Time::recorded(self.timer_ms);
        let timer = context.move_timer(set, Some(expires), Owner::Lock, key.as_bytes());
        (self.expires_ms, self.timer_ms) = (expires.as_millis(), Time::record(timer));
        context.put(key, &self);
        Reply { held: true, token: self.token, expires_ms: self.expires_ms }
    }
}

/// The shard of a lock: those of a service are spread over all.
pub fn shard(shards: Shards, store: &str, scope: &str, name: &str) -> Shard {
    shards.of(&[b"lock", store.as_bytes(), scope.as_bytes(), name.as_bytes()])
}

/// Where whoever wants the lock waits for it to come free.
pub fn channel(store: &str, scope: &str, name: &str) -> Channel {
    Channel::lock(&lock_key(store, scope, name))
}

/// What a lease's timer does: it ends it, or is set anew if it has been extended.
pub(crate) fn expire(context: &mut Context<'_>, key: &[u8]) {
    let key = Key::from(key);
    let Some(lease) = context.get::<Lease>(&key) else {
        debug_assert!(false, "a timer without its lease: {key:?}");
        return;
    };
    if lease.is_held(context.time()) {
        context.set_timer(lease.expires(), Owner::Lock, key.as_bytes());
        context.put(key, &Lease { timer_ms: lease.expires_ms, ..lease });
    } else {
        context.wake(Channel::lock(&key));
        context.delete(key);
    }
}

/// The lease under `key` if it is `owner` who holds it, by `token` if that is given.
fn held_by(context: &Context<'_>, key: &Key, owner: &str, token: Option<u64>) -> Result<Lease, Refusal> {
    let lease: Option<Lease> = context.get(key);
    let Some(lease) = lease.filter(|lease| lease.is_held(context.time())) else {
        return Err(Refusal::new(
            Code::NotFound,
            "nobody holds the lock: the lease has ended, or was given back",
        ));
    };
    if lease.owner != owner {
        return Err(Refusal::new(Code::Fenced, "somebody else holds the lock"));
    }
    if token.is_some_and(|token| token != lease.token) {
        return Err(Refusal::new(
            Code::Fenced,
            "the token is that of an earlier lease: the lock was lost since",
        ));
    }
    Ok(lease)
}

fn check_place(store: &str, scope: &str, name: &str, owner: &str) -> Result<(), Refusal> {
    limits::name("store", store)?;
    limits::scope(scope)?;
    limits::name("lock", name)?;
    limits::name("lock's owner", owner)
}

fn check_ttl(ttl_ms: u64) -> Result<(), Refusal> {
    match ttl_ms {
        0 => Err(Refusal::new(Code::Invalid, "a lock must be held for some time: its time to live is zero")),
        _ => Ok(()),
    }
}

fn lock_key(store: &str, scope: &str, name: &str) -> Key {
    scope_key(store, scope).bytes(name.as_bytes())
}

fn scope_key(store: &str, scope: &str) -> Key {
    Key::new(Table::Lock).name(store).name(scope)
}
