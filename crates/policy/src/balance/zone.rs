//! Zone preference: requests stay in the zone that they come from while enough of its instances are well, and
//! spill over to other zones little by little when they are not.
//!
//! Semantics of Envoy's priority levels ("Priority levels" and "Overprovisioning factor" in its architecture
//! overview), the own zone being level 0 and all others together level 1. The health of a side is the share
//! of its instances that are well, times a factor for the room that instances are taken to have, at most 1.
//! The own zone gets as large a part of the requests as its health; where both sides together come to less
//! than 1 they share by their healths. So while there is room elsewhere, no instance of the zone gets more
//! than the factor times what it would get with all of them well.
//!
//! Envoy's panic threshold is not here: an instance that is not ready gets nothing, and how many may be
//! ejected is [`crate::Ejection`]'s to bound.

use crate::balance::hash;
use crate::rng::Rng;

/// How much an own zone is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonePreference {
    percent: u32,
}

/// The instances of one side: of the own zone, or of all others together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Those that are ready and not ejected.
    pub well: usize,
    /// All that there should be.
    pub all: usize,
}

impl ZonePreference {
    /// With this overprovisioning factor, in percent: 140 is Envoy's. At 100 each instance that is not well
    /// has its part spill over; above, so many may be lost first. Less is taken for 100.
    pub fn new(percent: u32) -> ZonePreference {
        ZonePreference { percent: percent.max(100) }
    }

    /// The part of the requests that stays in the zone, 0 to 1. None: nobody is well on either side, so none
    /// is preferred.
    pub fn share(self, own: Side, elsewhere: Side) -> Option<f64> {
        if own.well + elsewhere.well == 0 {
            return None;
        }
        let (own, elsewhere) = (self.health(own), self.health(elsewhere));
        Some(own / (own + elsewhere).min(1.0))
    }

    /// In whole numbers as far as it decides, so that 5 of 7 times 1.4 is 1.
    fn health(self, side: Side) -> f64 {
        let (well, all) = (side.well as u64 * u64::from(self.percent), side.all.max(side.well) as u64 * 100);
        if well >= all && all > 0 { 1.0 } else { well as f64 / all.max(1) as f64 }
    }
}

impl Default for ZonePreference {
    fn default() -> ZonePreference {
        ZonePreference::new(140)
    }
}

/// Whether a request stays where so large a share does: by its key, if it has one, and else by chance.
///
/// By the key, requests with the same one stay or go together, and as the share falls more go while none
/// comes back. The key is hashed again: what stays MUST tell nothing of where on a ring or in a table it lies.
pub fn stays(share: f64, rng: &mut Rng, key: Option<u64>) -> bool {
    if share <= 0.0 || share >= 1.0 {
        return share > 0.0;
    }
    match key {
        Some(key) => unit(hash::again(key, u64::MAX - 1)) < share,
        None => rng.unit() < share,
    }
}

/// 53 bits of a hash as a number in `[0, 1)`.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    fn share(own: (usize, usize), elsewhere: (usize, usize)) -> Option<f64> {
        let side = |(well, all)| Side { well, all };
        ZonePreference::default().share(side(own), side(elsewhere))
    }

    /// The table of Envoy's documentation, with a level 1 that is well.
    #[test]
    fn shares_are_those_of_envoys_priority_levels() {
        for (well, stay) in [(100, 1.0), (72, 1.0), (71, 0.994), (50, 0.7), (25, 0.35), (0, 0.0)] {
            let share = share((well, 100), (100, 100)).unwrap();
            assert!((share - stay).abs() < 1e-9, "{well}: {share}");
        }
    }

    #[test]
    fn sides_that_are_both_too_weak_share_by_their_health() {
        let share = |own, elsewhere| share((own, 100), (elsewhere, 100)).unwrap();
        assert!((share(25, 25) - 0.5).abs() < 1e-9);
        assert!((share(20, 40) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(share(5, 0), 1.0);
    }

    #[test]
    fn where_nobody_is_well_none_is_preferred() {
        assert_eq!(share((0, 3), (0, 3)), None);
        assert_eq!(share((0, 0), (0, 0)), None);
    }

    fn side() -> impl Strategy<Value = Side> {
        (0_usize..60, 0_usize..60).prop_map(|(a, b)| Side { well: a.min(b), all: a.max(b) })
    }

    /// So many of 10,000 requests stay.
    fn kept(share: f64, seed: u64, keyed: bool) -> usize {
        let mut rng = Rng::new(seed);
        (0..10_000_u64)
            .filter(|_| {
                let key = rng.next_u64();
                stays(share, &mut rng, keyed.then_some(key))
            })
            .count()
    }

    proptest! {
        #[test]
        fn nobody_leaves_while_enough_are_well(
            percent in 100_u32..400, own in side(), elsewhere in side(), seed: u64, keyed: bool
        ) {
            prop_assume!(own.well > 0 && own.well * percent as usize >= own.all * 100);
            let share = ZonePreference::new(percent).share(own, elsewhere).unwrap();
            prop_assert_eq!(share, 1.0);
            prop_assert_eq!(kept(share, seed, keyed), 10_000);
        }

        #[test]
        fn without_one_that_is_well_everybody_goes_elsewhere(
            own in side(), elsewhere in side(), seed: u64, keyed: bool
        ) {
            prop_assume!(elsewhere.well > 0);
            let share = ZonePreference::default().share(Side { well: 0, ..own }, elsewhere).unwrap();
            prop_assert_eq!((share, kept(share, seed, keyed)), (0.0, 0));
        }

        #[test]
        fn as_many_spill_as_the_formula_says(
            percent in 100_u32..400, own in side(), elsewhere in side(), seed: u64, keyed: bool
        ) {
            prop_assume!(own.well + elsewhere.well > 0);
            let share = ZonePreference::new(percent).share(own, elsewhere).unwrap();
            let health = |side: Side| {
                (f64::from(percent) / 100.0 * side.well as f64 / side.all.max(1) as f64).min(1.0)
            };
            let formula = health(own) / (health(own) + health(elsewhere)).min(1.0);
            prop_assert!((share - formula).abs() < 1e-9, "{} is not {}", share, formula);
            let seen = kept(share, seed, keyed) as f64 / 10_000.0;
            prop_assert!((seen - share).abs() < 0.03, "{} of {}", seen, share);
        }

        #[test]
        fn none_gets_more_than_the_factor_while_there_is_room_elsewhere(
            percent in 100_u32..400, own in side(), others in 1_usize..60
        ) {
            prop_assume!(own.well > 0);
            let elsewhere = Side { well: others, all: others };
            let share = ZonePreference::new(percent).share(own, elsewhere).unwrap();
            let (each, usual) = (share / own.well as f64, 1.0 / own.all as f64);
            prop_assert!(each <= usual * f64::from(percent) / 100.0 + 1e-9);
        }

        #[test]
        fn a_key_that_has_left_comes_back_only_as_the_zone_gets_better(
            key: u64, seed: u64, less in 0.0..=1.0_f64, more in 0.0..=1.0_f64
        ) {
            let (less, more) = (less.min(more), less.max(more));
            let mut rng = Rng::new(seed);
            let mut stays = |share| stays(share, &mut rng, Some(key));
            prop_assert!(stays(more) || !stays(less));
            prop_assert_eq!(stays(less), stays(less));
        }
    }
}
