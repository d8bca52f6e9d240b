//! Putting an item.

use bytes::Bytes;

use super::write::Writer;
use super::{Reply, check_place};
use crate::body::Body;
use crate::context::Context;
use crate::limits;
use crate::refusal::Refusal;

/// Puts an item in place of what was there, its time to live included.
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
    /// Whose item it is; may be empty.
    #[prost(string, tag = "5")]
    pub scope: String,
    /// For how long it lives, in milliseconds; zero for ever.
    #[prost(uint64, tag = "6")]
    pub ttl_ms: u64,
}

impl Put {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope)?;
        limits::key("item", &self.key)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut writer = Writer::new(context, &self.store, &self.scope);
        let before = writer.look_for(&self.key, self.etag)?;
        let existed = before.etag > 0;
        writer.context().room_for_timers(before.more_timers(self.ttl_ms))?;
        writer.put(&self.key, before, self.value, self.ttl_ms)?;
        writer.close();
        Ok(Reply { etag: context.sequence(), existed, ..Reply::default() })
    }
}
