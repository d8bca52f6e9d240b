//! Which zone each instance of a service is in, for `colony status`: also of one that gets no requests, whose
//! zone is what one wants to know then.

use manifest::valid::{Manifest, Source};
use serde_json::Value;
use supervisor::ServiceStatus;

/// A service's status, each instance with its zone where that is known.
pub(super) fn told(manifest: &Manifest, service: &ServiceStatus) -> Value {
    let mut told = serde_json::to_value(service).unwrap_or_default();
    let zones = service.instances.iter().map(|one| zone(manifest, &service.name, one.authority.as_deref()));
    let instances = told["instances"].as_array_mut().into_iter().flatten();
    for (instance, zone) in instances.zip(zones) {
        if let Some(zone) = zone {
            instance["zone"] = zone.into();
        }
    }
    told
}

fn zone<'m>(manifest: &'m Manifest, service: &str, authority: Option<&str>) -> Option<&'m str> {
    match &manifest.services.get(service)?.source {
        Source::Url { zones, .. } => zones.get(authority?).map(String::as_str),
        Source::Run(_) => manifest.zone.as_deref(),
    }
}
