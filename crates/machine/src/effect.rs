//! What the machine wants done outside, once its entry is durable.
//!
//! An effect may be lost in a crash and must then be found again in the state: it says that there is
//! something to do sooner than looking would.

use xxhash_rust::xxh64::xxh64;

use crate::key::Key;
use crate::placement::Shard;
use crate::refusal::Refusal;

/// What the machine wants done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Whoever waits at this channel has something to look at.
    Wake(Channel),
    /// There is something in the outbox for this shard.
    Outbox(Shard),
    /// What another shard (or this one) sent was refused, and is gone.
    Undeliverable {
        /// Who sent it.
        source: Shard,
        /// Why it was refused.
        refusal: Refusal,
    },
}

/// What can be waited at. Two may share a number: being woken means to look, no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u64);

impl Channel {
    /// New messages in a partition, or old ones that may be had again.
    pub fn topic(topic: &str, partition: u32) -> Channel {
        Channel(xxh64(topic.as_bytes(), 1 << 32 | u64::from(partition)))
    }

    /// Items in a queue.
    pub fn queue(queue: &str) -> Channel {
        Channel(xxh64(queue.as_bytes(), 2 << 32))
    }

    /// Events in any stream of a store.
    pub fn stream(store: &str) -> Channel {
        Channel(xxh64(store.as_bytes(), 3 << 32))
    }

    /// Changes in a store's state.
    pub fn kv(store: &str) -> Channel {
        Channel(xxh64(store.as_bytes(), 4 << 32))
    }

    /// Changes in a store's configuration items.
    pub fn config(store: &str) -> Channel {
        Channel(xxh64(store.as_bytes(), 5 << 32))
    }

    /// A lock that came free: [`crate::lock::channel`].
    pub(crate) fn lock(lock: &Key) -> Channel {
        Channel(xxh64(lock.as_bytes(), 6 << 32))
    }
}
