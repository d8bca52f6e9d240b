//! How a service keeps what it promises: an objective, its error budget, and how fast that is spent.
//!
//! As chapter 5 of Google's "The Site Reliability Workbook" has it ("Alerting on SLOs"): the budget is the share of requests that
//! may be bad within the window of the objective; a burn rate of one spends exactly that in exactly this window. An alert wants
//! the rate to be high over a long window, so that it matters, and over a short one, so that it is still so and ends soon after
//! (*multiwindow, multi-burn-rate alerts*, [`RULES`]).
//!
//! What is kept are counts by the minute for the windows up to six hours, and by the hour for the longer ones. Time is an
//! argument.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::alerts::Severity;

/// When an alert is due: the budget burns this fast over both windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Who has to do something about it, and when.
    pub severity: Severity,
    /// How many times faster than allowed.
    pub burn: f64,
    /// The long window, in milliseconds.
    pub long_ms: u64,
    /// The short one.
    pub short_ms: u64,
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The parameters that the book recommends for an objective of 99.9 % over 30 days.
pub const RULES: [Rule; 4] = [
    Rule { severity: Severity::Page, burn: 14.4, long_ms: HOUR_MS, short_ms: 5 * MINUTE_MS },
    Rule { severity: Severity::Page, burn: 6.0, long_ms: 6 * HOUR_MS, short_ms: 30 * MINUTE_MS },
    Rule { severity: Severity::Ticket, burn: 3.0, long_ms: DAY_MS, short_ms: 2 * HOUR_MS },
    Rule { severity: Severity::Ticket, burn: 1.0, long_ms: 3 * DAY_MS, short_ms: 6 * HOUR_MS },
];

impl Rule {
    /// Whether an alert is due, by what was counted in the long window and in the short one.
    pub fn is_due(&self, target: f64, long: Counts, short: Counts) -> bool {
        long.bad >= BAD_MIN && long.burn(target) >= self.burn && short.burn(target) >= self.burn
    }
}

/// Fewer bad requests than these in the long window are bad luck and no alert: of few requests each is a large share.
pub const BAD_MIN: u64 = 5;

/// Most points of a [`Tracker::burn_down`], but for the first and what is now.
pub const POINTS_MAX: usize = 240;

/// Windows up to this are counted by the minute.
const MINUTES_MS: u64 = 6 * HOUR_MS;

/// What was counted of an objective.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    minutes: VecDeque<Bucket>,
    hours: VecDeque<Bucket>,
}

/// Requests of a minute or an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// When it began, in milliseconds since 1970.
    from_ms: u64,
    total: u64,
    bad: u64,
}

/// Requests, and those of them that were not as promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// The bad ones.
    pub bad: u64,
}

impl Counts {
    /// How many times faster than allowed the budget of an objective (0 to 1) was spent.
    pub fn burn(self, target: f64) -> f64 {
        match self.total {
            0 => 0.0,
            total => (self.bad as f64 / total as f64) / (1.0 - target).max(f64::EPSILON),
        }
    }
}

impl Tracker {
    /// Counts requests that ended since the last time; `window_ms` is for how long that is of interest.
    pub fn record(&mut self, now_ms: u64, counts: Counts, window_ms: u64) {
        let keep = window_ms.max(3 * DAY_MS);
        for (buckets, size, keep) in
            [(&mut self.minutes, MINUTE_MS, MINUTES_MS), (&mut self.hours, HOUR_MS, keep)]
        {
            let from_ms = now_ms - now_ms % size;
            while buckets.front().is_some_and(|first| first.from_ms + size + keep <= now_ms) {
                buckets.pop_front();
            }
            if counts.total == 0 {
                continue;
            }
            match buckets.back_mut() {
                // A clock that was set back: what it is now is as good as any other guess.
                Some(last) if last.from_ms >= from_ms => {
                    last.total += counts.total;
                    last.bad += counts.bad.min(counts.total);
                }
                _ => {
                    buckets.push_back(Bucket {
                        from_ms,
                        total: counts.total,
                        bad: counts.bad.min(counts.total),
                    });
                }
            }
        }
    }

    /// What was counted in a window up to now. The minute or the hour in which it begins counts as a whole.
    pub fn within(&self, now_ms: u64, window_ms: u64) -> Counts {
        let (buckets, size) = match window_ms <= MINUTES_MS {
            true => (&self.minutes, MINUTE_MS),
            false => (&self.hours, HOUR_MS),
        };
        let since = now_ms.saturating_sub(window_ms);
        let within = buckets.iter().rev().take_while(|bucket| bucket.from_ms + size > since);
        within.fold(Counts::default(), |sum, bucket| Counts {
            total: sum.total + bucket.total,
            bad: sum.bad + bucket.bad,
        })
    }

