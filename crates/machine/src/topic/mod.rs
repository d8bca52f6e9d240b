//! Topics: messages in partitions, consumed by groups.
//!
//! A partition lies whole in one shard ([`shard`]), so each command is about one partition of one topic,
//! and order within a partition is that of the shard's log. A message has an *offset*, one more than that
//! of the message before. Those with the same key go to the same partition ([`partition_of`]).
//!
//! What a message needs of the topic's settings is in the partition's counters, which are read and written for
//! each message anyway. A message goes when it is too old, when there are too many or when it expires
//! ([`retention`]), whether anybody has had it or not.
//!
//! A message that is *delayed* lies beside the partition until it is due ([`Delayed`]), and is appended then as if it were
//! published then.
//!
//! A *group* consumes a partition: a cursor, before which it is done with everything, and ranges that it
//! is done with beyond ([`Done`]). Acknowledging is a command; delivering is none: what is with a consumer
//! is known to the leader only ([`delivery`]), and after a crash all is delivered again that is not
//! acknowledged.
//!
//! A message that *fails* is set aside ([`Aside`]) with its history, and is tried again after a wait. The cursor
//! passes over it, its key does not: what comes behind it waits. When its attempts are used up it is parked,
//! blocks its key, is left out or becomes a dead letter ([`GivenUp`]); who was parked or blocked is
//! [resolved](Resolve) by somebody.

mod acknowledge;
mod aside;
mod bury;
pub mod dead_letter;
mod define;
mod define_group;
pub(crate) mod delayed;
pub mod delivery;
mod done;
mod fail;
mod group;
mod message;
mod park;
mod partition;
mod publish;
mod publish_batch;
pub mod read;
mod resolve;
pub(crate) mod retention;
mod seek;
mod settings;
mod subscribe;
mod unsubscribe;

pub use acknowledge::{Acknowledge, Span};
pub use aside::{Aside, Failure, Waits};
pub use bury::Bury;
pub use define::Define;
pub use define_group::DefineGroup;
pub use delayed::Delayed;
pub use done::Done;
pub use fail::{Fail, Failed};
pub use group::{Group, Position};
pub use message::{Attributes, Header, Message, NewMessage};
pub use park::Park;
pub use partition::Partition;
pub use publish::Publish;
pub use publish_batch::PublishBatch;
pub use resolve::{Action, Resolve, Which};
pub use seek::Seek;
pub use settings::{DeadLetter, Failing, GivenUp, Settings};
pub use subscribe::{At, Place, Subscribe};
pub use unsubscribe::Unsubscribe;

use xxhash_rust::xxh64::xxh64;

use crate::command::{answers, commands};
use crate::key::{Key, Parts, Table};
use crate::limits;
use crate::placement::{Shard, Shards};
use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// Most partitions of a topic.
pub const PARTITIONS_MAX: u32 = 1024;
/// Most messages that are published at once.
pub const PUBLISH_BATCH_MAX: usize = 10_000;
/// Most messages that one step of retention takes away.
pub const TRIMMED_MAX: usize = 256;
/// Most messages of a partition that are delayed at a time: a million.
pub const DELAYED_MAX: u64 = 1_000_000;
/// Longest delay of a message, in milliseconds: ten years.
pub const DELAY_MS_MAX: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;
/// Most groups of a partition.
pub const GROUPS_MAX: usize = 1_000;
/// Most ranges that are acknowledged at once.
pub const ACKNOWLEDGE_MAX: usize = 10_000;
/// Most ranges beyond its cursor that a group remembers: its record is written with every
/// acknowledgement, and this many take some 12 KiB.
pub const RANGES_MAX: usize = 4_096;
/// Most messages that a group has set aside of a partition.
pub const ASIDE_MAX: usize = 4_096;
/// Most messages that fail, or are set aside, at once.
pub const FAILED_MAX: usize = 1_000;
/// Most messages that are resolved at once.
pub const RESOLVED_MAX: usize = 256;
/// Longest cause of a failure, in bytes.
pub const CAUSE_BYTES_MAX: usize = 1_024;
/// Most failures of a message that are remembered: the last ones.
pub const HISTORY_MAX: usize = 8;

