//! What a group has set aside of a partition: messages that failed, and those that wait behind them.
//!
//! A message that is set aside no longer holds the cursor up, so that one bad message costs a record and
//! not the group's progress. Among those of one key the first is the one whose turn it is: while it waits,
//! is blocked or is parked, all behind it wait, too, set aside or not.

use bytes::Bytes;

use super::message::Message;
use crate::time::Time;

/// A message that is set aside: a value under [`Table::TopicAside`](crate::Table::TopicAside).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Aside {
    /// The message's key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// What it waits for.
    #[prost(enumeration = "Waits", tag = "2")]
    pub waits: i32,
    /// From when on it may be delivered, if it waits for that.
    #[prost(uint64, tag = "3")]
    pub next: u64,
    /// How often it has failed since it was last resolved.
    #[prost(uint32, tag = "4")]
    pub attempts: u32,
    /// Its failures, the last [`HISTORY_MAX`](super::HISTORY_MAX) of them.
    #[prost(message, repeated, tag = "5")]
    pub history: Vec<Failure>,
    /// When the message expires; zero for never.
    #[prost(uint64, tag = "6")]
    pub expires: u64,
}

/// What a message waits for that is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Waits {
    /// For its time, and for those of its key before it.
    Turn = 0,
    /// For somebody to resolve it, with its key waiting in the partition.
    Blocked = 1,
    /// For somebody to resolve it, with its key set aside behind it.
    Parked = 2,
}

/// A failure.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Failure {
    /// When it became known, in milliseconds since the epoch.
    #[prost(uint64, tag = "1")]
    pub time: u64,
    /// Why, as the consumer says.
    #[prost(string, tag = "2")]
    pub cause: String,
}

impl Aside {
    /// A message that has not failed.
    pub(super) fn new(message: &Message) -> Aside {
        Aside { key: message.attributes.key.clone(), expires: message.expires, ..Aside::default() }
    }

    /// Whether it may be delivered at `now` once it is the first of its key.
    pub fn is_due(&self, now: Time) -> bool {
        self.waits() == Waits::Turn && self.next <= now.as_millis()
    }
}
