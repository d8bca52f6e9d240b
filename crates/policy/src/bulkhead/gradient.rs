//! How many requests an upstream can take at a time, found out from how long it takes: an adaptive
//! concurrency limit.
//!
//! The algorithm is gradient2 of Netflix' concurrency-limits (`Gradient2Limit`, 2018; Landau,
//! Thurston, Bozarth, "Performance Under Load", 2018), with its windowing. Latency that grows means
//! that requests queue up inside of the upstream, so more of them in flight only wait longer. The
//! limit follows the gradient between a long average, which stands for the latency of the upstream
//! without a queue, and that of the last window:
//!
//! ```text
//! gradient = clamp(long / short, 0.5, 1)
//! limit'   = limit * (1 - smoothing) + (limit * gradient + queue) * smoothing
//! ```
//!
//! While latency is what it was, `queue` lets the limit grow; when it rises, the gradient lets it
//! fall, by a tenth a window at most. Three edges: a limit that is not half used says nothing and
//! stays; a long average that is more than twice the short one is what an overload left behind, and
//! decays faster; an upstream that is slow for good is, after minutes, taken to be like that.

use std::time::Duration;

use crate::time::Time;

/// Where the limit may move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientConfig {
    /// The lowest limit, and the first one. Default 20, as in the source; zero counts as one, for
    /// nothing could be learnt with none in flight.
    pub min: u32,
    /// The highest limit. Default 200, as in the source; below `min` it counts as `min`.
    pub max: u32,
    /// How long samples are gathered before the limit moves. Default 1 s, as in the source; zero:
    /// it may move with every tenth sample.
    pub window: Duration,
}

impl Default for GradientConfig {
    fn default() -> GradientConfig {
        GradientConfig { min: 20, max: 200, window: Duration::from_secs(1) }
    }
}

/// Latencies gathered, by a core for itself or over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    count: u32,
    total: Duration,
    in_flight: u32,
}

impl Samples {
    /// Counts a request that took so long while so many were in flight.
    #[inline]
    pub fn add(&mut self, took: Duration, in_flight: u32) {
        self.merge(Samples { count: 1, total: took, in_flight });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn merge(&mut self, other: Samples) {
        self.count = self.count.saturating_add(other.count);
        self.total = self.total.saturating_add(other.total);
        self.in_flight = self.in_flight.max(other.in_flight);
    }

    fn mean(&self) -> f64 {
        self.total.as_secs_f64() / f64::from(self.count.max(1))
    }
}

/// The limit of one upstream: tell it of latencies with [`Gradient::record`], at whatever pace.
#[derive(Clone, Debug)]
pub struct Gradient {
    config: GradientConfig,
    limit: f64,
    long: Average,
    window: Samples,
    window_ends: Time,
}

impl Gradient {
    /// At its lowest limit, knowing nothing.
    pub fn new(config: GradientConfig, now: Time) -> Gradient {
        let min = config.min.max(1);
        let config = GradientConfig { min, max: config.max.max(min), ..config };
        Gradient {
            config,
            limit: f64::from(min),
            long: Average::default(),
            window: Samples::default(),
            window_ends: now + config.window,
        }
    }

    /// How many requests may be in flight.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Tells of samples; returns the limit, which may have moved.
    pub fn record(&mut self, now: Time, samples: Samples) -> u32 {
        self.window.merge(samples);
        if now >= self.window_ends && self.window.count >= SAMPLES_MIN {
            let window = std::mem::take(&mut self.window);
            self.window_ends = now + self.config.window;
            self.learn(window);
        }
        self.limit()
    }

    fn learn(&mut self, window: Samples) {
        let short = window.mean();
        let long = self.long.add(short);
        if long > 2.0 * short {
            self.long.value *= DECAY;
        }
        if f64::from(window.in_flight) < self.limit / 2.0 || short <= 0.0 {
            return;
        }
        let gradient = (long / short).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + QUEUE;
        let next = self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING;
        self.limit = next.clamp(f64::from(self.config.min), f64::from(self.config.max));
    }
}

/// An exponential average that begins as a plain one, so that the first value weighs no more than
/// the next few.
#[derive(Clone, Debug, Default)]
struct Average {
    value: f64,
    seen: u32,
}

impl Average {
    fn add(&mut self, sample: f64) -> f64 {
        let weight = if self.seen < WARMUP {
            self.seen += 1;
            1.0 / f64::from(self.seen)
        } else {
            2.0 / (LONG_WINDOWS + 1.0)
        };
        self.value += (sample - self.value) * weight;
        self.value
    }
}

/// Fewest samples that a window's mean is trusted with.
const SAMPLES_MIN: u32 = 10;
/// What may queue up in the upstream, which is what the limit tries to grow by.
const QUEUE: f64 = 4.0;
/// How much of the way to the wanted limit is gone in one window.
const SMOOTHING: f64 = 0.2;
/// Windows that the long average looks back over.
const LONG_WINDOWS: f64 = 600.0;
/// Windows of which it is the plain mean at first.
const WARMUP: u32 = 10;
/// What is left, after a window, of a long average that an overload has driven up.
const DECAY: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct World {
        gradient: Gradient,
        now: Time,
    }

