//! The one index of what must happen later: expiry, delays, schedules, leases, retries.
//!
//! A timer is a key that begins with when it is due, and says whose it is. The leader looks at the
//! first of them; when that is due it proposes a [`Fire`], which makes it happen at the same place in
//! the log for everyone.

mod fire;

pub use fire::Fire;

use bytes::Bytes;

use crate::context::Context;
use crate::key::{Key, Parts, Table};
use crate::limits::TIMERS_MAX;
use crate::refusal::{Code, Refusal};
use crate::state::{Order, Read};
use crate::time::Time;

/// Whose a timer is, and what it means: the block that gets it back when it fires.
///
/// The numbers are in files on disk: they are never used for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Owner {
    /// A reply is no longer remembered.
    Idempotency = 0x01,
    /// An item of key-value state has expired.
    Kv = 0x10,
    /// Changes of a key-value store are too old or too many.
    KvChange = 0x11,
    /// Messages of a partition are not kept any longer.
    Topic = 0x20,
    /// A message is delayed no longer.
    TopicDelayed = 0x21,
    /// Something of a queue is due.
    Queue = 0x30,
    /// A lock's lease has ended.
    Lock = 0x60,
    /// Events of a stream are to be taken out.
    StreamTrim = 0x40,
    /// A job is due.
    Job = 0x50,
}

impl Owner {
    fn of(byte: u8) -> Option<Owner> {
        OWNERS.into_iter().find(|owner| *owner as u8 == byte)
    }
}

const OWNERS: [Owner; 9] = [
    Owner::Idempotency,
    Owner::Kv,
    Owner::KvChange,
    Owner::Topic,
    Owner::TopicDelayed,
    Owner::Queue,
    Owner::Lock,
    Owner::StreamTrim,
    Owner::Job,
];

impl Context<'_> {
    /// Whether the shard has room for `more` timers, which a command asks before it writes.
    ///
    /// # Errors
    ///
    /// If there would be more than [`TIMERS_MAX`].
    pub fn room_for_timers(&self, more: u64) -> Result<(), Refusal> {
        if more > 0 && self.timers() + more > TIMERS_MAX {
            let full = format!("the shard has {TIMERS_MAX} timers, which are the most");
            return Err(Refusal::new(Code::Limit, full));
        }
        Ok(())
    }

    /// Has `owner` called with `key` at `at`, or as soon after as the leader gets to it. A timer that is
    /// set twice is there once.
    pub fn set_timer(&mut self, at: Time, owner: Owner, key: &[u8]) {
        let timer = timer(at, owner, key);
        if self.state().get(timer.as_bytes()).is_none() {
            self.put_bytes(timer, Bytes::new());
            self.count(self.timers() + 1);
        }
    }

    /// Takes a timer back. Nothing happens if it is not there.
    pub fn cancel_timer(&mut self, at: Time, owner: Owner, key: &[u8]) {
        let timer = timer(at, owner, key);
        if self.state().get(timer.as_bytes()).is_some() {
            self.delete(timer);
            self.count(self.timers().saturating_sub(1));
        }
    }

    /// Sees to it that a timer fires when it is `due`, or before: what has its expiry moved on again and
    /// again has its timer moved only when that fires, and sees then that it was too early. Where it is
    /// `set` is kept beside what expires; the answer is where it is set now.
    pub fn move_timer(
        &mut self,
        set: Option<Time>,
        due: Option<Time>,
        owner: Owner,
        key: &[u8],
    ) -> Option<Time> {
        if let (Some(set), Some(due)) = (set, due)
            && set <= due
        {
            return Some(set);
        }
        if let Some(set) = set {
            self.cancel_timer(set, owner, key);
        }
        if let Some(due) = due {
            self.set_timer(due, owner, key);
        }
        due
    }

    fn timers(&self) -> u64 {
        let count = self.state().get(count_key().as_bytes());
        count.and_then(|count| Some(u64::from_be_bytes(count.as_ref().try_into().ok()?))).unwrap_or(0)
    }

    fn count(&mut self, timers: u64) {
        self.put_bytes(count_key(), Bytes::copy_from_slice(&timers.to_be_bytes()));
    }
}

/// When the first timer is due.
pub fn next(state: &(impl Read + ?Sized)) -> Option<Time> {
    let all = Key::new(Table::Timer);
    let (key, _) = state.first(all.as_bytes(), all.end().as_bytes(), Order::Forwards)?;
    Parts::of(&key).u64().map(Time::from_millis)
}

/// What a timer's key says: when it is due, whose it is, and what its owner knows it by.
pub fn of_key(key: &[u8]) -> Option<(Time, Owner, &[u8])> {
    let mut parts = Parts::of(key);
    Some((Time::from_millis(parts.u64()?), Owner::of(parts.u8()?)?, parts.rest()))
}

fn timer(at: Time, owner: Owner, key: &[u8]) -> Key {
    Key::new(Table::Timer).u64(at.as_millis()).u8(owner as u8).bytes(key)
}

fn count_key() -> Key {
    Key::new(Table::Shard).name("timers")
}
