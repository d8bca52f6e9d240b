//! A partition's counters, and appending to it: the way of every message that is published.
//!
//! One small record is read and written for each, and it has with it what of the topic's settings a
//! message needs, so that these are not read. [`Define`](super::Define) keeps the copies true.

use super::message::{self, NewMessage};
use super::{message_key, partition_key};
use crate::context::Context;
use crate::effect::Channel;
use crate::key::Key;
use crate::refusal::Refusal;
use crate::time::Time;

/// A partition's counters: a value under [`Table::Topic`](crate::Table::Topic).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Partition {
    /// The offset of the next message.
    #[prost(uint64, tag = "1")]
    pub next: u64,
    /// No message before this offset is kept any more.
    #[prost(uint64, tag = "2")]
    pub first: u64,
    /// How many messages are kept.
    #[prost(uint64, tag = "3")]
    pub messages: u64,
    /// How many bytes they have: payloads, keys and headers.
    #[prost(uint64, tag = "4")]
    pub bytes: u64,
}

/// A partition that a command appends to.
pub(super) struct Appender<'a> {
    topic: &'a str,
    number: u32,
    key: Key,
    partition: Partition,
}

impl<'a> Appender<'a> {
    pub(super) fn open(context: &Context<'_>, topic: &'a str, number: u32) -> Appender<'a> {
        let key = partition_key(topic, number);
        let partition = context.get_or_default(&key);
        Appender { topic, number, key, partition }
    }

    /// The offset of what is appended next.
    pub(super) fn next(&self) -> u64 {
        self.partition.next
    }

    /// Appends a message, and returns its offset.
    pub(super) fn append(&mut self, context: &mut Context<'_>, message: &NewMessage) -> Result<u64, Refusal> {
        let body = context.store(message.body)?;
        let offset = self.partition.next;
        let ttl = message.ttl_ms.unwrap_or_default();
        let expires = if ttl == 0 { Time::ZERO } else { context.time().after(ttl) };
        let record = message::record(&message.attributes, &body, context.time(), expires);
        context.put_bytes(message_key(self.topic, self.number, offset), record);
        self.partition.next += 1;
        self.partition.messages += 1;
        self.partition.bytes += message::weight(&message.attributes, body.len());
        Ok(offset)
    }

    /// Puts down what has become of the partition, and wakes who waits for messages.
    pub(super) fn close(self, context: &mut Context<'_>) {
        context.put(self.key, &self.partition);
        context.wake(Channel::topic(self.topic, self.number));
    }
}
