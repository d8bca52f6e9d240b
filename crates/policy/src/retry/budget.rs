//! How many retries an upstream may be given: a share of its live requests, so that retries cannot
//! turn a slow upstream into a dead one.
//!
//! Semantics of Finagle's `RetryBudget` (Twitter, 2016), Linkerd's and Gateway API's GEP-3388: over
//! a sliding window, retries are at most `ratio` times the requests, plus `min_per_second` times the
//! window, so that an idle upstream's first failures may be retried too.
//!
//! The window is a ring of sub-windows, and each count errs on the safe side: retries are remembered
//! for up to one sub-window longer than the window, requests for up to one shorter. So whenever a
//! retry is granted, the exact bound holds over the exact window that ends there; the price is that
//! up to a twentieth of the budget may go unused.

use std::time::Duration;

use crate::ring::{Pair, Ring};
use crate::time::{Time, nanos};

/// How much may be retried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetConfig {
    /// Retries per request. Default 0.2, as Finagle and Linkerd; zero: `min_per_second` only. The
    /// worst case is a load of `1 + ratio` times the callers' own.
    pub ratio: f64,
    /// Retries per second that are granted whatever the requests, and may be used all at once for a
    /// whole window. Default 10 per second, as Finagle and Linkerd; zero: `ratio` only. With both
    /// zero nothing is retried.
    pub min_per_second: f64,
    /// How far back requests and retries count. Default 10 s, as Finagle and Linkerd; zero: nothing
    /// is retried. Rounded up to a multiple of 20 ns.
    pub window: Duration,
}

impl Default for BudgetConfig {
    fn default() -> BudgetConfig {
        BudgetConfig { ratio: 0.2, min_per_second: 10.0, window: Duration::from_secs(10) }
    }
}

/// The budget of one upstream: tell it of every request with [`Budget::request`] (not of retries),
/// ask [`Budget::try_retry`] before every retry. Each is O(1), amortised over the window.
#[derive(Clone, Debug)]
pub struct Budget {
    ratio: f64,
    reserve: f64,
    requests_and_retries: Ring<SLOTS>,
}

impl Budget {
    /// A full reserve and no request seen. What is not a number at least zero counts as zero.
    pub fn new(config: BudgetConfig, now: Time) -> Budget {
        let slot = Duration::from_nanos(nanos(config.window).div_ceil(SUB_WINDOWS));
        Budget {
            ratio: config.ratio.max(0.0),
            reserve: config.min_per_second.max(0.0) * config.window.as_secs_f64(),
            requests_and_retries: Ring::new(slot, now),
        }
    }

    /// Counts a live request: a first try, not a retry.
    #[inline]
    pub fn request(&mut self, now: Time) {
        self.requests(now, 1);
    }

    /// Counts `n` live requests that a core counted apart and hands over together.
    #[inline]
    pub fn requests(&mut self, now: Time, n: u32) {
        self.requests_and_retries.advance(now);
        self.requests_and_retries.add(Pair(u64::from(n), 0));
    }

    /// Takes one retry out of the budget; false when it is spent.
    pub fn try_retry(&mut self, now: Time) -> bool {
        let granted = self.balance(now) >= 1.0;
        if granted {
            self.requests_and_retries.add(Pair(0, 1));
        }
        granted
    }

    /// How many retries would be granted now; never below zero.
    pub fn balance(&mut self, now: Time) -> f64 {
        self.requests_and_retries.advance(now);
        let Pair(requests, retries) = self.requests_and_retries.sum();
        let Pair(too_old, _) = self.requests_and_retries.oldest();
        let granted = self.ratio * (requests - too_old) as f64 + self.reserve;
        (granted + ROUNDING - retries as f64).max(0.0)
    }
}

const SUB_WINDOWS: u64 = 20;

/// One more than the sub-windows, for the one that the window's beginning cuts in two.
const SLOTS: usize = SUB_WINDOWS as usize + 1;

