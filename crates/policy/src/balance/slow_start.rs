//! Slow start: a new instance gets a share that grows for a while, for caches to fill, code to be compiled
//! and pools to be opened. Semantics of Envoy's `slow_start_config`.

use std::time::Duration;

/// How the share grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// For how long. Zero: not at all.
    pub window: Duration,
    /// Default 1, as Envoy: the share grows in proportion to time; above that it grows faster at first, below
    /// slower. MUST be above zero.
    pub aggression: f64,
    /// The share to begin with, 0 to 1. Default 0.1, as Envoy; at 0 the first request comes late.
    pub min: f64,
}

impl SlowStart {
    /// The factor on the weight of an instance of this age, above 0 and up to 1.
    pub fn factor(&self, age: Duration) -> f64 {
        if age >= self.window {
            return 1.0;
        }
        let passed = age.as_secs_f64() / self.window.as_secs_f64();
        passed.powf(1.0 / self.aggression).max(self.min).clamp(FACTOR_MIN, 1.0)
    }
}

/// Weights are above zero.
const FACTOR_MIN: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start(aggression: f64) -> SlowStart {
        SlowStart { window: Duration::from_secs(60), aggression, min: 0.1 }
    }

    #[test]
    fn the_share_grows_with_time() {
        let share = |secs| start(1.0).factor(Duration::from_secs(secs));
        assert_eq!([share(0), share(6), share(30), share(60), share(600)], [0.1, 0.1, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn an_aggressive_one_grows_faster_at_first() {
        let half = Duration::from_secs(15);
        assert_eq!((start(2.0).factor(half), start(1.0).factor(half)), (0.5, 0.25));
        assert!(start(0.5).factor(half) < 0.25);
    }

    proptest! {
        #[test]
        fn it_never_falls_and_ends_at_the_whole(
            window in 0_u64..1000, aggression in 0.1..10.0_f64, min in 0.0..=1.0_f64, ages in prop::collection::vec(0_u64..2000, 2..20)
        ) {
            let start = SlowStart { window: Duration::from_secs(window), aggression, min };
            let mut ages = ages;
            ages.sort_unstable();
            let factors: Vec<f64> = ages.iter().map(|age| start.factor(Duration::from_secs(*age))).collect();
            prop_assert!(factors.is_sorted());
            prop_assert!(factors.iter().all(|factor| *factor > 0.0 && *factor >= min && *factor <= 1.0));
            prop_assert_eq!(start.factor(Duration::from_secs(window)), 1.0);
        }
    }
}
