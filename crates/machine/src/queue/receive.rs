//! Handing items out.

use std::ops::ControlFlow;

use super::open::Queue;
use super::{
    Header, Held, Item, LEASE_ITEMS_MAX, Lease, Place, RECEIPTS_MAX, Receipt, STEP_MAX, Settings,
    VISIBILITY_MS_MAX, Waiting, check_within, lease_key,
};
use crate::body::Stored;
use crate::context::{Context, decode};
use crate::key::{Key, Table};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::state::Order;
use crate::time::Time;

/// Hands items out to a consumer, which has them until it settles them or the lease ends.
///
/// In the log like all that changes something: who had what is known after a crash, too.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Receive {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Who asks.
    #[prost(string, tag = "2")]
    pub consumer: String,
    /// How many at most: 1 to [`RECEIPTS_MAX`].
    #[prost(uint32, tag = "3")]
    pub max: u32,
    /// For how long, in milliseconds. Zero: as the queue's settings say. Most: 12 hours.
    #[prost(uint64, tag = "4")]
    pub visibility_ms: u64,
}

/// What is handed out.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Received {
    /// The items, in their order.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Work>,
    /// When more may be had, if a rate is what stood in the way; zero if whoever waits is woken.
    #[prost(uint64, tag = "2")]
    pub look_again_ms: u64,
}

/// An item that is handed out.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Work {
    /// What settles it.
    #[prost(message, required, tag = "1")]
    pub receipt: Receipt,
    /// Until when the consumer has it.
    #[prost(uint64, tag = "2")]
    pub until_ms: u64,
    /// Which attempt this is, from one.
    #[prost(uint32, tag = "3")]
    pub attempt: u32,
    /// Its payload.
    #[prost(message, required, tag = "4")]
    pub body: Stored,
    /// What describes the payload.
    #[prost(message, repeated, tag = "5")]
    pub headers: Vec<Header>,
    /// Its key.
    #[prost(string, tag = "6")]
    pub key: String,
    /// Its priority.
    #[prost(uint32, tag = "7")]
    pub priority: u32,
    /// When it was sent.
    #[prost(uint64, tag = "8")]
    pub sent_ms: u64,
}

impl Receive {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        limits::name("consumer", &self.consumer)?;
        check_within("a lease", self.visibility_ms, VISIBILITY_MS_MAX)?;
        if self.max == 0 || self.max as usize > RECEIPTS_MAX {
            let odd = format!("{} items are asked for; 1 to {RECEIPTS_MAX} can be", self.max);
            return Err(Refusal::new(Code::Invalid, odd));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Received, Refusal> {
        let queue = Queue::open(context, &self.queue);
        let settings = queue.settings();
        let wanted = room(&settings, queue.ledger.leased).min(self.max as usize);
        if queue.ledger.paused || queue.ledger.ready == 0 || wanted == 0 {
            return Ok(Received::default());
        }
        queue.room_for_timer()?;
        let visibility_ms =
            if self.visibility_ms == 0 { settings.visibility_ms() } else { self.visibility_ms };
        let until_ms = queue.now().after(visibility_ms).as_millis();
        let mut hand =
            Hand { queue, settings: &settings, until_ms, held: Vec::new(), reply: Received::default() };
        hand.fill(wanted);
        Ok(hand.close(&self.consumer))
    }
}

/// How many more the queue's concurrency allows.
pub(super) fn room(settings: &Settings, leased: u64) -> usize {
    match u64::from(settings.concurrency) {
        0 => usize::MAX,
        most => usize::try_from(most.saturating_sub(leased)).unwrap_or(usize::MAX),
    }
}

/// Items on their way into a consumer's hand.
struct Hand<'s, 'c, 'a> {
    queue: Queue<'c, 'a>,
    settings: &'s Settings,
    until_ms: u64,
    held: Vec<Held>,
    reply: Received,
}

