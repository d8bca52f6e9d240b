//! What happens when a job is due.

use super::{Job, Missed, Progress, delete, job_key, progress_key};
use crate::context::Context;
use crate::key::Key;
use crate::placement::Shard;
use crate::refusal::Refusal;
use crate::time::Time;
use crate::timer::Owner;

/// A job's timer fires; it is known by what its keys begin with.
pub(crate) fn fire(context: &mut Context<'_>, prefix: &[u8]) {
    let prefix = Key::from(prefix);
    let job: Option<Job> = context.get(&job_key(&prefix));
    let progress: Option<Progress> = context.get(&progress_key(&prefix));
    let (Some(job), Some(progress)) = (job, progress) else {
        panic!("a job's timer has fired, and there is no job: {prefix:?}");
    };
    let mut turned = Progress { held_ms: 0, ..progress };
    let runs = job.turn(&mut turned, context.time());
    if runs && job.send(context).is_err() {
        return progress.hold(context, &prefix);
    }
    job.go_on(context, &prefix, &turned);
}

impl Progress {
    /// When its timer is set, unless it is paused.
    pub(super) fn timer(&self) -> Time {
        Time::from_millis(if self.held_ms == 0 { self.next_ms } else { self.held_ms })
    }

    /// Has the turn come again, since its command could not be sent: until then its runs are missed.
    fn hold(mut self, context: &mut Context<'_>, prefix: &Key) {
        self.held_ms = context.time().after(HOLD_MS).as_millis();
        context.put(progress_key(prefix), &self);
        context.set_timer(self.timer(), Owner::Job, prefix.as_bytes());
    }
}

impl Job {
    /// What is done now that it is due: whether it runs, and in `progress` when it is due next; the end of
    /// time for never.
    fn turn(&self, progress: &mut Progress, now: Time) -> bool {
        let due = Time::from_millis(progress.next_ms);
        let following = self.next(due);
        let behind = following <= now;
        let not_past = || if behind { self.next(now) } else { following };
        let (runs, next) = match self.missed() {
            Missed::Skip => (self.in_time(due, now), not_past()),
            Missed::RunOnce => (true, not_past()),
            Missed::RunAll if behind && progress.made_up + 1 < self.missed_max => {
                progress.made_up += 1;
                (true, following)
            }
            Missed::RunAll => {
                progress.made_up = 0;
                (true, not_past())
            }
        };
        progress.next_ms = next.as_millis();
        if runs {
            progress.runs += 1;
            progress.last_ms = now.as_millis();
        }
        if self.runs_max != 0 && progress.runs >= self.runs_max {
            progress.next_ms = Time::MAX.as_millis();
        }
        runs
    }

    /// Whether a run from `due` on is late by no more than its grace.
    fn in_time(&self, due: Time, now: Time) -> bool {
        let earliest = now.as_millis().saturating_sub(self.grace_ms);
        due.as_millis() >= earliest || self.next(Time::from_millis(earliest - 1)) <= now
    }

    /// The first run after `after`; the end of time if there is none.
    pub(super) fn next(&self, after: Time) -> Time {
        let schedule = self.schedule.as_ref();
        let next = schedule.and_then(|schedule| schedule.next(Time::from_millis(self.first_ms), after));
        next.filter(|next| self.until_ms == 0 || next.as_millis() <= self.until_ms).unwrap_or(Time::MAX)
    }

    /// Sends the command, now, unless the way to its shard is full.
    pub(super) fn send(&self, context: &mut Context<'_>) -> Result<(), Refusal> {
        context.send(Shard(self.target), &self.bodies, || (*self.command).clone())
    }

    /// Waits for the next run; without one, the job is gone.
    pub(super) fn go_on(self, context: &mut Context<'_>, prefix: &Key, progress: &Progress) {
        let next = Time::from_millis(progress.next_ms);
        if next == Time::MAX {
            return delete::erase(context, prefix, &self);
        }
        context.put(progress_key(prefix), progress);
        context.set_timer(next, Owner::Job, prefix.as_bytes());
    }
}

/// How long a run waits that there is no room for on the way to its shard: many jobs may wait, and looking costs each.
const HOLD_MS: u64 = 5_000;
