//! Publishing many messages at once.

use super::message::NewMessage;
use super::partition::Open;
use super::{PUBLISH_BATCH_MAX, Reply, check_place};
use crate::context::Context;
use crate::refusal::{Code, Refusal};

/// Appends messages to a partition, all or none, one after the other with nothing between. Answered with
/// [`Published`](super::Published).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PublishBatch {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition of all of them.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The messages, [`PUBLISH_BATCH_MAX`] at most.
    #[prost(message, repeated, tag = "3")]
    pub messages: Vec<NewMessage>,
}

impl PublishBatch {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.topic, self.partition)?;
        if self.messages.is_empty() || self.messages.len() > PUBLISH_BATCH_MAX {
            let wrong = format!("{} messages in a batch: 1 to {PUBLISH_BATCH_MAX}", self.messages.len());
            return Err(Refusal::new(Code::Invalid, wrong));
        }
        self.messages.iter().try_for_each(NewMessage::check)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        for message in &self.messages {
            context.length(message.body)?;
        }
        Open::to_append(context, &self.topic, self.partition)?.publish(context, &self.messages)
    }
}
