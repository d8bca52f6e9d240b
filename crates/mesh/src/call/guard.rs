//! Policy machines that all cores share, behind a gate that costs a healthy request one atomic
//! load.
//!
//! A breaker or an ejection must see every failure in one order, so its machine stands behind a
//! mutex. While nothing fails nobody needs that mutex: the machine is *calm*, successes are counted
//! by each core on a cache line of its own and handed over in lots. The first failure hands all lots
//! over and ends the calm, and every request takes the lock until the machine is calm again. So
//! healthy cores don't wait for each other, and a failing upstream is judged by all that happened.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::{
    Admission, Breaker, BreakerConfig, BreakerState, Ejection, EjectionConfig, Ending, Force, Ticket, Time,
};

/// Successes that a core counts before it hands them over.
const SUCCESSES_PER_LOT: u32 = 64;
/// Longest time a core keeps its count.
const LOT_AGE_MAX: Duration = Duration::from_millis(250);

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A circuit breaker that all cores share.
pub(crate) struct SharedBreaker {
    calm: AtomicBool,
    machine: Mutex<Breaker>,
    /// One a core.
    lots: Box<[Lot]>,
    /// How far the machine looks back.
    window: Duration,
}

/// One core's successes that the machine has not been told yet. The core adds, whoever holds the
/// lock takes.
#[derive(Default)]
#[repr(align(64))]
struct Lot {
    successes: AtomicU32,
    since: AtomicU64,
}

/// Leave to send one try; tell its end by [`SharedBreaker::record`] or [`SharedBreaker::abandon`].
#[derive(Clone, Copy)]
pub(crate) enum Pass {
    Calm,
    Ticket(Ticket),
}

impl Pass {
    /// Whether others are kept out until its end is told.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Pass::Ticket(ticket) if ticket.is_probe())
    }
}

impl SharedBreaker {
    pub(crate) fn new(config: BreakerConfig, cores: usize, now: Time) -> SharedBreaker {
        SharedBreaker {
            calm: AtomicBool::new(true),
            machine: Mutex::new(Breaker::new(config, now)),
            lots: (0..cores).map(|_| Lot::default()).collect(),
            window: config.window,
        }
    }

    /// Err: the breaker is open, for this long; None: for as long as somebody likes.
    pub(crate) fn admit(&self, now: Time) -> Result<Pass, Option<Duration>> {
        if self.calm.load(Ordering::Acquire) {
            return Ok(Pass::Calm);
        }
        self.with(|machine| match machine.admit(now) {
            Admission::Pass(ticket) => Ok(Pass::Ticket(ticket)),
            Admission::Reject { retry_after } => Err(retry_after),
        })
    }

    pub(crate) fn record(&self, now: Time, pass: Pass, ending: Ending, core: usize) {
        let calm = matches!(pass, Pass::Calm) && self.calm.load(Ordering::Acquire);
        if ending.is_fine() && calm && self.lots[core].add(now) {
            return;
        }
        self.with(|machine| {
            let successes = self.lots.iter().map(|lot| lot.take(now, self.window)).sum();
            machine.record_successes(now, successes);
            let ticket = match pass {
                Pass::Ticket(ticket) => ticket,
                Pass::Calm if machine.state(now) == BreakerState::Closed => machine.closed_ticket(),
                Pass::Calm => return,
            };
            machine.record(now, ticket, ending);
        });
    }

    /// Takes the decision out of the machine's hands, or gives it back.
    pub(crate) fn force(&self, now: Time, force: Force) {
        self.with(|machine| {
            // What was counted until now belongs to the state that ends.
            let successes = self.lots.iter().map(|lot| lot.take(now, self.window)).sum();
            machine.record_successes(now, successes);
            machine.force(force);
        });
    }

    /// Which way somebody has forced it, if so.
    pub(crate) fn forced(&self, now: Time) -> Option<Force> {
        match self.state(now).0 {
            BreakerState::ForcedOpen => Some(Force::Open),
            BreakerState::ForcedClosed => Some(Force::Closed),
            BreakerState::Closed | BreakerState::Open { .. } | BreakerState::HalfOpen => None,
        }
    }

    pub(crate) fn abandon(&self, now: Time, pass: Pass) {
        if let Pass::Ticket(ticket) = pass {
            self.with(|machine| machine.abandon(now, ticket));
        }
    }

    /// State now and how often it opened.
    pub(crate) fn state(&self, now: Time) -> (BreakerState, u64) {
        self.with(|machine| (machine.state(now), machine.opened()))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut machine = lock(&self.machine);
        let done = work(&mut machine);
        self.calm.store(machine.is_calm(), Ordering::Release);
        done
    }
}

