//! The policies of a call, spelt out.

use super::{Lines, ON, none, put, table};
use crate::resolve::defaults;
use crate::units::{show_duration, show_percentage, show_size};
use crate::valid::{
    Balance, Breaker, CallPolicies, Concurrency, ConcurrencyLimit, Ejection, Fallback, GRPC_STATUSES,
    HashKey, Hedge, HedgeAfter, Jitter, Priority, RateLimit, Shares, SlowStart, ZonePreference,
};

pub(crate) fn put_policies(lines: &mut Lines, prefix: &str, policies: &CallPolicies, limits: &[RateLimit]) {
    let mut own = table([
        ("timeout", policies.timeout.map_or_else(none, show_duration)),
        ("per-try", policies.per_try.map_or_else(none, show_duration)),
        (
            "deadline-header",
            policies.deadline_header.map_or_else(|| "to services".to_owned(), |on| on.to_string()),
        ),
        (
            "limit",
            if limits.is_empty() {
                none()
            } else {
                limits.iter().map(show_limit).collect::<Vec<_>>().join(", ")
            },
        ),
        ("fallback", policies.fallback.as_ref().map_or_else(none, show_fallback)),
        (
            "concurrency",
            policies
                .concurrency
                .as_ref()
                .map_or_else(none, |one| show_concurrency(one, defaults::SHARES_OF_CALL)),
        ),
        ("priority", policies.priority.map_or(INHERITED, Priority::name).to_owned()),
        ("retries", policies.retries.as_ref().map_or_else(none, |retries| retries.max.to_string())),
        ("hedge", policies.hedge.as_ref().map_or_else(none, show_hedge)),
        ("breaker", policies.breaker.as_ref().map_or_else(none, |_| ON.to_owned())),
        ("balance", show_balance(&policies.balance)),
        ("zone-preference", policies.zone_preference.map_or_else(none, show_zone_preference)),
        ("slow-start", policies.slow_start.as_ref().map_or_else(none, show_slow_start)),
        ("ejection", policies.ejection.as_ref().map_or_else(none, |_| ON.to_owned())),
    ]);
    if let Some(retries) = &policies.retries {
        let statuses: Vec<String> = retries.statuses.iter().map(u16::to_string).collect();
        let options = table([
            ("backoff", show_duration(retries.backoff)),
            ("backoff-max", show_duration(retries.backoff_max)),
            ("budget", show_percentage(retries.budget)),
            ("budget-min", retries.budget_min.to_string()),
            ("body-bytes", show_size(retries.body_bytes as u64)),
            ("jitter", show_jitter(retries.jitter)),
            ("on", retries.on.iter().map(|on| on.name()).collect::<Vec<_>>().join(", ")),
            ("statuses", statuses.join(", ")),
            ("grpc-statuses", show_grpc(&retries.grpc_statuses)),
        ]);
        put(&mut own, "retries.", options);
    }
    if let Some(breaker) = &policies.breaker {
        put_breaker(&mut own, breaker);
    }
    if let Some(ejection) = &policies.ejection {
        put_ejection(&mut own, ejection);
    }
    put(lines, prefix, own);
}

pub(super) fn put_breaker(lines: &mut Lines, breaker: &Breaker) {
    let options = table([
        ("failures", breaker.failures.to_string()),
        ("rate", show_percentage(breaker.rate)),
        ("slow", breaker.slow.map_or_else(none, show_duration)),
        ("slow-rate", show_percentage(breaker.slow_rate)),
        ("window", show_duration(breaker.window)),
        ("minimum", breaker.minimum.to_string()),
        ("open-for", show_duration(breaker.open_for)),
        ("probes", breaker.probes.to_string()),
    ]);
    put(lines, "breaker.", options);
}

pub(super) fn put_ejection(lines: &mut Lines, ejection: &Ejection) {
    let options = table([
        ("failures", ejection.failures.to_string()),
        ("base", show_duration(ejection.base)),
        ("max", show_duration(ejection.max)),
        ("ceiling", show_percentage(ejection.ceiling)),
    ]);
    put(lines, "ejection.", options);
}

/// A limit; its shares only if they are not the `usual` ones.
pub(super) fn show_concurrency(concurrency: &Concurrency, usual: Shares) -> String {
    let limit = match concurrency.limit {
        ConcurrencyLimit::Fixed(max) => max.to_string(),
        ConcurrencyLimit::Adaptive { min, max } => format!("adaptive from {min} to {max}"),
    };
    let queued = match concurrency.queue {
        0 => limit,
        queue => format!("{limit}, queue {queue} for {}", show_duration(concurrency.wait)),
    };
    if concurrency.shares == usual {
        return queued;
    }
    let Shares { low, normal, high } = concurrency.shares;
    let [low, normal, high] = [low, normal, high].map(show_percentage);
    format!("{queued}, low up to {low}, normal {normal}, high {high}")
}

/// The priority of a call that has that of the request on whose behalf it is made.
const INHERITED: &str = "inherited";

fn show_limit(limit: &RateLimit) -> String {
    match (limit.shadow, limit.headers) {
        (true, _) => format!("{limit} (shadow)"),
        (false, true) => limit.to_string(),
        (false, false) => format!("{limit} (without headers)"),
    }
}

fn show_balance(balance: &Balance) -> String {
    let name = balance.name();
    match balance {
        Balance::LeastRequest { choices } => format!("{name} of {choices}"),
        Balance::RingHash(key) | Balance::Maglev(key) => format!("{name} by {}", show_hash_key(key)),
        Balance::P2cEwma | Balance::RoundRobin | Balance::Random => name.to_owned(),
    }
}

pub(super) fn show_hash_key(key: &HashKey) -> String {
    match key {
        HashKey::Header(name) => format!("header {name}"),
        HashKey::Cookie { name, ttl: None } => format!("cookie {name}"),
        HashKey::Cookie { name, ttl: Some(ttl) } => {
            format!("cookie {name}, given for {}", show_duration(*ttl))
        }
        HashKey::Segment(before) => format!("segment {} of the path", before + 1),
        HashKey::Client => "client".to_owned(),
    }
}

fn show_zone_preference(preference: ZonePreference) -> String {
    format!("factor {}", f64::from(preference.percent) / 100.0)
}

fn show_slow_start(slow_start: &SlowStart) -> String {
    let (window, min) = (show_duration(slow_start.window), show_percentage(slow_start.min));
    format!("{window} from {min}, aggression {}", slow_start.aggression)
}

fn show_hedge(hedge: &Hedge) -> String {
    let after = match hedge.after {
        // To a hundredth: 0.999 * 100 is not 99.9 in binary.
        HedgeAfter::Quantile(share) => format!("p{}", (share * 10_000.0).round() / 100.0),
        HedgeAfter::Fixed(after) => show_duration(after),
    };
    format!("after {after}, {} at most", hedge.max)
}

fn show_jitter(jitter: Jitter) -> String {
    match jitter {
        Jitter::Full => "full".to_owned(),
        Jitter::Decorrelated => "decorrelated".to_owned(),
    }
}

fn show_grpc(statuses: &[u16]) -> String {
    let named = GRPC_STATUSES.iter().filter(|(number, _)| statuses.contains(number));
    named.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn show_fallback(fallback: &Fallback) -> String {
    match fallback {
        Fallback::To(to) => format!("to {to}"),
        Fallback::Static { status, body, content_type } => format!("{status} {content_type} {body}"),
    }
}
