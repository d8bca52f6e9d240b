//! The map: who is there and who has to do with whom, from the manifest, with what happens on each way just now.
//!
//! Rates are of the last ten seconds, and so are the quantiles: of what was recorded meanwhile, not averaged. What services use
//! without the manifest saying so is in [`crate::used`], where everything stands in [`crate::layout`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::uses::Used;
use manifest::valid::Manifest;
use mesh::{CallStatus, FaultStatus, UpstreamStatus};
use serde_json::{Map, Value, json};
use supervisor::{InstanceStatus, ServiceStatus};
use telemetry::HistogramSnapshot;

use crate::layout::{Drawing, Place, TALL, WIDE, draw};
use crate::live::{Sample, View};
use crate::used;

/// What is durable and stands on the map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durable {
    /// Topics as they are told, by their whole names, with their groups.
    pub(crate) topics: Vec<(String, Value, Vec<String>)>,
    /// Queues as they are told, by name.
    pub(crate) queues: Vec<(String, Value)>,
    /// What each service has used of what is there, by its name.
    pub(crate) uses: Vec<(String, Vec<Used>)>,
}

/// The map as it was last laid out: that is done again where somebody has come or gone.
#[derive(Debug, Default)]
pub(crate) struct Laid {
    names: Vec<String>,
    ways: BTreeSet<(String, String)>,
    drawings: Vec<(&'static str, Value)>,
}

impl Laid {
    fn told(&mut self, names: Vec<String>, ways: BTreeSet<(String, String)>) -> &[(&'static str, Value)] {
        if self.drawings.is_empty() || self.names != names || self.ways != ways {
            let shapes = [("wide", WIDE), ("tall", TALL)];
            let drawings =
                shapes.map(|(name, shape)| (name, drawing_told(&draw(&names, &ways, shape), shape.lane)));
            *self = Laid { names, ways, drawings: drawings.into() };
        }
        &self.drawings
    }
}

fn drawing_told(drawing: &Drawing, lane: f64) -> Value {
    let place = |place: &Place| json!([place.layer, place.at]);
    let nodes: Map<String, Value> =
        drawing.nodes.iter().map(|(name, at)| (name.clone(), place(at))).collect();
    let passed = |way: &Vec<Place>| way.iter().map(place).collect::<Vec<_>>();
    let ways: Vec<Value> =
        drawing.ways.iter().map(|((from, to), way)| json!([from, to, passed(way)])).collect();
    json!({ "layers": drawing.layers, "span": drawing.span, "lane": lane, "nodes": nodes, "ways": ways })
}

/// What a look has found.
pub(crate) struct Found {
    pub(crate) manifest: Manifest,
    pub(crate) plane: mesh::Status,
    pub(crate) services: Vec<ServiceStatus>,
    pub(crate) durable: Durable,
    /// How services and externals keep what they promise, by name.
    pub(crate) promises: BTreeMap<String, Value>,
}

/// Everything that a page shows live.
pub(crate) fn view(found: &Found, now: &Sample, before: &Sample, laid: &mut Laid) -> View {
    let spent = now.at.duration_since(before.at);
    let calls: Vec<Lately<'_>> =
        found.plane.calls.iter().map(|call| Lately::of(found, call, before)).collect();
    let mut nodes = nodes(found, now, before, spent);
    let edges = used::merged(edges(found, &calls, spent), &found.durable.uses, now, before, &mut nodes);
    let ways: BTreeSet<(String, String)> =
        edges.iter().map(|edge| (text(edge, "from"), text(edge, "to"))).collect();
    let stands = |(name, node): (&String, &Value)| is_on_the_map(name, node, &ways).then(|| name.clone());
    let drawings = laid.told(nodes.iter().filter_map(stands).collect(), ways);
    let mut view: View =
        drawings.iter().map(|(shape, told)| (format!("drawing/{shape}"), told.clone())).collect();
    view.extend(nodes.into_iter().map(|(name, node)| (format!("node/{name}"), node)));
    view.extend(calls.iter().map(|call| (format!("call/{}", call.status.call), call.told(spent))));
    view.extend(
        edges
            .into_iter()
            .map(|edge| (format!("edge/{} -> {}", text(&edge, "from"), text(&edge, "to")), edge)),
    );
    view.extend(traffic(&calls, spent).map(|(name, told)| (format!("traffic/{name}"), told)));
    view.extend(found.plane.faults.iter().map(|fault| (format!("fault/{}", fault.id), fault_told(fault))));
    view
}

/// Queues that hold nothing and topics that nobody has published to have no place, unless somebody uses them.
fn is_on_the_map(name: &str, node: &Value, ways: &BTreeSet<(String, String)>) -> bool {
    let holds = |keys: &[&str]| keys.iter().any(|key| node[key].as_u64().is_some_and(|count| count > 0));
    match node["kind"].as_str() {
        Some("queue") => holds(&["ready", "delayed", "leased", "blocked", "dead"]) || is_used(name, ways),
        Some("topic") => holds(&["published"]) || is_used(name, ways),
        _ => true,
    }
}

fn is_used(name: &str, ways: &BTreeSet<(String, String)>) -> bool {
    ways.iter().any(|(from, to)| from == name || to == name)
}

/// The name of the gateway on the map.
const GATEWAY: &str = "gateway";

/// A call with what it had before.
struct Lately<'a> {
    status: &'a CallStatus,
    before: Option<&'a CallStatus>,
    from: String,
    /// Of the time between.
    latency: HistogramSnapshot,
}

impl<'a> Lately<'a> {
    fn of(found: &'a Found, status: &'a CallStatus, before: &'a Sample) -> Lately<'a> {
        let caller = status.call.split_once(" -> ").map(|(caller, _)| caller);
        let caller = caller.filter(|caller| found.manifest.services.contains_key(*caller));
        // Counters that went back are those of a call that was declared anew.
        let before = before.calls.get(&status.call).filter(|before| before.requests <= status.requests);
        let latency = before.map(|before| status.latency.delta(&before.latency)).unwrap_or_default();
        Lately { status, before, from: caller.unwrap_or(GATEWAY).to_owned(), latency }
    }

    fn count(&self, of: impl Fn(&CallStatus) -> u64) -> u64 {
        of(self.status).saturating_sub(self.before.map_or_else(|| of(self.status), &of))
    }

    fn told(&self, spent: Duration) -> Value {
        let status = self.status;
        let per_second = |of: fn(&CallStatus) -> u64| rate(self.count(of), spent);
        json!({
            "call": status.call,
            "from": self.from,
            "to": status.upstream,
            "requests": status.requests,
            "breaker": status.breaker,
            "breaker_opened": status.breaker_opened,
            "ejected": status.ejected.iter().map(|one| &one.instance).collect::<Vec<_>>(),
            "balance": status.balance,
            "share": status.share,
            "in_flight": status.concurrency.as_ref().map(|of| of.in_flight),
            "limit": status.concurrency.as_ref().map(|of| of.limit),
            "waiting": status.concurrency.as_ref().map(|of| of.waiting),
            "rate": per_second(|call| call.requests),
            "errors": share(self.count(|call| call.status_5xx), self.count(|call| call.requests)),
            "p50_us": quantile(&self.latency, 0.5),
            "p99_us": quantile(&self.latency, 0.99),
            "lately": {
                "failures": per_second(|call| call.failures),
                "retries": per_second(|call| call.retries),
                "retries_denied": per_second(|call| call.retries_denied),
                "hedges": per_second(|call| call.hedges),
                "fallbacks": per_second(|call| call.fallbacks),
                "limited": per_second(|call| call.limited),
                "overloaded": per_second(|call| call.overloaded),
                "shed": per_second(|call| call.shed),
                "rejected": per_second(|call| call.rejected),
                "timeouts": per_second(|call| call.timeouts),
            },
            "total": {
                "failures": status.failures,
                "retries": status.retries,
                "retries_denied": status.retries_denied,
                "hedges": status.hedges,
                "fallbacks": status.fallbacks,
                "limited": status.limited,
                "overloaded": status.overloaded,
                "shed": status.shed,
                "rejected": status.rejected,
                "timeouts": status.timeouts,
                "ejections": status.ejections,
            },
        })
    }
}

/// A way on the map: all calls of one to another together.
fn edges(found: &Found, calls: &[Lately<'_>], spent: Duration) -> Vec<Value> {
    let mut ways: BTreeMap<(&str, &str), Vec<&Lately<'_>>> = BTreeMap::new();
    for call in calls {
        ways.entry((&call.from, &call.status.upstream)).or_default().push(call);
    }
    let of_calls = ways.into_iter().map(|((from, to), calls)| {
        let sum = |of: fn(&CallStatus) -> u64| calls.iter().map(|call| call.count(of)).sum::<u64>();
        let breakers = calls.iter().map(|call| call.status.breaker.as_str());
        let mut told = json!({
            "kind": "call",
            "from": from,
            "to": to,
            "calls": calls.iter().map(|call| &call.status.call).collect::<Vec<_>>(),
            "declared": true,
            "used": calls.iter().any(|call| call.status.requests > 0),
            "share": calls.iter().find_map(|call| call.status.share),
            "breaker": breakers.max_by_key(|state| severity(state)).unwrap_or("none"),
            "ejected": calls.iter().map(|call| call.status.ejected.len()).sum::<usize>(),
            "refused": rate(sum(|call| call.limited + call.overloaded + call.shed + call.rejected), spent),
            "retries": rate(sum(|call| call.retries), spent),
        });
        if let (Value::Object(told), Value::Object(more)) = (&mut told, summed(&calls, spent)) {
            told.extend(more);
        }
        told
    });
    // Who reads a topic is known by the name of its group, which is the application's unless it says otherwise.
    let of_groups = found.durable.topics.iter().flat_map(|(name, told, groups)| {
        let known = groups.iter().filter(|group| found.manifest.services.contains_key(*group));
        known.map(move |group| {
            json!({
                "kind": "subscription", "from": format!("topic {name}"), "to": group, "used": true, "declared": true,
                "lag": told["groups"][group]["lag"],
            })
        })
    });
    of_calls.chain(of_groups).collect()
}

/// What comes in at each upstream, of all calls to it together.
fn traffic<'a>(calls: &'a [Lately<'_>], spent: Duration) -> impl Iterator<Item = (&'a str, Value)> {
    let mut upstreams: BTreeMap<&str, Vec<&Lately<'_>>> = BTreeMap::new();
    for call in calls {
        upstreams.entry(&call.status.upstream).or_default().push(call);
    }
    upstreams.into_iter().map(move |(name, calls)| (name, summed(&calls, spent)))
}

/// Rate, errors and quantiles of several calls together.
fn summed(calls: &[&Lately<'_>], spent: Duration) -> Value {
    let sum = |of: fn(&CallStatus) -> u64| calls.iter().map(|call| call.count(of)).sum::<u64>();
    let mut latency = HistogramSnapshot::default();
    calls.iter().for_each(|call| latency.merge(&call.latency));
    json!({
        "rate": rate(sum(|call| call.requests), spent),
        "errors": share(sum(|call| call.status_5xx), sum(|call| call.requests)),
        "p50_us": quantile(&latency, 0.5),
        "p99_us": quantile(&latency, 0.99),
    })
}

fn nodes(found: &Found, now: &Sample, before: &Sample, spent: Duration) -> BTreeMap<String, Value> {
    let faults = |name: &str| -> Vec<u64> {
        found.plane.faults.iter().filter(|fault| fault.on == name).map(|fault| fault.id).collect()
    };
    let mut nodes = BTreeMap::new();
    if found.manifest.gateway.is_some() {
        nodes.insert(GATEWAY.to_owned(), json!({ "kind": "gateway", "name": GATEWAY }));
    }
    for service in &found.services {
        let node = service_told(service, |pid| cpu(pid, now, before, spent));
        nodes.insert(service.name.clone(), node);
    }
    for upstream in &found.plane.upstreams {
        let node = nodes.entry(upstream.name.clone()).or_insert_with(|| external_told(upstream));
        node["faults"] = faults(&upstream.name).into();
        node["trouble"] = upstream.trouble.clone().into();
        node["in_flight"] = upstream.instances.iter().map(|one| one.in_flight).sum::<usize>().into();
    }
    for (name, told) in &found.promises {
        if let Some(node) = nodes.get_mut(name) {
            node["slo"] = told.clone();
        }
    }
    for (name, told, _) in &found.durable.topics {
        nodes.insert(format!("topic {name}"), told.clone());
    }
    for (name, told) in &found.durable.queues {
        nodes.insert(format!("queue {name}"), told.clone());
    }
    nodes
}

fn service_told(service: &ServiceStatus, cpu: impl Fn(u32) -> Option<f64>) -> Value {
    let instances: Vec<Value> =
        service.instances.iter().map(|one| instance_told(one, one.pid.and_then(&cpu))).collect();
    json!({
        "kind": "service",
        "name": service.name,
        "state": service.state,
        "why": service.why,
        "rollout": service.rollout,
        "wanted": service.wanted,
        "ready": service.ready,
        "is_ours": !service.external,
        "instances": instances,
    })
}

fn instance_told(one: &InstanceStatus, cpu: Option<f64>) -> Value {
    json!({
        "id": one.id,
        "state": one.state,
        "pid": one.pid,
        "address": one.address,
        "restarts": one.restarts,
        "last_exit": one.last_exit,
        "ready_after_ms": one.ready_after_ms,
        "rss_kib": one.rss_kib,
        "cpu": cpu,
    })
}

fn external_told(upstream: &UpstreamStatus) -> Value {
    json!({ "kind": "external", "name": upstream.name })
}

fn fault_told(fault: &FaultStatus) -> Value {
    let mut told = serde_json::to_value(fault).unwrap_or_default();
    // Seconds are enough, and a page counts down by itself.
    told["remaining_ms"] = (fault.remaining_ms.div_ceil(1_000) * 1_000).into();
    told
}

/// The part of a core, 0 to 1 or more.
fn cpu(pid: u32, now: &Sample, before: &Sample, spent: Duration) -> Option<f64> {
    let used = now.cpu.get(&pid)?.checked_sub(*before.cpu.get(&pid)?)?;
    (!spent.is_zero()).then(|| rounded(used as f64 / spent.as_millis().max(1) as f64))
}

pub(crate) fn rate(count: u64, spent: Duration) -> Option<f64> {
    (!spent.is_zero()).then(|| rounded(count as f64 / spent.as_secs_f64()))
}

pub(crate) fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| rounded(count as f64 / of as f64))
}

fn quantile(latency: &HistogramSnapshot, q: f64) -> Option<u64> {
    (latency.count() > 0).then(|| latency.quantile(q))
}

/// Three digits: more changes without telling anything.
pub(crate) fn rounded(number: f64) -> f64 {
    if number == 0.0 {
        return 0.0;
    }
    let scale = 10_f64.powi(2 - number.abs().log10().floor() as i32);
    (number * scale).round() / scale
}

fn severity(breaker: &str) -> u8 {
    match breaker {
        "forced-open" => 5,
        "open" => 4,
        "half-open" => 3,
        "forced-closed" => 2,
        "closed" => 1,
        _ => 0,
    }
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.012_345, 1.006, 12.34, 1_234.5, 123_456.0].map(rounded);
        assert_eq!(shown, [0.0, 0.0123, 1.01, 12.3, 1_230.0, 123_000.0]);
    }

    #[test]
    fn the_worst_breaker_stands_for_all() {
        let worst = ["closed", "forced-open", "none"].into_iter().max_by_key(|state| severity(state));
        assert_eq!(worst, Some("forced-open"));
    }
}
