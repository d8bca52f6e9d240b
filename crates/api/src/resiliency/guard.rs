//! One call through its policies.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use policy::{Refusal, Repeat, Rng};
use tokio::time::{sleep, timeout};

use super::breaker::Breakers;
use super::{Policies, Retry};

/// The policies of one who is called, with what they remember.
#[derive(Debug)]
pub(crate) struct Guard {
    set: Policies,
    breakers: Option<Breakers>,
    rng: Mutex<Rng>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Fine,
    /// It has not been answered.
    Unanswered,
    /// It has been answered with this status of HTTP, or that of gRPC, which says that it failed.
    Http(u16),
    Grpc(u16),
}

/// Why there is no answer of the called one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It took too long.
    Late,
    /// It is left alone until the breaker lets somebody try.
    Open,
    /// The same, but for those who find out whether it may be called again.
    TooMany,
}

impl Guard {
    pub(super) fn new(policies: Policies) -> Guard {
        Guard {
            breakers: policies.breaker.clone().map(Breakers::new),
            set: policies,
            rng: Mutex::new(Rng::new(RandomState::new().hash_one(0))),
        }
    }

    /// The one that was there before, if it has these policies.
    pub(super) fn after(policies: &Policies, before: Option<&Arc<Guard>>) -> Arc<Guard> {
        match before.filter(|before| before.set == *policies) {
            Some(before) => Arc::clone(before),
            None => Arc::new(Guard::new(policies.clone())),
        }
    }

    /// Whether what failed may be tried again, so that a request has to be kept.
    pub(crate) fn retries(&self) -> bool {
        self.set.retry.is_some()
    }

    /// Calls `method` by `attempt`, as often as the policies say and `may_repeat` allows. What the last attempt came to is
    /// the answer.
    ///
    /// # Errors
    ///
    /// If the last attempt came to nothing.
    pub(crate) async fn run<T, F>(
        &self,
        method: &str,
        may_repeat: impl Fn() -> bool,
        mut attempt: impl FnMut() -> F,
        judge: impl Fn(&T) -> Judged,
    ) -> Result<T, Stopped>
    where
        F: Future<Output = T>,
    {
        let (began, mut repeat) = (Instant::now(), Repeat::default());
        loop {
            let ended = self.once(method, attempt(), &judge).await?;
            let judged = ended.as_ref().map_or(Judged::Unanswered, &judge);
            let wait = match &self.set.retry {
                Some(retry) if retry.is_for(judged) && may_repeat() => {
                    let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
                    repeat.next(&retry.pace, began.elapsed(), &mut rng)
                }
                _ => None,
            };
            match wait {
                Some(wait) => sleep(wait).await,
                None => return ended,
            }
        }
    }

    /// One attempt: what it came to, if the breaker let it pass.
    async fn once<T>(
        &self,
        method: &str,
        attempt: impl Future<Output = T>,
        judge: &impl Fn(&T) -> Judged,
    ) -> Result<Result<T, Stopped>, Stopped> {
        let passed = self.breakers.as_ref().map(|breakers| breakers.admit(method)).transpose();
        let passed = passed.map_err(|refusal| match refusal {
            Refusal::Open => Stopped::Open,
            Refusal::TooMany => Stopped::TooMany,
        })?;
        let ended = match self.set.timeout {
            None => Ok(attempt.await),
            Some(limit) => timeout(limit, attempt).await.map_err(|_| Stopped::Late),
        };
        if let Some(passed) = passed {
            passed.record(ended.as_ref().map_or(true, |ended| judge(ended) != Judged::Fine));
        }
        Ok(ended)
    }
}

impl Retry {
    fn is_for(&self, judged: Judged) -> bool {
        let is_in = |ranges: &Option<Vec<(u16, u16)>>, code: u16| {
            ranges.as_ref().is_none_or(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&code)))
        };
        match judged {
            Judged::Fine => false,
            Judged::Unanswered => true,
            Judged::Http(code) => is_in(&self.http, code),
            Judged::Grpc(code) => is_in(&self.grpc, code),
        }
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stopped::Late => "context deadline exceeded",
            Stopped::Open => "circuit breaker is open",
            Stopped::TooMany => "too many requests",
        })
    }
}
