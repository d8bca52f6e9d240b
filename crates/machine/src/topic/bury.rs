//! Taking a dead letter.

use std::slice;

use super::message::NewMessage;
use super::partition::Open;
use super::{Reply, check_place};
use crate::context::Context;
use crate::refusal::Refusal;

/// Appends a dead letter to a partition, as [`Publish`](super::Publish) does a message, but even where the topic
/// has no such partition or there are too many timers: there is nobody to refuse it to. Answered with
/// [`Published`](super::Published).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Bury {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The dead letter.
    #[prost(message, required, tag = "3")]
    pub letter: NewMessage,
}

impl Bury {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.topic, self.partition)?;
        self.letter.check()
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        context.length(self.letter.body)?;
        let partition = Open::to_append_anyway(context, &self.topic, self.partition)?;
        partition.publish(context, slice::from_ref(&self.letter))
    }
}
