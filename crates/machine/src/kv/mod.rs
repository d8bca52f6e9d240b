//! Key-value state: items in stores.
//!
//! An item is known by its store, a scope and its key. The scope is whose item it is, as a rule a
//! service: the same key in two scopes is two items. It stands between store and key in the order of
//! keys, so all of a scope lies together and a scan cannot leave it. It may be empty, where services
//! share a store.
//!
//! An item's ETag is the sequence of the entry that wrote it: it never comes back, also not when an item
//! is deleted and made anew. A write may name the ETag that it relies on (the first write wins); without
//! one the last write wins.
//!
//! An item with a time to live is gone when that has passed, by the time of whoever looks: the entry's
//! for a command, the reader's for a read. Its timer only clears up. A put that extends the life of an
//! item leaves its timer where it is; when that fires too early it is set anew. What is refreshed with
//! every request so costs no timer each time.
//!
//! A store keeps its [changes](crate::changes) if it is told to ([`Define`]). Of one that does not, a
//! command reads that it does not, and no more.

mod bulk;
mod define;
mod delete;
mod operation;
mod placement;
mod put;
mod read;
mod transact;
mod write;

pub use bulk::Bulk;
pub use define::Define;
pub use delete::Delete;
pub use operation::{Action, Operation, Value};
pub use placement::{Placement, home};
pub use put::Put;
pub use read::{
    Listing, Page, changes, count, definition, get, has_items, history, list, scopes, span, stores,
};
pub use transact::Transact;
pub(crate) use write::{clear, expire};

use crate::body::Stored;
use crate::changes::Keep;
use crate::command::commands;
use crate::key::{Key, Table};
use crate::limits;
use crate::refusal::Refusal;
use crate::time::Time;

/// Most operations of a transaction or a bulk, so that no entry takes long.
pub const OPERATIONS_MAX: usize = 1_000;
/// Most items of a page of a listing.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Most items that are looked at for one page: those that have expired are looked at, and not in it.
pub const PAGE_VISITED_MAX: usize = 4_000;

commands! {
    "key-value state";
    /// Puts an item.
    1 => Put,
    /// Deletes an item.
    2 => Delete,
    /// Does several things, all or none.
    3 => Transact,
    /// Does several things, each by itself.
    4 => Bulk,
    /// Says what a store keeps.
    5 => Define,
}

/// What a command to key-value state was answered.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reply {
    /// The ETag of all that it put; zero if it put nothing.
    #[prost(uint64, tag = "1")]
    pub etag: u64,
    /// Whether the one item that it put or deleted was there before.
    #[prost(bool, tag = "2")]
    pub existed: bool,
    /// Which operations of a bulk were refused.
    #[prost(message, repeated, tag = "3")]
    pub failed: Vec<Failed>,
}

/// An operation of a bulk that was refused.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Failed {
    /// Its place among the operations, from zero.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// Why.
    #[prost(message, required, tag = "2")]
    pub refusal: Refusal,
}

/// An item: a value under [`Table::KvItem`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Item {
    /// The sequence of the entry that wrote it.
    #[prost(uint64, tag = "1")]
    pub etag: u64,
    /// Its value.
    #[prost(message, required, tag = "2")]
    pub value: Stored,
    /// When it expires, in milliseconds since the epoch; zero for never.
    #[prost(uint64, tag = "3")]
    pub expires_ms: u64,
    /// Where its timer is set, not after it expires; zero if there is none.
    #[prost(uint64, tag = "4")]
    pub timer_ms: u64,
}

/// What is known of a store: a value under [`Table::KvStore`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct Store {
    /// For how long its changes are kept, if they are.
    #[prost(message, optional, tag = "1")]
    changes: Option<Keep>,
    /// Whether its items are placed by key.
    #[prost(bool, tag = "2")]
    spread: bool,
}

impl Item {
    /// When it expires, if it does.
    pub fn expires(&self) -> Option<Time> {
        Time::recorded(self.expires_ms)
    }

    fn timer(&self) -> Option<Time> {
        Time::recorded(self.timer_ms)
    }

    fn is_live(&self, now: Time) -> bool {
        self.expires().is_none_or(|expires| now < expires)
    }
}

fn item_key(store: &str, scope: &str, key: &[u8]) -> Key {
    Key::new(Table::KvItem).name(store).name(scope).bytes(key)
}

fn store_key(store: &str) -> Key {
    Key::new(Table::KvStore).name(store)
}

fn change_list(store: &str) -> Key {
    Key::new(Table::KvChange).name(store)
}

fn check_place(store: &str, scope: &str) -> Result<(), Refusal> {
    limits::name("store", store)?;
    limits::scope(scope)
}
