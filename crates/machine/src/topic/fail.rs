//! Failing at messages.

use xxhash_rust::xxh64::xxh64;

use super::aside::{Aside, Failure, Waits};
use super::group::Open;
use super::message::Message;
use super::settings::{Failing, GivenUp};
use super::{
    ASIDE_MAX, CAUSE_BYTES_MAX, FAILED_MAX, HISTORY_MAX, Outcome, Outcomes, RANGES_MAX, Reply, Span, Verdict,
    check_group, dead_letter, read,
};
use crate::context::Context;
use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// Says that messages could not be dealt with: each is tried again after a while, or given up. Answered with
/// [`Outcomes`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Fail {
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
    /// The messages, [`FAILED_MAX`] at most.
    #[prost(message, repeated, tag = "5")]
    pub failed: Vec<Failed>,
}

/// A message that could not be dealt with.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Failed {
    /// Its offset.
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    /// Why, in [`CAUSE_BYTES_MAX`] bytes at most.
    #[prost(string, tag = "2")]
    pub cause: String,
    /// Whether it is given up at once, since trying again is of no use.
    #[prost(bool, tag = "3")]
    pub give_up: bool,
}

impl Fail {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_group(&self.topic, self.partition, &self.group)?;
        let wrong = |wrong| Err(Refusal::new(Code::Invalid, wrong));
        if self.failed.len() > FAILED_MAX {
            return wrong(format!("{} messages fail at once; {FAILED_MAX} are the most", self.failed.len()));
        }
        match self.failed.iter().find(|failed| failed.cause.len() > CAUSE_BYTES_MAX) {
            Some(long) => wrong(format!(
                "the cause of a failure has {} bytes; {CAUSE_BYTES_MAX} are the most",
                long.cause.len()
            )),
            None => Ok(()),
        }
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut open = Open::new(context, (&self.topic, self.partition), &self.group, self.epoch)?;
        for failed in &self.failed {
            open.check_end(&Span::one(failed.offset).range())?;
        }
        let failing = read::failing(context.state(), &self.topic, &self.group);
        let outcomes = self.failed.iter().map(|failed| open.fail(context, &failing, failed)).collect();
        open.close(context);
        Ok(Outcomes { outcomes }.into())
    }
}

impl Open<'_> {
    fn fail(&mut self, context: &mut Context<'_>, failing: &Failing, failed: &Failed) -> Outcome {
        let offset = failed.offset;
        let known = self.aside(context, offset);
        if known.is_none() && self.done.contains(offset) {
            return Outcome::of(offset, Verdict::Done);
        }
        let is_new = known.is_none();
        let Some(message) = self.alive(context, offset) else {
            return self.gone(context, offset, is_new);
        };
        if is_new && !self.has_room() {
            return Outcome::of(offset, Verdict::Full);
        }
        let mut aside = known.unwrap_or_else(|| Aside::new(&message));
        aside.add(context.time(), &failed.cause);
        let spent = failing.attempts_max() != 0 && aside.attempts >= failing.attempts_max();
        let given_up = (failed.give_up || spent).then(|| failing.given_up());
        match given_up {
            Some(GivenUp::DeadLetter)
                if dead_letter::send(context, self, failing, (offset, &message), &aside) =>
            {
                self.group.dead += 1;
                self.settle(context, offset, is_new, Verdict::DeadLettered)
            }
            Some(GivenUp::Skip) => {
                self.group.skipped += 1;
                self.settle(context, offset, is_new, Verdict::Skipped)
            }
            Some(GivenUp::Block) => self.wait(context, offset, aside, is_new, Waits::Blocked),
            Some(GivenUp::Park) => self.wait(context, offset, aside, is_new, Waits::Parked),
            // A dead letter that there is no way for is tried once more, too.
            Some(GivenUp::DeadLetter) | None => {
                aside.next = retry_at(context.time(), failing, offset, aside.attempts).as_millis();
                self.wait(context, offset, aside, is_new, Waits::Turn)
            }
        }
    }

    /// The message, unless it is gone or has expired.
    pub(super) fn alive(&self, context: &Context<'_>, offset: u64) -> Option<Message> {
        let message = read::message(context.state(), self.topic, self.number, offset)?;
        (!message.is_expired(context.time())).then_some(message)
    }

    /// Whether one more message can be set aside.
    pub(super) fn has_room(&self) -> bool {
        self.group.aside < ASIDE_MAX as u64 && self.done.beyond().len() < RANGES_MAX
    }

    /// Is done with a message that is not there any more.
    pub(super) fn gone(&mut self, context: &mut Context<'_>, offset: u64, is_new: bool) -> Outcome {
        if is_new && self.done.beyond().len() >= RANGES_MAX {
            return Outcome::of(offset, Verdict::Full);
        }
        self.group.missed += 1;
        self.settle(context, offset, is_new, Verdict::Done)
    }

    fn settle(&mut self, context: &mut Context<'_>, offset: u64, is_new: bool, verdict: Verdict) -> Outcome {
        match is_new {
            true => _ = self.done.insert(offset..offset + 1),
            false => self.take_from_aside(context, offset),
        }
        Outcome::of(offset, verdict)
    }

    pub(super) fn wait(
        &mut self,
        context: &mut Context<'_>,
        offset: u64,
        mut aside: Aside,
        is_new: bool,
        waits: Waits,
    ) -> Outcome {
        aside.set_waits(waits);
        self.set_aside(context, offset, &aside, is_new);
        let verdict = match waits {
            Waits::Turn => Verdict::Retry,
            Waits::Blocked => Verdict::Blocked,
            Waits::Parked => Verdict::Parked,
        };
        Outcome { next: aside.next, attempts: aside.attempts, ..Outcome::of(offset, verdict) }
    }
}

impl Aside {
    fn add(&mut self, time: Time, cause: &str) {
        self.attempts = self.attempts.saturating_add(1);
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(Failure { time: time.as_millis(), cause: cause.to_owned() });
    }
}

/// When a message is tried again: between half the wait and all of it from now, so that what failed together
/// does not come back together. The part is drawn from offset and attempt, for there is no chance here.
fn retry_at(now: Time, failing: &Failing, offset: u64, attempts: u32) -> Time {
    let wait = failing.wait_ms(attempts);
    let drawn = xxh64(&offset.to_be_bytes(), u64::from(attempts));
    now.after(wait - drawn % (wait / 2 + 1))
}
