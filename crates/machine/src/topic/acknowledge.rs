//! Being done with messages.

use super::group::Open;
use super::{ACKNOWLEDGE_MAX, Acknowledged, Reply, check_group};
use crate::context::Context;
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
        check_group(&self.topic, self.partition, &self.group)?;
        let spans = self.ranges.len() + self.gone.len();
        if spans > ACKNOWLEDGE_MAX {
            let wrong = format!("{spans} ranges are acknowledged at once; {ACKNOWLEDGE_MAX} are the most");
            return Err(Refusal::new(Code::Invalid, wrong));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut open = Open::new(context, (&self.topic, self.partition), &self.group, self.epoch)?;
        for span in self.ranges.iter().chain(&self.gone) {
            open.check_end(&span.range())?;
        }
        let mut count = 0;
        for span in &self.ranges {
            count += open.done.insert(span.range());
        }
        // After what was acknowledged: that was dealt with before it was taken away.
        open.catch_up();
        for span in &self.gone {
            open.group.missed += open.done.insert(span.range());
        }
        open.check_room()?;
        count += open.end_aside(context, &self.ranges);
        let missed = open.end_aside(context, &self.gone);
        open.group.missed += missed;
        let cursor = open.done.cursor();
        open.close(context);
        Ok(Acknowledged { cursor, count }.into())
    }
}

impl Open<'_> {
    /// Is done with what is set aside of these, and returns how many they were.
    fn end_aside(&mut self, context: &mut Context<'_>, spans: &[Span]) -> u64 {
        let mut count = 0;
        for span in spans {
            for (offset, _) in self.asides(context, span.range(), |_| true, usize::MAX) {
                self.take_from_aside(context, offset);
                count += 1;
            }
        }
        count
    }
}
