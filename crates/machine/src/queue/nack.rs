//! Work that has failed, or was not begun.

use super::lease::check_receipts;
use super::open::Queue;
use super::{
    CAUSE_BYTES_MAX, DELAY_MS_MAX, Failure, Held, History, Place, Reason, Receipt, Settings, Settled,
    Waiting, check_within, history_key,
};
use crate::context::Context;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Gives items back: negative acknowledgement.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Nack {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// What was handed out.
    #[prost(message, repeated, tag = "2")]
    pub receipts: Vec<Receipt>,
    /// What went wrong, for whoever looks at the item or its dead letter; 1 KiB at most.
    #[prost(string, tag = "3")]
    pub cause: String,
    /// How long until it is tried again, in milliseconds. Default: the queue's backoff. Zero: at once.
    #[prost(uint64, optional, tag = "4")]
    pub delay_ms: Option<u64>,
    /// Whether the work was not begun, as by a consumer that ends: it counts as no attempt, and the item is
    /// back where it was. Cause and delay are not looked at then.
    #[prost(bool, tag = "5")]
    pub not_begun: bool,
    /// Whether trying again would be of no use: it is as if this had been the last attempt.
    #[prost(bool, tag = "6")]
    pub for_good: bool,
}

impl Nack {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        check_receipts(&self.receipts)?;
        check_within("a delay", self.delay_ms.unwrap_or(0), DELAY_MS_MAX)?;
        if self.cause.len() > CAUSE_BYTES_MAX {
            let long = format!("a cause of {} bytes; {CAUSE_BYTES_MAX} are the most", self.cause.len());
            return Err(Refusal::new(Code::Invalid, long));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Settled, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        let settings = queue.settings();
        let (opened, fenced) = queue.open_leases(&self.receipts, false)?;
        queue.room_for_timer()?;
        for one in opened {
            for held in &one.taken {
                match self.not_begun {
                    true => queue.put_back(&settings, held),
                    false => {
                        let failure = self.failure(&queue, held, &one.lease.consumer);
                        let over = self.for_good || held.attempt >= settings.attempts_max();
                        queue.fail(&settings, held, failure, self.delay_ms, over);
                    }
                }
            }
            queue.put_lease(one.number, &one.lease);
        }
        queue.close();
        Ok(Settled { fenced })
    }

    fn failure(&self, queue: &Queue<'_, '_>, held: &Held, consumer: &str) -> Failure {
        Failure {
            at_ms: queue.now_ms(),
            attempt: held.attempt,
            consumer: consumer.to_owned(),
            reason: Reason::Nacked.into(),
            cause: self.cause.clone(),
        }
    }
}

impl Queue<'_, '_> {
    /// Puts an item back where it was before it was handed out.
    fn put_back(&mut self, settings: &Settings, held: &Held) {
        self.let_go(held);
        let item = self.item(held.item);
        let waiting =
            Waiting { attempts: held.attempt - 1, key: item.key.clone(), history: held.history, priority: 0 };
        if self.is_expired(&item) {
            return self.expire(settings, held.item, &item, &waiting);
        }
        let history: Option<History> = match held.history {
            true => self.context.get(&history_key(self.name, held.item)),
            false => None,
        };
        let ready_ms = history.map_or(item.ready_ms, |history| history.ready_ms);
        let place = Place { priority: item.priority, ready_ms, id: held.item };
        self.put_ready(place, waiting);
    }
}
