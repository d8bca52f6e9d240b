//! Which shard an item belongs to.

use crate::placement::{Shard, Shards};

/// What decides which shard an item belongs to. Chosen for a store when it is made, and for good: items
/// would be looked for elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Store and scope: all that a service has in a store is in one shard, so a transaction takes any of
    /// it and a listing is whole. The default.
    #[default]
    Scope,
    /// Store, scope and key: a service's items are spread over all shards. A transaction takes only what
    /// is in one of them, and a listing has to be made of all.
    Key,
}

/// The shard that a store is defined at first.
pub fn home(shards: Shards, store: &str) -> Shard {
    shards.of(&[b"kv", store.as_bytes()])
}

impl Placement {
    /// The shard of an item.
    pub fn shard(self, shards: Shards, store: &str, scope: &str, key: &[u8]) -> Shard {
        let (store, scope) = (store.as_bytes(), scope.as_bytes());
        match self {
            Placement::Scope => shards.of(&[b"kv", store, scope]),
            Placement::Key => shards.of(&[b"kv", store, scope, key]),
        }
    }

    /// The shard of all of `keys`; nothing if they are in several, or there are none.
    pub fn shard_of_all<'a>(
        self,
        shards: Shards,
        store: &str,
        scope: &str,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Shard> {
        let mut keys = keys.into_iter();
        let first = self.shard(shards, store, scope, keys.next()?);
        let together =
            self == Placement::Scope || keys.all(|key| self.shard(shards, store, scope, key) == first);
        together.then_some(first)
    }
}
