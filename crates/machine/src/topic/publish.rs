//! Publishing a message.

use std::slice;

use super::message::NewMessage;
use super::partition::Open;
use super::{Reply, check_place};
use crate::context::Context;
use crate::refusal::Refusal;

/// Appends a message to a partition. Answered with [`Published`](super::Published).
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
        let partition = Open::to_append(context, &self.topic, self.partition)?;
        partition.publish(context, slice::from_ref(&self.message))
    }
}
