//! How the data plane is doing, in numbers that a program can read.

use std::time::Duration;

use policy::{BreakerState, Class};
use serde::{Deserialize, Serialize};
use telemetry::exemplars::Recent;
use telemetry::metrics::HistogramSnapshot;

use crate::call::bulkhead::Bulkhead;
use crate::call::{CallState, Tally};
use crate::clock;
use crate::faults::FaultStatus;
use crate::table::Table;
use crate::upstream::{Sides, Upstream};

/// Everything at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Where it listens.
    pub listeners: Vec<ListenerStatus>,
    /// Faults that are injected on purpose, in the order in which they were added.
    pub faults: Vec<FaultStatus>,
    /// Calls by id.
    pub calls: Vec<CallStatus>,
    /// Upstreams by name.
    pub upstreams: Vec<UpstreamStatus>,
    /// Connections of clients and callers, by core.
    #[serde(default)]
    pub connections: Vec<usize>,
}

/// One listener.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// One call since it was first declared with these policies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CallStatus {
    /// `caller -> callee`, or the route.
    pub call: String,
    /// Where it goes.
    pub upstream: String,
    /// The part of the requests, 0 to 1, that it gets by its weight. None where there is no split.
    pub share: Option<f64>,
    /// Requests that ended.
    pub requests: u64,
    /// Of these, by class of status.
    pub status_2xx: u64,
    /// Redirects and not modified.
    pub status_3xx: u64,
    /// The client's errors.
    pub status_4xx: u64,
    /// Failures that reached the caller.
    pub status_5xx: u64,
    /// Requests whose tries all failed, whatever the caller got.
    pub failures: u64,
    /// Tries beyond the first.
    pub retries: u64,
    /// Tries beside another that took too long.
    pub hedges: u64,
    /// Of these, those that were first with a good answer.
    pub hedges_won: u64,
    /// Retries and hedges that the budget refused.
    pub retries_denied: u64,
    /// Requests that a fallback answered.
    pub fallbacks: u64,
    /// Requests over a rate limit.
    pub limited: u64,
    /// Requests over a rate limit that only counts.
    pub limited_shadow: u64,
    /// Requests that a full bulkhead refused: the call's own, or the one that all calls to the upstream share.
    pub overloaded: u64,
    /// Requests that a bulkhead refused for the sake of those of a higher priority.
    pub shed: u64,
    /// Requests in flight and how many may be. None where any number may.
    pub concurrency: Option<ConcurrencyStatus>,
    /// Tries that the open breaker refused.
    pub rejected: u64,
    /// Requests that ran out of time.
    pub timeouts: u64,
    /// Of these, requests whose caller's deadline was over before they, or their next try, could be sent.
    pub expired: u64,
    /// `closed`, `open`, `half-open`; `forced-open`, `forced-closed` by hand; `none` where it is off.
    pub breaker: String,
    /// How often the breaker opened by itself.
    pub breaker_opened: u64,
    /// Instances that are ejected now.
    pub ejected: Vec<EjectedStatus>,
    /// Ejections so far.
    pub ejections: u64,
    /// How an instance is chosen, such as `p2c-ewma`.
    pub balance: String,
    /// How the zone of the node is preferred. None where it is not, or all instances are on one side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneStatus>,
    /// Median time to the answer's head, microseconds.
    pub p50_us: u64,
    /// 99th percentile of the same.
    pub p99_us: u64,
    /// All of the same.
    #[serde(skip)]
    pub latency: HistogramSnapshot,
    /// Some of the requests in it, with how long ago they ended.
    #[serde(skip)]
    pub recent: Vec<(Recent, Duration)>,
}

/// How a call prefers the zone of the node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// The zone.
    pub own: String,
    /// Instances in it that are ready and not ejected.
    pub well: usize,
    /// Instances that there should be in it.
    pub all: usize,
    /// The part of the requests, 0 to 1, that stays in it. None: nobody is well anywhere.
    pub share: Option<f64>,
    /// Tries that went elsewhere so far.
    pub elsewhere: u64,
}

