//! What is slow for its name: the running 99th and 99.9th percentile of each service and name.
//!
//! Log-linear counts, eight to a power of two, halved every minute: what was an hour ago counts no more. A duration is slow when
//! it lies above the bucket that the percentile lies in, so that what is all alike is never slow.

use std::collections::HashMap;

use super::Name;

/// Most names that are told apart; one more is never slow.
const NAMES_MAX: usize = 1_024;
/// Fewest durations that tell what is usual.
const COUNT_MIN: u32 = 100;
/// How often counts are halved.
const HALVED_EVERY_MS: u64 = 60_000;

/// How long things of each name take.
#[derive(Debug, Default)]
pub(super) struct Slow {
    names: HashMap<Name, Durations>,
    halved_at_ms: u64,
}

#[derive(Debug)]
struct Durations {
    buckets: Box<[u32; BUCKETS]>,
    count: u32,
    /// Above these, it is slow; set every now and then.
    p99_ns: u64,
    p999_ns: u64,
}

impl Slow {
    /// Counts a duration, and says whether it was slow: above the 99th percentile, or for what is `inner` to a trace above the
    /// 99.9th, since a trace has many of those.
    pub(super) fn is_slow(&mut self, name: Name, duration_ns: u64, inner: bool) -> bool {
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(&name) {
            return false;
        }
        let durations = self.names.entry(name).or_default();
        let at = bucket(duration_ns);
        durations.buckets[at] = durations.buckets[at].saturating_add(1);
        durations.count = durations.count.saturating_add(1);
        duration_ns > if inner { durations.p999_ns } else { durations.p99_ns }
    }

    /// Finds the percentiles anew. Every second or so.
    pub(super) fn settle(&mut self, now_ms: u64) {
        let halve = now_ms.saturating_sub(self.halved_at_ms) >= HALVED_EVERY_MS;
        if halve {
            self.halved_at_ms = now_ms;
            self.names.retain(|_, durations| durations.halve() > 0);
        }
        for durations in self.names.values_mut() {
            (durations.p99_ns, durations.p999_ns) = (durations.above(100), durations.above(1_000));
        }
    }
}

impl Durations {
    fn halve(&mut self) -> u32 {
        self.buckets.iter_mut().for_each(|count| *count /= 2);
        self.count = self.buckets.iter().sum();
        self.count
    }

    /// The end of the bucket above which lies less than one in `of`.
    fn above(&self, of: u32) -> u64 {
        if self.count < COUNT_MIN {
            return u64::MAX;
        }
        let mut over = 0;
        let allowed = self.count / of;
        for (at, count) in self.buckets.iter().enumerate().rev() {
            over += count;
            if over > allowed {
                return end(at);
            }
        }
        u64::MAX
    }
}

impl Default for Durations {
    fn default() -> Durations {
        Durations { buckets: Box::new([0; BUCKETS]), count: 0, p99_ns: u64::MAX, p999_ns: u64::MAX }
    }
}

/// Eight to a power of two, from a microsecond to hours.
const SUB_BITS: u32 = 3;
const MAGNITUDES: u32 = 34;
const BUCKETS: usize = (MAGNITUDES as usize - SUB_BITS as usize + 1) << SUB_BITS;

fn bucket(duration_ns: u64) -> usize {
    let micros = (duration_ns / 1_000).min((1 << MAGNITUDES) - 1);
    let shift = micros.max(1 << SUB_BITS).ilog2() - SUB_BITS;
    ((u64::from(shift) << SUB_BITS) + (micros >> shift)) as usize
}

/// The last nanosecond of a bucket.
fn end(bucket: usize) -> u64 {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let within = bucket as u64 - ((shift as u64) << SUB_BITS);
    ((within + 1) << shift).saturating_mul(1_000) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_is_all_alike_is_never_slow() {
        let mut slow = Slow::default();
        for second in 0..10 {
            assert!((0..200).all(|n| !slow.is_slow(1, 10 * MS + n, false)));
            slow.settle(second * 1_000);
        }
        assert!(slow.is_slow(1, 12 * MS, false));
        assert!(!slow.is_slow(2, 900 * MS, false), "nothing is known of this name");
    }

    #[test]
    fn what_was_long_ago_counts_no_more() {
        let mut slow = Slow::default();
        (0..200).for_each(|_| {
            let _ = slow.is_slow(1, 10 * MS, false);
        });
        for minute in 1..20 {
            (0..200).for_each(|_| {
                let _ = slow.is_slow(1, 100 * MS, false);
            });
            slow.settle(minute * HALVED_EVERY_MS);
        }
        assert!(!slow.is_slow(1, 100 * MS, false));
    }

    proptest! {
        #[test]
        fn a_duration_lies_in_its_bucket(duration in 0_u64..20_000_000_000_000) {
            let at = bucket(duration);
            prop_assert!(at < BUCKETS);
            prop_assert!(duration <= end(at) || at == BUCKETS - 1);
            prop_assert!(at == 0 || duration > end(at - 1));
        }

        #[test]
        fn few_are_slow(durations in prop::collection::vec(1_u64..1_000, 200..600)) {
            let mut slow = Slow::default();
            durations.iter().for_each(|ms| {
                let _ = slow.is_slow(1, ms * MS, false);
            });
            slow.settle(0);
            let over = durations.iter().filter(|ms| slow.is_slow(1, **ms * MS, false)).count();
            prop_assert!(over * 100 <= durations.len(), "{} of {}", over, durations.len());
        }
    }
}
