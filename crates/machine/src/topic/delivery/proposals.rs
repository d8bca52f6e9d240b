//! What is to be written down: one command at a time, and while that is on its way the next gathers.

use std::collections::BTreeSet;

use super::track::Stage;
use super::{Delivery, FULL_PAUSE_MS};
use crate::command::{self, Command};
use crate::refusal::{Code, Refusal};
use crate::time::Time;
use crate::topic::aside::Waits;
use crate::topic::done::Done;
use crate::topic::{
    ACKNOWLEDGE_MAX, Acknowledge, Answer, FAILED_MAX, Fail, Failed, Outcome, Park, Span, Verdict,
};

/// What is to be written down.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    acknowledged: Done,
    gone: Done,
    failed: Vec<Failed>,
    parked: BTreeSet<u64>,
    /// What is on its way.
    proposed: Option<Proposed>,
}

#[derive(Debug)]
enum Proposed {
    /// Whatever comes of it, it is of no interest any more.
    Void,
    Acknowledge(Acknowledge),
    Fail(Fail),
    Park(Park),
}

impl Proposals {
    pub(super) fn acknowledged(&mut self, offset: u64) {
        self.acknowledged.insert(offset..offset + 1);
    }

    pub(super) fn gone(&mut self, offset: u64) {
        self.gone.insert(offset..offset + 1);
    }

    pub(super) fn failed(&mut self, failed: Failed) {
        self.failed.push(failed);
    }

    pub(super) fn parked(&mut self, offset: u64) {
        self.parked.insert(offset);
    }

    /// Whether the state is still to be told that a message is done with.
    pub(super) fn is_done(&self, offset: u64) -> bool {
        let on_its_way = match &self.proposed {
            Some(Proposed::Acknowledge(command)) => {
                command.ranges.iter().chain(&command.gone).any(|span| span.range().contains(&offset))
            }
            _ => false,
        };
        on_its_way || self.acknowledged.contains(offset) || self.gone.contains(offset)
    }

    /// Whether a command is on its way.
    pub(super) fn is_waiting(&self) -> bool {
        self.proposed.is_some()
    }

    /// Forgets all.
    pub(super) fn void(&mut self) {
        let proposed = self.proposed.take().map(|_| Proposed::Void);
        *self = Proposals { proposed, ..Proposals::default() };
    }
}

impl Delivery {
    /// Whether all that came of deliveries is written down, as far as it shall be.
    pub fn is_settled(&self) -> bool {
        let waiting = &self.proposals;
        waiting.proposed.is_none()
            && waiting.acknowledged.is_empty()
            && waiting.gone.is_empty()
            && waiting.failed.is_empty()
            && waiting.parked.is_empty()
    }

    /// The next command to propose, if there is anything to write down and nothing on its way. Its outcome is
    /// told by [`Delivery::settle`].
    pub fn propose(&mut self) -> Option<Command> {
        if self.proposals.is_waiting() {
            return None;
        }
        let (command, proposed) = self.proposal()?;
        self.proposals.proposed = Some(proposed);
        Some(command)
    }

    fn proposal(&mut self) -> Option<(Command, Proposed)> {
        let (topic, partition, group, epoch) =
            (self.topic.clone(), self.partition, self.group.clone(), self.epoch);
        let waiting = &mut self.proposals;
        let (ranges, gone) = (take(&mut waiting.acknowledged), take(&mut waiting.gone));
        if !ranges.is_empty() || !gone.is_empty() {
            let command = Acknowledge { topic, partition, group, epoch, ranges, gone };
            return Some((command.clone().into(), Proposed::Acknowledge(command)));
        }
        if !waiting.failed.is_empty() {
            let failed = waiting.failed.drain(..waiting.failed.len().min(FAILED_MAX)).collect();
            let command = Fail { topic, partition, group, epoch, failed };
            return Some((command.clone().into(), Proposed::Fail(command)));
        }
        if !waiting.parked.is_empty() {
            let offsets: Vec<u64> = waiting.parked.iter().take(FAILED_MAX).copied().collect();
            waiting.parked = waiting.parked.split_off(&(offsets[offsets.len() - 1] + 1));
            let command = Park { topic, partition, group, epoch, offsets };
            return Some((command.clone().into(), Proposed::Park(command)));
        }
        None
    }

