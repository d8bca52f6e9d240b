//! Moving a projection on.

use std::collections::BTreeSet;
use std::iter;

use super::{Checkpoint, Reply, projection_key};
use crate::context::Context;
use crate::key::Key;
use crate::kv;
use crate::limits;
use crate::placement::SHARDS_MAX;
use crate::refusal::{Code, Refusal};

/// Moves a projection's checkpoint on, and writes what came of the events up to there, in one commit.
///
/// Its place is the shard of its output, whichever shards its events are of; so of each shard of a store it
/// has a checkpoint there, and can move on in several at once. What it writes elsewhere goes with the entry as sends, and is in the same commit, too.
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
    /// Further shards of the store that it moves on in. All of them, or none.
    #[prost(message, repeated, tag = "7")]
    pub more: Vec<Step>,
}

/// Moving on in a shard of a store.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Step {
    /// The shard.
    #[prost(uint32, tag = "1")]
    pub shard: u32,
    /// As [`Project::expected`].
    #[prost(uint64, tag = "2")]
    pub expected: u64,
    /// As [`Project::position`].
    #[prost(uint64, tag = "3")]
    pub position: u64,
}

impl Project {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("projection", &self.projection)?;
        limits::name("store", &self.store)?;
        limits::within("shards in which a projection moves on", self.more.len(), SHARDS_MAX as usize)?;
        if let Some(step) = self.steps().find(|step| step.position <= step.expected) {
            let back = format!(
                "a projection moves forwards: not from position {} to {}",
                step.expected, step.position
            );
            return Err(Refusal::new(Code::Invalid, back));
        }
        let shards: BTreeSet<u32> = self.steps().map(|step| step.shard).collect();
        if shards.len() <= self.more.len() {
            return Err(Refusal::new(Code::Invalid, "a projection moves on once in each shard"));
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
        for step in self.steps() {
            let is = context.get_or_default::<Checkpoint>(&self.key(step)).position;
            if is != step.expected {
                let moved = format!(
                    "the projection {:?} has read shard {} of {:?} up to position {is}, not {}",
                    self.projection, step.shard, self.store, step.expected
                );
                return Err(Refusal::new(Code::Conflict, moved));
            }
        }
        if let Some(output) = &self.output {
            output.apply(context)?;
        }
        let time = context.time().as_millis();
        for step in self.steps() {
            context.put(self.key(step), &Checkpoint { position: step.position, time });
        }
        Ok(Reply { version: 0, position: self.position })
    }

    fn steps(&self) -> impl Iterator<Item = Step> {
        let first = Step { shard: self.shard, expected: self.expected, position: self.position };
        iter::once(first).chain(self.more.iter().copied())
    }

    fn key(&self, step: Step) -> Key {
        projection_key(&self.projection, &self.store, step.shard)
    }
}
