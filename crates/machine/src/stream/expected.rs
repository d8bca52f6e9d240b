//! Which version who writes believes a stream to have.

use super::{Life, Stream};
use crate::refusal::{Code, Refusal};

/// What must be so of a stream for a command to be done. Without one, nothing must.
#[derive(Clone, Copy, PartialEq, Eq, prost::Oneof)]
pub enum Expected {
    /// It has this version. That of a deleted stream counts.
    #[prost(uint64, tag = "3")]
    Version(u64),
    /// There is none: there never was, or it was deleted.
    #[prost(message, tag = "4")]
    NoStream(()),
    /// There is one, at whatever version.
    #[prost(message, tag = "5")]
    StreamExists(()),
}

impl Expected {
    /// Whether it is so.
    pub(super) fn holds(self, stream: &Stream) -> bool {
        match self {
            Expected::Version(version) => version == stream.version,
            Expected::NoStream(()) => !stream.exists(),
            Expected::StreamExists(()) => stream.exists(),
        }
    }

    /// The version after which the events lie that were appended under this, if they were.
    pub(super) fn appended_after(self, stream: &Stream) -> Option<u64> {
        match self {
            Expected::Version(version) if version < stream.version => Some(version),
            Expected::NoStream(()) if stream.exists() => Some(stream.truncated),
            _ => None,
        }
    }

    pub(super) fn refusal(self, name: &str, stream: &Stream) -> Refusal {
        let wanted = match self {
            Expected::Version(version) => format!("version {version}"),
            Expected::NoStream(()) => "no stream".to_owned(),
            Expected::StreamExists(()) => "a stream".to_owned(),
        };
        Refusal::new(Code::Conflict, format!("the stream {name:?} {}; {wanted} was expected", stream.is()))
    }
}

/// Refuses what is not as `expected`, and all that is to be done with a stream that is deleted for ever.
pub(super) fn look(name: &str, stream: &Stream, expected: Option<Expected>) -> Result<(), Refusal> {
    if stream.life() == Life::Tombstone {
        return exists(name, stream);
    }
    match expected {
        Some(expected) if !expected.holds(stream) => Err(expected.refusal(name, stream)),
        _ => Ok(()),
    }
}

/// Refuses what is to be done with a stream that is not there.
pub(super) fn exists(name: &str, stream: &Stream) -> Result<(), Refusal> {
    if stream.exists() {
        return Ok(());
    }
    Err(Refusal::new(Code::NotFound, format!("the stream {name:?} {}", stream.is())))
}

impl Stream {
    /// How it is, for a sentence.
    fn is(&self) -> String {
        match self.life() {
            Life::Live if self.version == 0 => "does not exist".to_owned(),
            Life::Live => format!("is at version {}", self.version),
            Life::Deleted => format!("was deleted at version {}", self.version),
            Life::Tombstone => format!("was deleted for ever at version {}", self.version),
        }
    }
}
