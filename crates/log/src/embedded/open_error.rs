//! Why a log cannot be opened.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::Sequence;
use crate::format::Defect;

/// Why a log cannot be opened. Nothing on disk has been changed then that is not as before.
#[derive(Clone, Debug)]
pub enum OpenError {
    /// Another process has it open.
    Locked {
        /// The lock's file.
        place: String,
        /// Who, as far as that is known.
        holder: String,
    },
    /// A setting makes no sense.
    Config(String),
    /// Something is damaged that had been acknowledged, and what follows it is not.
    Damaged {
        /// The file.
        place: String,
        /// At which byte.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Records are missing that come before others that are there.
    Missing {
        /// The file before which they are missing.
        place: String,
        /// The shard.
        shard: u32,
        /// The first sequence that is missing.
        from: Sequence,
        /// The last one.
        to: Sequence,
    },
    /// Writes are missing between two segments, and which records they had nobody can tell.
    Hole {
        /// The segment before them.
        before: String,
        /// The segment behind them.
        behind: String,
        /// The first that is missing: writes are numbered over all of the log.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// A newer program has written it.
    Version {
        /// The file.
        place: String,
        /// The version of its format.
        version: u32,
    },
    /// The disk did not do what was asked.
    Failed {
        /// What was asked.
        what: &'static str,
        /// Of which file.
        place: String,
        /// What came instead.
        error: Arc<io::Error>,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Locked { place, holder } => {
                write!(f, "the log is open in {holder}, which holds {place}; end it first")
            }
            OpenError::Config(what) => write!(f, "the log cannot be set up so: {what}"),
            OpenError::Damaged { place, offset, what } => write!(
                f,
                "{place} is damaged at byte {offset}: {what}; `colony data verify` says what is lost, `colony data \
                 repair` opens the log without it"
            ),
            OpenError::Missing { place, shard, from, to } => write!(
                f,
                "records {from} to {to} of shard {shard} are missing before {place}: put the segments back that were \
                 taken away, or see what is left with `colony data verify` and go on with it by `colony data repair`"
            ),
            OpenError::Hole { before, behind, from, to } => write!(
                f,
                "writes {from} to {to} are missing between {before} and {behind}: put the segments back that were taken \
                 away, or see what is left with `colony data verify` and go on with it by `colony data repair`"
            ),
            OpenError::Version { place, version } => {
                write!(f, "{place} has version {version} of the format, which only a newer colony reads")
            }
            OpenError::Failed { what, place, .. } => write!(f, "cannot {what} {place}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Failed { error, .. } => Some(error.as_ref()),
            _ => None,
        }
    }
}

/// Names what was tried when an operation on a file failed.
pub(crate) fn failed(what: &'static str, place: String) -> impl FnOnce(io::Error) -> OpenError {
    move |error| OpenError::Failed { what, place, error: Arc::new(error) }
}

/// Names what is wrong with what a file holds.
pub(crate) fn damaged(place: String, offset: u64, defect: &Defect) -> OpenError {
    match defect {
        Defect::Version(version) => OpenError::Version { place, version: *version },
        Defect::Wrong(what) => OpenError::Damaged { place, offset, what: (*what).to_owned() },
    }
}
