//! Removing a stream's oldest events.

use super::{Reply, check_place, expected, opened, trim};
use crate::context::Context;
use crate::refusal::{Code, Refusal};

/// Removes the events of a stream that lie before a version, such as that of a snapshot. What is removed
/// already stays so.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Truncate {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// The stream's name.
    #[prost(string, tag = "2")]
    pub stream: String,
    /// The version of the first event that stays; one more than the stream's if none does.
    #[prost(uint64, tag = "3")]
    pub before: u64,
}

impl Truncate {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.stream)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (store, key, mut stream) = opened(context, &self.store, &self.stream)?;
        expected::exists(&self.stream, &stream)?;
        if self.before > stream.version + 1 {
            let ahead = format!(
                "the stream {:?} is at version {}: there is nothing before version {} to remove yet",
                self.stream, stream.version, self.before
            );
            return Err(Refusal::new(Code::Conflict, ahead));
        }
        let before = stream.version;
        stream.truncated = stream.truncated.max(self.before.saturating_sub(1));
        let trim = trim::plan(context, &mut stream, &store.settings, before)?;
        trim.carry_out(context, &self.store, &self.stream, key, stream);
        Ok(Reply { version: before, position: 0 })
    }
}
