//! What a broker has lent to a subscription until it answers: who has it, until when, and how often it has failed.
//!
//! Brokers outside count deliveries rather than failures, and know no waits that grow. So what has failed stays lent until its
//! wait is over, and is then handed out again from here: the broker hears of a message when the subscription is done with it
//! or gives it back, and whatever becomes of this process it still has it. Times are arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Delivery, Message, Options, Receipt};

/// What one broker has lent to one subscription. `T` is what the broker knows a message by.
pub(super) struct Lent<T> {
    all: HashMap<u64, One<T>>,
    /// Which are to be handed out, and when those that are out or wait have to be looked at.
    ready: VecDeque<u64>,
    due: BTreeSet<(Instant, u64)>,
    /// By their keys, where no two messages have the same.
    by_key: Option<HashMap<u64, u64>>,
    /// What was of no use any more when it was its turn.
    expired: Vec<T>,
    serial: u64,
    /// Counts how often the broker was asked anew.
    round: u64,
    out: usize,
    waiting: usize,
    waiting_bytes: usize,
    held_max: usize,
    answer_within: Duration,
    failures: Arc<Failures>,
}

/// A message that has come.
pub(super) struct Arrived<T> {
    pub(super) token: T,
    /// What it is known by when it comes again.
    pub(super) key: u64,
    /// How often it seems to have failed, if that is not known here.
    pub(super) failures: u32,
    pub(super) published: SystemTime,
    pub(super) message: Message,
}

struct One<T> {
    token: T,
    key: u64,
    failures: u32,
    round: u64,
    expires: Option<SystemTime>,
    published: SystemTime,
    message: Message,
    place: Place,
}

/// Where a message is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Here.
    Ready,
    /// With the application, which has until then.
    Out(Instant),
    /// Here, and not before then.
    Waiting(Instant),
}

impl<T> Lent<T> {
    /// Nothing yet. Where keys are unique a message that comes again while it is here is the same.
    pub(super) fn new(options: &Options, unique: bool, failures: Arc<Failures>) -> Lent<T> {
        Lent {
            all: HashMap::new(),
            ready: VecDeque::new(),
            due: BTreeSet::new(),
            by_key: unique.then(HashMap::new),
            expired: Vec::new(),
            serial: 0,
            round: 0,
            out: 0,
            waiting: 0,
            waiting_bytes: 0,
            held_max: options.held_max.max(1),
            answer_within: options.answer_within,
            failures,
        }
    }

    /// A message has come.
    pub(super) fn add(&mut self, arrived: Arrived<T>) {
        let Arrived { token, key, failures, published, mut message } = arrived;
        let known = self.by_key.as_ref().and_then(|by_key| by_key.get(&key));
        if let Some(one) = known.and_then(|serial| self.all.get_mut(serial)) {
            one.token = token;
            return;
        }
        let serial = self.serial;
        self.serial += 1;
        let expires = message.ttl.take().and_then(|ttl| published.checked_add(ttl));
        let failures = self.failures.of(key).unwrap_or(failures);
        let one =
            One { token, key, failures, round: self.round, expires, published, message, place: Place::Ready };
        self.all.insert(serial, one);
        if let Some(by_key) = &mut self.by_key {
            by_key.insert(key, serial);
        }
        self.ready.push_back(serial);
    }

    /// Hands out what it is time for: none while the application has as many as it may.
    pub(super) fn take(&mut self, now: Instant, wall: SystemTime, max: usize) -> Vec<Delivery> {
        self.look(now);
        let mut taken = Vec::new();
        while taken.len() < max && self.out < self.held_max {
            let Some(serial) = self.ready.pop_front() else { break };
            let Some(one) = self.all.get_mut(&serial).filter(|one| one.place == Place::Ready) else {
                continue;
            };
            if one.expires.is_some_and(|expires| expires <= wall) {
                let token = self.remove(serial);
                self.expired.extend(token);
                continue;
            }
            let until = now + self.answer_within;
            one.place = Place::Out(until);
            taken.push(Delivery {
                receipt: Receipt(0, serial),
                attempt: one.failures.saturating_add(1),
                published: one.published,
                message: one.message.clone(),
            });
            self.due.insert((until, serial));
            self.out += 1;
        }
        taken
    }

