//! The circuit breaker, and what in it has no effect.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::resolve::defaults;
use crate::resolve::policies::{duration_or_none, set};
use crate::typed::{self};
use crate::units::show_duration;
use crate::valid::{self};

/// `whole` is how long a try may take.
pub(super) fn resolve(
    options: &typed::Breaker,
    whole: Option<Duration>,
    found: &mut Vec<Diagnostic>,
) -> valid::Breaker {
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
    if let (Some(rate), true) = (options.slow_rate.get(), valid.slow.is_none() && !options.slow.is_broken()) {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, rate.span, "`slow-rate` has no effect without `slow`")
                .label("a share of the slow, but nothing counts as slow")
                .help("say from when on a try is slow, such as `slow: 2s`"),
        );
    }
    if let (Some(slow), Some(key), Some(whole)) = (valid.slow, options.slow.get(), whole)
        && slow > whole
    {
        let message = format!("no try takes {}, so none is slow", show_duration(slow));
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, key.span, message)
                .label(format!("a try is over after {}", show_duration(whole)))
                .help("make `slow` shorter than `timeout` and `per-try`"),
        );
    }
    valid
}
