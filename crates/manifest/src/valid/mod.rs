//! The manifest as valid: every reference resolved, every default filled in, nothing left to doubt.
//!
//! [`crate::check`] is the only way to make one, so whoever holds a [`Manifest`] may rely on the
//! invariants written on each field.

mod policies;
mod telemetry;

pub use policies::*;
pub use telemetry::*;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::units::show_percentage;

/// A valid manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Name of the system, for people.
    pub name: String,
    /// The folder that relative paths start from: where the manifest lies.
    pub root: PathBuf,
    /// The edge. None: no gateway is served.
    pub gateway: Option<Gateway>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Systems outside the colony by name. Shares one name space with `services`.
    pub externals: BTreeMap<String, External>,
    /// DNS servers that the names of externals are asked of. Empty, the default: those of the machine.
    pub resolver: Vec<std::net::SocketAddr>,
    /// Folders with resource files for the application API, absolute or relative to `root`.
    pub resources: Vec<PathBuf>,
    /// Files that configure it, likewise.
    pub configuration: Vec<PathBuf>,
    /// The zone that this node is in: the one that it was started with, or the manifest's. Default none: not known.
    pub zone: Option<String>,
    /// What is kept of what the system does, and where it is sent.
    pub telemetry: Telemetry,
    /// What services and externals promise, by their names; always declared. Default: nothing.
    pub slo: BTreeMap<String, Objective>,
    /// Who is told of alerts. None: nobody.
    pub alerts: Option<Alerts>,
    /// Service names in an order in which every service comes after those it waits for.
    pub start_order: Vec<String>,
    /// Values that came from secret variables: never to be printed.
    pub secrets: Vec<String>,
}

/// What a service promises to who calls it: at least one of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The share of requests, below 1, that do not fail.
    pub availability: Option<f64>,
    /// The share of requests, below 1, that take no longer than this.
    pub latency: Option<(Duration, f64)>,
    /// Over how long, from an hour to 90 days. Default 30 days.
    pub window: Duration,
}

/// Who is told of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// An http or https URL.
    pub webhook: String,
    /// Headers of what is posted there, names lower case.
    pub headers: Vec<(String, String)>,
}

/// The edge of the colony.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Address to listen on, `IP:PORT`.
    pub listen: std::net::SocketAddr,
    /// How it speaks TLS with clients. None: cleartext.
    pub tls: Option<Tls>,
    /// What a client may do to the gateway.
    pub limits: Limits,
    /// Routes in the order in which they are tried: most specific first (see `docs/manifest.md`).
    pub routes: Vec<Route>,
}

/// Where the gateway's certificates come from. Whether the files are there, and right, is for the
/// caller to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Signed by the development CA of whoever runs it.
    Dev,
    /// Files, at least one pair; the first is for clients whose host no certificate names.
    Files(Vec<TlsFiles>),
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, absolute or relative to [`Manifest::root`].
    pub cert: PathBuf,
    /// The private key, likewise.
    pub key: PathBuf,
}

/// Bounds on what a peer may send.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest head (request line and headers) in bytes. Default 32 KiB.
    pub header_bytes: usize,
    /// Most headers in a request. Default 100.
    pub headers: usize,
    /// Longest wait for a complete head, and for the next request of an idle connection. Default 15 s.
    pub header_timeout: Duration,
    /// Longest silence inside a body, either way. Default 60 s. Applies neither to answers that
    /// stream (server-sent events) nor to upgraded connections.
    pub body_idle: Duration,
    /// Largest request body in bytes; None: unbounded. Default none.
    pub body_bytes: Option<u64>,
    /// Most connections at a time. Default 16,384.
    pub connections: usize,
}

/// One route of the gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Host to match, lower case; a leading `*.` matches any one or more labels. None: any host.
    pub host: Option<String>,
    /// Path pattern.
    pub path: PathPattern,
    /// Methods to match, upper case; empty: any.
    pub methods: Vec<String>,
    /// Headers that must be there with exactly this value, names lower case.
    pub headers: Vec<(String, String)>,
    /// Service or external that answers; always declared. The first of several.
    pub to: String,
    /// All that share its requests, if there are several.
    pub split: Option<Split>,
    /// New path: a literal, or ending in `/**`, which stands for what the pattern's `**` matched.
    pub rewrite: Option<PathPattern>,
    /// Rate limits, all of which a request must pass.
    pub limits: Vec<RateLimit>,
    /// Policies between the gateway and `to`.
    pub policies: CallPolicies,
    /// Which of the routes it is as they are written, from 0. None: it is not written, but served by default.
    pub written: Option<usize>,
}

/// A path pattern: segments, some of which are wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// Segments between slashes: literal text, or `*` / `{name}` for exactly one segment.
    pub segments: Vec<Segment>,
    /// Ends in `/**`: matches any rest, also none.
    pub rest: bool,
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this text.
    Literal(String),
    /// Any one segment that is not empty.
    Any,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Where its instances come from.
    pub source: Source,
    /// What it may call, by service or external name; always declared.
    pub calls: BTreeMap<String, Call>,
    /// Services to start before it, from `after` and from `calls` that wait.
    pub after: Vec<String>,
    /// Whether an instance may get requests.
    pub ready: Probe,
    /// Whether an instance must be replaced. None: only its exit counts.
    pub live: Option<Probe>,
    /// The protocol its instances speak.
    pub protocol: Protocol,
    /// Most requests in flight, whoever calls. Default none: any number.
    pub concurrency: Option<Concurrency>,
}

