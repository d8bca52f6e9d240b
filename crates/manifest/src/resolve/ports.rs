//! Who listens where, as far as the manifest fixes it: no two on one port.

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::typed;
use crate::valid;

struct Listener {
    port: u16,
    /// "the gateway", "the service `cart`".
    who: String,
    span: Span,
    /// Runs already; may share its port with others of its kind, as parts of one program do.
    outside: bool,
    secret: bool,
}

/// Reports ports that two would listen on.
pub(crate) fn check(typed: &typed::Manifest, gateway: Option<&valid::Gateway>, found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<u16, Listener> = BTreeMap::new();
    for listener in gateway_listener(typed, gateway)
        .into_iter()
        .chain(otlp_listeners(typed))
        .chain(service_listeners(typed))
    {
        match first.get(&listener.port) {
            Some(other) if !(other.outside && listener.outside) => found.push(collision(&listener, other)),
            Some(_) => {}
            None => {
                first.insert(listener.port, listener);
            }
        }
    }
}

fn gateway_listener(typed: &typed::Manifest, gateway: Option<&valid::Gateway>) -> Option<Listener> {
    let gateway = gateway.filter(|gateway| gateway.listen.port() != 0)?;
    let given = typed.gateway.value().map(|gateway| &gateway.listen);
    if given.is_some_and(typed::Field::is_broken) {
        return None;
    }
    let at = given.and_then(typed::Field::get);
    let who = if at.is_some() { "the gateway" } else { "the gateway (by default)" };
    Some(Listener {
        port: gateway.listen.port(),
        who: who.to_owned(),
        span: at.map(|at| at.span).or(typed.gateway.key()).unwrap_or(typed.head),
        outside: false,
        secret: at.is_some_and(|at| at.secret),
    })
}

fn otlp_listeners(typed: &typed::Manifest) -> Vec<Listener> {
    let given = typed.telemetry.value().and_then(|telemetry| telemetry.otlp.value()?.some());
    let both = given.into_iter().flat_map(|otlp| [(&otlp.grpc, "gRPC"), (&otlp.http, "HTTP")]);
    let fixed = both.filter_map(|(listen, what)| Some((listen.get()?, what)));
    let fixed = fixed.filter(|(at, _)| at.value.0.port() != 0);
    let listener = |(at, what): (&typed::At<typed::Listen>, &str)| Listener {
        port: at.value.0.port(),
        who: format!("OTLP over {what}"),
        span: at.span,
        outside: false,
        secret: at.secret,
    };
    fixed.map(listener).collect()
}

fn service_listeners(typed: &typed::Manifest) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for (name, field) in typed.services.value().into_iter().flat_map(|map| &map.0) {
        let Some(service) = field.value() else { continue };
        let who = format!("the service `{}`", name.value);
        if let Some(port) = service.port.get()
            && let Ok(number) = u16::try_from(port.value.0)
        {
            let (who, span, secret) = (who.clone(), port.span, port.secret);
            listeners.push(Listener { port: number, who, span, outside: false, secret });
        }
        let local = service.url.value().into_iter().flat_map(|urls| &urls.0).map(|placed| &placed.value.url);
        let local = local.filter(|url| url.value.0.is_local());
        listeners.extend(local.map(|url| Listener {
            port: url.value.0.port,
            who: who.clone(),
            span: url.span,
            outside: true,
            secret: url.secret,
        }));
    }
    listeners
}

fn collision(listener: &Listener, other: &Listener) -> Diagnostic {
    let port = match listener.secret || other.secret {
        true => "the same port".to_owned(),
        false => format!("port {}", listener.port),
    };
    let message = format!("{} and {} both want {port}", other.who, listener.who);
    let says = |listener: &Listener| match listener.outside {
        true => format!("{} listens here already", listener.who),
        false => format!("{} listens here", listener.who),
    };
    let help = match other.who.as_str() {
        "the gateway (by default)" => "give the gateway another port: `gateway: { listen: 8081 }`",
        "the gateway" => "give one of them another port",
        _ => "give one of them another port, or leave out `port`: Colony then finds a free one",
    };
    let one =
        Diagnostic::error(codes::PORT_COLLISION, listener.span, message).label(says(listener)).help(help);
    match other.who.as_str() {
        "the gateway (by default)" => one,
        _ => one.also(other.span, says(other)),
    }
}
