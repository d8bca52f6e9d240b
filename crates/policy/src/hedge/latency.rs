//! A quantile of recent latencies, in a bounded room: a histogram whose bins grow with what they hold, as in
//! HdrHistogram (Tene), in two halves of which the older is thrown away, so that what was long ago is
//! forgotten. A record is a few instructions; the quantile is looked up anew ten times a second.
//!
//! Estimators of a single number (P², Jain and Chlamtac 1985; frugal streaming, Ma et al. 2013) are
//! smaller still, but follow a service that has become slow step by step, and cannot say how much they
//! have seen.

use std::time::Duration;

use crate::time::Time;

/// The latencies of the last [`HALF`] to twice that.
#[derive(Clone, Debug)]
pub struct Latency {
    quantile: f64,
    young: Half,
    old: Half,
    /// When the young half was begun.
    turned: Time,
    found: Option<Duration>,
    /// When the quantile was looked up last.
    looked: Option<Time>,
}

#[derive(Clone, Debug)]
struct Half {
    bins: Box<[u32; BINS]>,
    count: u32,
}

impl Half {
    fn new() -> Half {
        Half { bins: Box::new([0; BINS]), count: 0 }
    }

    fn clear(&mut self) {
        self.bins.fill(0);
        self.count = 0;
    }
}

impl Latency {
    /// Of which this share is to be found, above 0 and below 1.
    pub fn new(quantile: f64, now: Time) -> Latency {
        let quantile = quantile.clamp(QUANTILE_MIN, QUANTILE_MAX);
        Latency { quantile, young: Half::new(), old: Half::new(), turned: now, found: None, looked: None }
    }

    /// A request has taken so long.
    pub fn record(&mut self, now: Time, took: Duration) {
        self.turn(now);
        self.young.bins[bin(took)] += 1;
        self.young.count += 1;
    }

    /// The latency that the share does not exceed, at most an eighth too long. None: fewer are known than
    /// [`Latency::samples_min`].
    pub fn quantile(&mut self, now: Time) -> Option<Duration> {
        self.turn(now);
        if self.looked.is_none_or(|looked| now.since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.found = self.look();
        }
        self.found
    }

    /// The fewest latencies that the quantile is taken of: so many that at least five lie above it.
    pub fn samples_min(&self) -> u32 {
        ((ABOVE_MIN / (1.0 - self.quantile)).round() as u32).max(SAMPLES_MIN)
    }

    fn look(&self) -> Option<Duration> {
        let count = self.young.count + self.old.count;
        if count < self.samples_min() {
            return None;
        }
        let rank = (self.quantile * f64::from(count)).ceil() as u32;
        let mut below = 0;
        let both = self.young.bins.iter().zip(self.old.bins.iter());
        let at = both.map(|(young, old)| young + old).position(|bin| {
            below += bin;
            below >= rank
        });
        Some(upper_bound(at.unwrap_or(BINS - 1)))
    }

    fn turn(&mut self, now: Time) {
        let age = now.since(self.turned);
        if age < HALF {
            return;
        }
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        if age >= HALF * 2 {
            self.old.clear();
        }
        self.turned = now;
    }
}

/// The bin of a latency in whole microseconds: below eight each has its own, above each doubling has eight.
fn bin(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let bin = match micros {
        0..SUB_BINS => micros,
        _ => {
            let octave = u64::from(micros.ilog2());
            (octave - 2) * SUB_BINS + (micros >> (octave - 3)) % SUB_BINS
        }
    };
    (bin as usize).min(BINS - 1)
}

/// The least latency that is above all in a bin.
fn upper_bound(bin: usize) -> Duration {
    let bin = bin as u64;
    Duration::from_micros(match bin {
        0..SUB_BINS => bin + 1,
        _ => (SUB_BINS + bin % SUB_BINS + 1) << (bin / SUB_BINS - 1),
    })
}

/// How long each half is filled.
pub const HALF: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SUB_BINS: u64 = 8;
/// Up to 134 seconds; what is longer is in the last.
const BINS: usize = 208;
const ABOVE_MIN: f64 = 5.0;
const SAMPLES_MIN: u32 = 30;
const QUANTILE_MIN: f64 = 0.01;
const QUANTILE_MAX: f64 = 0.9999;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_latency_lies_in_its_bin() {
        for micros in (0..5000).chain([1 << 20, (1 << 20) + 77, 130_000_000]) {
            let took = Duration::from_micros(micros);
            let at = bin(took);
            assert!(took < upper_bound(at), "{micros} in {at}");
            assert!(at == 0 || took >= upper_bound(at - 1), "{micros} in {at}");
        }
        assert_eq!(bin(Duration::MAX), BINS - 1);
    }

    #[test]
    fn little_is_not_enough_and_long_ago_is_forgotten() {
        let mut latency = Latency::new(0.95, Time::ZERO);
        assert_eq!(latency.samples_min(), 100);
        for nth in 0..100 {
            assert_eq!(latency.quantile(Time::from_millis(nth * 200)), None, "{nth}");
            latency.record(Time::from_millis(nth * 200), Duration::from_millis(nth));
        }
        let found = latency.quantile(Time::from_millis(20_000)).expect("a hundred are enough");
        assert!((94..=107).contains(&found.as_millis()), "{found:?}");
        assert!(latency.quantile(Time::from_millis(45_000)).is_some(), "in the older half");
        assert_eq!(latency.quantile(Time::from_millis(75_000)), None);
        assert_eq!(Latency::new(0.99, Time::ZERO).samples_min(), 500);
        assert_eq!(Latency::new(0.5, Time::ZERO).samples_min(), 30);
    }

    proptest! {
        #[test]
        fn is_close_to_the_true_quantile(
            mut micros in prop::collection::vec(1_u64..10_000_000, 600..1200),
            quantile in 0.5_f64..0.99,
        ) {
            let mut latency = Latency::new(quantile, Time::ZERO);
            micros.iter().for_each(|micros| latency.record(Time::ZERO, Duration::from_micros(*micros)));
            micros.sort_unstable();
            let rank = (quantile * micros.len() as f64).ceil() as usize;
            let exact = Duration::from_micros(micros[rank - 1]);
            let found = latency.quantile(Time::ZERO).expect("enough");
            prop_assert!(found > exact && found <= exact + exact / 8 + Duration::from_micros(1), "{:?} {:?}", found, exact);
        }
    }
}
