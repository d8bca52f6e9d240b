//! Locks that are taken, held for longer, given back, and believed to be held when they are no longer.

use machine::Entry;
use machine::lock::{Extend, TryLock, Unlock};

use super::Glance;

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let store = "locks".to_owned();
    let scope = glance.rng.pick(&["", "", "shop"]).to_owned();
    let name = glance.rng.pick(&["a", "a", "a", "b"]).to_owned();
    let owner = glance.rng.pick(&["one", "one", "two"]).to_owned();
    let ttl_ms = glance.rng.pick(&[500, 10_000, 120_000]);
    let last = glance.model.locks(glance.shard).token(&store, &scope, &name);
    let token = match glance.rng.below(4) {
        0 => None,
        // That of an earlier lease.
        1 => Some(glance.rng.between(1, last)),
        _ => Some(last),
    };
    match glance.rng.below(5) {
        0..3 => Entry::new(TryLock { store, scope, name, owner, ttl_ms }),
        3 => Entry::new(Unlock { store, scope, name, owner, token }),
        _ => Entry::new(Extend { store, scope, name, owner, token, ttl_ms }),
    }
}
