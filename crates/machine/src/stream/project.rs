//! Moving a projection on.

use super::{Checkpoint, Reply, projection_key};
use crate::context::Context;
use crate::kv;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Moves a projection's checkpoint on, and writes what came of the events up to there, in one commit.
///
/// Its place is the shard of its output, whichever shard its events are of; so of each shard of a store it
/// has a checkpoint. What it writes elsewhere goes with the entry as sends, and is in the same commit, too.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Project {
    /// The projection's name.
    #[prost(string, tag = "1")]
    pub projection: String,
    /// The store that it reads,
    #[prost(string, tag = "2")]
    pub store: String,
    /// and the shard of it.
    #[prost(uint32, tag = "3")]
    pub shard: u32,
    /// The checkpoint that it must have; zero if it has read nothing. If it has another, then somebody else
    /// has moved it, or this was done before: it is refused with [`Code::Conflict`].
    #[prost(uint64, tag = "4")]
    pub expected: u64,
    /// The position of the last event that it has read now.
    #[prost(uint64, tag = "5")]
    pub position: u64,
    /// What it writes: a put, a deletion or a transaction. If that is refused, all is.
    #[prost(message, optional, tag = "6")]
    pub output: Option<kv::Command>,
}

impl Project {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("projection", &self.projection)?;
        limits::name("store", &self.store)?;
        if self.position <= self.expected {
            let back = format!(
                "a projection moves forwards: not from position {} to {}",
                self.expected, self.position
            );
            return Err(Refusal::new(Code::Invalid, back));
        }
        match &self.output {
            // What is refused of a bulk would be lost: the checkpoint has moved past it.
            Some(kv::Command { kind: Some(kv::Kind::Bulk(_)) }) => {
                let bulk =
                    "a projection's output is written as a whole: make it a transaction instead of a bulk";
                Err(Refusal::new(Code::Invalid, bulk))
            }
            Some(output) => output.check(),
            None => Ok(()),
        }
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = projection_key(&self.projection, &self.store, self.shard);
        let is = context.get_or_default::<Checkpoint>(&key).position;
        if is != self.expected {
            let moved = format!(
                "the projection {:?} has read shard {} of {:?} up to position {is}, not {}",
                self.projection, self.shard, self.store, self.expected
            );
            return Err(Refusal::new(Code::Conflict, moved));
        }
        if let Some(output) = &self.output {
            output.apply(context)?;
        }
        let (position, time) = (self.position, context.time().as_millis());
        context.put(key, &Checkpoint { position, time });
        Ok(Reply { version: 0, position })
    }
}
