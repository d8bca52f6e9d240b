//! Outlier ejection: an instance that keeps failing while others don't is left out of balancing for
//! a while. Semantics of Envoy's outlier detection by consecutive failures.
//!
//! Each ejection of the same instance lasts `base` longer than the one before, up to `max`; each
//! `base` that it then serves in peace takes one step back. Never are more than the ceiling out at
//! once, and never all of them: an upstream that is ill as a whole is the breaker's business.
//!
//! What an ejected instance still answers to requests from before is not counted. It comes back with
//! a clean record.

use std::time::Duration;

use crate::time::{Time, nanos};

/// When to eject and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EjectionConfig {
    /// Failures in a row that eject an instance. Default 5, as Envoy; zero: nothing is ejected.
    pub failures: u32,
    /// How long a first ejection lasts. Default 10 s (Envoy: 30 s); zero: nothing is ejected.
    pub base: Duration,
    /// The longest ejection. Default 300 s, as Envoy; below `base` it counts as `base`.
    pub max: Duration,
    /// The share of instances, 0 to 1, that may be out at once: rounded down but at least one, and
    /// always less than all. Default 0.5 (Envoy's 0.1 is meant for fleets); zero: nothing is ejected.
    pub ceiling: f64,
}

impl Default for EjectionConfig {
    fn default() -> EjectionConfig {
        EjectionConfig {
            failures: 5,
            base: Duration::from_secs(10),
            max: Duration::from_secs(300),
            ceiling: 0.5,
        }
    }
}

/// Outlier ejection over the instances of one upstream, by ids that the driver chooses.
///
/// Looking an instance up is a binary search; only a failure that could eject looks at them all.
#[derive(Clone, Debug)]
pub struct Ejection {
    config: EjectionConfig,
    instances: Vec<Instance>,
    ejections: u64,
}

#[derive(Clone, Debug)]
struct Instance {
    id: u64,
    in_a_row: u32,
    /// How many steps of `base` the last ejection lasted, as of its end.
    times: u32,
    /// The end of the last ejection.
    until: Time,
    /// That ejection stands; it has an effect before `until`.
    ejected: bool,
}

impl Ejection {
    /// Without instances yet.
    pub fn new(config: EjectionConfig) -> Ejection {
        Ejection { config, instances: Vec::new(), ejections: 0 }
    }

    /// Says which instances there are: forgets those that are gone and adds the new ones healthy.
    /// Where too few remain for all ejections to stand, those that would end first end now.
    pub fn set_instances(&mut self, ids: &[u64]) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let known = |id| self.find(id).map(|at| self.instances[at].clone());
        self.instances = ids.into_iter().map(|id| known(id).unwrap_or(Instance::healthy(id))).collect();
        while self.instances.iter().filter(|instance| instance.ejected).count() > self.ceiling() {
            let standing = self.instances.iter_mut().filter(|instance| instance.ejected);
            if let Some(first) = standing.min_by_key(|instance| instance.until) {
                first.ejected = false;
            }
        }
    }

    /// Tells how a request to an instance ended. Returns for how long that has just ejected it.
    pub fn record(&mut self, now: Time, id: u64, failed: bool) -> Option<Duration> {
        let at = self.find(id)?;
        let instance = &mut self.instances[at];
        if instance.is_out(now) {
            return None;
        }
        instance.in_a_row = if failed { instance.in_a_row.saturating_add(1) } else { 0 };
        let due = self.config.failures > 0 && instance.in_a_row >= self.config.failures;
        if due && self.has_room(now) { Some(self.eject(now, at)) } else { None }
    }

    /// Whether an instance is to be left out now. One that isn't known is not.
    #[inline]
    pub fn is_ejected(&self, now: Time, id: u64) -> bool {
        self.find(id).is_some_and(|at| self.instances[at].is_out(now))
    }

    /// Whether an instance's last outcome was a failure, so that a success of it matters. A driver
    /// may keep other successes to itself.
    #[inline]
    pub fn has_failures(&self, id: u64) -> bool {
        self.find(id).is_some_and(|at| self.instances[at].in_a_row > 0)
    }

    /// Who is out now and until when, by id. Allocates: for people to look at, not for each request.
    pub fn ejected(&self, now: Time) -> Vec<(u64, Time)> {
        self.out(now).map(|instance| (instance.id, instance.until)).collect()
    }

    /// When the next instance comes back.
    pub fn next_return(&self, now: Time) -> Option<Time> {
        self.out(now).map(|instance| instance.until).min()
    }

    /// How many ejections there were so far.
    pub fn ejections(&self) -> u64 {
        self.ejections
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.instances.binary_search_by_key(&id, |instance| instance.id).ok()
    }

    fn out(&self, now: Time) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.is_out(now))
    }

    fn has_room(&self, now: Time) -> bool {
        !self.config.base.is_zero() && self.out(now).count() < self.ceiling()
    }

    /// How many may be out at once.
    fn ceiling(&self) -> usize {
        let all = self.instances.len();
        if self.config.ceiling > 0.0 {
            let share = (all as f64 * self.config.ceiling + ROUNDING) as usize;
            share.max(1).min(all.saturating_sub(1))
        } else {
            0
        }
    }

    #[cold]
    fn eject(&mut self, now: Time, at: usize) -> Duration {
        let (base, max) = (nanos(self.config.base), nanos(self.config.max));
        let instance = &mut self.instances[at];
        let in_peace = now.since(instance.until).as_nanos() as u64 / base;
        let steps_back = u32::try_from(in_peace).unwrap_or(u32::MAX);
        instance.times = instance.times.saturating_sub(steps_back).saturating_add(1);
        let lasts = base.saturating_mul(instance.times.into()).min(max.max(base));
        let lasts = Duration::from_nanos(lasts);
        instance.until = now + lasts;
        instance.ejected = true;
        instance.in_a_row = 0;
        self.ejections += 1;
        lasts
    }
}

impl Instance {
    fn healthy(id: u64) -> Instance {
        Instance { id, in_a_row: 0, times: 0, until: Time::ZERO, ejected: false }
    }

    fn is_out(&self, now: Time) -> bool {
        self.ejected && now < self.until
    }
}

/// A share of 0.29 of a hundred instances is 29, although not exactly so in binary.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests;
