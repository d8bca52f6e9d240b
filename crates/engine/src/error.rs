//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use log::{AppendError, ReadError};
use machine::{Code, Refusal};

use crate::store::StoreError;

/// Why a command has no reply, or a read no answer.
///
/// Of a command that was answered with [`Error::InDoubt`] nobody can say yet whether it was done. With all others it
/// surely was not, and never will be unless it is asked for again.
#[derive(Clone, Debug)]
pub enum Error {
    /// The machine refused it; nothing has happened. Whether to try again is in its code.
    Refused(Refusal),
    /// Too many wait already; nothing has happened. Worth trying again later.
    Overloaded,
    /// There is no room on the disk; nothing has happened. Reads go on, and writes will when there is room.
    Full,
    /// Durability was lost before: a write or sync of the log, or the store, failed, and nothing is written until the
    /// engine has been started anew. Nothing has happened.
    Failed(Arc<Failure>),
    /// What was asked for has a payload that is damaged on the disk, and lost. All else goes on.
    Lost(ReadError),
    /// What was asked for has a payload that the disk cannot read at present: it answers with an error. All else goes on, and the
    /// next try may succeed.
    Unreadable(ReadError),
    /// What has changed cannot be written to the store at present, for the disk answers with an error, and there is too much of it
    /// to take more; nothing has happened. It is tried again every second, reads go on, and nothing that was acknowledged is
    /// lost: the log has it.
    Unwritable(StoreError),
    /// The engine is being closed; nothing has happened.
    Closed,
    /// The engine failed or was ended while the command was on its way: it may be in the log, and then it is done at the
    /// next start. Who asks again under the same idempotency key learns what became of it. The failure, if it is known.
    InDoubt(Option<Arc<Failure>>),
}

/// The kinds of errors: what a caller can act on, and what an API has a status for. Each error has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// It is malformed, and will be refused again.
    Invalid,
    /// A payload or the request as a whole has more bytes than are taken.
    TooLarge,
    /// What it names is not there.
    NotFound,
    /// What it would make is there already.
    Exists,
    /// Something else has changed what it relies on: an ETag, a revision or a version does not match.
    Conflict,
    /// Its idempotency key was used for another request. Nothing has happened.
    Reused,
    /// Its lease, receipt or token is no longer the valid one.
    Fenced,
    /// It was there and has been given up, such as a position before the first that is kept.
    Gone,
    /// A named maximum is reached.
    Limit,
    /// Not at present: later it may be taken.
    Unavailable,
    /// Too many wait already. Nothing has happened: worth trying again later.
    Busy,
    /// There is no room on the disk. Nothing has happened.
    Full,
    /// Durability was lost before: nothing is written until the engine has been started anew. Nothing has happened.
    Failed,
    /// Nobody knows whether it was done before the engine has been started anew. With an idempotency key it can be
    /// asked again then.
    InDoubt,
    /// What it asks for has a payload that is damaged on the disk, and lost.
    Lost,
    /// The engine is being closed. Nothing has happened.
    Closed,
}

impl Error {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Refused(refusal) => match refusal.code() {
                Code::Invalid | Code::Unknown => Kind::Invalid,
                Code::NotFound => Kind::NotFound,
                Code::Exists => Kind::Exists,
                Code::Conflict => Kind::Conflict,
                Code::Reused => Kind::Reused,
                Code::Fenced => Kind::Fenced,
                Code::Limit => Kind::Limit,
                Code::Unavailable => Kind::Unavailable,
                Code::Gone => Kind::Gone,
                Code::TooLarge => Kind::TooLarge,
            },
            Error::Overloaded => Kind::Busy,
            Error::Full => Kind::Full,
            Error::Failed(_) => Kind::Failed,
            Error::InDoubt(_) => Kind::InDoubt,
            Error::Lost(_) => Kind::Lost,
            Error::Unreadable(_) | Error::Unwritable(_) => Kind::Unavailable,
            Error::Closed => Kind::Closed,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Refused(Refusal::new(Code::Invalid, message))
    }
}

/// What ended an engine's work.
#[derive(Debug)]
pub enum Failure {
    /// The log takes nothing any more.
    Append(AppendError),
    /// The log cannot be read.
    Read(ReadError),
    /// The store cannot be read or written.
    Store(StoreError),
    /// A thread of the engine panicked.
    Panicked,
}

