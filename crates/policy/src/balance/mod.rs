//! Which instance gets the next request.
//!
//! | [`BalanceConfig`] | chooses | after |
//! |---|---|---|
//! | `PeakEwma` | of two picked by chance the one with the shorter expected wait | Finagle, Linkerd |
//! | `LeastRequest` | of some picked by chance the one with the fewest in flight | Envoy |
//! | `RoundRobin` | one after the other, by weight | nginx |
//! | `Random` | by chance, by weight | |
//! | `RingHash` | where the request's key lies on a ring | Karger et al. 1997, Ketama |
//! | `Maglev` | what a table says of the request's key | Eisenbud et al. 2016 |
//!
//! All of them choose only among what is open: what is ejected or has just failed is not, and where
//! nothing is open there is no choice. A request without a key is balanced as by `PeakEwma`. Whether it
//! stays in its zone is decided before, by [`zone::ZonePreference`], and by the key where there is one.

mod chance;
pub mod ewma;
pub mod hash;
pub mod maglev;
pub mod ring;
pub mod round_robin;
pub mod slow_start;
pub mod zone;

pub use chance::{choose, least_of, weighted};

use crate::rng::Rng;
use maglev::Maglev;
use ring::Ring;
use round_robin::RoundRobin;

/// How to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BalanceConfig {
    /// Power of two choices on peak EWMA. The default.
    #[default]
    PeakEwma,
    /// Fewest requests in flight among so many picked by chance. Default 2, as Envoy; 1 and 0 are `Random`.
    LeastRequest {
        /// How many are looked at.
        choices: u32,
    },
    /// One after the other.
    RoundRobin,
    /// By chance.
    Random,
    /// Consistent hashing on a ring.
    RingHash,
    /// Consistent hashing by Maglev's table.
    Maglev,
}

impl BalanceConfig {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            BalanceConfig::PeakEwma => "p2c-ewma",
            BalanceConfig::LeastRequest { .. } => "least-request",
            BalanceConfig::RoundRobin => "round-robin",
            BalanceConfig::Random => "random",
            BalanceConfig::RingHash => "ring-hash",
            BalanceConfig::Maglev => "maglev",
        }
    }
}

/// The positions that a choice may fall on.
#[derive(Clone, Copy, Debug)]
pub enum Open<'a> {
    /// The first so many: all there are.
    All(usize),
    /// These, in rising order.
    Only(&'a [usize]),
}

impl Open<'_> {
    /// How many.
    pub fn len(self) -> usize {
        match self {
            Open::All(count) => count,
            Open::Only(positions) => positions.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The position of the nth.
    pub fn nth(self, nth: usize) -> usize {
        match self {
            Open::All(_) => nth,
            Open::Only(positions) => positions[nth],
        }
    }

    /// Whether a position is among them.
    pub fn has(self, at: usize) -> bool {
        match self {
            Open::All(count) => at < count,
            Open::Only(positions) => positions.binary_search(&at).is_ok(),
        }
    }
}

/// The instances as they are at the moment of a choice, by position.
pub trait View {
    /// Those that may be chosen.
    fn open(&self) -> Open<'_>;
    /// Whether all have the same weight, so that nobody need ask for each.
    fn is_even(&self) -> bool;
    /// The share that an instance is to get, in proportion to the others'. MUST be above zero.
    fn weight(&self, at: usize) -> f64;
    /// The expected wait at an instance; see [`ewma::PeakEwma::weighted_load`].
    fn load(&self, at: usize) -> f64;
    /// Requests in flight at an instance.
    fn in_flight(&self, at: usize) -> u32;
}

/// A policy with what it must remember. [`Balancer::set_instances`] MUST be told whenever the list
/// changes that positions refer to.
#[derive(Clone, Debug)]
pub struct Balancer {
    config: BalanceConfig,
    memory: Memory,
}

#[derive(Clone, Debug)]
enum Memory {
    Nothing,
    Turns(RoundRobin),
    Ring(Ring),
    Maglev(Maglev),
}

impl Balancer {
    /// Without instances yet.
    pub fn new(config: BalanceConfig) -> Balancer {
        Balancer { config, memory: Memory::Nothing }
    }

    /// Says which instances there are, by a name that outlives a restart, and how much each weighs; of
    /// weight zero: none of the keys.
    /// For the hashing policies this builds a table: up to some milliseconds.
    pub fn set_instances(&mut self, rng: &mut Rng, instances: &[(&str, f64)]) {
        self.memory = match self.config {
            BalanceConfig::PeakEwma | BalanceConfig::Random | BalanceConfig::LeastRequest { .. } => {
                Memory::Nothing
            }
            BalanceConfig::RoundRobin => Memory::Turns(RoundRobin::new(rng, instances.len())),
            BalanceConfig::RingHash => Memory::Ring(Ring::new(instances)),
            BalanceConfig::Maglev => Memory::Maglev(Maglev::new(instances)),
        };
    }

    /// The position of the instance that gets a request whose key has this hash. None: none is open.
    pub fn choose(&mut self, rng: &mut Rng, view: &impl View, key: Option<u64>) -> Option<usize> {
        let open = view.open();
        if open.len() < 2 {
            return (open.len() == 1).then(|| open.nth(0));
        }
        let placed = match (&mut self.memory, key) {
            (Memory::Turns(turns), _) => turns.next(open, |at| view.weight(at)),
            (Memory::Ring(ring), Some(key)) => ring.find(key, |at| open.has(at)),
            (Memory::Maglev(maglev), Some(key)) => maglev.find(key, |at| open.has(at)),
            _ => None,
        };
        placed.or_else(|| self.by_chance(rng, view))
    }

    fn by_chance(&self, rng: &mut Rng, view: &impl View) -> Option<usize> {
        match self.config {
            BalanceConfig::Random => least_of(rng, view, 1, |_| 0.0),
            BalanceConfig::LeastRequest { choices } => {
                let load = |at| f64::from(view.in_flight(at)) / view.weight(at);
                least_of(rng, view, choices, load)
            }
            _ => least_of(rng, view, 2, |at| view.load(at)),
        }
    }
}

#[cfg(test)]
mod tests;
