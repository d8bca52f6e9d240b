//! Setting a projection back.

use std::iter;

use super::{Checkpoint, Reply, projection_key};
use crate::context::Context;
use crate::limits;
use crate::placement::SHARDS_MAX;
use crate::refusal::Refusal;

/// Sets a projection's checkpoint, whatever it is, so that it reads again from there on. Who moves the
/// projection meanwhile is refused, and reads the checkpoint anew. What it wrote stays.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Rewind {
    /// The projection's name.
    #[prost(string, tag = "1")]
    pub projection: String,
    /// The store that it reads,
    #[prost(string, tag = "2")]
    pub store: String,
    /// and the shard of it.
    #[prost(uint32, tag = "3")]
    pub shard: u32,
    /// The position of the last event that counts as read; zero for none, which forgets the checkpoint.
    #[prost(uint64, tag = "4")]
    pub position: u64,
    /// The same for further shards.
    #[prost(message, repeated, tag = "5")]
    pub more: Vec<Mark>,
}

/// Where a projection is set in a shard of a store.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Mark {
    /// The shard.
    #[prost(uint32, tag = "1")]
    pub shard: u32,
    /// As [`Rewind::position`].
    #[prost(uint64, tag = "2")]
    pub position: u64,
}

impl Rewind {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("projection", &self.projection)?;
        limits::name("store", &self.store)?;
        limits::within("shards in which a projection is set", self.more.len(), SHARDS_MAX as usize)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let time = context.time().as_millis();
        let first = Mark { shard: self.shard, position: self.position };
        for Mark { shard, position } in iter::once(first).chain(self.more.iter().copied()) {
            let key = projection_key(&self.projection, &self.store, shard);
            match position {
                0 => context.delete(key),
                _ => context.put(key, &Checkpoint { position, time }),
            }
        }
        Ok(Reply { version: 0, position: self.position })
    }
}
