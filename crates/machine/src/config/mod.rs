//! Configuration: items that the operator sets and services watch.
//!
//! An item has a value, a revision (the sequence of the entry that set it), the version that the operator
//! calls it by, and metadata. What is set together changes together: who reads between two entries sees
//! all of one and nothing of the other. Each store keeps its last [changes](crate::changes), so whoever
//! watches goes on from the position that it has seen, and one who was away for too long is told to read
//! everything anew.

mod edit;
mod read;
mod write;

pub use edit::{Edit, Set, What};
pub use read::{changes, get, list, position, stores};
pub use write::Write;

use std::collections::BTreeMap;

use crate::body::Stored;
use crate::changes::Keep;
use crate::command::commands;
use crate::key::{Key, Table};
use crate::placement::{Shard, Shards};

/// Most items of a store.
pub const ITEMS_MAX: u64 = 10_000;
/// Most edits that are made together.
pub const EDITS_MAX: usize = 1_000;
/// How many of its last changes a store keeps.
pub const CHANGES_KEPT: u64 = 10_000;

const KEEP: Keep = Keep { count: CHANGES_KEPT, age_ms: 0, values: false };

commands! {
    "configuration";
    /// Sets and deletes items.
    1 => Write,
}

/// What a command to configuration was answered.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reply {
    /// The revision of all that was set.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
}

/// An item: a value under [`Table::Config`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Item {
    /// The sequence of the entry that set it.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    /// Its value.
    #[prost(message, required, tag = "2")]
    pub value: Stored,
    /// What the operator calls this version; may be empty.
    #[prost(string, tag = "3")]
    pub version: String,
    /// What else the operator says of it.
    #[prost(btree_map = "string, string", tag = "4")]
    pub metadata: BTreeMap<String, String>,
}

/// The shard of a store's items: all in one, so that they change together.
pub fn shard(shards: Shards, store: &str) -> Shard {
    shards.of(&[b"config", store.as_bytes()])
}

fn item_key(store: &str, key: &str) -> Key {
    items_key(store).bytes(key.as_bytes())
}

fn items_key(store: &str) -> Key {
    Key::new(Table::Config).name(store).u8(1)
}

/// How many items a store has.
fn count_key(store: &str) -> Key {
    Key::new(Table::Config).name(store).u8(0)
}

fn change_list(store: &str) -> Key {
    Key::new(Table::ConfigChange).name(store)
}
