//! The head of a log: which log it is, and up to where each shard has been trimmed.
//!
//! It is there twice, in two slots that are written one after the other, each synced before the next: one
//! of them is whole at any time, and later damage to one of them does no harm. They are written over in place,
//! so that a full disk never keeps one from trimming.

use super::fields::{PROLOGUE_BYTES, after_prologue, prologue};
use super::{Defect, SEQUENCE_MAX};
use crate::{SHARDS_MAX, Sequence};

/// The head's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Which log this is: a random number, which is in each of its segments.
    pub log: u64,
    /// One more each time that it is written.
    pub generation: u64,
    /// Whether this slot was the second to be written of its generation: then the first is durable.
    pub is_second: bool,
    /// For each shard the first sequence that has not been trimmed.
    pub firsts: Vec<Sequence>,
}

impl Head {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 8 * self.firsts.len());
        out.extend_from_slice(&prologue(MAGIC));
        out.extend_from_slice(&u32::from(self.is_second).to_le_bytes());
        out.extend_from_slice(&(self.firsts.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.log.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend(self.firsts.iter().flat_map(|first| first.to_le_bytes()));
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// What one slot says.
    pub fn decode(slot: &[u8]) -> Result<Head, Defect> {
        let cut = Defect::Wrong("the head is cut off");
        let mut fields = after_prologue(MAGIC, slot)?;
        let is_second = fields.u32().ok_or(cut.clone())? == 1;
        let count = fields.u32().filter(|count| *count <= SHARDS_MAX).ok_or(cut.clone())?;
        let (log, generation) = fields.u64().zip(fields.u64()).ok_or(cut.clone())?;
        let firsts = (0..count).map(|_| fields.u64()).collect::<Option<Vec<_>>>().ok_or(cut.clone())?;
        if !firsts.iter().all(|first| (1..SEQUENCE_MAX).contains(first)) {
            return Err(Defect::Wrong("the head names sequences that cannot be"));
        }
        let written = slot.len() - fields.0.len();
        let sum = fields.u32().ok_or(cut)?;
        match crc32c::crc32c(&slot[..written]) == sum {
            true => Ok(Head { log, generation, is_second, firsts }),
            false => Err(Defect::Wrong("the head's checksum does not fit")),
        }
    }
}

const MAGIC: &[u8; 8] = b"COLONYLH";
const FIXED: usize = PROLOGUE_BYTES + 2 * 4 + 2 * 8 + 4;
/// The length of a slot.
pub(crate) const SLOT_BYTES: usize = 12 << 10;
/// The length of the file.
pub(crate) const HEAD_BYTES: usize = 2 * SLOT_BYTES;
const _: () = assert!(FIXED + 8 * SHARDS_MAX as usize <= SLOT_BYTES);
