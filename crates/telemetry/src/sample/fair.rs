//! A fair share of what there is room for: names that are rare are kept whole, and those that are frequent share the rest alike.
//!
//! That is max-min fairness (Bertsekas and Gallager, "Data Networks", 6.5.2): a level is found up to which every name may fill,
//! so that together they come to the budget. A name's chance is the level divided by what it asks for. What it asks for is a
//! moving average, and what it has asked for in this second where that is more: who comes all of a sudden is bounded too. Something
//! large of a rare name has a bucket of its own, or it would never be kept: it fills as fast as the budget.

use std::collections::HashMap;

use super::Name;

/// Most names that are told apart; those beyond share one place.
const NAMES_MAX: usize = 1_024;
/// The place of those.
const OTHERS: Name = 0;
/// What the last second counts for in the average.
const NEWEST: f64 = 0.3;
/// How many seconds' budget the bucket for large things of rare names holds.
const BUCKET_S: f64 = 30.0;
/// An average below so many bytes a second is forgotten.
const FORGOTTEN: f64 = 1.0;

/// Who asks for how much, and the level.
#[derive(Debug)]
pub(super) struct Fair {
    names: HashMap<Name, Asked>,
    level: f64,
    /// What large things of rare names may take, in bytes.
    bucket: f64,
}

/// In bytes.
#[derive(Debug, Default)]
struct Asked {
    a_second: f64,
    now: f64,
    is_known: bool,
}

impl Fair {
    /// Nobody has asked, and there is so much a second.
    pub(super) fn new(budget: f64) -> Fair {
        Fair { names: HashMap::new(), level: budget, bucket: budget * BUCKET_S }
    }

    /// The chance of something of so many bytes to be kept.
    pub(super) fn chance(&mut self, name: Name, bytes: usize) -> f64 {
        let is_full = self.names.len() >= NAMES_MAX && !self.names.contains_key(&name);
        let asked = self.names.entry(if is_full { OTHERS } else { name }).or_default();
        asked.now += bytes as f64;
        let wanted = asked.now.max(asked.a_second);
        let is_first = asked.now <= bytes as f64 && asked.a_second <= self.level;
        if is_first && wanted > self.level && bytes as f64 <= self.bucket {
            self.bucket -= bytes as f64;
            return 1.0;
        }
        // What a level of nothing leaves out would stand for infinitely many.
        (self.level / wanted).clamp(CHANCE_MIN, 1.0)
    }

    /// A second is over: the level for the next, which has so many bytes.
    pub(super) fn settle(&mut self, budget: f64) {
        for asked in self.names.values_mut() {
            let newest = if asked.is_known { NEWEST } else { 1.0 };
            asked.a_second += newest * (asked.now - asked.a_second);
            asked.is_known = true;
            asked.now = 0.0;
        }
        self.names.retain(|_, asked| asked.a_second >= FORGOTTEN);
        let wanted = self.names.values().map(|asked| asked.a_second).collect();
        self.level = level(wanted, budget);
        self.bucket = (self.bucket + budget).min(budget * BUCKET_S);
    }
}

/// The smallest chance.
pub(super) const CHANCE_MIN: f64 = 1e-5;

/// Up to where all may fill.
fn level(mut wanted: Vec<f64>, budget: f64) -> f64 {
    wanted.sort_unstable_by(f64::total_cmp);
    let mut left = budget;
    let mut most = 0.0;
    for (at, wanted_here) in wanted.iter().enumerate() {
        let share = left / (wanted.len() - at) as f64;
        if *wanted_here > share {
            return share;
        }
        left -= wanted_here;
        most = *wanted_here;
    }
    most + left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_is_rare_is_kept_whole() {
        let mut fair = Fair::new(1_000.0);
        for _ in 0..20 {
            (0..100).for_each(|_| {
                let _ = fair.chance(1, 100);
            });
            fair.chance(2, 100);
            fair.settle(1_000.0);
        }
        assert_eq!(fair.chance(2, 100), 1.0);
        let often = fair.chance(1, 100);
        assert!((0.08..0.1).contains(&often), "{often}");
    }

    #[test]
    fn something_large_of_a_rare_name_is_kept_and_a_flood_of_such_is_not() {
        let mut fair = Fair::new(1_000.0);
        assert_eq!(fair.chance(1, 20_000), 1.0);
        assert!(fair.chance(1, 20_000) < 0.1, "it is not rare any more");
        let kept = (2..1_000).map(|name| fair.chance(name, 5_000)).filter(|chance| *chance == 1.0).count();
        assert_eq!(kept, 2, "what is left of the bucket");
        (0..10).for_each(|_| fair.settle(1_000.0));
        let kept =
            (2_000..3_000).map(|name| fair.chance(name, 5_000)).filter(|chance| *chance == 1.0).count();
        assert!(kept <= 2, "{kept}: what has come into it since");
    }

    #[test]
    fn names_without_end_cost_no_more() {
        let mut fair = Fair::new(1_000.0);
        (1..100_000).for_each(|name| {
            let _ = fair.chance(name, 10);
        });
        assert!(fair.names.len() <= NAMES_MAX + 1);
    }

    proptest! {
        #[test]
        fn all_together_come_to_the_budget(
            wanted in prop::collection::vec(1.0_f64..10_000.0, 1..40), budget in 1.0_f64..50_000.0,
        ) {
            let level = level(wanted.clone(), budget);
            let taken: f64 = wanted.iter().map(|one| one.min(level)).sum();
            let asked: f64 = wanted.iter().sum();
            prop_assert!((taken - asked.min(budget)).abs() < 1e-6 * budget.max(1.0));
        }
    }
}
