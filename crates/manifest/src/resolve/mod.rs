//! From typed to valid: references resolved, defaults filled in, contradictions refused.

pub(crate) mod defaults;
mod external;
mod gateway;
mod names;
mod objectives;
mod order;
mod policies;
mod ports;
mod service;
mod split;
mod telemetry;
mod zones;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::http;
use crate::typed;
use crate::valid;

use names::Names;
pub use service::url_variable;

/// Checks what decoding alone cannot, and makes the valid manifest. None if there is an error,
/// here or before, that leaves nothing to make it from.
///
/// `zone` is the one that the node was told it is in.
pub(crate) fn resolve(
    typed: &typed::Manifest,
    zone: Option<&str>,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Manifest> {
    let names = Names::new(typed, found);
    refuse_empty(typed, found);
    let shares = defaults::shares(highest_priority(typed));
    let services = services(typed, &names, shares, found);
    let externals = externals(typed, shares, found);
    let resolver = external::resolver(typed, found);
    let gateway = gateway::resolve(typed, &names, found);
    let telemetry = telemetry::resolve(typed, found);
    ports::check(typed, gateway.as_ref(), found);
    let slo = objectives::resolve(typed, &names, found);
    let alerts = objectives::alerts(typed, found);
    let start_order = order::resolve(typed, &names, found);
    if found.iter().any(|one| one.severity == Severity::Error) {
        return None;
    }
    let valid = valid::Manifest {
        name: typed.name.value()?.0.clone(),
        root: Default::default(),
        gateway,
        services,
        externals,
        resolver,
        resources: paths(&typed.resources),
        configuration: paths(&typed.configuration),
        zone: zones::own(typed, zone),
        telemetry,
        slo,
        alerts,
        start_order: start_order?,
        secrets: Vec::new(),
    };
    found.extend(zones::warn(typed, zone, &valid));
    Some(valid)
}

/// Whether they are there is for the caller to find out.
fn paths(field: &typed::Field<typed::OneOrMany<typed::File>>) -> Vec<PathBuf> {
    field.value().into_iter().flat_map(|files| &files.0).map(|file| PathBuf::from(&file.value.0)).collect()
}

fn refuse_empty(typed: &typed::Manifest, found: &mut Vec<Diagnostic>) {
    let empty = match &typed.services {
        typed::Field::Absent => true,
        typed::Field::Broken(_) => false,
        typed::Field::Given { at, .. } => at.value.0.is_empty(),
    };
    if empty {
        let span = typed.services.key().unwrap_or(typed.head);
        found.push(Diagnostic::error(codes::NO_SERVICES, span, "the manifest declares no service").help(
            "declare one that runs already:\n\nservices:\n  app:\n    url: http://127.0.0.1:3000\n\nor one that Colony starts: `run: ./app` in place of `url`",
        ));
    }
}

/// The highest priority that a route or call has: what is not said is normal.
fn highest_priority(typed: &typed::Manifest) -> valid::Priority {
    let routes = typed.gateway.value().and_then(|gateway| gateway.routes.value());
    let routes = routes.into_iter().flat_map(|routes| &routes.items).map(|route| &route.value.policies);
    let services = typed.services.value().into_iter().flat_map(|services| &services.0);
    let calls = services.filter_map(|(_, service)| service.value()?.calls.value());
    let calls = calls.flat_map(|calls| &calls.0).filter_map(|(_, call)| Some(&call.value()?.policies));
    let given = routes.chain(calls).filter_map(|policies| Some(policies.priority.value()?.0));
    given.max().unwrap_or(valid::Priority::Normal).max(valid::Priority::Normal)
}

fn services(
    typed: &typed::Manifest,
    names: &Names,
    shares: valid::Shares,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, valid::Service> {
    let given = typed.services.value().map_or(&[][..], |map| map.0.as_slice());
    let resolved = given.iter().filter_map(|(name, field)| {
        let service = service::resolve(name, field.value()?, names, shares, found)?;
        Some((name.value.clone(), service))
    });
    resolved.collect()
}

/// Headers that must have these values: names in lower case, sorted. None if one is wrong.
fn headers(map: &typed::Map<typed::AsWritten>, found: &mut Vec<Diagnostic>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    let mut fine = true;
    for (name, value) in &map.0 {
        let Some(value) = value.get() else {
            fine = false;
            continue;
        };
        match (http::header_name(&name.value), http::header_value(&value.value.0)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            (name_read, value_read) => {
                fine = false;
                let wrongs = [(name.span, name_read.err()), (value.span, value_read.err())];
                found.extend(wrongs.into_iter().filter_map(|(span, wrong)| {
                    let wrong = wrong?;
                    let one = Diagnostic::error(codes::HEADER, span, wrong.message);
                    Some(one.hint(&wrong.help.unwrap_or_default()))
                }));
            }
        }
    }
    headers.sort();
    fine.then_some(headers)
}

fn externals(
    typed: &typed::Manifest,
    shares: valid::Shares,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, valid::External> {
    let given = typed.externals.value().map_or(&[][..], |map| map.0.as_slice());
    let resolved = given.iter().filter_map(|(name, field)| {
        Some((name.value.clone(), external::resolve(field.value()?, shares, found)?))
    });
    resolved.collect()
}
