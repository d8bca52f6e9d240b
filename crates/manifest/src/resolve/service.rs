//! A service: how it runs, how it is probed, what it calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http::Url;
use crate::resolve::names::{Kind, Names};
use crate::resolve::policies::{self, contradiction, set};
use crate::resolve::{defaults, order, split, zones};
use crate::typed::{self, At, Field};
use crate::valid;
use crate::yaml::clip;

/// The valid service. None if it cannot be told where its instances come from.
pub(crate) fn resolve(
    name: &At<String>,
    typed: &typed::Service,
    names: &Names,
    shares: valid::Shares,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Service> {
    let calls = calls(name, typed, names, found);
    let after = after(name, typed, names, found);
    let ready = probe(&typed.ready, valid::Check::Tcp, defaults::READY_EVERY, found);
    let live = probe(&typed.live, valid::Check::None, defaults::LIVE_EVERY, found);
    let concurrency = policies::concurrency(&typed.concurrency, shares, found);
    let source = source(name, typed, names, found);
    Some(valid::Service {
        source: source?,
        calls,
        after,
        ready,
        live: (live.check != valid::Check::None).then_some(live),
        protocol: typed.protocol.value().map_or(valid::Protocol::Http1, |protocol| protocol.0),
        concurrency,
    })
}

fn source(
    name: &At<String>,
    typed: &typed::Service,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Source> {
    match (&typed.run, &typed.url) {
        (Field::Absent, Field::Absent) => {
            let message = format!("the service `{}` has neither `run` nor `url`", clip(&name.value));
            let one = Diagnostic::error(codes::RUN_OR_URL, name.span, message)
                .help("give it `run: COMMAND` to be started by Colony, or `url: http://127.0.0.1:3000` if it runs already");
            found.push(match names.meant_below(name) {
                Some((near, span)) => {
                    one.label(format!("did you mean `{near}`?")).also(span, "declared here")
                }
                None => one.label("where do its instances come from?"),
            });
            None
        }
        (run, Field::Absent) => {
            let run = run.value().map(|text| text.0.clone());
            self::run(typed, run, found).map(valid::Source::Run)
        }
        (Field::Absent, url) => {
            refuse_run_keys(name, typed, found);
            let placed = &url.value()?.0;
            let authorities = placed.iter().map(|one| one.value.url.value.0.authority()).collect::<Vec<_>>();
            let zones = zones::by_place(placed, Url::authority, found);
            if authorities.is_empty() {
                found.push(
                    Diagnostic::error(codes::RUN_OR_URL, url.key()?, "`url` is an empty list")
                        .label("one URL at least"),
                );
            }
            Some(valid::Source::Url { authorities, zones })
        }
        (run, url) => {
            let message = format!("the service `{}` has both `run` and `url`", clip(&name.value));
            found.push(
                Diagnostic::error(codes::RUN_OR_URL, url.key()?, message)
                    .label("this says that it runs already")
                    .also(run.key()?, "this says that Colony starts it")
                    .help("keep one of the two"),
            );
            None
        }
    }
}

/// Keys that say how Colony starts a service make no sense on one that it does not start.
fn refuse_run_keys(name: &At<String>, typed: &typed::Service, found: &mut Vec<Diagnostic>) {
    let keys = [
        (given(&typed.build), "build"),
        (given(&typed.dir), "dir"),
        (given(&typed.env), "env"),
        (given(&typed.port), "port"),
        (given(&typed.scale), "scale"),
        (given(&typed.grace), "grace"),
        (given(&typed.live), "live"),
        (given(&typed.after), "after"),
        (given(&typed.api), "api"),
    ];
    for (key, which) in keys {
        if let (Some(key), Some(url)) = (key, typed.url.key()) {
            let message = format!("`{which}` needs `run`: `{}` is not started by Colony", clip(&name.value));
            found.push(
                Diagnostic::error(codes::RUN_OR_URL, key, message)
                    .label("has no meaning here")
                    .also(url, "it runs already")
                    .help(format!("leave out `{which}`, or replace `url` by `run`")),
            );
        }
    }
}

/// The place of a key that could be read: one that could not has been reported.
fn given<T>(field: &Field<T>) -> Option<Span> {
    field.get().and(field.key())
}

fn run(typed: &typed::Service, command: Option<String>, found: &mut Vec<Diagnostic>) -> Option<valid::Run> {
    if let (Some(text), Some(at)) = (&command, typed.run.get())
        && text.trim().is_empty()
    {
        found.push(
            Diagnostic::error(codes::RUN_OR_URL, at.span, "`run` is empty")
                .label("a command, such as `./app`"),
        );
    }
    let port = typed.port.value().and_then(|port| u16::try_from(port.0).ok());
    let (min, max) = scale(typed, port, found);
    let text = |field: &Field<typed::Text>| field.value().map(|text| text.0.clone());
    let run = valid::Run {
        build: text(&typed.build),
        dir: PathBuf::from(text(&typed.dir).unwrap_or_else(|| ".".to_owned())),
        env: env(typed, found),
        port,
        min,
        max,
        grace: typed.grace.value().map_or(defaults::GRACE, |grace| grace.0),
        api: typed.api.value().is_none_or(|api| api.0),
        command: command?,
    };
    Some(run)
}

/// Instances at start and at most. A fixed port has room for one.
fn scale(typed: &typed::Service, port: Option<u16>, found: &mut Vec<Diagnostic>) -> (u32, u32) {
    let (min, max) = match typed.scale.value() {
        None => (None, None),
        Some(typed::Scale::Instances(count)) => (Some(*count), None),
        Some(typed::Scale::Options(options)) => {
            (options.min.value().map(typed::Int::u32), options.max.value().map(typed::Int::u32))
        }
    };
    if let (Some(min), Some(max), Some(typed::Scale::Options(options))) = (min, max, typed.scale.value())
        && min > max
    {
        let one = contradiction(policies::at(&options.min, options.head), "`min` is more than `max`");
        found.push(one.label("more than").also(policies::at(&options.max, options.head), "this"));
    }
    if let (Some(_), Some(key), Some(scale)) = (port, typed.port.key(), typed.scale.get())
        && (min.is_some_and(|min| min > 1) || max.is_some_and(|max| max > 1))
    {
        found.push(
            Diagnostic::error(
                codes::PORT_COLLISION,
                scale.span,
                "several instances cannot share one fixed port",
            )
            .label("more than one instance")
            .also(key, "a port for one")
            .help("leave out `port`: Colony gives each instance a free one in `PORT`"),
        );
    }
    let min = min.unwrap_or(1);
    let default = if port.is_some() { 1 } else { defaults::SCALE_MAX };
    (min, max.unwrap_or(default.max(min)))
}

fn env(typed: &typed::Service, found: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let calls = typed.calls.value().map_or(&[][..], |calls| calls.0.as_slice());
    for (name, value) in typed.env.value().into_iter().flat_map(|map| &map.0) {
        if let Err(wrong) = typed::variable(&name.value) {
            let one = Diagnostic::error(codes::INVALID_NAME, name.span, wrong.message);
            found.push(one.hint(&wrong.help.unwrap_or_default()));
        }
        if let Some(why) = reserved(&name.value, calls) {
            let message = format!("Colony sets `{}` itself", clip(&name.value));
            found.push(Diagnostic::error(codes::RESERVED_VARIABLE, name.span, message).label(why));
        }
        if let Some(value) = value.get() {
            if value.value.0.contains('\0') {
                found.push(Diagnostic::error(
                    codes::WRONG_TYPE,
                    value.span,
                    "an environment variable cannot hold a zero byte",
                ));
            }
            env.insert(name.value.clone(), value.value.0.clone());
        }
    }
    env
}

/// Why a variable may not be set by hand, if so.
fn reserved(name: &str, calls: &[(At<String>, Field<typed::Call>)]) -> Option<String> {
    if name == "PORT" {
        return Some("the port of each instance; fix it with the key `port`".to_owned());
    }
    if name.starts_with("COLONY_") {
        return Some("names that begin with `COLONY_` are its own".to_owned());
    }
    let (call, _) = calls.iter().find(|(call, _)| url_variable(&call.value) == name)?;
    Some(format!("the address for calls to `{}`, through its policies", clip(&call.value)))
}

/// The variable that tells a service where to call: `payment-gate` is at `PAYMENT_GATE_URL`.
pub fn url_variable(name: &str) -> String {
    format!("{}_URL", name.to_ascii_uppercase().replace('-', "_"))
}

fn after(
    name: &At<String>,
    typed: &typed::Service,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Vec<String> {
    for to in typed.after.value().into_iter().flat_map(|after| &after.0) {
        let to = At { value: to.value.0.clone(), span: to.span, secret: to.secret };
        if to.value == name.value {
            found.push(itself(to.span, format!("`{}` cannot start after itself", to.value)));
        } else if names.require(&to, "start after", found) == Some(Kind::External) {
            let message = format!("`{}` is an external: Colony does not start it", to.value);
            found.push(
                Diagnostic::error(codes::UNDECLARED, to.span, message)
                    .label("not a service")
                    .help("`after` names services; leave this out"),
            );
        }
    }
    let mut waits: Vec<String> =
        order::edges(&name.value, typed, names).into_iter().map(|edge| edge.to).collect();
    waits.sort();
    waits.dedup();
    waits
}

fn itself(span: Span, message: String) -> Diagnostic {
    Diagnostic::error(codes::SELF_REFERENCE, span, message).label("this is the service itself")
}

fn calls(
    name: &At<String>,
    typed: &typed::Service,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, valid::Call> {
    let mut calls = BTreeMap::new();
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for (to, field) in typed.calls.value().into_iter().flat_map(|calls| &calls.0) {
        if let Some(first) = places.insert(&to.value, to.span) {
            let message = format!("the call to `{}` is listed twice", clip(&to.value));
            let one = Diagnostic::error(codes::DUPLICATE_KEY, to.span, message);
            found.push(one.label("again here").also(first, "first here"));
            continue;
        }
        if to.value == name.value {
            let one = itself(to.span, format!("`{}` declares a call to itself", clip(&to.value)));
            found.push(one.help("a service reaches itself without Colony: leave this out"));
            continue;
        }
        let kind = names.require(to, "call", found);
        let Some(call) = field.value() else { continue };
        warn_wait(call, &to.value, kind, found);
        let between = policies::Call { caller: Some(&name.value), to: "", captures: &[] };
        let answers = answers(to, call, &between, names, found);
        // One side may stand in for the other.
        let only = answers.as_ref().filter(|(_, split)| split.is_none()).map_or("", |(to, _)| to);
        let between = policies::Call { to: only, ..between };
        let policies = policies::resolve(&call.policies, &between, names, found);
        let limits = policies::limits(&call.policies, found);
        if let Some((answers, split)) = answers {
            calls.insert(to.value.clone(), valid::Call { to: answers, split, policies, limits });
        }
    }
    refuse_fallback_circles(&calls, &places, found);
    calls
}

/// Who answers a call that is named for `to`.
fn answers(
    to: &At<String>,
    call: &typed::Call,
    between: &policies::Call,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<(String, Option<valid::Split>)> {
    match &call.to {
        Field::Broken(_) => None,
        Field::Given { at, .. } => split::resolve(at, &call.sticky, "call", between, names, found),
        Field::Absent => {
            split::warn_alone(&call.sticky, found);
            Some((to.value.clone(), None))
        }
    }
}

fn warn_wait(call: &typed::Call, to: &str, kind: Option<Kind>, found: &mut Vec<Diagnostic>) {
    if let (Some(Kind::External), Some(key)) = (kind, call.wait.key()) {
        let message = format!("`wait` has no effect: `{to}` is an external, which nothing waits for");
        found.push(Diagnostic::warning(codes::NO_EFFECT, key, message).label("leave this out"));
    }
}

/// `a` falls back to `b` and `b` to `a`: when both are down nobody answers.
fn refuse_fallback_circles(
    calls: &BTreeMap<String, valid::Call>,
    places: &BTreeMap<&str, Span>,
    found: &mut Vec<Diagnostic>,
) {
    // Where others answer than the one that a call is named for, that one may stand in for them.
    let itself = |name: &str| calls.get(name).filter(|call| call.split.is_none() && call.to == name);
    let next = |name: &str| match itself(name).and_then(|call| call.policies.fallback.as_ref()) {
        Some(valid::Fallback::To(to)) => Some(to.clone()),
        _ => None,
    };
    for start in calls.keys() {
        let mut way = vec![start.clone()];
        while let Some(to) = next(&way[way.len() - 1]).filter(|_| way.len() <= calls.len()) {
            way.push(to);
            if way[way.len() - 1] == *start {
                break;
            }
        }
        let closes = way.len() > 1 && way[way.len() - 1] == *start;
        if closes && way.iter().all(|name| start <= name) {
            let circle: Vec<String> = way.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("the fallbacks go round in a circle: {}", circle.join(" → "));
            let span = places.get(start.as_str()).copied().unwrap_or_default();
            let one = Diagnostic::error(codes::FALLBACK_LOOP, span, message)
                .help("end the chain with a fixed answer, `{ status: 200, body: \"[]\" }`");
            let others = way[1..way.len() - 1].iter().filter_map(|name| places.get(name.as_str()));
            found.push(others.fold(one.label("falls back"), |one, span| one.also(*span, "falls back")));
        }
    }
}

fn probe(
    field: &Field<typed::Probe>,
    default: valid::Check,
    every: Duration,
    found: &mut Vec<Diagnostic>,
) -> valid::Probe {
    let mut probe = valid::Probe {
        check: default,
        every,
        timeout: defaults::PROBE_TIMEOUT,
        failures: defaults::PROBE_FAILURES,
        within: defaults::PROBE_WITHIN,
    };
    match field.value() {
        None => {}
        Some(typed::Probe::None) => probe.check = valid::Check::None,
        Some(typed::Probe::Tcp) => probe.check = valid::Check::Tcp,
        Some(typed::Probe::Http(path)) => probe.check = valid::Check::Http(path.clone()),
        Some(typed::Probe::Options(options)) => {
            probe.check = probe_check(options, found);
            set(&mut probe.every, &options.every, |duration| duration.0);
            set(&mut probe.timeout, &options.timeout, |duration| duration.0);
            set(&mut probe.failures, &options.failures, typed::Int::u32);
            set(&mut probe.within, &options.within, |duration| duration.0);
        }
    }
    probe
}

fn probe_check(options: &typed::ProbeOptions, found: &mut Vec<Diagnostic>) -> valid::Check {
    let tcp = options.tcp.value().map(|tcp| tcp.0);
    match (options.http.value(), tcp) {
        (Some(path), None | Some(false)) => valid::Check::Http(path.0.clone()),
        (Some(_), Some(true)) => {
            let (http, tcp) =
                (policies::at(&options.http, options.head), policies::at(&options.tcp, options.head));
            let one = contradiction(tcp, "a probe asks either `http` or `tcp`");
            found.push(
                one.label("this")
                    .also(http, "or this")
                    .help("keep one: an answer over HTTP needs the port anyway"),
            );
            valid::Check::Tcp
        }
        (None, Some(false)) => {
            let one = contradiction(policies::at(&options.tcp, options.head), "this probe asks nothing");
            found.push(
                one.label("the only check, switched off")
                    .help("write `http: /healthz`, or `none` in place of the map"),
            );
            valid::Check::None
        }
        (None, _) => valid::Check::Tcp,
    }
}
