//! A circuit breaker: an upstream that keeps failing is left alone for a while, so that its callers
//! fail at once and it can recover. After Nygard, "Release It!" (2007), with the criteria of
//! resilience4j and Polly: failures in a row, and over a sliding window a failure rate and a rate of
//! slow requests, for an upstream that answers well but too late holds its callers up as much as one
//! that fails.
//!
//! *Closed* lets everything pass. Each criterion opens it. *Open* rejects everything until its
//! time is over. *Half-open* then lets a few probes pass: as many successes as there are probes
//! close it again with a clean record, a single failure opens it again, and so does a slow probe
//! where slow ones count. A person may *force* it open or closed: then nothing is counted, and it
//! stays so until it is left to itself again, which begins with a clean record.
//!
//! Every change of state begins a new generation. A ticket carries the generation that it was
//! admitted in, and what is told with a ticket of another one is ignored: a slow failure from
//! before the breaker opened says nothing about the upstream that a probe is looking at now.

pub mod counted;

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
    /// From when on a request counts as slow. Default none: this criterion is off. As in resilience4j
    /// a request may be slow and failed; zero: all are slow.
    pub slow: Option<Duration>,
    /// The share of slow requests, 0 to 1, that opens it. Default 0.5; zero: this criterion is off.
    pub slow_rate: f64,
    /// How far back the rates look, in tenths. Default 10 s; zero: a nanosecond, which switches the
    /// rates off in effect.
    pub window: Duration,
    /// Outcomes in the window below which its rates say nothing. Default 20; zero counts as one.
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
            slow: None,
            slow_rate: 0.5,
            window: Duration::from_secs(10),
            minimum: 20,
            open_for: Duration::from_secs(5),
            probes: 1,
        }
    }
}

impl BreakerConfig {
    /// How a request ended that took so long to its answer's head, or to its failure.
    #[inline]
    pub fn ending(&self, failed: bool, took: Duration) -> Ending {
        let slow = self.slow_rate > 0.0 && self.slow.is_some_and(|slow| took > slow);
        Ending { failed, slow }
    }
}

/// How a request ended, as far as a breaker cares; made by [`BreakerConfig::ending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    failed: bool,
    slow: bool,
}

impl Ending {
    /// Neither failed nor slow: such ones may be counted apart.
    #[inline]
    pub fn is_fine(self) -> bool {
        !self.failed && !self.slow
    }
}

/// Whether a person has taken the decision out of the breaker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Reject everything.
    Open,
    /// Let everything pass, whatever comes of it.
    Closed,
    /// Decide by what is seen.
    Auto,
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
    /// Everything is rejected, until somebody says otherwise.
    ForcedOpen,
    /// Everything passes and nothing counts, until somebody says otherwise.
    ForcedClosed,
}

/// The right to one request, to be handed back exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
    probe: bool,
}

