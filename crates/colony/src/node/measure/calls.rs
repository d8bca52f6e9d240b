//! What the data plane counts.

use std::time::Duration;

use mesh::{CallStatus, ConcurrencyStatus, FaultStatus, Status, UpstreamStatus};
use telemetry::catalogue::{self as names, Metric};
use telemetry::exposition::{Exemplar, Sample, Value};

use crate::lower::GATEWAY;
use crate::node::unix_ms;

pub(super) fn gather(status: &Status, out: &mut Vec<Sample>) {
    status.calls.iter().for_each(|call| of_call(call, out));
    status.upstreams.iter().for_each(|upstream| of_upstream(upstream, out));
    status.faults.iter().for_each(|fault| of_fault(fault, out));
    for (core, count) in status.connections.iter().enumerate() {
        out.push(Sample::number(&names::CONNECTIONS, &[&core.to_string()], *count as f64));
    }
}

/// Who calls, as the id of the call says.
pub(super) fn caller(call: &str) -> &str {
    match call.split_once(" -> ") {
        Some((caller, _)) if !call.starts_with("gateway ") => caller,
        _ => GATEWAY,
    }
}

fn of_call(call: &CallStatus, out: &mut Vec<Sample>) {
    let labels = [caller(&call.call), call.upstream.as_str(), call.call.as_str()];
    let mut put = |metric: &'static Metric, more: &[&str], value: f64| {
        out.push(Sample::number(metric, &[&labels, more].concat(), value));
    };
    let statuses = [
        ("2xx", call.status_2xx),
        ("3xx", call.status_3xx),
        ("4xx", call.status_4xx),
        ("5xx", call.status_5xx),
    ];
    statuses.iter().for_each(|(class, count)| put(&names::CALL_REQUESTS, &[class], *count as f64));
    let tries = [
        // What a policy refused before a try was never tried.
        ("first", call.requests.saturating_sub(call.overloaded + call.shed)),
        ("retry", call.retries),
        ("hedge", call.hedges),
    ];
    tries.iter().for_each(|(reason, count)| put(&names::CALL_TRIES, &[reason], *count as f64));
    let refusals = [
        ("rate-limit", call.limited),
        ("rate-limit-shadow", call.limited_shadow),
        ("bulkhead", call.overloaded),
        ("load-shedding", call.shed),
        ("circuit-breaker", call.rejected),
        ("deadline", call.expired),
    ];
    refusals.iter().for_each(|(policy, count)| put(&names::CALL_REFUSALS, &[policy], *count as f64));
    let counts = [
        (&names::CALL_FAILURES, call.failures),
        (&names::CALL_BUDGET_REFUSALS, call.retries_denied),
        (&names::CALL_HEDGES_WON, call.hedges_won),
        (&names::CALL_TIMEOUTS, call.timeouts),
        (&names::CALL_FALLBACKS, call.fallbacks),
        (&names::CALL_EJECTED, call.ejected.len() as u64),
        (&names::CALL_EJECTIONS, call.ejections),
    ];
    counts.into_iter().for_each(|(metric, count)| put(metric, &[], count as f64));
    if let Some(state) = breaker_state(&call.breaker) {
        put(&names::CALL_BREAKER, &[], state);
        put(&names::CALL_BREAKER_OPENS, &[], call.breaker_opened as f64);
    }
    if let Some(ConcurrencyStatus { in_flight, limit, waiting, .. }) = &call.concurrency {
        put(&names::CALL_IN_FLIGHT, &[], *in_flight as f64);
        put(&names::CALL_IN_FLIGHT_MAX, &[], *limit as f64);
        put(&names::CALL_WAITING, &[], *waiting as f64);
    }
    out.push(Sample {
        metric: &names::CALL_DURATION,
        labels: labels.map(str::to_owned).to_vec(),
        value: Value::Histogram(call.latency.clone(), exemplars(call)),
    });
}

fn exemplars(call: &CallStatus) -> Vec<Exemplar> {
    let now = Duration::from_millis(unix_ms());
    let recent = call.recent.iter().map(|(recent, ago)| Exemplar {
        trace_id: recent.trace_id,
        micros: recent.micros,
        at_ms: now.saturating_sub(*ago).as_millis() as u64,
    });
    recent.collect()
}

fn breaker_state(word: &str) -> Option<f64> {
    match word {
        "closed" | "forced-closed" => Some(0.0),
        "half-open" => Some(1.0),
        "open" | "forced-open" => Some(2.0),
        _ => None,
    }
}

fn of_upstream(upstream: &UpstreamStatus, out: &mut Vec<Sample>) {
    let labels = [upstream.name.as_str()];
    let in_flight: usize = upstream.instances.iter().map(|instance| instance.in_flight).sum();
    out.push(Sample::number(&names::UPSTREAM_IN_FLIGHT, &labels, in_flight as f64));
    out.push(Sample::number(&names::UPSTREAM_INSTANCES, &labels, upstream.instances.len() as f64));
}

fn of_fault(fault: &FaultStatus, out: &mut Vec<Sample>) {
    let id = fault.id.to_string();
    out.push(Sample::number(&names::FAULT_STRIKES, &[&id, &fault.on], fault.struck as f64));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls() {
        assert_eq!(caller("checkout -> payments (fallback later)"), "checkout");
        assert_eq!(caller("gateway GET /a"), "gateway");
        assert_eq!(caller("gateway /a x=b -> c"), "gateway");
    }

    #[test]
    fn every_sample_has_the_labels_of_its_metric() {
        let call = CallStatus {
            call: "a -> b".to_owned(),
            upstream: "b".to_owned(),
            breaker: "half-open".to_owned(),
            concurrency: Some(ConcurrencyStatus::default()),
            ..CallStatus::default()
        };
        let status = Status {
            calls: vec![call],
            upstreams: vec![UpstreamStatus::default()],
            faults: vec![FaultStatus::default()],
            connections: vec![3],
            ..Status::default()
        };
        let mut out = Vec::new();
        gather(&status, &mut out);
        assert!(out.iter().all(telemetry::exposition::fits), "{out:#?}");
        let breaker = out.iter().find(|sample| sample.metric == &names::CALL_BREAKER).expect("told");
        assert_eq!(
            (breaker.labels.join("|"), &breaker.value),
            ("a|b|a -> b".to_owned(), &Value::Number(1.0))
        );
    }
}
