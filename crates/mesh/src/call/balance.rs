//! What a choice sees of an upstream's instances on one core, and the balancer of a call that wants
//! another than the default one, or wants newcomers to start slowly.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use policy::{Balancer, Open, Rng, SlowStart, Time, View, balance};

use crate::config;
use crate::upstream::{LocalInstance, LocalUpstream};

/// The balancer, and the list of instances that it knows.
pub(crate) struct LocalBalancer {
    machine: RefCell<Balancer>,
    /// Version of that list.
    told: Cell<u64>,
    slow_start: Option<SlowStart>,
}

impl LocalBalancer {
    /// None: the default, which needs to remember nothing.
    pub(crate) fn new(config: &config::Balance) -> Option<LocalBalancer> {
        let slow_start = config.slow_start.filter(|slow_start| !slow_start.window.is_zero());
        (config.policy != policy::BalanceConfig::default() || slow_start.is_some()).then(|| LocalBalancer {
            machine: RefCell::new(Balancer::new(config.policy)),
            told: Cell::new(u64::MAX),
            slow_start,
        })
    }

    /// The position of the instance that gets a request with this key.
    pub(super) fn choose(
        &self,
        rng: &mut Rng,
        upstream: &LocalUpstream,
        seen: &Seen<'_>,
        key: Option<u64>,
    ) -> Option<usize> {
        let mut machine = self.machine.borrow_mut();
        if self.told.replace(upstream.version()) != upstream.version() {
            machine.set_instances(rng, &seen.placed());
        }
        machine.choose(rng, seen, key)
    }

    /// How newcomers start, while there are some.
    pub(super) fn starting(&self, upstream: &LocalUpstream, now: Time) -> Option<SlowStart> {
        self.slow_start.filter(|slow_start| now.since(upstream.newest()) < slow_start.window)
    }
}

/// The instances at the moment of a choice.
pub(super) struct Seen<'a> {
    pub(super) instances: &'a [Rc<LocalInstance>],
    pub(super) open: Open<'a>,
    pub(super) now: Time,
    /// Some are new, and start so.
    pub(super) starting: Option<SlowStart>,
    /// Weights differ, and this is the largest.
    pub(super) heaviest: Option<u16>,
}

impl Seen<'_> {
    /// By the default policy.
    pub(super) fn choose(&self, rng: &mut Rng) -> Option<usize> {
        balance::least_of(rng, self, 2, |at| self.load(at))
    }

    /// The slots with what each weighs: nothing where a later instance has taken it over.
    fn placed(&self) -> Vec<(&str, f64)> {
        let slot = |at: usize| {
            let endpoint = &self.instances[at].shared.endpoint;
            (endpoint.slot.as_str(), endpoint.origin)
        };
        let key = |at: usize| self.instances[at].shared.key;
        let all = || 0..self.instances.len();
        let mut latest: HashMap<(&str, usize), u64> = HashMap::with_capacity(self.instances.len());
        for at in all() {
            let latest = latest.entry(slot(at)).or_default();
            *latest = key(at).max(*latest);
        }
        let weight = |at: usize| if latest[&slot(at)] == key(at) { self.rank(at) } else { 0.0 };
        all().map(|at| (slot(at).0, weight(at))).collect()
    }

    /// What an instance that is not new weighs, the heaviest being 1. One of weight zero gets next to
    /// nothing where others get more (RFC 2782).
    fn rank(&self, at: usize) -> f64 {
        let Some(heaviest) = self.heaviest else { return 1.0 };
        f64::from(self.instances[at].shared.weight()).max(WEIGHT_MIN) / f64::from(heaviest)
    }
}

impl View for Seen<'_> {
    fn open(&self) -> Open<'_> {
        self.open
    }

    fn is_even(&self) -> bool {
        self.starting.is_none() && self.heaviest.is_none()
    }

    fn weight(&self, at: usize) -> f64 {
        match &self.starting {
            None => self.rank(at),
            Some(start) => self.rank(at) * start.factor(self.now.since(self.instances[at].shared.since)),
        }
    }

    fn load(&self, at: usize) -> f64 {
        self.instances[at].load(self.now, self.weight(at))
    }

    fn in_flight(&self, at: usize) -> u32 {
        self.instances[at].in_flight()
    }
}

/// What a weight of zero counts as.
const WEIGHT_MIN: f64 = 0.01;
