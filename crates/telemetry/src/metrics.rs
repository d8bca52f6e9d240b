//! Metrics that are always on: one writer per core, any number of readers, no lock, no bus-locked
//! instruction.
//!
//! **The one-writer rule.** A [`Counter`] and a [`Histogram`] are written by one thread only; a data
//! plane keeps a set for each of its cores and readers add them up. With one writer an addition is a
//! relaxed load and a relaxed store, as cheap as a plain variable. A second writer is no undefined
//! behaviour, it only loses counts. Readers may see a count whose sum or neighbour is a request
//! behind.
//!
//! The histogram is log-linear, as HDR histograms are: every power of two is cut into sixteen equal
//! buckets, so a value is known to within a sixteenth of itself, whatever its size.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// A count that only grows. One writer; see the module.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Adds; for the one writer.
    #[inline]
    pub fn add(&self, n: u64) {
        add(&self.0, n);
    }

    /// The count so far; for any reader.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How long things took, in microseconds up to [`MICROS_MAX`], in less than 4 KiB. One writer; see
/// the module.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    max: AtomicU64,
}

/// The largest time that is told apart, a little over 71 minutes. A longer one counts among the
/// longest.
pub const MICROS_MAX: u64 = (1 << MAGNITUDES) - 1;

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl Histogram {
    /// Nothing recorded.
    pub const fn new() -> Histogram {
        Histogram {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    /// Records a time; for the one writer.
    #[inline]
    pub fn record(&self, micros: u64) {
        add(&self.buckets[bucket(micros)], 1);
        add(&self.sum, micros);
        if micros > self.max.load(Relaxed) {
            self.max.store(micros, Relaxed);
        }
    }

    /// What was recorded so far; for any reader.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut snapshot = HistogramSnapshot::default();
        snapshot.merge_in(self);
        snapshot
    }
}

/// What histograms recorded up to a moment, of one core or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistogramSnapshot {
    /// The count of each bucket, up to the last that isn't empty.
    buckets: Vec<u64>,
    sum_micros: u64,
    max_micros: u64,
}

impl HistogramSnapshot {
    /// Adds what another core recorded.
    pub fn merge(&mut self, other: &HistogramSnapshot) {
        self.grow(other.buckets.len());
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*theirs);
        }
        self.sum_micros = self.sum_micros.saturating_add(other.sum_micros);
        self.max_micros = self.max_micros.max(other.max_micros);
    }

    /// Adds what a core recorded, without a snapshot of it between.
    pub fn merge_in(&mut self, live: &Histogram) {
        let counts = live.buckets.iter().map(|bucket| bucket.load(Relaxed));
        for (at, count) in counts.enumerate().filter(|(_, count)| *count > 0) {
            self.grow(at + 1);
            self.buckets[at] = self.buckets[at].saturating_add(count);
        }
        self.sum_micros = self.sum_micros.saturating_add(live.sum.load(Relaxed));
        self.max_micros = self.max_micros.max(live.max.load(Relaxed));
    }

    /// What was recorded after `earlier`, an earlier snapshot of the same. Its maximum is known
    /// exactly where it is a new one, otherwise as a quantile is.
    pub fn delta(&self, earlier: &HistogramSnapshot) -> HistogramSnapshot {
        let before = earlier.buckets.iter().copied().chain(std::iter::repeat(0));
        let mut buckets: Vec<u64> =
            self.buckets.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect();
        let used = buckets.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        buckets.truncate(used);
        let max_micros = match used.checked_sub(1) {
            None => 0,
            Some(_) if self.max_micros > earlier.max_micros => self.max_micros,
            Some(last) => upper_bound(last).min(self.max_micros),
        };
        let sum_micros = self.sum_micros.saturating_sub(earlier.sum_micros);
        HistogramSnapshot { buckets, sum_micros, max_micros }
    }

    /// The buckets that are not empty, by number, with what is in each.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        self.buckets.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// Adds what is in buckets, and their sum. Those that there are not count as the last.
    pub fn add(&mut self, buckets: impl IntoIterator<Item = (usize, u64)>, sum_micros: u64) {
        for (at, count) in buckets.into_iter().filter(|(_, count)| *count > 0) {
            let at = at.min(BUCKETS - 1);
            self.grow(at + 1);
            self.buckets[at] = self.buckets[at].saturating_add(count);
            self.max_micros = self.max_micros.max(upper_bound(at).min(MICROS_MAX));
        }
        self.sum_micros = self.sum_micros.saturating_add(sum_micros);
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time, in microseconds, that a share `q` (0 to 1) of all took at most: never below the
    /// true one and at most a sixteenth above it. Zero when nothing was recorded.
    pub fn quantile(&self, q: f64) -> u64 {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0_u64;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(*bucket);
            if seen >= rank {
                return upper_bound(at).min(self.max_micros);
            }
        }
        0
    }

    /// The mean in microseconds; exact. Zero when nothing was recorded.
    pub fn mean(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => self.sum_micros as f64 / count as f64,
        }
    }

    /// The longest in microseconds. Zero when nothing was recorded.
    pub fn max(&self) -> u64 {
        self.max_micros
    }

    /// The sum in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum_micros
    }

    /// How many took at most `micros`, as far as the buckets tell: what lies in the same bucket
    /// counts as longer unless the whole bucket is within. For objectives and for export.
    pub fn count_within(&self, micros: u64) -> u64 {
        let within = self.buckets.iter().enumerate().take_while(|(at, _)| upper_bound(*at) <= micros);
        within.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn grow(&mut self, len: usize) {
        if self.buckets.len() < len {
            self.buckets.resize(len, 0);
        }
    }
}

