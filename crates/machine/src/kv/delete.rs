//! Deleting an item.

use bytes::Bytes;

use super::write::Writer;
use super::{Reply, check_place};
use crate::context::Context;
use crate::limits;
use crate::refusal::Refusal;

/// Deletes an item. If there is none, that is as good.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Delete {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// Whose item it is; may be empty.
    #[prost(string, tag = "2")]
    pub scope: String,
    /// The item's key.
    #[prost(bytes = "bytes", tag = "3")]
    pub key: Bytes,
    /// The ETag that the item must have; zero if it must not exist. Without one, the last write wins.
    #[prost(uint64, optional, tag = "4")]
    pub etag: Option<u64>,
}

impl Delete {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope)?;
        limits::key("item", &self.key)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut writer = Writer::new(context, &self.store, &self.scope);
        let before = writer.look_for(&self.key, self.etag)?;
        let existed = before.etag > 0;
        writer.delete(&self.key, before);
        writer.close();
        Ok(Reply { existed, ..Reply::default() })
    }
}
