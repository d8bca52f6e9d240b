//! Two counts over a sliding window of time, kept as a ring of `N` slots: adding is O(1), moving on
//! clears at most `N` slots however long nothing happened.

use std::time::Duration;

use crate::time::{Time, nanos};

/// The newest slot is open until `ends`; the others are the `N - 1` before it.
#[derive(Clone, Debug)]
pub(crate) struct Ring<const N: usize> {
    slot: u64,
    ends: Time,
    newest: usize,
    slots: [Pair; N],
    sum: Pair,
}

/// What is counted: two things side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair(pub(crate) u64, pub(crate) u64);

impl<const N: usize> Ring<N> {
    /// A ring whose slots are each `slot` long, at least a nanosecond.
    pub(crate) fn new(slot: Duration, now: Time) -> Ring<N> {
        let slot = nanos(slot).max(1);
        let ends = now + Duration::from_nanos(slot);
        Ring { slot, ends, newest: 0, slots: [Pair::default(); N], sum: Pair::default() }
    }

    /// Lets time pass. A `now` before the newest slot counts as that slot: cores may disagree a
    /// little about the time, and counting early would forget late.
    #[inline]
    pub(crate) fn advance(&mut self, now: Time) {
        if now >= self.ends {
            self.turn(now);
        }
    }

    /// Counts in the newest slot.
    #[inline]
    pub(crate) fn add(&mut self, counts: Pair) {
        let slot = &mut self.slots[self.newest];
        *slot = Pair(slot.0 + counts.0, slot.1 + counts.1);
        self.sum = Pair(self.sum.0 + counts.0, self.sum.1 + counts.1);
    }

    /// The sum over all slots.
    #[inline]
    pub(crate) fn sum(&self) -> Pair {
        self.sum
    }

    /// The oldest slot of all.
    #[inline]
    pub(crate) fn oldest(&self) -> Pair {
        self.slots[(self.newest + 1) % N]
    }

    /// Forgets everything; the newest slot stays where it is in time.
    pub(crate) fn clear(&mut self) {
        self.slots = [Pair::default(); N];
        self.sum = Pair::default();
    }

    #[cold]
    fn turn(&mut self, now: Time) {
        let passed = now.since(self.ends).as_nanos() as u64 / self.slot + 1;
        for _ in 0..passed.min(N as u64) {
            self.newest = (self.newest + 1) % N;
            let gone = std::mem::take(&mut self.slots[self.newest]);
            self.sum = Pair(self.sum.0 - gone.0, self.sum.1 - gone.1);
        }
        self.ends = self.ends + Duration::from_nanos(passed.saturating_mul(self.slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forgets_slot_by_slot() {
        let mut ring: Ring<3> = Ring::new(Duration::from_millis(10), Time::ZERO);
        ring.add(Pair(1, 0));
        ring.advance(Time::from_millis(10));
        ring.add(Pair(0, 2));
        ring.advance(Time::from_millis(29));
        assert_eq!((ring.sum(), ring.oldest()), (Pair(1, 2), Pair(1, 0)));
        ring.advance(Time::from_millis(30));
        assert_eq!((ring.sum(), ring.oldest()), (Pair(0, 2), Pair(0, 2)));
        ring.advance(Time::from_millis(1_000_000));
        assert_eq!(ring.sum(), Pair::default());
    }

    #[test]
    fn survives_the_end_of_time() {
        let mut ring: Ring<3> = Ring::new(Duration::ZERO, Time::ZERO);
        ring.advance(Time::MAX);
        ring.advance(Time::MAX);
        ring.add(Pair(1, 1));
        assert_eq!(ring.sum(), Pair(1, 1));
    }

    proptest! {
        #[test]
        fn holds_exactly_the_slots_it_claims(steps in prop::collection::vec(0_u64..25, 1..200)) {
            let mut ring: Ring<5> = Ring::new(Duration::from_nanos(10), Time::ZERO);
            let mut at = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                ring.advance(Time::from_nanos(now));
                ring.add(Pair(1, 2));
                at.push(now / 10);
                let kept = at.iter().filter(|slot| *slot + 5 > now / 10).count() as u64;
                prop_assert_eq!(ring.sum(), Pair(kept, 2 * kept));
                let oldest = at.iter().filter(|slot| *slot + 4 == now / 10).count() as u64;
                prop_assert_eq!(ring.oldest(), Pair(oldest, 2 * oldest));
            }
        }
    }
}
