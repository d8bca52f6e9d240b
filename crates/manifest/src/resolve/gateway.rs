//! The gateway: where it listens and which request goes where.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http;
use crate::nearest;
use crate::resolve::names::Names;
use crate::resolve::policies::{self, set};
use crate::resolve::split;
use crate::resolve::{defaults, headers};
use crate::typed::{self, At, Field};
use crate::valid::{Gateway, Limits, PathPattern, Route, Segment, Tls, TlsFiles};
use crate::yaml::clip;

/// The gateway. Without one in the manifest, one is served by default for a single service.
pub(crate) fn resolve(
    typed: &typed::Manifest,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<Gateway> {
    let only = names.only_service().filter(|_| !names.unknown());
    match &typed.gateway {
        Field::Broken(_) => None,
        Field::Absent => {
            let routes = vec![everything_to(only?)];
            Some(Gateway { listen: defaults::LISTEN, tls: None, limits: defaults::limits(), routes })
        }
        Field::Given { key, at } => {
            let listen = at.value.listen.value().map_or(defaults::LISTEN, |listen| listen.0);
            let limits = limits(&at.value.limits);
            let routes = routes(&at.value.routes, *key, only, names, found);
            Some(Gateway { listen, tls: tls(&at.value.tls), limits, routes })
        }
    }
}

fn tls(field: &Field<typed::Tls>) -> Option<Tls> {
    let files = match field.value()? {
        typed::Tls::Dev => return Some(Tls::Dev),
        typed::Tls::Files(files) => files,
    };
    let path = |field: &Field<typed::File>| field.value().map(|file| file.0.clone().into());
    let pairs = files.iter().map(|at| &at.value);
    let pairs = pairs.filter_map(|pair| Some(TlsFiles { cert: path(&pair.cert)?, key: path(&pair.key)? }));
    Some(Tls::Files(pairs.collect()))
}

fn limits(field: &Field<typed::Limits>) -> Limits {
    let mut limits = defaults::limits();
    let Some(typed) = field.value() else { return limits };
    set(&mut limits.header_bytes, &typed.header_bytes, |size| size.0 as usize);
    set(&mut limits.headers, &typed.headers, |count| count.0 as usize);
    set(&mut limits.header_timeout, &typed.header_timeout, |duration| duration.0);
    set(&mut limits.body_idle, &typed.body_idle, |duration| duration.0);
    set(&mut limits.body_bytes, &typed.body_bytes, |size| size.some().map(|size| size.0));
    set(&mut limits.connections, &typed.connections, |count| count.0 as usize);
    limits
}

fn everything_to(service: &str) -> Route {
    Route {
        host: None,
        path: everything(),
        methods: Vec::new(),
        headers: Vec::new(),
        to: service.to_owned(),
        split: None,
        rewrite: None,
        limits: Vec::new(),
        policies: valid_defaults(),
        written: None,
    }
}

fn valid_defaults() -> crate::valid::CallPolicies {
    crate::valid::CallPolicies {
        timeout: Some(defaults::CALL_TIMEOUT),
        per_try: None,
        deadline_header: None,
        concurrency: None,
        priority: Some(crate::valid::Priority::Normal),
        retries: Some(defaults::retries()),
        hedge: None,
        breaker: Some(defaults::breaker()),
        ejection: Some(defaults::ejection()),
        balance: crate::valid::Balance::P2cEwma,
        zone_preference: Some(defaults::zone_preference()),
        slow_start: None,
        fallback: None,
    }
}

fn everything() -> PathPattern {
    PathPattern { segments: Vec::new(), rest: true }
}

fn routes(
    field: &Field<typed::List<typed::Route>>,
    key: Span,
    only: Option<&str>,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Vec<Route> {
    if field.is_broken() {
        return Vec::new();
    }
    let list = field.value();
    if list.is_none_or(|list| list.items.is_empty() && !list.broken) {
        if names.services().nth(1).is_some() && !names.unknown() {
            found.push(no_routes(field.key().unwrap_or(key), names));
        }
        return only.map(everything_to).into_iter().collect();
    }
    let mut routes: Vec<(Span, Route)> = list
        .into_iter()
        .flat_map(|list| list.items.iter().enumerate())
        .filter_map(|(written, at)| {
            Some((at.span, Route { written: Some(written), ..route(&at.value, names, found)? }))
        })
        .collect();
    routes.sort_by_key(|(_, route)| specificity(route));
    refuse_duplicates(&routes, found);
    warn_shadowed(&routes, found);
    routes.into_iter().map(|(_, route)| route).collect()
}

fn no_routes(span: Span, names: &Names) -> Diagnostic {
    let services: Vec<&str> = names.services().collect();
    let one =
        Diagnostic::error(codes::NO_ROUTES, span, "the gateway has no routes").label("nothing is reachable");
    match services.first() {
        Some(first) => one.help(format!(
            "say what goes where, for example:\n\nroutes:\n  - to: {first}\n\nthe services are {}",
            nearest::list(services.iter().copied())
        )),
        None => one,
    }
}

/// A route. None if something of what it matches, or where it goes, could not be read.
fn route(typed: &typed::Route, names: &Names, found: &mut Vec<Diagnostic>) -> Option<Route> {
    let captures = typed.path.value().map_or(&[][..], |path| &path.0.captures);
    let call = policies::Call { caller: None, to: "", captures };
    let to = typed.to.get();
    let to = to.and_then(|to| split::resolve(to, &typed.sticky, "route to", &call, names, found));
    // One side may stand in for the other.
    let only = to.as_ref().filter(|(_, split)| split.is_none()).map_or("", |(to, _)| to);
    let call = policies::Call { to: only, ..call };
    let policies = policies::resolve(&typed.policies, &call, names, found);
    let limits = policies::limits(&typed.policies, found);
    let headers = typed.headers.value().map_or(Some(Vec::new()), |all| headers(all, found));
    let path = match &typed.path {
        Field::Absent => everything(),
        Field::Broken(_) => return None,
        Field::Given { at, .. } => at.value.0.pattern.clone(),
    };
    let rewrite = typed.rewrite.get().and_then(|at| rewrite(at, typed, &path, found));
    if typed.host.is_broken() || typed.methods.is_broken() || typed.headers.is_broken() {
        return None;
    }
    let methods = typed.methods.value().into_iter().flat_map(|methods| &methods.0);
    let mut methods: Vec<String> = methods.map(|method| method.value.0.clone()).collect();
    methods.sort();
    methods.dedup();
    let host = typed.host.value().map(|host| host.0.clone());
    let (headers, (to, split)) = (headers?, to?);
    Some(Route { host, path, methods, headers, to, split, rewrite, limits, policies, written: None })
}

fn rewrite(
    at: &At<typed::Path>,
    typed: &typed::Route,
    path: &PathPattern,
    found: &mut Vec<Diagnostic>,
) -> Option<PathPattern> {
    let rewrite = &at.value.0.pattern;
    if rewrite.segments.contains(&Segment::Any) {
        found.push(
            Diagnostic::error(codes::REWRITE, at.span, "a rewrite cannot have `*` or `{name}`")
                .label("only `/**`, at the end, is carried over")
                .help("name the new path: `/products/**` keeps what the route's `/**` matched"),
        );
        return None;
    }
    if rewrite.rest && !path.rest {
        let shown = clip(&http::show_path(path));
        let one =
            Diagnostic::error(codes::REWRITE, at.span, "this rewrite ends in `/**`, but the path does not")
                .label("stands for what the path's `/**` matched")
                .help(format!(
                    "let the path end in `/**` too, `{}/**`, or leave it out here",
                    shown.trim_end_matches('/')
                ));
        found.push(match typed.path.get() {
            Some(at) => one.also(at.span, "has no `/**`"),
            None => one,
        });
        return None;
    }
    Some(rewrite.clone())
}

/// Sorts routes, most specific first; `docs/manifest.md` tells the rule. Equal ones stay as written.
fn specificity(route: &Route) -> impl Ord + use<> {
    let host = match route.host.as_deref() {
        Some(host) if !host.starts_with("*.") => (0, 0),
        Some(wildcard) => (1, usize::MAX - wildcard.len()),
        None => (2, 0),
    };
    let mut path: Vec<u8> =
        route.path.segments.iter().map(|segment| u8::from(*segment == Segment::Any)).collect();
    path.push(PATH_END);
    (host, path, route.path.rest, route.methods.is_empty(), Reverse(route.headers.len()))
}

fn refuse_duplicates(routes: &[(Span, Route)], found: &mut Vec<Diagnostic>) {
    let mut seen = HashMap::new();
    for (span, route) in routes {
        let matches = (&route.host, &route.path, &route.methods, &route.headers);
        match seen.get(&matches) {
            None => {
                seen.insert(matches, *span);
            }
            Some(first) => found.push(
                Diagnostic::error(codes::DUPLICATE_ROUTE, *span, "two routes match the same requests")
                    .label("the same again")
                    .also(*first, "first declared here")
                    .help("remove one, or tell them apart by `host`, `path`, `methods` or `headers`"),
            ),
        }
    }
}

fn warn_shadowed(routes: &[(Span, Route)], found: &mut Vec<Diagnostic>) {
    let mut alike: HashMap<_, Vec<&(Span, Route)>> = HashMap::new();
    for one in routes {
        let (span, route) = one;
        let earlier = alike.entry((&route.host, &route.path)).or_default();
        if let Some((other, _)) = earlier.iter().find(|(_, other)| covers(other, route)) {
            found.push(
                Diagnostic::warning(codes::SHADOWED_ROUTE, *span, "no request reaches this route")
                    .label("never reached")
                    .also(*other, "this one takes all that it matches")
                    .help("routes are tried from the most specific to the least, then as written"),
            );
        }
        earlier.push(one);
    }
}

/// Whether `a` matches every request that `b` does, host and path being equal.
fn covers(a: &Route, b: &Route) -> bool {
    if same_match(a, b) {
        return false; // a duplicate, which has an error of its own
    }
    let methods = a.methods.is_empty()
        || !b.methods.is_empty() && b.methods.iter().all(|method| a.methods.contains(method));
    methods && a.headers.iter().all(|header| b.headers.contains(header))
}

fn same_match(a: &Route, b: &Route) -> bool {
    a.methods == b.methods && a.headers == b.headers
}

/// Sorts after a wildcard, so that of two paths of which one continues the other the longer is first.
const PATH_END: u8 = 2;
