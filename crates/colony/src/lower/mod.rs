//! The manifest lowered into what the parts want: the data plane its listeners and calls, the
//! supervisor its services. The one place where the parts meet.

mod configuration;
mod policies;
pub(crate) mod resiliency;
pub(crate) mod sidecar;
mod subscriptions;
pub(crate) mod telemetry;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use manifest::valid;
use mesh::config as plane;
use policies::target;

/// What an instance has beside it. What is declared for it changes without it.
const API: &str = "api";
/// Name of the gateway's listener.
pub(crate) const GATEWAY: &str = "gateway";

/// What the data plane serves for a manifest whose gateway shows its clients `tls`.
pub(crate) fn mesh(manifest: &valid::Manifest, tls: Option<plane::Tls>) -> plane::Config {
    let mut config = plane::Config::default();
    for (name, service) in &manifest.services {
        let concurrency = service.concurrency.as_ref().map(policies::concurrency);
        let upstream = plane::Upstream {
            protocol: protocol(service.protocol),
            external: None,
            concurrency,
            zones: zones_of(manifest, service),
        };
        config.upstreams.insert(name.clone(), upstream);
    }
    for (name, external) in &manifest.externals {
        config.upstreams.insert(name.clone(), upstream_of(name, external, manifest));
    }
    if let Some(gateway) = &manifest.gateway {
        config.listeners.insert(GATEWAY.to_owned(), gateway_listener(gateway, tls));
    }
    let known: Vec<String> = config.upstreams.keys().cloned().collect();
    for (caller, service) in &manifest.services {
        let calls: BTreeMap<String, plane::Call> = service
            .calls
            .iter()
            .map(|(callee, declared)| {
                let id = call_id(caller, callee);
                let split = declared.split.as_ref();
                let call = target(&id, &declared.to, split, &declared.policies, &declared.limits);
                (callee.clone(), call)
            })
            .collect();
        for (callee, call) in &calls {
            let role = plane::Role::Call { caller: caller.clone(), call: call.clone() };
            config.listeners.insert(call_id(caller, callee), loopback(role));
        }
        if matches!(service.source, valid::Source::Run(_)) {
            let role = plane::Role::Sidecar { caller: caller.clone(), calls, known: known.clone() };
            config.listeners.insert(sidecar_id(caller), loopback(role));
        }
    }
    config
}

/// Name of a call, and of its listener.
pub(crate) fn call_id(caller: &str, callee: &str) -> String {
    format!("{caller} -> {callee}")
}

/// Name of a service's listener for any of its calls.
fn sidecar_id(caller: &str) -> String {
    format!("{caller} sidecar")
}

fn loopback(role: plane::Role) -> plane::Listener {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    plane::Listener { bind, tls: None, limits: plane::Limits::default(), role }
}

fn gateway_listener(gateway: &valid::Gateway, tls: Option<plane::Tls>) -> plane::Listener {
    let limits = plane::Limits {
        header_bytes: gateway.limits.header_bytes,
        headers: gateway.limits.headers,
        header_timeout: gateway.limits.header_timeout,
        body_idle: gateway.limits.body_idle,
        body_bytes: gateway.limits.body_bytes,
        connections: gateway.limits.connections,
    };
    let routes = gateway.routes.iter().map(route).collect();
    plane::Listener { bind: gateway.listen, tls, limits, role: plane::Role::Gateway { routes } }
}

fn route(route: &valid::Route) -> plane::Route {
    plane::Route {
        matcher: plane::Matcher {
            host: route.host.clone(),
            path: pattern(&route.path),
            methods: route.methods.clone(),
            headers: route.headers.clone(),
        },
        rewrite: route.rewrite.as_ref().map(pattern),
        call: target(&route_id(route), &route.to, route.split.as_ref(), &route.policies, &route.limits),
    }
}

/// What status calls a route: unique, for two routes that match the same are an error.
fn route_id(route: &valid::Route) -> String {
    let mut id = String::from("gateway ");
    for method in &route.methods {
        id.push_str(method);
        id.push(' ');
    }
    if let Some(host) = &route.host {
        id.push_str(host);
    }
    id.push_str(&path_text(&route.path));
    for (name, value) in &route.headers {
        id.push_str(&format!(" {name}={value}"));
    }
    id
}

fn path_text(pattern: &valid::PathPattern) -> String {
    let mut text = String::new();
    for segment in &pattern.segments {
        text.push('/');
        text.push_str(match segment {
            valid::Segment::Literal(literal) => literal,
            valid::Segment::Any => "*",
        });
    }
    match (pattern.rest, text.is_empty()) {
        (true, _) => text + "/**",
        (false, true) => "/".to_owned(),
        (false, false) => text,
    }
}

fn pattern(pattern: &valid::PathPattern) -> plane::Pattern {
    let segments = pattern.segments.iter().map(|segment| match segment {
        valid::Segment::Literal(literal) => Some(literal.clone()),
        valid::Segment::Any => None,
    });
    plane::Pattern { segments: segments.collect(), rest: pattern.rest }
}