    /// What is left of the budget, 1 for all of it, below 0 if more was spent than there is.
    pub fn budget_left(&self, now_ms: u64, target: f64, window_ms: u64) -> f64 {
        1.0 - self.within(now_ms, window_ms).burn(target)
    }

    /// How the budget was spent: what was left of it when, from the first request within the window on. The last is what
    /// [`Tracker::budget_left`] says now, for the budget is that of all requests up to now. By the minute where minutes tell all of it,
    /// by the hour otherwise, and of these no more than [`POINTS_MAX`]. Nothing where nothing was counted.
    pub fn burn_down(&self, now_ms: u64, target: f64, window_ms: u64) -> Vec<(u64, f64)> {
        let since = now_ms.saturating_sub(window_ms);
        let first_hour = self.hours.iter().find(|hour| hour.from_ms + HOUR_MS > since);
        let by_minute = window_ms <= MINUTES_MS
            || first_hour.is_some_and(|hour| hour.from_ms >= now_ms.saturating_sub(MINUTES_MS));
        let (buckets, size) = if by_minute { (&self.minutes, MINUTE_MS) } else { (&self.hours, HOUR_MS) };
        let within: Vec<&Bucket> = buckets.iter().filter(|bucket| bucket.from_ms + size > since).collect();
        let Some(first) = within.first() else { return Vec::new() };
        let total: u64 = within.iter().map(|bucket| bucket.total).sum();
        let every = within.len().div_ceil(POINTS_MAX);
        let mut points = vec![(first.from_ms.min(now_ms), 1.0)];
        let mut bad = 0;
        for (at, bucket) in within.iter().enumerate() {
            bad += bucket.bad;
            // Counted from the end, so that the last one is among them.
            if (within.len() - 1 - at).is_multiple_of(every) {
                points.push(((bucket.from_ms + size).min(now_ms), 1.0 - Counts { total, bad }.burn(target)));
            }
        }
        // Since the last request nothing was spent.
        points.extend(points.last().filter(|(at, _)| *at < now_ms).map(|(_, left)| (now_ms, *left)));
        points
    }

