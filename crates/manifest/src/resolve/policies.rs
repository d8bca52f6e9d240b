//! The policies of a call or a route.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http;
use crate::resolve::defaults;
use crate::resolve::names::Names;
use crate::typed::{self, At, Field, OrNone};
use crate::units::show_duration;
use crate::valid::{self, ConcurrencyLimit};

/// Who calls whom, for checks and messages. No caller: a route of the gateway.
pub(crate) struct Call<'a> {
    pub caller: Option<&'a str>,
    pub to: &'a str,
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
    valid::CallPolicies {
        timeout,
        per_try,
        concurrency: typed.concurrency.value().and_then(|given| concurrency(given.some()?, found)),
        retries: retries(&typed.retries, found),
        breaker: switch(&typed.breaker, defaults::breaker, |options| breaker(options, found)),
        ejection: switch(&typed.ejection, defaults::ejection, |options| ejection(options, found)),
        fallback: typed.fallback.value().and_then(|given| fallback(given.some()?, call, names, found)),
    }
}

/// The rate limits.
pub(crate) fn limits(typed: &typed::Policies) -> Vec<valid::RateLimit> {
    let given = typed.limit.value().and_then(OrNone::some);
    given.into_iter().flat_map(|limits| &limits.0).map(|limit| limit.value.0.clone()).collect()
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

fn concurrency(given: &typed::Concurrency, found: &mut Vec<Diagnostic>) -> Option<valid::Concurrency> {
    let adaptive = ConcurrencyLimit::Adaptive { min: defaults::ADAPTIVE_MIN, max: defaults::ADAPTIVE_MAX };
    let options = match given {
        typed::Concurrency::Max(max) => return Some(defaults::concurrency(ConcurrencyLimit::Fixed(*max))),
        typed::Concurrency::Adaptive => return Some(defaults::concurrency(adaptive)),
        typed::Concurrency::Options(options) => options,
    };
    let mut valid = defaults::concurrency(concurrency_limit(options, found)?);
    set(&mut valid.queue, &options.queue, typed::Int::u32);
    set(&mut valid.wait, &options.wait, |duration| duration.0);
    if let (Some(wait), 0, false) = (options.wait.get(), valid.queue, options.queue.is_broken()) {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, wait.span, "`wait` has no effect without `queue`")
                .label("nobody waits")
                .help("say how many may wait, such as `queue: 100`"),
        );
    }
    Some(valid)
}

/// How many may be in flight; None if that is not said.
fn concurrency_limit(
    options: &typed::ConcurrencyOptions,
    found: &mut Vec<Diagnostic>,
) -> Option<ConcurrencyLimit> {
    let max = options.max.value().map(typed::Int::u32);
    if !options.adaptive.value().is_some_and(|adaptive| adaptive.0) {
        if let Some(min) = options.min.key() {
            found.push(
                Diagnostic::warning(codes::NO_EFFECT, min, "`min` has no effect without `adaptive: true`")
                    .label("a fixed limit does not move"),
            );
        }
        if max.is_none() && !options.max.is_broken() && !options.adaptive.is_broken() {
            found.push(
                Diagnostic::error(codes::MISSING_KEY, options.head, "`concurrency` does not say how many")
                    .label("`max` is missing")
                    .help("write `max: 64`, or `adaptive: true` to have it found out"),
            );
        }
        return max.map(ConcurrencyLimit::Fixed);
    }
    let max = max.unwrap_or(defaults::ADAPTIVE_MAX);
    let min = options.min.value().map_or(defaults::ADAPTIVE_MIN.min(max), typed::Int::u32);
    if min > max {
        let one = contradiction(at(&options.min, options.head), "`min` is more than `max`");
        found.push(match options.max.get() {
            Some(at) => one.label("more than").also(at.span, "this"),
            None => one.label(format!("more than {max}, the default")),
        });
    }
    Some(ConcurrencyLimit::Adaptive { min, max })
}

fn retries(field: &Field<typed::Retries>, found: &mut Vec<Diagnostic>) -> Option<valid::Retries> {
    let options = match field.value() {
        None => return Some(defaults::retries()),
        Some(typed::Retries::None | typed::Retries::Max(0)) => return None,
        Some(typed::Retries::Max(max)) => return Some(valid::Retries { max: *max, ..defaults::retries() }),
        Some(typed::Retries::Options(options)) => options,
    };
    let mut valid = defaults::retries();
    set(&mut valid.max, &options.max, typed::Int::u32);
    set(&mut valid.backoff, &options.backoff, |duration| duration.0);
    set(&mut valid.backoff_max, &options.backoff_max, |duration| duration.0);
    set(&mut valid.budget, &options.budget, |share| share.0);
    set(&mut valid.budget_min, &options.budget_min, typed::Int::u32);
    set(&mut valid.body_bytes, &options.body_bytes, |size| size.0 as usize);
    set(&mut valid.statuses, &options.statuses, |list| list.0.iter().map(|status| status.value.0).collect());
    set(&mut valid.jitter, &options.jitter, |jitter| jitter.0);
    set(&mut valid.on, &options.on, |list| list.0.iter().map(|condition| condition.value.0).collect());
    set(&mut valid.grpc_statuses, &options.grpc_statuses, |list| {
        list.0.iter().map(|status| status.value.0).collect()
    });
    warn_statuses(&valid, options, found);
    let broken = options.backoff.is_broken() || options.backoff_max.is_broken();
    if valid.backoff > valid.backoff_max && !broken {
        let span = at(&options.backoff, options.head);
        let one = contradiction(span, "`backoff` is longer than `backoff-max`");
        found.push(beside(
            one,
            &options.backoff_max,
            &format!("{}, the default", show_duration(valid.backoff_max)),
        ));
    }
    (valid.max > 0).then_some(valid)
}

