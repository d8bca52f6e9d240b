//! What can go wrong with a log, by what the caller can do about it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::Sequence;

/// Why a batch was not appended.
#[derive(Clone, Debug)]
pub enum AppendError {
    /// The shard's last record is another: somebody else appends.
    NotTail {
        /// The sequence of the shard's last record.
        last: Sequence,
    },
    /// A record is larger than the log takes.
    TooLarge {
        /// The record's bytes.
        bytes: usize,
        /// The most that a record may have.
        bytes_max: usize,
    },
    /// There is no room. Nothing was written, and a later try may succeed.
    Full(Arc<io::Error>),
    /// Writing or syncing failed. What was not acknowledged may be lost, and nothing is taken any more.
    Failed(Arc<io::Error>),
}

/// Why nothing could be read.
#[derive(Clone, Debug)]
pub enum ReadError {
    /// It is no longer there.
    Trimmed {
        /// The first sequence that is.
        first: Sequence,
    },
    /// It is not there yet.
    NotYet {
        /// The last sequence that is.
        last: Sequence,
    },
    /// What is there is not what was written.
    Damaged {
        /// Where, such as a file's name.
        place: String,
        /// At which byte.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// It was damaged, and a repair has given it up.
    Lost {
        /// Where it was, such as a file's name.
        place: String,
    },
    /// The disk answered with an error. It may be able to read it later.
    Failed {
        /// Where, such as a file's name.
        place: String,
        /// At which byte.
        offset: u64,
        /// The disk's error.
        error: Arc<io::Error>,
    },
}

/// Why shards do not begin where they were told to.
#[derive(Clone, Debug)]
pub enum BeginError {
    /// One of them has, or had, records.
    NotNew {
        /// Which.
        shard: u32,
    },
    /// There is no such sequence.
    Beyond {
        /// Which.
        first: Sequence,
    },
    /// It could not be noted. Whether they begin there shows at the next opening.
    Failed(Arc<io::Error>),
}

/// Why a trim could not be noted.
#[derive(Clone, Debug)]
pub struct TrimError(pub Arc<io::Error>);

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::NotTail { last } => {
                write!(f, "the shard's last record is {last}: somebody else appends to it")
            }
            AppendError::TooLarge { bytes, bytes_max } => {
                write!(f, "a record of {bytes} bytes; {bytes_max} are the most")
            }
            AppendError::Full(_) => f.write_str("there is no room left for the log"),
            AppendError::Failed(_) => f.write_str("cannot write to the log"),
        }
    }
}

impl std::error::Error for AppendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AppendError::Full(error) | AppendError::Failed(error) => Some(error.as_ref()),
            AppendError::NotTail { .. } | AppendError::TooLarge { .. } => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Trimmed { first } => write!(f, "the log begins at {first} by now"),
            ReadError::NotYet { last } => write!(f, "the log ends at {last} as yet"),
            ReadError::Damaged { place, offset, what } => {
                write!(f, "{place} is damaged at byte {offset}: {what}")
            }
            ReadError::Lost { place } => write!(f, "it was damaged in {place}, and a repair gave it up"),
            ReadError::Failed { place, offset, .. } => write!(f, "cannot read {place} at byte {offset}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Failed { error, .. } => Some(error.as_ref()),
            _ => None,
        }
    }
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BeginError::NotNew { shard } => {
                write!(f, "the log of shard {shard} is not new: where it begins is settled")
            }
            BeginError::Beyond { first } => write!(f, "no log begins at {first}"),
            BeginError::Failed(_) => f.write_str("cannot note where the log begins"),
        }
    }
}

impl std::error::Error for BeginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BeginError::Failed(error) => Some(error.as_ref()),
            BeginError::NotNew { .. } | BeginError::Beyond { .. } => None,
        }
    }
}

impl fmt::Display for TrimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot note what of the log is given up")
    }
}

impl std::error::Error for TrimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}