// A dead letter has to be taken, whatever its history.
const _: () = assert!(
    (HISTORY_MAX + 1) * (CAUSE_BYTES_MAX + 24) + 4 * limits::NAME_BYTES_MAX < limits::HEADERS_BYTES_MAX
);

/// The shard that a partition lies in.
pub fn shard(shards: Shards, topic: &str, partition: u32) -> Shard {
    shards.of(&[b"topic", topic.as_bytes(), &partition.to_be_bytes()])
}

/// The shard that a topic is defined at first.
pub fn home(shards: Shards, topic: &str) -> Shard {
    shards.of(&[b"topic", topic.as_bytes()])
}

/// The partition that messages of a key go to, where there are `partitions`.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (xxh64(key, 0) % u64::from(partitions.max(1))) as u32
}

commands! {
    "a topic";
    /// Publishes a message.
    1 => Publish,
    /// Publishes many.
    2 => PublishBatch,
    /// Makes a group.
    3 => Subscribe,
    /// Is done with messages.
    4 => Acknowledge,
    /// Sets what holds for a topic.
    5 => Define,
    /// Sets what holds for a group.
    6 => DefineGroup,
    /// Fails at messages.
    7 => Fail,
    /// Sets messages aside.
    8 => Park,
    /// Resolves what was set aside.
    9 => Resolve,
    /// Moves a group.
    10 => Seek,
    /// Takes a group away.
    11 => Unsubscribe,
    /// Takes a dead letter.
    12 => Bury,
}

answers! {
    "a topic";
    /// Where messages are.
    1 => Published,
    /// How a group stands.
    2 => Position,
    /// What was acknowledged.
    3 => Acknowledged,
    /// What became of messages that failed.
    4 => Outcomes,
    /// What was resolved.
    5 => Resolved,
}

/// Where messages are that were published: the answer to [`Publish`], [`PublishBatch`] and
/// [`Bury`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Published {
    /// The first's offset.
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    /// How many they are, one after the other, without those that are delayed.
    #[prost(uint64, tag = "2")]
    pub count: u64,
    /// Which of those that were published, from zero, are delayed: they have no offset yet.
    #[prost(uint32, repeated, tag = "3")]
    pub delayed: Vec<u32>,
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

/// What became of messages: the answer to [`Fail`] and [`Park`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Outcomes {
    /// For each that was named, in that order.
    #[prost(message, repeated, tag = "1")]
    pub outcomes: Vec<Outcome>,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Outcome {
    /// Its offset.
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    /// What became of it.
    #[prost(enumeration = "Verdict", tag = "2")]
    pub verdict: i32,
    /// From when on it may be delivered again, if it may.
    #[prost(uint64, tag = "3")]
    pub next: u64,
    /// How often it has failed.
    #[prost(uint32, tag = "4")]
    pub attempts: u32,
}

/// What can become of a message that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Verdict {
    /// It is delivered again.
    Retry = 0,
    /// It waits for somebody to resolve it, and its key in the partition.
    Blocked = 1,
    /// It waits for somebody to resolve it, and its key set aside.
    Parked = 2,
    /// It was left out.
    Skipped = 3,
    /// It became a dead letter.
    DeadLettered = 4,
    /// There was nothing to do any more: it has been acknowledged, or is gone.
    Done = 5,
    /// Nothing: no more messages can be set aside. It is still to be dealt with.
    Full = 6,
}

impl Outcome {
    fn of(offset: u64, verdict: Verdict) -> Outcome {
        Outcome { offset, verdict: verdict.into(), ..Outcome::default() }
    }
}

