//! What is no longer kept: too old, too many, too large, or expired.
//!
//! By count and bytes a partition is trimmed when something is published, by age and expiry when its
//! timer fires: it has one, due when the first message is to go. Each step takes a bounded number of
//! messages, so that no entry takes long; when there are more, the timer is due again at once.
//!
//! The timer comes a little late on purpose ([`ALARM_MS`]), so that not every message has a step of its
//! own. Nobody gets an expired message for that: who reads looks at the time.

use std::ops::ControlFlow;

use super::message::Message;
use super::partition::{Open, Partition};
use super::{TRIMMED_MAX, expiries_prefix, expiry_key, partition_of_key, read};
use crate::context::Context;
use crate::key::Key;
use crate::state::Order;
use crate::time::Time;
use crate::timer::Owner;

/// Takes away what has had its time. `key` is that of the partition.
pub(crate) fn fire(context: &mut Context<'_>, key: &[u8]) {
    let key = Key::from(key);
    let (topic, number) = partition_of_key(&key);
    let Some(partition) = context.get(&key) else { return };
    let mut open = Open { topic: &topic, number, key: key.clone(), partition };
    open.partition.alarm = 0;
    let mut steps = open.expire(context, TRIMMED_MAX);
    steps += open.trim(context, TRIMMED_MAX - steps);
    let soonest = if steps < TRIMMED_MAX { context.time().after(ALARM_MS) } else { context.time() };
    if let Some(due) = open.due(context) {
        open.set_alarm(context, due.max(soonest));
    }
    context.put(key, &open.partition);
}

impl Open<'_> {
    /// Takes away what is too old, too many or too large, `max` messages at most, and returns how many.
    fn trim(&mut self, context: &mut Context<'_>, max: usize) -> usize {
        let doomed = self.doomed(context, max);
        for (offset, message) in &doomed {
            self.partition.first = *offset;
            self.remove(context, *offset, message);
        }
        doomed.len()
    }

    /// Takes away what is too much after `published` more messages.
    pub(super) fn trim_after(&mut self, context: &mut Context<'_>, published: usize) {
        if self.is_over() {
            self.trim(context, published + TRIMMED_MAX);
        }
    }

    /// Takes away what has expired, `max` messages at most, and returns how many.
    fn expire(&mut self, context: &mut Context<'_>, max: usize) -> usize {
        let expired = self.expired(context, max);
        for offset in &expired {
            let message = read::message(context.state(), self.topic, self.number, *offset);
            self.remove(context, *offset, &message.expect("what will expire is kept"));
        }
        expired.len()
    }

    /// Whether it keeps more than it shall.
    fn is_over(&self) -> bool {
        is_over(&self.partition)
    }

    /// Has the timer fire no later than a message that was just appended must go.
    pub(super) fn expect(&mut self, context: &mut Context<'_>, expires: Time) {
        let aged = aged(&self.partition, context.time().as_millis());
        let expires = Some(expires).filter(|expires| *expires != Time::ZERO);
        let Some(due) = aged.into_iter().chain(expires).min() else { return };
        let due = due.max(context.time().after(ALARM_MS));
        if self.partition.alarm == 0 || due.as_millis() < self.partition.alarm {
            self.set_alarm(context, due);
        }
    }

    /// Sets the timer for what is kept.
    pub(super) fn rearm(&mut self, context: &mut Context<'_>) {
        match self.due(context) {
            Some(due) => self.set_alarm(context, due),
            None => self.cancel_alarm(context),
        }
    }

    fn set_alarm(&mut self, context: &mut Context<'_>, due: Time) {
        self.cancel_alarm(context);
        context.set_timer(due, Owner::Topic, self.key.as_bytes());
        self.partition.alarm = due.as_millis();
    }

    fn cancel_alarm(&mut self, context: &mut Context<'_>) {
        if self.partition.alarm != 0 {
            context.cancel_timer(Time::from_millis(self.partition.alarm), Owner::Topic, self.key.as_bytes());
            self.partition.alarm = 0;
        }
    }

    /// When the first message must go.
    fn due(&self, context: &Context<'_>) -> Option<Time> {
        if self.is_over() {
            return Some(context.time());
        }
        let oldest = read::first_from(context.state(), self.topic, self.number, self.partition.first);
        let aged = oldest.and_then(|(_, message)| aged(&self.partition, message.time));
        let expiries = expiries_prefix(self.topic, self.number);
        let expiry = context.state().first(expiries.as_bytes(), expiries.end().as_bytes(), Order::Forwards);
        let expires = expiry.map(|(key, _)| expiry_of(&expiries, &key).0);
        aged.into_iter().chain(expires).min()
    }

    /// The first messages, as far as they are too old, too many or too large.
    fn doomed(&self, context: &Context<'_>, max: usize) -> Vec<(u64, Message)> {
        let mut left = self.partition.clone();
        let mut doomed = Vec::new();
        let now = context.time();
        let (topic, number, first) = (self.topic, self.number, self.partition.first);
        if max == 0 {
            return doomed;
        }
        read::messages(context.state(), topic, number, first, &mut |offset, message| {
            let old = aged(&left, message.time).is_some_and(|aged| aged <= now);
            if !old && !is_over(&left) {
                return ControlFlow::Break(());
            }
            left.messages -= 1;
            left.bytes -= message.weight();
            doomed.push((offset, message));
            if doomed.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        doomed
    }

    fn expired(&self, context: &Context<'_>, max: usize) -> Vec<u64> {
        let expiries = expiries_prefix(self.topic, self.number);
        let end = expiry_key(self.topic, self.number, context.time().after(1), 0);
        let mut expired = Vec::new();
        context.scan(&expiries, &end, Order::Forwards, &mut |key, _| {
            expired.push(expiry_of(&expiries, key).1);
            if expired.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        expired
    }
}

fn is_over(partition: &Partition) -> bool {
    let over = |is: u64, keep: u64| keep != 0 && is > keep;
    over(partition.messages, partition.keep_messages)
        || (over(partition.bytes, partition.keep_bytes) && partition.messages > 1)
}

/// When a message of `time` is too old; never, if messages are kept without end.
fn aged(partition: &Partition, time: u64) -> Option<Time> {
    (partition.keep_ms != 0).then(|| Time::from_millis(time).after(partition.keep_ms))
}

/// When a message expires, and its offset.
fn expiry_of(expiries: &Key, key: &[u8]) -> (Time, u64) {
    let rest = expiries.rest_of(key).and_then(|rest| rest.split_first_chunk::<8>());
    let (at, offset) = rest.expect("the key of an expiry has a time");
    let offset = offset.try_into().expect("the key of an expiry ends with an offset");
    (Time::from_millis(u64::from_be_bytes(*at)), u64::from_be_bytes(offset))
}

/// How late messages may be taken away, in milliseconds: one step takes all that are due by then.
const ALARM_MS: u64 = 1_000;