/// Where a service's instances come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Started by the colony.
    Run(Run),
    /// Runs already, at these addresses (`host:port`), cleartext HTTP.
    Url {
        /// `host:port` of each instance, at least one.
        authorities: Vec<String>,
        /// The zones of those of them that name one.
        zones: BTreeMap<String, String>,
    },
}

/// How to start a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The command, a shell-like line.
    pub command: String,
    /// A command to run once before the first start; equal lines are run once for all services.
    pub build: Option<String>,
    /// Working directory, absolute or relative to [`Manifest::root`].
    pub dir: PathBuf,
    /// Environment in addition to Colony's own.
    pub env: BTreeMap<String, String>,
    /// A fixed port; None: Colony assigns one to each instance.
    pub port: Option<u16>,
    /// Instances at start. At least 1.
    pub min: u32,
    /// Most instances that `colony scale` may ask for. At least `min`.
    pub max: u32,
    /// From SIGTERM to SIGKILL. Default 10 s.
    pub grace: Duration,
    /// Whether each instance gets the application API. Default true.
    pub api: bool,
}

/// How to ask an instance how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What to ask.
    pub check: Check,
    /// Time between two probes. Default 1 s for `ready` (much shorter until first ready), 5 s for `live`.
    pub every: Duration,
    /// Longest wait for the answer. Default 1 s.
    pub timeout: Duration,
    /// Failures in a row that count. Default 3.
    pub failures: u32,
    /// Longest time from start to first success. Default 60 s.
    pub within: Duration,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// `GET` of this path answers 2xx or 3xx.
    Http(String),
    /// The port accepts a connection.
    Tcp,
    /// Nothing: healthy as soon as it runs.
    None,
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge (over TLS: by ALPN).
    Http2,
    /// The same, and whoever calls an application through the application API calls a method of gRPC.
    Grpc,
}

/// A system outside the colony.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    /// `true` for `https`.
    pub tls: bool,
    /// Where it is, at least one place; all of them share the load.
    pub origins: Vec<Origin>,
    /// Path prefix without a trailing slash; may be empty.
    pub prefix: String,
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// Most requests in flight, whoever calls. Default none: any number.
    pub concurrency: Option<Concurrency>,
}

/// One place where a system outside is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Host name or address that requests are for.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The name whose SRV records say where the instances are. None: they are at the addresses of `host`.
    pub srv: Option<String>,
    /// The zone that it is in. None: not known.
    pub zone: Option<String>,
}

impl Manifest {
    /// The zone of each place where a service or an external is, as far as it is known. Empty: of none, as of
    /// what Colony starts, all of which is where the node is.
    pub fn zones(&self, name: &str) -> Vec<Option<&str>> {
        let zones: Vec<Option<&str>> = match (self.services.get(name), self.externals.get(name)) {
            (Some(Service { source: Source::Url { authorities, zones }, .. }), _) => {
                authorities.iter().map(|authority| zones.get(authority).map(String::as_str)).collect()
            }
            (_, Some(external)) => external.origins.iter().map(|origin| origin.zone.as_deref()).collect(),
            _ => Vec::new(),
        };
        if zones.iter().any(Option::is_some) { zones } else { Vec::new() }
    }
}

/// Several that share the requests of a route or a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Two at least, as written; not all of weight zero.
    pub sides: Vec<Side>,
    /// What keeps a user on one side. None: nothing does.
    pub sticky: Option<HashKey>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Service or external; always declared.
    pub to: String,
    /// Its weight among all.
    pub weight: u64,
    /// Headers, names lower case, with values that send a request here whatever the weights; any of
    /// the lists.
    pub when: Vec<Vec<(String, String)>>,
}

/// `catalog 90%, catalog-v2 10% (x-beta: yes)`.
impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers = |all: &Vec<(String, String)>| {
            all.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(" and ")
        };
        for (at, side) in self.sides.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            write!(f, "{between}{} {}", side.to, show_percentage(self.share(side.weight)))?;
            if !side.when.is_empty() {
                let when: Vec<String> = side.when.iter().map(headers).collect();
                write!(f, " ({})", when.join(", or "))?;
            }
        }
        Ok(())
    }
}

/// Everyone who answers, `to` alone where there is no split.
fn answering<'a>(to: &'a str, split: Option<&'a Split>) -> Vec<&'a str> {
    split.map_or_else(|| vec![to], |split| split.sides.iter().map(|side| side.to.as_str()).collect())
}

impl Route {
    /// Everyone who answers.
    pub fn answering(&self) -> Vec<&str> {
        answering(&self.to, self.split.as_ref())
    }
}

impl Call {
    /// Everyone who answers.
    pub fn answering(&self) -> Vec<&str> {
        answering(&self.to, self.split.as_ref())
    }
}

impl Split {
    /// The part of the requests that a weight stands for, 0 to 1.
    pub fn share(&self, weight: u64) -> f64 {
        weight as f64 / self.sides.iter().map(|side| side.weight).sum::<u64>() as f64
    }
}

/// A declared call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Service or external that answers; always declared. The first of several.
    pub to: String,
    /// All that share its requests, if there are several.
    pub split: Option<Split>,
    /// Policies of the call.
    pub policies: CallPolicies,
    /// Rate limits, all of which a request must pass.
    pub limits: Vec<RateLimit>,
}
