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

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, wait: Duration) -> Time {
        self.after(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }
}
