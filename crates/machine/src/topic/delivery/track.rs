//! What has been looked at and is not done with: whose turn it is, and when something is to be looked at again.
//!
//! Messages of one key are a *lane*, in the order of their offsets, and only the first of a lane is ever
//! delivered. A message without a key is alone. A lane is known by a hash of its key: keys that share one wait for
//! each other, too, which harms neither.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xxhash_rust::xxh64::xxh64;

use super::ConsumerId;
use crate::time::Time;
use crate::topic::aside::Waits;

/// All messages that have been looked at and are not done with.
#[derive(Debug, Default)]
pub(super) struct Track {
    messages: BTreeMap<u64, Tracked>,
    /// The offsets of each lane, ascending.
    lanes: BTreeMap<Lane, VecDeque<u64>>,
    /// What may be delivered now.
    ready: BTreeSet<u64>,
    /// When something is to be looked at again: one entry a message at most.
    later: BTreeSet<(Time, u64)>,
}

/// Which messages wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane(u64);

/// A message that is not done with.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    /// Its lane; none if it has no key.
    pub(super) lane: Option<Lane>,
    pub(super) stage: Stage,
    /// Whether the state has it set aside.
    pub(super) is_aside: bool,
    pub(super) waits: Waits,
    /// From when on it may be delivered.
    pub(super) next: Time,
    pub(super) attempts: u32,
    /// When it expires; zero for never.
    pub(super) expires: Time,
    later: Option<Time>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Here, waiting for its turn.
    Here,
    /// With a consumer.
    InFlight {
        /// Who has it,
        consumer: ConsumerId,
        /// until when.
        deadline: Time,
    },
    /// In a command that is not applied yet, or will be in the next.
    Proposed,
}

impl Lane {
    /// The lane of a key; none if there is no key.
    pub(super) fn of(key: &[u8]) -> Option<Lane> {
        (!key.is_empty()).then(|| Lane(xxh64(key, 0)))
    }
}

impl Tracked {
    pub(super) fn new(lane: Option<Lane>, expires: Time) -> Tracked {
        Tracked {
            lane,
            stage: Stage::Here,
            is_aside: false,
            waits: Waits::Turn,
            next: Time::ZERO,
            attempts: 0,
            expires,
            later: None,
        }
    }

    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.expires != Time::ZERO && self.expires <= now
    }
}

impl Track {
    pub(super) fn get(&self, offset: u64) -> Option<&Tracked> {
        self.messages.get(&offset)
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The offsets before `end`.
    pub(super) fn before(&self, end: u64) -> Vec<u64> {
        self.messages.range(..end).map(|(offset, _)| *offset).collect()
    }

    /// The offsets of what is set aside.
    pub(super) fn asides(&self) -> Vec<u64> {
        let asides = self.messages.iter().filter(|(_, tracked)| tracked.is_aside);
        asides.map(|(offset, _)| *offset).collect()
    }

    /// Adds a message.
    pub(super) fn add(&mut self, now: Time, offset: u64, tracked: Tracked) {
        let lane = tracked.lane;
        self.messages.insert(offset, tracked);
        let second = lane.and_then(|lane| {
            let lane = self.lanes.entry(lane).or_default();
            let at = lane.partition_point(|other| *other < offset);
            lane.insert(at, offset);
            lane.get(at + 1).copied()
        });
        self.consider(now, offset);
        // It may have been the first until now.
        if let Some(second) = second {
            self.consider(now, second);
        }
    }

    /// Changes a message, and sees what follows from it.
    pub(super) fn change(&mut self, now: Time, offset: u64, change: impl FnOnce(&mut Tracked)) {
        if let Some(tracked) = self.messages.get_mut(&offset) {
            change(tracked);
            self.consider(now, offset);
        }
    }

    /// Is done with a message: the next of its lane has its turn.
    pub(super) fn finish(&mut self, now: Time, offset: u64) {
        let Some(tracked) = self.messages.remove(&offset) else { return };
        self.ready.remove(&offset);
        if let Some(at) = tracked.later {
            self.later.remove(&(at, offset));
        }
        let Some(id) = tracked.lane else { return };
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if let Ok(at) = lane.binary_search(&offset) {
            lane.remove(at);
        }
        match lane.front().copied() {
            Some(first) => self.consider(now, first),
            None => _ = self.lanes.remove(&id),
        }
    }

    /// Whether it is a message's turn.
    pub(super) fn is_first(&self, offset: u64, lane: Option<Lane>) -> bool {
        self.first(lane).is_none_or(|first| first == offset)
    }

    /// Whether a message waits behind one that is parked.
    pub(super) fn is_behind_parked(&self, offset: u64, lane: Option<Lane>) -> bool {
        let first = self.first(lane).filter(|first| *first < offset);
        first.and_then(|first| self.get(first)).is_some_and(|first| first.waits == Waits::Parked)
    }

    fn first(&self, lane: Option<Lane>) -> Option<u64> {
        self.lanes.get(&lane?)?.front().copied()
    }

    /// What waits in the partition behind the first of a lane.
    pub(super) fn behind(&self, lane: Lane) -> Vec<u64> {
        let lane = self.lanes.get(&lane).into_iter().flatten().skip(1);
        let here = |offset: &&u64| {
            self.get(**offset).is_some_and(|tracked| !tracked.is_aside && tracked.stage == Stage::Here)
        };
        lane.filter(here).copied().collect()
    }

    /// What may be delivered now; it is to be changed or finished then.
    pub(super) fn take_ready(&mut self) -> Option<u64> {
        self.ready.pop_first()
    }

    /// What is to be looked at again by `now`.
    pub(super) fn take_due(&mut self, now: Time) -> Option<u64> {
        let (at, offset) = *self.later.first()?;
        if at > now {
            return None;
        }
        self.later.pop_first();
        if let Some(tracked) = self.messages.get_mut(&offset) {
            tracked.later = None;
        }
        Some(offset)
    }

    /// When something is to be looked at again.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Puts a message where it belongs.
    pub(super) fn consider(&mut self, now: Time, offset: u64) {
        let Some(tracked) = self.messages.get(&offset) else { return };
        let is_first = self.is_first(offset, tracked.lane);
        let is_here = tracked.stage == Stage::Here;
        let is_ready = is_here && is_first && tracked.waits == Waits::Turn && tracked.next <= now;
        let again = match tracked.stage {
            Stage::InFlight { deadline, .. } => Some(deadline),
            Stage::Here if !is_ready => self.later_of(now, offset, tracked),
            _ => None,
        };
        match is_ready {
            true => self.ready.insert(offset),
            false => self.ready.remove(&offset),
        };
        self.set_later(offset, again);
    }

    /// When what waits here is to be looked at: when its time has come, or it expires.
    fn later_of(&self, now: Time, offset: u64, tracked: &Tracked) -> Option<Time> {
        let next = Some(tracked.next).filter(|next| *next > now && tracked.waits == Waits::Turn);
        let next = next
            .filter(|_| self.is_first(offset, tracked.lane) || self.is_behind_parked(offset, tracked.lane));
        let expires = Some(tracked.expires).filter(|expires| *expires != Time::ZERO);
        next.into_iter().chain(expires).min()
    }

    fn set_later(&mut self, offset: u64, at: Option<Time>) {
        let Some(tracked) = self.messages.get_mut(&offset) else { return };
        if tracked.later == at {
            return;
        }
        if let Some(before) = std::mem::replace(&mut tracked.later, at) {
            self.later.remove(&(before, offset));
        }
        if let Some(at) = at {
            self.later.insert((at, offset));
        }
    }
}
