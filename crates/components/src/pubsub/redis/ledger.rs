//! Which messages a subscription has, and what Redis is to be told of them. It decides, and does nothing: time is an argument.
//!
//! A message has come ([`Ledger::came`]) and is ready; it is taken ([`Ledger::take`]) and has to be answered in time; the answer
//! is noted until Redis has been told of it ([`Ledger::telling`], then [`Ledger::told`] or [`Ledger::untold`]). One that has failed, or
//! was not answered in time, is simply not held any more: Redis has it come again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::pubsub::{Delivery, Receipt};

/// The messages of a subscription.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    held: BTreeMap<Receipt, Hold>,
    held_max: usize,
    ready: VecDeque<Delivery>,
    wanted: usize,
    answers: Answers,
    is_telling: bool,
}

/// A message that is held.
#[derive(Clone, Copy, Debug)]
struct Hold {
    attempt: u32,
    /// When it should have been answered; nothing as long as it has not been taken.
    until: Option<Instant>,
}

/// What Redis is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// The group is done with these.
    pub(super) done: Vec<Receipt>,
    /// These are given back; the how manieth attempt each.
    pub(super) back: Vec<(Receipt, u32)>,
}

impl Ledger {
    /// One that holds so many, and at least one.
    pub(super) fn new(held_max: usize) -> Ledger {
        Ledger { held_max: held_max.max(1), ..Ledger::default() }
    }

    /// How many messages somebody waits for and there is room for.
    pub(super) fn wanted(&self) -> usize {
        self.wanted.min(self.held_max.saturating_sub(self.held.len()))
    }

    /// Somebody waits for up to so many.
    pub(super) fn want(&mut self, max: usize) {
        self.wanted = max.max(1);
    }

