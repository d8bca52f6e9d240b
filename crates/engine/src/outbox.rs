//! What shards send each other, on its way: pure bookkeeping of a worker.
//!
//! For each pair of sender and receiver it knows up to which number commands have been handed over, and up to
//! which the receiver has them. It is rebuilt from the sender's state after a crash, and then some are handed over a
//! second time, which the receiver notices.

use std::collections::BTreeMap;

use machine::{Shard, Time};

/// What is on its way from the shards of a worker.
#[derive(Debug, Default)]
pub struct Outbox {
    ways: BTreeMap<(Shard, Shard), Way>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// Up to which number commands have been handed over.
    sent: u64,
    /// Up to which the receiver has them.
    received: u64,
    /// Up to which the sender has been told, durably or on its way to be.
    told: u64,
    /// Whether telling it is on its way.
    telling: bool,
    /// Whether there may be more than has been sent.
    more: bool,
    /// Nothing is tried before, after something could not be written.
    not_before: Time,
}

/// Commands to be handed over: from where, to where, after which number, and how many at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Who sends.
    pub source: Shard,
    /// Who receives.
    pub target: Shard,
    /// The last that was handed over.
    pub after: u64,
    /// How many may be on their way besides.
    pub max: usize,
}

impl Outbox {
    /// There may be something in the outbox of `source` for `target`.
    pub fn notice(&mut self, source: Shard, target: Shard) {
        self.ways.entry((source, target)).or_default().more = true;
    }

    /// A clock that was set back must not hold up what is to be tried again.
    pub fn set_clock(&mut self, now: Time) {
        let latest = now.after(RETRY_MS);
        self.ways.values_mut().for_each(|way| way.not_before = way.not_before.min(latest));
    }

    /// What may be handed over at `now`.
    pub fn next(&self, now: Time) -> Vec<Next> {
        let next = |(&(source, target), way): (&(Shard, Shard), &Way)| {
            let may = way.may_send() && way.not_before <= now;
            may.then_some(Next { source, target, after: way.sent, max: way.room() })
        };
        self.ways.iter().filter_map(next).collect()
    }

    /// Commands up to `number` have been handed over; there are more or not.
    pub fn sent(&mut self, source: Shard, target: Shard, number: u64, more: bool) {
        let way = self.ways.entry((source, target)).or_default();
        way.sent = way.sent.max(number);
        way.more = more;
    }

    /// The receiver has all up to `number`.
    pub fn received(&mut self, source: Shard, target: Shard, number: u64) {
        let way = self.ways.entry((source, target)).or_default();
        way.received = way.received.max(number);
        // What was refused and is to be handed over again may have arrived meanwhile.
        way.sent = way.sent.max(way.received);
    }

    /// The receiver could not take one: from the last it has on they are handed over again, a little later.
    pub fn refused(&mut self, source: Shard, target: Shard, now: Time) {
        let way = self.ways.entry((source, target)).or_default();
        way.sent = way.received;
        way.more = true;
        way.not_before = now.after(RETRY_MS);
    }

    /// Which senders are to be told at `now`, durably, up to which number their receivers have everything. Says so
    /// once until [`Outbox::told`].
    pub fn take_news(&mut self, now: Time) -> Vec<(Shard, Shard, u64)> {
        let mut tell = Vec::new();
        for (&(source, target), way) in &mut self.ways {
            if way.has_news() && way.not_before <= now {
                way.telling = true;
                tell.push((source, target, way.received));
            }
        }
        tell
    }

    /// The sender knows, up to `number`.
    pub fn told(&mut self, source: Shard, target: Shard, number: u64) {
        let way = self.ways.entry((source, target)).or_default();
        way.telling = false;
        way.told = way.told.max(number);
    }

    /// That the sender knows could not be written: it is told again a little later.
    pub fn not_told(&mut self, source: Shard, target: Shard, now: Time) {
        let way = self.ways.entry((source, target)).or_default();
        way.telling = false;
        way.not_before = now.after(RETRY_MS);
    }

    /// When there is something to hand over or to tell.
    pub fn deadline(&self) -> Option<Time> {
        let wanting = self.ways.values().filter(|way| way.may_send() || way.has_news());
        wanting.map(|way| way.not_before).min()
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.ways.values().all(|way| !way.more && way.sent == way.received && way.told == way.received)
    }
}

impl Way {
    /// How many more may be on their way.
    fn room(&self) -> usize {
        ON_THE_WAY_MAX.saturating_sub(self.sent.saturating_sub(self.received)) as usize
    }

    fn may_send(&self) -> bool {
        self.more && self.room() > 0
    }

    fn has_news(&self) -> bool {
        self.received > self.told && !self.telling
    }
}

/// How many commands may be on their way from one shard to another.
const ON_THE_WAY_MAX: u64 = 1024;
/// How long after a refusal the next try is made.
const RETRY_MS: u64 = 100;
