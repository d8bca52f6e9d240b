//! The state of a call: what all cores share, and what one core keeps.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use policy::{Budget, BudgetConfig, Hedge, Time};
use telemetry::exemplars::Exemplars;
use telemetry::metrics::{Counter, Histogram};

use crate::call::balance::LocalBalancer;
use crate::call::bulkhead::{Bulkhead, LocalBulkhead};
use crate::call::faults::Faults;
use crate::call::guard::{SharedBreaker, SharedEjection};
use crate::call::limit::Limits;
use crate::clock;
use crate::config;
use crate::request::answer::Answer;
use crate::request::problem::{Kind, Problem};
use crate::spans::names::CallNames;
use crate::upstream::LocalUpstream;

/// A call as all cores see it.
pub(crate) struct CallState {
    pub(crate) config: config::Call,
    pub(crate) breaker: Option<SharedBreaker>,
    pub(crate) ejection: Option<SharedEjection>,
    /// Shared with the other sides of a split.
    pub(crate) limits: Arc<Limits>,
    pub(crate) bulkhead: Option<Arc<Bulkhead>>,
    pub(crate) faults: Faults,
    /// One a core, written by it alone.
    pub(crate) tallies: Box<[Tally]>,
}

/// What one core has counted of a call.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: Counter,
    /// By hundreds of the status: index 2 is 2xx.
    pub(crate) statuses: [Counter; 6],
    /// Requests whose last try failed, before a fallback.
    pub(crate) failures: Counter,
    pub(crate) retries: Counter,
    /// Tries beside another that took too long, and how many of them were first with a good answer.
    pub(crate) hedges: Counter,
    pub(crate) hedges_won: Counter,
    /// Retries and hedges that the budget refused.
    pub(crate) retries_denied: Counter,
    pub(crate) fallbacks: Counter,
    pub(crate) limited: Counter,
    /// Over a rate limit that only counts.
    pub(crate) limited_shadow: Counter,
    /// Refused by a bulkhead for the sake of requests of a higher priority.
    pub(crate) shed: Counter,
    /// Refused by a full bulkhead, its own or the upstream's.
    pub(crate) overloaded: Counter,
    /// Refused by the open breaker.
    pub(crate) rejected: Counter,
    /// Tries that left the zone of the node, which is preferred.
    pub(crate) elsewhere: Counter,
    pub(crate) timeouts: Counter,
    /// Of these, requests or retries that were not sent, for their caller's deadline was over.
    pub(crate) expired: Counter,
    /// From the request to the answer's head, in microseconds.
    pub(crate) latency: Histogram,
    /// Some of the requests in it.
    pub(crate) exemplars: Exemplars,
}

impl Tally {
    pub(crate) fn end(&self, result: &Result<Answer, Problem>, failed: bool, took: Duration) {
        if failed {
            self.failures.add(1);
        }
        match result {
            Ok(answer) => self.statuses[usize::from(answer.status.as_u16() / 100).min(5)].add(1),
            Err(problem) => {
                self.statuses[usize::from(problem.status().as_u16() / 100).min(5)].add(1);
                if problem.kind == Kind::Timeout {
                    self.timeouts.add(1);
                }
            }
        }
        self.latency.record(took.as_micros() as u64);
    }
}

impl CallState {
    pub(crate) fn new(config: config::Call, limits: Arc<Limits>, cores: usize) -> CallState {
        CallState {
            breaker: config.breaker.map(|breaker| SharedBreaker::new(breaker, cores, clock::now())),
            ejection: config.ejection.map(SharedEjection::new),
            limits,
            bulkhead: config.concurrency.map(|config| Arc::new(Bulkhead::new(config, clock::now()))),
            faults: Faults::default(),
            tallies: (0..cores).map(|_| Tally::default()).collect(),
            config,
        }
    }
}

/// A call as one core sees it.
pub(crate) struct LocalCall {
    pub(crate) state: Arc<CallState>,
    pub(crate) upstream: Rc<LocalUpstream>,
    pub(crate) fallback: Option<Rc<LocalCall>>,
    /// Who is in flight of this call.
    pub(crate) bulkhead: Option<Rc<LocalBulkhead>>,
    /// The same of all calls to the upstream.
    pub(crate) shared_bulkhead: Option<Rc<LocalBulkhead>>,
    pub(crate) balancer: Option<LocalBalancer>,
    /// What is known of latency, where requests are hedged.
    pub(crate) hedge: Option<RefCell<Hedge>>,
    /// This core's share of the budget for retries and hedges.
    pub(crate) budget: RefCell<Budget>,
    pub(crate) core: usize,
    /// Version of the instance list that the ejection machine was last told of.
    pub(crate) told: Cell<u64>,
    /// What spans say of it.
    pub(crate) names: Arc<CallNames>,
}

impl LocalCall {
    pub(crate) fn new(
        state: Arc<CallState>,
        upstream: Rc<LocalUpstream>,
        fallback: Option<Rc<LocalCall>>,
        core: usize,
    ) -> LocalCall {
        let cores = state.tallies.len() as f64;
        let retries = state.config.retries.as_ref();
        let budget = retries.map_or(BudgetConfig::default(), |retries| retries.budget);
        let budget = BudgetConfig { min_per_second: budget.min_per_second / cores, ..budget };
        LocalCall {
            bulkhead: state.bulkhead.clone().map(LocalBulkhead::new),
            shared_bulkhead: upstream.shared.bulkhead.clone().map(LocalBulkhead::new),
            balancer: LocalBalancer::new(&state.config.balance),
            hedge: state.config.hedge.map(|hedge| RefCell::new(Hedge::new(hedge.hedge, clock::now()))),
            budget: RefCell::new(Budget::new(budget, clock::now())),
            names: CallNames::new(&state.config.id, &state.config.upstream),
            state,
            upstream,
            fallback,
            core,
            told: Cell::new(u64::MAX),
        }
    }

    /// Tells adaptive bulkheads how long the upstream took for one of the requests in flight.
    pub(crate) fn learn(&self, now: Time, took: Duration) {
        for bulkhead in [&self.bulkhead, &self.shared_bulkhead].into_iter().flatten() {
            bulkhead.learn(now, took);
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.state.tallies[self.core]
    }
}
