//! Topics as users think of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use machine::topic::{self, Acknowledged, At, NewMessage, Place, Position, Published, Reply};
use machine::{Code, Read, Time};

use super::{Payloads, Step};

/// Partitions by topic and number.
#[derive(Default)]
pub struct Topics {
    partitions: BTreeMap<(String, u32), Partition>,
}

#[derive(Default)]
struct Partition {
    messages: Vec<Message>,
    groups: BTreeMap<String, Group>,
}

struct Message {
    key: Bytes,
    payload: Bytes,
    time: Time,
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
            topic::Kind::Publish(publish) => {
                let partition = self.at(&publish.topic, publish.partition);
                let offset = partition.append(step, &publish.message);
                Ok(Published { offset, count: 1 }.into())
            }
            topic::Kind::PublishBatch(batch) => {
                let partition = self.at(&batch.topic, batch.partition);
                let offset = partition.messages.len() as u64;
                for message in &batch.messages {
                    partition.append(step, message);
                }
                Ok(Published { offset, count: batch.messages.len() as u64 }.into())
            }
            topic::Kind::Subscribe(subscribe) => {
                let partition = self.at(&subscribe.topic, subscribe.partition);
                let from = partition.offset(&subscribe.from);
                let group = partition
                    .groups
                    .entry(subscribe.group.clone())
                    .or_insert_with(|| Group { epoch: step.sequence, done: (0..from).collect() });
                Ok(Position { cursor: group.cursor(), epoch: group.epoch }.into())
            }
            topic::Kind::Acknowledge(acknowledge) => {
                let partition = self.at(&acknowledge.topic, acknowledge.partition);
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
                Ok(Acknowledged { cursor: group.cursor(), count }.into())
            }
            topic::Kind::Seek(seek) => {
                let partition = self.at(&seek.topic, seek.partition);
                let to = partition.offset(&seek.to);
                let group = partition.groups.get_mut(&seek.group).ok_or(Code::NotFound)?;
                *group = Group { epoch: step.sequence, done: (0..to).collect() };
                Ok(Position { cursor: to, epoch: group.epoch }.into())
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn at(&mut self, topic: &str, partition: u32) -> &mut Partition {
        self.partitions.entry((topic.to_owned(), partition)).or_default()
    }

    /// The offset of the next message, for a client that has consumed all.
    pub fn next(&self, topic: &str, partition: u32) -> u64 {
        self.partitions
            .get(&(topic.to_owned(), partition))
            .map_or(0, |partition| partition.messages.len() as u64)
    }

    /// The epoch of a group, for a client that was delivered to.
    pub fn epoch(&self, topic: &str, partition: u32, group: &str) -> Option<u64> {
        let partition = self.partitions.get(&(topic.to_owned(), partition))?;
        partition.groups.get(group).map(|group| group.epoch)
    }

    pub(super) fn assert_read(&self, state: &impl Read, payloads: Payloads<'_>) {
        for ((topic, number), partition) in &self.partitions {
            let mut read = Vec::new();
            topic::read::messages(state, topic, *number, 0, &mut |offset, message| {
                assert_eq!(offset, read.len() as u64, "{topic} {number}: a message is not in its place");
                read.push((message.attributes.key.clone(), payloads(&message.body)));
                ControlFlow::Continue(())
            });
            let should: Vec<_> = partition
                .messages
                .iter()
                .map(|message| (message.key.clone(), message.payload.clone()))
                .collect();
            assert_eq!(read, should, "{topic} {number}: the messages, and what they should be");
            for (name, group) in &partition.groups {
                let read = topic::read::group(state, topic, *number, name).expect("the group is there");
                let lag = (partition.messages.len() - group.done.len()) as u64;
                let should = (group.cursor(), lag, group.epoch);
                assert_eq!(
                    (read.cursor, read.lag, read.group.epoch),
                    should,
                    "{topic} {number}: group {name}"
                );
            }
        }
    }
}

impl Partition {
    fn append(&mut self, step: &Step<'_>, message: &NewMessage) -> u64 {
        let payload = step.bodies[message.body as usize].clone();
        self.messages.push(Message { key: message.attributes.key.clone(), payload, time: step.time });
        self.messages.len() as u64 - 1
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
