//! How long to wait before the next attempt: exponential backoff with jitter, after Brooker,
//! "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).

use std::time::Duration;

use crate::rng::Rng;
use crate::time::nanos;

/// Waits that double from `base` up to `max`, with chance mixed in so that callers who failed
/// together don't come back together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The longest wait before the first repetition. Default 25 ms, as Envoy; zero: no wait.
    pub base: Duration,
    /// The longest wait before any repetition. Default 1 s; zero: no wait. A `max` below `base`
    /// holds from the first attempt on.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base: Duration::from_millis(25), max: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// "Full jitter": uniform in `[0, whole]`, `whole` being `min(max, base * 2^attempt)`. Spreads
    /// a herd best, so it is what retries of requests use. `attempt` counts from 0.
    pub fn delay(&self, attempt: u32, rng: &mut Rng) -> Duration {
        Duration::from_nanos(up_to(self.whole(attempt), rng))
    }

    /// "Decorrelated jitter": uniform in `[base, 3 * last]`, never above `max`, `last` being the wait
    /// before this one (zero: there was none). Each wait depends on chance before it instead of on how
    /// many there were, so even callers who failed together for long come back apart; and never at once.
    pub fn decorrelated(&self, last: Duration, rng: &mut Rng) -> Duration {
        let (base, max) = (nanos(self.base), nanos(self.max));
        let highest = nanos(last).saturating_mul(3).max(base);
        Duration::from_nanos((base + up_to(highest - base, rng)).min(max))
    }

    /// "Equal jitter": uniform in `[whole / 2, whole]`. Always waits a while, so it is what
    /// restarts of processes use. `attempt` counts from 0.
    pub fn equal_jitter(&self, attempt: u32, rng: &mut Rng) -> Duration {
        let whole = self.whole(attempt);
        let half = whole / 2;
        Duration::from_nanos(half + up_to(whole - half, rng))
    }

    fn whole(&self, attempt: u32) -> u64 {
        let factor = 1_u64.checked_shl(attempt).unwrap_or(u64::MAX);
        nanos(self.base).saturating_mul(factor).min(nanos(self.max))
    }
}

/// Uniform in `[0, limit]`.
fn up_to(limit: u64, rng: &mut Rng) -> u64 {
    rng.below(limit.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };

    #[test]
    fn doubles_up_to_its_maximum() {
        let whole: Vec<u64> = (0..7).map(|attempt| BACKOFF.whole(attempt) / 1_000_000).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(BACKOFF.whole(u32::MAX), 2_000_000_000);
    }

    #[test]
    fn a_zero_base_does_not_wait() {
        let eager = Backoff { base: Duration::ZERO, ..BACKOFF };
        assert_eq!(eager.delay(9, &mut Rng::new(1)), Duration::ZERO);
        assert_eq!(eager.equal_jitter(64, &mut Rng::new(1)), Duration::ZERO);
    }

    #[test]
    fn full_jitter_fills_the_whole_range() {
        let mut rng = Rng::new(3);
        let delays: Vec<Duration> = (0..1000).map(|_| BACKOFF.delay(0, &mut rng)).collect();
        assert!(delays.iter().any(|d| *d < Duration::from_millis(5)));
        assert!(delays.iter().any(|d| *d > Duration::from_millis(95)));
    }

    proptest! {
        #[test]
        fn stays_within_bounds(base: u64, max: u64, attempt: u32, seed: u64) {
            let backoff = Backoff { base: Duration::from_nanos(base), max: Duration::from_nanos(max) };
            let whole = backoff.whole(attempt);
            prop_assert!(whole <= max);
            prop_assert!(whole >= base.min(max));
            let mut rng = Rng::new(seed);
            prop_assert!(backoff.delay(attempt, &mut rng) <= Duration::from_nanos(whole));
            let equal = backoff.equal_jitter(attempt, &mut rng);
            prop_assert!(equal >= Duration::from_nanos(whole / 2));
            prop_assert!(equal <= Duration::from_nanos(whole));
            let mut last = Duration::ZERO;
            for _ in 0..5 {
                let next = backoff.decorrelated(last, &mut rng);
                prop_assert!(next >= backoff.base.min(backoff.max) && next <= backoff.max);
                prop_assert!(next <= last.saturating_mul(3).max(backoff.base));
                last = next;
            }
        }
    }
}
