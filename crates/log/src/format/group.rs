//! Records, and the groups in which they are written.

use bytes::{BufMut, Bytes, BytesMut};

use super::fields::Fields;
use super::{Defect, SEQUENCE_MAX};
use crate::{Batch, Sequence};

/// A group while it is put together: one buffer, into which each record is copied once.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    buffer: &'a mut BytesMut,
    seed: u32,
    records: u32,
}

impl<'a> Group<'a> {
    /// An empty one, in an empty buffer.
    pub fn new(seed: u32, buffer: &'a mut BytesMut) -> Group<'a> {
        buffer.clear();
        buffer.put_bytes(0, GROUP_HEADER_BYTES);
        Group { buffer, seed, records: 0 }
    }

    /// Adds the records of `batch`, and tells the offset of each in the group.
    pub fn push(&mut self, batch: &Batch, mut placed: impl FnMut(u32)) {
        for (sequence, payload) in (batch.last + 1..).zip(&batch.records) {
            placed(self.buffer.len() as u32);
            let header = RecordHeader { length: payload.len() as u32, shard: batch.shard, sequence };
            let mut written = [0; RECORD_HEADER_BYTES];
            header.encode(self.seed, payload, &mut written);
            self.buffer.put_slice(&written);
            self.buffer.put_slice(payload);
            self.records += 1;
        }
    }

    /// The whole group, as it is to be written. What of the buffer it does not need stays there.
    pub fn finish(self, ordinal: u64) -> Bytes {
        self.buffer.resize(self.buffer.len().next_multiple_of(ALIGNMENT), 0);
        let header = GroupHeader { ordinal, length: self.buffer.len() as u32, records: self.records };
        self.buffer[..GROUP_HEADER_BYTES].copy_from_slice(&header.encode(self.seed));
        self.buffer.split().freeze()
    }
}

/// What a group begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    /// The group's place among all of the log.
    pub ordinal: u64,
    /// Its length in bytes, all included.
    pub length: u32,
    /// How many records it has.
    pub records: u32,
}

impl GroupHeader {
    pub const BYTES: usize = GROUP_HEADER_BYTES;
    /// Where one may begin.
    pub const ALIGNMENT: usize = ALIGNMENT;

    pub fn encode(&self, seed: u32) -> [u8; GROUP_HEADER_BYTES] {
        let mut out = [0; GROUP_HEADER_BYTES];
        out[..4].copy_from_slice(MAGIC);
        out[8..16].copy_from_slice(&self.ordinal.to_le_bytes());
        out[16..20].copy_from_slice(&self.length.to_le_bytes());
        out[20..].copy_from_slice(&self.records.to_le_bytes());
        let sum = crc32c::crc32c_append(seed, &out[8..]);
        out[4..8].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// The header that `bytes` begin with, if they do.
    pub fn decode(seed: u32, bytes: &[u8]) -> Option<GroupHeader> {
        let bytes = bytes.first_chunk::<GROUP_HEADER_BYTES>()?;
        if &bytes[..4] != MAGIC {
            return None;
        }
        let mut fields = Fields(&bytes[4..]);
        let sum = fields.u32()?;
        let header = GroupHeader { ordinal: fields.u64()?, length: fields.u32()?, records: fields.u32()? };
        let fits = crc32c::crc32c_append(seed, &bytes[8..]) == sum
            && (header.length as usize).is_multiple_of(ALIGNMENT)
            && header.length as usize >= GROUP_HEADER_BYTES
            && (1..SEQUENCE_MAX).contains(&header.ordinal);
        fits.then_some(header)
    }
}

/// What a record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// The payload's length in bytes.
    pub length: u32,
    pub shard: u32,
    pub sequence: Sequence,
}

impl RecordHeader {
    pub const BYTES: usize = RECORD_HEADER_BYTES;

    fn encode(&self, seed: u32, payload: &[u8], out: &mut [u8; RECORD_HEADER_BYTES]) {
        out[4..8].copy_from_slice(&self.length.to_le_bytes());
        out[8..12].copy_from_slice(&self.shard.to_le_bytes());
        out[12..].copy_from_slice(&self.sequence.to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c_append(seed, &out[4..]), payload);
        out[..4].copy_from_slice(&sum.to_le_bytes());
    }

    /// What the header of a record says, which is not checked before its payload is.
    pub fn peek(bytes: &[u8; RECORD_HEADER_BYTES]) -> RecordHeader {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let sequence = u64::from(number(12)) | u64::from(number(16)) << 32;
        RecordHeader { length: number(4), shard: number(8), sequence }
    }

    /// Whether header and payload are what was written.
    pub fn check(seed: u32, header: &[u8; RECORD_HEADER_BYTES], payload: &[u8]) -> Result<(), Defect> {
        let sum = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        match crc32c::crc32c_append(crc32c::crc32c_append(seed, &header[4..]), payload) == sum {
            true => Ok(()),
            false => Err(Defect::Wrong("the record's checksum does not fit")),
        }
    }
}

/// How many bytes a record takes with `payload` bytes.
pub(crate) fn record_bytes(payload: usize) -> usize {
    RECORD_HEADER_BYTES + payload
}

/// How many bytes a group takes whose records take `records` bytes.
pub(crate) fn group_bytes(records: usize) -> usize {
    (GROUP_HEADER_BYTES + records).next_multiple_of(ALIGNMENT)
}

const MAGIC: &[u8; 4] = b"GRP1";
const GROUP_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 20;
const ALIGNMENT: usize = 8;
