//! Time as a shard knows it: a number in each entry.

use std::ops::Add;
use std::time::Duration;

/// Milliseconds since the Unix epoch. Arithmetic saturates.
///
/// Stamped by the leader, which never stamps less than before: within a shard time stands still
/// while a clock is behind what it was, and does not run back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The epoch.
    pub const ZERO: Time = Time(0);
    /// The end of time: what a sum that overflows saturates to.
    pub const MAX: Time = Time(u64::MAX);

    /// The instant `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis)
    }

    /// The instant that a record gives, where zero stands for none.
    pub(crate) fn recorded(millis: u64) -> Option<Time> {
        (millis > 0).then_some(Time(millis))
    }

    /// What a record gives for an instant, or for none.
    pub(crate) fn record(time: Option<Time>) -> u64 {
        time.map_or(0, Time::as_millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This and `millis` milliseconds.
    pub const fn after(self, millis: u64) -> Time {
        Time(self.0.saturating_add(millis))
    }
}

/// How long to wait after the `failures`th failure, in milliseconds: `first_ms`, twice as long after each further one, and
/// `max_ms` at most.
pub(crate) fn backoff_ms(first_ms: u64, failures: u32, max_ms: u64) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    first_ms.saturating_mul(doubled).min(max_ms)
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, wait: Duration) -> Time {
        self.after(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::backoff_ms;

    #[test]
    fn a_wait_doubles_up_to_the_longest() {
        let waits = [0, 1, 2, 3, 9, 64, 65, u32::MAX].map(|failures| backoff_ms(100, failures, 900));
        assert_eq!(waits, [100, 100, 200, 400, 900, 900, 900, 900]);
        assert_eq!([1, 64, 65].map(|failures| backoff_ms(0, failures, 900)), [0; 3]);
        assert_eq!(backoff_ms(1, 64, u64::MAX), 1 << 63);
        assert_eq!(backoff_ms(3, 64, u64::MAX), u64::MAX);
    }
}
