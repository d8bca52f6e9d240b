//! Running a job out of turn.

use super::{Job, Reply, check_name, job_key, job_prefix, not_found};
use crate::context::Context;
use crate::refusal::Refusal;

/// Sends a job's command now, also while it is paused. Its schedule goes on as it would have, and the run does
/// not count. Refused while there is no room on the way to the command's shard.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Trigger {
    /// Whose job it is.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
}

impl Trigger {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_name(&self.scope, &self.name)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let job: Option<Job> = context.get(&job_key(&job_prefix(&self.scope, &self.name)));
        job.ok_or_else(|| not_found(&self.name))?.send(context)?;
        Ok(Reply::default())
    }
}
