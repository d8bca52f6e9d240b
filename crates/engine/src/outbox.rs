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
    /// Not to be tried before, after the receiver could not take one.
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

    /// What may be handed over at `now`.
    pub fn next(&self, now: Time) -> Vec<Next> {
        let next = |(&(source, target), way): (&(Shard, Shard), &Way)| {
            let max = ON_THE_WAY_MAX.saturating_sub(way.sent.saturating_sub(way.received)) as usize;
            let may = way.more && max > 0 && way.not_before <= now;
            may.then_some(Next { source, target, after: way.sent, max })
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
    }

    /// The receiver could not take one: from the last it has on they are handed over again, a little later.
    pub fn refused(&mut self, source: Shard, target: Shard, now: Time) {
        let way = self.ways.entry((source, target)).or_default();
        way.sent = way.received;
        way.more = true;
        way.not_before = now.after(RETRY_MS);
    }

    /// Which senders are to be told, durably, up to which number their receivers have everything. Says so once
    /// until [`Outbox::told`].
    pub fn take_news(&mut self) -> Vec<(Shard, Shard, u64)> {
        let mut tell = Vec::new();
        for (&(source, target), way) in &mut self.ways {
            if way.received > way.told && !way.telling {
                way.telling = true;
                tell.push((source, target, way.received));
            }
        }
        tell
    }

    /// The sender knows, up to `number`, or does not because it could not be written.
    pub fn told(&mut self, source: Shard, target: Shard, number: Option<u64>) {
        let way = self.ways.entry((source, target)).or_default();
        way.telling = false;
        if let Some(number) = number {
            way.told = way.told.max(number);
        }
    }

    /// When something may be tried again.
    pub fn deadline(&self) -> Option<Time> {
        self.ways
            .values()
            .filter(|way| way.more && way.not_before > Time::ZERO)
            .map(|way| way.not_before)
            .min()
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.ways.values().all(|way| !way.more && way.sent == way.received && way.told == way.received)
    }
}

/// How many commands may be on their way from one shard to another.
const ON_THE_WAY_MAX: u64 = 1024;
/// How long after a refusal the next try is made.
const RETRY_MS: u64 = 100;
