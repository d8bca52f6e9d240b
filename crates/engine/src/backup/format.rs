//! The bytes of a backup, version 1. Numbers are little-endian; checksums are CRC32C.
//!
//! ```text
//! "COLONYBK" │ version u32 │ frame │ frame │ ...
//!
//! frame      kind u8 │ length u32 │ checksum u32 │ as many bytes
//! ```
//!
//! The first frame is the [`Header`]; then come, for each shard in the order of their numbers, where it is
//! ([`ShardIs`]) and its pairs in the order of their keys ([`Pairs`]); the last is the [`Trailer`]. All of them are
//! protobuf. The checksum of a frame is over its place among the frames, its kind and its bytes, so that none is missing,
//! twice or elsewhere; that of the trailer is over everything before it. Nothing follows the trailer: what ends without one was cut
//! off. Who cannot go on says why in a frame [`GivenUp`].

use std::io::{self, Write};

use bytes::Bytes;
use prost::Message;

/// The version of the format, which is the only one that there is.
pub const VERSION: u32 = 1;

/// What a backup is of.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Header {
    /// How many shards its data is placed by.
    #[prost(uint32, tag = "1")]
    pub shards: u32,
    /// The version of the machine that made the state.
    #[prost(uint32, tag = "2")]
    pub machine: u32,
    /// When it was made, in milliseconds since the epoch.
    #[prost(uint64, tag = "3")]
    pub created_ms: u64,
}

/// Where a shard is.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct ShardIs {
    #[prost(uint32, tag = "1")]
    pub shard: u32,
    /// The entry that was applied last.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// That entry's time, in milliseconds since the epoch.
    #[prost(uint64, tag = "3")]
    pub time_ms: u64,
}

/// Some of a shard's pairs.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pub pairs: Vec<Pair>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Pair {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// What must have come before.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Trailer {
    #[prost(uint64, tag = "1")]
    pub frames: u64,
    #[prost(uint64, tag = "2")]
    pub pairs: u64,
    #[prost(uint32, tag = "3")]
    pub checksum: u32,
}

/// Why nothing more comes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct GivenUp {
    #[prost(string, tag = "1")]
    pub why: String,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Header = 1,
    Shard = 2,
    Pairs = 3,
    Trailer = 4,
    GivenUp = 5,
}

impl Kind {
    pub fn of(byte: u8) -> Option<Kind> {
        [Kind::Header, Kind::Shard, Kind::Pairs, Kind::Trailer, Kind::GivenUp]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Writes frames.
pub(super) struct Encoder<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    frames: u64,
    bytes: u64,
    checksum: u32,
}

impl<'a> Encoder<'a> {
    /// Writes what stands before the first frame.
    pub fn begin(out: &'a mut dyn Write) -> io::Result<Encoder<'a>> {
        let mut encoder = Encoder { out, buffer: Vec::new(), frames: 0, bytes: 0, checksum: 0 };
        encoder.buffer.extend_from_slice(MAGIC);
        encoder.buffer.extend_from_slice(&VERSION.to_le_bytes());
        encoder.write_buffer()?;
        encoder.out.flush()?;
        Ok(encoder)
    }

    /// Writes a frame.
    pub fn frame(&mut self, kind: Kind, message: &impl Message) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
        message.encode(&mut self.buffer).map_err(io::Error::other)?;
        let (head, payload) = self.buffer.split_at_mut(FRAME_HEAD_BYTES);
        head[0] = kind as u8;
        head[1..5].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        head[5..].copy_from_slice(&checksum(self.frames, kind, payload).to_le_bytes());
        self.frames += 1;
        self.write_buffer()
    }

    /// Writes the last frame.
    pub fn end(&mut self, pairs: u64) -> io::Result<()> {
        let trailer = Trailer { frames: self.frames, pairs, checksum: self.checksum };
        self.frame(Kind::Trailer, &trailer)?;
        self.out.flush()
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.bytes += self.buffer.len() as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, &self.buffer);
        Ok(())
    }
}

/// The checksum of a frame, the `place`th from zero.
pub(super) fn checksum(place: u64, kind: Kind, payload: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&place.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &[kind as u8]), payload)
}

pub(super) const MAGIC: &[u8; 8] = b"COLONYBK";
/// Kind, length and checksum.
pub(super) const FRAME_HEAD_BYTES: usize = 1 + 4 + 4;
/// The most bytes that a frame has. The largest value is an entry's payload with its length: far below.
pub(super) const FRAME_BYTES_MAX: usize = 32 << 20;
/// About how many bytes of pairs are put into one frame.
pub(super) const PAIRS_BYTES: usize = 1 << 20;