/// One writer: nobody else stores between this load and this store.
#[inline]
fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}

/// Below sixteen every value has a bucket of its own; above, the highest bit says the power of two
/// and the four bits after it which of its sixteen buckets.
#[inline]
pub(crate) fn bucket(micros: u64) -> usize {
    let micros = micros.min(MICROS_MAX);
    let shift = micros.max(SUB_BUCKETS).ilog2() - SUB_BITS;
    (u64::from(shift) * SUB_BUCKETS + (micros >> shift)) as usize
}

/// The largest value that counts in a bucket; the last has no end.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket + 1 >= BUCKETS as u64 {
        return u64::MAX;
    }
    let shift = (bucket / SUB_BUCKETS).saturating_sub(1);
    let lowest = (bucket - shift * SUB_BUCKETS) << shift;
    lowest + (1 << shift) - 1
}

const SUB_BITS: u32 = 4;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const MAGNITUDES: u32 = 32;
const BUCKETS: usize = (MAGNITUDES - SUB_BITS + 1) as usize * SUB_BUCKETS as usize;

const _: () = assert!(size_of::<Histogram>() < 4096, "a histogram stays below a page");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> HistogramSnapshot {
        let histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        histogram.snapshot()
    }

    #[test]
    fn a_counter_counts() {
        let counter = Counter::new();
        counter.add(2);
        counter.add(3);
        assert_eq!(counter.get(), 5);
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        let empty = histogram(&[]);
        assert_eq!((empty.count(), empty.quantile(0.99), empty.max(), empty.mean()), (0, 0, 0, 0.0));
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let snapshot = histogram(&(1..=100).map(|n| n * 1_000).collect::<Vec<_>>());
        assert_eq!((snapshot.count(), snapshot.max(), snapshot.mean()), (100, 100_000, 50_500.0));
        assert!((50_000..53_200).contains(&snapshot.quantile(0.5)), "{}", snapshot.quantile(0.5));
        assert!((99_000..=100_000).contains(&snapshot.quantile(0.99)));
        assert_eq!(snapshot.quantile(1.0), 100_000);
        assert!((1_000..1_064).contains(&snapshot.quantile(0.0)));
    }

    #[test]
    fn the_buckets_touch_and_cover_everything() {
        assert_eq!((bucket(0), bucket(15), bucket(16), bucket(u64::MAX)), (0, 15, 16, BUCKETS - 1));
        assert_eq!(bucket(MICROS_MAX), BUCKETS - 1);
        for at in 0..BUCKETS - 1 {
            assert_eq!(bucket(upper_bound(at)), at);
            assert_eq!(bucket(upper_bound(at) + 1), at + 1);
        }
    }

    #[test]
    fn longer_than_can_be_told_apart_is_the_longest() {
        let snapshot = histogram(&[1, u64::MAX / 2]);
        assert_eq!((snapshot.quantile(0.99), snapshot.max()), (u64::MAX / 2, u64::MAX / 2));
    }

    #[test]
    fn a_delta_forgets_the_past() {
        let live = Histogram::new();
        (0..10).for_each(|_| live.record(1_000_000));
        let earlier = live.snapshot();
        assert_eq!(live.snapshot().delta(&earlier), HistogramSnapshot::default());
        (0..5).for_each(|_| live.record(100));
        let recent = live.snapshot().delta(&earlier);
        assert_eq!((recent.count(), recent.mean()), (5, 100.0));
        assert!((100..107).contains(&recent.max()) && (100..107).contains(&recent.quantile(0.5)));
        live.record(2_000_000);
        assert_eq!(live.snapshot().delta(&earlier).max(), 2_000_000);
    }

    #[test]
    fn within_an_objective() {
        let snapshot = histogram(&[10, 1_000, 300_000, 400_000]);
        let within = [5, 10, 2_000, 350_000, u64::MAX].map(|micros| snapshot.count_within(micros));
        assert_eq!(within, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_reader_looks_on_while_a_writer_writes() {
        let live = Histogram::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100_000).for_each(|n| live.record(n % 1_000)));
            let mut seen = 0;
            while seen < 100_000 {
                let count = live.snapshot().count();
                assert!(count >= seen);
                seen = count;
            }
        });
        assert_eq!(live.snapshot().count(), 100_000);
    }

    fn times() -> impl Strategy<Value = Vec<u64>> {
        let time = (0_u32..32).prop_flat_map(|bits| 0..(1_u64 << bits));
        prop::collection::vec(time, 0..200)
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_a_sixteenth(mut values in times(), q in 0.0..=1.0) {
            let snapshot = histogram(&values);
            values.sort_unstable();
            let rank = (f64::ceil(q * values.len() as f64) as usize).max(1);
            let exact = values.get(rank - 1).copied().unwrap_or(0);
            let told = snapshot.quantile(q);
            prop_assert!(told >= exact && told - exact <= exact / 16, "{} for {}", told, exact);
            prop_assert_eq!(snapshot.count(), values.len() as u64);
        }

        #[test]
        fn cores_add_up(one in times(), two in times()) {
            let mut merged = histogram(&one);
            merged.merge(&histogram(&two));
            let mut both = one.clone();
            both.extend(&two);
            prop_assert_eq!(&merged, &histogram(&both));
            let since = merged.delta(&histogram(&one));
            prop_assert_eq!(since.count(), two.len() as u64);
            prop_assert_eq!(since.sum(), two.iter().sum::<u64>());
            let json = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(serde_json::from_str::<HistogramSnapshot>(&json).unwrap(), merged);
        }
    }
}
