//! The policies of a call or a route.

pub(crate) mod balance;
mod breaker;
mod concurrency;
mod ejection;
mod fallback;
mod hedge;
mod limit;
mod retries;

use std::time::Duration;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolve::defaults;
use crate::resolve::names::Names;
use crate::typed::{self, At, Field, OrNone};
use crate::units::show_duration;
use crate::valid::{self};
pub(crate) use limit::limits;

/// Who calls whom, for checks and messages. No caller: a route of the gateway.
pub(crate) struct Call<'a> {
    pub caller: Option<&'a str>,
    pub to: &'a str,
    /// The segments of the route's path, those of them that have a name.
    pub captures: &'a [Option<String>],
}

/// The policies, with defaults.
pub(crate) fn resolve(
    typed: &typed::Policies,
    call: &Call,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> valid::CallPolicies {
    let timeout = duration_or_none(&typed.timeout, Some(defaults::CALL_TIMEOUT));
    let per_try = duration_or_none(&typed.per_try, None);
    warn_per_try(typed, timeout, found);
    let retries = retries::resolve(&typed.retries, found);
    let balance = balance::resolve(&typed.balance, call, found);
    let of_route = call.caller.is_none().then_some(valid::Priority::Normal);
    let whole = timeout.into_iter().chain(per_try).min();
    let whole = whole.filter(|_| !typed.timeout.is_broken() && !typed.per_try.is_broken());
    let concurrency = concurrency(&typed.concurrency, defaults::SHARES_OF_CALL, found);
    if !typed.timeout.is_broken() {
        concurrency::warn_wait(&typed.concurrency, concurrency.as_ref(), timeout, found);
    }
    let valid = valid::CallPolicies {
        timeout,
        per_try,
        deadline_header: typed.deadline_header.value().map(|given| given.0),
        concurrency,
        priority: typed.priority.value().map(|priority| priority.0).or(of_route),
        hedge: hedge::resolve(typed, whole, retries.as_ref(), found),
        retries,
        breaker: switch(&typed.breaker, defaults::breaker, |options| breaker::resolve(options, whole, found)),
        ejection: switch(&typed.ejection, defaults::ejection, |options| ejection::resolve(options, found)),
        slow_start: balance::slow_start(&typed.slow_start, &balance, found),
        zone_preference: switch(&typed.zone_preference, defaults::zone_preference, balance::zone_preference),
        balance,
        fallback: typed
            .fallback
            .value()
            .and_then(|given| fallback::resolve(given.some()?, call, names, found)),
    };
    retries::warn_nothing(typed, &valid, found);
    valid
}

/// How many requests may be in flight, of a call or of all calls to a service.
pub(crate) fn concurrency(
    field: &Field<OrNone<typed::Concurrency>>,
    shares: valid::Shares,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Concurrency> {
    field.value().and_then(|given| concurrency::resolve(given.some()?, shares, found))
}

fn duration_or_none(field: &Field<OrNone<typed::Dur>>, default: Option<Duration>) -> Option<Duration> {
    match field.value() {
        None => default,
        Some(given) => given.some().map(|duration| duration.0),
    }
}

/// A policy that is on by default: None only if it was switched off.
fn switch<T, V>(field: &Field<OrNone<T>>, default: fn() -> V, with: impl FnOnce(&T) -> V) -> Option<V> {
    match field.value() {
        None => Some(default()),
        Some(OrNone::None) => None,
        Some(OrNone::Some(options)) => Some(with(options)),
    }
}

fn warn_per_try(typed: &typed::Policies, timeout: Option<Duration>, found: &mut Vec<Diagnostic>) {
    let Some(At { value: OrNone::Some(per_try), span, .. }) = typed.per_try.get() else { return };
    if typed.timeout.is_broken() || timeout.is_none_or(|timeout| per_try.0 <= timeout) {
        return;
    }
    let one =
        Diagnostic::warning(codes::PER_TRY, *span, "`per-try` is longer than `timeout` and never counts")
            .label("one try may take longer than all together")
            .help("`timeout` is for all tries together: make it longer, or `per-try` shorter");
    found.push(match typed.timeout.get() {
        Some(at) => one.also(at.span, "the whole call ends here"),
        None => one.label(format!(
            "the whole call ends after {}, the default",
            show_duration(defaults::CALL_TIMEOUT)
        )),
    });
}

pub(crate) fn set<T, V>(slot: &mut V, field: &Field<T>, value: impl FnOnce(&T) -> V) {
    if let Some(given) = field.value() {
        *slot = value(given);
    }
}

pub(crate) fn at<T>(field: &Field<T>, otherwise: Span) -> Span {
    field.get().map_or(otherwise, |at| at.span)
}

pub(crate) fn contradiction(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(codes::CONTRADICTION, span, message)
}

/// Points at the other side of a contradiction, or names it if it is a default.
fn beside<T>(one: Diagnostic, other: &Field<T>, default: &str) -> Diagnostic {
    match other.get() {
        Some(at) => one.label("longer than").also(at.span, "this"),
        None => one.label(format!("longer than {default}")),
    }
}
