//! Rate limits by the generic cell rate algorithm (ITU-T I.371, annex A; the virtual scheduling
//! form): a token bucket whose whole state is one instant, the theoretical arrival time.
//!
//! The machine keeps no state. The driver keeps an instant per key, beginning at [`Time::ZERO`], in
//! an atomic if it likes, and replaces it by what [`Gcra::check`] returns.

use std::time::Duration;

use crate::time::{Time, nanos};

/// The limit: a steady rate and a burst on top of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gcra {
    interval: Duration,
    tolerance: Duration,
    refuses_all: bool,
}

impl Gcra {
    /// `requests` in every `per`, and up to `burst` at once after a pause.
    ///
    /// In any stretch of time `t`, no more than `burst + t * requests / per` pass. There are no
    /// defaults: a limit is asked for or absent. Zero `requests`: nothing passes; zero `per`: a
    /// request every nanosecond, which is no limit; zero `burst` counts as one, for with less than
    /// one nothing would ever pass.
    pub fn new(requests: u32, per: Duration, burst: u32) -> Gcra {
        let interval = nanos(per).div_ceil(u64::from(requests.max(1))).max(1);
        let tolerance = interval.saturating_mul(u64::from(burst.max(1) - 1));
        Gcra {
            interval: Duration::from_nanos(interval),
            tolerance: Duration::from_nanos(tolerance),
            refuses_all: requests == 0,
        }
    }

    /// Whether a request may pass now, `tat` being the key's theoretical arrival time.
    ///
    /// # Errors
    ///
    /// The request may not pass; one that comes after the returned wait may, if none passed between.
    #[inline]
    pub fn check(&self, tat: Time, now: Time) -> Result<Time, Duration> {
        if self.refuses_all {
            return Err(self.interval);
        }
        let due = tat.max(now);
        match due.since(now).checked_sub(self.tolerance) {
            Some(early) if !early.is_zero() => Err(early),
            _ => Ok(due + self.interval),
        }
    }

    /// What is left to a key after its past: how much at once now, and within what time no more than that.
    ///
    /// Who spreads `requests` over `window` keeps to the steady rate; who sends them at once is let through,
    /// too. With none left, `window` is the wait until the next may pass, as [`Gcra::check`] tells it.
    pub fn left(&self, tat: Time, now: Time) -> Left {
        if self.refuses_all {
            return Left { requests: 0, window: self.interval };
        }
        let used = nanos(tat.max(now).since(now));
        let (interval, tolerance) = (nanos(self.interval), nanos(self.tolerance));
        let requests = tolerance.checked_sub(used).map_or(0, |room| room / interval + 1);
        let window = match requests {
            0 => used - tolerance,
            more => more.saturating_mul(interval),
        };
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        Left { requests, window: Duration::from_nanos(window) }
    }

    /// Whether this key's past no longer matters, so that it can be forgotten.
    #[inline]
    pub fn is_idle(&self, tat: Time, now: Time) -> bool {
        tat <= now
    }
}

