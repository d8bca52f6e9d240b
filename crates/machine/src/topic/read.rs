//! What is read of topics without a log entry.

use std::ops::ControlFlow;

use super::aside::Aside;
use super::group::Group;
use super::message::Message;
use super::partition::Partition;
use super::settings::{Failing, Settings};
use super::{
    asides_prefix, group_key, group_settings_key, groups_prefix, message_key, partition_key, settings_key,
};
use crate::context;
use crate::key::{Key, Table, last_number};
use crate::state::{Order, Read, names};
use crate::time::Time;

/// What is set for a topic; nothing if nobody defined it.
pub fn settings(state: &(impl Read + ?Sized), topic: &str) -> Option<Settings> {
    context::read(state, &settings_key(topic))
}

/// Up to `max` topics by name: those whose names begin so, after `after`.
pub fn topics(state: &(impl Read + ?Sized), prefix: &str, after: Option<&str>, max: usize) -> Vec<String> {
    names(state, &Key::new(Table::Topic), prefix, after, max)
}

/// What happens to messages that a group fails at.
pub fn failing(state: &(impl Read + ?Sized), topic: &str, group: &str) -> Failing {
    group_failing(state, topic, group).or_else(|| settings(state, topic)?.failing).unwrap_or_default()
}

/// What is set for a group, in place of what the topic says.
pub fn group_failing(state: &(impl Read + ?Sized), topic: &str, group: &str) -> Option<Failing> {
    context::read(state, &group_settings_key(topic, group))
}

/// What a group has set aside of a partition, from the offset `from` on and up to `max` of them.
pub fn asides(
    state: &(impl Read + ?Sized),
    topic: &str,
    partition: u32,
    group: &str,
    from: u64,
    max: usize,
) -> Vec<(u64, Aside)> {
    let prefix = asides_prefix(topic, partition, group);
    let from = prefix.clone().u64(from);
    let mut asides = Vec::new();
    state.scan(from.as_bytes(), prefix.end().as_bytes(), Order::Forwards, &mut |key, value| {
        if asides.len() == max {
            return ControlFlow::Break(());
        }
        asides.push((last_number(key), context::decode(key, value.clone())));
        ControlFlow::Continue(())
    });
    asides
}

/// The counters of a partition; all zero if nothing was ever published there.
pub fn partition(state: &(impl Read + ?Sized), topic: &str, partition: u32) -> Partition {
    context::read(state, &partition_key(topic, partition)).unwrap_or_default()
}

/// A message, if it is kept.
pub fn message(state: &(impl Read + ?Sized), topic: &str, partition: u32, offset: u64) -> Option<Message> {
    context::read(state, &message_key(topic, partition, offset))
}

/// Visits the messages of a partition from the offset `from` on, each with its offset, until `visit`
/// breaks. Those that have expired are among them until they are taken away
/// ([`Message::is_expired`]).
pub fn messages(
    state: &(impl Read + ?Sized),
    topic: &str,
    partition: u32,
    from: u64,
    visit: &mut dyn FnMut(u64, Message) -> ControlFlow<()>,
) {
    let begin = message_key(topic, partition, from);
    let end = message_key(topic, partition, u64::MAX);
    state.scan(begin.as_bytes(), end.as_bytes(), Order::Forwards, &mut |key, value| {
        visit(last_number(key), context::decode(key, value.clone()))
    });
}

/// Up to `max` messages of a partition from the offset `from` on, each with its offset, without those
/// that have expired at `now`.
pub fn page(
    state: &(impl Read + ?Sized),
    topic: &str,
    partition: u32,
    from: u64,
    max: usize,
    now: Time,
) -> Vec<(u64, Message)> {
    let mut page = Vec::new();
    messages(state, topic, partition, from, &mut |offset, message| {
        if page.len() == max {
            return ControlFlow::Break(());
        }
        if !message.is_expired(now) {
            page.push((offset, message));
        }
        ControlFlow::Continue(())
    });
    page
}

/// The offset of the first message that was published at `time` or later; that of the next one if there
/// is none yet. Times do not fall from message to message, so it is searched for by halves.
pub fn offset_at(state: &(impl Read + ?Sized), topic: &str, number: u32, time: Time) -> u64 {
    let partition = partition(state, topic, number);
    let (mut low, mut high) = (partition.first, partition.next);
    while low < high {
        let middle = low + (high - low) / 2;
        match first_from(state, topic, number, middle) {
            Some((offset, message)) if message.time < time.as_millis() => low = offset + 1,
            _ => high = middle,
        }
    }
    low
}

pub(super) fn first_from(
    state: &(impl Read + ?Sized),
    topic: &str,
    partition: u32,
    from: u64,
) -> Option<(u64, Message)> {
    let mut found = None;
    messages(state, topic, partition, from, &mut |offset, message| {
        found = Some((offset, message));
        ControlFlow::Break(())
    });
    found
}

/// How a group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// The first offset that it is not done with.
    pub cursor: u64,
    /// How many messages it is not done with.
    pub lag: u64,
    /// What is kept of it.
    pub group: Group,
}

/// How a group stands at a partition, if it has subscribed to it.
pub fn group(state: &(impl Read + ?Sized), topic: &str, number: u32, name: &str) -> Option<GroupStatus> {
    let group = context::read(state, &group_key(topic, number, name))?;
    Some(status(name, group, &partition(state, topic, number)))
}

/// How all groups of a partition stand, by name.
pub fn groups(state: &(impl Read + ?Sized), topic: &str, number: u32) -> Vec<GroupStatus> {
    let partition = partition(state, topic, number);
    let mut groups = Vec::new();
    let prefix = groups_prefix(topic, number);
    state.scan_prefix(&prefix, &mut |key, value| {
        let name = prefix.rest_of(key).and_then(|rest| std::str::from_utf8(rest).ok());
        let name = name.expect("the key of a group ends with its name");
        groups.push(status(name, context::decode(key, value.clone()), &partition));
        ControlFlow::Continue(())
    });
    groups
}

fn status(name: &str, mut group: Group, partition: &Partition) -> GroupStatus {
    let mut done = group.done();
    group.catch_up(&mut done, partition);
    let lag = partition.next - done.cursor() - done.count_beyond() + group.aside;
    GroupStatus { name: name.to_owned(), cursor: done.cursor(), lag, group }
}