fn upstream_of(name: &str, external: &valid::External, manifest: &valid::Manifest) -> plane::Upstream {
    let origin = |origin: &valid::Origin| plane::Origin {
        host: origin.host.clone(),
        port: origin.port,
        srv: origin.srv.clone(),
    };
    let origins: Vec<plane::Origin> = external.origins.iter().map(origin).collect();
    let zones = manifest.zones(name).into_iter().map(|zone| zone.map(str::to_owned));
    let places: BTreeMap<_, _> = origins.iter().map(plane::Origin::place).zip(zones).collect();
    plane::Upstream {
        protocol: protocol(external.protocol),
        external: Some(plane::External {
            tls: external.tls,
            origins,
            prefix: external.prefix.clone(),
            resolver: manifest.resolver.clone(),
        }),
        concurrency: external.concurrency.as_ref().map(policies::concurrency),
        zones: (!places.is_empty()).then(|| plane::Zones {
            own: manifest.zone.clone(),
            places,
            otherwise: None,
        }),
    }
}

/// What Colony starts is where the node is.
fn zones_of(manifest: &valid::Manifest, service: &valid::Service) -> Option<plane::Zones> {
    let own = manifest.zone.clone();
    match &service.source {
        valid::Source::Run(_) => {
            own.clone().map(|_| plane::Zones { own: own.clone(), places: BTreeMap::new(), otherwise: own })
        }
        valid::Source::Url { zones, .. } if zones.is_empty() => None,
        valid::Source::Url { authorities, zones } => {
            let zone = |authority: &String| (authority.clone(), zones.get(authority).cloned());
            Some(plane::Zones { own, places: authorities.iter().map(zone).collect(), otherwise: None })
        }
    }
}

fn protocol(protocol: valid::Protocol) -> plane::Protocol {
    match protocol {
        valid::Protocol::Http1 => plane::Protocol::Http1,
        valid::Protocol::Http2 | valid::Protocol::Grpc => plane::Protocol::Http2,
    }
}

/// What the supervisor runs for a manifest; `address` tells where a listener of the data plane is, `otlp` where OTLP is taken.
pub(crate) fn services(
    manifest: &valid::Manifest,
    otlp: Option<SocketAddr>,
    address: impl Fn(&str) -> Option<SocketAddr>,
) -> Vec<supervisor::Service> {
    let in_order = manifest.start_order.iter().filter_map(|name| Some((name, manifest.services.get(name)?)));
    in_order.map(|(name, declared)| service(manifest, name, declared, otlp, &address)).collect()
}

fn service(
    manifest: &valid::Manifest,
    name: &str,
    declared: &valid::Service,
    otlp: Option<SocketAddr>,
    address: &impl Fn(&str) -> Option<SocketAddr>,
) -> supervisor::Service {
    let source = match &declared.source {
        valid::Source::Url { authorities, .. } => {
            supervisor::Source::Url { authorities: authorities.clone() }
        }
        valid::Source::Run(run) => supervisor::Source::Run(supervisor::Run {
            command: run.command.clone(),
            build: run.build.clone(),
            dir: manifest.root.join(&run.dir),
            env: environment(manifest, name, declared, run, otlp, address),
            port: run.port,
            instances: run.min,
            max: run.max,
            grace: run.grace,
            beside: if run.api { API.to_owned() } else { String::new() },
        }),
    };
    supervisor::Service {
        name: name.to_owned(),
        source,
        after: declared.after.clone(),
        ready: probe(&declared.ready, declared.protocol),
        live: declared.live.as_ref().map(|live| probe(live, declared.protocol)),
    }
}

/// A process's environment: its own settings win over Colony's.
fn environment(
    manifest: &valid::Manifest,
    name: &str,
    declared: &valid::Service,
    run: &valid::Run,
    otlp: Option<SocketAddr>,
    address: &impl Fn(&str) -> Option<SocketAddr>,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("COLONY_NAME".to_owned(), manifest.name.clone())]);
    if let Some(otlp) = otlp {
        // What OpenTelemetry's SDKs look for.
        env.extend([
            ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://{otlp}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "http/protobuf".to_owned()),
            ("OTEL_SERVICE_NAME".to_owned(), name.to_owned()),
        ]);
    }
    for callee in declared.calls.keys() {
        if let Some(address) = address(&call_id(name, callee)) {
            env.insert(manifest::url_variable(callee), format!("http://{address}"));
        }
    }
    if let Some(address) = address(&sidecar_id(name)) {
        env.insert("COLONY_SIDECAR_URL".to_owned(), format!("http://{address}"));
    }
    env.extend(run.env.clone());
    env
}

fn probe(probe: &valid::Probe, spoken: valid::Protocol) -> supervisor::Probe {
    let protocol = match spoken {
        valid::Protocol::Http1 => supervisor::Protocol::Http1,
        valid::Protocol::Http2 | valid::Protocol::Grpc => supervisor::Protocol::Http2,
    };
    supervisor::Probe {
        check: match &probe.check {
            valid::Check::Http(path) => supervisor::Check::Http { path: path.clone(), protocol },
            valid::Check::Tcp => supervisor::Check::Tcp,
            valid::Check::None => supervisor::Check::None,
        },
        every: probe.every,
        timeout: probe.timeout,
        failures: probe.failures,
        within: probe.within,
    }
}
