//! A stream's settings and metadata.

use super::{Description, Reply, check_place, description_key, expected, opened, trim};
use crate::body::Body;
use crate::context::Context;
use crate::key::Key;
use crate::refusal::Refusal;

/// Gives a stream settings and metadata of its own in place of those that it had; it need not have been
/// begun. What is not given is as the store has it. All of it goes when the stream is deleted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Describe {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// The stream's name.
    #[prost(string, tag = "2")]
    pub stream: String,
    /// How many of its events are kept, the latest; zero for all.
    #[prost(uint64, optional, tag = "3")]
    pub count_max: Option<u64>,
    /// For how many milliseconds an event is kept; zero for ever.
    #[prost(uint64, optional, tag = "4")]
    pub age_ms_max: Option<u64>,
    /// The payload that is its metadata, in the application's words.
    #[prost(uint32, optional, tag = "5")]
    pub metadata: Option<Body>,
}

impl Describe {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.stream)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (store, key, mut stream) = opened(context, &self.store, &self.stream)?;
        expected::look(&self.stream, &stream, None)?;
        self.metadata.map(|body| context.length(body)).transpose()?;
        let version = stream.version;
        stream.count_max = self.count_max;
        stream.age_ms_max = self.age_ms_max;
        let trim = trim::plan(context, &mut stream, &store.settings, version)?;
        let description = description_key(&self.store, &self.stream);
        remove(context, description.clone());
        if let Some(body) = self.metadata {
            let metadata = context.store(body)?;
            context.put(description, &Description { metadata });
        }
        trim.carry_out(context, &self.store, &self.stream, key, stream);
        Ok(Reply { version, position: 0 })
    }
}

/// Removes what is said about a stream.
pub(super) fn remove(context: &mut Context<'_>, key: Key) {
    if let Some(description) = context.get::<Description>(&key) {
        context.release(&description.metadata);
        context.delete(key);
    }
}
