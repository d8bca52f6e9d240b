//! What differs between two manifests, in words, for people who reloaded one.
//!
//! Each part is written out as lines of `key` and `value` in the manifest's own forms; two parts
//! differ where their lines do. So nothing that differs can be forgotten here without being
//! forgotten there, in the one place that spells a part out.

mod policies;
mod telemetry;

pub(crate) use policies::put_policies;
use policies::{put_breaker, put_ejection, show_concurrency, show_hash_key};

use std::collections::{BTreeMap, BTreeSet};

use crate::http::show_path;
use crate::resolve::defaults;
use crate::units::{show_duration, show_percentage, show_size};
use crate::valid::{
    Alerts, Call, Check, Concurrency, External, Gateway, Manifest, Objective, Origin, Priority, Probe,
    Protocol, Route, Service, Source, Split, Tls,
};
use crate::yaml::clip;

/// Whether something came, went, or is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is still there, and differs.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Came, went or changed.
    pub kind: Kind,
    /// What it is about: "service catalog", "route GET /api/**", "gateway".
    pub what: String,
    /// What about it: "calls.payments.timeout 2s -> 1s". Empty if it came or went as a whole.
    pub detail: String,
}

/// What differs, part by part. Never contains a secret value.
pub fn diff(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let secrets: BTreeSet<&str> = old.secrets.iter().chain(&new.secrets).map(String::as_str).collect();
    let (old, new) = (parts(old, &secrets), parts(new, &secrets));
    let mut changes = Vec::new();
    for what in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        match (old.get(what), new.get(what)) {
            (Some(old), Some(new)) => changes.extend(lines(what, old, new, &secrets)),
            (None, Some(_)) => changes.push(whole(Kind::Added, what)),
            (Some(_), None) => changes.push(whole(Kind::Removed, what)),
            (None, None) => {}
        }
    }
    changes
}

/// A part's keys and values.
pub(crate) type Lines = BTreeMap<String, String>;

fn whole(kind: Kind, what: &str) -> Change {
    Change { kind, what: what.to_owned(), detail: String::new() }
}

fn lines(what: &str, old: &Lines, new: &Lines, secrets: &BTreeSet<&str>) -> Vec<Change> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = |key: &str| old.get(key) != new.get(key);
    // What came or went as a whole is told in one line.
    let with_its_whole = |key: &str| {
        let one_sided = old.contains_key(key) != new.contains_key(key);
        one_sided && key.match_indices('.').any(|(dot, _)| differs(&key[..dot]))
    };
    let runs_anew = old.contains_key("run") != new.contains_key("run");
    let by_default = |key: &str| runs_anew && is_run_default(key, old.get(key).or(new.get(key)));
    let differing = keys.into_iter().filter(|key| differs(key) && !with_its_whole(key) && !by_default(key));
    let hidden = |value: Option<&String>| value.is_some_and(|value| holds_secret(value, secrets));
    let details = differing.map(|key| match (old.get(key), new.get(key)) {
        (was, is) if hidden(was) || hidden(is) => format!("{key} changed (secret)"),
        (Some(_), Some(_)) => format!("{key} {} -> {}", clip(&shown(key, old)), clip(&shown(key, new))),
        (None, Some(new)) if new == DECLARED => format!("{key} added"),
        (Some(old), None) if old == DECLARED => format!("{key} removed"),
        (None, Some(new)) => format!("{key} added: {}", clip(new)),
        (Some(old), None) => format!("{key} removed, was {}", clip(old)),
        (None, None) => key.clone(),
    });
    details.map(|detail| Change { kind: Kind::Changed, what: what.to_owned(), detail }).collect()
}

/// What every service has that is started by Colony and says nothing else.
fn is_run_default(key: &str, value: Option<&String>) -> bool {
    let default = match key {
        "dir" => ".".to_owned(),
        "grace" => show_duration(defaults::GRACE),
        "scale.min" => "1".to_owned(),
        "scale.max" => defaults::SCALE_MAX.to_string(),
        _ => return false,
    };
    value == Some(&default)
}

/// A value for people; of a policy that is on, how it differs from the default one.
fn shown(key: &str, lines: &Lines) -> String {
    let value = lines.get(key).cloned().unwrap_or_default();
    if value != ON {
        return value;
    }
    let policy = key.rsplit('.').next().unwrap_or(key);
    let default = default_policies();
    let own = lines.iter().filter_map(|(one, value)| Some((one.strip_prefix(key)?, value)));
    let own = own.filter(|(option, value)| {
        option.starts_with('.') && default.get(&format!("{policy}{option}")) != Some(value)
    });
    let own: Vec<String> = own.map(|(option, value)| format!("{}: {value}", &option[1..])).collect();
    if own.is_empty() { "default".to_owned() } else { format!("{{ {} }}", own.join(", ")) }
}

