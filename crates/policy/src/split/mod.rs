//! Traffic split: which of several sides gets a request.
//!
//! The sides lie in their order on a line from 0 to 1, each as long as its weight; a request is a
//! [`Point`] on it. Drawn by chance, points make shares of the traffic. Made of something that a user
//! brings along, the same user comes to the same side, and whoever shifts the border between two
//! neighbours moves just those who lie between the old border and the new one.

use crate::rng::Rng;

/// Sides by their weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Where each side ends, in parts of the whole.
    ends: Vec<u64>,
}

/// Where a request lies on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point(u64);

impl Point {
    /// Anywhere.
    #[inline]
    pub fn random(rng: &mut Rng) -> Point {
        Point(rng.next_u64())
    }

    /// Always the same for the same hash, and not where a balancer that chooses by the same hash has it:
    /// one side's users spread over all of its instances.
    #[inline]
    pub fn of(hash: u64) -> Point {
        Point(Rng::new(hash).next_u64())
    }
}

impl Split {
    /// Sides of these weights, of which a zero gets nothing.
    ///
    /// # Errors
    /// A sentence, if no side gets anything, or all together more than can be counted.
    pub fn new(weights: &[u64]) -> Result<Split, String> {
        let mut end = 0_u64;
        let ends = weights.iter().map(|weight| {
            end = end.checked_add(*weight).ok_or_else(|| "the weights are too large".to_owned())?;
            Ok(end)
        });
        let ends = ends.collect::<Result<Vec<u64>, String>>()?;
        match end {
            0 => Err("no side gets anything".to_owned()),
            _ => Ok(Split { ends }),
        }
    }

    /// The side that a point lies in.
    #[inline]
    pub fn side(&self, point: Point) -> usize {
        let at = ((u128::from(point.0) * u128::from(self.whole())) >> 64) as u64;
        self.ends.partition_point(|end| *end <= at)
    }

    /// The part of the whole that a side gets, 0 to 1.
    pub fn share(&self, side: usize) -> f64 {
        let before = side.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.ends[side] - before) as f64 / self.whole() as f64
    }

    fn whole(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::hash::hash;
    use crate::rng::Rng;
    use proptest::prelude::*;

    const POINTS: u64 = 10_000;

    /// Points at equal distances over the whole line.
    fn line() -> impl Iterator<Item = Point> {
        (0..POINTS).map(|at| Point(u64::MAX / POINTS * at + u64::MAX / POINTS / 2))
    }

    fn split(weights: &[u64]) -> Split {
        Split::new(weights).unwrap()
    }

    #[test]
    fn a_side_gets_its_share_and_a_zero_nothing() {
        let split = split(&[0, 90, 0, 10, 0]);
        let mut got = [0; 5];
        line().for_each(|point| got[split.side(point)] += 1);
        assert_eq!(got, [0, 9000, 0, 1000, 0]);
        assert_eq!([0, 1, 3].map(|side| split.share(side)), [0.0, 0.9, 0.1]);
        assert_eq!([split.side(Point(0)), split.side(Point(u64::MAX))], [1, 3]);
    }

    #[test]
    fn what_goes_nowhere_is_no_split() {
        assert!(Split::new(&[]).is_err() && Split::new(&[0, 0]).is_err());
        assert!(Split::new(&[u64::MAX, 1]).is_err());
        assert_eq!(split(&[u64::MAX]).side(Point(u64::MAX)), 0);
    }

    #[test]
    fn users_with_ordinary_names_spread_by_the_weights() {
        let split = split(&[9, 1]);
        let second = (0..20_000).filter(|n| split.side(Point::of(hash(format!("user-{n}").as_bytes()))) == 1);
        let second = second.count();
        assert!((1_800..2_200).contains(&second), "{second}");
    }

    proptest! {
        #[test]
        fn chance_keeps_to_the_weights(seed: u64, weights in prop::collection::vec(0_u64..1000, 1..6)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let (split, mut rng) = (split(&weights), Rng::new(seed));
            let mut got = vec![0_u64; weights.len()];
            (0..POINTS).for_each(|_| got[split.side(Point::random(&mut rng))] += 1);
            for (side, got) in got.into_iter().enumerate() {
                let (p, n) = (split.share(side), POINTS as f64);
                // Six times the binomial's deviation.
                prop_assert!((got as f64 - n * p).abs() <= 6.0 * (n * p * (1.0 - p)).sqrt(), "{} of {}", got, p);
            }
        }

        #[test]
        fn the_same_user_comes_to_the_same_side(user: u64, weights in prop::collection::vec(1_u64..1000, 1..6)) {
            let (one, two) = (split(&weights), split(&weights));
            prop_assert_eq!(one.side(Point::of(user)), two.side(Point::of(user)));
            let tenfold: Vec<u64> = weights.iter().map(|weight| weight * 10).collect();
            prop_assert_eq!(one.side(Point::of(user)), split(&tenfold).side(Point::of(user)), "weights are relative");
        }

        #[test]
        fn raising_a_weight_moves_its_difference_and_nobody_else(
            before in 0_u64..=100, after in 0_u64..=100, others in prop::collection::vec(0_u64..50, 0..4),
        ) {
            // Two neighbours of 100 parts together, between others.
            let sides = |second: u64| split(&[&others[..], &[100 - second, second], &others[..]].concat());
            let (from, to) = (sides(before), sides(after));
            let (first, second) = (others.len(), others.len() + 1);
            let way = if after > before { (first, second) } else { (second, first) };
            let moved = line().filter(|point| from.side(*point) != to.side(*point));
            let mut count = 0;
            for point in moved {
                prop_assert_eq!((from.side(point), to.side(point)), way);
                count += 1;
            }
            let whole = 100 + 2 * others.iter().sum::<u64>();
            let expected = POINTS as f64 * before.abs_diff(after) as f64 / whole as f64;
            prop_assert!((f64::from(count) - expected).abs() <= 1.0, "{} instead of {}", count, expected);
        }
    }
}