/// Why an engine cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// There is no data in the folder.
    Nothing(PathBuf),
    /// The configuration cannot work.
    Config(String),
    /// The data was created with another number of shards.
    Shards {
        /// With how many it was.
        is: u32,
        /// With how many it should be opened.
        wanted: u32,
    },
    /// The log holds entries that were applied by another version of the machine.
    Machine {
        /// By which.
        is: u32,
        /// Which this program has.
        wanted: u32,
    },
    /// The store has applied more of a shard than its log holds: one of them is not the other's.
    Ahead {
        /// The shard.
        shard: u32,
        /// Up to where the store has applied.
        applied: u64,
        /// The log's last record.
        last: u64,
    },
    /// The log begins behind what the store has applied: records in between are missing.
    Behind {
        /// The shard.
        shard: u32,
        /// Up to where the store has applied.
        applied: u64,
        /// The log's first record.
        first: u64,
    },
    /// An entry of the log cannot be understood.
    Entry {
        /// The shard.
        shard: u32,
        /// The entry's sequence.
        sequence: u64,
        /// What is wrong with it.
        malformed: machine::entry::Malformed,
    },
    /// The log cannot be read.
    Log(ReadError),
    /// The log cannot be opened.
    Open(log::OpenError),
    /// The folder is being restored from a backup, or was when that ended.
    Unfinished(PathBuf),
    /// The folder cannot be made.
    Folder(Arc<std::io::Error>),
    /// The store cannot be opened or read.
    Store(StoreError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Overloaded => f.write_str("too many commands wait already: try again later"),
            Error::Full => f.write_str("the disk is full: nothing can be written until there is room"),
            Error::Failed(_) => f.write_str(
                "the engine has stopped, for it could not make sure that what it writes lasts: nothing is written until \
                 it is started anew",
            ),
            Error::Lost(error) => write!(f, "the payload is lost: {error}"),
            Error::Unreadable(error) => {
                write!(f, "the payload cannot be read at present: {}", with_causes(error))
            }
            Error::Unwritable(error) => write!(
                f,
                "too much waits to be written to the store, which fails at present: {}",
                with_causes(error)
            ),
            Error::Closed => f.write_str("the engine is being closed"),
            Error::InDoubt(_) => f.write_str(
                "the engine has stopped while the command was on its way: whether it was done shows when the engine is \
                 started anew",
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Failed(failure) | Error::InDoubt(Some(failure)) => Some(failure.as_ref()),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Append(error) => error.fmt(f),
            Failure::Read(error) => error.fmt(f),
            Failure::Store(error) => error.fmt(f),
            Failure::Panicked => f.write_str("a thread of the engine panicked"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Failure::Append(error) => error.source(),
            Failure::Read(error) => error.source(),
            Failure::Store(error) => error.source(),
            Failure::Panicked => None,
        }
    }
}

impl Failure {
    /// What the log says of a payload that is damaged, and will not be readable the next time either.
    pub fn lost(&self) -> Option<&ReadError> {
        match self {
            Failure::Read(error @ (ReadError::Damaged { .. } | ReadError::Lost { .. })) => Some(error),
            _ => None,
        }
    }

    /// What the log says of a payload that the disk cannot read at present: nothing is known to be lost.
    pub fn unreadable(&self) -> Option<&ReadError> {
        match self {
            Failure::Read(error @ ReadError::Failed { .. }) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Nothing(folder) => write!(f, "there is no data in {}", folder.display()),
            OpenError::Config(wrong) => f.write_str(wrong),
            OpenError::Shards { is, wanted } => write!(
                f,
                "the data was created with {is} shards and cannot be opened with {wanted}: the number is fixed"
            ),
            OpenError::Machine { is, wanted } => write!(
                f,
                "the data was last opened by a program whose machine has version {is}, and this one has {wanted}: open and close \
                 it once with the program that wrote it, so that nothing of its log is left to be applied"
            ),
            OpenError::Ahead { shard, applied, last } => write!(
                f,
                "the state of shard {shard} is of entry {applied}, but its log ends at {last}: part of the log is missing, \
                 or the two are of different data"
            ),
            OpenError::Behind { shard, applied, first } => write!(
                f,
                "the state of shard {shard} is of entry {applied}, but its log begins at {first}: part of the log is \
                 missing, or the two are of different data"
            ),
            OpenError::Entry { shard, sequence, malformed } => {
                write!(f, "entry {sequence} of shard {shard} cannot be applied: {malformed}")
            }
            OpenError::Log(error) => error.fmt(f),
            OpenError::Open(error) => error.fmt(f),
            OpenError::Unfinished(folder) => write!(
                f,
                "{} is being restored from a backup, or was when that was ended: not all of it is there",
                folder.display()
            ),
            OpenError::Folder(_) => f.write_str("cannot make the folder for the data"),
            OpenError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Log(error) => error.source(),
            OpenError::Open(error) => error.source(),
            OpenError::Folder(error) => Some(error.as_ref()),
            OpenError::Store(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal)
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> OpenError {
        OpenError::Store(error)
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> OpenError {
        OpenError::Log(error)
    }
}

/// An error with its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
