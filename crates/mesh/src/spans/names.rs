//! Names that many spans share, made once a table and core, so that a request only counts who holds them, and no
//! other core counts along.

use std::sync::{Arc, OnceLock};

use http::Method;
use telemetry::span::Text;

use crate::config::{Listener, Pattern, Role};
use crate::upstream::Endpoint;

/// What the gateway is called among services.
const GATEWAY: &str = "gateway";
/// The methods that conventions know (RFC 9110 and PATCH); any other is `_OTHER` in attributes and `HTTP` in names.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Where requests come in: a listener, or a route of it.
pub(crate) struct Place {
    /// Whose spans they are.
    pub(super) service: Text,
    /// Requests of clients, and not calls of a service.
    pub(super) edge: bool,
    pub(super) tls: bool,
    /// Where clients of the edge connect to; the port is zero if the kernel picks it.
    pub(super) address: Text,
    pub(super) port: u16,
    /// The path of the route as it is written.
    pub(super) route: Option<Text>,
    /// What spans are called, by method.
    names: [OnceLock<Arc<str>>; METHODS.len() + 1],
}

impl Place {
    /// A listener.
    pub(crate) fn new(listener: &Listener) -> Arc<Place> {
        let (service, edge) = match &listener.role {
            Role::Gateway { .. } => (Text::Static(GATEWAY), true),
            Role::Call { caller, .. } | Role::Sidecar { caller, .. } => (shared(caller), false),
        };
        Arc::new(Place {
            service,
            edge,
            tls: listener.tls.is_some(),
            address: shared(&listener.bind.ip().to_string()),
            port: listener.bind.port(),
            route: None,
            names: Default::default(),
        })
    }

    /// A route of it.
    pub(crate) fn route(&self, path: &Pattern) -> Arc<Place> {
        Arc::new(Place {
            service: self.service.clone(),
            address: self.address.clone(),
            route: Some(shared(&written(path))),
            names: Default::default(),
            ..*self
        })
    }

    /// What a request by this method is called: `GET /api/orders/*`, and `GET payments` for a call to that.
    pub(super) fn name(&self, method: &Method, to: Option<&str>) -> Text {
        let known = METHODS.iter().position(|known| *known == method.as_str());
        let verb = known.map_or("HTTP", |at| METHODS[at]);
        // A sidecar's listener has calls to several.
        let Some(path) = self.route.as_deref().or(if self.edge { None } else { to }) else {
            return verb.into();
        };
        if self.route.is_none() {
            return format!("{verb} {path}").into();
        }
        let name = self.names[known.unwrap_or(METHODS.len())].get_or_init(|| format!("{verb} {path}").into());
        Text::Shared(name.clone())
    }
}

/// The method as an attribute: one of those that are known.
pub(super) fn method(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// A pattern as the manifest has it.
fn written(pattern: &Pattern) -> String {
    let mut text = String::new();
    for segment in &pattern.segments {
        text.push('/');
        text.push_str(segment.as_deref().unwrap_or("*"));
    }
    if pattern.rest {
        text.push_str("/**");
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

/// A call.
pub(crate) struct CallNames {
    pub(super) id: Text,
    pub(super) upstream: Text,
    /// What its tries are called.
    pub(super) tries: Text,
    /// What its waits are called.
    pub(super) waits: Text,
}

impl CallNames {
    pub(crate) fn new(id: &str, upstream: &str) -> Arc<CallNames> {
        let [tries, waits] = ["try", "wait"].map(|word| shared(&format!("{word} {upstream}")));
        Arc::new(CallNames { id: shared(id), upstream: shared(upstream), tries, waits })
    }
}

/// An instance.
pub(crate) struct InstanceNames {
    pub(super) id: Text,
    pub(super) address: Text,
    pub(super) port: u16,
}

impl InstanceNames {
    pub(crate) fn new(endpoint: &Endpoint) -> Arc<InstanceNames> {
        let address = shared(&endpoint.address.ip().to_string());
        Arc::new(InstanceNames { id: shared(&endpoint.id), address, port: endpoint.address.port() })
    }
}

fn shared(text: &str) -> Text {
    Text::Shared(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_written_as_it_is_in_the_manifest() {
        let pattern = |segments: &[Option<&str>], rest| Pattern {
            segments: segments.iter().map(|segment| segment.map(str::to_owned)).collect(),
            rest,
        };
        assert_eq!(written(&pattern(&[], false)), "/");
        assert_eq!(written(&pattern(&[], true)), "/**");
        assert_eq!(written(&pattern(&[Some("api"), None, Some("x")], true)), "/api/*/x/**");
    }
}
