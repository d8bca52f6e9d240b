//! Setting messages aside that wait behind one of their key.

use super::aside::{Aside, Waits};
use super::group::Open;
use super::{FAILED_MAX, Outcome, Outcomes, Reply, Span, Verdict, check_group};
use crate::context::Context;
use crate::refusal::{Code, Refusal};

/// Sets messages aside whose key is parked, so that they do not hold the group up. Each gets its turn when
/// those of its key before it have had theirs. Answered with [`Outcomes`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Park {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The group's name.
    #[prost(string, tag = "3")]
    pub group: String,
    /// When that was decided, as the group's epoch. Without one, whenever that was.
    #[prost(uint64, optional, tag = "4")]
    pub epoch: Option<u64>,
    /// The messages, [`FAILED_MAX`] at most.
    #[prost(uint64, repeated, tag = "5")]
    pub offsets: Vec<u64>,
}

impl Park {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_group(&self.topic, self.partition, &self.group)?;
        if self.offsets.len() > FAILED_MAX {
            let wrong =
                format!("{} messages are parked at once; {FAILED_MAX} are the most", self.offsets.len());
            return Err(Refusal::new(Code::Invalid, wrong));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut open = Open::new(context, (&self.topic, self.partition), &self.group, self.epoch)?;
        for offset in &self.offsets {
            open.check_end(&Span::one(*offset).range())?;
        }
        let outcomes = self.offsets.iter().map(|offset| open.park(context, *offset)).collect();
        open.close(context);
        Ok(Outcomes { outcomes }.into())
    }
}

impl Open<'_> {
    fn park(&mut self, context: &mut Context<'_>, offset: u64) -> Outcome {
        if self.done.contains(offset) {
            return Outcome::of(offset, Verdict::Done);
        }
        match self.alive(context, offset) {
            None => self.gone(context, offset, true),
            Some(_) if !self.has_room() => Outcome::of(offset, Verdict::Full),
            Some(message) => self.wait(context, offset, Aside::new(&message), true, Waits::Turn),
        }
    }
}
