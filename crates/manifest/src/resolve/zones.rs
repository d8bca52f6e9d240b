//! Zones: where instances are, where the node is, and whether the one has anything to do with the other.

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http::Url;
use crate::nearest;
use crate::resolve::policies::contradiction;
use crate::typed::{self, At, Field, OneOrMany, Place, Placed};
use crate::valid;
use crate::yaml::clip;

/// The zone of each of these that names one, by what `name` calls it. One place is in one zone.
pub(super) fn by_place<U: Place>(
    urls: &[At<Placed<U>>],
    name: impl Fn(&Url) -> String,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, String> {
    let mut zones: BTreeMap<String, Option<&At<typed::ZoneName>>> = BTreeMap::new();
    let mut spans: BTreeMap<String, Span> = BTreeMap::new();
    for placed in urls.iter().map(|url| &url.value) {
        let place = name(placed.url.value.as_ref());
        let zone = placed.zone.as_ref();
        let first = *zones.entry(place.clone()).or_insert(zone);
        let span = zone.map_or(placed.url.span, |zone| zone.span);
        let before = *spans.entry(place).or_insert(span);
        if first.map(|zone| &zone.value.0) != zone.map(|zone| &zone.value.0) {
            let one = contradiction(span, "one place is in one zone, and this URL is listed in two");
            found.push(one.label("here").also(before, "and here in another").help("keep one of them"));
        }
    }
    zones.into_iter().filter_map(|(place, zone)| Some((place, zone?.value.0.clone()))).collect()
}

/// The node's own zone: the one that it was started with, or else the manifest's.
pub(super) fn own(typed: &typed::Manifest, given: Option<&str>) -> Option<String> {
    given.or(typed.zone.value().map(|zone| zone.0.as_str())).map(str::to_owned)
}

/// What is said of zones in vain.
pub(super) fn warn(typed: &typed::Manifest, given: Option<&str>, valid: &valid::Manifest) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let named = named(typed);
    match (named.first(), &valid.zone, typed.zone.key()) {
        (None, _, None) => {}
        (None, _, Some(key)) => found.push(
            Diagnostic::warning(codes::NO_EFFECT, key, "`zone` has no effect: no `url` names one")
                .label("there is nothing to prefer")
                .help("say where instances are: `url: [{ url: \"http://10.0.0.5:3000\", zone: eu-1a }]`"),
        ),
        (Some(first), None, _) => found.push(
            Diagnostic::warning(
                codes::NO_EFFECT,
                first.span,
                "no zone is preferred: nothing says this node's",
            )
            .label("which zones are near?")
            .help("say it at the top, `zone: eu-1a`, or with `--zone` or COLONY_ZONE"),
        ),
        (Some(first), Some(own), key) if named.iter().all(|zone| zone.value.0 != *own) => {
            let span = key.filter(|_| given.is_none()).unwrap_or(first.span);
            let message = format!("no zone is preferred: no `url` is in this node's, `{}`", clip(own));
            let one = Diagnostic::warning(codes::NO_EFFECT, span, message);
            found.push(match nearest::nearest(own, named.iter().map(|zone| zone.value.0.as_str())) {
                Some(near) => one.label(format!("did you mean `{near}`?")),
                None => one.label("nothing is near"),
            });
        }
        _ => {}
    }
    warn_preferences(typed, valid, &mut found);
    found
}

/// Every zone that a URL names.
fn named(typed: &typed::Manifest) -> Vec<&At<typed::ZoneName>> {
    fn of<U>(urls: &Field<OneOrMany<Placed<U>>>) -> impl Iterator<Item = &At<typed::ZoneName>> {
        urls.value().into_iter().flat_map(|urls| &urls.0).filter_map(|url| url.value.zone.as_ref())
    }
    let services = typed.services.value().into_iter().flat_map(|map| &map.0);
    let externals = typed.externals.value().into_iter().flat_map(|map| &map.0);
    let services = services.filter_map(|(_, service)| service.value()).flat_map(|service| of(&service.url));
    let externals = externals.filter_map(|(_, one)| one.value()).flat_map(|external| of(&external.url));
    services.chain(externals).collect()
}

/// A preference on a way to something whose zones are not known.
fn warn_preferences(typed: &typed::Manifest, valid: &valid::Manifest, found: &mut Vec<Diagnostic>) {
    let routes = typed.gateway.value().and_then(|gateway| gateway.routes.value());
    let routes = routes.map_or(&[][..], |routes| routes.items.as_slice());
    let answered = valid.gateway.iter().flat_map(|gateway| &gateway.routes);
    for route in answered {
        let policies = route.written.and_then(|at| routes.get(at)).map(|route| &route.value.policies);
        found.extend(policies.and_then(|policies| in_vain(policies, &route.answering(), valid)));
    }
    for (name, service) in typed.services.value().into_iter().flat_map(|map| &map.0) {
        let calls = service.value().and_then(|service| service.calls.value());
        for (to, call) in calls.into_iter().flat_map(|calls| &calls.0) {
            let answered = valid.services.get(&name.value).and_then(|caller| caller.calls.get(&to.value));
            if let (Some(call), Some(answered)) = (call.value(), answered) {
                found.extend(in_vain(&call.policies, &answered.answering(), valid));
            }
        }
    }
}

fn in_vain(policies: &typed::Policies, answering: &[&str], valid: &valid::Manifest) -> Option<Diagnostic> {
    policies.zone_preference.value()?.some()?;
    let key = policies.zone_preference.key()?;
    if answering.iter().any(|to| !valid.zones(to).is_empty()) {
        return None;
    }
    let message =
        format!("`zone-preference` has no effect: no `url` of `{}` names a zone", answering.join("`, `"));
    let one = Diagnostic::warning(codes::NO_EFFECT, key, message).label("there is nothing to prefer");
    Some(one.help("say where its instances are: `url: [{ url: \"http://10.0.0.5:3000\", zone: eu-1a }]`"))
}
