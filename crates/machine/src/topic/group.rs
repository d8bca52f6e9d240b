//! What a consumer group has done of a partition.

use std::ops::{ControlFlow, Range};

use super::aside::Aside;
use super::done::Done;
use super::partition::Partition;
use super::{RANGES_MAX, aside_key, asides_prefix, group_key, read};
use crate::context::{Context, decode};
use crate::effect::Channel;
use crate::key::{Key, last_number};
use crate::refusal::{Code, Refusal};
use crate::state::Order;

/// A consumer group at a partition: a value under [`Table::TopicGroup`](crate::Table::TopicGroup).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Group {
    /// The first offset that the group is not done with.
    #[prost(uint64, tag = "1")]
    pub cursor: u64,
    /// What it is done with beyond, as [`Done`] writes it.
    #[prost(uint64, repeated, tag = "2")]
    beyond: Vec<u64>,
    /// The sequence of the entry that placed it where it began: what was delivered before is not
    /// acknowledged after.
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// How many messages it never dealt with, since they had expired or retention took them away.
    #[prost(uint64, tag = "4")]
    pub missed: u64,
    /// How many messages are set aside: it counts as done with them, and is not.
    #[prost(uint64, tag = "5")]
    pub aside: u64,
    /// The sequence of the entry that last resolved something: who delivers looks again.
    #[prost(uint64, tag = "6")]
    pub revision: u64,
    /// How many messages were left out, since they failed or somebody said so.
    #[prost(uint64, tag = "7")]
    pub skipped: u64,
    /// How many messages became dead letters.
    #[prost(uint64, tag = "8")]
    pub dead: u64,
}

/// How a group stands at a partition: the answer to those commands that move it.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Position {
    /// The first offset that the group is not done with.
    #[prost(uint64, tag = "1")]
    pub cursor: u64,
    /// The sequence of the entry that placed it where it began.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
}

impl Group {
    /// One that begins at `cursor`, placed there by the entry `epoch`.
    pub(super) fn new(cursor: u64, epoch: u64) -> Group {
        Group { cursor, epoch, ..Group::default() }
    }

    /// What it is done with, or has set aside.
    pub fn done(&self) -> Done {
        Done::read(self.cursor, &self.beyond)
    }

    fn set_done(&mut self, done: &Done) {
        self.cursor = done.cursor();
        self.beyond = done.steps();
    }

    pub(super) fn position(&self) -> Position {
        Position { cursor: self.cursor, epoch: self.epoch }
    }

    /// Moves it up to the first message that is kept, if it is behind: what retention took away, nobody
    /// can be done with.
    pub(super) fn catch_up(&mut self, done: &mut Done, partition: &Partition) {
        self.missed += done.insert(0..partition.first);
    }
}

/// A group that a command changes.
pub(super) struct Open<'a> {
    pub(super) topic: &'a str,
    pub(super) number: u32,
    pub(super) name: &'a str,
    pub(super) group: Group,
    pub(super) done: Done,
    pub(super) partition: Partition,
    key: Key,
}

impl<'a> Open<'a> {
    /// The group, unless it has been moved since `epoch`. Nothing is written yet.
    pub(super) fn new(
        context: &Context<'_>,
        (topic, number): (&'a str, u32),
        name: &'a str,
        epoch: Option<u64>,
    ) -> Result<Open<'a>, Refusal> {
        let key = group_key(topic, number, name);
        let Some(group): Option<Group> = context.get(&key) else {
            let none = format!("no group {name:?} has subscribed to partition {number} of topic {topic:?}");
            return Err(Refusal::new(Code::NotFound, none));
        };
        if epoch.is_some_and(|epoch| epoch != group.epoch) {
            let moved = format!("the group {name:?} has been moved since: what was delivered before is void");
            return Err(Refusal::new(Code::Fenced, moved));
        }
        let partition = read::partition(context.state(), topic, number);
        let done = group.done();
        Ok(Open { topic, number, name, group, done, partition, key })
    }

    /// Refuses offsets that were never given to a message.
    pub(super) fn check_end(&self, range: &Range<u64>) -> Result<(), Refusal> {
        if range.end > self.partition.next {
            let wrong = format!(
                "the group {:?} speaks of offset {}, but the next message will be {}",
                self.name,
                range.end - 1,
                self.partition.next
            );
            return Err(Refusal::new(Code::Invalid, wrong));
        }
        Ok(())
    }

    /// Refuses what would have the group remember too much.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        if self.done.beyond().len() > RANGES_MAX {
            let far = format!(
                "the group {:?} would remember more than {RANGES_MAX} ranges beyond offset {}: acknowledge that one \
                 first",
                self.name,
                self.done.cursor()
            );
            return Err(Refusal::new(Code::Limit, far));
        }
        Ok(())
    }

    /// Is done with what retention took away and nobody was done with.
    pub(super) fn catch_up(&mut self) {
        self.group.catch_up(&mut self.done, &self.partition);
    }

    /// Puts down what has become of the group.
    pub(super) fn close(mut self, context: &mut Context<'_>) {
        self.catch_up();
        self.group.set_done(&self.done);
        context.put(self.key, &self.group);
    }

    /// Wakes who delivers to the group.
    pub(super) fn wake(&self, context: &mut Context<'_>) {
        context.wake(Channel::topic(self.topic, self.number));
    }

    /// What is set aside of `range`, `max` at most.
    pub(super) fn asides(
        &self,
        context: &Context<'_>,
        range: Range<u64>,
        mut wanted: impl FnMut(&Aside) -> bool,
        max: usize,
    ) -> Vec<(u64, Aside)> {
        let mut asides = Vec::new();
        if self.group.aside == 0 || range.is_empty() || max == 0 {
            return asides;
        }
        let prefix = asides_prefix(self.topic, self.number, self.name);
        let (from, to) = (prefix.clone().u64(range.start), prefix.u64(range.end));
        context.scan(&from, &to, Order::Forwards, &mut |key, value| {
            let aside = decode(key, value.clone());
            if wanted(&aside) {
                asides.push((last_number(key), aside));
            }
            if asides.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        asides
    }

    /// What is set aside as `offset`.
    pub(super) fn aside(&self, context: &Context<'_>, offset: u64) -> Option<Aside> {
        if self.group.aside == 0 {
            return None;
        }
        context.get(&aside_key(self.topic, self.number, self.name, offset))
    }

    /// Sets a message aside, or what is there of it anew.
    pub(super) fn set_aside(&mut self, context: &mut Context<'_>, offset: u64, aside: &Aside, is_new: bool) {
        context.put(aside_key(self.topic, self.number, self.name, offset), aside);
        self.done.insert(offset..offset + 1);
        self.group.aside += u64::from(is_new);
    }

    /// Is done with a message that was set aside.
    pub(super) fn take_from_aside(&mut self, context: &mut Context<'_>, offset: u64) {
        context.delete(aside_key(self.topic, self.number, self.name, offset));
        self.group.aside -= 1;
    }

    /// Forgets all that is set aside.
    pub(super) fn clear_aside(&mut self, context: &mut Context<'_>) {
        for (offset, _) in self.asides(context, 0..u64::MAX, |_| true, usize::MAX) {
            self.take_from_aside(context, offset);
        }
    }

    /// Takes the group itself away.
    pub(super) fn delete(mut self, context: &mut Context<'_>) {
        self.clear_aside(context);
        context.delete(self.key);
    }
}
