//! The longest that a request may take, from timeouts, tries and waits alone.
//!
//! To the head of the answer, as timeouts count, and without the client's own time: both `timeout` and
//! `per-try` begin anew with every part of a body that is sent. A wait for an instance is within the try.

use std::time::Duration;

use super::policies::callee_concurrency;
use crate::units::show_duration;
use crate::valid::{CallPolicies, Concurrency, Condition, Fallback, Jitter, Manifest, Retries};

/// The most that a request may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worst {
    /// How long. None: there is no bound.
    pub time: Option<Duration>,
    /// The most tries of it.
    pub tries: u32,
    /// How long one of them may take. None: there is no bound.
    pub each: Option<Duration>,
    /// What that is the sum of, in a line.
    pub sum: String,
    /// How long if answers ask for a wait by `Retry-After`, where that may be longer.
    pub asked_to_wait: Option<Duration>,
}

/// Of a call to any of these.
pub(super) fn of(manifest: &Manifest, answering: &[&str], call: &CallPolicies) -> Worst {
    let tries = tries(call);
    let wait = |place: &Concurrency| if place.queue > 0 { place.wait } else { Duration::ZERO };
    let own_place = call.concurrency.as_ref().map_or(Duration::ZERO, wait);
    let places = answering.iter().filter_map(|to| callee_concurrency(manifest, to)).map(wait);
    let (time, mut sum) = own(call, tries, own_place + places.max().unwrap_or_default());
    let asked_to_wait = time.and_then(|time| with_retry_after(call, time));
    let each = call.per_try.into_iter().chain(call.timeout).min();
    let mut worst = Worst { time, tries, each, sum: String::new(), asked_to_wait };
    // A side of a split does not stand in for itself.
    let stands_in = |to: &String| answering.iter().any(|side| side != to);
    if let Some(Fallback::To(to)) = call.fallback.as_ref()
        && stands_in(to)
    {
        // The stand-in has the policies of the call that it stands in for.
        sum += &format!("; as long again for the fallback to {to}");
        worst.time = worst.time.map(|time| time * 2);
        worst.asked_to_wait = worst.asked_to_wait.map(|time| time * 2);
    }
    Worst { sum, ..worst }
}

/// The most tries of one request, the first included. One beside another counts as one after it: it may
/// begin when that is about to end.
pub(super) fn tries(call: &CallPolicies) -> u32 {
    1 + call.retries_most() + call.hedges_most()
}

/// Without the fallback, with so much time for a place.
fn own(call: &CallPolicies, tries: u32, place: Duration) -> (Option<Duration>, String) {
    let all = call.per_try.map(|per_try| addends(call, tries, per_try, place));
    match (call.timeout, all) {
        (None, None) => (None, "neither `timeout` nor `per-try` is set".to_owned()),
        (Some(timeout), None) if tries == 1 => (Some(timeout), "the timeout".to_owned()),
        (Some(timeout), None) => (Some(timeout), format!("the timeout, for all {tries} tries together")),
        (None, Some((all, text))) => (Some(all), text),
        (Some(timeout), Some((all, text))) if all > timeout => {
            (Some(timeout), format!("the timeout; {text} would be {}", show_duration(all)))
        }
        (Some(_), Some((all, text))) => (Some(all), text),
    }
}

/// All that there may be of waits and tries, one after the other.
fn addends(call: &CallPolicies, tries: u32, per_try: Duration, place: Duration) -> (Duration, String) {
    let mut all = per_try * tries;
    let each = show_duration(per_try);
    let mut parts =
        vec![if tries == 1 { format!("1 try of {each}") } else { format!("{tries} tries of {each}") }];
    let waits: Vec<Duration> = match &call.retries {
        Some(retries) if call.retries_most() > 0 => waits(retries),
        _ => Vec::new(),
    };
    let waits: Vec<Duration> = waits.into_iter().filter(|wait| !wait.is_zero()).collect();
    if !waits.is_empty() {
        all += waits.iter().sum();
        let listed: Vec<String> = waits.iter().copied().map(show_duration).collect();
        let between = if waits.len() <= WAITS_LISTED_MAX {
            listed.join(" + ")
        } else {
            show_duration(waits.iter().sum())
        };
        parts.push(format!("{between} between them"));
    }
    if !place.is_zero() {
        all += place;
        parts.insert(0, format!("{} for a place", show_duration(place)));
    }
    (all, parts.join(" + "))
}

/// The longest wait before each retry.
pub(super) fn waits(retries: &Retries) -> Vec<Duration> {
    let grows = match retries.jitter {
        Jitter::Full => 2,
        Jitter::Decorrelated => 3,
    };
    let mut bound = retries.backoff.min(retries.backoff_max);
    let mut waits = Vec::new();
    for _ in 0..retries.max {
        waits.push(bound);
        bound = bound.saturating_mul(grows).min(retries.backoff_max);
    }
    waits
}

/// Whether any of these ends of a try is followed by another one.
pub(super) fn repeats(call: &CallPolicies, ends: &[Condition]) -> bool {
    call.retries_most() > 0
        && call.retries.as_ref().is_some_and(|retries| {
            ends.iter().any(|end| retries.on.contains(end) && call.repeats(retries, *end))
        })
}

/// The whole time, where an answer may ask for a longer wait before it is tried again. Such a wait ends with
/// `timeout`, or, where there is none, is at most [`RETRY_AFTER_MAX`].
fn with_retry_after(call: &CallPolicies, time: Duration) -> Option<Duration> {
    let retries = call.retries.as_ref()?;
    if !repeats(call, &[Condition::Statuses]) {
        return None;
    }
    let longest = match call.timeout {
        Some(timeout) => timeout,
        None => {
            let wait = RETRY_AFTER_MAX.max(retries.backoff_max);
            waits(retries).iter().fold(time, |time, own| time + wait.saturating_sub(*own))
        }
    };
    (longest > time).then_some(longest)
}

/// The longest `Retry-After` that is waited for without a `timeout`, as in `policy::retry`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// More waits than these are not listed one by one.
const WAITS_LISTED_MAX: usize = 3;
