//! A circuit breaker that is tripped by a condition over counts, which its owner evaluates: that of Sony's gobreaker (2015),
//! as resources of Dapr describe it. Where [`super::Breaker`] looks at a window that slides, this one counts from a moment
//! on: since it closed, or since its interval began anew.
//!
//! A failure is counted and the condition looked at; if it holds, the breaker is *open* until its time is over. Then a few
//! may pass: as many successes in a row as may pass close it, a failure opens it again.

use std::time::Duration;

use crate::time::Time;

/// When it forgets, and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedConfig {
    /// How many may pass while it is half-open. Default 1; zero counts as one.
    pub probes: u32,
    /// After which time the counts of the closed state begin anew. Default zero: never.
    pub interval: Duration,
    /// How long it stays open. Default 60 s; zero: the default.
    pub open_for: Duration,
}

impl Default for CountedConfig {
    fn default() -> CountedConfig {
        CountedConfig { probes: 1, interval: Duration::ZERO, open_for: OPEN_FOR }
    }
}

/// What was counted since the last change of state or interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that were let pass.
    pub requests: u32,
    /// Those that ended well.
    pub successes: u32,
    /// Those that did not.
    pub failures: u32,
    /// The last ones that ended well, up to a failure.
    pub successes_in_a_row: u32,
    /// The last ones that did not, up to a success.
    pub failures_in_a_row: u32,
}

/// Why one may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is open.
    Open,
    /// It is half-open, and as many have passed as may.
    TooMany,
}

/// The right to one request, to be handed back once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass(u64);

/// The breaker. Each [`Counted::admit`] that passes MUST be followed by one [`Counted::record`] or [`Counted::abandon`].
#[derive(Clone, Debug)]
pub struct Counted {
    config: CountedConfig,
    state: State,
    counts: Counts,
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { since: Time },
    Open { until: Time },
    HalfOpen,
}

impl Counted {
    /// A closed breaker that has counted nothing.
    pub fn new(config: CountedConfig, now: Time) -> Counted {
        Counted { config, state: State::Closed { since: now }, counts: Counts::default(), generation: 0 }
    }

    /// Asks for a request to pass.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn admit(&mut self, now: Time) -> Result<Pass, Refusal> {
        self.advance(now);
        match self.state {
            State::Open { .. } => return Err(Refusal::Open),
            State::HalfOpen if self.counts.requests >= self.probes() => return Err(Refusal::TooMany),
            State::Closed { .. } | State::HalfOpen => {}
        }
        self.counts.requests = self.counts.requests.saturating_add(1);
        Ok(Pass(self.generation))
    }

    /// Tells how a request ended; `trips` is the condition, asked after a failure.
    pub fn record(&mut self, now: Time, pass: Pass, failed: bool, trips: impl FnOnce(&Counts) -> bool) {
        self.advance(now);
        if pass.0 != self.generation {
            return;
        }
        self.count(failed);
        match self.state {
            State::Closed { .. } if failed && trips(&self.counts) => self.open(now),
            State::HalfOpen if failed => self.open(now),
            State::HalfOpen if self.counts.successes_in_a_row >= self.probes() => {
                self.enter(State::Closed { since: now });
            }
            State::Closed { .. } | State::HalfOpen | State::Open { .. } => {}
        }
    }

    /// Tells that a request was given up: nothing is counted, and its place is free again.
    pub fn abandon(&mut self, now: Time, pass: Pass) {
        self.advance(now);
        if pass.0 == self.generation {
            self.counts.requests = self.counts.requests.saturating_sub(1);
        }
    }

    fn probes(&self) -> u32 {
        self.config.probes.max(1)
    }

    fn advance(&mut self, now: Time) {
        match self.state {
            State::Open { until } if now >= until => self.enter(State::HalfOpen),
            State::Closed { since }
                if !self.config.interval.is_zero() && now.since(since) >= self.config.interval =>
            {
                self.enter(State::Closed { since: now });
            }
            State::Closed { .. } | State::HalfOpen | State::Open { .. } => {}
        }
    }

    fn count(&mut self, failed: bool) {
        let counts = &mut self.counts;
        let (all, row, other) = match failed {
            true => (&mut counts.failures, &mut counts.failures_in_a_row, &mut counts.successes_in_a_row),
            false => (&mut counts.successes, &mut counts.successes_in_a_row, &mut counts.failures_in_a_row),
        };
        *all = all.saturating_add(1);
        *row = row.saturating_add(1);
        *other = 0;
    }

    fn open(&mut self, now: Time) {
        let open_for = if self.config.open_for.is_zero() { OPEN_FOR } else { self.config.open_for };
        self.enter(State::Open { until: now + open_for });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.counts = Counts::default();
        self.generation += 1;
    }
}

