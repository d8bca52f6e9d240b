//! Taking jobs away.

use super::read::list;
use super::{Answer, Job, NAMES_MAX, Progress, Reply, check_name, job_key, job_prefix, progress_key};
use crate::context::Context;
use crate::key::Key;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::timer::Owner;

/// Takes jobs away. Those that are not there are no mistake: a job that will not run any more goes by
/// itself.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Delete {
    /// Whose jobs they are.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Their names; 1 to [`NAMES_MAX`].
    #[prost(string, repeated, tag = "2")]
    pub names: Vec<String>,
}

/// Takes away the jobs of a scope whose names begin so, [`NAMES_MAX`] of them at once. Answered with [`Deleted`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeletePrefix {
    /// Whose jobs they are.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// What their names begin with; empty for all.
    #[prost(string, tag = "2")]
    pub prefix: String,
}

/// What became of them.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Deleted {
    /// How many there were.
    #[prost(uint32, tag = "1")]
    pub count: u32,
    /// Whether there are more of them, for a further command.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

impl Delete {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.names.is_empty() || self.names.len() > NAMES_MAX {
            let odd = format!("{} jobs are named; 1 to {NAMES_MAX} can be", self.names.len());
            return Err(Refusal::new(Code::Invalid, odd));
        }
        self.names.iter().try_for_each(|name| check_name(&self.scope, name))
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut deleted = Deleted::default();
        for name in &self.names {
            let prefix = job_prefix(&self.scope, name);
            if let Some(job) = context.get(&job_key(&prefix)) {
                forget(context, &prefix, job);
                deleted.count += 1;
            }
        }
        Ok(Answer::Deleted(deleted).into())
    }
}

impl DeletePrefix {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.prefix.is_empty() {
            true => limits::scope(&self.scope),
            false => check_name(&self.scope, &self.prefix),
        }
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let page = list(context.state(), &self.scope, &self.prefix, None, NAMES_MAX);
        let deleted = Deleted { count: page.jobs.len() as u32, more: page.next.is_some() };
        for listed in page.jobs {
            forget(context, &job_prefix(&self.scope, &listed.name), listed.job);
        }
        Ok(Answer::Deleted(deleted).into())
    }
}

/// Takes a job away, with its timer.
pub(super) fn forget(context: &mut Context<'_>, prefix: &Key, job: Job) {
    let progress: Progress = context.get_or_default(&progress_key(prefix));
    if !progress.paused {
        context.cancel_timer(progress.timer(), Owner::Job, prefix.as_bytes());
    }
    erase(context, prefix, &job);
}

/// Takes a job away that has no timer.
pub(super) fn erase(context: &mut Context<'_>, prefix: &Key, job: &Job) {
    for body in &job.bodies {
        context.release(body);
    }
    context.delete(job_key(prefix));
    context.delete(progress_key(prefix));
}
