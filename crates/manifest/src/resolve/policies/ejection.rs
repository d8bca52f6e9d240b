//! Outlier ejection: how an instance that keeps failing is taken out, and what contradicts itself in that.

use crate::diagnostic::Diagnostic;
use crate::resolve::defaults;
use crate::resolve::policies::{at, beside, contradiction, set};
use crate::typed::{self};
use crate::units::show_duration;
use crate::valid::{self};

pub(super) fn resolve(options: &typed::Ejection, found: &mut Vec<Diagnostic>) -> valid::Ejection {
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