/// What was resolved: the answer to [`Resolve`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Resolved {
    /// How many messages.
    #[prost(uint64, tag = "1")]
    pub count: u64,
    /// Whether there are more, to be resolved by the same command again: at once, unless none were resolved, for
    /// then there is no room on the way to where dead letters go.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

impl Command {
    /// Refuses a way for dead letters on which they would not arrive.
    pub(crate) fn check_targets(&self, shards: Shards) -> Result<(), Refusal> {
        let failing = match &self.kind {
            Some(Kind::Define(define)) => define.settings.failing.as_ref(),
            Some(Kind::DefineGroup(define)) => define.failing.as_ref(),
            _ => None,
        };
        match failing.and_then(|failing| failing.dead_letter.as_ref()) {
            Some(to) if to.shards != shards.count() => {
                let odd = format!(
                    "dead letters are to go to the topic {:?} as if there were {} shards, and there are {}",
                    to.topic,
                    to.shards,
                    shards.count()
                );
                Err(Refusal::new(Code::Invalid, odd))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what cannot be a partition of any topic.
fn check_place(topic: &str, partition: u32) -> Result<(), Refusal> {
    limits::name("topic", topic)?;
    if partition >= PARTITIONS_MAX {
        let wrong = format!("partition {partition} of topic {topic:?}: {PARTITIONS_MAX} are the most");
        return Err(Refusal::new(Code::Invalid, wrong));
    }
    Ok(())
}

/// Refuses what cannot be a group of any partition.
fn check_group(topic: &str, partition: u32, group: &str) -> Result<(), Refusal> {
    check_place(topic, partition)?;
    limits::name("group", group)
}

fn settings_key(topic: &str) -> Key {
    Key::new(Table::Topic).name(topic).u8(OF_TOPIC)
}

fn partitions_prefix(topic: &str) -> Key {
    Key::new(Table::Topic).name(topic).u8(OF_PARTITION)
}

fn partition_key(topic: &str, partition: u32) -> Key {
    partitions_prefix(topic).u32(partition)
}

/// The topic and the number of the partition that has this key.
fn partition_of_key(key: &Key) -> (String, u32) {
    let mut parts = Parts::of(key.as_bytes());
    let topic = parts.name().expect("the key of a partition names its topic").to_owned();
    parts.u8();
    (topic, parts.u32().expect("the key of a partition ends with its number"))
}

fn message_key(topic: &str, partition: u32, offset: u64) -> Key {
    Key::new(Table::TopicMessage).name(topic).u32(partition).u64(offset)
}

fn expiries_prefix(topic: &str, partition: u32) -> Key {
    Key::new(Table::TopicExpiry).name(topic).u32(partition)
}

fn expiry_key(topic: &str, partition: u32, expires: Time, offset: u64) -> Key {
    expiries_prefix(topic, partition).u64(expires.as_millis()).u64(offset)
}

fn delayed_key(topic: &str, partition: u32, number: u64) -> Key {
    Key::new(Table::TopicDelayed).name(topic).u32(partition).u64(number)
}

fn groups_prefix(topic: &str, partition: u32) -> Key {
    Key::new(Table::TopicGroup).name(topic).u32(partition)
}

fn group_key(topic: &str, partition: u32, group: &str) -> Key {
    groups_prefix(topic, partition).bytes(group.as_bytes())
}

fn asides_prefix(topic: &str, partition: u32, group: &str) -> Key {
    Key::new(Table::TopicAside).name(topic).u32(partition).name(group)
}

fn aside_key(topic: &str, partition: u32, group: &str, offset: u64) -> Key {
    asides_prefix(topic, partition, group).u64(offset)
}

fn group_settings_key(topic: &str, group: &str) -> Key {
    Key::new(Table::Topic).name(topic).u8(OF_GROUP).bytes(group.as_bytes())
}

/// What under [`Table::Topic`] is of the topic as a whole.
const OF_TOPIC: u8 = 0;
/// What is of a partition.
const OF_PARTITION: u8 = 1;
/// What is of a group as a whole.
const OF_GROUP: u8 = 2;
