//! Which shard a thing belongs to.

use xxhash_rust::xxh64::Xxh64;

/// A shard's number, from zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u32);

/// How many shards there are. Fixed when the data is created, for keys are placed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(u32);

impl Shards {
    /// `count` of them.
    ///
    /// # Errors
    ///
    /// If there would be none, or more than [`SHARDS_MAX`].
    pub fn new(count: u32) -> Result<Shards, String> {
        match count {
            1..=SHARDS_MAX => Ok(Shards(count)),
            _ => Err(format!("{count} shards: there must be 1 to {SHARDS_MAX}")),
        }
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.0
    }

    /// All of them.
    pub fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.0).map(Shard)
    }

    /// The shard of what `parts` name together: the same parts, the same shard, on every machine.
    pub fn of(self, parts: &[&[u8]]) -> Shard {
        let mut hash = Xxh64::new(0);
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        // Multiplied rather than divided, which takes the well-mixed high bits (Lemire, "Fast random
        // integer generation in an interval", 2019).
        Shard(((u128::from(hash.digest()) * u128::from(self.0)) >> 64) as u32)
    }
}

/// The most shards there can be.
pub const SHARDS_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_never_changes() {
        let shards = Shards::new(16).expect("16 is allowed");
        let placed: Vec<u32> = (0..8).map(|key| shards.of(&[b"topic", &[key]]).0).collect();
        assert_eq!(placed, PLACED, "data that is stored would be looked for elsewhere");
    }

    #[test]
    fn parts_do_not_run_together() {
        let shards = Shards::new(SHARDS_MAX).expect("the most is allowed");
        assert_ne!(shards.of(&[b"ab", b"c"]), shards.of(&[b"a", b"bc"]));
    }

    const PLACED: [u32; 8] = [14, 2, 10, 13, 2, 11, 7, 6];
}
