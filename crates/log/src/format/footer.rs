//! The end of a sealed segment: where its records are.

use super::fields::{Fields, seed};
use super::{Defect, HEADER_BYTES, Header, SEQUENCE_MAX};
use crate::{SHARDS_MAX, Sequence};

/// The records of one shard in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub shard: u32,
    /// How many.
    pub count: u32,
    /// The sequence of the first.
    pub first: Sequence,
    /// Where in the file the offset of the first is; those of the others follow.
    pub at: u32,
}

impl Span {
    /// The sequence of the last.
    pub fn last(&self) -> Sequence {
        self.first + u64::from(self.count) - 1
    }
}

/// What is known of a sealed segment without reading its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Where the last group ends and the footer begins.
    pub end: u32,
    /// The ordinal of the first group.
    pub ordinal: u64,
    /// How many groups there are.
    pub groups: u32,
    /// The checksum of all offsets.
    pub offsets_sum: u32,
    /// By ascending shard.
    pub spans: Vec<Span>,
}

/// A footer and its trailer, as they are to be written.
#[derive(Debug)]
pub(crate) struct Footer {
    /// At the table's `end`.
    pub footer: Vec<u8>,
    /// At the end of the file.
    pub trailer: [u8; TRAILER_BYTES],
    pub table: Table,
}

impl Footer {
    /// Puts one together from the offsets of each shard's records, by ascending shard.
    pub fn new<'a>(
        header: &Header,
        (ordinal, groups): (u64, u32),
        end: u32,
        runs: impl Iterator<Item = (u32, Sequence, &'a [u32])> + Clone,
    ) -> Footer {
        let mut at = end + SPAN_BYTES as u32 * runs.clone().count() as u32;
        let mut footer = Vec::new();
        let mut spans = Vec::new();
        for (shard, first, offsets) in runs.clone() {
            let count = offsets.len() as u32;
            spans.push(Span { shard, count, first, at });
            footer.extend_from_slice(&shard.to_le_bytes());
            footer.extend_from_slice(&count.to_le_bytes());
            footer.extend_from_slice(&first.to_le_bytes());
            at += 4 * count;
        }
        let table_sum = crc32c::crc32c_append(header.seed(), &footer);
        let table_bytes = footer.len();
        for (_, _, offsets) in runs {
            footer.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        }
        let offsets_sum = crc32c::crc32c_append(header.seed(), &footer[table_bytes..]);
        let table = Table { end, ordinal, groups, offsets_sum, spans };
        Footer { footer, trailer: table.trailer(header, table_sum), table }
    }
}

impl Table {
    fn trailer(&self, header: &Header, table_sum: u32) -> [u8; TRAILER_BYTES] {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&header.number.to_le_bytes());
        out.extend_from_slice(&header.salt.to_le_bytes());
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        for number in [self.groups, self.end, self.spans.len() as u32, table_sum, self.offsets_sum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&crc32c::crc32c_append(seed(header.salt), &out).to_le_bytes());
        let mut trailer = [0; TRAILER_BYTES];
        trailer[..out.len()].copy_from_slice(&out);
        trailer
    }

    /// What a trailer says: the table without its spans, how many there are, and their checksum.
    pub fn of_trailer(header: &Header, bytes: &[u8]) -> Option<(Table, u32, u32)> {
        let mut fields = Fields(bytes);
        let ours = fields.take::<8>().as_ref() == Some(MAGIC)
            && fields.u64()? == header.number
            && fields.u64()? == header.salt;
        let (ordinal, groups, end) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let (spans, table_sum, offsets_sum) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let sum = fields.u32()?;
        let whole = crc32c::crc32c_append(header.seed(), &bytes[..TRAILER_WRITTEN - 4]) == sum;
        let table = Table { end, ordinal, groups, offsets_sum, spans: Vec::new() };
        (ours && whole && end >= HEADER_BYTES && (1..SEQUENCE_MAX).contains(&ordinal))
            .then_some((table, spans, table_sum))
    }

    /// Reads the spans, from the beginning of the footer.
    pub fn read_spans(&mut self, header: &Header, bytes: &[u8], sum: u32) -> Result<(), Defect> {
        if crc32c::crc32c_append(header.seed(), bytes) != sum {
            return Err(Defect::Wrong("the footer's checksum does not fit"));
        }
        let mut fields = Fields(bytes);
        let mut at = u64::from(self.end) + bytes.len() as u64;
        while let (Some(shard), Some(count), Some(first)) = (fields.u32(), fields.u32(), fields.u64()) {
            let is_possible = count > 0 && shard < SHARDS_MAX && (1..SEQUENCE_MAX).contains(&first);
            let placed = u32::try_from(at).ok().filter(|_| is_possible);
            let ordered = self.spans.last().is_none_or(|before| before.shard < shard);
            let Some(at_now) = placed.filter(|_| ordered) else {
                return Err(Defect::Wrong("the footer contradicts itself"));
            };
            self.spans.push(Span { shard, count, first, at: at_now });
            at += 4 * u64::from(count);
        }
        Ok(())
    }

    /// The records of `shard`.
    pub fn span(&self, shard: u32) -> Option<&Span> {
        let at = self.spans.binary_search_by_key(&shard, |span| span.shard).ok()?;
        self.spans.get(at)
    }

    /// Where the last offset ends.
    pub fn offsets_end(&self) -> u64 {
        self.spans.last().map_or(0, |span| u64::from(span.at) + 4 * u64::from(span.count))
    }

    /// The ordinal of the group that follows the last.
    pub fn next_ordinal(&self) -> u64 {
        self.ordinal + u64::from(self.groups)
    }
}

/// How many bytes a footer takes, and its trailer with it.
pub(crate) fn footer_bytes(shards: usize, records: usize) -> usize {
    SPAN_BYTES * shards + 4 * records + TRAILER_BYTES
}

/// What a footer has in place of the offset of a record that was damaged and has been given up: no record is there. A
/// program that does not know that finds a record there that is damaged.
pub(crate) const LOST: u32 = 0;
const MAGIC: &[u8; 8] = b"COLONYLT";
pub(crate) const SPAN_BYTES: usize = 16;
pub(crate) const TRAILER_BYTES: usize = 64;
pub(super) const TRAILER_WRITTEN: usize = 8 + 3 * 8 + 6 * 4;
