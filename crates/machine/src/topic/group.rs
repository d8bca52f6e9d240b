//! What a consumer group has done of a partition.

use super::done::Done;
use super::group_key;
use super::partition::Partition;
use crate::context::Context;
use crate::refusal::{Code, Refusal};

/// A consumer group at a partition: a value under [`Table::TopicGroup`](crate::Table::TopicGroup).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Group {
    /// The first offset that the group is not done with.
    #[prost(uint64, tag = "1")]
    pub cursor: u64,
    /// What it is done with beyond, as [`Done`] writes it.
    #[prost(uint64, repeated, tag = "2")]
    beyond: Vec<u64>,
    /// The sequence of the entry that placed it where it began: what was delivered before is not
    /// acknowledged after.
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// How many messages it never got, since retention took them away.
    #[prost(uint64, tag = "4")]
    pub missed: u64,
    /// How many messages it never got, since they expired.
    #[prost(uint64, tag = "5")]
    pub expired: u64,
}

/// How a group stands at a partition: the answer to those commands that move it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Position {
    /// The first offset that the group is not done with.
    #[prost(uint64, tag = "1")]
    pub cursor: u64,
    /// The sequence of the entry that placed it where it began.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
}

impl Group {
    /// One that begins at `cursor`, placed there by the entry `epoch`.
    pub(super) fn new(cursor: u64, epoch: u64) -> Group {
        Group { cursor, epoch, ..Group::default() }
    }

    /// What it is done with.
    pub fn done(&self) -> Done {
        Done::read(self.cursor, &self.beyond)
    }

    pub(super) fn set_done(&mut self, done: &Done) {
        self.cursor = done.cursor();
        self.beyond = done.steps();
    }

    pub(super) fn position(&self) -> Position {
        Position { cursor: self.cursor, epoch: self.epoch }
    }

    /// Moves it up to the first message that is kept, if it is behind: what retention took away, nobody
    /// can be done with.
    pub(super) fn catch_up(&mut self, done: &mut Done, partition: &Partition) {
        self.missed += done.insert(0..partition.first);
    }
}

/// The group, as a command needs it that comes from who was delivered to.
pub(super) fn open(
    context: &Context<'_>,
    topic: &str,
    partition: u32,
    group: &str,
    epoch: Option<u64>,
) -> Result<Group, Refusal> {
    let Some(found): Option<Group> = context.get(&group_key(topic, partition, group)) else {
        let none = format!("no group {group:?} has subscribed to partition {partition} of topic {topic:?}");
        return Err(Refusal::new(Code::NotFound, none));
    };
    if epoch.is_some_and(|epoch| epoch != found.epoch) {
        let moved = format!("the group {group:?} has been moved since: what was delivered before is void");
        return Err(Refusal::new(Code::Fenced, moved));
    }
    Ok(found)
}
