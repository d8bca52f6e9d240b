//! How fast a slow body goes on: so many bytes a second on the whole, in lots small enough to seem
//! steady and large enough that each is worth a wake.

use std::time::Duration;

use crate::time::{Time, nanos};

/// Lots a second, where the rate has as many bytes.
const LOTS_PER_SECOND: u64 = 20;

/// A body that goes on at a rate.
#[derive(Clone, Debug)]
pub struct Trickle {
    bytes_per_second: u64,
    since: Time,
    given: u64,
}

impl Trickle {
    /// A body that begins now. Zero bytes a second count as one: a body that never ends tests nothing
    /// that its reader's timeout does not see at one.
    pub fn new(bytes_per_second: u64, now: Time) -> Trickle {
        Trickle { bytes_per_second: bytes_per_second.max(1), since: now, given: 0 }
    }

    /// How many of the `wanted` bytes, at least one, may go now; they count as gone.
    ///
    /// # Errors
    /// None may before this instant.
    pub fn take(&mut self, now: Time, wanted: u64) -> Result<u64, Time> {
        let lot = (self.bytes_per_second / LOTS_PER_SECOND).clamp(1, wanted.max(1));
        let due = u128::from(nanos(now.since(self.since))) * u128::from(self.bytes_per_second) / NANOS;
        let free = due.saturating_sub(u128::from(self.given));
        if free >= u128::from(lot) {
            let taken = wanted.min(u64::try_from(free).unwrap_or(u64::MAX));
            self.given += taken;
            return Ok(taken);
        }
        let at = (u128::from(self.given) + u128::from(lot)) * NANOS;
        let after = at.div_ceil(u128::from(self.bytes_per_second));
        Err(self.since + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX)))
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends a body as a driver would; returns when each lot went, and how large it was.
    fn send(rate: u64, bytes: u64, piece: u64) -> Vec<(Time, u64)> {
        let (mut now, mut left, mut sent) = (Time::from_millis(7), bytes, Vec::new());
        let mut trickle = Trickle::new(rate, now);
        while left > 0 {
            match trickle.take(now, left.min(piece)) {
                Ok(lot) => {
                    left -= lot;
                    sent.push((now, lot));
                }
                Err(later) => {
                    assert!(later > now, "the wait ends");
                    now = later;
                }
            }
        }
        sent
    }

    #[test]
    fn a_kilobyte_at_a_hundred_bytes_a_second_takes_ten_seconds() {
        let sent = send(100, 1000, 64 << 10);
        let (end, _) = sent.last().expect("sent");
        assert_eq!(end.since(Time::from_millis(7)), Duration::from_secs(10));
        assert!(sent.iter().all(|(_, lot)| *lot == 5), "{sent:?}");
    }

    #[test]
    fn one_byte_a_second_is_one_byte_a_second() {
        let times: Vec<u64> =
            send(1, 3, 10).iter().map(|(at, _)| at.since(Time::from_millis(7)).as_secs()).collect();
        assert_eq!(times, [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn is_never_ahead_of_its_rate_and_hardly_behind(rate in 1_u64..1 << 40, lots in 1_u64..200, piece in 1_u64..1 << 16) {
            let bytes = (rate / LOTS_PER_SECOND).max(1).min(piece) * lots;
            let mut total = 0;
            for (at, lot) in send(rate, bytes, piece) {
                total += lot;
                let elapsed = at.since(Time::from_millis(7)).as_secs_f64();
                prop_assert!(total as f64 <= elapsed * rate as f64 + 1e-3, "{total} after {elapsed}");
                let behind = elapsed * rate as f64 - total as f64;
                prop_assert!(behind <= rate as f64 / LOTS_PER_SECOND as f64 + 1.0, "{behind} behind");
            }
        }
    }
}