/// What a limit leaves to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Requests that may come at once, now.
    pub requests: u32,
    /// The time within which no more than these should come; above zero.
    pub window: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passes(gcra: &Gcra, tat: &mut Time, now: Time) -> bool {
        gcra.check(*tat, now).map(|next| *tat = next).is_ok()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let gcra = Gcra::new(10, Duration::from_secs(1), 3);
        let mut tat = Time::ZERO;
        let at_once = (0..10).filter(|_| passes(&gcra, &mut tat, Time::from_millis(5))).count();
        assert_eq!(at_once, 3);
        assert_eq!(gcra.check(tat, Time::from_millis(5)), Err(Duration::from_millis(100)));
        let in_a_second = (6..=1_005).filter(|&t| passes(&gcra, &mut tat, Time::from_millis(t))).count();
        assert_eq!(in_a_second, 10);
    }

    #[test]
    fn a_pause_restores_the_burst_and_no_more() {
        let gcra = Gcra::new(10, Duration::from_secs(1), 3);
        let mut tat = Time::ZERO;
        while passes(&gcra, &mut tat, Time::ZERO) {}
        assert!(!gcra.is_idle(tat, Time::from_millis(299)));
        assert!(gcra.is_idle(tat, Time::from_millis(300)));
        let later = Time::from_millis(3_600_000);
        assert_eq!((0..10).filter(|_| passes(&gcra, &mut tat, later)).count(), 3);
    }

    #[test]
    fn zeros_mean_what_they_say() {
        let minute = Duration::from_secs(60);
        assert_eq!(Gcra::new(0, minute, 5).check(Time::ZERO, Time::MAX), Err(minute));
        let no_burst = Gcra::new(1, minute, 0);
        let tat = no_burst.check(Time::ZERO, Time::ZERO).unwrap();
        assert_eq!(no_burst.check(tat, Time::ZERO), Err(minute));
        let unlimited = Gcra::new(1, Duration::ZERO, 1000);
        let mut tat = Time::ZERO;
        assert!((1..100_000).all(|t| passes(&unlimited, &mut tat, Time::from_nanos(t))));
    }

    #[test]
    fn what_is_left_shrinks_with_each_request_and_grows_with_time() {
        let gcra = Gcra::new(10, Duration::from_secs(1), 3);
        let (mut tat, now) = (Time::ZERO, Time::from_millis(5_000));
        let left = |tat, now| gcra.left(tat, now);
        let ms = Duration::from_millis;
        for (requests, window) in [(3, 300), (2, 200), (1, 100), (0, 100)] {
            assert_eq!(left(tat, now), Left { requests, window: ms(window) });
            passes(&gcra, &mut tat, now);
        }
        assert_eq!(left(tat, Time::from_millis(5_060)), Left { requests: 0, window: ms(40) });
        assert_eq!(left(tat, Time::from_millis(5_100)), Left { requests: 1, window: ms(100) });
        assert_eq!(left(tat, Time::from_millis(9_000)), Left { requests: 3, window: ms(300) });
        let none = Gcra::new(0, Duration::from_secs(60), 5);
        assert_eq!(none.left(Time::ZERO, now), Left { requests: 0, window: ms(60_000) });
    }

    fn limits() -> impl Strategy<Value = (u32, u64, u32)> {
        (1_u32..500, 1_u64..5_000, 0_u32..50)
    }

    proptest! {
        #[test]
        fn lets_no_more_through_in_any_interval(
            (requests, per, burst) in limits(),
            waits in prop::collection::vec(prop_oneof![3 => Just(0), 3 => 0_u64..20, 1 => 0_u64..5_000], 1..300),
        ) {
            let gcra = Gcra::new(requests, Duration::from_millis(per), burst);
            let (mut tat, mut now, mut passed) = (Time::ZERO, 0, Vec::new());
            for wait in waits {
                now += wait;
                if passes(&gcra, &mut tat, Time::from_millis(now)) {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let through = (last - first + 1) as f64;
                    let rate = f64::from(requests) / per as f64;
                    let allowed = f64::from(burst.max(1)) + rate * (to - from) as f64;
                    prop_assert!(through <= allowed + 1e-6, "{} of {} in {}..{}", through, allowed, from, to);
                }
            }
        }

        #[test]
        fn what_is_said_to_be_left_passes_and_no_more(
            (requests, per, burst) in limits(), tat: u32, now: u32, gaps in prop::collection::vec(0.0..1.0, 60),
        ) {
            let gcra = Gcra::new(requests, Duration::from_millis(per), burst);
            let (tat, now) = (Time::from_nanos(tat.into()), Time::from_nanos(now.into()));
            let left = gcra.left(tat, now);
            prop_assert!(!left.window.is_zero());
            let mut at_once = tat;
            for _ in 0..left.requests {
                prop_assert!(passes(&gcra, &mut at_once, now));
            }
            prop_assert_eq!(gcra.check(at_once, now).err().is_some(), true);
            if left.requests == 0 {
                prop_assert_eq!(gcra.check(tat, now), Err(left.window));
            }
            // At whatever times within the window they come.
            let (mut spread, mut at) = (tat, now);
            for gap in gaps.iter().take(left.requests as usize) {
                at = at + left.window.mul_f64(gap / f64::from(left.requests));
                prop_assert!(passes(&gcra, &mut spread, at));
            }
        }

        #[test]
        fn is_monotone_and_keeps_its_promise((requests, per, burst) in limits(), tat: u32, now: u32, more: u32) {
            let gcra = Gcra::new(requests, Duration::from_micros(per), burst);
            let (tat, now) = (Time::from_nanos(tat.into()), Time::from_nanos(now.into()));
            let more = Duration::from_nanos(more.into());
            match gcra.check(tat, now) {
                Ok(next) => {
                    prop_assert!(next > tat && next > now);
                    prop_assert!(gcra.check(tat, now + more).is_ok());
                    prop_assert!(gcra.check(tat - more, now).is_ok());
                }
                Err(wait) => {
                    prop_assert!(gcra.check(tat, now + wait).is_ok());
                    prop_assert!(gcra.check(tat, now + wait - Duration::from_nanos(1)).is_err());
                    prop_assert!(gcra.check(tat + more, now).is_err());
                }
            }
        }
    }
}
