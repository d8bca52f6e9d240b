//! The durable log: for each shard an ordered sequence of records, the only thing that Colony relies on
//! to be durable.

use bytes::Bytes;

#[cfg(any(test, feature = "conformance", feature = "fuzzing"))]
pub mod conformance;
pub mod disk;
mod embedded;
mod error;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod memory;

pub use embedded::{
    Config, Cut, Damage, Embedded, Lost, OpenError, Recovery, Repaired, Report, Upkeep, hold, repair, verify,
};
pub use error::{AppendError, BeginError, ReadError, TrimError};
pub use format::VERSION as FORMAT_VERSION;
pub use memory::Memory;

/// A record's place in its shard: 1 for the first ever, and one more for each after it.
pub type Sequence = u64;

/// Records to be appended to one shard.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shard's number.
    pub shard: u32,
    /// The sequence that the shard's last record must have; zero if it must be empty.
    pub last: Sequence,
    /// The records, which get the sequences that follow.
    pub records: Vec<Bytes>,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub sequence: Sequence,
    /// What was appended.
    pub bytes: Bytes,
}

/// What trimming would give back next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// How many bytes of storage.
    pub bytes: u64,
    /// For each shard that has records there, the sequence up to which (inclusive) it must be trimmed for that.
    pub up_to: Vec<(u32, Sequence)>,
}

/// Beyond every sequence that there will ever be: a number that is not below was never written by us.
pub const SEQUENCE_MAX: Sequence = 1 << 62;

/// The most shards that a log has; their numbers are below that.
pub const SHARDS_MAX: u32 = 1024;

/// Shards' durable logs.
///
/// - A batch MUST be appended as a whole or not at all, and only if `last` is the sequence of the shard's
///   last record: whoever was deposed cannot append.
/// - When `append` has returned `Ok` for a batch, its records MUST survive the loss of the process and of power.
/// - When it has returned [`AppendError::NotTail`], [`AppendError::TooLarge`] or [`AppendError::Full`], nothing of
///   the batch MUST ever be read.
/// - When it has returned [`AppendError::Failed`], the batch may be there after the next opening or not, and until
///   then nothing MUST be appended any more. Reading goes on.
/// - Sequences MUST have no gaps: what is read from `from` on is every record from there, in order.
/// - A record that is damaged MUST be an error that names where, and never something else than was appended; one that was
///   given up by a repair keeps its sequence.
/// - `trim` MUST NOT take away more than it was told to, and MAY take away less, or later. What it took away MAY be
///   there again after the next opening, as it was appended; but never is a sequence given to another record.
/// - `begin` MUST be for all of its shards or for none, also after the loss of the process and of power, and only if none
///   of them ever had a record. When it has returned `Ok`, each goes on as one does of which all records before that were
///   trimmed.
/// - A shard's number MUST be below [`SHARDS_MAX`].
pub trait Log: Send + Sync + 'static {
    /// Has shards that never had a record begin at a sequence each, instead of 1: for state that was brought from
    /// elsewhere, where those before it had other sequences.
    ///
    /// # Errors
    ///
    /// If one of them has or had records, or a sequence cannot be, or it cannot be noted durably. In the last case they may
    /// begin there after the next opening or not.
    fn begin(&self, firsts: &[(u32, Sequence)]) -> Result<(), BeginError>;

    /// Appends batches, each to another shard, and returns what became of each when all is durable: one result for
    /// each batch, in their order. One call at a time is made; those that have something to append wait together for
    /// the next.
    fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>>;

    /// Records of `shard` from the sequence `from` on, as many as come to `bytes_max` bytes, but at least one
    /// if there is one; none if `from` is beyond the last.
    ///
    /// # Errors
    ///
    /// If `from` has been trimmed, or the record there is damaged or cannot be read. A later record that cannot be
    /// read ends what is returned; asking for it is the error.
    fn read(&self, shard: u32, from: Sequence, bytes_max: usize) -> Result<Vec<Record>, ReadError>;

    /// The record `sequence` of `shard`.
    ///
    /// # Errors
    ///
    /// As [`Log::read`], and if there is no such record yet.
    fn get(&self, shard: u32, sequence: Sequence) -> Result<Bytes, ReadError>;

    /// The sequence of the shard's last record; zero if there never was one.
    fn last(&self, shard: u32) -> Sequence;

    /// The first sequence that can be read: one more than what `trim` has taken away.
    fn first(&self, shard: u32) -> Sequence;

    /// Gives up the records of `shard` before `before`; all of them, if it is beyond the last.
    ///
    /// # Errors
    ///
    /// If that had to be noted, for storage to be given back, and could not be. The records are given up all the same,
    /// and the next call tries again.
    fn trim(&self, shard: u32, before: Sequence) -> Result<(), TrimError>;

    /// What trimming would give back next, the oldest first; nothing while there is too little to give back.
    fn oldest(&self) -> Option<Oldest>;

    /// How many bytes of storage the records take.
    fn bytes(&self) -> u64;
}
