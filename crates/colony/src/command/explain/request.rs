//! Which route of the gateway takes a request, and why none of the others does.

use std::time::Duration;

use manifest::terms::{self, Attempts, Place, Undeclared, Worst};
use manifest::valid::{self, Gateway};
use mesh::config::{self, Role};
use mesh::{Misfit, Part, Refusal, Side, Tried};
use telemetry::redact::Redactor;

use super::subject::Asked;
use super::{Read, Way};
use crate::lower;

/// What is told of a request.
pub(super) struct OfRequest {
    pub(super) asked: Asked,
    /// The host that it is for, as the gateway takes it.
    pub(super) host: String,
    /// Every route, in the order in which they are tried.
    pub(super) routes: Vec<OfRoute>,
    /// The route that takes it, by its place among them.
    pub(super) taken: Option<usize>,
    /// The one that came nearest, where none takes it.
    pub(super) nearest: Option<usize>,
    /// How the gateway answers by itself, and why where that is not for the routes to tell.
    pub(super) refused: Option<(Refusal, Option<String>)>,
    /// What the service is asked.
    pub(super) target: String,
    /// Where the rewrite was set that made it another.
    pub(super) rewritten: Option<Place>,
    /// Whether it may be sent again, also where something of it was sent.
    pub(super) idempotent: bool,
    /// How long the caller says that it waits.
    pub(super) left: Option<Duration>,
    /// How it is sent to its side, where several share the requests of the route.
    pub(super) side: Option<Side>,
    pub(super) way: Option<Way>,
}

/// A route, and how it went with it.
pub(super) struct OfRoute {
    pub(super) name: String,
    pub(super) to: String,
    pub(super) place: Option<Place>,
    pub(super) tried: Tried,
}

/// Sends the request nowhere and tells what would become of it.
pub(super) fn explain(read: &Read, asked: Asked) -> OfRequest {
    let gateway = read.manifest.gateway.as_ref();
    let host = asked.host.clone().unwrap_or_else(|| gateway.map_or_else(String::new, address));
    let plane = plane(read);
    let head =
        mesh::Asked { method: &asked.method, target: &asked.target, host: &host, headers: &asked.headers };
    let mut told = OfRequest {
        host: host.clone(),
        routes: Vec::new(),
        taken: None,
        nearest: None,
        refused: None,
        target: asked.target.clone(),
        rewritten: None,
        idempotent: true,
        left: None,
        side: None,
        way: None,
        asked: asked.clone(),
    };
    let seen = match mesh::preview(&plane, &head) {
        Ok(seen) => seen,
        Err(why) => {
            told.refused = Some((Refusal::unsound(), Some(why)));
            return told;
        }
    };
    let routes = gateway.map_or(&[][..], |gateway| &gateway.routes);
    told.refused = seen.refusal().map(|refusal| (refusal, None));
    told.host = seen.host;
    told.idempotent = seen.idempotent;
    told.left = seen.left;
    told.routes = routes.iter().zip(seen.routes).map(|(route, tried)| of_route(read, route, tried)).collect();
    told.taken = seen.taken;
    told.nearest = if seen.taken.is_none() { nearest(&told.routes) } else { None };
    if let Some((at, route)) = seen.taken.and_then(|at| Some((at, routes.get(at)?))) {
        let side = match seen.side {
            Some(Side::ByHeader(side) | Side::ByUser(side)) => Some(side),
            Some(Side::ByShare) | None => None,
        };
        told.side = seen.side;
        told.way = way(read, at, side, &plane);
        let to = told.way.as_ref().map_or(route.to.as_str(), |way| way.to.as_str());
        told.target = format!("{}{}{}", prefix(&read.manifest, to), seen.path, seen.query);
        told.rewritten = terms::place_of(&read.places, route, Some("rewrite"));
        if let (Some(Duration::ZERO), Some(way)) = (told.left, &mut told.way) {
            way.terms.worst = nothing_sent();
            way.terms.attempts = Attempts { way: Vec::new(), most: 0, storm: false };
        }
    }
    told
}

/// What holds for a request whose caller waits no more when it comes.
fn nothing_sent() -> Worst {
    let sum = "the caller waits no more, so nothing is sent".to_owned();
    Worst { time: Some(Duration::ZERO), tries: 0, each: None, sum, asked_to_wait: None }
}

/// A route by the name that `colony status` has for it.
pub(super) fn route(read: &Read, name: &str) -> Result<Way, Undeclared> {
    let routes = read.manifest.gateway.as_ref().map_or(&[][..], |gateway| &gateway.routes);
    let plane = plane(read);
    // The first side goes by the name of the route, so all of them are meant by it.
    let sides = routes.iter().enumerate().flat_map(|(at, route)| {
        (0..route.answering().len()).map(move |side| (at, (side > 0).then_some(side)))
    });
    let mut ways: Vec<Way> = sides.filter_map(|(at, side)| way(read, at, side, &plane)).collect();
    if let Some(at) = ways.iter().position(|way| way.id == name) {
        return Ok(ways.swap_remove(at));
    }
    let declared: Vec<String> = ways.into_iter().map(|way| way.id).collect();
    let nearest = manifest::nearest(name, declared.iter().map(String::as_str)).map(str::to_owned);
    Err(Undeclared {
        why: format!("there is no route `{name}`"),
        hint: match &nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", declared.join(", ")),
        },
        add: None,
        declared,
        nearest,
    })
}