    impl World {
        fn new(min: u32, max: u32) -> World {
            let config = GradientConfig { min, max, ..GradientConfig::default() };
            World { gradient: Gradient::new(config, Time::ZERO), now: Time::ZERO }
        }

        /// So many windows of requests that take so long and use so much of the limit.
        fn windows(&mut self, windows: u32, millis: u64, used: f64) -> u32 {
            for _ in 0..windows {
                self.now = self.now + Duration::from_secs(1);
                let in_flight = (f64::from(self.gradient.limit()) * used).ceil() as u32;
                let samples = Samples { count: 50, total: Duration::from_millis(50 * millis), in_flight };
                self.gradient.record(self.now, samples);
            }
            self.gradient.limit()
        }
    }

    #[test]
    fn grows_while_it_is_used_and_latency_stays() {
        let mut world = World::new(20, 200);
        assert_eq!(world.gradient.limit(), 20);
        let grown = world.windows(50, 10, 1.0);
        assert!((55..=65).contains(&grown), "0.8 a window: {grown}");
        assert_eq!(world.windows(1_000, 10, 1.0), 200);
    }

    #[test]
    fn a_limit_that_is_not_half_used_stays() {
        let mut world = World::new(20, 200);
        let before = world.windows(50, 10, 1.0);
        assert_eq!(world.windows(50, 10, 0.3), before);
        assert_eq!(world.windows(50, 90, 0.3), before);
    }

    #[test]
    fn few_samples_move_nothing_until_there_are_enough() {
        let mut gradient = Gradient::new(GradientConfig::default(), Time::ZERO);
        let mut samples = Samples::default();
        assert!(samples.is_empty());
        (0..6).for_each(|_| samples.add(Duration::from_millis(10), 20));
        assert_eq!(gradient.record(Time::from_millis(2_000), samples), 20);
        gradient.record(Time::from_millis(2_000), samples);
        assert!(gradient.limit >= 20.8, "{}", gradient.limit);
    }

    #[test]
    fn zeros_and_contradictions_are_made_sense_of() {
        let config = GradientConfig { min: 0, max: 0, window: Duration::ZERO };
        let mut gradient = Gradient::new(config, Time::ZERO);
        let samples = Samples { count: 50, total: Duration::ZERO, in_flight: 9 };
        assert_eq!(gradient.record(Time::MAX, samples), 1);
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(
            min in 0_u32..300,
            max in 0_u32..300,
            steps in prop::collection::vec((0_u32..40, 0_u64..10_000, 0_u32..1_000, 0_u64..3_000), 1..200),
        ) {
            let config = GradientConfig { min, max, ..GradientConfig::default() };
            let mut gradient = Gradient::new(config, Time::ZERO);
            let mut now = Time::ZERO;
            for (count, millis, in_flight, wait) in steps {
                now = now + Duration::from_millis(wait);
                let total = Duration::from_millis(millis * u64::from(count));
                let limit = gradient.record(now, Samples { count, total, in_flight });
                prop_assert!(limit >= min.max(1) && limit <= max.max(min).max(1), "{}", limit);
            }
        }

        #[test]
        fn falls_when_latency_rises_and_recovers(base in 1_u64..200, factor in 3_u64..50) {
            let mut world = World::new(10, 400);
            let steady = world.windows(100, base, 1.0);
            let loaded = world.windows(15, base * factor, 1.0);
            prop_assert!(loaded < steady * 2 / 3, "{} after {}", loaded, steady);
            let recovered = world.windows(120, base, 1.0);
            prop_assert!(recovered >= steady, "{} after {} and {}", recovered, steady, loaded);
        }

        #[test]
        fn slower_is_never_allowed_more(base in 1_u64..200, slow in 1_u64..5_000, slower in 1_u64..5_000) {
            let after = |millis| {
                let mut world = World::new(10, 400);
                world.windows(60, base, 1.0);
                world.windows(1, millis, 1.0);
                world.gradient.limit
            };
            let (slow, slower) = (slow.min(slower), slow.max(slower));
            prop_assert!(after(slower) <= after(slow) + 1e-9);
        }
    }
}
