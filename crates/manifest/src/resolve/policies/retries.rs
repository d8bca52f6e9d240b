//! Retries, and what in them has no effect.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::resolve::defaults;
use crate::resolve::policies::{at, beside, contradiction, set};
use crate::typed::{self, Field};
use crate::units::show_duration;
use crate::valid::{self};

/// What comes to nothing is told by [`warn_nothing`], which needs the call's other policies.
pub(super) fn resolve(field: &Field<typed::Retries>, found: &mut Vec<Diagnostic>) -> Option<valid::Retries> {
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

/// Retries that are on, while nothing that can happen to a try is retried.
pub(super) fn warn_nothing(
    typed: &typed::Policies,
    valid: &valid::CallPolicies,
    found: &mut Vec<Diagnostic>,
) {
    let (Some(typed::Retries::Options(options)), Some(retries)) = (typed.retries.value(), &valid.retries)
    else {
        return;
    };
    let unread = options.on.is_broken() || options.statuses.is_broken() || options.grpc_statuses.is_broken();
    let unread = unread || options.budget.is_broken() || options.budget_min.is_broken();
    let unread = unread || typed.per_try.is_broken() || typed.timeout.is_broken();
    if unread || valid.retries_most() > 0 {
        return;
    }
    let (span, why, help) = if retries.is_budget_empty() {
        let span = at(&options.budget, at(&options.budget_min, options.head));
        (span, "there is never any budget for them", "raise `budget` or `budget-min`")
    } else if retries.on.is_empty() {
        (
            at(&options.on, options.head),
            "no end of a try is named",
            "name some, such as `on: [reset, statuses]`",
        )
    } else if retries.on.contains(&valid::Condition::Timeout) {
        let why = "a try that takes too long has used up the whole `timeout`";
        (at(&options.on, options.head), why, "give tries a `per-try` shorter than `timeout`")
    } else {
        let span = at(&options.statuses, at(&options.on, options.head));
        (span, "only statuses, and none is named", "name some, such as `statuses: [503]`")
    };
    found.push(
        Diagnostic::warning(codes::NO_EFFECT, span, "nothing is ever retried")
            .label(why)
            .help(format!("{help}, or write `retries: none` if that is meant")),
    );
}
