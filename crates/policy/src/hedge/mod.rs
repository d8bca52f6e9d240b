//! Hedged requests: one that has kept its caller waiting for longer than most do is sent once more, to
//! another instance, and the first good answer counts. Dean and Barroso, "The Tail at Scale" (CACM 56,
//! 2013): a second request after the 95th percentile of latency costs a twentieth more requests and cuts
//! the tail, for it is rarely the same instance's bad moment twice.
//!
//! Hedges come out of the [`Budget`] of retries (as Finagle's backup requests have one), so that both
//! together cannot turn a slow upstream into a dead one: where everything is slow, hedges are as many as
//! the budget allows and no more. As in gRPC (A6) and Envoy only what is safe to repeat is hedged.

pub mod latency;

use std::time::Duration;

use self::latency::Latency;
use crate::retry::Request;
use crate::retry::budget::Budget;
use crate::time::Time;

/// When and how often a request is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeConfig {
    /// The wait before each hedge. Default the 95th percentile.
    pub after: After,
    /// Hedges of one request, beside its first try. Default 1; zero: none. The worst case for an upstream,
    /// `1 + max` times the requests, is held down by the [`Budget`].
    pub max: u32,
}

/// How long a request may take before it is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// As long as this share of the requests takes, above 0 and below 1, once enough are known.
    Quantile(f64),
    /// So long.
    Fixed(Duration),
}

impl Default for HedgeConfig {
    fn default() -> HedgeConfig {
        HedgeConfig { after: After::Quantile(0.95), max: 1 }
    }
}

/// What is known of a call's latency: tell it how long first tries took by [`Hedge::record`].
#[derive(Clone, Debug)]
pub struct Hedge {
    config: HedgeConfig,
    latency: Option<Latency>,
}

impl Hedge {
    /// Nothing known yet.
    pub fn new(config: HedgeConfig, now: Time) -> Hedge {
        let latency = match config.after {
            After::Quantile(quantile) => Some(Latency::new(quantile, now)),
            After::Fixed(_) => None,
        };
        Hedge { config, latency }
    }

    /// A first try has taken so long to its answer; or it has been given up after so long for a hedge's,
    /// which is told as well: without the slow ones the quantile would fall, and hedges feed on themselves.
    pub fn record(&mut self, now: Time, took: Duration) {
        if let Some(latency) = &mut self.latency {
            latency.record(now, took);
        }
    }

    /// How long to wait before a hedge. None: too little is known.
    pub fn delay(&mut self, now: Time) -> Option<Duration> {
        match (self.config.after, &mut self.latency) {
            (After::Fixed(delay), _) => Some(delay),
            (After::Quantile(_), latency) => latency.as_mut()?.quantile(now),
        }
    }

    /// Decides for a request that has waited for the delay once more. A hedge that is granted is counted,
    /// in `sent` and in the budget.
    pub fn another(&self, now: Time, sent: &mut u32, request: Request, budget: &mut Budget) -> Verdict {
        if *sent >= self.config.max || !request.idempotent || !request.replayable {
            return Verdict::No;
        }
        if !budget.try_retry(now) {
            return Verdict::Budget;
        }
        *sent += 1;
        Verdict::Send
    }
}

/// Whether a request is sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Send,
    /// As many hedges as may be were sent, or the request isn't safe to repeat.
    No,
    /// The budget is spent.
    Budget,
}

#[cfg(test)]
mod tests;
