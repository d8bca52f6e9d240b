//! How much memory Colony has, over time.

use std::time::Duration;

use super::world::World;
use crate::harness::Result;

/// One look a second.
const EVERY: Duration = Duration::from_secs(1);

/// Resident sizes in KiB, in the order of time.
#[derive(Default)]
pub struct Memory {
    looked: Duration,
    pub kib: Vec<u64>,
}

impl Memory {
    pub fn look(&mut self, now: Duration, world: &World) -> Result<()> {
        if now >= self.looked {
            self.looked = now + EVERY;
            self.kib.push(world.rss_kib()?);
        }
        Ok(())
    }

    /// Medians of the second and of the last fifth of the time: the first one warms up.
    pub fn early_and_late(&self) -> (u64, u64) {
        let fifth = self.kib.len() / 5;
        let part = |at: usize| median(&self.kib[at * fifth..(at + 1) * fifth]);
        (part(1), part(4))
    }

    pub fn most(&self) -> u64 {
        self.kib.iter().copied().max().unwrap_or(0)
    }
}

fn median(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_is_after_the_warm_up() {
        let memory = Memory { looked: Duration::ZERO, kib: vec![1, 1, 5, 5, 9, 9, 9, 9, 7, 7] };
        assert_eq!((memory.early_and_late(), memory.most()), ((5, 7), 9));
        assert_eq!(Memory::default().early_and_late(), (0, 0));
    }
}