    /// What is late has failed; what has waited long enough is handed out.
    fn look(&mut self, now: Instant) {
        while let Some(&(at, serial)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, serial));
            let Some(one) = self.all.get_mut(&serial) else { continue };
            match one.place {
                Place::Out(_) => self.wait(serial, now),
                Place::Waiting(_) => {
                    one.place = Place::Ready;
                    self.waiting -= 1;
                    self.waiting_bytes -= one.message.data.len();
                    self.ready.push_back(serial);
                }
                Place::Ready => {}
            }
        }
    }

    fn wait(&mut self, serial: u64, now: Instant) {
        let Some(one) = self.all.get_mut(&serial) else { return };
        self.out -= 1;
        one.failures = one.failures.saturating_add(1);
        self.failures.note(one.key, one.failures);
        let until = now + pause(one.failures);
        one.place = Place::Waiting(until);
        self.waiting += 1;
        self.waiting_bytes += one.message.data.len();
        self.due.insert((until, serial));
    }

    /// When it has to be looked at again though nothing comes.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The application is done with messages: what the broker has to be told of.
    pub(super) fn done(&mut self, receipts: &[Receipt]) -> Vec<T> {
        let mut tokens = Vec::with_capacity(receipts.len());
        for serial in self.held(receipts) {
            if let Some(one) = self.all.get(&serial) {
                self.failures.forget(one.key);
            }
            tokens.extend(self.remove(serial));
        }
        tokens
    }

    /// The application could not deal with a message.
    pub(super) fn failed(&mut self, now: Instant, receipt: Receipt) {
        for serial in self.held(&[receipt]) {
            if let Some(One { place: Place::Out(until), .. }) = self.all.get(&serial) {
                self.due.remove(&(*until, serial));
            }
            self.wait(serial, now);
        }
    }

    /// The application gives messages back: what the broker is to have.
    pub(super) fn returned(&mut self, receipts: &[Receipt]) -> Vec<T> {
        let held = self.held(receipts);
        held.iter().filter_map(|serial| self.all.get(serial)).for_each(|one| self.remember(one));
        held.into_iter().filter_map(|serial| self.remove(serial)).collect()
    }

    /// When it comes again it is known how often it has failed, also if it never has.
    fn remember(&self, one: &One<T>) {
        self.failures.note(one.key, one.failures);
    }

    /// The application needs the whole time again.
    pub(super) fn extended(&mut self, now: Instant, receipts: &[Receipt]) {
        let until = now + self.answer_within;
        for serial in self.held(receipts) {
            let Some(one) = self.all.get_mut(&serial) else { continue };
            if let Place::Out(before) = one.place {
                self.due.remove(&(before, serial));
                self.due.insert((until, serial));
                one.place = Place::Out(until);
            }
        }
    }

    /// Those of them that the application has.
    fn held(&self, receipts: &[Receipt]) -> Vec<u64> {
        let is_out =
            |serial: &u64| self.all.get(serial).is_some_and(|one| matches!(one.place, Place::Out(_)));
        receipts.iter().filter(|receipt| receipt.0 == 0).map(|receipt| receipt.1).filter(is_out).collect()
    }

    fn remove(&mut self, serial: u64) -> Option<T> {
        let one = self.all.remove(&serial)?;
        match one.place {
            Place::Ready => {}
            Place::Out(until) => {
                self.due.remove(&(until, serial));
                self.out -= 1;
            }
            Place::Waiting(until) => {
                self.due.remove(&(until, serial));
                self.waiting -= 1;
                self.waiting_bytes -= one.message.data.len();
            }
        }
        if let Some(by_key) = &mut self.by_key {
            by_key.remove(&one.key);
        }
        Some(one.token)
    }

    /// All of it is the broker's again, who gets it back or has it already.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.all.values().for_each(|one| self.remember(one));
        self.ready.clear();
        self.due.clear();
        self.by_key.iter_mut().for_each(HashMap::clear);
        (self.out, self.waiting, self.waiting_bytes) = (0, 0, 0);
        let mut tokens = std::mem::take(&mut self.expired);
        tokens.extend(self.all.drain().map(|(_, one)| one.token));
        tokens
    }

    /// What was of no use any more, which the broker can forget.
    pub(super) fn expired(&mut self) -> Vec<T> {
        std::mem::take(&mut self.expired)
    }

    /// How many more may come: what waits takes no place, as long as it is not too much.
    pub(super) fn room(&self) -> usize {
        match self.may_wait() {
            true => self.held_max.saturating_sub(self.all.len() - self.waiting),
            false => 0,
        }
    }

    /// Whether more may fail and wait here.
    pub(super) fn may_wait(&self) -> bool {
        self.waiting < WAITING_MAX && self.waiting_bytes < WAITING_BYTES_MAX
    }

    /// How many of those that have come since the broker was last asked anew wait.
    pub(super) fn waiting_of_round(&self) -> usize {
        let waits = |one: &&One<T>| one.round == self.round && matches!(one.place, Place::Waiting(_));
        match self.waiting {
            0 => 0,
            _ => self.all.values().filter(waits).count(),
        }
    }

    /// The broker is asked anew.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// What the broker knows them all by.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &T> {
        self.all.values().map(|one| &one.token)
    }
}

