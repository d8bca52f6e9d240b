//! Key-value state: items in stores.

mod put;

pub use put::Put;

use crate::body::Stored;
use crate::context::{Context, read};
use crate::key::{Key, Table};
use crate::refusal::{Code, Refusal};
use crate::state::Read;

/// A command to key-value state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    /// Which.
    #[prost(oneof = "Kind", tags = "1")]
    pub kind: Option<Kind>,
}

/// The commands to key-value state.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// Puts an item.
    #[prost(message, tag = "1")]
    Put(Put),
}

/// What a command to key-value state was answered.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reply {
    /// The item's ETag now.
    #[prost(uint64, tag = "1")]
    pub etag: u64,
}

/// An item: a value under [`Table::KvItem`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Item {
    /// The sequence of the entry that wrote it last.
    #[prost(uint64, tag = "1")]
    pub etag: u64,
    /// Its value.
    #[prost(message, required, tag = "2")]
    pub value: Stored,
}

impl Command {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match &self.kind {
            Some(Kind::Put(put)) => put.check(),
            None => Err(Refusal::new(Code::Invalid, "the command to key-value state is empty")),
        }
    }

    pub(crate) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        match &self.kind {
            Some(Kind::Put(put)) => put.apply(context),
            None => panic!("the log holds a command to key-value state that this version does not know"),
        }
    }
}

impl From<Put> for crate::command::Command {
    fn from(put: Put) -> Self {
        Command { kind: Some(Kind::Put(put)) }.into()
    }
}

/// The item `key` of `store`.
pub fn get(state: &(impl Read + ?Sized), store: &str, key: &[u8]) -> Option<Item> {
    read(state, &item_key(store, key))
}

fn item_key(store: &str, key: &[u8]) -> Key {
    Key::new(Table::KvItem).name(store).bytes(key)
}
