//! What holds for every policy, and for the ring among its like.

use super::*;
use crate::rng::Rng;
use proptest::prelude::*;

struct Town {
    open: Vec<usize>,
    weights: Vec<f64>,
    in_flight: Vec<u32>,
}

impl Town {
    fn even(count: usize) -> Town {
        Town { open: (0..count).collect(), weights: vec![1.0; count], in_flight: vec![0; count] }
    }
}

impl View for Town {
    fn open(&self) -> Open<'_> {
        Open::Only(&self.open)
    }

    fn is_even(&self) -> bool {
        self.weights.windows(2).all(|two| two[0] == two[1])
    }

    fn weight(&self, at: usize) -> f64 {
        self.weights[at]
    }

    fn load(&self, at: usize) -> f64 {
        f64::from(self.in_flight[at]) / self.weights[at] + 1.0
    }

    fn in_flight(&self, at: usize) -> u32 {
        self.in_flight[at]
    }
}

const ALL: [BalanceConfig; 7] = [
    BalanceConfig::PeakEwma,
    BalanceConfig::LeastRequest { choices: 2 },
    BalanceConfig::LeastRequest { choices: 5 },
    BalanceConfig::RoundRobin,
    BalanceConfig::Random,
    BalanceConfig::RingHash,
    BalanceConfig::Maglev,
];

fn names(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("shop-{nth}")).collect()
}

fn balancer(config: BalanceConfig, rng: &mut Rng, names: &[String], weights: &[f64]) -> Balancer {
    let mut balancer = Balancer::new(config);
    let instances: Vec<(&str, f64)> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
    balancer.set_instances(rng, &instances);
    balancer
}

fn shares(config: BalanceConfig, town: &Town, tries: u32) -> Vec<f64> {
    let mut rng = Rng::new(9);
    let mut balancer = balancer(config, &mut rng, &names(town.weights.len()), &town.weights);
    let mut seen = vec![0.0; town.weights.len()];
    for _ in 0..tries {
        let key = rng.next_u64();
        seen[balancer.choose(&mut rng, town, Some(key)).unwrap()] += 1.0 / f64::from(tries);
    }
    seen
}

#[test]
fn equals_share_about_equally_by_every_policy() {
    for config in ALL {
        let off = if config == BalanceConfig::RingHash { 0.06 } else { 0.01 };
        let shares = shares(config, &Town::even(5), 50_000);
        assert!(shares.iter().all(|share| (share - 0.2).abs() < off), "{config:?}: {shares:?}");
    }
}

#[test]
fn idle_ones_get_the_share_of_their_weight_by_every_policy() {
    let town = Town { weights: vec![1.0, 2.0, 7.0], ..Town::even(3) };
    for config in ALL {
        let off = if config == BalanceConfig::RingHash { 0.06 } else { 0.01 };
        let shares = shares(config, &town, 50_000);
        let right = shares.iter().zip([0.1, 0.2, 0.7]).all(|(share, due)| (share - due).abs() < off);
        assert!(right, "{config:?}: {shares:?}");
    }
}

#[test]
fn the_fewest_in_flight_of_all_looked_at_get_it() {
    let town = Town { in_flight: vec![9, 3, 9, 9], ..Town::even(4) };
    let few = shares(BalanceConfig::LeastRequest { choices: 2 }, &town, 10_000)[1];
    assert!((few - 0.5).abs() < 0.02, "one of two different ones of four is it half of the time: {few}");
    assert!(shares(BalanceConfig::LeastRequest { choices: 40 }, &town, 1_000)[1] > 0.99);
}

#[test]
fn without_a_key_hashing_looks_at_the_load() {
    let town = Town { in_flight: vec![9, 0], ..Town::even(2) };
    let mut rng = Rng::new(2);
    for config in [BalanceConfig::RingHash, BalanceConfig::Maglev] {
        let mut balancer = balancer(config, &mut rng, &names(2), &town.weights);
        assert!((0..100).all(|_| balancer.choose(&mut rng, &town, None) == Some(1)));
    }
}

#[test]
fn a_place_does_not_depend_on_the_order_of_the_list() {
    let (forward, mut backward) = (names(7), names(7));
    backward.reverse();
    let mut rng = Rng::new(4);
    for config in [BalanceConfig::RingHash, BalanceConfig::Maglev] {
        let mut one = balancer(config, &mut rng, &forward, &[1.0; 7]);
        let mut other = balancer(config, &mut rng, &backward, &[1.0; 7]);
        for key in (0..500_u64).map(|key| hash::hash(&key.to_le_bytes())) {
            let at = one.choose(&mut rng, &Town::even(7), Some(key)).unwrap();
            assert_eq!(other.choose(&mut rng, &Town::even(7), Some(key)), Some(6 - at));
        }
    }
}

