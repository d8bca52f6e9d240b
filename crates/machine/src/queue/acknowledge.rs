//! Work that is done.

use super::lease::check_receipts;
use super::open::Queue;
use super::{Held, Receipt, due, history_key, item_key};
use crate::context::Context;
use crate::limits;
use crate::refusal::Refusal;

/// Takes items that are done out of the queue.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Acknowledge {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// What was handed out.
    #[prost(message, repeated, tag = "2")]
    pub receipts: Vec<Receipt>,
    /// Whether nothing is done if one of the receipts is good no longer: for whoever sends something in the
    /// same entry that rests on all of them.
    #[prost(bool, tag = "3")]
    pub all: bool,
}

/// What became of receipts.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Settled {
    /// Those that were good no longer: another may have the item, or it is done. All others are settled.
    #[prost(message, repeated, tag = "1")]
    pub fenced: Vec<Receipt>,
}

impl Acknowledge {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        check_receipts(&self.receipts)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Settled, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        let (opened, fenced) = queue.open_leases(&self.receipts, self.all)?;
        for one in opened {
            for held in &one.taken {
                queue.done(held);
            }
            queue.put_lease(one.number, &one.lease);
        }
        queue.close();
        Ok(Settled { fenced })
    }
}

impl Queue<'_, '_> {
    fn done(&mut self, held: &Held) {
        self.let_go(held);
        if held.expires_ms != 0 {
            self.unindex(held.expires_ms, due::Kind::Expiry, &held.item.to_be_bytes());
        }
        if held.history {
            self.context.delete(history_key(self.name, held.item));
        }
        if let Some(body) = &held.body {
            self.context.release(body);
        }
        self.context.delete(item_key(self.name, held.item));
    }
}