impl Ticket {
    /// Whether it is that of a probe: until its end is told it keeps others out.
    pub fn is_probe(self) -> bool {
        self.probe
    }
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may. Its end MUST be told with this ticket.
    Pass(Ticket),
    /// It may not.
    Reject {
        /// When it is worth asking again: when the breaker half-opens, or, where the probes are out
        /// already, when it would half-open again if they failed now. None: it is forced open, for
        /// as long as somebody likes.
        retry_after: Option<Duration>,
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
    /// All and, of them, the slow ones. Told apart from the failed ones, for one may be both.
    all_and_slow: Ring<SLOTS>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Time },
    HalfOpen { in_flight: u32, succeeded: u32 },
    ForcedOpen,
    ForcedClosed,
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
            all_and_slow: Ring::new(slot, now),
        }
    }

    /// Asks for a request to pass.
    #[inline]
    pub fn admit(&mut self, now: Time) -> Admission {
        self.half_open_if_due(now);
        let (probes, mut probe) = (self.probes(), false);
        match &mut self.state {
            State::Closed | State::ForcedClosed => {}
            State::ForcedOpen => return Admission::Reject { retry_after: None },
            State::Open { until } => return Admission::Reject { retry_after: Some(until.since(now)) },
            State::HalfOpen { in_flight, .. } if *in_flight >= probes => {
                return Admission::Reject { retry_after: Some(self.config.open_for) };
            }
            State::HalfOpen { in_flight, .. } => {
                *in_flight += 1;
                probe = true;
            }
        }
        Admission::Pass(Ticket { generation: self.generation, probe })
    }

    /// Tells how a request ended.
    #[inline]
    pub fn record(&mut self, now: Time, ticket: Ticket, ending: Ending) {
        if ticket.generation != self.generation {
            return;
        }
        match self.state {
            State::Closed => self.count(now, 1, ending),
            State::HalfOpen { in_flight, succeeded } => self.probed(now, in_flight, succeeded, ending),
            State::Open { .. } | State::ForcedOpen | State::ForcedClosed => {}
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

    /// Takes the decision out of its hands, or gives it back. Said again it changes nothing.
    pub fn force(&mut self, force: Force) {
        match (force, self.state) {
            (Force::Open, State::ForcedOpen) | (Force::Closed, State::ForcedClosed) => {}
            (Force::Open, _) => self.enter(State::ForcedOpen),
            (Force::Closed, _) => self.enter(State::ForcedClosed),
            (Force::Auto, State::ForcedOpen | State::ForcedClosed) => self.enter(State::Closed),
            (Force::Auto, _) => {}
        }
    }

    /// Tells of `n` successes of the closed state that a core counted apart, none of them slow. Ignored
    /// unless closed.
    pub fn record_successes(&mut self, now: Time, n: u32) {
        if n > 0 && matches!(self.state, State::Closed) {
            self.count(now, n, Ending { failed: false, slow: false });
        }
    }

    /// Whether it is closed and the last outcome told was no failure. A driver may then count
    /// successes apart that were not slow.
    #[inline]
    pub fn is_calm(&self) -> bool {
        self.in_a_row == 0 && matches!(self.state, State::Closed | State::ForcedClosed)
    }

    /// A ticket of this closed generation, good for any number of requests. While the breaker isn't
    /// closed it is a ticket that is ignored.
    #[inline]
    pub fn closed_ticket(&self) -> Ticket {
        match self.state {
            State::Closed => Ticket { generation: self.generation, probe: false },
            State::Open { .. } | State::HalfOpen { .. } | State::ForcedOpen | State::ForcedClosed => {
                Ticket { generation: NO_GENERATION, probe: false }
            }
        }
    }

    /// What it does at the moment.
    pub fn state(&mut self, now: Time) -> BreakerState {
        self.half_open_if_due(now);
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::ForcedOpen => BreakerState::ForcedOpen,
            State::ForcedClosed => BreakerState::ForcedClosed,
        }
    }

    /// When it will change by the passing of time alone: the end of being open.
    pub fn next_change(&self) -> Option<Time> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } | State::ForcedOpen | State::ForcedClosed => None,
        }
    }

    /// How many times it opened so far by itself, out of half-open too.
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

    fn count(&mut self, now: Time, n: u32, ending: Ending) {
        let of = |counts: bool| if counts { u64::from(n) } else { 0 };
        for (ring, counts) in
            [(&mut self.all_and_failed, ending.failed), (&mut self.all_and_slow, ending.slow)]
        {
            ring.advance(now);
            ring.add(Pair(n.into(), of(counts)));
        }
        self.in_a_row = if ending.failed { self.in_a_row.saturating_add(n) } else { 0 };
        // By bad news only: that good ones leave the window is no news of the upstream.
        let opens = (ending.failed && (self.too_many_in_a_row() || self.too_high_a_rate()))
            || (ending.slow && self.too_many_slow());
        if opens {
            self.open(now);
        }
    }

    fn too_many_in_a_row(&self) -> bool {
        self.config.failures > 0 && self.in_a_row >= self.config.failures
    }

    fn too_high_a_rate(&self) -> bool {
        self.is_reached(self.config.rate, self.all_and_failed.sum())
    }

    fn too_many_slow(&self) -> bool {
        self.is_reached(self.config.slow_rate, self.all_and_slow.sum())
    }

    fn is_reached(&self, rate: f64, Pair(all, bad): Pair) -> bool {
        rate > 0.0 && bad > 0 && all >= u64::from(self.config.minimum) && bad as f64 >= rate * all as f64
    }

    fn probed(&mut self, now: Time, in_flight: u32, succeeded: u32, ending: Ending) {
        let (in_flight, succeeded) = (in_flight.saturating_sub(1), succeeded + 1);
        if !ending.is_fine() {
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
        self.all_and_slow.clear();
    }
}

/// The window's slots: a rate forgets a tenth of the window at a time.
const SLOTS: usize = 10;

/// The generation of tickets that are ignored.
const NO_GENERATION: u64 = 0;
const FIRST_GENERATION: u64 = 1;

#[cfg(test)]
mod tests;