/// How full a bulkhead is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConcurrencyStatus {
    /// Requests in flight.
    pub in_flight: usize,
    /// Most that may be; where that is adaptive, as of now.
    pub limit: usize,
    /// Requests that wait for a place.
    pub waiting: usize,
    /// Requests that found none so far.
    pub refused: u64,
    /// The same by class, the highest first, where some may fill less than others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassStatus>,
}

/// Requests of one priority at a bulkhead.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClassStatus {
    /// `critical`, `high`, `normal` or `low`.
    pub class: String,
    /// One is let in while fewer than so many are in flight, of any class.
    pub limit: usize,
    /// Requests that wait for a place.
    pub waiting: usize,
    /// Requests that found none so far.
    pub refused: u64,
}

/// An instance that gets no requests for a while.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EjectedStatus {
    /// The instance.
    pub instance: String,
    /// For how much longer, milliseconds.
    pub remaining_ms: u64,
}

/// One upstream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Whether it is outside of the node: not a service but declared in `externals`.
    pub external: bool,
    /// Why it has no instances, or none that are up to date.
    pub trouble: Option<String>,
    /// Requests in flight of all calls together and how many may be. None where any number may.
    pub concurrency: Option<ConcurrencyStatus>,
    /// Instances that get requests.
    pub instances: Vec<InstanceStatus>,
}

/// One instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: String,
    /// Requests under way.
    pub in_flight: usize,
    /// Its share among those of the same priority.
    pub weight: u16,
    /// Only those of the lowest that is well get requests.
    pub priority: u16,
    /// The zone that it is in, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

pub(crate) fn of(table: &Table) -> Status {
    Status {
        listeners: Vec::new(),
        connections: Vec::new(),
        faults: Vec::new(),
        calls: table
            .calls
            .values()
            .map(|call| CallStatus {
                share: table.shares.get(&call.config.id).copied(),
                ..of_call(call, &table.upstreams[&call.config.upstream])
            })
            .collect(),
        upstreams: table.upstreams.values().map(|upstream| of_upstream(upstream)).collect(),
    }
}

fn of_upstream(upstream: &Upstream) -> UpstreamStatus {
    let (live, zones) = (upstream.live(), upstream.config.zones.as_ref());
    let instances = live.iter().map(|instance| InstanceStatus {
        id: instance.endpoint.id.clone(),
        address: instance.endpoint.address.to_string(),
        in_flight: instance.in_flight(),
        weight: instance.weight(),
        priority: instance.priority(),
        zone: zones.and_then(|zones| zones.of(&instance.endpoint.place)).map(str::to_owned),
    });
    UpstreamStatus {
        name: upstream.name.clone(),
        external: upstream.config.external.is_some(),
        trouble: upstream.trouble(),
        concurrency: upstream.bulkhead.as_deref().map(of_bulkhead),
        instances: instances.collect(),
    }
}

fn latency(call: &CallState) -> HistogramSnapshot {
    let mut all = HistogramSnapshot::default();
    call.tallies.iter().for_each(|tally| all.merge_in(&tally.latency));
    all
}

