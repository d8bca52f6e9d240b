//! Whether a try that failed is made again: the questions that Envoy's retry policy asks, in the
//! order of what they cost, the shared budget last, so that nothing is taken from it in vain.
//!
//! A request is sent again only where that cannot do a thing twice: the method is idempotent (RFC
//! 9110, 9.2.2) or the caller gave an `Idempotency-Key`, or nothing was sent at all.

pub mod backoff;
pub mod budget;
pub mod repeat;

use std::time::Duration;

use self::backoff::Backoff;
use self::budget::Budget;
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::Time;

/// What may be retried and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryConfig {
    /// Retries of one request, after its first try. Default 2; zero: none. The worst case for an
    /// upstream, `1 + max` times the requests, is held down by the [`Budget`].
    pub max: u32,
    /// The wait before each retry.
    pub backoff: Backoff,
    /// How chance comes into that wait. Default full.
    pub jitter: Jitter,
    /// What is retried. Default all of it.
    pub on: Conditions,
    /// Answers that are retried. Default 502, 503, 504, Envoy's `gateway-error`; empty: no answer
    /// is, only lost connections and tries that took too long.
    pub statuses: Vec<u16>,
    /// gRPC statuses that are retried, of answers that fail at once: whose head has `grpc-status`, for
    /// what comes in trailers has been passed on. Default none, as in gRPC itself.
    pub grpc_statuses: Vec<u16>,
}

/// How chance comes into a wait; both are Brooker's (2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// [`Backoff::delay`]: anything from nothing to a bound that doubles.
    Full,
    /// [`Backoff::decorrelated`]: from `base` to three times the wait before.
    Decorrelated,
}

/// Ends of a try that are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Nothing was sent: [`Outcome::NotSent`].
    pub connect_failure: bool,
    /// The connection was lost after that: [`Outcome::Reset`].
    pub reset: bool,
    /// No answer in time: [`Outcome::TimedOut`].
    pub timeout: bool,
    /// An answer with a status of [`RetryConfig::statuses`] or [`RetryConfig::grpc_statuses`].
    pub statuses: bool,
}

impl Conditions {
    /// All of them.
    pub const ALL: Conditions =
        Conditions { connect_failure: true, reset: true, timeout: true, statuses: true };
}

impl Default for RetryConfig {
    fn default() -> RetryConfig {
        RetryConfig {
            max: 2,
            backoff: Backoff::default(),
            jitter: Jitter::Full,
            on: Conditions::ALL,
            statuses: vec![502, 503, 504],
            grpc_statuses: Vec::new(),
        }
    }
}

/// What about the request decides whether it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method is idempotent, or the request has an `Idempotency-Key`.
    pub idempotent: bool,
    /// The body is at hand to be sent again.
    pub replayable: bool,
}

/// What to do after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again after this wait.
    Retry(Duration),
    /// Hand the outcome to the caller.
    Stop(Stop),
}

/// Why there is no further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is nothing to retry: an answer whose status is not one to retry.
    Success,
    /// The method isn't safe to repeat, or the body is gone.
    NotRetryable,
    /// As many retries as may be were made.
    Exhausted,
    /// The upstream's retry budget is spent.
    Budget,
    /// The wait would reach the deadline, or, where there is none, [`RETRY_AFTER_MAX`].
    Deadline,
    /// Retries are switched off.
    Off,
}

/// The machine of one request: [`Retrier::decide`] after every try, until it says stop.
#[derive(Clone, Debug, Default)]
pub struct Retrier {
    retries: u32,
    /// The backoff before the retry made last.
    last: Duration,
}

impl Retrier {
    /// Before the first try.
    pub fn new() -> Retrier {
        Retrier::default()
    }

    /// Retries granted so far.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Decides after a try. A retry that is granted is counted, here and in the budget.
    ///
    /// The wait is the backoff's, or the answer's `Retry-After` where that is longer. `deadline` is
    /// that of the whole request; a retry that could only begin when it has passed is not made.
    /// Without a `config` retries are off.
    pub fn decide(
        &mut self,
        now: Time,
        deadline: Option<Time>,
        config: Option<&RetryConfig>,
        outcome: Outcome,
        request: Request,
        budget: &mut Budget,
        rng: &mut Rng,
    ) -> Verdict {
        match self.wait(now, deadline, config, outcome, request, rng) {
            Err(stop) => Verdict::Stop(stop),
            Ok(_) if !budget.try_retry(now) => Verdict::Stop(Stop::Budget),
            Ok((backoff, wait)) => {
                self.retries += 1;
                self.last = backoff;
                Verdict::Retry(wait)
            }
        }
    }

    /// The backoff, and the wait with what the answer asked for.
    fn wait(
        &self,
        now: Time,
        deadline: Option<Time>,
        config: Option<&RetryConfig>,
        outcome: Outcome,
        request: Request,
        rng: &mut Rng,
    ) -> Result<(Duration, Duration), Stop> {
        let Some(config) = config.filter(|config| config.max > 0) else {
            return Err(if outcome.is_failure() { Stop::Off } else { Stop::Success });
        };
        if !is_retryable(outcome, config) {
            return Err(Stop::Success);
        }
        if !may_repeat(outcome, request) {
            return Err(Stop::NotRetryable);
        }
        if self.retries >= config.max {
            return Err(Stop::Exhausted);
        }
        let backoff = match config.jitter {
            Jitter::Full => config.backoff.delay(self.retries, rng),
            Jitter::Decorrelated => config.backoff.decorrelated(self.last, rng),
        };
        let wait = backoff.max(asked_for(outcome));
        let in_time = match deadline {
            Some(deadline) => now + wait < deadline,
            None => wait <= RETRY_AFTER_MAX.max(config.backoff.max),
        };
        if in_time { Ok((backoff, wait)) } else { Err(Stop::Deadline) }
    }
}

/// The longest `Retry-After` that is waited for on behalf of a caller who set no deadline.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

fn is_retryable(outcome: Outcome, config: &RetryConfig) -> bool {
    let on = config.on;
    match outcome {
        Outcome::Answered { status, grpc, .. } => {
            let of_grpc = grpc.is_some_and(|grpc| config.grpc_statuses.contains(&grpc));
            on.statuses && (config.statuses.contains(&status) || of_grpc)
        }
        Outcome::NotSent => on.connect_failure,
        Outcome::Reset => on.reset,
        Outcome::TimedOut => on.timeout,
    }
}

fn may_repeat(outcome: Outcome, request: Request) -> bool {
    request.replayable && (request.idempotent || outcome == Outcome::NotSent)
}

fn asked_for(outcome: Outcome) -> Duration {
    match outcome {
        Outcome::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
        Outcome::NotSent | Outcome::Reset | Outcome::TimedOut => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
