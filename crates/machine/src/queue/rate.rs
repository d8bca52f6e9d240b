//! Rates by the generic cell rate algorithm (ITU-T I.371, annex A; virtual scheduling): the whole state
//! is one instant, the theoretical arrival time.

use super::Rate;
use crate::time::Time;

/// Nanoseconds in a millisecond: the instants are finer than the shard's time, or a rate above a thousand a
/// second could not be told from another.
const NANOS: u64 = 1_000_000;

impl Rate {
    /// The theoretical arrival time after one more, now.
    ///
    /// # Errors
    ///
    /// One more would be too many; at the time that is returned it would not.
    pub(super) fn check(&self, tat_ns: u64, now: Time) -> Result<u64, Time> {
        let now_ns = now.as_millis().saturating_mul(NANOS);
        let due = tat_ns.max(now_ns);
        let latest = now_ns.saturating_add(self.tolerance_ns());
        if due > latest {
            let wait = (due - latest).div_ceil(NANOS);
            return Err(now.after(wait));
        }
        Ok(due + self.interval_ns())
    }

    /// A theoretical arrival time that a slower rate may have left, no further ahead than this one would be.
    pub(super) fn settled(&self, tat_ns: u64, now: Time) -> u64 {
        let ahead = self.tolerance_ns() + self.interval_ns();
        tat_ns.min(now.as_millis().saturating_mul(NANOS).saturating_add(ahead))
    }

    /// The time between two at the steady rate, in whole milliseconds, at least one.
    pub(super) fn interval_ms(&self) -> u64 {
        self.interval_ns().div_ceil(NANOS)
    }

    fn interval_ns(&self) -> u64 {
        (self.per_ms * NANOS).div_ceil(u64::from(self.count.max(1))).max(1)
    }

    fn tolerance_ns(&self) -> u64 {
        self.interval_ns() * u64::from(self.burst.max(1) - 1)
    }
}

/// When a theoretical arrival time is past, and need not be remembered.
pub(super) fn forgotten(tat_ns: u64) -> Time {
    Time::from_millis(tat_ns.div_ceil(NANOS))
}
