//! An entry of a shard's log: a command with all that it needs.
//!
//! Laid out so that a payload is found without decoding the rest:
//!
//! ```text
//! version u8 | time u64 | payloads u32 | their lengths u32 each | payloads | protobuf `Envelope`
//! ```
//!
//! Numbers are little-endian. A length, a sequence and a checksum are the log's matter.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use crate::body::Body;
use crate::command::Command;
use crate::idempotency::Idempotency;
use crate::limits::{BODY_BYTES_MAX, ENTRY_BODIES_MAX, ENTRY_BYTES_MAX, ENTRY_SENDS_MAX, within};
use crate::outbox::Send;
use crate::placement::Shards;
use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// A command with its time, its payloads and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When the leader took it.
    pub time: Time,
    /// The payloads that the command and its sends speak of.
    pub bodies: Vec<Bytes>,
    /// What is to be done.
    pub command: Command,
    /// What is sent to other shards if the command is not refused, in the same commit.
    pub sends: Vec<Send>,
    /// What the request is known by if it comes again.
    pub idempotency: Option<Idempotency>,
}

/// What of an entry is protobuf.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(message, required, tag = "1")]
    command: Command,
    #[prost(message, repeated, tag = "2")]
    sends: Vec<Send>,
    #[prost(message, optional, tag = "3")]
    idempotency: Option<Idempotency>,
}

impl Entry {
    /// A command without payloads.
    pub fn new(command: impl Into<Command>) -> Entry {
        Entry {
            time: Time::ZERO,
            bodies: Vec::new(),
            command: command.into(),
            sends: Vec::new(),
            idempotency: None,
        }
    }

    /// With a payload, the next of the entry's.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Entry {
        self.bodies.push(body.into());
        self
    }

    /// Refuses what must not get into a log: what is larger than its maximum, and what a command
    /// says is malformed. `body_bytes_max` is the largest payload that is configured. Otherwise it says how many bytes it takes
    /// there.
    ///
    /// # Errors
    ///
    /// A [`Code::Invalid`] or [`Code::TooLarge`] that names what, how large it is and the maximum.
    pub fn check(&self, body_bytes_max: usize) -> Result<usize, Refusal> {
        within("payloads of a request", self.bodies.len(), ENTRY_BODIES_MAX)?;
        within("commands to other shards of a request", self.sends.len(), ENTRY_SENDS_MAX)?;
        let small = |what: &str, is: usize, max: usize| {
            within(what, is, max).map_err(|refusal| Refusal::new(Code::TooLarge, refusal.message))
        };
        for body in &self.bodies {
            small("bytes of a payload", body.len(), body_bytes_max)?;
        }
        let bytes = self.encoded_len();
        small("bytes of a request", bytes, ENTRY_BYTES_MAX)?;
        self.sends.iter().try_for_each(|send| send.check(self.bodies.len()))?;
        self.idempotency.as_ref().map_or(Ok(()), Idempotency::check)?;
        self.command.check()?;
        Ok(bytes)
    }

    /// Refuses what would be sent, now or when a job is due, to a shard that there is not.
    ///
    /// # Errors
    ///
    /// A [`Code::Invalid`] that names it.
    pub fn check_targets(&self, shards: Shards) -> Result<(), Refusal> {
        self.command.check_targets(shards)?;
        self.sends.iter().try_for_each(|send| send.command.check_targets(shards))
    }

    /// How many bytes it takes in a log.
    pub fn encoded_len(&self) -> usize {
        // The envelope is a few hundred bytes at most for nearly all, so it is sized, not encoded.
        HEAD_BYTES + self.bodies_len() + self.envelope_len()
    }

    /// Writes it at the end of `buffer`.
    pub fn encode(&self, buffer: &mut BytesMut) {
        // To size the envelope takes as long as to write it: where there is little room left, writing makes some.
        buffer.reserve(HEAD_BYTES + self.bodies_len() + ENVELOPE_BYTES_USUAL);
        buffer.put_u8(VERSION);
        buffer.put_u64_le(self.time.as_millis());
        buffer.put_u32_le(self.bodies.len() as u32);
        for body in &self.bodies {
            buffer.put_u32_le(body.len() as u32);
        }
        for body in &self.bodies {
            buffer.extend_from_slice(body);
        }
        prost::encoding::message::encode(1, &self.command, buffer);
        prost::encoding::message::encode_repeated(2, &self.sends, buffer);
        if let Some(idempotency) = &self.idempotency {
            prost::encoding::message::encode(3, idempotency, buffer);
        }
    }

    /// Reads what [`Entry::encode`] wrote. Payloads are slices of `bytes`.
    ///
    /// # Errors
    ///
    /// If it is damaged or of a version that this program does not know.
    pub fn decode(bytes: Bytes) -> Result<Entry, Malformed> {
        let (time, lengths, mut rest) = head(bytes)?;
        let mut bodies = Vec::with_capacity(lengths.len() / LENGTH_BYTES);
        for length in lengths.chunks_exact(LENGTH_BYTES) {
            let length = (&mut &*length).get_u32_le() as usize;
            if length > rest.len() {
                return Err(Malformed("a payload ends behind the entry"));
            }
            bodies.push(rest.split_to(length));
        }
        let envelope = Envelope::decode(rest).map_err(|_| Malformed("its command cannot be read"))?;
        Ok(Entry {
            time,
            bodies,
            command: envelope.command,
            sends: envelope.sends,
            idempotency: envelope.idempotency,
        })
    }

    fn bodies_len(&self) -> usize {
        self.bodies.iter().map(|body| LENGTH_BYTES + body.len()).sum()
    }

    fn envelope_len(&self) -> usize {
        prost::encoding::message::encoded_len(1, &self.command)
            + prost::encoding::message::encoded_len_repeated(2, &self.sends)
            + self
                .idempotency
                .as_ref()
                .map_or(0, |idempotency| prost::encoding::message::encoded_len(3, idempotency))
    }
}