/// Five requests at a ratio of 0.2 make one retry, although 0.2 is not exactly a fifth in binary.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(ratio: f64, min_per_second: f64) -> Budget {
        Budget::new(BudgetConfig { ratio, min_per_second, window: Duration::from_secs(10) }, Time::ZERO)
    }

    fn grants(budget: &mut Budget, now: Time) -> usize {
        (0..1000).take_while(|_| budget.try_retry(now)).count()
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_retried() {
        let mut budget = budget(0.2, 0.0);
        assert_eq!(grants(&mut budget, Time::ZERO), 0);
        (0..100).for_each(|_| budget.request(Time::ZERO));
        assert_eq!(grants(&mut budget, Time::ZERO), 20);
        budget.requests(Time::ZERO, 5);
        assert_eq!(grants(&mut budget, Time::ZERO), 1);
    }

    #[test]
    fn an_idle_upstream_has_a_reserve() {
        let mut budget = budget(0.0, 2.0);
        assert_eq!(budget.balance(Time::ZERO) as u32, 20);
        assert_eq!(grants(&mut budget, Time::ZERO), 20);
        assert_eq!(grants(&mut budget, Time::from_millis(9_999)), 0);
        assert_eq!(grants(&mut budget, Time::from_millis(10_500)), 20);
    }

    #[test]
    fn requests_of_long_ago_grant_nothing() {
        let mut budget = budget(0.5, 0.0);
        (0..100).for_each(|_| budget.request(Time::ZERO));
        assert_eq!(budget.balance(Time::from_millis(9_000)) as u32, 50);
        assert_eq!(grants(&mut budget, Time::from_millis(10_001)), 0);
    }

    #[test]
    fn zero_everywhere_retries_nothing() {
        let mut none = budget(0.0, 0.0);
        (0..1000).for_each(|_| none.request(Time::ZERO));
        assert!(!none.try_retry(Time::ZERO));
        let nonsense = BudgetConfig { ratio: f64::NAN, min_per_second: -1.0, window: Duration::ZERO };
        assert!(!Budget::new(nonsense, Time::ZERO).try_retry(Time::ZERO));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Request(u8),
        Retry(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0_u64..3_000).prop_map(Step::Wait),
            (0_u8..40).prop_map(Step::Request),
            (0_u8..40).prop_map(Step::Retry),
        ];
        prop::collection::vec(step, 1..120)
    }

    fn within(times: &[u64], from: u64, to: u64) -> usize {
        times.iter().filter(|at| (from..=to).contains(at)).count()
    }

    proptest! {
        /// Every window of retries is a window that ends at a grant and starts no earlier, so
        /// looking at each grant's window looks at them all.
        #[test]
        fn is_never_exceeded_in_any_window(steps in steps(), ratio in 0.0..2.0, min in 0.0..3.0) {
            let mut budget = budget(ratio, min);
            let (mut now, mut requests, mut retries) = (0_u64, Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Wait(millis) => now += millis,
                    Step::Request(n) => (0..n).for_each(|_| {
                        budget.request(Time::from_millis(now));
                        requests.push(now);
                    }),
                    Step::Retry(n) => for _ in 0..n {
                        if budget.try_retry(Time::from_millis(now)) {
                            retries.push(now);
                            let from = now.saturating_sub(9_999);
                            let allowed = ratio * within(&requests, from, now) as f64 + min * 10.0;
                            let taken = within(&retries, from, now) as f64;
                            prop_assert!(taken <= allowed + 1e-6, "{} of {} at {}", taken, allowed, now);
                        }
                    },
                }
            }
        }

        #[test]
        fn grants_what_is_plainly_due(requests in 0_u32..500, ratio in 0.0..1.0, min in 0.0..3.0) {
            let mut budget = budget(ratio, min);
            budget.requests(Time::ZERO, requests);
            let due = (ratio * f64::from(requests) + min * 10.0).floor() as usize;
            let granted = grants(&mut budget, Time::from_millis(9_000));
            prop_assert!(granted == due || granted == due + 1, "{} for {}", granted, due);
        }
    }
}
