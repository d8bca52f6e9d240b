//! The terms of a call: each policy with its effective values and where they were set, the longest that a
//! request may take, and how many tries one request can become.
//!
//! Facts only, for `colony explain` to draw or to print as JSON. The values are those that [`crate::diff`]
//! spells out, so a policy that reloads know of is known here.

mod attempts;
mod declared;
mod places;
mod policies;
#[cfg(test)]
mod tests;
mod worst;
mod zones;

use std::collections::BTreeSet;

pub use attempts::{Attempts, Hop};
pub use declared::{Undeclared, call};
pub use places::{Place, Places};
pub use policies::{Policy, Setting};
pub use worst::Worst;

use crate::diff;
use crate::valid::{CallPolicies, Manifest, RateLimit, Route};

/// What holds for a call or a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Where it is declared. None: it is there by default.
    pub place: Option<Place>,
    /// Who gets what, where several share its requests: `catalog 90%, catalog-v2 10%`.
    pub split: Option<String>,
    /// Its policies in the order in which a request meets them.
    pub policies: Vec<Policy>,
    /// How long a request may take, and with how many tries.
    pub worst: Worst,
    /// What one request can become on the way down.
    pub attempts: Attempts,
}

/// The terms of a route of the gateway, by its place in the order in which they are tried; of one of those who
/// share its requests, or of all. None: there is no such route, or side.
pub fn route(manifest: &Manifest, places: &Places, at: usize, side: Option<usize>) -> Option<Terms> {
    let route = manifest.gateway.as_ref()?.routes.get(at)?;
    let prefix = route.written.map(route_prefix);
    let mut answering = route.answering();
    if let Some(side) = side {
        answering = vec![*answering.get(side)?];
    }
    let attempts = attempts::of_route(manifest, route, &answering);
    let call = (answering.as_slice(), &route.policies, route.limits.as_slice());
    let split = route.split.as_ref().map(|split| open(manifest, &split.to_string()));
    Some(Terms { split, ..terms(manifest, places, prefix.as_deref(), call, attempts) })
}

/// Where a route leads: to one, or to several with their shares.
pub fn answers(manifest: &Manifest, route: &Route) -> String {
    let split = route.split.as_ref().map(|split| open(manifest, &split.to_string()));
    split.unwrap_or_else(|| route.to.clone())
}

/// Where a route begins, or where one of its keys was set, such as `rewrite`. None: nowhere.
pub fn place_of(places: &Places, route: &Route, key: Option<&str>) -> Option<Place> {
    let prefix = route_prefix(route.written?);
    match key {
        None => places.key(&prefix),
        Some(key) => places.value(&format!("{prefix}.{key}")),
    }
}

/// What a route matches, as `GET shop.example/api/** x-beta: yes`. A secret in it is not shown.
pub fn route_name(manifest: &Manifest, route: &Route) -> String {
    diff::route_name(route, &secrets(manifest))
}

/// `text`, unless it holds a secret of the manifest.
pub fn open(manifest: &Manifest, text: &str) -> String {
    match diff::holds_secret(text, &secrets(manifest)) {
        true => SECRET.to_owned(),
        false => text.to_owned(),
    }
}

fn route_prefix(written: usize) -> String {
    format!("gateway.routes[{written}]")
}

fn secrets(manifest: &Manifest) -> BTreeSet<&str> {
    manifest.secrets.iter().map(String::as_str).collect()
}

fn terms(
    manifest: &Manifest,
    places: &Places,
    prefix: Option<&str>,
    call: (&[&str], &CallPolicies, &[RateLimit]),
    attempts: Attempts,
) -> Terms {
    Terms {
        place: prefix.and_then(|prefix| places.key(prefix)),
        split: None,
        policies: policies::list(manifest, places, prefix, call),
        worst: worst::of(manifest, call.0, call.1),
        attempts,
    }
}

/// Stands for a text that must not be shown.
const SECRET: &str = "(secret)";
