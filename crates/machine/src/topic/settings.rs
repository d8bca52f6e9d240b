//! What is set for a topic and for a group, and what holds where nothing is.

use crate::limits;
use crate::placement::Shards;
use crate::refusal::{Code, Refusal};
use crate::time::backoff_ms;

use super::PARTITIONS_MAX;

/// What is set for a topic: a value under [`Table::Topic`](crate::Table::Topic), in every shard that has
/// a partition of it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Settings {
    /// How many partitions there are. Default: 8. There can be more later, but not
    /// fewer; where there are more, keys go to other partitions from then on.
    #[prost(uint32, optional, tag = "1", default = "8")]
    pub partitions: Option<u32>,
    /// For how long messages are kept, in milliseconds. Default: seven days. Zero: without end.
    #[prost(uint64, optional, tag = "2", default = "604800000")]
    pub keep_ms: Option<u64>,
    /// How many bytes of messages a partition keeps: payloads, keys and headers. The last message is
    /// kept however large. Zero, and the default: as many as there are.
    #[prost(uint64, tag = "3")]
    pub keep_bytes: u64,
    /// How many messages a partition keeps. Zero, and the default: as many as there are.
    #[prost(uint64, tag = "4")]
    pub keep_messages: u64,
    /// For how long a message is of use that does not say so itself, in milliseconds. Zero, and the
    /// default: for as long as it is kept. Costs one more key for each message.
    #[prost(uint64, tag = "5")]
    pub ttl_ms: u64,
    /// What happens to messages that fail, for groups that do not say so themselves.
    #[prost(message, optional, tag = "6")]
    pub failing: Option<Failing>,
}

/// What happens to messages that fail.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Failing {
    /// How often a message is delivered before it is given up. Default: 10. Zero: without end.
    #[prost(uint32, optional, tag = "1", default = "10")]
    pub attempts_max: Option<u32>,
    /// How long to wait after the first failure, in milliseconds; twice as long after each further one.
    /// Between half of it and all of it is waited. Default: a second. Zero: not at all.
    #[prost(uint64, optional, tag = "2", default = "1000")]
    pub backoff_ms: Option<u64>,
    /// The longest wait, in milliseconds. Default: a minute. Zero: not at all.
    #[prost(uint64, optional, tag = "3", default = "60000")]
    pub backoff_max_ms: Option<u64>,
    /// What becomes of a message that is given up.
    #[prost(enumeration = "GivenUp", tag = "4")]
    pub given_up: i32,
    /// Where it goes, for [`GivenUp::DeadLetter`] and for who asks for that.
    #[prost(message, optional, tag = "5")]
    pub dead_letter: Option<DeadLetter>,
}

/// What becomes of a message that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum GivenUp {
    /// It is set aside, and behind it all later messages of its key, until somebody resolves it. All else
    /// goes on.
    Park = 0,
    /// It and its key wait until somebody resolves it. Later messages of the key stay in the partition,
    /// so that the group comes to a stop once it is as far ahead of them as it may be.
    Block = 1,
    /// It is left out, and counted.
    Skip = 2,
    /// It goes to a topic for dead letters, with what is known of its failures.
    DeadLetter = 3,
}

/// Where dead letters go.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeadLetter {
    /// The topic.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// How many partitions it has.
    #[prost(uint32, tag = "2")]
    pub partitions: u32,
    /// How many shards there are, for it may lie in any of them.
    #[prost(uint32, tag = "3")]
    pub shards: u32,
}

impl Settings {
    pub(super) fn check(&self, topic: &str) -> Result<(), Refusal> {
        partitions("a topic", self.partitions())?;
        self.failing.iter().try_for_each(|failing| failing.check(topic))
    }
}

impl Failing {
    /// The longest wait after `attempts` failures, in milliseconds.
    pub fn wait_ms(&self, attempts: u32) -> u64 {
        backoff_ms(self.backoff_ms(), attempts, self.backoff_max_ms())
    }

    pub(super) fn check(&self, topic: &str) -> Result<(), Refusal> {
        let wrong = |wrong: &str| Err(Refusal::new(Code::Invalid, wrong));
        if GivenUp::try_from(self.given_up).is_err() {
            return wrong("what becomes of messages that are given up is none of what is known");
        }
        let Some(dead_letter) = &self.dead_letter else {
            return match self.given_up() {
                GivenUp::DeadLetter => wrong("dead letters need a topic to go to: name one"),
                _ => Ok(()),
            };
        };
        if dead_letter.topic == topic {
            return wrong("a topic's dead letters cannot go to itself: name another topic");
        }
        dead_letter.check()
    }
}

impl DeadLetter {
    /// To `topic`, which has `partitions`.
    pub fn new(topic: impl Into<String>, partitions: u32, shards: Shards) -> DeadLetter {
        DeadLetter { topic: topic.into(), partitions, shards: shards.count() }
    }

    fn check(&self) -> Result<(), Refusal> {
        limits::name("topic", &self.topic)?;
        partitions("a topic for dead letters", self.partitions)?;
        Shards::new(self.shards).map(|_| ()).map_err(|wrong| Refusal::new(Code::Invalid, wrong))
    }
}

fn partitions(of: &str, partitions: u32) -> Result<(), Refusal> {
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        let wrong = format!("{partitions} partitions of {of}: there must be 1 to {PARTITIONS_MAX}");
        return Err(Refusal::new(Code::Invalid, wrong));
    }
    Ok(())
}
