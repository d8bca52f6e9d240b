//! Chance from a seed, so that a run can be repeated: xoshiro256++ by Blackman and Vigna
//! ("Scrambled linear pseudorandom number generators", ACM TOMS 47, 2021), its state filled by
//! splitmix64 as its authors advise. Not for secrets.

/// A small seeded generator: 32 bytes, about a nanosecond a number.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of this seed; any seed is good, zero too.
    pub fn new(seed: u64) -> Rng {
        let mut weyl = seed;
        Rng { state: std::array::from_fn(|_| splitmix64(&mut weyl)) }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A whole number in `[0, n)`, each as likely as the other (Lemire, "Fast random integer
    /// generation in an interval", ACM TOMACS 29, 2019).
    ///
    /// # Panics
    ///
    /// When `n` is zero: there is nothing to choose from.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "cannot choose a number below zero");
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let unfair = n.wrapping_neg() % n;
            while (product as u64) < unfair {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A number in `[0, 1)` with 53 random bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}

fn splitmix64(weyl: &mut u64) -> u64 {
    *weyl = weyl.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *weyl;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    #[test]
    fn follows_the_reference_vectors() {
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let first: [u64; 4] = std::array::from_fn(|_| rng.next_u64());
        assert_eq!(first, [41943041, 58720359, 3588806011781223, 3591011842654386]);

        let mut weyl = 1234567;
        assert_eq!(splitmix64(&mut weyl), 6457827717110365317);
        assert_eq!(splitmix64(&mut weyl), 3203168211198807973);
    }

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let (mut one, mut two) = (Rng::new(7), Rng::new(7));
        assert!((0..100).all(|_| one.next_u64() == two.next_u64()));
        assert_ne!(Rng::new(7).next_u64(), Rng::new(8).next_u64());
    }

    #[test]
    fn every_number_below_comes_about_equally_often() {
        let mut rng = Rng::new(1);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[rng.below(6) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(seed: u64, n in 1_u64..) {
            let mut rng = Rng::new(seed);
            prop_assert!(rng.below(n) < n);
            let unit = rng.unit();
            prop_assert!((0.0..1.0).contains(&unit));
        }
    }
}
