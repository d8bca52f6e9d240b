//! The policies of a call, from what the manifest says to what the data plane applies.

use std::time::Duration;

use manifest::valid;
use mesh::config as plane;

/// Window of a retry budget, as in Finagle and Linkerd.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// What is kept of a body for a hedge, where no retries say how much: as much as they would by default.
const HEDGE_BODY_BYTES: usize = 64 << 10;

/// A call, and those that it shares its requests with.
pub(super) fn target(
    id: &str,
    to: &str,
    split: Option<&valid::Split>,
    policies: &valid::CallPolicies,
    limits: &[valid::RateLimit],
) -> plane::Call {
    let first = call(id, to, policies, limits);
    let Some(split) = split else { return first };
    let part = |side: &valid::Side| plane::Part { weight: side.weight, when: side.when.clone() };
    let mut parts = split.sides.iter().map(part);
    let others = split.sides.iter().skip(1);
    let others = others.map(|side| call(&format!("{id} ({})", side.to), &side.to, policies, limits));
    let split = parts.next().map(|first| plane::Split {
        first,
        others: parts.zip(others).collect(),
        sticky: split.sticky.as_ref().map(hash_key),
    });
    plane::Call { split, ..first }
}

fn call(id: &str, to: &str, policies: &valid::CallPolicies, limits: &[valid::RateLimit]) -> plane::Call {
    // A side of a split does not stand in for itself.
    let fallback = policies.fallback.as_ref().filter(|fallback| !leads_to(fallback, to));
    let fallback = fallback.map(|fallback| match fallback {
        valid::Fallback::Static { status, body, content_type } => plane::Fallback::Static {
            status: *status,
            body: body.clone(),
            content_type: content_type.clone(),
        },
        valid::Fallback::To(other) => {
            // The stand-in has the policies of the call it stands in for, but no fallback of its own.
            let policies = valid::CallPolicies { fallback: None, ..policies.clone() };
            plane::Fallback::Call(Box::new(call(&format!("{id} (fallback {other})"), other, &policies, &[])))
        }
    });
    plane::Call {
        id: id.to_owned(),
        upstream: to.to_owned(),
        timeout: policies.timeout,
        per_try: policies.per_try,
        deadline_header: policies.deadline_header,
        concurrency: policies.concurrency.as_ref().map(concurrency),
        priority: policies.priority.map(|priority| match priority {
            valid::Priority::Low => policy::Class::Low,
            valid::Priority::Normal => policy::Class::Normal,
            valid::Priority::High => policy::Class::High,
            valid::Priority::Critical => policy::Class::Critical,
        }),
        retries: policies.retries.as_ref().map(retries),
        hedge: policies.hedge.map(|one| hedge(one, policies.retries.as_ref())),
        breaker: policies.breaker.as_ref().map(breaker),
        ejection: policies.ejection.as_ref().map(|ejection| policy::EjectionConfig {
            failures: ejection.failures,
            base: ejection.base,
            max: ejection.max,
            ceiling: ejection.ceiling,
        }),
        balance: plane::Balance {
            zone: policies.zone_preference.map(|given| policy::ZonePreference::new(given.percent)),
            ..balance(&policies.balance, policies.slow_start.as_ref())
        },
        fallback,
        limits: limits.iter().map(limit).collect(),
        split: None,
    }
}

fn leads_to(fallback: &valid::Fallback, to: &str) -> bool {
    matches!(fallback, valid::Fallback::To(other) if other == to)
}

fn retries(retries: &valid::Retries) -> plane::Retries {
    let backoff = policy::Backoff { base: retries.backoff, max: retries.backoff_max };
    plane::Retries {
        retry: policy::RetryConfig {
            max: retries.max,
            backoff,
            jitter: match retries.jitter {
                valid::Jitter::Full => policy::Jitter::Full,
                valid::Jitter::Decorrelated => policy::Jitter::Decorrelated,
            },
            on: policy::Conditions {
                connect_failure: retries.on.contains(&valid::Condition::ConnectFailure),
                reset: retries.on.contains(&valid::Condition::Reset),
                timeout: retries.on.contains(&valid::Condition::Timeout),
                statuses: retries.on.contains(&valid::Condition::Statuses),
            },
            statuses: retries.statuses.clone(),
            grpc_statuses: retries.grpc_statuses.clone(),
        },
        budget: policy::BudgetConfig {
            ratio: retries.budget,
            min_per_second: f64::from(retries.budget_min),
            window: BUDGET_WINDOW,
        },
        body_bytes: retries.body_bytes,
    }
}

