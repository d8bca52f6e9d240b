//! When a job runs.

use super::{Cron, EVERY_MS_MIN};
use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// A schedule of runs.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Schedule {
    /// By what it goes.
    #[prost(oneof = "Kind", tags = "1, 2")]
    pub kind: Option<Kind>,
    /// As it was written, for who asks.
    #[prost(string, tag = "3")]
    pub text: String,
}

/// What a schedule goes by.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Kind {
    /// An interval.
    #[prost(message, tag = "1")]
    Every(Every),
    /// The clock on a wall.
    #[prost(message, tag = "2")]
    Cron(Cron),
}

/// At an interval from the first run on.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Every {
    /// The interval in milliseconds; at least [`EVERY_MS_MIN`].
    #[prost(uint64, tag = "1")]
    pub every_ms: u64,
}

impl Schedule {
    /// At an interval.
    pub fn every(every_ms: u64) -> Schedule {
        Schedule { kind: Some(Kind::Every(Every { every_ms })), text: String::new() }
    }

    /// Whether it is one that can be waited for.
    ///
    /// # Errors
    ///
    /// If it never runs, or all the time.
    pub fn check(&self) -> Result<(), Refusal> {
        match &self.kind {
            Some(Kind::Every(every)) if every.every_ms < EVERY_MS_MIN => {
                let short = format!("an interval of {} ms; {EVERY_MS_MIN} are the fewest", every.every_ms);
                Err(Refusal::new(Code::Invalid, short))
            }
            Some(Kind::Every(_)) => Ok(()),
            Some(Kind::Cron(cron)) => cron.check(),
            None => Err(Refusal::new(Code::Invalid, "the schedule is empty")),
        }
    }

    /// The first run after `after`, for a job whose first run was or is at `first`. None if there is none
    /// that one could wait for.
    pub fn next(&self, first: Time, after: Time) -> Option<Time> {
        match self.kind.as_ref()? {
            Kind::Every(every) => Some(every.next(first, after)),
            Kind::Cron(cron) => cron.next(after),
        }
    }
}

impl Every {
    fn next(&self, first: Time, after: Time) -> Time {
        if after < first {
            return first;
        }
        let passed = after.as_millis() - first.as_millis();
        let runs = passed / self.every_ms.max(1) + 1;
        first.after(runs.saturating_mul(self.every_ms))
    }
}