const OPEN_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: CountedConfig =
        CountedConfig { probes: 2, interval: Duration::from_secs(30), open_for: Duration::from_secs(5) };

    fn three(counts: &Counts) -> bool {
        counts.failures_in_a_row >= 3
    }

    /// Passes at this second, and ends so.
    fn ends(breaker: &mut Counted, second: u64, failed: bool) -> Result<(), Refusal> {
        let now = Time::from_millis(second * 1_000);
        let pass = breaker.admit(now)?;
        breaker.record(now, pass, failed, three);
        Ok(())
    }

    #[test]
    fn it_trips_and_closes_again() {
        let mut breaker = Counted::new(CONFIG, Time::ZERO);
        for failed in [true, true, false, true, true, true] {
            ends(&mut breaker, 1, failed).unwrap();
        }
        assert_eq!(ends(&mut breaker, 5, false), Err(Refusal::Open));
        let now = Time::from_millis(6_000);
        let (one, two) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        assert_eq!(breaker.admit(now), Err(Refusal::TooMany));
        breaker.abandon(now, one);
        let again = breaker.admit(now).unwrap();
        breaker.record(now, two, false, three);
        breaker.record(now, again, false, three);
        for _ in 0..2 {
            ends(&mut breaker, 7, true).unwrap();
        }
        ends(&mut breaker, 7, false).unwrap();
    }

    #[test]
    fn a_failure_while_half_open_opens_it() {
        let mut breaker = Counted::new(CONFIG, Time::ZERO);
        for _ in 0..3 {
            ends(&mut breaker, 0, true).unwrap();
        }
        ends(&mut breaker, 5, true).unwrap();
        assert_eq!(ends(&mut breaker, 9, true), Err(Refusal::Open));
        ends(&mut breaker, 10, false).unwrap();
    }

    #[test]
    fn counts_begin_anew_with_each_interval() {
        let mut breaker = Counted::new(CONFIG, Time::ZERO);
        for second in [1, 2, 31, 32, 61, 62, 91] {
            ends(&mut breaker, second, true).unwrap();
        }
        ends(&mut breaker, 92, false).unwrap();
    }

    proptest! {
        /// Whatever happens, whoever is late says nothing of another state, and it is never open for longer than it may be.
        #[test]
        fn it_lets_pass_again_once_its_time_is_over(steps in prop::collection::vec((0_u64..4_000, any::<bool>(), any::<bool>()), 1..200)) {
            let mut breaker = Counted::new(CONFIG, Time::ZERO);
            let (mut millis, mut refused_since, mut held) = (0, None, Vec::new());
            for (wait, failed, late) in steps {
                millis += wait;
                let now = Time::from_millis(millis);
                match breaker.admit(now) {
                    Err(Refusal::Open) => {
                        let since = *refused_since.get_or_insert(millis);
                        prop_assert!(millis - since < 5_000);
                    }
                    Err(Refusal::TooMany) => {
                        refused_since = None;
                        for pass in held.drain(..) {
                            breaker.abandon(now, pass);
                        }
                    }
                    Ok(pass) if late => {
                        refused_since = None;
                        held.push(pass);
                    }
                    Ok(pass) => {
                        refused_since = None;
                        breaker.record(now, pass, failed, three);
                    }
                }
                prop_assert!(breaker.counts.successes + breaker.counts.failures <= breaker.counts.requests);
            }
        }
    }
}
