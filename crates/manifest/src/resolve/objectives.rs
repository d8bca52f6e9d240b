//! What services promise, and who is told when they do not keep it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::resolve::names::Names;
use crate::resolve::policies::contradiction;
use crate::resolve::{defaults, headers};
use crate::typed::{self, At, Field};
use crate::units::show_duration;
use crate::valid;
use crate::yaml::clip;

/// Shorter ones say nothing: a budget for an hour is spent by a restart.
const WINDOW_MIN: Duration = Duration::from_secs(60 * 60);
/// What is counted is kept for as long.
const WINDOW_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The objectives, by the names of those who promise.
pub(crate) fn resolve(
    typed: &typed::Manifest,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, valid::Objective> {
    let given = typed.slo.value().map_or(&[][..], |map| map.0.as_slice());
    let resolved = given.iter().filter_map(|(name, field)| {
        names.require(name, "promise anything", found);
        Some((name.value.clone(), objective(name, field.value()?, found)))
    });
    resolved.collect()
}

fn objective(name: &At<String>, typed: &typed::Objective, found: &mut Vec<Diagnostic>) -> valid::Objective {
    if matches!((&typed.availability, &typed.latency), (Field::Absent, Field::Absent)) {
        let message = format!("the objective of `{}` promises nothing", clip(&name.value));
        found.push(
            Diagnostic::error(codes::MISSING_KEY, name.span, message)
                .help("give it `availability: 99.9%`, `latency: 300ms at p99`, or both"),
        );
    }
    if let Some(at) = typed.availability.get().filter(|at| at.value.0 >= 1.0 || at.value.0 <= 0.0) {
        let one = contradiction(at.span, "an objective is between none and all");
        found.push(
            one.help("write less than 100%, such as `99.9%`: what may fail is the budget that alerts go by"),
        );
    }
    let window = typed.window.value().map_or(defaults::OBJECTIVE_WINDOW, |window| window.0);
    if let Some(at) = typed.window.get().filter(|at| !(WINDOW_MIN..=WINDOW_MAX).contains(&at.value.0)) {
        let message = format!("a window of {} is no time to hold an objective over", show_duration(window));
        found.push(contradiction(at.span, message).help("write one from `1h` to `90d`, such as `30d`"));
    }
    valid::Objective {
        availability: typed.availability.value().map(|share| share.0),
        latency: typed.latency.value().map(|goal| goal.0),
        window,
    }
}

/// Who is told of alerts.
pub(crate) fn alerts(typed: &typed::Manifest, found: &mut Vec<Diagnostic>) -> Option<valid::Alerts> {
    let alerts = typed.alerts.value()?;
    let headers = alerts.headers.value().and_then(|map| headers(map, found));
    Some(valid::Alerts { webhook: alerts.webhook.value()?.0.clone(), headers: headers.unwrap_or_default() })
}