    /// Messages have come. One that is held already has come again because Redis was told too late that it still is: it is the
    /// same, whatever its number. One that the group is done with has come before Redis was told of that.
    pub(super) fn came(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let (receipt, attempt) = (delivery.receipt, delivery.attempt);
            if self.answers.done.contains(&receipt) {
                continue;
            }
            if let Some(hold) = self.held.get_mut(&receipt) {
                hold.attempt = attempt;
                continue;
            }
            self.held.insert(receipt, Hold { attempt, until: None });
            self.ready.push_back(delivery);
            self.wanted = 0;
        }
    }

    /// Takes up to so many of those that are ready, to be answered in time.
    pub(super) fn take(&mut self, max: usize, until: Instant) -> Vec<Delivery> {
        let count = self.ready.len().min(max.max(1));
        let taken: Vec<Delivery> = self.ready.drain(..count).collect();
        self.extend(taken.iter().map(|delivery| delivery.receipt), until);
        taken
    }

    /// These may be answered later.
    pub(super) fn extend(&mut self, receipts: impl Iterator<Item = Receipt>, until: Instant) {
        for receipt in receipts {
            if let Some(hold) = self.held.get_mut(&receipt) {
                hold.until = Some(until);
            }
        }
    }

    /// The group is done with these.
    pub(super) fn acknowledge(&mut self, receipts: &[Receipt]) {
        let held = receipts.iter().filter(|receipt| self.held.remove(receipt).is_some());
        self.answers.done.extend(held);
    }

    /// This one comes again.
    pub(super) fn fail(&mut self, receipt: Receipt) {
        self.held.remove(&receipt);
    }

    /// These are given back.
    pub(super) fn release(&mut self, receipts: &[Receipt]) {
        let held = receipts.iter().filter_map(|receipt| Some((*receipt, self.held.remove(receipt)?.attempt)));
        self.answers.back.extend(held);
    }

    /// All that is held is given back.
    pub(super) fn release_all(&mut self) {
        self.ready.clear();
        let held = std::mem::take(&mut self.held).into_iter();
        self.answers.back.extend(held.map(|(receipt, hold)| (receipt, hold.attempt)));
    }

    /// What is still held: Redis is to know that. What was not answered in time is not.
    pub(super) fn keep(&mut self, now: Instant) -> Vec<(Receipt, u32)> {
        self.held.retain(|_, hold| hold.until.is_none_or(|until| now < until));
        self.held.iter().map(|(receipt, hold)| (*receipt, hold.attempt)).collect()
    }

    /// Others have these, or nobody.
    pub(super) fn lost(&mut self, receipts: &[Receipt]) {
        self.held.retain(|receipt, _| !receipts.contains(receipt));
        let held = &self.held;
        self.ready.retain(|delivery| held.contains_key(&delivery.receipt));
    }

    /// What Redis is to be told now, if anything.
    pub(super) fn telling(&mut self) -> Option<Answers> {
        let answers = std::mem::take(&mut self.answers);
        self.is_telling = answers != Answers::default();
        self.is_telling.then_some(answers)
    }

    /// Redis has been told.
    pub(super) fn told(&mut self) {
        self.is_telling = false;
    }

    /// Redis could not be told.
    pub(super) fn untold(&mut self, mut answers: Answers) {
        self.is_telling = false;
        answers.done.append(&mut self.answers.done);
        answers.back.append(&mut self.answers.back);
        self.answers = answers;
    }

    /// Whether Redis knows all.
    pub(super) fn is_told(&self) -> bool {
        !self.is_telling && self.answers == Answers::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::pubsub::Message;

    fn delivery(number: u64, attempt: u32) -> Delivery {
        let published = SystemTime::UNIX_EPOCH;
        Delivery { receipt: Receipt(0, number), attempt, published, message: Message::new("x") }
    }

    fn holding(count: u64) -> (Ledger, Instant) {
        let (mut ledger, now) = (Ledger::new(10), Instant::now());
        ledger.came((0..count).map(|number| delivery(number, 1)).collect());
        let taken = ledger.take(100, now + Duration::from_secs(60));
        assert_eq!(taken.len() as u64, count);
        (ledger, now)
    }

    #[test]
    fn as_many_are_wanted_as_there_is_room_for() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.wanted(), 0);
        ledger.want(5);
        assert_eq!(ledger.wanted(), 2);
        ledger.came(vec![delivery(1, 1)]);
        assert_eq!(ledger.wanted(), 0, "there is one");
        assert_eq!(ledger.take(5, Instant::now()).len(), 1);
        ledger.want(5);
        assert_eq!(ledger.wanted(), 1, "it is not answered");
        ledger.acknowledge(&[Receipt(0, 1)]);
        assert_eq!(ledger.wanted(), 2);
    }

    #[test]
    fn what_is_not_held_is_not_told_of() {
        let (mut ledger, _) = holding(3);
        ledger.acknowledge(&[Receipt(0, 0), Receipt(0, 0), Receipt(0, 9)]);
        ledger.release(&[Receipt(0, 0), Receipt(0, 1)]);
        ledger.fail(Receipt(0, 2));
        ledger.acknowledge(&[Receipt(0, 2)]);
        let answers = Answers { done: vec![Receipt(0, 0)], back: vec![(Receipt(0, 1), 1)] };
        assert_eq!(ledger.telling(), Some(answers));
        assert_eq!((ledger.telling(), ledger.keep(Instant::now())), (None, vec![]));
    }

    #[test]
    fn what_could_not_be_told_is_told_again() {
        let (mut ledger, _) = holding(2);
        ledger.acknowledge(&[Receipt(0, 0)]);
        let answers = ledger.telling().expect("something");
        assert!(!ledger.is_told());
        ledger.acknowledge(&[Receipt(0, 1)]);
        ledger.untold(answers);
        assert_eq!(ledger.telling().expect("both").done, [Receipt(0, 0), Receipt(0, 1)]);
        ledger.told();
        assert!(ledger.is_told());
    }

    #[test]
    fn what_is_late_is_not_kept_and_what_waits_here_is() {
        let (mut ledger, now) = holding(2);
        ledger.came(vec![delivery(7, 2)]);
        let later = now + Duration::from_secs(61);
        ledger.extend([Receipt(0, 1)].into_iter(), later + Duration::from_secs(1));
        assert_eq!(ledger.keep(later), [(Receipt(0, 1), 1), (Receipt(0, 7), 2)]);
        ledger.acknowledge(&[Receipt(0, 0)]);
        assert!(ledger.is_told(), "it is too late");
    }

    #[test]
    fn what_comes_again_while_it_is_held_is_the_same() {
        let (mut ledger, now) = holding(1);
        ledger.came(vec![delivery(0, 2)]);
        assert!(ledger.take(1, now).is_empty());
        assert_eq!(ledger.keep(now), [(Receipt(0, 0), 2)]);
        ledger.lost(&[Receipt(0, 0)]);
        assert!(ledger.keep(now).is_empty());
    }

    #[test]
    fn at_the_end_all_is_given_back() {
        let (mut ledger, _) = holding(1);
        ledger.came(vec![delivery(7, 2)]);
        ledger.release_all();
        let back = vec![(Receipt(0, 0), 1), (Receipt(0, 7), 2)];
        assert_eq!(ledger.telling(), Some(Answers { done: vec![], back }));
        assert!(ledger.take(5, Instant::now()).is_empty());
    }
}
