//! Being done with messages.

use super::done::Done;
use super::group::{self, Group};
use super::partition::Partition;
use super::{ACKNOWLEDGE_MAX, Acknowledged, RANGES_MAX, Reply, check_place, group_key, read};
use crate::context::Context;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Says that a group is done with messages: in any order, and as often as one likes. Answered with
/// [`Acknowledged`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Acknowledge {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The group's name.
    #[prost(string, tag = "3")]
    pub group: String,
    /// When the messages were delivered, as the group's epoch. Without one, whenever that was.
    #[prost(uint64, optional, tag = "4")]
    pub epoch: Option<u64>,
    /// The messages that were dealt with.
    #[prost(message, repeated, tag = "5")]
    pub ranges: Vec<Span>,
    /// Those that were not there any more when their turn came, since they had expired or retention took
    /// them away.
    #[prost(message, repeated, tag = "6")]
    pub gone: Vec<Span>,
}

/// Offsets one after the other.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Span {
    /// The first.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// How many.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

impl Span {
    /// One offset.
    pub fn one(offset: u64) -> Span {
        Span { first: offset, count: 1 }
    }

    pub(super) fn range(self) -> std::ops::Range<u64> {
        self.first..self.first.saturating_add(self.count)
    }
}

impl From<std::ops::Range<u64>> for Span {
    fn from(range: std::ops::Range<u64>) -> Span {
        Span { first: range.start, count: range.end - range.start }
    }
}

impl Acknowledge {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.topic, self.partition)?;
        limits::name("group", &self.group)?;
        let spans = self.ranges.len() + self.gone.len();
        if spans > ACKNOWLEDGE_MAX {
            let wrong = format!("{spans} ranges are acknowledged at once; {ACKNOWLEDGE_MAX} are the most");
            return Err(Refusal::new(Code::Invalid, wrong));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut group = group::open(context, &self.topic, self.partition, &self.group, self.epoch)?;
        let partition = read::partition(context.state(), &self.topic, self.partition);
        self.check_end(&partition)?;
        let mut done = group.done();
        group.catch_up(&mut done, &partition);
        let count = self.add(&mut group, &mut done);
        check_room(&done)?;
        group.set_done(&done);
        context.put(group_key(&self.topic, self.partition, &self.group), &group);
        Ok(Acknowledged { cursor: done.cursor(), count }.into())
    }

    fn check_end(&self, partition: &Partition) -> Result<(), Refusal> {
        let ahead = |span: &&Span| span.range().end > partition.next;
        if let Some(span) = self.ranges.iter().chain(&self.gone).find(ahead) {
            let wrong = format!(
                "offsets {} to {} are acknowledged, but the next message will be {}",
                span.first,
                span.range().end - 1,
                partition.next
            );
            return Err(Refusal::new(Code::Invalid, wrong));
        }
        Ok(())
    }

    /// Adds what is acknowledged, and returns how much of it was new.
    fn add(&self, group: &mut Group, done: &mut Done) -> u64 {
        let mut count = 0;
        for span in &self.ranges {
            count += done.insert(span.range());
        }
        for span in &self.gone {
            group.expired += done.insert(span.range());
        }
        count
    }
}

/// Refuses what would have the group remember too much.
pub(super) fn check_room(done: &Done) -> Result<(), Refusal> {
    if done.beyond().len() > RANGES_MAX {
        let far = format!(
            "the group would remember more than {RANGES_MAX} ranges beyond offset {}: acknowledge that one first",
            done.cursor()
        );
        return Err(Refusal::new(Code::Limit, far));
    }
    Ok(())
}