/// How often messages have failed that are not settled, whoever of this process has them now. Brokers do not tell, so another
/// process counts anew.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<u64, u32>>);

impl Failures {
    fn of(&self, key: u64) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    fn note(&self, key: u64, count: u32) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= FAILURES_MAX
            && !all.contains_key(&key)
            && let Some(any) = all.keys().next().copied()
        {
            all.remove(&any);
        }
        all.insert(key, count);
    }

    fn forget(&self, key: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// How long something waits that has failed so often: as with the engine's topics, but for the jitter.
fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    (PAUSE_MIN * (1 << doublings)).min(PAUSE_MAX)
}

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Most messages that wait after they have failed, before nothing new is taken.
const WAITING_MAX: usize = 1_024;
/// And most bytes of them.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Of how many messages is remembered that they have failed.
const FAILURES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(unique: bool) -> Lent<u32> {
        let options = Options { held_max: 2, answer_within: Duration::from_secs(60), ..Options::default() };
        Lent::new(&options, unique, Arc::default())
    }

    fn arrived(token: u32, key: u64) -> Arrived<u32> {
        let message = Message::new(token.to_string());
        Arrived { token, key, failures: 0, published: SystemTime::UNIX_EPOCH, message }
    }

    fn take(lent: &mut Lent<u32>, now: Instant) -> Vec<(Receipt, u32)> {
        let taken = lent.take(now, SystemTime::UNIX_EPOCH, 10);
        taken.into_iter().map(|delivery| (delivery.receipt, delivery.attempt)).collect()
    }

    #[test]
    fn no_more_are_out_than_may_be() {
        let (mut lent, now) = (lent(false), Instant::now());
        (0..3).for_each(|token| lent.add(arrived(token, token.into())));
        let taken = take(&mut lent, now);
        assert_eq!((taken.len(), lent.room(), take(&mut lent, now).len()), (2, 0, 0));
        assert_eq!(lent.done(&[taken[0].0, taken[0].0, Receipt(0, 99), Receipt(1, 1)]), [0]);
        assert_eq!(take(&mut lent, now).len(), 1);
    }

    #[test]
    fn what_fails_waits_longer_each_time_and_takes_no_place_meanwhile() {
        let (mut lent, mut now) = (lent(false), Instant::now());
        lent.add(arrived(7, 7));
        for (attempt, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)] {
            let [(receipt, told)] = take(&mut lent, now)[..] else { panic!("one is handed out") };
            assert_eq!(told, attempt);
            lent.failed(now, receipt);
            assert_eq!((lent.room(), lent.waiting_of_round()), (2, 1));
            assert!(lent.done(&[receipt]).is_empty(), "it has given its answer");
            assert_eq!(lent.next_look(), Some(now + Duration::from_secs(wait)));
            now += Duration::from_secs(wait);
        }
        lent.begin_round();
        assert_eq!(lent.waiting_of_round(), 0);
    }

    #[test]
    fn what_is_not_answered_in_time_has_failed_unless_it_is_extended() {
        let (mut lent, begin) = (lent(false), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        lent.add(arrived(7, 7));
        let first = take(&mut lent, at(0))[0].0;
        lent.extended(at(50), &[first]);
        assert!(take(&mut lent, at(109)).is_empty());
        assert!(take(&mut lent, at(110)).is_empty(), "it waits");
        assert!(lent.done(&[first]).is_empty(), "it is too late");
        assert_eq!(take(&mut lent, at(111))[0].1, 2);
    }

    #[test]
    fn what_is_given_back_keeps_its_attempts_and_what_is_done_does_not() {
        let (mut lent, now) = (lent(false), Instant::now());
        lent.add(arrived(7, 7));
        let first = take(&mut lent, now)[0].0;
        lent.failed(now, first);
        let later = now + Duration::from_secs(1);
        let second = take(&mut lent, later)[0];
        assert_eq!((second.1, lent.returned(&[second.0])), (2, vec![7]));
        lent.add(arrived(8, 7));
        let third = take(&mut lent, later)[0];
        assert_eq!((third.1, lent.done(&[third.0])), (2, vec![8]));
        lent.add(arrived(9, 7));
        assert_eq!(take(&mut lent, later)[0].1, 1);
    }

    #[test]
    fn what_others_may_have_failed_at_counts_unless_it_is_known_better() {
        let (mut lent, now) = (lent(false), Instant::now());
        lent.add(Arrived { failures: 1, ..arrived(1, 7) });
        lent.add(arrived(2, 8));
        let taken = take(&mut lent, now);
        assert_eq!((taken[0].1, taken[1].1), (2, 1));
        lent.clear();
        lent.add(Arrived { failures: 5, ..arrived(1, 7) });
        lent.add(Arrived { failures: 1, ..arrived(2, 8) });
        let taken = take(&mut lent, now);
        assert_eq!((taken[0].1, taken[1].1), (2, 1));
    }

    #[test]
    fn one_that_comes_again_while_it_is_here_is_the_same() {
        let (mut lent, now) = (lent(true), Instant::now());
        lent.add(arrived(1, 7));
        let receipt = take(&mut lent, now)[0].0;
        lent.add(arrived(2, 7));
        assert!(take(&mut lent, now).is_empty());
        assert_eq!(lent.done(&[receipt]), [2]);
        lent.add(arrived(3, 7));
        assert_eq!(take(&mut lent, now).len(), 1);
    }

    #[test]
    fn what_has_expired_is_not_handed_out() {
        let (mut lent, now) = (lent(false), Instant::now());
        let mut short = arrived(1, 1);
        short.message.ttl = Some(Duration::ZERO);
        let mut long = arrived(2, 2);
        long.message.ttl = Some(Duration::MAX);
        lent.add(short);
        lent.add(long);
        let taken = lent.take(now, SystemTime::UNIX_EPOCH, 10);
        assert_eq!((taken.len(), taken[0].message.ttl), (1, None));
        assert_eq!((lent.expired(), lent.expired()), (vec![1], vec![]));
    }

    #[test]
    fn with_too_much_that_waits_nothing_is_taken() {
        let (mut lent, now) = (lent(false), Instant::now());
        for token in 0..WAITING_MAX as u32 {
            assert_eq!(lent.room(), 2);
            lent.add(arrived(token, token.into()));
            let receipt = take(&mut lent, now)[0].0;
            lent.failed(now, receipt);
        }
        assert!((lent.room(), lent.may_wait()) == (0, false));
        assert_eq!(lent.tokens().count(), WAITING_MAX);
        assert_eq!((lent.clear().len(), lent.room(), lent.next_look()), (WAITING_MAX, 2, None));
    }
}
