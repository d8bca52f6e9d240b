//! Handing nothing out for a while.

use super::Reply;
use super::open::Queue;
use crate::context::Context;
use crate::limits;
use crate::refusal::Refusal;

/// Has a queue hand nothing out until it is resumed. All else goes on: sending, settling, time.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Pause {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
}

/// Has a queue hand out again.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Resume {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
}

impl Pause {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        set(context, &self.queue, true)
    }
}

impl Resume {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        set(context, &self.queue, false)
    }
}

fn set(context: &mut Context<'_>, queue: &str, paused: bool) -> Result<Reply, Refusal> {
    let mut queue = Queue::open(context, queue);
    queue.ledger.paused = paused;
    if !paused {
        queue.wake();
    }
    queue.close();
    Ok(Reply::default())
}
