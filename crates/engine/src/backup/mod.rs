//! Backups: what all shards are at one moment, as a stream of bytes, and a new folder made of such a stream.
//!
//! **The moment.** What shards send each other is applied exactly once since the sender keeps it until the receiver has
//! it, and the receiver remembers up to where it has it. Taken at two moments, these would not fit: a receiver that is
//! later than its sender knows numbers that the sender will give to other commands, which would be lost; one that is earlier
//! misses what the sender has forgotten. So all shards are taken at the same moment: what has changed in each since the
//! last checkpoint is set aside while the locks of all are held, which are as many moves of a pointer as there are
//! shards, and nobody waits for longer than it takes the workers to apply what they are at. At any moment a receiver has
//! what its sender has sent and not more, and a sender has forgotten what its receiver has and not more, for a letter
//! leaves when it lies in the sender's applied state, and is forgotten by an entry of its own, after the receiver has
//! applied it. What was acknowledged before the moment is in it, for it was applied before. What was set aside is
//! written as any checkpoint, and a snapshot of the store is then just that moment, read while others are written.
//!
//! **Payloads** lie in the log, where the state points to. A backup has them in its state, where
//! [`Kept::moved`](machine::body::Kept) would have them if the log had been given back, so that a restored folder is one whose
//! whole log was given back, and nothing has to know of backups that reads state. As long as a backup is being
//! made no part of the log is given back, for it may hold what nothing but the backup points to any more.
//!
//! **Sequences.** Fencing tokens and ETags are sequences of entries. Between the backup and the day on which it is
//! needed some were given that the backup does not know. If they were given again, a lock's old holder would be let in
//! and an ETag would stand for two values. So a restored shard goes on [`SKIPPED`] sequences further on.
//!
//! **Not all of it** is nothing: a backup ends with a trailer that says what must have come before, and a folder that is
//! being restored says so in a file, [`UNFINISHED`], until all of it has been written, synced and read again; no engine opens
//! it before.

mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod read;
mod restore;
mod serve;
mod still;
mod write;

use machine::{Shard, Time};

pub use format::{Header, VERSION};
pub use read::{Part, Reader, Unreadable};
pub use restore::{RestoreError, restore, restore_in};
pub use serve::{SOCKET, ask};
pub use write::BackupError;

pub(crate) use restore::check_finished;
pub(crate) use serve::Serving;
pub(crate) use write::{CHUNK_BYTES, Source, write};

/// Where a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The shard.
    pub shard: Shard,
    /// The entry that was applied last.
    pub sequence: u64,
    /// That entry's time.
    pub time: Time,
}

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many shards.
    pub shards: u32,
    /// How many pairs of state.
    pub pairs: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: u64,
}

/// How far somebody is who makes or reads a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// At which shard, from zero.
    pub shard: u32,
    /// Of how many.
    pub shards: u32,
    /// After how many bytes of the backup.
    pub bytes: u64,
}

/// How many sequences a restored shard leaves out: more than any shard gets between a backup and the day on which it is
/// needed, which would be a year of 130 entries a second; and few enough to restore a billion times.
pub const SKIPPED: u64 = 1 << 32;
/// The file in a folder that is being restored.
pub const UNFINISHED: &str = "restoring";
