//! A few of the requests behind a histogram: for each of [`BOUNDS`] the trace of one that took about as long, at most a second
//! old while there are such.
//!
//! One writer, any number of readers, as in [`crate::metrics`]. A slot is several words, so it has a turn, which is odd while it
//! is written: a reader that finds it odd or changed leaves the slot out. (Hans Boehm, "Can seqlocks get along with programming
//! language memory models?", MSPC 2012.)

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::time::Duration;

use crate::exposition::BOUNDS;

/// The requests. One writer; see the module.
#[derive(Debug, Default)]
pub struct Exemplars([Slot; BOUNDS.len() + 1]);

#[derive(Debug, Default)]
struct Slot {
    turn: AtomicU64,
    high: AtomicU64,
    low: AtomicU64,
    micros: AtomicU64,
    at_nanos: AtomicU64,
}

/// A request that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// How long it took, in microseconds.
    pub micros: u64,
    /// When it ended, by the clock of who wrote it.
    pub at: Duration,
}

/// How old the request of a slot is before it gets another: what is shown need not be newer.
const RENEWED_NANOS: u64 = 1_000_000_000;

impl Exemplars {
    /// Notes a request, if its slot has none or an old one; for the one writer. Only then is its trace asked for.
    #[inline]
    pub fn note(&self, at: Duration, micros: u64, trace_id: impl FnOnce() -> Option<[u8; 16]>) {
        let slot = &self.0[BOUNDS.partition_point(|(bound, _)| *bound < micros)];
        let (now, before) = (at.as_nanos() as u64, slot.at_nanos.load(Relaxed));
        if before != 0 && now.saturating_sub(before) < RENEWED_NANOS {
            return;
        }
        if let Some(trace_id) = trace_id() {
            slot.write(now.max(1), micros, u128::from_be_bytes(trace_id));
        }
    }

    /// Those that are there; for any reader.
    pub fn all(&self) -> impl Iterator<Item = Recent> {
        self.0.iter().filter_map(Slot::read)
    }
}

impl Slot {
    fn write(&self, at: u64, micros: u64, trace: u128) {
        let turn = self.turn.load(Relaxed);
        self.turn.store(turn.wrapping_add(1), Relaxed);
        fence(Release);
        self.high.store((trace >> 64) as u64, Relaxed);
        self.low.store(trace as u64, Relaxed);
        self.micros.store(micros, Relaxed);
        self.at_nanos.store(at, Relaxed);
        self.turn.store(turn.wrapping_add(2), Release);
    }

    fn read(&self) -> Option<Recent> {
        let turn = self.turn.load(Acquire);
        let (high, low) = (self.high.load(Relaxed), self.low.load(Relaxed));
        let (micros, at) = (self.micros.load(Relaxed), self.at_nanos.load(Relaxed));
        fence(Acquire);
        let whole = turn != 0 && turn.is_multiple_of(2) && self.turn.load(Relaxed) == turn;
        let trace = (u128::from(high) << 64) | u128::from(low);
        whole.then(|| Recent { trace_id: trace.to_be_bytes(), micros, at: Duration::from_nanos(at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_each_bound_and_not_every_one() {
        let exemplars = Exemplars::default();
        assert_eq!(exemplars.all().count(), 0);
        let second = Duration::from_secs(1);
        exemplars.note(second, 700, || Some([1; 16]));
        exemplars.note(second, 800, || panic!("it has one"));
        exemplars.note(second, 40_000_000, || Some([2; 16]));
        exemplars.note(second, 3_000, || None);
        let traces = |all: &Exemplars| all.all().map(|one| one.trace_id[0]).collect::<Vec<_>>();
        assert_eq!(traces(&exemplars), [1, 2]);
        exemplars.note(2 * second, 900, || Some([3; 16]));
        assert_eq!(traces(&exemplars), [3, 2]);
        let first = exemplars.all().next().expect("one");
        assert_eq!((first.micros, first.at), (900, 2 * second));
    }

    #[test]
    fn a_reader_never_sees_half_of_one() {
        let exemplars = Exemplars::default();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 1..20_000_u64 {
                    let trace = (u128::from(n) << 64) | u128::from(n);
                    exemplars.note(Duration::from_secs(n * 2), n % 400, || Some(trace.to_be_bytes()));
                }
            });
            while !writer.is_finished() {
                for one in exemplars.all() {
                    let trace = u128::from_be_bytes(one.trace_id);
                    let n = trace as u64;
                    assert_eq!((trace >> 64) as u64, n);
                    assert_eq!((one.micros, one.at.as_secs()), (n % 400, n * 2));
                }
            }
        });
    }
}
