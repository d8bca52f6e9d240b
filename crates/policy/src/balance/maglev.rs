//! Consistent hashing by lookup: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
//! Balancer" (NSDI 2016), section 3.4.
//!
//! Each instance has an order of its own in which it would like the places of a table, and they take turns
//! at taking the next free one. Shares are equal but for one place, and a change of the list moves few
//! keys besides those that must: more than on a ring, for which finding a place is one look. Weight as in
//! Envoy: who weighs half as much takes every other turn.
//!
//! A key whose owner is not open is hashed again, so that the keys of one that fails spread over all others.

use crate::balance::hash;

/// Places of the table: a prime, as the permutations need, and the smaller of the paper's. With up to 655
/// instances no share is off by more than a hundredth. Two bytes each.
pub const PLACES: u64 = 65_537;
/// How often a key is hashed again before the places after it are looked at one by one.
const REHASHES: u64 = 16;

/// The table.
#[derive(Clone, Debug)]
pub struct Maglev {
    places: Vec<u16>,
}

/// An instance while the table is filled.
struct Claim {
    at: u16,
    weight: f64,
    /// What it has taken, in weights of the heaviest.
    taken: f64,
    /// The place that it would like next.
    next: u64,
    skip: u64,
}

impl Maglev {
    /// The table of these instances, by name and weight. Their order does not matter; of more than there
    /// are places the last by name get nothing, nor does one of weight zero.
    pub fn new(instances: &[(&str, f64)]) -> Maglev {
        Maglev::sized(instances, PLACES)
    }

    /// The same with another number of places, which MUST be prime.
    fn sized(instances: &[(&str, f64)], places: u64) -> Maglev {
        const FREE: u16 = u16::MAX;
        let mut claims = claims(instances, places);
        let heaviest = claims.iter().map(|claim| claim.weight).fold(0.0, f64::max);
        let mut table = vec![FREE; if claims.is_empty() { 0 } else { places as usize }];
        let mut free = table.len();
        let mut turn = 0.0;
        while free > 0 {
            turn += 1.0;
            for claim in &mut claims {
                if free == 0 || turn * claim.weight < claim.taken {
                    continue;
                }
                claim.taken += heaviest;
                while table[claim.next as usize] != FREE {
                    claim.next = (claim.next + claim.skip) % places;
                }
                table[claim.next as usize] = claim.at;
                free -= 1;
            }
        }
        Maglev { places: table }
    }

    /// Where a key belongs, or where it is hashed to next if that is not open. None: nobody is open.
    pub fn find(&self, key: u64, open: impl Fn(usize) -> bool) -> Option<usize> {
        let count = self.places.len();
        if count == 0 {
            return None;
        }
        let owner = |key: u64| usize::from(self.places[(key % count as u64) as usize]);
        let rehashed = (1..=REHASHES).map(|time| hash::again(key, time));
        let first = std::iter::once(key).chain(rehashed).map(owner).find(|at| open(*at));
        first
            .or_else(|| (0..count as u64).map(|step| owner((key % count as u64) + step)).find(|at| open(*at)))
    }
}

/// By name, so that the same instances make the same table in whatever order they are listed.
fn claims(instances: &[(&str, f64)], places: u64) -> Vec<Claim> {
    let mut order: Vec<u16> = (0..instances.len().min(usize::from(u16::MAX)) as u16).collect();
    order.retain(|at| instances[usize::from(*at)].1 > 0.0);
    order.sort_unstable_by_key(|at| instances[usize::from(*at)].0);
    let claim = |at: u16| {
        let (name, weight) = instances[usize::from(at)];
        let (next, skip) = (hash::nth(name, 0) % places, hash::nth(name, 1) % (places - 1) + 1);
        Claim { at, weight, taken: 0.0, next, skip }
    };
    order.into_iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(count: usize) -> Vec<String> {
        (0..count).map(|nth| format!("shop-{nth}")).collect()
    }

    fn even(names: &[String]) -> Vec<(&str, f64)> {
        names.iter().map(|name| (name.as_str(), 1.0)).collect()
    }

    fn shares(table: &Maglev, count: usize) -> Vec<u32> {
        let mut shares = vec![0; count];
        table.places.iter().for_each(|at| shares[usize::from(*at)] += 1);
        shares
    }

    #[test]
    fn weights_are_shares() {
        let table = Maglev::new(&[("a", 1.0), ("b", 3.0), ("c", 6.0)]);
        let shares = shares(&table, 3);
        for (share, part) in shares.into_iter().zip([0.1, 0.3, 0.6]) {
            assert!((f64::from(share) / PLACES as f64 - part).abs() < 0.001, "{share}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn equal_shares_differ_by_one_place(count in 1_usize..80) {
            let names = named(count);
            let shares = shares(&Maglev::sized(&even(&names), 4099), count);
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", shares);
        }

        /// Besides what was the leaver's own, few change: below 2% for a table a hundred times as large
        /// as the list, as in figure 12 of the paper.
        #[test]
        fn one_that_leaves_disturbs_few_others(count in 3_usize..40, gone in any::<prop::sample::Index>()) {
            let names = named(count);
            let gone = gone.index(count);
            let before = Maglev::sized(&even(&names), 4099);
            let mut left = names.clone();
            left.remove(gone);
            let after = Maglev::sized(&even(&left), 4099);
            let name_before = |place: usize| &names[usize::from(before.places[place])];
            let name_after = |place: usize| &left[usize::from(after.places[place])];
            let stayed = (0..4099).filter(|place| *name_before(*place) != names[gone]);
            let moved = stayed.filter(|place| name_before(*place) != name_after(*place)).count();
            prop_assert!(moved < 4099 / 25, "{} of 4099 places moved for no reason", moved);
        }
    }
}
