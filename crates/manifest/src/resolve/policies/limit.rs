//! How many requests may come in a time.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolve::policies::set;
use crate::typed::{self, OrNone};
use crate::valid::RateLimit;

/// The rate limits, in the order in which they are asked.
pub(crate) fn limits(typed: &typed::Policies, found: &mut Vec<Diagnostic>) -> Vec<RateLimit> {
    let given = typed.limit.value().and_then(OrNone::some);
    let mut limits: Vec<RateLimit> = Vec::new();
    let mut places: Vec<Span> = Vec::new();
    for given in given.into_iter().flat_map(|limits| &limits.0) {
        let Some(limit) = resolve(&given.value, found) else { continue };
        if let Some(first) = limits.iter().position(|known| *known == limit) {
            let one = Diagnostic::warning(codes::NO_EFFECT, given.span, "this limit is listed twice");
            let one = one.label("again here").also(places[first], "first here");
            found.push(one.help("whoever passes one passes the other: leave one of them out"));
        }
        limits.push(limit);
        places.push(given.span);
    }
    limits
}

fn resolve(given: &typed::Limit, found: &mut Vec<Diagnostic>) -> Option<RateLimit> {
    let options = match given {
        typed::Limit::Rate(limit) => return Some(limit.clone()),
        typed::Limit::Options(options) => options,
    };
    let mut limit = options.rate.value()?.0.clone();
    set(&mut limit.shadow, &options.shadow, |shadow| shadow.0);
    limit.headers = !limit.shadow;
    set(&mut limit.headers, &options.headers, |headers| headers.0);
    if let (true, true, Some(headers), Some(shadow)) =
        (limit.shadow, limit.headers, options.headers.get(), options.shadow.get())
    {
        limit.headers = false;
        let message = "`headers` has no effect: answers do not tell of a limit in the shadow";
        let one = Diagnostic::warning(codes::NO_EFFECT, headers.span, message).label("leave this out");
        found.push(one.also(shadow.span, "nobody is refused, so there is nothing to keep to"));
    }
    Some(limit)
}
