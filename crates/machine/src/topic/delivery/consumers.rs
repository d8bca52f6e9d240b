//! Who takes messages, how many more each will take, and what each has.

use std::collections::{BTreeMap, BTreeSet};

/// A consumer, by a number that whoever drives the delivery gives it.
pub type ConsumerId = u64;

/// The consumers of a group.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    known: BTreeMap<ConsumerId, Consumer>,
    /// Those that will take more.
    eager: BTreeSet<ConsumerId>,
    /// Who was served last.
    last: ConsumerId,
}

#[derive(Debug, Default)]
struct Consumer {
    credits: u64,
    held: BTreeSet<u64>,
}

impl Consumers {
    /// A consumer will take `credits` messages more.
    pub(super) fn grant(&mut self, id: ConsumerId, credits: u64) {
        let consumer = self.known.entry(id).or_default();
        consumer.credits = consumer.credits.saturating_add(credits);
        if consumer.credits > 0 {
            self.eager.insert(id);
        }
    }

    /// A consumer is gone; returns what it had.
    pub(super) fn leave(&mut self, id: ConsumerId) -> BTreeSet<u64> {
        self.eager.remove(&id);
        self.known.remove(&id).map(|consumer| consumer.held).unwrap_or_default()
    }

    /// Whether anybody will take a message.
    pub(super) fn any_eager(&self) -> bool {
        !self.eager.is_empty()
    }

    /// Who gets the next message, one after the other.
    pub(super) fn take_turn(&mut self, offset: u64) -> Option<ConsumerId> {
        let after = (std::ops::Bound::Excluded(self.last), std::ops::Bound::Unbounded);
        let id = *self.eager.range(after).next().or(self.eager.first())?;
        let consumer = self.known.get_mut(&id)?;
        consumer.credits -= 1;
        consumer.held.insert(offset);
        if consumer.credits == 0 {
            self.eager.remove(&id);
        }
        self.last = id;
        Some(id)
    }

    /// A consumer does not have a message any more.
    pub(super) fn put_down(&mut self, id: ConsumerId, offset: u64) {
        if let Some(consumer) = self.known.get_mut(&id) {
            consumer.held.remove(&offset);
        }
    }

    /// No consumer has anything any more.
    pub(super) fn put_all_down(&mut self) {
        for consumer in self.known.values_mut() {
            consumer.held.clear();
        }
    }
}
