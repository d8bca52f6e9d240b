//! Putting items in.

use std::collections::BTreeMap;

use super::item::check_headers;
use super::open::Queue;
use super::{
    DEDUP_ID_BYTES_MAX, DELAY_MS_MAX, Header, Item, PRIORITY_DEFAULT, PRIORITY_MAX, Place, SEND_ITEMS_MAX,
    Settings, Waiting, check_list, check_within, due, item_key, seen_key,
};
use crate::body::Body;
use crate::context::Context;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Puts items into a queue: all of them, or none.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Send {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// The items.
    #[prost(message, repeated, tag = "2")]
    pub items: Vec<SendItem>,
}

/// An item to be put in.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SendItem {
    /// The payload that it is.
    #[prost(uint32, tag = "1")]
    pub body: Body,
    /// What describes the payload.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<Header>,
    /// What limits of keys go by. Empty: none hold for it.
    #[prost(string, tag = "3")]
    pub key: String,
    /// 0 to 9, the highest. Default: 4.
    #[prost(uint32, optional, tag = "4")]
    pub priority: Option<u32>,
    /// For how long nobody gets it, in milliseconds. Zero: it may be had at once. Most: ten years.
    #[prost(uint64, tag = "5")]
    pub delay_ms: u64,
    /// Instead of `delay_ms`, when it may first be had, in milliseconds since the epoch. Zero, or a time that
    /// is past: at once.
    #[prost(uint64, tag = "6")]
    pub at_ms: u64,
    /// After how long it is too old to be handed out, in milliseconds from now. Zero: never. Most: ten years.
    /// Costs an index entry.
    #[prost(uint64, tag = "7")]
    pub ttl_ms: u64,
    /// What it is known by if it is sent again within the queue's deduplication window. Empty: it is not.
    #[prost(string, tag = "8")]
    pub dedup_id: String,
}

/// What became of the items, in their order.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Sent {
    /// Each item's number in the queue; for a duplicate that of the one that came first.
    #[prost(uint64, repeated, tag = "1")]
    pub items: Vec<u64>,
    /// Which of them, from zero, were duplicates.
    #[prost(uint32, repeated, tag = "2")]
    pub duplicates: Vec<u32>,
}

/// What a deduplication id was used for: a value under [`Table::QueueSeen`](crate::Table::QueueSeen).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Seen {
    #[prost(uint64, tag = "1")]
    pub(super) until_ms: u64,
    #[prost(uint64, tag = "2")]
    item: u64,
}

impl Send {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        check_list("items", self.items.len(), SEND_ITEMS_MAX)?;
        self.items.iter().try_for_each(SendItem::check)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Sent, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        let settings = queue.settings();
        for item in &self.items {
            queue.context.length(item.body)?;
        }
        let sent = self.number(&queue, &settings);
        let more = (self.items.len() - sent.duplicates.len()) as u64;
        if queue.ledger.len() + more > settings.length_max() {
            return Err(full(&self.queue, &settings));
        }
        queue.room_for_timer()?;
        let mut duplicates = sent.duplicates.iter().peekable();
        for (index, (item, id)) in self.items.iter().zip(&sent.items).enumerate() {
            if duplicates.next_if(|duplicate| **duplicate as usize == index).is_none() {
                item.put(&mut queue, &settings, *id)?;
            }
        }
        queue.close();
        Ok(sent)
    }

    /// Gives each item its number, or finds that of the one that it repeats.
    fn number(&self, queue: &Queue<'_, '_>, settings: &Settings) -> Sent {
        let mut next = queue.ledger.last_item + 1;
        let mut sent = Sent { items: Vec::with_capacity(self.items.len()), duplicates: Vec::new() };
        let mut named: BTreeMap<&str, u64> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            let seen = match item.is_deduplicated(settings) {
                true => named.get(item.dedup_id.as_str()).copied().or_else(|| seen(queue, &item.dedup_id)),
                false => None,
            };
            if let Some(first) = seen {
                sent.duplicates.push(index as u32);
                sent.items.push(first);
                continue;
            }
            if item.is_deduplicated(settings) {
                named.insert(&item.dedup_id, next);
            }
            sent.items.push(next);
            next += 1;
        }
        sent
    }
}

impl SendItem {
    fn check(&self) -> Result<(), Refusal> {
        if !self.key.is_empty() {
            limits::name("key", &self.key)?;
        }
        check_headers(&self.headers)?;
        check_within("a delay", self.delay_ms, DELAY_MS_MAX)?;
        check_within("a time to live", self.ttl_ms, DELAY_MS_MAX)?;
        let wrong = if self.rank() > PRIORITY_MAX {
            format!("a priority of {}; {PRIORITY_MAX} is the highest", self.rank())
        } else if self.delay_ms > 0 && self.at_ms > 0 {
            "an item has both a delay and a time at which it may be had; name one".to_owned()
        } else if self.dedup_id.len() > DEDUP_ID_BYTES_MAX {
            let bytes = self.dedup_id.len();
            format!("a deduplication id of {bytes} bytes; {DEDUP_ID_BYTES_MAX} are the most")
        } else {
            return Ok(());
        };
        Err(Refusal::new(Code::Invalid, wrong))
    }

    fn put(&self, queue: &mut Queue<'_, '_>, settings: &Settings, id: u64) -> Result<(), Refusal> {
        let now = queue.now_ms();
        let ready_ms = now.max(self.at_ms).saturating_add(self.delay_ms);
        let expires_ms = if self.ttl_ms == 0 { 0 } else { now.saturating_add(self.ttl_ms) };
        let item = Item {
            body: queue.context.store(self.body)?,
            headers: self.headers.clone(),
            key: self.key.clone(),
            priority: self.rank(),
            sent_ms: now,
            ready_ms,
            expires_ms,
        };
        queue.context.insert(item_key(queue.name, id), &item);
        queue.ledger.last_item = id;
        if expires_ms != 0 {
            queue.index(expires_ms, due::Kind::Expiry, &id.to_be_bytes(), bytes::Bytes::new());
        }
        if self.is_deduplicated(settings) {
            self.remember(queue, now.saturating_add(settings.window_ms()), id);
        }
        let place = Place { priority: item.priority, ready_ms, id };
        queue.put_waiting(place, Waiting { key: item.key, ..Waiting::default() });
        Ok(())
    }

    fn remember(&self, queue: &mut Queue<'_, '_>, until_ms: u64, id: u64) {
        let seen = Seen { until_ms, item: id };
        queue.context.put(seen_key(queue.name, &self.dedup_id), &seen);
        queue.index(until_ms, due::Kind::Seen, self.dedup_id.as_bytes(), bytes::Bytes::new());
    }

    fn rank(&self) -> u32 {
        self.priority.unwrap_or(PRIORITY_DEFAULT)
    }

    fn is_deduplicated(&self, settings: &Settings) -> bool {
        !self.dedup_id.is_empty() && settings.window_ms() > 0
    }
}

/// The item that was sent with this id, if that is still remembered.
fn seen(queue: &Queue<'_, '_>, dedup_id: &str) -> Option<u64> {
    let seen: Seen = queue.context.get(&seen_key(queue.name, dedup_id))?;
    (seen.until_ms > queue.now_ms()).then_some(seen.item)
}

fn full(queue: &str, settings: &Settings) -> Refusal {
    let max = settings.length_max();
    let full = format!("the queue {queue:?} would have more than {max} items, dead letters among them");
    Refusal::new(Code::Limit, full)
}
