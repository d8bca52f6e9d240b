//! A job as it is kept, and what becomes of a run that fails.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::proto::dapr::common::v1::job_failure_policy::Policy;
use crate::proto::dapr::common::v1::{JobFailurePolicy, JobFailurePolicyConstant};
use crate::proto::dapr::runtime::v1::Job;

/// A job as it was scheduled.
#[derive(Clone, PartialEq, Message)]
pub struct Kept {
    /// It.
    #[prost(message, required, tag = "1")]
    pub job: Job,
    /// Its data as JSON, as that was written; empty if it came otherwise, or has none.
    #[prost(bytes = "bytes", tag = "2")]
    pub json: Bytes,
}

/// What becomes of a run that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is tried again, so much later.
    After(Duration),
    /// It is given up.
    Never,
}

impl Kept {
    /// From what the engine keeps.
    pub(super) fn of(payloads: Vec<Bytes>) -> Option<Kept> {
        Kept::decode(payloads.into_iter().next()?).ok()
    }

    /// With Dapr's policy where none is named: three more tries, a second apart.
    pub(super) fn with_policy(mut self) -> Kept {
        self.job.failure_policy.get_or_insert_with(|| {
            let interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
            let constant = JobFailurePolicyConstant { interval, max_retries: Some(3) };
            JobFailurePolicy { policy: Some(Policy::Constant(constant)) }
        });
        self
    }

    /// What becomes of it when its attempt of this number, counted from one, has failed.
    pub(super) fn retry(&self, attempt: u32) -> Retry {
        match self.job.failure_policy.as_ref().and_then(|policy| policy.policy.as_ref()) {
            Some(Policy::Constant(constant)) => match constant.max_retries {
                Some(most) if attempt > most => Retry::Never,
                _ => Retry::After(interval(constant)),
            },
            Some(Policy::Drop(_)) | None => Retry::Never,
        }
    }

    /// Whether it ends of its own accord.
    pub(super) fn ends(&self) -> bool {
        self.job.schedule.is_none() || self.job.repeats.is_some_and(|most| most > 0) || self.job.ttl.is_some()
    }
}

/// At least [`INTERVAL_MIN`], so that what fails at once is not tried as fast as the machine can.
fn interval(constant: &JobFailurePolicyConstant) -> Duration {
    let said = constant.interval.and_then(|interval| Duration::try_from(interval).ok());
    said.unwrap_or_default().max(INTERVAL_MIN)
}

/// Shortest time between two tries.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dapr::common::v1::JobFailurePolicyDrop;

    fn kept(policy: Option<Policy>) -> Kept {
        let failure_policy = policy.map(|policy| JobFailurePolicy { policy: Some(policy) });
        Kept { job: Job { failure_policy, ..Job::default() }, json: Bytes::new() }
    }

    #[test]
    fn a_run_is_tried_three_times_more_unless_said_otherwise() {
        let second = Retry::After(Duration::from_secs(1));
        let usual = kept(None).with_policy();
        assert_eq!([1, 2, 3, 4].map(|attempt| usual.retry(attempt)), [second, second, second, Retry::Never]);
        let dropped = kept(Some(Policy::Drop(JobFailurePolicyDrop {}))).with_policy();
        assert_eq!(dropped.retry(1), Retry::Never);
        let interval = Some(prost_types::Duration { seconds: -1, nanos: 0 });
        let for_ever = kept(Some(Policy::Constant(JobFailurePolicyConstant { interval, max_retries: None })));
        assert_eq!(for_ever.retry(1_000), Retry::After(INTERVAL_MIN));
        let once = JobFailurePolicyConstant { interval: None, max_retries: Some(0) };
        assert_eq!(kept(Some(Policy::Constant(once))).retry(1), Retry::Never);
    }
}
