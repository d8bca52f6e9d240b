//! Having a job not run for a while.

use super::{Answer, Job, Progress, Reply, check_name, job_key, job_prefix, not_found, progress_key};
use crate::context::Context;
use crate::key::Key;
use crate::refusal::Refusal;
use crate::time::Time;
use crate::timer::Owner;

/// Has a job not run until it is resumed.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Pause {
    /// Whose job it is.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// Has a job run again. Runs of its schedule that the pause fell on are not made up for; the one run of a
/// job without a schedule is. A job whose last run the pause fell on is gone.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Resume {
    /// Whose job it is.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
}

impl Pause {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_name(&self.scope, &self.name)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (prefix, mut progress) = progress(context, &self.scope, &self.name)?;
        if !progress.paused {
            context.cancel_timer(progress.timer(), Owner::Job, prefix.as_bytes());
            progress.paused = true;
            progress.held_ms = 0;
            context.put(progress_key(&prefix), &progress);
        }
        Ok(Reply::default())
    }
}

impl Resume {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_name(&self.scope, &self.name)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (prefix, mut progress) = progress(context, &self.scope, &self.name)?;
        if !progress.paused {
            return Ok(Answer::NextMs(progress.next_ms).into());
        }
        context.room_for_timers(1)?;
        let job: Job = context.get_or_default(&job_key(&prefix));
        let now = context.time();
        progress.paused = false;
        progress.made_up = 0;
        if progress.next_ms < now.as_millis() {
            let next = if job.schedule.is_some() { job.next(now) } else { now };
            progress.next_ms = next.as_millis();
        }
        job.go_on(context, &prefix, &progress);
        let next = Some(progress.next_ms).filter(|next| *next != Time::MAX.as_millis());
        Ok(Reply { answer: next.map(Answer::NextMs) })
    }
}

fn progress(context: &Context<'_>, scope: &str, name: &str) -> Result<(Key, Progress), Refusal> {
    let prefix = job_prefix(scope, name);
    let progress = context.get(&progress_key(&prefix)).ok_or_else(|| not_found(name))?;
    Ok((prefix, progress))
}
