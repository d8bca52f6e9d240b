//! What of a queue comes due: the ends of delays, leases, times to live and deduplication windows, the
//! looks at keys, and the steps of what takes several.
//!
//! They are in an index of the queue's own, by time. The shard's timer for the queue is set for the first
//! of them, or earlier, and a firing does a bounded number of them.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::lease::Lease;
use super::open::Queue;
use super::send::Seen;
use super::{Failure, Place, Reason, STEP_MAX, Settings, Waiting, lease_key, seen_key};
use crate::context::{Context, decode};
use crate::key::{Key, Table};
use crate::state::Order;
use crate::time::Time;

/// What comes due. The numbers are in files on disk: they are never used for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// An item may be had.
    Delayed = 1,
    /// A lease ends.
    Lease = 2,
    /// An item is too old.
    Expiry = 3,
    /// A deduplication id is forgotten.
    Seen = 4,
    /// A key is looked at.
    Key = 5,
    /// The next step of moving items back that stand aside.
    Unblock = 6,
    /// The next step of a redrive.
    Redrive = 7,
    /// The next step of a purge.
    Purge = 8,
}

const KINDS: [Kind; 8] = [
    Kind::Delayed,
    Kind::Lease,
    Kind::Expiry,
    Kind::Seen,
    Kind::Key,
    Kind::Unblock,
    Kind::Redrive,
    Kind::Purge,
];

pub(super) fn key(queue: &str, at_ms: u64, kind: Kind, rest: &[u8]) -> Key {
    index(queue).u64(at_ms).u8(kind as u8).bytes(rest)
}

fn index(queue: &str) -> Key {
    Key::new(Table::QueueIndex).name(queue)
}

/// The queue's timer fires: `key` is the queue's name.
pub(crate) fn fire(context: &mut Context<'_>, key: &[u8]) {
    let name = std::str::from_utf8(key).expect("a queue's timer has its name");
    let mut queue = Queue::open(context, name);
    let settings = queue.settings();
    queue.timer_fired();
    let mut left = STEP_MAX;
    for key in queue.due() {
        // What came due before it may have taken it back.
        let Some(value) = queue.context.state().get(&key) else { continue };
        left = left.saturating_sub(queue.fall_due(&settings, &key, value, left));
        if left == 0 {
            break;
        }
    }
    queue.look_again();
    queue.close();
}

impl Queue<'_, '_> {
    fn due(&self) -> Vec<Vec<u8>> {
        let mut due = Vec::new();
        let from = index(self.name);
        let to = index(self.name).u64(self.now().after(1).as_millis());
        self.context.scan(&from, &to, Order::Forwards, &mut |key, _| {
            due.push(key.to_vec());
            if due.len() < STEP_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        due
    }

    /// How many items it touched, at least one.
    fn fall_due(&mut self, settings: &Settings, key: &[u8], value: Bytes, max: usize) -> usize {
        self.context.delete(Key::from(key));
        let rest = index(self.name).rest_of(key).expect("it was found there");
        let (at, rest) = rest.split_first_chunk().expect("an entry of the index has a time");
        let (kind, rest) = rest.split_first().expect("an entry of the index has a kind");
        let kind = KINDS.into_iter().find(|one| *one as u8 == *kind).expect("a kind that is known");
        match kind {
            Kind::Delayed => self.delay_ends(u64::from_be_bytes(*at), number(rest), decode(key, value)),
            Kind::Lease => return self.lease_ends(settings, number(rest)),
            Kind::Expiry => self.item_expires(settings, number(rest)),
            Kind::Seen => self.forget(rest),
            Kind::Key => self.key_is_due(settings, std::str::from_utf8(rest).expect("a key")),
            Kind::Unblock => return self.unblock_step(max).max(1),
            Kind::Redrive => return self.redrive_step(max).max(1),
            Kind::Purge => return self.purge_step(max).max(1),
        }
        1
    }

    fn delay_ends(&mut self, ready_ms: u64, id: u64, waiting: Waiting) {
        self.ledger.delayed -= 1;
        self.put_ready(Place { priority: waiting.priority, ready_ms, id }, waiting);
    }

    fn lease_ends(&mut self, settings: &Settings, number: u64) -> usize {
        let mut lease: Lease = self.context.get(&lease_key(self.name, number)).expect("an indexed lease");
        lease.look_ms = 0;
        let now = self.now_ms();
        let (ended, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut lease.items).into_iter().partition(|held| held.until_ms <= now);
        lease.items = rest;
        for held in &ended {
            let failure = Failure {
                at_ms: now,
                attempt: held.attempt,
                consumer: lease.consumer.clone(),
                reason: Reason::LeaseExpired.into(),
                cause: String::new(),
            };
            let over = held.attempt >= settings.attempts_max();
            self.fail(settings, held, failure, None, over);
        }
        if let Some(next) = lease.items.iter().map(|held| held.until_ms).min() {
            self.look_at_lease(number, &mut lease, next);
        }
        self.put_lease(number, &lease);
        ended.len().max(1)
    }

    /// An item that somebody has is let be: if it fails, it expires then.
    fn item_expires(&mut self, settings: &Settings, id: u64) {
        let mut item = self.item(id);
        if let Some(waiting) = self.take_waiting(id, &item) {
            // Its entry in the index has just been taken out.
            item.expires_ms = 0;
            self.expire(settings, id, &item, &waiting);
        }
    }

    fn forget(&mut self, dedup_id: &[u8]) {
        let key = seen_key(self.name, std::str::from_utf8(dedup_id).expect("a deduplication id"));
        // It may have been used again in the same millisecond in which it ended.
        let now = self.now_ms();
        if self.context.get::<Seen>(&key).is_some_and(|seen| seen.until_ms <= now) {
            self.context.delete(key);
        }
    }

    /// The queue's timer is set for what is first now.
    fn look_again(&mut self) {
        let all = index(self.name);
        let first = self.context.state().first(all.as_bytes(), all.end().as_bytes(), Order::Forwards);
        let time = first.and_then(|(key, _)| all.rest_of(&key)?.first_chunk().copied());
        self.set_first_due(time.map(u64::from_be_bytes));
    }
}

/// The item that an entry of the index (without the queue's name) has wait, and until when.
pub(super) fn delayed(rest: &[u8]) -> Option<(Time, u64)> {
    let (at, rest) = rest.split_first_chunk()?;
    let id = rest.strip_prefix(&[Kind::Delayed as u8])?.first_chunk()?;
    Some((Time::from_millis(u64::from_be_bytes(*at)), u64::from_be_bytes(*id)))
}

fn number(rest: &[u8]) -> u64 {
    u64::from_be_bytes(rest.try_into().expect("a number in the index"))
}
