//! What can be set of an embedded log.

use crate::format::{HEADER_BYTES, footer_bytes, group_bytes, record_bytes};

/// What can be set of an embedded log. All of it may differ from one opening to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The length of a segment, bytes; default 64 MiB, 16 KiB to 1 GiB. Storage is taken and given back in
    /// such pieces, and a batch must fit into one. A log's first four are shorter, a sixteenth to a half, but 1 MiB at least, so
    /// that the next can be ready in time.
    pub segment_bytes: u32,
    /// The largest record that is taken, bytes; default 8 MiB. It must fit into a segment.
    pub record_bytes_max: u32,
    /// How much of what was written last is kept in memory to be read without touching a file, bytes; default
    /// 32 MiB, and none at zero. It is kept in pieces of an eighth of that, of which two more may be in use.
    pub cache_bytes: usize,
    /// How many segments that nobody needs any more are kept to be written over, which is the fastest way to a
    /// new one; default 2. At zero each is removed.
    pub spares_max: usize,
    /// Who makes segments before they are needed, and seals those that are full.
    pub upkeep: Upkeep,
}

/// Who makes segments before they are needed, and seals those that are full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// A thread of the log's own.
    Background,
    /// `append`, when it comes to that, which takes it longer then. For simulations: everything happens in the caller's
    /// thread, in an order that repeats itself.
    Inline,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            segment_bytes: 64 << 20,
            record_bytes_max: 8 << 20,
            cache_bytes: 32 << 20,
            spares_max: 2,
            upkeep: Upkeep::Background,
        }
    }
}

impl Config {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(format!(
                "a segment of {} bytes; it has {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}",
                self.segment_bytes
            ));
        }
        if self.record_bytes_max as usize > self.batch_bytes_max() - record_bytes(0) {
            return Err(format!(
                "records of up to {} bytes do not fit into segments of {}",
                self.record_bytes_max, self.segment_bytes
            ));
        }
        Ok(())
    }

    /// How long a new segment of this number is that should have `least` bytes, which are no more than a segment can have.
    pub(crate) fn length_of(&self, number: u64, least: usize) -> u32 {
        let halvings = SHORT_SEGMENTS.saturating_sub(number.saturating_sub(1)) as u32;
        let short = (self.segment_bytes >> halvings).max(SHORT_BYTES_MIN).min(self.segment_bytes);
        if short as usize >= least { short } else { self.segment_bytes }
    }

    /// How long a segment has to be for a batch of so many records, which take so many bytes with their headers.
    pub(crate) fn least(bytes: usize, records: usize) -> usize {
        HEADER_BYTES as usize + group_bytes(bytes) + 8 + footer_bytes(1, records)
    }

    /// The most bytes that the records of a batch may take with their headers, if they are `records`.
    pub(crate) fn room(&self, records: usize) -> usize {
        (self.segment_bytes as usize).saturating_sub(Config::least(0, records))
    }

    fn batch_bytes_max(&self) -> usize {
        self.room(1)
    }
}

/// How many of a log's first segments are shorter, each half as long as the one after it.
const SHORT_SEGMENTS: u64 = 4;
/// None of them is shorter, unless all are.
const SHORT_BYTES_MIN: u32 = 1 << 20;
const SEGMENT_BYTES_MIN: u32 = 16 << 10;
const SEGMENT_BYTES_MAX: u32 = 1 << 30;
