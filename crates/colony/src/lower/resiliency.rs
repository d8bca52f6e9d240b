//! Policies of resources, lowered into what the API wants. Conditions are compiled here, for the reader of resources is without
//! the language that they are in.

use api::resiliency::{Breaking, Components, Family, Policies, Resiliency, Retry, Trip};
use manifest::resources::resiliency as written;
use manifest::{Resources, Span};
use policy::{CountedConfig, Pace, RepeatConfig};

/// What holds for the calls of an application; adds to the resources' diagnostics.
pub(crate) fn resiliency(found: &mut Resources, app_id: &str) -> Resiliency {
    let calls = found.resiliency.of(app_id);
    let mut refuse = |span: Span, why: String| {
        found.wrong_value(
            span,
            format!("the condition of a circuit breaker cannot be used: {why}"),
            "not used",
            "it is an expression in CEL over requests, totalSuccesses, totalFailures, consecutiveSuccesses and \
             consecutiveFailures, such as `consecutiveFailures > 5`",
        );
    };
    Resiliency {
        apps: calls.apps.into_iter().map(|(id, one)| (id, policies(one, &mut refuse))).collect(),
        other_apps: policies(calls.other_apps, &mut refuse),
        outbound: components(calls.outbound, &mut refuse),
        inbound: components(calls.inbound, &mut refuse),
    }
}

fn components(written: written::Components, refuse: &mut impl FnMut(Span, String)) -> Components {
    let named = written.named.into_iter().map(|(name, one)| (name, policies(one, refuse))).collect();
    let others = written.others.into_iter().map(|(of, one)| (family(of), policies(one, refuse))).collect();
    Components { named, others }
}

fn family(written: written::Family) -> Family {
    match written {
        written::Family::Binding => Family::Binding,
        written::Family::Configuration => Family::Configuration,
        written::Family::Lock => Family::Lock,
        written::Family::PubSub => Family::PubSub,
        written::Family::Secrets => Family::Secrets,
        written::Family::State => Family::State,
    }
}

fn policies(one: written::Policies, refuse: &mut impl FnMut(Span, String)) -> Policies {
    Policies {
        timeout: one.timeout.filter(|limit| !limit.is_zero()),
        retry: one.retry.map(retry),
        breaker: one.breaker.and_then(|breaker| breaking(breaker, refuse)),
    }
}

fn retry(one: written::Retry) -> Retry {
    let pace = one.constant.map_or(Pace::Growing(one.longest), Pace::Constant);
    Retry { pace: RepeatConfig { max: one.max, pace }, http: one.http, grpc: one.grpc }
}

fn breaking(one: written::Breaker, refuse: &mut impl FnMut(Span, String)) -> Option<Breaking> {
    let trip = Trip::new(&one.trip).map_err(|why| refuse(one.span, why)).ok()?;
    let config = CountedConfig { probes: one.probes, interval: one.interval, open_for: one.open_for };
    Some(Breaking { config, trip, methods_max: one.methods_max })
}
