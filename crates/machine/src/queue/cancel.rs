//! Taking back what was not handed out.

use super::open::Queue;
use super::{Item, RECEIPTS_MAX, check_list, item_key};
use crate::context::Context;
use crate::limits;
use crate::refusal::Refusal;

/// Takes items out of a queue that nobody has: ready, delayed or blocked ones.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Cancel {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// The items' numbers.
    #[prost(uint64, repeated, tag = "2")]
    pub items: Vec<u64>,
}

/// What became of the items.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Cancelled {
    /// Those that somebody has, or that are dead: they are as they were.
    #[prost(uint64, repeated, tag = "1")]
    pub not_waiting: Vec<u64>,
    /// Those that are not there: never were, or are done.
    #[prost(uint64, repeated, tag = "2")]
    pub not_found: Vec<u64>,
}

impl Cancel {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        check_list("items", self.items.len(), RECEIPTS_MAX)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Cancelled, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        queue.room_for_timer()?;
        let mut cancelled = Cancelled::default();
        for id in &self.items {
            let Some(item) = queue.context.get::<Item>(&item_key(&self.queue, *id)) else {
                cancelled.not_found.push(*id);
                continue;
            };
            match queue.take_waiting(*id, &item) {
                Some(waiting) => queue.remove(*id, &item, waiting.history),
                None => cancelled.not_waiting.push(*id),
            }
        }
        queue.close();
        Ok(cancelled)
    }
}