    /// The rules by which an alert is due now.
    pub fn due(&self, now_ms: u64, target: f64, window_ms: u64) -> impl Iterator<Item = Rule> {
        RULES.into_iter().filter(move |rule| {
            rule.long_ms <= window_ms
                && rule.is_due(target, self.within(now_ms, rule.long_ms), self.within(now_ms, rule.short_ms))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: f64 = 0.999;
    const WINDOW: u64 = 30 * DAY_MS;
    const START: u64 = 20_000 * DAY_MS;

    /// Ten requests a second for a while, a share of which is bad; returns when that is over.
    fn serve(tracker: &mut Tracker, from: u64, lasts: u64, bad: f64) -> u64 {
        let (mut now, mut owed) = (from, 0.0);
        while now < from + lasts {
            now += 10_000;
            owed += 100.0 * bad;
            let counts = Counts { total: 100, bad: owed as u64 };
            owed -= counts.bad as f64;
            tracker.record(now, counts, WINDOW);
        }
        now
    }

    fn due(tracker: &Tracker, now: u64) -> Vec<(Severity, f64)> {
        tracker.due(now, TARGET, WINDOW).map(|rule| (rule.severity, rule.burn)).collect()
    }

    #[test]
    fn a_total_outage_pages_within_minutes_and_ends_soon_after() {
        let mut tracker = Tracker::default();
        let now = serve(&mut tracker, START, 6 * HOUR_MS, 0.0);
        assert!(due(&tracker, now).is_empty());
        let now = serve(&mut tracker, now, 2 * MINUTE_MS, 1.0);
        assert!(due(&tracker, now).contains(&(Severity::Page, 14.4)));
        let now = serve(&mut tracker, now, 7 * MINUTE_MS, 0.0);
        assert!(
            !due(&tracker, now).contains(&(Severity::Page, 14.4)),
            "the short window knows that it is over"
        );
    }

    #[test]
    fn a_slow_burn_is_a_ticket_and_no_page() {
        let mut tracker = Tracker::default();
        let now = serve(&mut tracker, START, 3 * DAY_MS, 0.0015);
        assert_eq!(due(&tracker, now), [(Severity::Ticket, 1.0)]);
        let now = serve(&mut tracker, START, 3 * DAY_MS, 0.004);
        assert!(due(&tracker, now).iter().all(|(severity, _)| *severity == Severity::Ticket));
    }

    #[test]
    fn what_is_allowed_is_no_alert_and_leaves_its_budget() {
        let mut tracker = Tracker::default();
        let now = serve(&mut tracker, START, 3 * DAY_MS, 0.0005);
        assert!(due(&tracker, now).is_empty());
        let left = tracker.budget_left(now, TARGET, WINDOW);
        assert!((left - 0.5).abs() < 0.02, "{left}");
    }

    #[test]
    fn few_requests_are_no_trend() {
        let mut tracker = Tracker::default();
        tracker.record(START, Counts { total: 1, bad: 1 }, WINDOW);
        assert!(due(&tracker, START).is_empty());
        tracker.record(START, Counts { total: 4, bad: 4 }, WINDOW);
        assert!(!due(&tracker, START).is_empty());
    }

    #[test]
    fn it_is_bounded_and_survives_being_written_down() {
        let mut tracker = Tracker::default();
        let mut now = START;
        for _ in 0..40 * 24 * 6 {
            now += 10 * MINUTE_MS;
            tracker.record(now, Counts { total: 3, bad: 1 }, WINDOW);
        }
        assert!(tracker.minutes.len() <= 6 * 60 + 2 && tracker.hours.len() <= 30 * 24 + 2);
        let json = serde_json::to_string(&tracker).unwrap();
        assert_eq!(serde_json::from_str::<Tracker>(&json).unwrap(), tracker);
    }

    #[test]
    fn what_was_spent_when() {
        let mut tracker = Tracker::default();
        assert!(tracker.burn_down(START, TARGET, WINDOW).is_empty());
        let now = serve(&mut tracker, START, HOUR_MS, 0.0);
        let now = serve(&mut tracker, now, 10 * MINUTE_MS, 0.01);
        let points = tracker.burn_down(now, TARGET, WINDOW);
        assert!(points.len() > 60, "the first hours are told by the minute: {}", points.len());
        assert_eq!((points[0], points[59].1), ((START, 1.0), 1.0));
        let left =
            |ago: u64| points.iter().rev().find(|(at, _)| *at <= now - ago).map_or(0.0, |(_, left)| *left);
        assert!(left(5 * MINUTE_MS) < 0.8 && left(5 * MINUTE_MS) > left(0), "{points:?}");
    }

    proptest! {
        /// The budget only gets less, ends where it stands now, and has no more points than may be.
        #[test]
        fn a_budget_burns_down_to_what_is_left(
            steps in prop::collection::vec((1_u64..20 * HOUR_MS, 0_u64..50, 0_u64..50), 1..300),
            hours in 1_u64..2_000,
        ) {
            let mut tracker = Tracker::default();
            let (mut now, window) = (START, hours * HOUR_MS);
            for (step, total, bad) in steps {
                now += step;
                tracker.record(now, Counts { total, bad }, window);
            }
            let points = tracker.burn_down(now, TARGET, window);
            prop_assert!(points.len() <= POINTS_MAX + 2);
            prop_assert!(points.windows(2).all(|two| two[0].0 <= two[1].0 && two[0].1 >= two[1].1), "{points:?}");
            let told = points.last().map_or(1.0, |(_, left)| *left);
            prop_assert!((told - tracker.budget_left(now, TARGET, window)).abs() < 1e-9, "{points:?}");
            prop_assert!(points.last().is_none_or(|(at, _)| *at == now));
        }

        /// A window has what was recorded in it, but for the minute or the hour that it begins in.
        #[test]
        fn windows_count(steps in prop::collection::vec((1_u64..HOUR_MS, 0_u64..50, 0_u64..50), 1..200), minutes in 1_u64..3_000) {
            let mut tracker = Tracker::default();
            let mut now = START;
            let mut all = Vec::new();
            for (step, total, bad) in steps {
                now += step;
                tracker.record(now, Counts { total, bad }, WINDOW);
                all.push((now, total, bad.min(total)));
            }
            let window = minutes * MINUTE_MS;
            let size = if window <= MINUTES_MS { MINUTE_MS } else { HOUR_MS };
            let sum = |since: u64| {
                let within = all.iter().filter(|(at, _, _)| *at > since);
                within.fold((0, 0), |sum, (_, total, bad)| (sum.0 + total, sum.1 + bad))
            };
            let told = tracker.within(now, window);
            let (least, most) = (sum(now - window), sum(now - window - size));
            prop_assert!((least.0..=most.0).contains(&told.total), "{:?} {:?} {:?}", least, told, most);
            prop_assert!((least.1..=most.1).contains(&told.bad));
            prop_assert!(told.burn(TARGET) >= 0.0 && told.burn(TARGET) <= 1_000.1);
        }
    }
}
