//! Which traces are recorded where there are more spans than can be kept.
//!
//! By the trace's id and nothing else, so that all who record a span of a trace come to the same end and a trace is
//! whole or not there. What of the id is looked at are its last seven bytes, which W3C Trace Context (level 2) has
//! random and by which OpenTelemetry samples consistently (TraceIdRatioBased, "Probability Sampling").
//!
//! How much the share is follows from what was offered in the last second or more. It is looked up with one load;
//! who records counts what it offers and hands the counts over in lots.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Spans that are recorded in a second before only a share of the traces is: by default. A span takes its taker some
/// microseconds, and no more than a tenth of a core shall go into that. Errors and what is slow come on top.
pub const SPANS_PER_SECOND_MAX: u64 = 20_000;

/// How long what is offered is counted before the share is set anew, in nanoseconds.
const WINDOW_NS: u64 = 1_000_000_000;

/// The last seven bytes of an id are below this.
const IDS: u64 = 1 << 56;

/// The share of the traces that is recorded.
#[derive(Debug)]
pub struct Share {
    per_second: u64,
    /// Traces whose id ends below this are recorded.
    below: AtomicU64,
    offered: AtomicU64,
    since_ns: AtomicU64,
    left_out: AtomicU64,
}

impl Share {
    /// All, as long as there are no more than so many spans a second.
    pub fn new(per_second: u64) -> Share {
        let zero = || AtomicU64::new(0);
        Share { per_second, below: AtomicU64::new(IDS), offered: zero(), since_ns: zero(), left_out: zero() }
    }

    /// Whether this trace is among those that are recorded.
    pub fn has(&self, trace_id: &[u8; 16]) -> bool {
        let below = self.below.load(Relaxed);
        below == IDS || u128::from_be_bytes(*trace_id) as u64 & (IDS - 1) < below
    }

    /// So many spans more have come to be, recorded or not.
    pub fn offered(&self, spans: u64, now_ns: u64) {
        self.offered.fetch_add(spans, Relaxed);
        let since = self.since_ns.load(Relaxed);
        let took = now_ns.saturating_sub(since);
        let over = took >= WINDOW_NS || since > now_ns.saturating_add(WINDOW_NS);
        if over && self.since_ns.compare_exchange(since, now_ns, Relaxed, Relaxed).is_ok() {
            let spans = self.offered.swap(0, Relaxed);
            self.below.store(below(self.per_second, spans, took), Relaxed);
        }
    }

    /// So many of them were left out.
    pub fn left_out(&self, spans: u64) {
        self.left_out.fetch_add(spans, Relaxed);
    }

    /// How many spans were left out since the start.
    pub fn total_left_out(&self) -> u64 {
        self.left_out.load(Relaxed)
    }
}

/// The share of all ids by which no more than `per_second` are left of `spans` in that time.
fn below(per_second: u64, spans: u64, took_ns: u64) -> u64 {
    let allowed = u128::from(per_second) * u128::from(took_ns.max(1));
    let had = u128::from(spans) * u128::from(WINDOW_NS);
    if had <= allowed { IDS } else { (u128::from(IDS) * allowed / had) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn id(random: u64) -> [u8; 16] {
        (u128::from(random.rotate_left(17)) << 64 | u128::from(random)).to_be_bytes()
    }

    /// Ids that are spread evenly.
    fn held(share: &Share) -> usize {
        (0..1_000_u64).filter(|n| share.has(&id(n * (IDS / 1_000) + IDS / 2_000))).count()
    }

    #[test]
    fn all_are_recorded_until_there_are_too_many() {
        let share = Share::new(100);
        share.offered(1, 50 * SECOND);
        share.offered(99, 51 * SECOND);
        assert_eq!(held(&share), 1_000);
        share.offered(400, 52 * SECOND);
        assert_eq!(held(&share), 250, "a quarter of 400 is what may be");
        share.offered(10, 53 * SECOND);
        assert_eq!(held(&share), 1_000, "and all again when there are few");
    }

    #[test]
    fn a_clock_that_was_put_back_stops_nothing() {
        let share = Share::new(100);
        share.offered(1, 5_000 * SECOND);
        share.offered(1_000, 50 * SECOND);
        share.offered(1_000, 51 * SECOND);
        assert_eq!(held(&share), 100);
    }

    proptest! {
        #[test]
        fn no_more_than_may_be_and_not_much_less(per_second in 1_u64..1_000_000, spans: u32, took in 1_u64..100 * SECOND) {
            let share = below(per_second, spans.into(), took) as f64 / IDS as f64;
            let (left, most) = (f64::from(spans) * share, per_second as f64 * took as f64 / SECOND as f64);
            prop_assert!(left <= most * 1.001);
            prop_assert!(share == 1.0 || left >= most * 0.999);
        }
    }
}