impl Hand<'_, '_, '_> {
    /// Takes up to `wanted` of what is ready. What a key's limit holds back is moved aside, and what is too
    /// old is gone, so that nobody looks at it twice; after [`STEP_MAX`] of those it is enough for once.
    fn fill(&mut self, wanted: usize) {
        let mut passed = 0;
        while self.held.len() < wanted && passed < STEP_MAX {
            let found = ready(&self.queue, (wanted - self.held.len()).min(STEP_MAX));
            if found.is_empty() {
                return;
            }
            for (place, waiting) in found {
                match self.take(place, waiting) {
                    Ok(true) => {}
                    Ok(false) => passed += 1,
                    Err(at) => {
                        self.reply.look_again_ms = at.as_millis();
                        return;
                    }
                }
            }
        }
        // Woken rather than told a time: there is more, and it may be had now.
        if passed >= STEP_MAX && self.held.is_empty() {
            self.reply.look_again_ms = self.queue.now_ms();
        }
    }

    /// Whether the item is in hand now; otherwise it is out of the way.
    ///
    /// # Errors
    ///
    /// When the queue's rate allows one more.
    fn take(&mut self, place: Place, waiting: Waiting) -> Result<bool, Time> {
        let tat_ns = match &self.settings.rate {
            Some(rate) => rate.check(self.queue.ledger.tat_ns, self.queue.now())?,
            None => 0,
        };
        let item: Item = self.queue.item(place.id);
        if self.queue.is_expired(&item) {
            self.queue.take_ready(place);
            self.queue.left_ready(&item.key);
            self.queue.expire(self.settings, place.id, &item, &waiting);
            return Ok(false);
        }
        let counted = !waiting.key.is_empty() && self.settings.limits_keys();
        if counted && !self.queue.hold_key(self.settings, &waiting.key) {
            self.queue.block(place, &waiting);
            return Ok(false);
        }
        self.queue.ledger.tat_ns = tat_ns;
        self.queue.take_ready(place);
        self.queue.ledger.leased += 1;
        self.hold(place.id, item, waiting, counted);
        Ok(true)
    }

    fn hold(&mut self, id: u64, item: Item, waiting: Waiting, counted: bool) {
        let attempt = waiting.attempts + 1;
        let lease = self.queue.ledger.last_lease + 1 + (self.held.len() / LEASE_ITEMS_MAX) as u64;
        self.held.push(Held {
            item: id,
            until_ms: self.until_ms,
            attempt,
            key: if counted { waiting.key } else { String::new() },
            body: item.body.inline.is_none().then(|| item.body.clone()),
            expires_ms: item.expires_ms,
            history: waiting.history,
        });
        self.reply.items.push(Work {
            receipt: Receipt { lease, item: id },
            until_ms: self.until_ms,
            attempt,
            body: item.body,
            headers: item.headers,
            key: item.key,
            priority: item.priority,
            sent_ms: item.sent_ms,
        });
    }

    fn close(mut self, consumer: &str) -> Received {
        let mut held = self.held.into_iter().peekable();
        while held.peek().is_some() {
            let mut items: Vec<Held> = held.by_ref().take(LEASE_ITEMS_MAX).collect();
            items.sort_unstable_by_key(|held| held.item);
            let mut lease = Lease { consumer: consumer.to_owned(), look_ms: 0, items };
            self.queue.ledger.last_lease += 1;
            let number = self.queue.ledger.last_lease;
            self.queue.look_at_lease(number, &mut lease, self.until_ms);
            self.queue.context.insert(lease_key(self.queue.name, number), &lease);
        }
        self.queue.close();
        self.reply
    }
}

/// The first `max` items that may be had.
fn ready(queue: &Queue<'_, '_>, max: usize) -> Vec<(Place, Waiting)> {
    let all = Key::new(Table::QueueReady).name(queue.name);
    let mut found = Vec::new();
    queue.context.scan(&all, &all.end(), Order::Forwards, &mut |key, value| {
        let place = all.rest_of(key).and_then(Place::of).expect("a ready item's place");
        found.push((place, decode(key, value.clone())));
        if found.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    found
}
