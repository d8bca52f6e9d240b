//! Delivering a partition to a group's consumers: what the leader of a shard keeps in memory.
//!
//! Which message is with whom is in no log: that would cost a write for each delivery, to know after a crash
//! what the consumers have forgotten anyway. What comes of a delivery is: acknowledgements and failures become
//! commands, gathered while the one before is on its way. After a crash, or on another leader, a new `Delivery`
//! begins where the state says, and what was not acknowledged is delivered again.
//!
//! **Order.** Of messages with one key, one at a time is out: the first that is not done with. What is behind
//! it waits while it is with a consumer, failed and will be tried again, is blocked or is parked; messages of
//! other keys and those without one go on. A key goes on when its first message has been acknowledged here,
//! before that is durable: after a crash both are delivered again, in order.
//!
//! **How far ahead.** It looks no further than [`Config::window`] offsets beyond the first that is not done
//! with, which bounds what it keeps in memory and what the group's record remembers.
//!
//! **Calling order.** [`Delivery::poll`] after anything has happened: time, credits, what consumers say, new
//! messages, another leader's or operator's doing. Then [`Delivery::propose`], until there is nothing; a
//! command's outcome goes to [`Delivery::settle`], and all begins anew. [`Delivery::next_due`] says when to poll
//! at the latest. Whoever acknowledges for a group past its `Delivery` may find messages delivered that it had
//! acknowledged.

mod consumers;
mod look;
mod proposals;
mod track;

pub use consumers::ConsumerId;

use std::time::Duration;

use super::done::Done;
use super::fail::Failed;
use super::message::Message;
use super::{CAUSE_BYTES_MAX, RANGES_MAX, read};
use crate::state::Read;
use crate::time::Time;
use consumers::Consumers;
use proposals::Proposals;
use track::{Stage, Track};

/// How a partition is delivered to a group.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many offsets it looks ahead of the first that the group is not done with. Default:
    /// 4,096; at most [`WINDOW_MAX`]. Each costs some hundred bytes while it is not done with.
    pub window: u64,
    /// How many messages are with consumers at once. Default: 1,024. Zero: none.
    pub in_flight_max: usize,
    /// How long a consumer has for a message before that counts as a failure. Default: 30 s.
    pub ack_timeout: Duration,
}

/// The widest window: of what lies in it a group's record may have to remember every other offset.
pub const WINDOW_MAX: u64 = 2 * RANGES_MAX as u64;

/// A message that a consumer gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Handout {
    /// Who gets it.
    pub consumer: ConsumerId,
    /// Its offset.
    pub offset: u64,
    /// The how manieth attempt this is, from one.
    pub attempt: u32,
    /// The message.
    pub message: Message,
}

/// What of a partition is with a group's consumers, and what is next.
#[derive(Debug)]
pub struct Delivery {
    topic: String,
    partition: u32,
    group: String,
    config: Config,
    /// The group's epoch that this is of; none while there is no such group.
    epoch: Option<u64>,
    revision: u64,
    /// Whether what is set aside must be looked at once more when nothing is on its way.
    look_again: bool,
    /// What is done with or set aside, whether that is durable yet or not.
    done: Done,
    /// The first offset that has not been looked at.
    next: u64,
    /// Behind the last message, and the first that is kept, when it last looked.
    tail: u64,
    first: u64,
    track: Track,
    in_flight: usize,
    consumers: Consumers,
    proposals: Proposals,
}

impl Default for Config {
    fn default() -> Config {
        Config { window: 4_096, in_flight_max: 1_024, ack_timeout: Duration::from_secs(30) }
    }
}

impl Delivery {
    /// Delivers a partition to a group. Begins with the first poll that finds the group.
    pub fn new(topic: &str, partition: u32, group: &str, config: Config) -> Delivery {
        Delivery {
            topic: topic.to_owned(),
            partition,
            group: group.to_owned(),
            config: Config { window: config.window.clamp(1, WINDOW_MAX), ..config },
            epoch: None,
            revision: 0,
            look_again: false,
            done: Done::default(),
            next: 0,
            tail: 0,
            first: 0,
            track: Track::default(),
            in_flight: 0,
            consumers: Consumers::default(),
            proposals: Proposals::default(),
        }
    }

    /// Whether there was such a group when it last looked.
    pub fn is_subscribed(&self) -> bool {
        self.epoch.is_some()
    }

    /// How many messages are with consumers.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many messages it keeps in mind.
    pub fn tracked(&self) -> usize {
        self.track.len()
    }

    /// When to poll at the latest, if nothing happens before.
    pub fn next_due(&self) -> Option<Time> {
        self.track.next_due()
    }

    /// A consumer will take `credits` messages more. Each message that it gets takes one.
    pub fn grant(&mut self, consumer: ConsumerId, credits: u64) {
        self.consumers.grant(consumer, credits);
    }

    /// A consumer is gone. What it had is delivered again, and counts as no attempt.
    pub fn leave(&mut self, now: Time, consumer: ConsumerId) {
        for offset in self.consumers.leave(consumer) {
            self.come_back(now, offset);
        }
    }

    /// A consumer is done with a message. Says whether it still had it: if not, that counts for nothing, and
    /// the message is or will be delivered again.
    pub fn acknowledge(&mut self, now: Time, consumer: ConsumerId, offset: u64) -> bool {
        if !self.take_from(consumer, offset) {
            return false;
        }
        self.proposals.acknowledged(offset);
        self.done.insert(offset..offset + 1);
        self.track.finish(now, offset);
        true
    }

