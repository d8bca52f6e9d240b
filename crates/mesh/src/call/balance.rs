//! What a choice sees of an upstream's instances on one core, and the balancer of a call that wants
//! another than the default one, or wants newcomers to start slowly.

use std::cell::{Cell, RefCell};
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
            let id = |at: usize| seen.instances[at].shared.endpoint.id.as_str();
            let named: Vec<(&str, f64)> =
                (0..seen.instances.len()).map(|at| (id(at), seen.rank(at))).collect();
            machine.set_instances(rng, &named);
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
