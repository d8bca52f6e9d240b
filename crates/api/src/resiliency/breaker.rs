//! Breakers, one for each method that is called: those used last are kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use policy::{Counted, Pass, Refusal, Time};

use super::Breaking;

/// The breakers of one who is called.
#[derive(Debug)]
pub(super) struct Breakers {
    breaking: Breaking,
    /// The one used last behind.
    by_method: Mutex<Vec<(String, Arc<Mutex<Counted>>)>>,
    origin: Instant,
}

/// An attempt that a breaker let pass; given up, if its end is not told.
pub(super) struct Passed<'a> {
    breakers: &'a Breakers,
    breaker: Arc<Mutex<Counted>>,
    pass: Option<Pass>,
}

impl Breakers {
    pub(super) fn new(breaking: Breaking) -> Breakers {
        Breakers { breaking, by_method: Mutex::default(), origin: Instant::now() }
    }

    pub(super) fn admit(&self, method: &str) -> Result<Passed<'_>, Refusal> {
        let now = self.now();
        let breaker = self.of(method, now);
        let pass = locked(&breaker).admit(now)?;
        Ok(Passed { breakers: self, breaker, pass: Some(pass) })
    }

    fn now(&self) -> Time {
        Time::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn of(&self, method: &str, now: Time) -> Arc<Mutex<Counted>> {
        let mut all = locked(&self.by_method);
        let known = all.iter().position(|(known, _)| known == method);
        let one = match known {
            Some(at) => all.remove(at),
            None => {
                if all.len() >= self.breaking.methods_max.max(1) {
                    all.remove(0);
                }
                (method.to_owned(), Arc::new(Mutex::new(Counted::new(self.breaking.config, now))))
            }
        };
        let breaker = Arc::clone(&one.1);
        all.push(one);
        breaker
    }
}

impl Passed<'_> {
    pub(super) fn record(mut self, failed: bool) {
        if let Some(pass) = self.pass.take() {
            let trip = &self.breakers.breaking.trip;
            locked(&self.breaker).record(self.breakers.now(), pass, failed, |counts| trip.holds(counts));
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            locked(&self.breaker).abandon(self.breakers.now(), pass);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