    /// A consumer could not deal with a message: it is tried again later, or given up, at once if `give_up`
    /// says so. Says whether the consumer still had it.
    pub fn fail(&mut self, now: Time, consumer: ConsumerId, offset: u64, cause: &str, give_up: bool) -> bool {
        let had = self.take_from(consumer, offset);
        if had {
            self.failed(now, offset, cause, give_up);
        }
        had
    }

    /// A consumer gives a message back, which counts as no attempt. Says whether it still had it.
    pub fn release(&mut self, now: Time, consumer: ConsumerId, offset: u64) -> bool {
        let had = self.take_from(consumer, offset);
        if had {
            self.track.change(now, offset, |tracked| tracked.stage = Stage::Here);
        }
        had
    }

    /// What a consumer was to get cannot be read any more: the group is done with it, as with a message that retention has
    /// taken away. Says whether the consumer still had it.
    pub fn lost(&mut self, now: Time, consumer: ConsumerId, offset: u64) -> bool {
        let had = self.take_from(consumer, offset);
        if had {
            self.gone(now, offset);
        }
        had
    }

    /// A consumer needs longer for a message: it has [`Config::ack_timeout`] from now on. Says whether it still
    /// had it.
    pub fn extend(&mut self, now: Time, consumer: ConsumerId, offset: u64) -> bool {
        if !self.has(consumer, offset) {
            return false;
        }
        let stage = Stage::InFlight { consumer, deadline: now + self.config.ack_timeout };
        self.track.change(now, offset, |tracked| tracked.stage = stage);
        true
    }

    /// Looks at the state and the time, and hands out what can be.
    pub fn poll(&mut self, now: Time, state: &(impl Read + ?Sized), out: &mut Vec<Handout>) {
        self.look(now, state);
        while let Some(offset) = self.track.take_due(now) {
            self.wake(now, offset);
        }
        while self.has_room() {
            match self.track.take_ready() {
                Some(offset) => self.hand_out_again(now, state, offset, out),
                None if self.scan(now, state, out) => {}
                None => break,
            }
        }
    }

    /// A message's time has come: it was out for too long, may be tried again, or has expired.
    fn wake(&mut self, now: Time, offset: u64) {
        let Some(tracked) = self.track.get(offset) else { return };
        match tracked.stage {
            Stage::InFlight { consumer, deadline } if deadline <= now => {
                self.take_from(consumer, offset);
                let cause = format!("not acknowledged within {:?}", self.config.ack_timeout);
                self.failed(now, offset, &cause, false);
            }
            Stage::Here if tracked.is_expired(now) => self.gone(now, offset),
            Stage::Here
                if !tracked.is_aside
                    && tracked.next <= now
                    && self.track.is_behind_parked(offset, tracked.lane) =>
            {
                self.park(now, offset);
            }
            _ => self.track.consider(now, offset),
        }
    }

    /// Hands out what was looked at before.
    fn hand_out_again(
        &mut self,
        now: Time,
        state: &(impl Read + ?Sized),
        offset: u64,
        out: &mut Vec<Handout>,
    ) {
        match read::message(state, &self.topic, self.partition, offset) {
            Some(message) if !message.is_expired(now) => self.hand_out(now, offset, message, out),
            _ => self.gone(now, offset),
        }
    }

    fn hand_out(&mut self, now: Time, offset: u64, message: Message, out: &mut Vec<Handout>) {
        let Some(consumer) = self.consumers.take_turn(offset) else { return };
        let stage = Stage::InFlight { consumer, deadline: now + self.config.ack_timeout };
        self.track.change(now, offset, |tracked| tracked.stage = stage);
        self.in_flight += 1;
        let attempt = self.track.get(offset).map_or(0, |tracked| tracked.attempts) + 1;
        out.push(Handout { consumer, offset, attempt, message });
    }

    fn has_room(&self) -> bool {
        self.in_flight < self.config.in_flight_max && self.consumers.any_eager()
    }

    fn has(&self, consumer: ConsumerId, offset: u64) -> bool {
        let stage = self.track.get(offset).map(|tracked| tracked.stage);
        matches!(stage, Some(Stage::InFlight { consumer: holder, .. }) if holder == consumer)
    }

    fn take_from(&mut self, consumer: ConsumerId, offset: u64) -> bool {
        let had = self.has(consumer, offset);
        if had {
            self.in_flight -= 1;
            self.consumers.put_down(consumer, offset);
        }
        had
    }

    fn come_back(&mut self, now: Time, offset: u64) {
        self.in_flight -= 1;
        self.track.change(now, offset, |tracked| tracked.stage = Stage::Here);
    }

    fn failed(&mut self, now: Time, offset: u64, cause: &str, give_up: bool) {
        let cause = cause[..cause.floor_char_boundary(CAUSE_BYTES_MAX)].to_owned();
        self.track.change(now, offset, |tracked| tracked.stage = Stage::Proposed);
        self.proposals.failed(Failed { offset, cause, give_up });
    }

    fn park(&mut self, now: Time, offset: u64) {
        self.track.change(now, offset, |tracked| tracked.stage = Stage::Proposed);
        self.proposals.parked(offset);
    }

    fn gone(&mut self, now: Time, offset: u64) {
        self.proposals.gone(offset);
        self.done.insert(offset..offset + 1);
        self.track.finish(now, offset);
    }
}

/// How long a message waits that could not be set aside for want of room, in milliseconds.
const FULL_PAUSE_MS: u64 = 5_000;
