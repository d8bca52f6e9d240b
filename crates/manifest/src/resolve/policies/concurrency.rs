//! How many requests may be in flight.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::resolve::defaults;
use crate::resolve::policies::{at, contradiction, set};
use crate::typed::{self, At, Field, OrNone};
use crate::units::show_duration;
use crate::valid::{self, ConcurrencyLimit, Shares};

/// A limit of which each priority may fill these shares, unless it says otherwise.
pub(super) fn resolve(
    given: &typed::Concurrency,
    shares: Shares,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Concurrency> {
    let adaptive = ConcurrencyLimit::Adaptive { min: defaults::ADAPTIVE_MIN, max: defaults::ADAPTIVE_MAX };
    let options = match given {
        typed::Concurrency::Max(max) => {
            return Some(defaults::concurrency(ConcurrencyLimit::Fixed(*max), shares));
        }
        typed::Concurrency::Adaptive => return Some(defaults::concurrency(adaptive, shares)),
        typed::Concurrency::Options(options) => options,
    };
    let mut valid = defaults::concurrency(concurrency_limit(options, found)?, shares);
    set(&mut valid.queue, &options.queue, typed::Int::u32);
    set(&mut valid.wait, &options.wait, |duration| duration.0);
    if let (Some(wait), 0, false) = (options.wait.get(), valid.queue, options.queue.is_broken()) {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, wait.span, "`wait` has no effect without `queue`")
                .label("nobody waits")
                .help("say how many may wait, such as `queue: 100`"),
        );
    }
    if let Some(typed) = options.shares.value() {
        valid.shares = resolve_shares(typed, shares, found);
    }
    Some(valid)
}

/// A wait for a place that the whole time of the call cuts short.
pub(super) fn warn_wait(
    field: &Field<OrNone<typed::Concurrency>>,
    valid: Option<&valid::Concurrency>,
    timeout: Option<Duration>,
    found: &mut Vec<Diagnostic>,
) {
    let Some(OrNone::Some(typed::Concurrency::Options(options))) = field.value() else { return };
    let (Some(wait), Some(valid), Some(timeout)) = (options.wait.get(), valid, timeout) else { return };
    if valid.queue > 0 && valid.wait > timeout {
        let message = "`wait` is longer than `timeout` and never counts";
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, wait.span, message)
                .label(format!("the whole call ends after {}", show_duration(timeout)))
                .help("`timeout` counts from before the wait: make it longer, or `wait` shorter"),
        );
    }
}

/// The shares: those given must rise, and those that are not give way to them.
fn resolve_shares(typed: &typed::Shares, default: Shares, found: &mut Vec<Diagnostic>) -> Shares {
    let mut below: Option<(&str, &At<typed::Percentage>)> = None;
    for (name, field) in [("low", &typed.low), ("normal", &typed.normal), ("high", &typed.high)] {
        let Some(share) = field.get() else { continue };
        if let Some((lower, more)) = below.filter(|(_, lower)| lower.value.0 > share.value.0) {
            let message = format!("`{name}` may fill less than `{lower}`");
            let one = contradiction(share.span, message).label("less than").also(more.span, "this");
            found.push(one.help("what is kept free of lower ones is there for higher ones"));
        }
        below = Some((name, share));
    }
    let given = |field: &Field<typed::Percentage>| field.value().map(|share| share.0);
    let (low, normal, high) = (given(&typed.low), given(&typed.normal), given(&typed.high));
    let least = low.unwrap_or(0.0);
    let high = high.unwrap_or(default.high.max(normal.unwrap_or(least)));
    let normal = normal.unwrap_or(default.normal.max(least).min(high));
    Shares { low: low.unwrap_or(default.low.min(normal)), normal, high }
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