fn default_policies() -> Lines {
    let mut lines = Lines::new();
    put_breaker(&mut lines, &defaults::breaker());
    put_ejection(&mut lines, &defaults::ejection());
    lines
}

pub(crate) fn holds_secret(text: &str, secrets: &BTreeSet<&str>) -> bool {
    secrets.iter().any(|secret| text.contains(secret))
}

fn parts(manifest: &Manifest, secrets: &BTreeSet<&str>) -> BTreeMap<String, Lines> {
    let mut parts = BTreeMap::new();
    parts.insert("system".to_owned(), system_lines(manifest));
    if let Some(gateway) = &manifest.gateway {
        parts.insert("gateway".to_owned(), gateway_lines(gateway));
        for route in &gateway.routes {
            parts.insert(format!("route {}", route_name(route, secrets)), route_lines(route));
        }
    }
    for (name, service) in &manifest.services {
        parts.insert(format!("service {name}"), service_lines(service));
    }
    parts.insert("telemetry".to_owned(), telemetry::telemetry_lines(&manifest.telemetry));
    for (name, external) in &manifest.externals {
        parts.insert(format!("external {name}"), external_lines(external));
    }
    for (name, objective) in &manifest.slo {
        parts.insert(format!("slo {name}"), objective_lines(objective));
    }
    if let Some(alerts) = &manifest.alerts {
        parts.insert("alerts".to_owned(), alert_lines(alerts));
    }
    parts
}

fn system_lines(manifest: &Manifest) -> Lines {
    let mut lines = table([("name", manifest.name.clone())]);
    if !manifest.resolver.is_empty() {
        let servers: Vec<String> = manifest.resolver.iter().map(ToString::to_string).collect();
        lines.insert("resolver".to_owned(), servers.join(", "));
    }
    for (key, paths) in [("resources", &manifest.resources), ("configuration", &manifest.configuration)] {
        if !paths.is_empty() {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            lines.insert(key.to_owned(), paths.join(", "));
        }
    }
    lines.extend(manifest.zone.clone().map(|zone| ("zone".to_owned(), zone)));
    lines
}

fn objective_lines(objective: &Objective) -> Lines {
    let mut lines = table([("window", show_duration(objective.window))]);
    lines.extend(objective.availability.map(|share| ("availability".to_owned(), show_percentage(share))));
    let latency = objective.latency.map(|(within, share)| {
        let quantile = show_percentage(share);
        ("latency".to_owned(), format!("{} at p{}", show_duration(within), quantile.trim_end_matches('%')))
    });
    lines.extend(latency);
    lines
}

fn alert_lines(alerts: &Alerts) -> Lines {
    let mut lines = table([("webhook", alerts.webhook.clone())]);
    lines.extend(alerts.headers.iter().map(|(name, value)| (format!("headers.{name}"), value.clone())));
    lines
}

/// What a route matches: "GET shop.example/api/** x-beta: yes".
pub(crate) fn route_name(route: &Route, secrets: &BTreeSet<&str>) -> String {
    let mut name = route.methods.join(",");
    if !name.is_empty() {
        name.push(' ');
    }
    name += route.host.as_deref().unwrap_or_default();
    name += &show_path(&route.path);
    for (header, value) in &route.headers {
        let value = if holds_secret(value, secrets) { "(secret)" } else { value };
        name += &format!(" {header}: {value}");
    }
    name
}

fn gateway_lines(gateway: &Gateway) -> Lines {
    let limits = &gateway.limits;
    let body_bytes = limits.body_bytes.map_or_else(none, show_size);
    let mut lines = table([
        ("listen", gateway.listen.to_string()),
        ("limits.header-bytes", show_size(limits.header_bytes as u64)),
        ("limits.headers", limits.headers.to_string()),
        ("limits.header-timeout", show_duration(limits.header_timeout)),
        ("limits.body-idle", show_duration(limits.body_idle)),
        ("limits.body-bytes", body_bytes),
        ("limits.connections", limits.connections.to_string()),
    ]);
    lines.extend(gateway.tls.as_ref().map(|tls| ("tls".to_owned(), show_tls(tls))));
    lines
}

fn show_tls(tls: &Tls) -> String {
    match tls {
        Tls::Dev => "dev".to_owned(),
        Tls::Files(files) => {
            let pairs = files.iter().map(|pair| format!("{} ({})", pair.cert.display(), pair.key.display()));
            pairs.collect::<Vec<_>>().join(", ")
        }
    }
}

