//! Topics as users think of them.
//!
//! When exactly a message goes that is no longer kept is the machine's own affair. The model knows from when on each may
//! be gone, and a little later it must be; up to then it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use machine::command;
use machine::topic::{
    self, Acknowledged, Answer, At, NewMessage, Place, Position, Published, Reply, Settings,
};
use machine::{Code, Read, Time};
use prost::Message as _;

use super::{Payloads, Step};

/// Partitions by topic and number.
#[derive(Default)]
pub struct Topics {
    partitions: BTreeMap<(String, u32), Partition>,
    settings: BTreeMap<String, Settings>,
}

#[derive(Default)]
struct Partition {
    messages: Vec<Message>,
    /// What is delayed: until when, and the payload.
    delayed: Vec<(Time, NewMessage, Bytes)>,
    groups: BTreeMap<String, Group>,
}

struct Message {
    key: Bytes,
    payload: Bytes,
    time: Time,
    expires: Option<Time>,
    /// What it counts for where bytes are limited.
    weight: u64,
    /// Whether there was ever a reason to take it away.
    may_be_gone: bool,
}

struct Group {
    epoch: u64,
    done: BTreeSet<u64>,
}

impl Group {
    fn cursor(&self) -> u64 {
        (0..).find(|offset| !self.done.contains(offset)).expect("not all offsets are done")
    }
}

