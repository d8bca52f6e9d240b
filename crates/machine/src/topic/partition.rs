//! A partition's counters, and appending to it: the way of every message that is published.
//!
//! One small record is read and written for each, and it has with it what of the topic's settings a
//! message needs, so that these are not read. [`Define`](super::Define) keeps the copies true.

use super::message::{self, Attributes, Message, NewMessage};
use super::settings::Settings;
use super::{Published, Reply, expiry_key, message_key, partition_key, settings_key};
use crate::body::Stored;
use crate::context::Context;
use crate::effect::Channel;
use crate::key::Key;
use crate::refusal::{Code, Refusal};
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
    /// As [`Settings::ttl_ms`].
    #[prost(uint64, tag = "5")]
    pub(super) ttl_ms: u64,
    /// As [`Settings::keep_ms`]; zero for without end.
    #[prost(uint64, tag = "6")]
    pub(super) keep_ms: u64,
    /// As [`Settings::keep_bytes`].
    #[prost(uint64, tag = "7")]
    pub(super) keep_bytes: u64,
    /// As [`Settings::keep_messages`].
    #[prost(uint64, tag = "8")]
    pub(super) keep_messages: u64,
    /// When the partition's timer is due; zero if there is none.
    #[prost(uint64, tag = "9")]
    pub(super) alarm: u64,
    /// How many messages are delayed.
    #[prost(uint64, tag = "10")]
    pub delayed: u64,
    /// How many ever were: what the next one is numbered by.
    #[prost(uint64, tag = "11")]
    pub(super) ever_delayed: u64,
}

impl Partition {
    pub(super) fn set(&mut self, settings: &Settings) {
        self.ttl_ms = settings.ttl_ms;
        self.keep_ms = settings.keep_ms();
        self.keep_bytes = settings.keep_bytes;
        self.keep_messages = settings.keep_messages;
    }
}

/// A partition that a command changes.
pub(super) struct Open<'a> {
    pub(super) topic: &'a str,
    pub(super) number: u32,
    pub(super) key: Key,
    pub(super) partition: Partition,
}

impl<'a> Open<'a> {
    /// To append to it: it comes to be with its first message.
    pub(super) fn to_append(context: &Context<'_>, topic: &'a str, number: u32) -> Result<Open<'a>, Refusal> {
        Open::or_born(context, topic, number, |settings| check_birth(context, topic, number, settings))
    }

    /// To append to it, whatever the topic says.
    pub(super) fn to_append_anyway(
        context: &Context<'_>,
        topic: &'a str,
        number: u32,
    ) -> Result<Open<'a>, Refusal> {
        Open::or_born(context, topic, number, |_| Ok(()))
    }

    fn or_born(
        context: &Context<'_>,
        topic: &'a str,
        number: u32,
        check: impl FnOnce(&Settings) -> Result<(), Refusal>,
    ) -> Result<Open<'a>, Refusal> {
        let key = partition_key(topic, number);
        if let Some(partition) = context.get(&key) {
            return Ok(Open { topic, number, key, partition });
        }
        let settings: Settings = context.get_or_default(&settings_key(topic));
        check(&settings)?;
        let mut partition = Partition::default();
        partition.set(&settings);
        Ok(Open { topic, number, key, partition })
    }

    /// Appends a message whose payload the state points to.
    pub(super) fn append(
        &mut self,
        context: &mut Context<'_>,
        attributes: &Attributes,
        body: &Stored,
        ttl_ms: Option<u64>,
    ) {
        let offset = self.partition.next;
        let expires = self.expiry(context.time(), ttl_ms);
        if expires != Time::ZERO {
            context.put_bytes(expiry_key(self.topic, self.number, expires, offset), bytes::Bytes::new());
        }
        let record = message::record(attributes, body, context.time(), expires);
        context.put_bytes(message_key(self.topic, self.number, offset), record);
        self.partition.next += 1;
        self.partition.messages += 1;
        self.partition.bytes += message::weight(attributes, body.len());
        self.expect(context, expires);
    }

    /// Appends messages, one after the other, or delays those that are not due, and is done with the partition. That their
    /// payloads are there has been looked at.
    pub(super) fn publish(
        mut self,
        context: &mut Context<'_>,
        messages: &[NewMessage],
    ) -> Result<Reply, Refusal> {
        let (now, offset) = (context.time().as_millis(), self.partition.next);
        let is_delayed = |message: &NewMessage| message.due_ms > now;
        let delayed: Vec<u32> =
            (0..).zip(messages).filter(|(_, message)| is_delayed(message)).map(|(place, _)| place).collect();
        self.room_for_delayed(context, messages, &delayed)?;
        for message in messages {
            let body = context.store(message.body)?;
            match is_delayed(message) {
                true => self.delay(context, message, body),
                false => self.append(context, &message.attributes, &body, message.ttl_ms),
            }
        }
        let count = messages.len() - delayed.len();
        self.trim_after(context, count);
        self.close(context);
        Ok(Published { offset, count: count as u64, delayed }.into())
    }

    /// Takes a message away.
    pub(super) fn remove(&mut self, context: &mut Context<'_>, offset: u64, message: &Message) {
        context.release(&message.body);
        context.delete(message_key(self.topic, self.number, offset));
        if message.expires != 0 {
            let expires = Time::from_millis(message.expires);
            context.delete(expiry_key(self.topic, self.number, expires, offset));
        }
        self.partition.messages -= 1;
        self.partition.bytes -= message.weight();
        if self.partition.messages == 0 {
            self.partition.first = self.partition.next;
        } else if offset == self.partition.first {
            self.partition.first += 1;
        }
    }

    /// Puts down what has become of the partition, and wakes who waits for messages.
    pub(super) fn close(self, context: &mut Context<'_>) {
        context.put(self.key, &self.partition);
        context.wake(Channel::topic(self.topic, self.number));
    }

    fn expiry(&self, now: Time, ttl_ms: Option<u64>) -> Time {
        match ttl_ms.unwrap_or(self.partition.ttl_ms) {
            0 => Time::ZERO,
            ttl => now.after(ttl),
        }
    }
}

/// Refuses a partition that the topic does not have, or that there is no timer for: it has one at most.
fn check_birth(context: &Context<'_>, topic: &str, number: u32, settings: &Settings) -> Result<(), Refusal> {
    if number >= settings.partitions() {
        let wrong =
            format!("topic {topic:?} has {} partitions, so none of number {number}", settings.partitions());
        return Err(Refusal::new(Code::Invalid, wrong));
    }
    context.room_for_timers(1)
}
