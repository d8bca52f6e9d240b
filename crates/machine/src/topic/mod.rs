//! Topics: messages in partitions, consumed by groups.
//!
//! A partition lies whole in one shard ([`shard`]), so each command is about one partition of one topic,
//! and order within a partition is that of the shard's log. A message has an *offset*, one more than that
//! of the message before. Those with the same key go to the same partition ([`partition_of`]).
//!
//! A *group* consumes a partition: a cursor, before which it is done with everything, and ranges that it
//! is done with beyond ([`Done`]). Acknowledging is a command; delivering is none: what is with a consumer
//! is known to the leader only, and after a crash all is delivered again that is not acknowledged.

mod acknowledge;
mod done;
mod group;
mod message;
mod partition;
mod publish;
mod publish_batch;
pub mod read;
mod subscribe;

pub use acknowledge::{Acknowledge, Span};
pub use done::Done;
pub use group::{Group, Position};
pub use message::{Attributes, Header, Message, NewMessage};
pub use partition::Partition;
pub use publish::Publish;
pub use publish_batch::PublishBatch;
pub use subscribe::{At, Place, Subscribe};

use xxhash_rust::xxh64::xxh64;

use crate::context::Context;
use crate::key::{Key, Table};
use crate::limits;
use crate::placement::{Shard, Shards};
use crate::refusal::{Code, Refusal};

/// Most partitions of a topic.
pub const PARTITIONS_MAX: u32 = 1024;
/// How many partitions a topic has that nobody defined.
pub const PARTITIONS_DEFAULT: u32 = 8;
/// Most messages that are published at once.
pub const PUBLISH_BATCH_MAX: usize = 10_000;
/// Most groups of a partition.
pub const GROUPS_MAX: usize = 1_000;
/// Most ranges that are acknowledged at once.
pub const ACKNOWLEDGE_MAX: usize = 10_000;
/// Most ranges beyond its cursor that a group remembers: its record is written with every
/// acknowledgement, and this many take some 12 KiB.
pub const RANGES_MAX: usize = 4_096;

/// The shard that a partition lies in.
pub fn shard(shards: Shards, topic: &str, partition: u32) -> Shard {
    shards.of(&[b"topic", topic.as_bytes(), &partition.to_be_bytes()])
}

/// The partition that messages of a key go to, where there are `partitions`.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (xxh64(key, 0) % u64::from(partitions.max(1))) as u32
}

/// A command to a partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    /// Which.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4")]
    pub kind: Option<Kind>,
}

/// The commands to a partition.
///
/// The numbers are in files on disk: they are never used for anything else.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// Publishes a message.
    #[prost(message, tag = "1")]
    Publish(Publish),
    /// Publishes many.
    #[prost(message, tag = "2")]
    PublishBatch(PublishBatch),
    /// Makes a group.
    #[prost(message, tag = "3")]
    Subscribe(Subscribe),
    /// Is done with messages.
    #[prost(message, tag = "4")]
    Acknowledge(Acknowledge),
}

/// What a command to a partition was answered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    /// The answer; nothing where there is nothing to say.
    #[prost(oneof = "Answer", tags = "1, 2, 3")]
    pub answer: Option<Answer>,
}

/// The answers. Numbers as those of [`Kind`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Answer {
    /// Where messages are.
    #[prost(message, tag = "1")]
    Published(Published),
    /// How a group stands.
    #[prost(message, tag = "2")]
    Position(Position),
    /// What was acknowledged.
    #[prost(message, tag = "3")]
    Acknowledged(Acknowledged),
}

/// Where messages are that were published: the answer to [`Publish`] and [`PublishBatch`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Published {
    /// The first's offset.
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    /// How many they are, one after the other.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// What was acknowledged: the answer to [`Acknowledge`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Acknowledged {
    /// The first offset that the group is not done with.
    #[prost(uint64, tag = "1")]
    pub cursor: u64,
    /// How many messages had not been acknowledged before.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// One row a command: that it is a [`Kind`], and what is asked of it.
macro_rules! commands {
    ($($name:ident),*) => {
        impl Command {
            pub(crate) fn check(&self) -> Result<(), Refusal> {
                match &self.kind {
                    $(Some(Kind::$name(command)) => command.check(),)*
                    None => Err(Refusal::new(Code::Invalid, "the command to a topic is empty")),
                }
            }

            pub(crate) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
                match &self.kind {
                    $(Some(Kind::$name(command)) => command.apply(context),)*
                    None => panic!("the log holds a command to a topic that this version does not know"),
                }
            }
        }

        $(impl From<$name> for crate::command::Command {
            fn from(command: $name) -> Self {
                Command { kind: Some(Kind::$name(command)) }.into()
            }
        })*
    };
}

commands!(Publish, PublishBatch, Subscribe, Acknowledge);

macro_rules! answers {
    ($($name:ident),*) => {
        $(impl From<$name> for Reply {
            fn from(answer: $name) -> Reply {
                Reply { answer: Some(Answer::$name(answer)) }
            }
        })*
    };
}

answers!(Published, Position, Acknowledged);

/// Refuses what cannot be a partition of any topic.
fn check_place(topic: &str, partition: u32) -> Result<(), Refusal> {
    limits::name("topic", topic)?;
    if partition >= PARTITIONS_MAX {
        let wrong = format!("partition {partition} of topic {topic:?}: {PARTITIONS_MAX} are the most");
        return Err(Refusal::new(Code::Invalid, wrong));
    }
    Ok(())
}

fn partition_key(topic: &str, partition: u32) -> Key {
    Key::new(Table::Topic).name(topic).u8(OF_PARTITION).u32(partition)
}

fn message_key(topic: &str, partition: u32, offset: u64) -> Key {
    Key::new(Table::TopicMessage).name(topic).u32(partition).u64(offset)
}

fn groups_prefix(topic: &str, partition: u32) -> Key {
    Key::new(Table::TopicGroup).name(topic).u32(partition)
}

fn group_key(topic: &str, partition: u32, group: &str) -> Key {
    groups_prefix(topic, partition).bytes(group.as_bytes())
}

/// What under [`Table::Topic`] is of a partition.
const OF_PARTITION: u8 = 1;