fn hedge(hedge: valid::Hedge, retries: Option<&valid::Retries>) -> plane::Hedge {
    let after = match hedge.after {
        valid::HedgeAfter::Quantile(share) => policy::After::Quantile(share),
        valid::HedgeAfter::Fixed(after) => policy::After::Fixed(after),
    };
    plane::Hedge {
        hedge: policy::HedgeConfig { after, max: hedge.max },
        body_bytes: retries.map_or(HEDGE_BODY_BYTES, |retries| retries.body_bytes),
    }
}

pub(super) fn concurrency(concurrency: &valid::Concurrency) -> plane::Concurrency {
    let limit = match concurrency.limit {
        valid::ConcurrencyLimit::Fixed(max) => plane::ConcurrencyLimit::Fixed(max),
        valid::ConcurrencyLimit::Adaptive { min, max } => {
            let config = policy::GradientConfig { min, max, ..policy::GradientConfig::default() };
            plane::ConcurrencyLimit::Adaptive(config)
        }
    };
    let valid::Shares { low, normal, high } = concurrency.shares;
    let shares = policy::Shares::new(low, normal, high);
    plane::Concurrency { limit, queue: concurrency.queue, wait: concurrency.wait, shares }
}

fn balance(balance: &valid::Balance, slow_start: Option<&valid::SlowStart>) -> plane::Balance {
    let (policy, key) = match balance {
        valid::Balance::P2cEwma => (policy::BalanceConfig::PeakEwma, None),
        valid::Balance::RoundRobin => (policy::BalanceConfig::RoundRobin, None),
        valid::Balance::Random => (policy::BalanceConfig::Random, None),
        valid::Balance::LeastRequest { choices } => {
            (policy::BalanceConfig::LeastRequest { choices: *choices }, None)
        }
        valid::Balance::RingHash(key) => (policy::BalanceConfig::RingHash, Some(hash_key(key))),
        valid::Balance::Maglev(key) => (policy::BalanceConfig::Maglev, Some(hash_key(key))),
    };
    let slow_start = slow_start.map(|given| policy::SlowStart {
        window: given.window,
        aggression: given.aggression,
        min: given.min,
    });
    plane::Balance { policy, key, slow_start, zone: None }
}

fn hash_key(key: &valid::HashKey) -> plane::HashKey {
    match key {
        valid::HashKey::Header(name) => plane::HashKey::Header(name.clone()),
        valid::HashKey::Cookie { name, ttl } => plane::HashKey::Cookie { name: name.clone(), ttl: *ttl },
        valid::HashKey::Segment(before) => plane::HashKey::Segment(*before),
        valid::HashKey::Client => plane::HashKey::Client,
    }
}

fn breaker(breaker: &valid::Breaker) -> policy::BreakerConfig {
    policy::BreakerConfig {
        failures: breaker.failures,
        rate: breaker.rate,
        slow: breaker.slow,
        slow_rate: breaker.slow_rate,
        window: breaker.window,
        minimum: breaker.minimum,
        open_for: breaker.open_for,
        probes: breaker.probes,
    }
}

fn limit(limit: &valid::RateLimit) -> plane::RateLimit {
    plane::RateLimit {
        name: limit.to_string(),
        requests: limit.requests,
        per: limit.per,
        burst: limit.burst,
        gcra: policy::Gcra::new(limit.requests, limit.per, limit.burst),
        key: match &limit.key {
            valid::LimitKey::All => plane::LimitKey::All,
            valid::LimitKey::Client => plane::LimitKey::Client,
            valid::LimitKey::Header(name) => plane::LimitKey::Header(name.clone()),
            valid::LimitKey::Cookie(name) => plane::LimitKey::Cookie(name.clone()),
            valid::LimitKey::Segment(nth) => plane::LimitKey::Segment(*nth),
        },
        shadow: limit.shadow,
        headers: limit.headers,
    }
}
