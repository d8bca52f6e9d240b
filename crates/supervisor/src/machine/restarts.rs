//! When an instance that has failed is started again. Pure.
//!
//! The wait doubles with every failure, with jitter, up to [`WAIT_MAX`], so that neither the machine nor what
//! the service depends on is hammered. Being ready for [`STABLE`] forgives the past. After
//! [`CRASH_LOOP_FAILURES`] failures without that it is a crash loop: a person is told, and it is still tried.

use policy::{Backoff, Rng};
use std::time::Duration;

/// The failures of one instance.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    in_a_row: u32,
    total: u32,
}

/// How an attempt to run ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempt {
    /// How long it was up since it became ready, if it did.
    pub ready_for: Option<Duration>,
    /// Another instance of the service is ready, so there is no sign that the service as a whole is ill.
    pub healthy_sibling: bool,
    /// It could not be started at all: trying soon cannot help.
    pub hopeless: bool,
}

/// When to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    Soon(Duration),
    CrashLoop(Duration),
}

impl Restarts {
    /// Takes a failure and says when to start again.
    pub fn failed(&mut self, attempt: Attempt, rng: &mut Rng) -> Again {
        self.total = self.total.saturating_add(1);
        if attempt.ready_for.is_some_and(|time| time >= STABLE) {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if attempt.hopeless {
            self.in_a_row = self.in_a_row.max(CRASH_LOOP_FAILURES);
        }
        if self.in_a_row == 1 && attempt.healthy_sibling {
            return Again::Soon(Duration::ZERO);
        }
        let wait = BACKOFF.equal_jitter(self.in_a_row - 1, rng);
        if self.in_a_row >= CRASH_LOOP_FAILURES { Again::CrashLoop(wait) } else { Again::Soon(wait) }
    }

    /// Failures so far, each followed by a restart.
    pub fn total(&self) -> u32 {
        self.total
    }
}

/// Failures without a stable time between them that make a crash loop.
pub(crate) const CRASH_LOOP_FAILURES: u32 = 5;
/// The longest wait before a restart.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);
/// Ready for so long, and earlier failures are forgotten.
pub(crate) const STABLE: Duration = Duration::from_secs(30);
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), max: WAIT_MAX };

#[cfg(test)]
mod tests {
    use super::*;

    fn ready_for(seconds: u64) -> Attempt {
        Attempt { ready_for: Some(Duration::from_secs(seconds)), ..Attempt::default() }
    }

    #[test]
    fn five_failures_are_a_crash_loop_within_four_seconds_and_waits_end_at_the_maximum() {
        let (mut restarts, mut rng) = (Restarts::default(), Rng::new(7));
        let mut waited = Duration::ZERO;
        for _ in 1..CRASH_LOOP_FAILURES {
            let Again::Soon(wait) = restarts.failed(Attempt::default(), &mut rng) else {
                panic!("too early")
            };
            waited += wait;
        }
        assert!(waited < Duration::from_secs(4));
        for _ in 0..20 {
            let Again::CrashLoop(wait) = restarts.failed(ready_for(29), &mut rng) else { panic!("no loop") };
            assert!(wait <= WAIT_MAX && wait >= Duration::from_secs(1));
        }
        assert_eq!(restarts.total(), 24);
    }

    #[test]
    fn a_stable_time_forgives() {
        let (mut restarts, mut rng) = (Restarts::default(), Rng::new(7));
        for _ in 0..10 {
            restarts.failed(Attempt::default(), &mut rng);
        }
        assert!(matches!(restarts.failed(ready_for(30), &mut rng), Again::Soon(wait) if wait < STABLE));
    }

    #[test]
    fn beside_a_healthy_sibling_the_first_restart_is_at_once() {
        let (mut restarts, mut rng) = (Restarts::default(), Rng::new(7));
        let attempt = Attempt { healthy_sibling: true, ..Attempt::default() };
        assert_eq!(restarts.failed(attempt, &mut rng), Again::Soon(Duration::ZERO));
        assert!(matches!(restarts.failed(attempt, &mut rng), Again::Soon(wait) if wait > Duration::ZERO));
    }

    #[test]
    fn what_cannot_start_is_tried_seldom_from_the_first_time() {
        let (mut restarts, mut rng) = (Restarts::default(), Rng::new(7));
        let attempt = Attempt { hopeless: true, ..Attempt::default() };
        assert!(matches!(restarts.failed(attempt, &mut rng), Again::CrashLoop(_)));
    }
}
