//! Looking at the state: what is new in the partition, and what others have changed of the group.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::track::{Lane, Stage, Tracked};
use super::{Delivery, Handout};
use crate::context;
use crate::state::Read;
use crate::time::Time;
use crate::topic::aside::{Aside, Waits};
use crate::topic::done::Done;
use crate::topic::group::Group;
use crate::topic::message::Message;
use crate::topic::{group_key, read};

impl Delivery {
    /// Sees what has changed since it last looked.
    pub(super) fn look(&mut self, now: Time, state: &(impl Read + ?Sized)) {
        let key = group_key(&self.topic, self.partition, &self.group);
        let Some(group) = context::read::<Group>(state, &key) else {
            return self.end();
        };
        if self.epoch != Some(group.epoch) {
            self.begin(now, state, &group);
        } else if self.revision != group.revision || (self.look_again && !self.proposals.is_waiting()) {
            self.revision = group.revision;
            self.reload(now, state);
        }
        let partition = read::partition(state, &self.topic, self.partition);
        self.tail = partition.next;
        self.leave_behind(now, partition.first);
    }

    /// The group is gone, or not where it was: so is all that was known of it.
    pub(super) fn end(&mut self) {
        self.epoch = None;
        self.forget(Done::default());
    }

    /// Begins where the state says.
    fn begin(&mut self, now: Time, state: &(impl Read + ?Sized), group: &Group) {
        self.epoch = Some(group.epoch);
        self.revision = group.revision;
        self.forget(group.done());
        self.reload(now, state);
    }

    fn forget(&mut self, done: Done) {
        self.next = done.cursor();
        self.done = done;
        self.first = 0;
        self.track = super::Track::default();
        self.in_flight = 0;
        self.consumers.put_all_down();
        self.proposals.void();
    }

    /// Takes over what the group has set aside. What comes of a command that is on its way may be older than
    /// this, and makes it look again.
    fn reload(&mut self, now: Time, state: &(impl Read + ?Sized)) {
        self.look_again = self.proposals.is_waiting();
        let asides = read::asides(state, &self.topic, self.partition, &self.group, 0, usize::MAX);
        let asides: BTreeMap<u64, Aside> = asides.into_iter().collect();
        for offset in self.track.asides() {
            if !asides.contains_key(&offset) {
                self.resolved(now, offset);
            }
        }
        for (offset, aside) in asides {
            self.done.insert(offset..offset + 1);
            match self.track.get(offset).map(|tracked| tracked.stage) {
                Some(Stage::Here) => self.track.change(now, offset, |tracked| tracked.follow(&aside)),
                Some(_) => {}
                None if self.proposals.is_done(offset) => {}
                None => {
                    let mut tracked = Tracked::new(Lane::of(&aside.key), Time::ZERO);
                    tracked.follow(&aside);
                    self.track.add(now, offset, tracked);
                }
            }
        }
    }

    /// Somebody is done with a message that was set aside. A consumer that has it keeps it for nothing.
    fn resolved(&mut self, now: Time, offset: u64) {
        match self.track.get(offset).map(|tracked| tracked.stage) {
            Some(Stage::InFlight { consumer, .. }) => _ = self.take_from(consumer, offset),
            // What comes of the command says so.
            Some(Stage::Proposed) => return,
            Some(Stage::Here) | None => {}
        }
        self.track.finish(now, offset);
    }

    /// What retention took away is gone.
    fn leave_behind(&mut self, now: Time, first: u64) {
        if first <= self.first {
            return;
        }
        self.first = first;
        for offset in self.track.before(first) {
            if self.track.get(offset).is_some_and(|tracked| tracked.stage == Stage::Here) {
                self.gone(now, offset);
            }
        }
        // What was not looked at need not be told: the group's record is moved up with the next command.
        self.done.insert(0..first);
        self.next = self.next.max(first);
    }

    /// Looks at some more of the partition and hands out what is free. Nothing more can be looked at if this
    /// says no.
    pub(super) fn scan(&mut self, now: Time, state: &(impl Read + ?Sized), out: &mut Vec<Handout>) -> bool {
        let end = self.tail.min(self.done.cursor().saturating_add(self.config.window));
        self.next = self.done.next_missing(self.next);
        if self.next >= end {
            return false;
        }
        let page = self.page(state, end);
        for (offset, message) in page {
            self.gap(self.next..offset);
            self.next = offset + 1;
            self.meet(now, offset, message, out);
        }
        true
    }

    /// Some messages from the next on. A page ends at a message or at `end`, up to where there are gaps only.
    fn page(&mut self, state: &(impl Read + ?Sized), end: u64) -> Vec<(u64, Message)> {
        let mut page = Vec::new();
        let (topic, partition) = (&self.topic, self.partition);
        read::messages(state, topic, partition, self.next, &mut |offset, message| {
            if offset >= end || page.len() == PAGE {
                return ControlFlow::Break(());
            }
            page.push((offset, message));
            ControlFlow::Continue(())
        });
        if page.is_empty() {
            self.gap(self.next..end);
            self.next = end;
        }
        page
    }

    /// Messages that are not there any more.
    fn gap(&mut self, range: std::ops::Range<u64>) {
        let mut at = self.done.next_missing(range.start);
        while at < range.end {
            self.proposals.gone(at);
            self.done.insert(at..at + 1);
            at = self.done.next_missing(at);
        }
    }

    /// Looks at a message for the first time.
    fn meet(&mut self, now: Time, offset: u64, message: Message, out: &mut Vec<Handout>) {
        if self.done.contains(offset) || self.track.get(offset).is_some() {
            return;
        }
        let lane = Lane::of(&message.attributes.key);
        self.track.add(now, offset, Tracked::new(lane, Time::from_millis(message.expires)));
        if message.is_expired(now) {
            self.gone(now, offset);
        } else if self.track.is_behind_parked(offset, lane) {
            self.park(now, offset);
        } else if self.has_room() && self.track.is_first(offset, lane) {
            self.hand_out(now, offset, message, out);
        }
    }
}

impl Tracked {
    fn follow(&mut self, aside: &Aside) {
        self.is_aside = true;
        self.waits = Waits::try_from(aside.waits).unwrap_or(Waits::Blocked);
        self.next = Time::from_millis(aside.next);
        self.attempts = aside.attempts;
        self.expires = Time::from_millis(aside.expires);
    }
}

/// How many messages are looked at at once.
const PAGE: usize = 64;
