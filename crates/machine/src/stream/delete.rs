//! Removing a stream.

use super::{Expected, Life, Reply, Stream, check_place, description_key, expected, opened, snapshot, trim};
use crate::context::Context;
use crate::refusal::Refusal;

/// Removes a stream: its events, its snapshots, and what was said about it. What stays is its version.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Delete {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// The stream's name.
    #[prost(string, tag = "2")]
    pub stream: String,
    /// What must be so of the stream; nothing for "at whatever version".
    #[prost(oneof = "Expected", tags = "3, 4, 5")]
    pub expected: Option<Expected>,
    /// Whether for ever: nothing may be appended to it any more. Otherwise it may be begun anew, and its
    /// versions go on. A stream that was deleted may still be deleted for ever.
    #[prost(bool, tag = "6")]
    pub tombstone: bool,
}

impl Delete {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.stream)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (store, key, before) = opened(context, &self.store, &self.stream)?;
        expected::look(&self.stream, &before, self.expected)?;
        if !(self.tombstone && before.life() == Life::Deleted) {
            expected::exists(&self.stream, &before)?;
        }
        let version = before.version;
        let mut stream = Stream {
            truncated: version,
            trimmed: before.trimmed,
            timer: before.timer,
            version,
            ..Stream::default()
        };
        stream.set_life(if self.tombstone { Life::Tombstone } else { Life::Deleted });
        let trim = trim::plan(context, &mut stream, &store.settings, version)?;
        snapshot::remove_all(context, &self.store, &self.stream);
        super::describe::remove(context, description_key(&self.store, &self.stream));
        trim.carry_out(context, &self.store, &self.stream, key, stream);
        Ok(Reply { version, position: 0 })
    }
}
