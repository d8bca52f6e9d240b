//! Hedges, and what keeps them from ever being sent.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolve::defaults;
use crate::resolve::policies::{at, set};
use crate::typed::{self, At, OrNone};
use crate::units::show_duration;
use crate::valid::{self, HedgeAfter};

/// `whole` is how long a try may take.
pub(super) fn resolve(
    typed: &typed::Policies,
    whole: Option<std::time::Duration>,
    retries: Option<&valid::Retries>,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Hedge> {
    let At { value: OrNone::Some(given), span, .. } = typed.hedge.get()? else { return None };
    let mut valid = defaults::hedge();
    let mut place = *span;
    match given {
        typed::Hedge::After(after) => valid.after = *after,
        typed::Hedge::Options(options) => {
            set(&mut valid.after, &options.after, |after| after.0);
            set(&mut valid.max, &options.max, typed::Int::u32);
            place = at(&options.after, options.head);
        }
    }
    if let (HedgeAfter::Fixed(after), Some(whole)) = (valid.after, whole)
        && after >= whole
    {
        let message = format!("no try takes {}, so none is hedged", show_duration(after));
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, place, message)
                .label(format!("a try is over after {}", show_duration(whole)))
                .help("hedge sooner, such as `hedge: p95`"),
        );
    }
    warn_budget(retries, *span, found);
    Some(valid)
}

fn warn_budget(retries: Option<&valid::Retries>, span: Span, found: &mut Vec<Diagnostic>) {
    if retries.is_some_and(valid::Retries::is_budget_empty) {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, span, "`hedge` has no effect with an empty budget")
                .label("hedges come out of the budget of retries")
                .help("raise `retries.budget` or `retries.budget-min`"),
        );
    }
}
