//! One after the other: the smooth weighted round robin of nginx. Each choice
//! credits every open instance with its weight and takes the sum from the one that has most. So
//! in as many choices as there are equals each is chosen once, and a heavy one's turns are spread out.

use crate::balance::Open;
use crate::rng::Rng;

/// Whose turn it is.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    credits: Vec<f64>,
}

impl RoundRobin {
    /// Over so many instances, beginning anywhere: the cores must not all begin with the same one.
    pub fn new(rng: &mut Rng, count: usize) -> RoundRobin {
        RoundRobin { credits: (0..count).map(|_| rng.unit() * HEAD_START_MAX).collect() }
    }

    /// The position whose turn it is. None: none is open. Open positions MUST be of the list's length.
    pub fn next(&mut self, open: Open<'_>, weight: impl Fn(usize) -> f64) -> Option<usize> {
        let mut total = 0.0;
        let mut first: Option<usize> = None;
        for at in (0..open.len()).map(|nth| open.nth(nth)) {
            let weight = weight(at);
            total += weight;
            self.credits[at] += weight;
            if first.is_none_or(|first| self.credits[at] > self.credits[first]) {
                first = Some(at);
            }
        }
        self.credits[first?] -= total;
        first
    }
}

/// Less than the weight of anyone, or the first turns would not be fair.
const HEAD_START_MAX: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    #[test]
    fn a_heavy_one_has_its_turns_spread_out() {
        let mut turns = RoundRobin { credits: vec![0.0; 3] };
        let weights = [5.0, 1.0, 1.0];
        let mut seven =
            || (0..7).map(|_| turns.next(Open::All(3), |at| weights[at]).unwrap()).collect::<Vec<_>>();
        assert_eq!(seven(), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(seven(), [0, 0, 1, 0, 2, 0, 0]);
    }

    proptest! {
        #[test]
        fn every_round_has_each_once(seed: u64, count in 1_usize..30, rounds in 1_usize..20) {
            let mut turns = RoundRobin::new(&mut Rng::new(seed), count);
            for _ in 0..rounds {
                let mut round: Vec<usize> =
                    (0..count).map(|_| turns.next(Open::All(count), |_| 1.0).unwrap()).collect();
                round.sort_unstable();
                prop_assert_eq!(round, (0..count).collect::<Vec<_>>());
            }
        }

        #[test]
        fn nobody_is_ever_a_turn_off_its_share(seed: u64, weights in prop::collection::vec(1_u32..50, 1..12)) {
            let mut turns = RoundRobin::new(&mut Rng::new(seed), weights.len());
            let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let mut seen = vec![0.0; weights.len()];
            for step in 1..300 {
                seen[turns.next(Open::All(weights.len()), |at| f64::from(weights[at])).unwrap()] += 1.0;
                for (seen, weight) in seen.iter().zip(&weights) {
                    let due = f64::from(step) * f64::from(*weight) / total;
                    prop_assert!((seen - due).abs() < weights.len() as f64, "{} of {}", seen, due);
                }
            }
        }
    }
}