    /// What came of the command that was proposed. One that there was no room for comes again, if its refusal is
    /// [`Code::Unavailable`].
    pub fn settle(&mut self, now: Time, outcome: Result<&command::Reply, &Refusal>) {
        let Some(proposed) = self.proposals.proposed.take() else { return };
        match (proposed, outcome) {
            (Proposed::Void, _) => {}
            (_, Ok(reply)) => self.follow(now, reply),
            (proposed, Err(refusal)) if refusal.code() == Code::Unavailable => self.take_back(proposed),
            // The group has been moved, or is gone: the next look begins anew.
            (_, Err(_)) => self.end(),
        }
    }

    fn take_back(&mut self, proposed: Proposed) {
        let waiting = &mut self.proposals;
        match proposed {
            Proposed::Void => {}
            Proposed::Acknowledge(command) => {
                for span in command.ranges {
                    waiting.acknowledged.insert(span.range());
                }
                for span in command.gone {
                    waiting.gone.insert(span.range());
                }
            }
            Proposed::Fail(command) => waiting.failed.extend(command.failed),
            Proposed::Park(command) => waiting.parked.extend(command.offsets),
        }
    }

    fn follow(&mut self, now: Time, reply: &command::Reply) {
        let Some(command::Answer::Topic(reply)) = &reply.answer else { return };
        if let Some(Answer::Outcomes(outcomes)) = &reply.answer {
            for outcome in &outcomes.outcomes {
                self.follow_outcome(now, outcome);
            }
        }
    }

    fn follow_outcome(&mut self, now: Time, outcome: &Outcome) {
        let offset = outcome.offset;
        if self.track.get(offset).is_none_or(|tracked| tracked.stage != Stage::Proposed) {
            return;
        }
        match outcome.verdict() {
            Verdict::Retry => self.is_aside(now, outcome, Waits::Turn),
            Verdict::Blocked => self.is_aside(now, outcome, Waits::Blocked),
            Verdict::Parked => {
                self.is_aside(now, outcome, Waits::Parked);
                self.park_behind(now, offset);
            }
            Verdict::Skipped | Verdict::DeadLettered | Verdict::Done => {
                self.done.insert(offset..offset + 1);
                self.track.finish(now, offset);
            }
            Verdict::Full => self.track.change(now, offset, |tracked| {
                tracked.stage = Stage::Here;
                tracked.next = now.after(FULL_PAUSE_MS);
            }),
        }
    }

    fn is_aside(&mut self, now: Time, outcome: &Outcome, waits: Waits) {
        self.done.insert(outcome.offset..outcome.offset + 1);
        self.track.change(now, outcome.offset, |tracked| {
            tracked.stage = Stage::Here;
            tracked.is_aside = true;
            tracked.waits = waits;
            tracked.next = Time::from_millis(outcome.next);
            tracked.attempts = outcome.attempts;
        });
    }

    fn park_behind(&mut self, now: Time, offset: u64) {
        let Some(lane) = self.track.get(offset).and_then(|tracked| tracked.lane) else { return };
        for behind in self.track.behind(lane) {
            self.park(now, behind);
        }
    }
}

/// Takes ranges out, as many as a command may have of either kind.
fn take(done: &mut Done) -> Vec<Span> {
    let taken = std::mem::take(done);
    let mut ranges = taken.ranges();
    let spans = ranges.by_ref().take(ACKNOWLEDGE_MAX / 2).map(Span::from).collect();
    for left in ranges {
        done.insert(left);
    }
    spans
}