/// The routes as the data plane has them.
fn plane(read: &Read) -> Vec<config::Route> {
    let mut lowered = lower::mesh(&read.manifest, None);
    match lowered.listeners.remove(lower::GATEWAY).map(|listener| listener.role) {
        Some(Role::Gateway { routes }) => routes,
        _ => Vec::new(),
    }
}

/// Where a client on this machine finds the gateway.
fn address(gateway: &Gateway) -> String {
    let listen = gateway.listen;
    let ip = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let ip = if ip.contains(':') { format!("[{ip}]") } else { ip };
    match listen.port() {
        0 => ip,
        port => format!("{ip}:{port}"),
    }
}

fn of_route(read: &Read, route: &valid::Route, tried: Tried) -> OfRoute {
    let tried = match tried {
        Tried::Misfit(misfit) => Tried::Misfit(Misfit {
            wanted: misfit.wanted.map(|wanted| terms::open(&read.manifest, &wanted)),
            ..misfit
        }),
        other => other,
    };
    OfRoute {
        name: terms::route_name(&read.manifest, route),
        to: terms::answers(&read.manifest, route),
        place: terms::place_of(&read.places, route, None),
        tried,
    }
}

/// What carries the requests of a route, or of one of those who share them.
fn way(read: &Read, at: usize, side: Option<usize>, plane: &[config::Route]) -> Option<Way> {
    let call = &plane.get(at)?.call;
    let call = match side {
        None | Some(0) => call,
        Some(side) => &call.split.as_ref()?.others.get(side - 1)?.1,
    };
    // As the control socket tells it, too.
    let id = Redactor::new(read.manifest.secrets.clone()).redact(&call.id).into_owned();
    let terms = terms::route(&read.manifest, &read.places, at, side)?;
    Some(Way { id, to: call.upstream.clone(), terms, live: None })
}

/// What is put before every path that goes to an external.
fn prefix<'m>(manifest: &'m valid::Manifest, to: &str) -> &'m str {
    manifest.externals.get(to).map_or("", |external| external.prefix.as_str())
}

/// The route that the request came furthest with; of several the one whose segment is the likeliest meant.
fn nearest(routes: &[OfRoute]) -> Option<usize> {
    let misfit = |route: &'_ OfRoute| match &route.tried {
        Tried::Misfit(misfit) => Some(misfit.clone()),
        _ => None,
    };
    let furthest = routes.iter().filter_map(misfit).map(|misfit| reach(&misfit.part)).max()?;
    let furthest: Vec<(usize, Misfit)> = routes
        .iter()
        .enumerate()
        .filter_map(|(at, route)| Some((at, misfit(route)?)))
        .filter(|(_, misfit)| reach(&misfit.part) == furthest)
        .collect();
    let given = furthest.iter().find_map(|(_, misfit)| misfit.given.as_deref()).unwrap_or_default();
    let likely = manifest::nearest(given, furthest.iter().filter_map(|(_, misfit)| misfit.wanted.as_deref()));
    let meant = furthest.iter().find(|(_, misfit)| likely.is_some() && misfit.wanted.as_deref() == likely);
    meant.or(furthest.first()).map(|(at, _)| *at)
}

/// How far a request came that does not fit there.
fn reach(part: &Part) -> (u8, usize) {
    match part {
        Part::Host => (0, 0),
        Part::Path(at) => (1, *at),
        Part::Header(_) => (2, 0),
        Part::Method => (3, 0),
    }
}

/// Why a request does not fit, in words.
pub(super) fn why(misfit: &Misfit) -> String {
    let part = match &misfit.part {
        Part::Host => "host".to_owned(),
        Part::Path(_) => "path".to_owned(),
        Part::Header(name) => format!("header {name}"),
        Part::Method => "method".to_owned(),
    };
    match (&misfit.part, misfit.wanted.as_deref(), misfit.given.as_deref()) {
        (_, None, Some("")) => format!("{part}: a `/` too many at the end"),
        (_, None, given) => format!("{part}: goes on with `{}`", given.unwrap_or_default()),
        (Part::Path(_), Some(wanted), None) => format!("{part}: nothing in place of `{wanted}`"),
        (_, Some(wanted), None) => format!("{part}: not given, wanted is `{wanted}`"),
        (_, Some(wanted), Some(given)) => format!("{part}: `{given}` is not `{wanted}`"),
    }
}
