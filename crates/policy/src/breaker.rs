//! A circuit breaker: an upstream that keeps failing is left alone for a while, so that its callers
//! fail at once and it can recover. After Nygard, "Release It!" (2007), with the two criteria of
//! resilience4j and Polly: failures in a row, and a failure rate over a sliding window.
//!
//! *Closed* lets everything pass. Either criterion opens it. *Open* rejects everything until its
//! time is over. *Half-open* then lets a few probes pass: as many successes as there are probes
//! close it again with a clean record, a single failure opens it again.
//!
//! Every change of state begins a new generation. A ticket carries the generation that it was
//! admitted in, and what is told with a ticket of another one is ignored: a slow failure from
//! before the breaker opened says nothing about the upstream that a probe is looking at now.

use std::time::Duration;

use crate::ring::{Pair, Ring};
use crate::time::{Time, nanos};

/// When to open and how to close again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// Failures in a row that open it. Default zero: this criterion is off, for where there is little
    /// traffic one client that repeats one bad request would shut all the others out. With [`BreakerConfig::rate`] zero too it never opens.
    pub failures: u32,
    /// The share of failures, 0 to 1, that opens it. Default 0.5, as resilience4j; zero: this
    /// criterion is off.
    pub rate: f64,
    /// How far back the rate looks, in tenths. Default 10 s; zero: a nanosecond, which switches the
    /// rate off in effect.
    pub window: Duration,
    /// Outcomes in the window below which its rate says nothing. Default 20; zero counts as one.
    pub minimum: u32,
    /// How long it stays open. Default 5 s; zero: the next request is a probe already.
    pub open_for: Duration,
    /// Probes in flight at most while half-open, and successes that close it. Default 1; zero counts
    /// as one, for a breaker without probes would never close.
    pub probes: u32,
}

impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig {
            failures: 0,
            rate: 0.5,
            window: Duration::from_secs(10),
            minimum: 20,
            open_for: Duration::from_secs(5),
            probes: 1,
        }
    }
}

/// What the breaker does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Everything is rejected.
    Open {
        /// When the first probe may pass.
        until: Time,
    },
    /// Probes pass.
    HalfOpen,
}

/// The right to one request, to be handed back exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may. Its end MUST be told with this ticket.
    Pass(Ticket),
    /// It may not.
    Reject {
        /// When it is worth asking again: when the breaker half-opens, or, where the probes are out
        /// already, when it would half-open again if they failed now.
        retry_after: Duration,
    },
}

/// The breaker of one upstream. Every [`Breaker::admit`] that passes MUST be followed by one
/// [`Breaker::record`] or [`Breaker::abandon`] with its ticket: a probe that is never heard of again
/// holds the breaker half-open.
///
/// A driver that wants to keep the common case off a shared breaker may, while [`Breaker::is_calm`],
/// let requests pass on [`Breaker::closed_ticket`] and count their successes apart. It MUST hand
/// these over with [`Breaker::record_successes`] before it records a failure, or the rate is
/// reckoned without them.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    generation: u64,
    opened: u64,
    in_a_row: u32,
    all_and_failed: Ring<SLOTS>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Time },
    HalfOpen { in_flight: u32, succeeded: u32 },
}

impl Breaker {
    /// A closed breaker with a clean record.
    pub fn new(config: BreakerConfig, now: Time) -> Breaker {
        let slot = Duration::from_nanos(nanos(config.window).div_ceil(SLOTS as u64));
        Breaker {
            config,
            state: State::Closed,
            generation: FIRST_GENERATION,
            opened: 0,
            in_a_row: 0,
            all_and_failed: Ring::new(slot, now),
        }
    }

    /// Asks for a request to pass.
    #[inline]
    pub fn admit(&mut self, now: Time) -> Admission {
        self.half_open_if_due(now);
        let probes = self.probes();
        match &mut self.state {
            State::Closed => {}
            State::Open { until } => return Admission::Reject { retry_after: until.since(now) },
            State::HalfOpen { in_flight, .. } if *in_flight >= probes => {
                return Admission::Reject { retry_after: self.config.open_for };
            }
            State::HalfOpen { in_flight, .. } => *in_flight += 1,
        }
        Admission::Pass(Ticket { generation: self.generation })
    }

