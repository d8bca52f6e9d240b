//! The bytes on disk, version 1. All numbers are little-endian; all checksums are CRC32C.
//!
//! ```text
//! head                     which log this is, and what has been trimmed, twice (head.rs)
//! 000000000007.segment     header │ group │ group │ ... │ footer │ ... │ trailer
//! 000000000003.spare       a segment that nobody needs any more, to be written over
//! lock                     held by the process that has the log open
//! ```
//!
//! A **segment** is of a fixed length, and made before it is needed. Its header has a *salt*: a random
//! number, new each time that a file becomes a segment, which goes into every checksum of it. So what is
//! left in a file that is used again is never taken for a part of its new life, nor is a payload that
//! looks like a record.
//!
//! A **group** is what one call of `append` has written in one write, and made durable by one sync, before
//! the next was begun: a header with the group's *ordinal*, its length and the number of its records, then the
//! records, then zeros up to a multiple of eight. It counts as a whole or not at all. Ordinals have no gaps
//! over all segments. That is what tells a tail that was torn from a hole: what the last write left
//! unfinished has nothing behind it, and if something is behind it, it had been synced and is damaged.
//!
//! A **record** is its checksum, length, shard and sequence, then the payload.
//!
//! A **footer** says where in the segment each record of each shard lies: a table of shards, then for each
//! shard the offsets of its records. The **trailer**, at the very end of the file, says where the footer is. A segment
//! that has them is *sealed*: opening reads these only. They say nothing that the groups do not say, too, but for one
//! thing: a record whose offset is zero was damaged, and a repair has given it up.
//!
//! A sector of the disk is taken to be written as a whole or not at all, as PostgreSQL and SQLite take it:
//! a write may begin in the sector where the one before it ended, whose bytes it repeats.

mod fields;
mod footer;
#[cfg(any(test, feature = "fuzzing"))]
mod forgery;
mod group;
mod head;
mod header;

pub(crate) use footer::{Footer, LOST, SPAN_BYTES, TRAILER_BYTES, Table, footer_bytes};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use forgery::Forgery;
pub(crate) use group::{Group, GroupHeader, RecordHeader, group_bytes, record_bytes};
pub(crate) use head::{HEAD_BYTES, Head, SLOT_BYTES};
pub(crate) use header::{HEADER_BYTES, Header};

pub(crate) use crate::SEQUENCE_MAX;

/// The version that is written, and the only one that there is.
pub const VERSION: u32 = 1;

/// What is wrong with bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// They are not what they should be, in words.
    Wrong(&'static str),
    /// They are of a version that is not known.
    Version(u32),
}

impl std::fmt::Display for Defect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Defect::Wrong(what) => f.write_str(what),
            Defect::Version(version) => write!(f, "version {version} is not known to this program"),
        }
    }
}

/// The name of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:012}{SEGMENT}")
}

/// The name of a file that once was the segment `number`.
pub(crate) fn spare_name(number: u64) -> String {
    format!("{number:012}{SPARE}")
}

/// The name of a file that becomes the segment `number`.
pub(crate) fn new_name(number: u64) -> String {
    format!("{number:012}{NEW}")
}

/// The number in the name of a segment.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    number(name, SEGMENT)
}

/// The number in the name of a spare.
pub(crate) fn spare_number(name: &str) -> Option<u64> {
    number(name, SPARE)
}

/// The number in the name of any file.
pub(crate) fn any_number(name: &str) -> Option<u64> {
    [SEGMENT, SPARE, NEW].iter().find_map(|ending| number(name, ending))
}

/// Whether a name is one of what was being made when the process ended.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name == HEAD_NEW || number(name, NEW).is_some()
}

fn number(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    (digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The name of the head.
pub(crate) const HEAD: &str = "head";
/// Its name while it is made.
pub(crate) const HEAD_NEW: &str = "head.new";
/// The name of the lock.
pub(crate) const LOCK: &str = "lock";
const SEGMENT: &str = ".segment";
const SPARE: &str = ".spare";
const NEW: &str = ".new";
