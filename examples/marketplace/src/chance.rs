//! Randomness: ids nobody guesses and dice that can be seeded.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `prefix-` and 16 letters and digits that won't come twice.
///
/// 80 bits from the standard library's hash keys, which the operating system seeds.
pub fn id(prefix: &str) -> String {
    let mut text = String::with_capacity(prefix.len() + 17);
    text.push_str(prefix);
    text.push('-');
    for _ in 0..2 {
        let bits = RandomState::new().build_hasher().finish();
        text.extend((0..8).map(|i| char::from(ALPHABET[(bits >> (i * 5)) as usize & 31])));
    }
    text
}

/// A small generator: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
pub struct Dice(u64);

impl Dice {
    /// The same seed throws the same numbers.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// A seed from the operating system.
    pub fn random() -> Self {
        Dice::new(RandomState::new().build_hasher().finish())
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A share, from 0 up to but not including 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Crockford's base 32, lower case: no letter looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| id("o")).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|i| i.len() == 18));
    }

    #[test]
    fn shares_spread_evenly() {
        let mut dice = Dice::new(7);
        let low = (0..10_000).filter(|_| dice.share() < 0.3).count();
        assert!((2_800..3_200).contains(&low), "{low}");
    }
}