impl Topics {
    pub(super) fn apply(&mut self, step: &Step<'_>, command: &topic::Command) -> Result<Reply, Code> {
        match command.kind.as_ref().expect("what is in the log says what it is") {
            topic::Kind::Define(define) => {
                self.age(step.time);
                self.settings.insert(define.topic.clone(), define.settings.clone());
                self.age(step.time);
                Ok(Reply::default())
            }
            topic::Kind::Publish(publish) => {
                let (partition, settings) = self.at(&publish.topic, publish.partition);
                let published = partition.publish(step, std::slice::from_ref(&publish.message), settings);
                Ok(published.into())
            }
            topic::Kind::PublishBatch(batch) => {
                let (partition, settings) = self.at(&batch.topic, batch.partition);
                Ok(partition.publish(step, &batch.messages, settings).into())
            }
            topic::Kind::Subscribe(subscribe) => {
                let (partition, settings) = self.at(&subscribe.topic, subscribe.partition);
                partition.age(step.time, settings);
                if !partition.groups.contains_key(&subscribe.group) {
                    let from = partition.place(&subscribe.from, step);
                    let group = Group { epoch: step.sequence, done: (0..from).collect() };
                    partition.groups.insert(subscribe.group.clone(), group);
                }
                let group = &partition.groups[&subscribe.group];
                Ok(Position { cursor: group.cursor(), epoch: group.epoch }.into())
            }
            topic::Kind::Acknowledge(acknowledge) => {
                let (partition, settings) = self.at(&acknowledge.topic, acknowledge.partition);
                partition.age(step.time, settings);
                let next = partition.messages.len() as u64;
                let group = partition.groups.get_mut(&acknowledge.group).ok_or(Code::NotFound)?;
                if acknowledge.epoch.is_some_and(|epoch| epoch != group.epoch) {
                    return Err(Code::Fenced);
                }
                let offsets: Vec<u64> = acknowledge
                    .ranges
                    .iter()
                    .flat_map(|span| span.first..span.first.saturating_add(span.count))
                    .collect();
                if offsets.iter().any(|offset| *offset >= next) {
                    return Err(Code::Invalid);
                }
                let count = offsets.into_iter().filter(|offset| group.done.insert(*offset)).count() as u64;
                // What has been taken away nobody can be done with.
                let cursor = cursor_said(step).unwrap_or(group.cursor()).max(group.cursor());
                let skipped: Vec<u64> = (0..cursor).filter(|offset| group.done.insert(*offset)).collect();
                skipped.into_iter().for_each(|offset| partition.assert_may_be_gone(offset..offset + 1));
                let cursor = partition.groups[&acknowledge.group].cursor();
                Ok(Acknowledged { cursor, count }.into())
            }
            topic::Kind::Seek(seek) => {
                let (partition, settings) = self.at(&seek.topic, seek.partition);
                partition.age(step.time, settings);
                if !partition.groups.contains_key(&seek.group) {
                    return Err(Code::NotFound);
                }
                let to = partition.place(&seek.to, step);
                let group = partition.groups.get_mut(&seek.group).ok_or(Code::NotFound)?;
                *group = Group { epoch: step.sequence, done: (0..to).collect() };
                Ok(Position { cursor: to, epoch: group.epoch }.into())
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn at(&mut self, topic: &str, partition: u32) -> (&mut Partition, &Settings) {
        let settings = self.settings.entry(topic.to_owned()).or_default();
        (self.partitions.entry((topic.to_owned(), partition)).or_default(), settings)
    }

    /// What is due by `now` is published.
    pub(super) fn fire(&mut self, now: Time) {
        for ((topic, _), partition) in &mut self.partitions {
            partition.fire(now, self.settings.entry(topic.clone()).or_default());
        }
        self.age(now);
    }

    /// Notes what may be gone by `now`.
    pub(super) fn age(&mut self, now: Time) {
        for ((topic, _), partition) in &mut self.partitions {
            partition.age(now, self.settings.entry(topic.clone()).or_default());
        }
    }

    /// Asserts that nothing is kept that should have been taken away by `now`, when nothing is left to be done.
    pub(super) fn assert_taken_away(&self, state: &impl Read, now: Time) {
        for ((topic, number), partition) in &self.partitions {
            let settings = &self.settings[topic];
            let kept = topic::read::partition(state, topic, *number);
            let most = |is: u64, most: u64| most == 0 || is <= most;
            assert!(most(kept.messages, settings.keep_messages), "{topic} {number}: too many messages");
            let bytes = most(kept.bytes, settings.keep_bytes) || kept.messages <= 1;
            assert!(bytes, "{topic} {number}: too many bytes");
            topic::read::messages(state, topic, *number, 0, &mut |offset, _| {
                let end = partition.messages[offset as usize].end(settings);
                let late = end.is_some_and(|end| end.after(LATE_MS) <= now);
                assert!(!late, "{topic} {number}: the message {offset} should be gone since {end:?}");
                ControlFlow::Continue(())
            });
        }
    }

    /// The offset of the next message, for a client that has consumed all.
    pub fn next(&self, topic: &str, partition: u32) -> u64 {
        self.partitions
            .get(&(topic.to_owned(), partition))
            .map_or(0, |partition| partition.messages.len() as u64)
    }

    /// Whether there is such a group.
    pub fn has_group(&self, topic: &str, partition: u32, group: &str) -> bool {
        self.epoch(topic, partition, group).is_some()
    }

    /// The first offset that a group is not done with, for a client that was delivered to.
    pub fn cursor(&self, topic: &str, partition: u32, group: &str) -> u64 {
        let partition = self.partitions.get(&(topic.to_owned(), partition));
        let group = partition.and_then(|partition| partition.groups.get(group));
        group.map_or(0, Group::cursor)
    }

    /// The epoch of a group, for a client that was delivered to.
    pub fn epoch(&self, topic: &str, partition: u32, group: &str) -> Option<u64> {
        let partition = self.partitions.get(&(topic.to_owned(), partition))?;
        partition.groups.get(group).map(|group| group.epoch)
    }

    pub(super) fn assert_read(&self, state: &impl Read, payloads: Payloads<'_>) {
        for ((topic, number), partition) in &self.partitions {
            let at = |offset: u64| format!("{topic} {number}: the message {offset}");
            let mut next = 0;
            topic::read::messages(state, topic, *number, 0, &mut |offset, message| {
                partition.assert_may_be_gone(next..offset);
                next = offset + 1;
                let should = partition.messages.get(offset as usize);
                let should = should.unwrap_or_else(|| panic!("{} was never published", at(offset)));
                assert_eq!(message.attributes.key, should.key, "{}", at(offset));
                assert_eq!(payloads(&message.body), should.payload, "{}", at(offset));
                ControlFlow::Continue(())
            });
            partition.assert_may_be_gone(next..partition.messages.len() as u64);
            let delayed = topic::read::partition(state, topic, *number).delayed;
            assert_eq!(delayed, partition.delayed.len() as u64, "{topic} {number}: what is delayed");
            for (name, group) in &partition.groups {
                let read = topic::read::group(state, topic, *number, name).expect("the group is there");
                assert_eq!(read.group.epoch, group.epoch, "{topic} {number}: group {name}");
                let mut done = group.done.clone();
                let skipped = (0..read.cursor).filter(|offset| done.insert(*offset));
                skipped.for_each(|offset| partition.assert_may_be_gone(offset..offset + 1));
                assert!(!done.contains(&read.cursor), "{topic} {number}: group {name} is further");
                let lag = (partition.messages.len() - done.len()) as u64;
                assert_eq!(read.lag, lag, "{topic} {number}: what group {name} is not done with");
            }
        }
    }
}

impl Partition {
    fn publish(&mut self, step: &Step<'_>, messages: &[NewMessage], settings: &Settings) -> Published {
        let offset = self.messages.len() as u64;
        let mut delayed = Vec::new();
        for (place, message) in (0..).zip(messages) {
            let payload = step.bodies[message.body as usize].clone();
            let due = Time::from_millis(message.due_ms);
            if due > step.time {
                self.delayed.push((due, message.clone(), payload));
                delayed.push(place);
            } else {
                self.append(step.time, message, payload, settings);
            }
        }
        self.age(step.time, settings);
        Published { offset, count: (messages.len() - delayed.len()) as u64, delayed }
    }

    /// Those that are due at the same time come in the order in which they were published.
    fn fire(&mut self, now: Time, settings: &Settings) {
        self.delayed.sort_by_key(|(due, ..)| *due);
        let later = self.delayed.split_off(self.delayed.partition_point(|(due, ..)| *due <= now));
        for (_, message, payload) in std::mem::replace(&mut self.delayed, later) {
            self.append(now, &message, payload, settings);
        }
    }

    fn append(&mut self, now: Time, message: &NewMessage, payload: Bytes, settings: &Settings) {
        let ttl_ms = message.ttl_ms.unwrap_or(settings.ttl_ms);
        self.messages.push(Message {
            key: message.attributes.key.clone(),
            weight: (payload.len() + message.attributes.encoded_len()) as u64,
            payload,
            time: now,
            expires: (ttl_ms > 0).then(|| now.after(ttl_ms)),
            may_be_gone: false,
        });
    }

    /// Notes which messages may be gone by `now`: the later ones first, for by them it is decided.
    fn age(&mut self, now: Time, settings: &Settings) {
        let (mut newer, mut bytes) = (0, 0);
        for message in self.messages.iter_mut().rev() {
            bytes += message.weight;
            let too_many = settings.keep_messages > 0 && newer >= settings.keep_messages;
            let too_large = settings.keep_bytes > 0 && bytes > settings.keep_bytes && newer > 0;
            let is_over = message.end(settings).is_some_and(|end| end <= now);
            message.may_be_gone |= too_many || too_large || is_over;
            newer += 1;
        }
    }

    fn assert_may_be_gone(&self, offsets: Range<u64>) {
        for offset in offsets {
            let may = self.messages.get(offset as usize).is_some_and(|message| message.may_be_gone);
            assert!(may, "the message {offset} is not there, and nothing says that it may be gone");
        }
    }

    /// The offset that `place` means, by who knows what is gone.
    fn place(&self, place: &Place, step: &Step<'_>) -> u64 {
        let means = self.offset(place);
        let said = cursor_said(step).unwrap_or(means);
        self.assert_may_be_gone(said.min(means)..said.max(means));
        said
    }

    fn offset(&self, place: &Place) -> u64 {
        let next = self.messages.len() as u64;
        match place.at {
            Some(At::Start(_)) => 0,
            Some(At::End(_)) | None => next,
            Some(At::Offset(offset)) => offset.min(next),
            Some(At::Time(time)) => {
                let later = |message: &Message| message.time.as_millis() >= time;
                self.messages.iter().position(later).map_or(next, |at| at as u64)
            }
        }
    }
}

impl Message {
    /// When it is too old, or of no use any more.
    fn end(&self, settings: &Settings) -> Option<Time> {
        let aged = (settings.keep_ms() > 0).then(|| self.time.after(settings.keep_ms()));
        aged.into_iter().chain(self.expires).min()
    }
}

/// The cursor that a command to a group was answered with.
fn cursor_said(step: &Step<'_>) -> Option<u64> {
    match step.answer? {
        command::Answer::Topic(Reply { answer: Some(Answer::Position(position)) }) => Some(position.cursor),
        command::Answer::Topic(Reply { answer: Some(Answer::Acknowledged(done)) }) => Some(done.cursor),
        _ => None,
    }
}

/// How late a message may be taken away.
const LATE_MS: u64 = 1_000;
