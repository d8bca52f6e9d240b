//! Moving a group.

use super::done::Done;
use super::group::{Open, Position};
use super::subscribe::Place;
use super::{Reply, check_group};
use crate::context::Context;
use crate::refusal::Refusal;

/// Moves a group to another place in its partition, back to have messages again or forth to leave some out. What it
/// had done beyond and what it had set aside is forgotten: it begins anew. Answered with its
/// [`Position`](super::Position).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Seek {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The group's name.
    #[prost(string, tag = "3")]
    pub group: String,
    /// Where to.
    #[prost(message, required, tag = "4")]
    pub to: Place,
}

impl Seek {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_group(&self.topic, self.partition, &self.group)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut open = Open::new(context, (&self.topic, self.partition), &self.group, None)?;
        open.clear_aside(context);
        open.done = Done::before(self.to.offset_in(context, &self.topic, self.partition));
        open.group.epoch = context.sequence();
        open.wake(context);
        let position = Position { cursor: open.done.cursor(), epoch: open.group.epoch };
        open.close(context);
        Ok(position.into())
    }
}