fn of_call(call: &CallState, upstream: &Upstream) -> CallStatus {
    let now = clock::now();
    let sum = |part: fn(&Tally) -> u64| call.tallies.iter().map(part).sum();
    let latency = latency(call);
    let breaker = call.breaker.as_ref().map(|breaker| breaker.state(now));
    CallStatus {
        call: call.config.id.clone(),
        upstream: call.config.upstream.clone(),
        share: None,
        requests: sum(|tally| tally.requests.get()),
        status_2xx: sum(|tally| tally.statuses[2].get()),
        status_3xx: sum(|tally| tally.statuses[3].get()),
        status_4xx: sum(|tally| tally.statuses[4].get()),
        status_5xx: sum(|tally| tally.statuses[5].get()),
        failures: sum(|tally| tally.failures.get()),
        retries: sum(|tally| tally.retries.get()),
        hedges: sum(|tally| tally.hedges.get()),
        hedges_won: sum(|tally| tally.hedges_won.get()),
        retries_denied: sum(|tally| tally.retries_denied.get()),
        fallbacks: sum(|tally| tally.fallbacks.get()),
        limited: sum(|tally| tally.limited.get()),
        limited_shadow: sum(|tally| tally.limited_shadow.get()),
        overloaded: sum(|tally| tally.overloaded.get()),
        shed: sum(|tally| tally.shed.get()),
        concurrency: call.bulkhead.as_deref().map(of_bulkhead),
        rejected: sum(|tally| tally.rejected.get()),
        timeouts: sum(|tally| tally.timeouts.get()),
        expired: sum(|tally| tally.expired.get()),
        breaker: breaker.map_or("none", |(state, _)| breaker_word(state)).to_owned(),
        breaker_opened: breaker.map_or(0, |(_, opened)| opened),
        ejected: ejected(call, upstream),
        ejections: call.ejection.as_ref().map_or(0, |ejection| ejection.total()),
        balance: call.config.balance.policy.name().to_owned(),
        zone: zone(call, upstream),
        p50_us: latency.quantile(0.5),
        p99_us: latency.quantile(0.99),
        latency,
        recent: recent(call),
    }
}

fn recent(call: &CallState) -> Vec<(Recent, Duration)> {
    let now = Duration::from_nanos(clock::now().as_nanos());
    let all = call.tallies.iter().flat_map(|tally| tally.exemplars.all());
    all.map(|one| (one, now.saturating_sub(one.at))).collect()
}

fn of_bulkhead(bulkhead: &Bulkhead) -> ConcurrencyStatus {
    let line = bulkhead.line();
    let of_class = |class: Class| ClassStatus {
        class: class.name().to_owned(),
        limit: bulkhead.room(class),
        waiting: line.of(class),
        refused: bulkhead.refused(class),
    };
    let classes: Vec<ClassStatus> = Class::ALL.into_iter().rev().map(of_class).collect();
    ConcurrencyStatus {
        in_flight: bulkhead.in_flight(),
        limit: bulkhead.limit(),
        waiting: line.len(),
        refused: classes.iter().map(|class| class.refused).sum(),
        classes: if bulkhead.sheds() { classes } else { Vec::new() },
    }
}

fn zone(call: &CallState, upstream: &Upstream) -> Option<ZoneStatus> {
    let preference = call.config.balance.zone?;
    let (live, zones) = (upstream.live(), upstream.config.zones.as_ref());
    let sides = Sides::of(zones, live.iter().map(|instance| &instance.endpoint))?;
    let ejected = call.ejection.as_ref().map(|ejection| ejection.ejected(clock::now())).unwrap_or_default();
    let (own, elsewhere) = sides.health(|at| ejected.iter().all(|(key, _)| *key != live[at].key));
    Some(ZoneStatus {
        own: zones?.own.clone()?,
        well: own.well,
        all: own.all,
        share: preference.share(own, elsewhere),
        elsewhere: call.tallies.iter().map(|tally| tally.elsewhere.get()).sum(),
    })
}

fn breaker_word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::HalfOpen => "half-open",
        BreakerState::ForcedOpen => "forced-open",
        BreakerState::ForcedClosed => "forced-closed",
    }
}

fn ejected(call: &CallState, upstream: &Upstream) -> Vec<EjectedStatus> {
    let now = clock::now();
    let Some(ejection) = &call.ejection else { return Vec::new() };
    let live = upstream.live();
    let named = ejection.ejected(now).into_iter().filter_map(|(key, until)| {
        let instance = live.iter().find(|instance| instance.key == key)?;
        let remaining_ms = until.since(now).as_millis() as u64;
        Some(EjectedStatus { instance: instance.endpoint.id.clone(), remaining_ms })
    });
    named.collect()
}
