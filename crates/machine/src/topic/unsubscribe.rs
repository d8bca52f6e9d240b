//! Ending to consume.

use super::group::Open;
use super::{Reply, check_group};
use crate::context::Context;
use crate::refusal::{Code, Refusal};

/// Takes a group away from a partition, with all that is known of it. Nothing happens if there is none.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Unsubscribe {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The group's name.
    #[prost(string, tag = "3")]
    pub group: String,
}

impl Unsubscribe {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_group(&self.topic, self.partition, &self.group)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        match Open::new(context, (&self.topic, self.partition), &self.group, None) {
            Ok(open) => {
                open.wake(context);
                open.delete(context);
                Ok(Reply::default())
            }
            Err(refusal) if refusal.code() == Code::NotFound => Ok(Reply::default()),
            Err(refusal) => Err(refusal),
        }
    }
}
