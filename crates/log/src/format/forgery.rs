//! Making the checksums fit of bytes that were changed on purpose, for the fuzz target.

use super::{HEADER_BYTES, Header, SLOT_BYTES, TRAILER_BYTES};
use crate::format::fields::PROLOGUE_BYTES;
use crate::format::footer::{SPAN_BYTES, TRAILER_WRITTEN};
use crate::format::{GroupHeader, RecordHeader};

/// A file that is changed.
pub(crate) struct Forgery {
    /// Whether it is a segment; else it is the head.
    pub is_segment: bool,
}

impl Forgery {
    /// Makes the checksum fit that covers the place `at`; whether there is one.
    pub fn mend(&self, content: &mut [u8], at: usize) -> bool {
        let mended = if self.is_segment { segment(content, at) } else { head(content, at) };
        mended.is_some()
    }
}

fn head(content: &mut [u8], at: usize) -> Option<()> {
    let slot = content.get_mut(at / SLOT_BYTES * SLOT_BYTES..)?;
    put(slot, 12, crc32c::crc32c(slot.get(..12)?))?;
    let count = number(slot, PROLOGUE_BYTES + 4)? as usize;
    let end = PROLOGUE_BYTES + 8 + 16 + 8 * count.min(SLOT_BYTES);
    put(slot, end, crc32c::crc32c(slot.get(..end)?))
}

fn segment(content: &mut [u8], at: usize) -> Option<()> {
    if at < HEADER_BYTES as usize {
        put(content, 12, crc32c::crc32c(content.get(..12)?))?;
        return put(content, PROLOGUE_BYTES + 24, crc32c::crc32c(content.get(..PROLOGUE_BYTES + 24)?));
    }
    let seed = Header::decode(content).ok()?.seed();
    let trailer = content.len().checked_sub(TRAILER_BYTES)?;
    if at >= trailer {
        return mend_trailer(content, trailer, seed);
    }
    // Group by group, record by record, up to the one that covers the place.
    let mut begin = HEADER_BYTES as usize;
    while content.get(begin..)?.starts_with(b"GRP1") {
        let end = begin + (number(content, begin + 16)? as usize).max(GroupHeader::BYTES);
        if at < begin + GroupHeader::BYTES {
            let sum = crc32c::crc32c_append(seed, content.get(begin + 8..begin + GroupHeader::BYTES)?);
            return put(content, begin + 4, sum);
        }
        let mut record = begin + GroupHeader::BYTES;
        while at < end && record < end {
            let next = record + RecordHeader::BYTES + number(content, record + 4)? as usize;
            if at < next {
                let sum = crc32c::crc32c_append(seed, content.get(record + 4..next)?);
                return put(content, record, sum);
            }
            record = next;
        }
        begin = end;
    }
    // The footer's table, and with it the trailer that has its checksum.
    let end = number(content, trailer + 36)? as usize;
    let spans = number(content, trailer + 40)? as usize;
    let sum =
        crc32c::crc32c_append(seed, content.get(end..end.checked_add(spans.checked_mul(SPAN_BYTES)?)?)?);
    put(content, trailer + 44, sum)?;
    mend_trailer(content, trailer, seed)
}

fn mend_trailer(content: &mut [u8], trailer: usize, seed: u32) -> Option<()> {
    let sum = crc32c::crc32c_append(seed, content.get(trailer..trailer + TRAILER_WRITTEN - 4)?);
    put(content, trailer + TRAILER_WRITTEN - 4, sum)
}

fn number(content: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*content.get(at..)?.first_chunk()?))
}

fn put(content: &mut [u8], at: usize, number: u32) -> Option<()> {
    content.get_mut(at..)?.get_mut(..4)?.copy_from_slice(&number.to_le_bytes());
    Some(())
}
