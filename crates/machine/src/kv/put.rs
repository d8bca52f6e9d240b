//! Putting an item.

use bytes::Bytes;

use super::{Item, Reply, item_key};
use crate::body::Body;
use crate::context::Context;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Puts an item in place of what was there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Put {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// The item's key.
    #[prost(bytes = "bytes", tag = "2")]
    pub key: Bytes,
    /// The payload that is its value.
    #[prost(uint32, tag = "3")]
    pub value: Body,
    /// The ETag that the item must have; zero if it must not exist. Without one, the last write wins.
    #[prost(uint64, optional, tag = "4")]
    pub etag: Option<u64>,
}

impl Put {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("store", &self.store)?;
        limits::key("item", &self.key)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = item_key(&self.store, &self.key);
        let before: Option<Item> = context.get(&key);
        let is = before.as_ref().map_or(0, |item| item.etag);
        if self.etag.is_some_and(|wanted| wanted != is) {
            return Err(Refusal::new(Code::Conflict, "the item has been changed: its ETag does not match"));
        }
        let value = context.store(self.value)?;
        if let Some(before) = before {
            context.release(&before.value);
        }
        let etag = context.sequence();
        context.put(key, &Item { etag, value });
        Ok(Reply { etag })
    }
}