/// The `index`th payload of an encoded entry, without decoding its command.
///
/// # Errors
///
/// If there is none, or the entry is damaged.
pub fn body(entry: Bytes, index: Body) -> Result<Bytes, Malformed> {
    let (_, lengths, rest) = head(entry)?;
    let mut begin = 0;
    for (at, length) in lengths.chunks_exact(LENGTH_BYTES).enumerate() {
        let length = (&mut &*length).get_u32_le() as usize;
        let end = begin + length;
        if end > rest.len() {
            return Err(Malformed("a payload ends behind the entry"));
        }
        if at == index as usize {
            return Ok(rest.slice(begin..end));
        }
        begin = end;
    }
    Err(Malformed("it has no such payload"))
}

/// The time of an encoded entry.
///
/// # Errors
///
/// If it is damaged.
pub fn time(entry: &[u8]) -> Result<Time, Malformed> {
    match entry.first() {
        Some(&VERSION) if entry.len() >= HEAD_BYTES => Ok(Time::from_millis((&entry[1..]).get_u64_le())),
        _ => Err(Malformed("it is shorter than its head, or of a version that this program does not know")),
    }
}

/// An entry's time, the bytes of its payloads' lengths, and all after those.
fn head(mut bytes: Bytes) -> Result<(Time, Bytes, Bytes), Malformed> {
    let time = time(&bytes)?;
    bytes.advance(1 + TIME_BYTES);
    let lengths = bytes.get_u32_le() as usize * LENGTH_BYTES;
    if lengths > bytes.len() {
        return Err(Malformed("it has fewer lengths than payloads"));
    }
    let lengths = bytes.split_to(lengths);
    Ok((time, lengths, bytes))
}

/// An entry that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the entry is malformed: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The version that is written. Every version that was ever released can be read.
const VERSION: u8 = 1;
const TIME_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;
/// Version, time, number of payloads.
const HEAD_BYTES: usize = 1 + TIME_BYTES + LENGTH_BYTES;
/// No more than this has the envelope of nearly every entry.
const ENVELOPE_BYTES_USUAL: usize = 256;

const _: () = assert!(BODY_BYTES_MAX <= u32::MAX as usize);