/// Statuses that are named although `on` leaves answers out.
fn warn_statuses(valid: &valid::Retries, options: &typed::RetryOptions, found: &mut Vec<Diagnostic>) {
    if options.on.is_broken() || valid.on.contains(&valid::Condition::Statuses) {
        return;
    }
    let named = [(options.statuses.key(), "statuses"), (options.grpc_statuses.key(), "grpc-statuses")];
    for (key, name) in named {
        if let Some(key) = key {
            found.push(
                Diagnostic::warning(
                    codes::NO_EFFECT,
                    key,
                    format!("`{name}` has no effect beside this `on`"),
                )
                .label("no answer is retried")
                .help("add `statuses` to `on`"),
            );
        }
    }
}

fn breaker(options: &typed::Breaker, found: &mut Vec<Diagnostic>) -> valid::Breaker {
    let mut valid = defaults::breaker();
    set(&mut valid.failures, &options.failures, typed::Int::u32);
    set(&mut valid.rate, &options.rate, |share| share.0);
    valid.slow = duration_or_none(&options.slow, None);
    set(&mut valid.slow_rate, &options.slow_rate, |share| share.0);
    set(&mut valid.window, &options.window, |duration| duration.0);
    set(&mut valid.minimum, &options.minimum, typed::Int::u32);
    set(&mut valid.open_for, &options.open_for, |duration| duration.0);
    set(&mut valid.probes, &options.probes, typed::Int::u32);
    let counts_slow = valid.slow.is_some() && valid.slow_rate > 0.0;
    if valid.failures == 0 && valid.rate == 0.0 && !counts_slow && !options.slow.is_broken() {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, options.head, "this breaker never opens")
                .label("neither failures in a row nor their rate count, nor slow answers")
                .help("write `breaker: none` if that is meant"),
        );
    }
    if let (Some(rate), true) = (options.slow_rate.get(), options.slow.is_absent()) {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, rate.span, "`slow-rate` has no effect without `slow`")
                .label("a share of the slow, but nothing counts as slow")
                .help("say from when on a try is slow, such as `slow: 2s`"),
        );
    }
    valid
}

fn ejection(options: &typed::Ejection, found: &mut Vec<Diagnostic>) -> valid::Ejection {
    let mut valid = defaults::ejection();
    set(&mut valid.failures, &options.failures, typed::Int::u32);
    set(&mut valid.base, &options.base, |duration| duration.0);
    set(&mut valid.max, &options.max, |duration| duration.0);
    set(&mut valid.ceiling, &options.ceiling, |share| share.0);
    if valid.base > valid.max && !options.base.is_broken() && !options.max.is_broken() {
        let one = contradiction(
            at(&options.base, options.head),
            "the first ejection, `base`, is longer than the longest, `max`",
        );
        found.push(beside(one, &options.max, &format!("{}, the default", show_duration(valid.max))));
    }
    valid
}

fn fallback(
    options: &typed::Fallback,
    call: &Call,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Fallback> {
    if let Some(to) = options.to.get() {
        refuse_answer_beside_to(options, to.span, found);
        let to = At { value: to.value.0.clone(), span: to.span, secret: to.secret };
        return fallback_to(&to, call, names, found).map(valid::Fallback::To);
    }
    if options.to.is_broken() {
        return None;
    }
    let body = options.body.value().map_or_else(String::new, |body| body.0.clone());
    let content_type = match options.content_type.get() {
        Some(given) => content_type(given, found)?,
        None if serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok() => "application/json".to_owned(),
        None => "text/plain; charset=utf-8".to_owned(),
    };
    let status = options.status.value().map_or(defaults::FALLBACK_STATUS, |status| status.0);
    Some(valid::Fallback::Static { status, body, content_type })
}

fn refuse_answer_beside_to(options: &typed::Fallback, to: Span, found: &mut Vec<Diagnostic>) {
    let keys = [
        (options.status.key(), "status"),
        (options.body.key(), "body"),
        (options.content_type.key(), "content-type"),
    ];
    for (key, name) in keys {
        if let Some(key) = key {
            let message = format!("`{name}` and `to` cannot both answer");
            found.push(
                contradiction(key, message)
                    .label("a fixed answer")
                    .also(to, "another service's answer")
                    .help("a fallback is either a fixed answer or another service"),
            );
        }
    }
}

fn fallback_to(to: &At<String>, call: &Call, names: &Names, found: &mut Vec<Diagnostic>) -> Option<String> {
    if to.value == call.to {
        let message = format!("the fallback of `{0}` is `{0}` itself", to.value);
        found.push(
            Diagnostic::error(codes::FALLBACK_LOOP, to.span, message)
                .label("this has just failed")
                .help("name another service, or give a fixed answer with `status` and `body`"),
        );
        return None;
    }
    if call.caller == Some(to.value.as_str()) {
        let message = format!("`{}` would answer its own call", to.value);
        found.push(
            Diagnostic::error(codes::FALLBACK_LOOP, to.span, message)
                .label("this is the caller")
                .help("name another service, or give a fixed answer with `status` and `body`"),
        );
        return None;
    }
    names.require(to, "fall back to", found);
    Some(to.value.clone())
}

fn content_type(given: &At<typed::Text>, found: &mut Vec<Diagnostic>) -> Option<String> {
    match http::header_value(&given.value.0) {
        Ok(value) => Some(value),
        Err(wrong) => {
            found.push(Diagnostic::error(codes::HEADER, given.span, wrong.message));
            None
        }
    }
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