#[test]
fn who_weighs_nothing_has_no_place_and_takes_none_from_the_others() {
    let mut rng = Rng::new(4);
    let (three, four) = (names(3), [names(3), vec!["shop-1".to_owned()]].concat());
    for config in [BalanceConfig::RingHash, BalanceConfig::Maglev] {
        let mut alone = balancer(config, &mut rng, &three, &[1.0; 3]);
        let mut taken_over = balancer(config, &mut rng, &four, &[1.0, 0.0, 1.0, 1.0]);
        let mut nobody = balancer(config, &mut rng, &three, &[0.0; 3]);
        for key in (0..500_u64).map(|key| hash::hash(&key.to_le_bytes())) {
            let home =
                alone.choose(&mut rng, &Town::even(3), Some(key)).map(|at| if at == 1 { 3 } else { at });
            assert_eq!(taken_over.choose(&mut rng, &Town::even(4), Some(key)), home);
            assert!(nobody.choose(&mut rng, &Town::even(3), Some(key)).is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_not_open_is_never_chosen(
        seed: u64,
        closed in prop::collection::vec(any::<bool>(), 1..20),
        weights in prop::collection::vec(0.1..9.0_f64, 20),
    ) {
        let count = closed.len();
        let town = Town {
            open: (0..count).filter(|at| !closed[*at]).collect(),
            weights: weights[..count].to_vec(),
            in_flight: vec![0; count],
        };
        let mut rng = Rng::new(seed);
        for config in ALL {
            let mut balancer = balancer(config, &mut rng, &names(count), &town.weights);
            for key in 0..20 {
                let chosen = balancer.choose(&mut rng, &town, (key % 3 > 0).then(|| hash::hash(&[key])));
                prop_assert_eq!(chosen.is_none(), town.open.is_empty());
                prop_assert!(chosen.is_none_or(|at| town.open.contains(&at)), "{:?}", config);
            }
        }
    }

    /// A key stays where it was for as long as that is open, and comes back to it.
    #[test]
    fn keys_of_the_others_do_not_move_when_one_closes(count in 2_usize..20, closed in any::<prop::sample::Index>()) {
        let closed = closed.index(count);
        let mut rng = Rng::new(1);
        let all = Town::even(count);
        let without = Town { open: (0..count).filter(|at| *at != closed).collect(), ..Town::even(count) };
        for config in [BalanceConfig::RingHash, BalanceConfig::Maglev] {
            let mut balancer = balancer(config, &mut rng, &names(count), &all.weights);
            for key in (0..200_u64).map(|key| hash::hash(&key.to_le_bytes())) {
                let home = balancer.choose(&mut rng, &all, Some(key));
                let now = balancer.choose(&mut rng, &without, Some(key));
                prop_assert_eq!(now == home, home != Some(closed));
                prop_assert_eq!(balancer.choose(&mut rng, &without, Some(key)), now);
                prop_assert_eq!(balancer.choose(&mut rng, &all, Some(key)), home);
            }
        }
    }

    /// On a ring nothing moves but what was the leaver's, and that is about its share. Read backwards: who
    /// comes takes only what becomes its own.
    #[test]
    fn a_ring_moves_no_more_than_the_share_of_who_leaves(count in 2_usize..30, gone in any::<prop::sample::Index>()) {
        let gone = gone.index(count);
        let names = names(count);
        let mut left = names.clone();
        left.remove(gone);
        let mut rng = Rng::new(1);
        let mut before = balancer(BalanceConfig::RingHash, &mut rng, &names, &vec![1.0; count]);
        let mut after = balancer(BalanceConfig::RingHash, &mut rng, &left, &vec![1.0; count - 1]);
        let mut moved = 0;
        for key in (0..2000_u64).map(|key| hash::hash(&key.to_le_bytes())) {
            let was = &names[before.choose(&mut rng, &Town::even(count), Some(key)).unwrap()];
            let is = &left[after.choose(&mut rng, &Town::even(count - 1), Some(key)).unwrap()];
            moved += u32::from(was != is);
            prop_assert!(was == is || *was == names[gone]);
        }
        prop_assert!(f64::from(moved) < 2000.0 / count as f64 * 1.6 + 20.0, "{} of 2000 with {}", moved, count);
    }
}
