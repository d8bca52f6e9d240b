//! What is done to the shop while it is open.

use std::collections::BTreeMap;
use std::fmt;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// `kill -9` of one instance. Of services that are only read from: what else was on its way to one that is killed
    /// may have been done, and nobody may repeat it.
    Kill(&'static str),
    /// A rolling restart. The shop keeps carts and orders in memory, so these would be lost with `cart` and `checkout`.
    Restart(&'static str),
    /// To another number of instances.
    Scale(&'static str, u32),
    /// The manifest changes: a limit of the front door is another.
    Reload,
    /// A fault on a call, as options of `colony fault add`. Its share of tries is such that a retry saves it.
    Fault(&'static str, &'static [&'static str]),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Kill(service) => write!(f, "kill -9 of an instance of {service}"),
            Trouble::Restart(service) => write!(f, "restart of {service}"),
            Trouble::Scale(service, count) => write!(f, "scale {service} to {count}"),
            Trouble::Reload => write!(f, "reload with another manifest"),
            Trouble::Fault(call, options) => write!(f, "fault on {call}: {}", options.join(" ")),
        }
    }
}

impl Trouble {
    /// For the count.
    fn kind(self) -> &'static str {
        match self {
            Trouble::Kill(_) => "killed instances",
            Trouble::Restart(_) => "restarts",
            Trouble::Scale(..) => "changes of scale",
            Trouble::Reload => "reloads",
            Trouble::Fault(..) => "faults",
        }
    }
}

const ALL: [Trouble; 16] = [
    Trouble::Kill("catalog"),
    Trouble::Reload,
    Trouble::Kill("storefront"),
    Trouble::Fault("storefront -> catalog", &["--reset", "--percent", "1", "--for", "20s"]),
    Trouble::Restart("recommendations"),
    Trouble::Scale("catalog", 3),
    Trouble::Kill("recommendations"),
    Trouble::Fault("gateway /api/catalog/**", &["--abort", "503", "--percent", "1", "--for", "20s"]),
    Trouble::Reload,
    Trouble::Restart("catalog"),
    Trouble::Fault("recommendations", &["--abort", "500", "--percent", "50", "--for", "15s"]),
    Trouble::Kill("catalog"),
    Trouble::Fault("cart -> catalog", &["--delay", "50ms-150ms", "--percent", "20", "--for", "20s"]),
    Trouble::Scale("catalog", 2),
    Trouble::Restart("storefront"),
    Trouble::Fault("gateway /**", &["--slow-body", "200KiB/s", "--percent", "5", "--for", "15s"]),
];

/// They come in rounds, each in an order of its own.
pub struct Troubles {
    state: u64,
    left: Vec<Trouble>,
    made: BTreeMap<&'static str, u32>,
}

impl Troubles {
    pub fn new(seed: u64) -> Troubles {
        Troubles { state: seed, left: Vec::new(), made: BTreeMap::new() }
    }

    pub fn next(&mut self) -> Trouble {
        if self.left.is_empty() {
            self.left = ALL.to_vec();
        }
        let at = self.random() as usize % self.left.len();
        let trouble = self.left.swap_remove(at);
        *self.made.entry(trouble.kind()).or_default() += 1;
        trouble
    }

    /// How many of each kind.
    pub fn made(&self) -> BTreeMap<&'static str, u32> {
        self.made.clone()
    }

    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_each_once_and_a_seed_its_order() {
        let order = |seed| {
            let mut troubles = Troubles::new(seed);
            let round: Vec<Trouble> = (0..ALL.len()).map(|_| troubles.next()).collect();
            assert_eq!(troubles.made().values().sum::<u32>() as usize, ALL.len());
            round
        };
        let first = order(1);
        assert!(ALL.iter().all(|one| {
            let count = |all: &[Trouble]| all.iter().filter(|other| *other == one).count();
            count(&first) == count(&ALL)
        }));
        assert_eq!(first, order(1));
        assert_ne!(first, order(2));
    }
}