    /// Tells how a request ended.
    #[inline]
    pub fn record(&mut self, now: Time, ticket: Ticket, failed: bool) {
        if ticket.generation != self.generation {
            return;
        }
        match self.state {
            State::Closed => self.count(now, 1, failed),
            State::HalfOpen { in_flight, succeeded } => self.probed(now, in_flight, succeeded, failed),
            State::Open { .. } => {}
        }
    }

    /// Tells that the caller gave a request up: its probe is free again and nothing is counted.
    pub fn abandon(&mut self, _now: Time, ticket: Ticket) {
        if ticket.generation == self.generation
            && let State::HalfOpen { in_flight, .. } = &mut self.state
        {
            *in_flight = in_flight.saturating_sub(1);
        }
    }

    /// Tells of `n` successes of the closed state that a core counted apart. Ignored unless closed.
    pub fn record_successes(&mut self, now: Time, n: u32) {
        if n > 0 && matches!(self.state, State::Closed) {
            self.count(now, n, false);
        }
    }

    /// Whether it is closed and the last outcome told was no failure. A driver may then count
    /// successes apart.
    #[inline]
    pub fn is_calm(&self) -> bool {
        self.in_a_row == 0 && matches!(self.state, State::Closed)
    }

    /// A ticket of this closed generation, good for any number of requests. While the breaker isn't
    /// closed it is a ticket that is ignored.
    #[inline]
    pub fn closed_ticket(&self) -> Ticket {
        match self.state {
            State::Closed => Ticket { generation: self.generation },
            State::Open { .. } | State::HalfOpen { .. } => Ticket { generation: NO_GENERATION },
        }
    }

    /// What it does at the moment.
    pub fn state(&mut self, now: Time) -> BreakerState {
        self.half_open_if_due(now);
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// When it will change by the passing of time alone: the end of being open.
    pub fn next_change(&self) -> Option<Time> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// How many times it opened so far, out of half-open too.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    fn probes(&self) -> u32 {
        self.config.probes.max(1)
    }

    fn half_open_if_due(&mut self, now: Time) {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.enter(State::HalfOpen { in_flight: 0, succeeded: 0 });
        }
    }

    fn count(&mut self, now: Time, n: u32, failed: bool) {
        let n_failed = if failed { n } else { 0 };
        self.all_and_failed.advance(now);
        self.all_and_failed.add(Pair(n.into(), n_failed.into()));
        self.in_a_row = if failed { self.in_a_row.saturating_add(n) } else { 0 };
        // Never on a success: that older ones leave the window is no news of the upstream.
        if failed && (self.too_many_in_a_row() || self.too_high_a_rate()) {
            self.open(now);
        }
    }

    fn too_many_in_a_row(&self) -> bool {
        self.config.failures > 0 && self.in_a_row >= self.config.failures
    }

    fn too_high_a_rate(&self) -> bool {
        let Pair(all, failed) = self.all_and_failed.sum();
        self.config.rate > 0.0
            && failed > 0
            && all >= u64::from(self.config.minimum)
            && failed as f64 >= self.config.rate * all as f64
    }

    fn probed(&mut self, now: Time, in_flight: u32, succeeded: u32, failed: bool) {
        let (in_flight, succeeded) = (in_flight.saturating_sub(1), succeeded + 1);
        if failed {
            self.open(now);
        } else if succeeded >= self.probes() {
            self.enter(State::Closed);
        } else {
            self.state = State::HalfOpen { in_flight, succeeded };
        }
    }

    #[cold]
    fn open(&mut self, now: Time) {
        self.opened += 1;
        self.enter(State::Open { until: now + self.config.open_for });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.in_a_row = 0;
        self.all_and_failed.clear();
    }
}

/// The window's slots: the rate forgets a tenth of the window at a time.
const SLOTS: usize = 10;

/// The generation of tickets that are ignored.
const NO_GENERATION: u64 = 0;
const FIRST_GENERATION: u64 = 1;

#[cfg(test)]
mod tests;