impl Lot {
    /// Counts one success; false: the lot is full or old and wants to be handed over with it.
    fn add(&self, now: Time) -> bool {
        let count = self.successes.load(Ordering::Relaxed);
        if count == 0 {
            self.since.store(now.as_nanos(), Ordering::Relaxed);
        } else if count >= SUCCESSES_PER_LOT || self.age(now) > LOT_AGE_MAX {
            return false;
        }
        self.successes.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// What was counted within `window`.
    fn take(&self, now: Time, window: Duration) -> u32 {
        match (self.successes.swap(0, Ordering::Relaxed), self.age(now)) {
            (count, age) if age <= window => count,
            _ => 0,
        }
    }

    fn age(&self, now: Time) -> Duration {
        now.since(Time::from_nanos(self.since.load(Ordering::Relaxed)))
    }
}

/// Outlier ejection that all cores share.
pub(crate) struct SharedEjection {
    calm: AtomicBool,
    machine: Mutex<(Ejection, Vec<u64>)>,
}

impl SharedEjection {
    pub(crate) fn new(config: EjectionConfig) -> SharedEjection {
        SharedEjection {
            calm: AtomicBool::new(true),
            machine: Mutex::new((Ejection::new(config), Vec::new())),
        }
    }

    pub(crate) fn set_instances(&self, keys: &[u64]) {
        let mut machine = lock(&self.machine);
        if machine.1 != keys {
            machine.0.set_instances(keys);
            machine.1 = keys.to_vec();
        }
    }

    /// Some: the instance has just been ejected, for this long.
    pub(crate) fn record(&self, now: Time, key: u64, failed: bool) -> Option<Duration> {
        if !failed && self.calm.load(Ordering::Acquire) {
            return None;
        }
        let mut machine = lock(&self.machine);
        let (ejection, keys) = &mut *machine;
        let ejected = ejection.record(now, key, failed);
        let calm = ejection.next_return(now).is_none() && !keys.iter().any(|key| ejection.has_failures(*key));
        self.calm.store(calm, Ordering::Release);
        ejected
    }

    /// Which instances are out now; empty, without a lock, while nothing fails.
    pub(crate) fn ejected(&self, now: Time) -> Vec<(u64, Time)> {
        match self.calm.load(Ordering::Acquire) {
            true => Vec::new(),
            false => lock(&self.machine).0.ejected(now),
        }
    }

    /// Ejections so far.
    pub(crate) fn total(&self) -> u64 {
        lock(&self.machine).0.ejections()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> SharedBreaker {
        let config = BreakerConfig { failures: 3, minimum: 10, ..BreakerConfig::default() };
        SharedBreaker::new(config, 2, Time::from_millis(1))
    }

    fn ending(failed: bool) -> Ending {
        BreakerConfig::default().ending(failed, Duration::ZERO)
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn failures_of_two_cores_open_one_breaker() {
        let breaker = breaker();
        for core in [0, 1, 0] {
            let pass = breaker.admit(at(2)).expect("closed");
            breaker.record(at(2), pass, ending(true), core);
        }
        assert!(breaker.admit(at(3)).is_err());
        assert_eq!(breaker.state(at(3)).1, 1);
    }

    #[test]
    fn a_success_between_failures_counts_although_cores_count_apart() {
        let breaker = breaker();
        for failed in [true, true, false, true, true] {
            let pass = breaker.admit(at(2)).expect("closed");
            breaker.record(at(2), pass, ending(failed), 0);
        }
        assert!(breaker.admit(at(3)).is_ok());
    }

    #[test]
    fn successes_counted_apart_keep_the_failure_rate_down() {
        let breaker = breaker();
        for _ in 0..40 {
            breaker.record(at(2), Pass::Calm, ending(false), 0);
        }
        for failed in [true, true, false].repeat(5) {
            let pass = breaker.admit(at(3)).expect("10 failures of 55 are below half");
            breaker.record(at(3), pass, ending(failed), 1);
        }
    }

    #[test]
    fn successes_from_before_the_window_do_not_count() {
        let breaker = breaker();
        for _ in 0..40 {
            breaker.record(at(2), Pass::Calm, ending(false), 0);
        }
        let mut opened = false;
        for failed in [true, true, false].repeat(5) {
            match breaker.admit(at(20_000)) {
                Ok(pass) => breaker.record(at(20_000), pass, ending(failed), 1),
                Err(_) => opened = true,
            }
        }
        assert!(opened, "two of three is more than half");
    }

    #[test]
    fn a_failure_that_began_before_the_opening_changes_nothing() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.record(at(2), Pass::Calm, ending(true), 0);
        }
        breaker.record(at(3), Pass::Calm, ending(true), 0);
        assert_eq!(breaker.state(at(3)).1, 1);
    }

    #[test]
    fn a_forced_breaker_is_left_to_itself_with_a_clean_record() {
        let breaker = breaker();
        breaker.record(at(2), breaker.admit(at(2)).expect("closed"), ending(true), 0);
        breaker.force(at(2), Force::Open);
        assert!(matches!(breaker.admit(at(90_000)), Err(None)));
        breaker.force(at(3), Force::Closed);
        for _ in 0..9 {
            breaker.record(at(3), breaker.admit(at(3)).expect("forced closed"), ending(true), 1);
        }
        breaker.force(at(4), Force::Auto);
        for _ in 0..2 {
            breaker.record(at(4), breaker.admit(at(4)).expect("closed"), ending(true), 0);
        }
        assert_eq!(breaker.state(at(4)), (BreakerState::Closed, 0));
    }
}
