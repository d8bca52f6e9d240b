//! Publishing a message.

use super::message::NewMessage;
use super::partition::Open;
use super::{Published, Reply, check_place};
use crate::context::Context;
use crate::refusal::Refusal;

/// Appends a message to a partition. Answered with [`Published`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Publish {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition: that of the message's key ([`partition_of`](super::partition_of)), or any.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The message.
    #[prost(message, required, tag = "3")]
    pub message: NewMessage,
}

impl Publish {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.topic, self.partition)?;
        self.message.check()
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        context.length(self.message.body)?;
        let mut partition = Open::to_append(context, &self.topic, self.partition)?;
        let offset = partition.append(context, &self.message)?;
        partition.trim_after(context, 1);
        partition.close(context);
        Ok(Published { offset, count: 1 }.into())
    }
}
