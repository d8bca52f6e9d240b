//! Choice by chance, and the better of some picked by chance: the power of two choices after
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (IEEE TPDS 12, 2001), close to
//! the best of all at the price of two looks, and without every caller running to the same one.
//!
//! Weights decide who is looked at, load then decides among those. So of instances that are equally
//! loaded each gets the share of its weight, and one that weighs little gets few however idle it is.

use crate::balance::View;
use crate::rng::Rng;

/// The index in `0..n` of the less loaded of two different endpoints picked by chance; none of
/// nothing. A single endpoint is chosen without a look or a random number.
#[inline]
pub fn choose(rng: &mut Rng, n: usize, mut load: impl FnMut(usize) -> f64) -> Option<usize> {
    if n < 2 {
        return (n == 1).then_some(0);
    }
    let one = rng.below(n as u64) as usize;
    let other = match rng.below(n as u64 - 1) as usize {
        before if before < one => before,
        after => after + 1,
    };
    Some(if load(other) < load(one) { other } else { one })
}

/// The position of the least loaded of `choices` open ones picked by chance, the first of equals. Two of
/// even weight are two different ones; otherwise one may be picked more than once, as in Envoy.
pub fn least_of(rng: &mut Rng, view: &impl View, choices: u32, load: impl Fn(usize) -> f64) -> Option<usize> {
    let open = view.open();
    if choices == 2 && view.is_even() {
        return choose(rng, open.len(), |nth| load(open.nth(nth))).map(|nth| open.nth(nth));
    }
    let mut best = None;
    for _ in 0..choices.max(1) {
        let at = pick(rng, view)?;
        let loaded = if choices > 1 { load(at) } else { 0.0 };
        if best.is_none_or(|(_, least)| loaded < least) {
            best = Some((at, loaded));
        }
    }
    best.map(|(at, _)| at)
}

/// One open position by chance and weight.
fn pick(rng: &mut Rng, view: &impl View) -> Option<usize> {
    let open = view.open();
    if view.is_even() {
        return (!open.is_empty()).then(|| open.nth(rng.below(open.len() as u64) as usize));
    }
    weighted(rng, open.len(), |nth| view.weight(open.nth(nth))).map(|nth| open.nth(nth))
}

/// The index in `0..n` picked by chance in proportion to its weight; none of nothing.
pub fn weighted(rng: &mut Rng, n: usize, weight: impl Fn(usize) -> f64) -> Option<usize> {
    let total: f64 = (0..n).map(&weight).sum();
    let mut left = rng.unit() * total;
    for at in 0..n {
        left -= weight(at);
        if left < 0.0 {
            return Some(at);
        }
    }
    // Rounding may leave a last crumb.
    n.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    #[test]
    fn the_slow_one_gets_few() {
        let loads = [1.0, 1.0, 1.0, 50.0];
        let mut rng = Rng::new(11);
        let chosen = |_| choose(&mut rng, 4, |i| loads[i]);
        assert!((0..10_000).map(chosen).all(|index| index.is_some_and(|index| index < 3)));
    }

    #[test]
    fn equals_share_equally() {
        let mut rng = Rng::new(5);
        let mut seen = [0_u32; 5];
        for _ in 0..50_000 {
            seen[choose(&mut rng, 5, |_| 1.0).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
    }

    #[test]
    fn one_is_taken_unseen_and_none_is_none() {
        let mut rng = Rng::new(1);
        assert_eq!(choose(&mut rng, 0, |_| unreachable!()), None);
        assert_eq!(choose(&mut rng, 1, |_| unreachable!()), Some(0));
        assert_eq!(rng.next_u64(), Rng::new(1).next_u64());
        assert_eq!(weighted(&mut rng, 0, |_| 1.0), None);
    }

    #[test]
    fn weights_are_shares() {
        let mut rng = Rng::new(3);
        let weights = [1.0, 2.0, 7.0];
        let mut seen = [0.0; 3];
        for _ in 0..100_000 {
            seen[weighted(&mut rng, 3, |at| weights[at]).unwrap()] += 1e-4;
        }
        assert!(seen.iter().zip(weights).all(|(share, weight)| (share - weight).abs() < 0.1), "{seen:?}");
    }

    proptest! {
        #[test]
        fn picks_the_better_of_two_valid_ones(seed: u64, loads in prop::collection::vec(0.0..1e9, 2..40)) {
            let mut looked = Vec::new();
            let mut look = |i: usize| { looked.push(i); loads[i] };
            let chosen = choose(&mut Rng::new(seed), loads.len(), &mut look).unwrap();
            prop_assert!(chosen < loads.len());
            prop_assert_eq!(looked.len(), 2);
            prop_assert_ne!(looked[0], looked[1]);
            prop_assert!(looked.contains(&chosen));
            prop_assert!(looked.iter().all(|&i| loads[chosen] <= loads[i]));
        }
    }
}