fn route_lines(route: &Route) -> Lines {
    let mut lines = Lines::new();
    put_answers(&mut lines, "", &route.to, route.split.as_ref());
    if let Some(rewrite) = &route.rewrite {
        lines.insert("rewrite".to_owned(), show_path(rewrite));
    }
    put_policies(&mut lines, "", &route.policies, &route.limits);
    lines
}

fn put_answers(lines: &mut Lines, prefix: &str, to: &str, split: Option<&Split>) {
    lines.insert(format!("{prefix}to"), split.map_or_else(|| to.to_owned(), Split::to_string));
    if let Some(sticky) = split.and_then(|split| split.sticky.as_ref()) {
        lines.insert(format!("{prefix}sticky"), show_hash_key(sticky));
    }
}

fn service_lines(service: &Service) -> Lines {
    let mut lines = table([
        ("protocol", show_protocol(service.protocol)),
        ("concurrency", service.concurrency.as_ref().map_or_else(none, show_shared)),
    ]);
    match &service.source {
        Source::Url { authorities, zones } => {
            let urls = authorities.iter().map(|url| in_zone(url.clone(), zones.get(url)));
            lines.insert("url".to_owned(), urls.collect::<Vec<_>>().join(", "));
        }
        Source::Run(run) => {
            lines.extend(table([
                ("run", run.command.clone()),
                ("dir", run.dir.display().to_string()),
                ("scale.min", run.min.to_string()),
                ("scale.max", run.max.to_string()),
                ("grace", show_duration(run.grace)),
            ]));
            lines.extend(run.build.clone().map(|build| ("build".to_owned(), build)));
            lines.extend(run.port.map(|port| ("port".to_owned(), port.to_string())));
            if !run.api {
                lines.insert("api".to_owned(), "false".to_owned());
            }
            lines.extend(run.env.iter().map(|(name, value)| (format!("env.{name}"), value.clone())));
        }
    }
    if !service.after.is_empty() {
        lines.insert("after".to_owned(), service.after.join(", "));
    }
    put_probe(&mut lines, "ready", &service.ready);
    if let Some(live) = &service.live {
        put_probe(&mut lines, "live", live);
    }
    for (name, call) in &service.calls {
        put_call(&mut lines, name, call);
    }
    lines
}

fn external_lines(external: &External) -> Lines {
    let urls: Vec<String> = external.origins.iter().map(|origin| show_origin(external, origin)).collect();
    table([
        ("url", urls.join(", ")),
        ("protocol", show_protocol(external.protocol)),
        ("concurrency", external.concurrency.as_ref().map_or_else(none, show_shared)),
    ])
}

fn show_origin(external: &External, origin: &Origin) -> String {
    let scheme = if external.tls { "https" } else { "http" };
    let url = match &origin.srv {
        Some(name) => format!("{scheme}+srv://{name}{}", external.prefix),
        None => format!("{scheme}://{}:{}{}", origin.host, origin.port, external.prefix),
    };
    in_zone(url, origin.zone.as_ref())
}

fn in_zone(url: String, zone: Option<&String>) -> String {
    zone.map_or(url.clone(), |zone| format!("{url} in {zone}"))
}

fn put_probe(lines: &mut Lines, key: &str, probe: &Probe) {
    let check = match &probe.check {
        Check::Http(path) => path.clone(),
        Check::Tcp => "tcp".to_owned(),
        Check::None => none(),
    };
    lines.insert(key.to_owned(), check);
    let options = table([
        ("every", show_duration(probe.every)),
        ("timeout", show_duration(probe.timeout)),
        ("failures", probe.failures.to_string()),
        ("within", show_duration(probe.within)),
    ]);
    put(lines, &format!("{key}."), options);
}

fn put_call(lines: &mut Lines, name: &str, call: &Call) {
    lines.insert(format!("calls.{name}"), DECLARED.to_owned());
    if call.split.is_some() || call.to != *name {
        put_answers(lines, &format!("calls.{name}."), &call.to, call.split.as_ref());
    }
    put_policies(lines, &format!("calls.{name}."), &call.policies, &call.limits);
}

/// A limit that all calls share.
pub(crate) fn show_shared(concurrency: &Concurrency) -> String {
    show_concurrency(concurrency, defaults::shares(Priority::Normal))
}

fn show_protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Http1 => "http1".to_owned(),
        Protocol::Http2 => "http2".to_owned(),
        Protocol::Grpc => "grpc".to_owned(),
    }
}

fn none() -> String {
    "none".to_owned()
}

fn table<const N: usize>(rows: [(&str, String); N]) -> Lines {
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn put(lines: &mut Lines, prefix: &str, own: Lines) {
    lines.extend(own.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
}

/// The value of a policy that is on, whose options have keys of their own.
pub(crate) const ON: &str = "on";
/// The value of what is there or not.
const DECLARED: &str = "declared";
