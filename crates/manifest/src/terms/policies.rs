//! Every policy of a call in the order in which a request meets it, with its values and where they were set.

use super::{Place, Places, SECRET, secrets, zones};
use crate::diff::{Lines, holds_secret, put_policies, show_shared};
use crate::valid::{CallPolicies, Concurrency, Manifest, RateLimit};

/// A policy as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its key in the manifest, `per-try`; of one that all callers share its way from the top.
    pub key: String,
    /// What it is called, `timeout of a try`.
    pub name: String,
    /// Its value in the manifest's words.
    pub value: String,
    /// Where that was set. None: by default.
    pub place: Option<Place>,
    /// Its options, if it is on and has some.
    pub options: Vec<Setting>,
}

/// An option of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key below the policy's, `backoff-max`.
    pub key: String,
    /// Its value in the manifest's words.
    pub value: String,
    /// Where that was set. None: by default.
    pub place: Option<Place>,
}

/// The policies of a call to any of these that is declared at `prefix`. None: all by default.
pub(super) fn list(
    manifest: &Manifest,
    places: &Places,
    prefix: Option<&str>,
    (answering, call, limits): (&[&str], &CallPolicies, &[RateLimit]),
) -> Vec<Policy> {
    let mut lines = Lines::new();
    put_policies(&mut lines, "", call, limits);
    let secrets = secrets(manifest);
    for value in lines.values_mut().filter(|value| holds_secret(value, &secrets)) {
        *value = SECRET.to_owned();
    }
    let mut policies: Vec<Policy> = Vec::new();
    for (key, value) in lines {
        let place = prefix.and_then(|prefix| place(places, prefix, &key));
        let (policy, option) = key.split_once('.').unwrap_or((&key, ""));
        let at = policies.iter().position(|known| known.key == policy).unwrap_or_else(|| {
            policies.push(Policy::new(policy));
            policies.len() - 1
        });
        match option {
            "" => (policies[at].value, policies[at].place) = (value, place),
            option => policies[at].options.push(Setting { key: option.to_owned(), value, place }),
        }
    }
    if answering.iter().all(|to| manifest.zones(to).is_empty()) {
        policies.retain(|policy| policy.key != ZONES || policy.place.is_some());
    }
    policies.sort_by_key(|policy| rank(&policy.key));
    if let Some(own) = policies.iter().position(|policy| policy.key == ZONES) {
        let zones = answering.iter().filter_map(|to| zones::of(manifest, places, to, call.zone_preference));
        policies.splice(own + 1..own + 1, zones.collect::<Vec<_>>());
    }
    let own = policies.iter().position(|policy| policy.key == CONCURRENCY).unwrap_or_default();
    let of_callees: Vec<Policy> = answering.iter().filter_map(|to| of_callee(manifest, places, to)).collect();
    policies.splice(own + 1..own + 1, of_callees);
    policies
}

/// The bulkhead that all callers of a service or external share, if it has one.
fn of_callee(manifest: &Manifest, places: &Places, to: &str) -> Option<Policy> {
    let concurrency = callee_concurrency(manifest, to)?;
    let part = if manifest.services.contains_key(to) { "services" } else { "externals" };
    let key = format!("{part}.{to}.{CONCURRENCY}");
    Some(Policy {
        place: places.value(&key),
        key,
        name: format!("bulkhead of {to}"),
        value: show_shared(concurrency),
        options: Vec::new(),
    })
}

/// How many requests a service or external takes, whoever calls.
pub(super) fn callee_concurrency<'m>(manifest: &'m Manifest, to: &str) -> Option<&'m Concurrency> {
    let of_service = manifest.services.get(to).and_then(|service| service.concurrency.as_ref());
    of_service.or_else(|| manifest.externals.get(to).and_then(|external| external.concurrency.as_ref()))
}

impl Policy {
    fn new(key: &str) -> Policy {
        let name = ORDER.iter().find(|(known, _)| *known == key).map_or(key, |(_, name)| name);
        let key = key.to_owned();
        Policy { key, name: name.to_owned(), value: String::new(), place: None, options: Vec::new() }
    }
}

/// Where a value was set: at its key, or at the option that the key alone stands for.
fn place(places: &Places, prefix: &str, key: &str) -> Option<Place> {
    let key = format!("{prefix}.{key}");
    let meant = SHORT.iter().find(|(short, _)| key.ends_with(&format!(".{short}")));
    let options = meant.filter(|_| places.has_below(&key));
    match options {
        Some((_, option)) => places.value(&format!("{key}.{option}")),
        None => places.value(&key),
    }
}

/// What has no place in the order yet comes last.
fn rank(key: &str) -> usize {
    ORDER.iter().position(|(known, _)| *known == key).unwrap_or(ORDER.len())
}

/// The keys of the policies in the order of `docs/policies/README.md`, and what each is called there.
pub(super) const ORDER: [(&str, &str); 14] = [
    ("limit", "rate limit"),
    ("timeout", "timeout"),
    ("priority", "priority"),
    (CONCURRENCY, "bulkhead"),
    ("breaker", "circuit breaker"),
    ("ejection", "ejection"),
    (ZONES, "zone preference"),
    ("balance", "balancing"),
    ("slow-start", "slow start"),
    ("per-try", "timeout of a try"),
    ("deadline-header", "deadline told"),
    ("hedge", "hedges"),
    ("retries", "retries"),
    ("fallback", "fallback"),
];

/// The key of what keeps requests in their zone.
const ZONES: &str = "zone-preference";

/// The key of a bulkhead.
const CONCURRENCY: &str = "concurrency";

/// Keys whose value, where they have options, is that of an option.
const SHORT: [(&str, &str); 2] = [("retries", "max"), (ZONES, "factor")];
