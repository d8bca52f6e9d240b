//! Setting a queue's settings.

use super::open::Queue;
use super::{Reply, Settings, settings_key};
use crate::context::Context;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Sets a queue's settings, in place of all that was set before. They hold for what happens from now on:
/// leases and delays that have begun end as they would have.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Define {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// What is set.
    #[prost(message, required, tag = "2")]
    pub settings: Settings,
}

impl Define {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        self.settings.check()
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        queue.room_for_timer()?;
        if queue.settings().spread && !self.settings.spread {
            let settled = format!("the queue {:?} is spread, and has items in all shards", self.queue);
            return Err(Refusal::new(Code::Conflict, settled));
        }
        queue.context.put(settings_key(&self.queue), &self.settings);
        queue.ledger.defined = true;
        if let Some(rate) = &self.settings.rate {
            queue.ledger.tat_ns = rate.settled(queue.ledger.tat_ns, queue.now());
        }
        queue.unblock_all();
        queue.wake();
        queue.close();
        Ok(Reply::default())
    }
}
