//! A message: as it is published, and as it is kept.

use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{message, uint64};

use super::dead_letter;
use crate::body::{Body, Stored};
use crate::limits::{self, HEADERS_BYTES_MAX, HEADERS_MAX, NAME_BYTES_MAX, within};
use crate::refusal::Refusal;
use crate::time::Time;

/// What a message says of itself beside its payload. Kept as it came.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Attributes {
    /// What it is about, such as an order's number: messages of one key are delivered in order. Without
    /// one (empty) it is in nobody's way and nobody in its.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The payload's media type; empty if nobody said.
    #[prost(string, tag = "2")]
    pub content_type: String,
    /// More that is to be known of it, in order.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Header>,
}

/// A name and a value.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Header {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// A message as it is published.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct NewMessage {
    /// What it says of itself.
    #[prost(message, required, tag = "1")]
    pub attributes: Attributes,
    /// The payload.
    #[prost(uint32, tag = "2")]
    pub body: Body,
    /// For how long it is of use, in milliseconds; without one, for as long as the topic says. Zero: for
    /// as long as it is kept.
    #[prost(uint64, optional, tag = "3")]
    pub ttl_ms: Option<u64>,
    /// Until when it is delayed, in milliseconds since the epoch: nobody gets it before, and all else of it
    /// counts from then on. Zero, or a time that is past: not at all.
    #[prost(uint64, tag = "4")]
    pub due_ms: u64,
}

/// A message as it is kept: a value under [`Table::TopicMessage`](crate::Table::TopicMessage).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// What it says of itself.
    #[prost(message, required, tag = "1")]
    pub attributes: Attributes,
    /// Its payload.
    #[prost(message, required, tag = "2")]
    pub body: Stored,
    /// When it was published, or due if it was delayed, in milliseconds since the epoch: no earlier than the one
    /// before it.
    #[prost(uint64, tag = "3")]
    pub time: u64,
    /// From when on it is no longer of use; zero for never.
    #[prost(uint64, tag = "4")]
    pub expires: u64,
}

impl Header {
    /// A header of text.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Header {
        Header { name: name.into(), value: Bytes::from(value.into()) }
    }
}

impl NewMessage {
    /// A message whose payload is the command's `body`th, with neither key nor headers.
    pub fn new(body: Body) -> NewMessage {
        NewMessage { body, ..NewMessage::default() }
    }

    /// With a key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> NewMessage {
        self.attributes.key = key.into();
        self
    }

    /// With a header, the next of the message's.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> NewMessage {
        self.attributes.headers.push(Header::text(name, value));
        self
    }

    /// With a time to live; zero for none whatever the topic says.
    #[must_use]
    pub fn with_ttl(mut self, ttl_ms: u64) -> NewMessage {
        self.ttl_ms = Some(ttl_ms);
        self
    }

    /// Delayed until then.
    #[must_use]
    pub fn due(mut self, due: Time) -> NewMessage {
        self.due_ms = due.as_millis();
        self
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.attributes.check()
    }
}

impl Attributes {
    fn check(&self) -> Result<(), Refusal> {
        limits::key("message", &self.key)?;
        within("bytes of a message's content type", self.content_type.len(), NAME_BYTES_MAX)?;
        let all = ("headers of a message", "bytes of a message's headers");
        self.check_headers(all, |header| !header.name.starts_with(dead_letter::PREFIX))?;
        let of_death = ("headers of its death of a message", "bytes of a message's headers of its death");
        self.check_headers(of_death, |header| header.name.starts_with(dead_letter::PREFIX))
    }

    /// What a dead letter has of its death counts apart: a message that was taken can die.
    fn check_headers(
        &self,
        (headers, bytes): (&str, &str),
        counts: impl Fn(&&Header) -> bool,
    ) -> Result<(), Refusal> {
        let counted = || self.headers.iter().filter(&counts);
        within(headers, counted().count(), HEADERS_MAX)?;
        let size = counted().map(|header| header.name.len() + header.value.len()).sum();
        within(bytes, size, HEADERS_BYTES_MAX)
    }
}

impl Message {
    /// Whether it is no longer of use at `now`.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires != 0 && self.expires <= now.as_millis()
    }

    /// What it counts for where a partition's bytes are limited.
    pub(super) fn weight(&self) -> u64 {
        weight(&self.attributes, self.body.len())
    }
}

/// What a message counts for where a partition's bytes are limited: payload and attributes.
pub(super) fn weight(attributes: &Attributes, body: usize) -> u64 {
    (body + attributes.encoded_len()) as u64
}

/// A [`Message`] encoded, of parts that stay where they are: nothing of a message that is published is
/// copied but into its record.
pub(super) fn record(attributes: &Attributes, body: &Stored, time: Time, expires: Time) -> Bytes {
    let mut record = Vec::with_capacity(attributes.encoded_len() + body.encoded_len() + RECORD_REST_BYTES);
    message::encode(1, attributes, &mut record);
    message::encode(2, body, &mut record);
    uint64::encode(3, &time.as_millis(), &mut record);
    if expires != Time::ZERO {
        uint64::encode(4, &expires.as_millis(), &mut record);
    }
    record.into()
}

/// Room for tags, lengths and times.
const RECORD_REST_BYTES: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_message_that_it_says() {
        let message = NewMessage::new(0).with_key("k").with_header("a", "1").with_header("a", "2");
        let body = Stored { inline: None, sequence: 7, index: 3, length: 1024 };
        let (time, expires) = (Time::from_millis(9), Time::from_millis(10));
        for expires in [Time::ZERO, expires] {
            let read = Message::decode(record(&message.attributes, &body, time, expires)).unwrap();
            let attributes = message.attributes.clone();
            let whole = Message { attributes, body: body.clone(), time: 9, expires: expires.as_millis() };
            assert_eq!(read, whole);
        }
    }
}
