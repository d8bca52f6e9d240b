//! The zones of what is called, and what preferring the own one comes to.

use std::collections::BTreeMap;

use super::{Places, Policy, Setting};
use crate::valid::{Manifest, ZonePreference};

/// The zones of a service or external, if they are known, and what their preference comes to.
pub(super) fn of(
    manifest: &Manifest,
    places: &Places,
    to: &str,
    preference: Option<ZonePreference>,
) -> Option<Policy> {
    let zones = manifest.zones(to);
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    zones.iter().for_each(|zone| *counts.entry(*zone).or_default() += 1);
    let own = manifest.zone.as_deref().filter(|own| counts.contains_key(&Some(*own)));
    let near = own.map_or(0, |own| counts[&Some(own)]);
    let said = |(zone, count): (&Option<&str>, &usize)| match zone {
        None => format!("{count} elsewhere"),
        Some(zone) if Some(*zone) == own => format!("{count} in {zone}, which is near"),
        Some(zone) => format!("{count} in {zone}"),
    };
    let value = counts.iter().map(said).collect::<Vec<_>>().join(", ");
    let stay = match (preference, near) {
        (None, _) => "none in particular".to_owned(),
        (_, 0) => "none in particular: nothing is near".to_owned(),
        (_, near) if near == zones.len() => "all: nothing is elsewhere".to_owned(),
        (Some(preference), near) => {
            let enough = (near * 100).div_ceil(preference.percent as usize);
            format!("all while {enough} of {near} are well, none without one that is")
        }
    };
    let part = if manifest.services.contains_key(to) { "services" } else { "externals" };
    let key = format!("{part}.{to}.url");
    let place = places.value(&key).or_else(|| places.value(&format!("{part}.{to}")));
    let stay = Setting { key: "stay".to_owned(), value: stay, place: None };
    (!zones.is_empty()).then(|| Policy {
        key,
        name: format!("zones of {to}"),
        value,
        place,
        options: vec![stay],
    })
}
