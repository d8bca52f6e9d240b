//! The manifest as typed: every key with its form, nothing yet checked against anything else.
//!
//! These declarations are the one source of the decoder, of the keys that it knows, and of the
//! JSON Schema; the doc of each key is what an editor shows.

pub(crate) mod decode;
mod macros;
mod policies;
mod scalars;
mod shapes;
mod short;
mod split;
mod telemetry;
mod zones;

pub(crate) use decode::{At, Cx, Field, Keys, Typed};
pub(crate) use macros::keys;
pub(crate) use policies::*;
pub(crate) use scalars::*;
pub(crate) use shapes::{List, Map, NamedOrListed, OneOrMany, OrNone};
pub(crate) use short::{Balance, Concurrency, External, Hedge, Limit, Probe, Retries, Scale, SlowStart, Tls};
pub(crate) use split::{Amount, Destination, Side, Sticky, WHOLE, Weight};
pub(crate) use telemetry::*;
pub(crate) use zones::{ExternalPlace, InstancePlace, Overprovisioning, Place, Placed, ZoneName, zone_name};

keys! {
    /// A Colony manifest: services, what each may call, and the gateway in front of them.
    Manifest, "the manifest";
    /// Name of the system, for people: lower case letters, digits and dashes.
    "name" => name: Name = required,
    /// Environment variables whose values are secret and never printed, in addition to those whose
    /// names contain PASSWORD, PASSPHRASE, SECRET, TOKEN, API_KEY, PRIVATE_KEY or CREDENTIAL.
    "secrets" => secrets: OneOrMany<Variable>,
    /// The edge, where clients come in.
    "gateway" => gateway: Gateway,
    /// The parts of the system by name.
    "services" => services: Map<Service>,
    /// Systems outside the colony that services call, by name: a URL, a list of some, or a map with `url`.
    "externals" => externals: Map<External>,
    /// DNS server or servers that the names of externals are asked of. Default: those of /etc/resolv.conf.
    "resolver" => resolver: OneOrMany<Resolver>,
    /// Folder or folders with resource files (components, subscriptions and others, as Dapr has them) for the application API, from the manifest's folder. Default: none, and what is used is kept by Colony.
    "resources" => resources: OneOrMany<File>,
    /// File or files with a `Configuration` for the application API, as Dapr has it. Default: none.
    "configuration" => configuration: OneOrMany<File>,
    /// The zone that this node is in, such as `eu-1a`: instances whose `url` names the same get its requests first. Default: not known; `--zone` and COLONY_ZONE go before it.
    "zone" => zone: ZoneName,
    /// Spans and logs of the system: what is kept, how services hand theirs over, and where all of it is sent.
    "telemetry" => telemetry: Telemetry,
    /// What services and externals promise, by their names: objectives, from which error budgets and alerts follow. Default: nothing.
    "slo" => slo: Map<Objective>,
    /// Who is told of alerts. Default: nobody; `colony status` and the console show them.
    "alerts" => alerts: Alerts,
}

keys! {
    /// What a service promises to who calls it.
    Objective, "an objective";
    /// The share of the requests that are answered and not with a failure, such as `99.9%`. Default: nothing is promised.
    "availability" => availability: Percentage,
    /// How long how many of the requests take at most, such as `300ms at p99`. Default: nothing is promised.
    "latency" => latency: LatencyGoal,
    /// Over how long the promise is held, from 1h to 90d. Default 30d.
    "window" => window: Dur,
}

keys! {
    /// Who is told of alerts.
    Alerts, "`alerts`";
    /// An http or https URL that each alert is posted to as JSON, when it begins and when it is over.
    "webhook" => webhook: Webhook = required,
    /// Headers of these requests, such as one with a secret by which the receiver knows who posts. Default none.
    "headers" => headers: Map<AsWritten>,
}

keys! {
    /// The edge of the colony, where clients come in.
    Gateway, "the gateway";
    /// Where to listen: a port (on 127.0.0.1), `:PORT` (on every address) or `IP:PORT`. Default 127.0.0.1:8080.
    "listen" => listen: Listen,
    /// HTTPS: a map with `cert` and `key`, a list of such, or `dev` for a certificate of the development CA. Default: cleartext.
    "tls" => tls: Tls,
    /// What a client may do to the gateway.
    "limits" => limits: Limits,
    /// Which requests go where. Default, if there is exactly one service: everything to it.
    "routes" => routes: List<Route>,
}

keys! {
    /// A certificate and its private key, in PEM.
    TlsFiles, "a certificate";
    /// File of the certificate and those between it and its authority.
    "cert" => cert: File = required,
    /// File of its private key, not encrypted.
    "key" => key: File = required,
}

keys! {
    /// Bounds on what a client may send.
    Limits, "the gateway's limits";
    /// Largest head of a request, its first line and headers. Default 32KiB.
    "header-bytes" => header_bytes: Size,
    /// Most headers in a request. Default 100.
    "headers" => headers: Int<1, 10000>,
    /// Longest wait for a complete head, and for the next request of an idle connection. Default 15s.
    "header-timeout" => header_timeout: Dur,
    /// Longest silence inside a body, either way. Default 60s.
    "body-idle" => body_idle: Dur,
    /// Largest body of a request. Default none: unbounded.
    "body-bytes" => body_bytes: OrNone<Size>,
    /// Most connections at a time. Default 16384.
    "connections" => connections: Int<1, 1000000>,
}

keys! {
    /// Requests that match go to one service or external, through policies.
    Route, "a route";
    /// Path pattern: `*` or `{name}` for one segment, `/**` at the end for any rest. Default `/**`.
    "path" => path: Path,
    /// Host to match, `shop.example` or `*.shop.example`. Default: any.
    "host" => host: Host,
    /// Method or methods to match. Default: any.
    "methods" => methods: OneOrMany<Method>,
    /// Headers that must be there with exactly these values.
    "headers" => headers: Map<AsWritten>,
    /// Service or external that answers; or several with their shares, `{ catalog: 90%, catalog-v2: 10% }`.
    "to" => to: Destination = required,
    /// What keeps a user on one side of a split `to`: `cookie`, `client`, or a map. Default: nothing.
    "sticky" => sticky: Sticky,
    /// New path; a `/**` at its end stands for what the path's `/**` matched. Default: the path as it came.
    "rewrite" => rewrite: Path,
    ..policies: Policies,
}

keys! {
    /// A part of the system: started by Colony with `run`, or already running at `url`.
    Service, "a service";
    /// The command that starts an instance. It is told its port in `PORT`.
    "run" => run: Text,
    /// A command to run once before the first start.
    "build" => build: Text,
    /// Working directory, from the manifest's folder. Default: that folder.
    "dir" => dir: Text,
    /// Environment of its instances: texts, numbers or truth values by name.
    "env" => env: Map<AsWritten>,
    /// A fixed port. Default: Colony assigns one to each instance.
    "port" => port: Int<1, 65535>,
    /// Instances at start, or a map with `min` and `max`. Default 1.
    "scale" => scale: Scale,
    /// Time to end in peace, from SIGTERM to SIGKILL. Default 10s.
    "grace" => grace: DurOrZero,
    /// Where it runs already, instead of `run`: a URL, or a list with one for each instance; a map with `url` and `zone` says in which zone.
    "url" => url: OneOrMany<Placed<InstanceUrl>>,
    /// Whether an instance may get requests: a path, `tcp`, `none`, or a map. Default `tcp`.
    "ready" => ready: Probe,
    /// Whether an instance must be replaced: a path, `tcp`, `none`, or a map. Default `none`.
    "live" => live: Probe,
    /// What its instances speak: `http1`, `http2` or `grpc`. Default `http1`.
    "protocol" => protocol: Protocol,
    /// Whether each of its instances gets the application API, at DAPR_HTTP_PORT and DAPR_GRPC_PORT. Default true.
    "api" => api: Bool,
    /// Most requests in flight at a time, whoever calls: a number, `adaptive`, `none`, or a map. Default none: any number.
    "concurrency" => concurrency: OrNone<Concurrency>,
    /// Services to start before it, beside those that it calls.
    "after" => after: OneOrMany<Name>,
    /// Services and externals that it may call: a map from name to policies, or a list of names.
    "calls" => calls: NamedOrListed<Call>,
}

keys! {
    /// A call that a service may make.
    Call, "a call";
    /// Whether the service called starts first. Default true.
    "wait" => wait: Bool,
    /// Who answers: another service or external, or several with their shares. Default: the one that the call is named for.
    "to" => to: Destination,
    /// What keeps a user on one side of a split `to`: a map with `header` or `segment`. Default: nothing.
    "sticky" => sticky: Sticky,
    ..policies: Policies,
}

keys! {
    /// What one side of a split gets.
    SideOptions, "a side";
    /// Its share: percentages of all sides add up to 100%, whole numbers are weighed against each other. Default 0.
    "weight" => weight: Weight,
    /// Headers that send a request here whatever the shares: a map, all of which must be there with these values, or a list of such.
    "when" => when: OneOrMany<Map<AsWritten>>,
}

keys! {
    /// How to ask an instance how it is.
    ProbeOptions, "a probe";
    /// `GET` of this path must answer 2xx or 3xx.
    "http" => http: ProbePath,
    /// The port must accept a connection.
    "tcp" => tcp: Bool,
    /// Time between two probes. Default 1s for `ready`, 5s for `live`.
    "every" => every: Dur,
    /// Longest wait for the answer. Default 1s.
    "timeout" => timeout: Dur,
    /// Failures in a row that count. Default 3.
    "failures" => failures: Int<1, 1000>,
    /// Longest time from start to the first success. Default 60s.
    "within" => within: Dur,
}

keys! {
    /// How many instances.
    ScaleOptions, "`scale`";
    /// Instances at start. Default 1.
    "min" => min: Int<1, 1024>,
    /// Most instances that `colony scale` may ask for. Default 16, or `min` if that is more.
    "max" => max: Int<1, 1024>,
}

keys! {
    /// A system outside the colony.
    ExternalOptions, "an external";
    /// Where it is: an http or https URL, with a path prefix if need be, or a list of some, which share the load; a map with `url` and `zone` says in which zone.
    "url" => url: OneOrMany<Placed<AnyUrl>> = required,
    /// What it speaks: `http1`, `http2` or `grpc`. Default `http1`.
    "protocol" => protocol: Protocol,
    /// Most requests in flight at a time, whoever calls: a number, `adaptive`, `none`, or a map. Default none: any number.
    "concurrency" => concurrency: OrNone<Concurrency>,
}

/// The parts of the manifest that have this key, for someone who wrote it in the wrong place.
pub(crate) fn homes(key: &str) -> Vec<&'static str> {
    let mut homes = Vec::new();
    let mut look = |what: &'static str, keys: fn(&mut Vec<&'static str>)| {
        let mut known = Vec::new();
        keys(&mut known);
        if known.contains(&key) {
            homes.push(what);
        }
    };
    look(Manifest::WHAT, Manifest::keys);
    look(Objective::WHAT, Objective::keys);
    look(Alerts::WHAT, Alerts::keys);
    look(Gateway::WHAT, Gateway::keys);
    look(Limits::WHAT, Limits::keys);
    look(Route::WHAT, Route::keys);
    look(Service::WHAT, Service::keys);
    look(Call::WHAT, Call::keys);
    look(SideOptions::WHAT, SideOptions::keys);
    look(InstancePlace::WHAT, InstancePlace::keys);
    look(ExternalPlace::WHAT, ExternalPlace::keys);
    look(ZoneOptions::WHAT, ZoneOptions::keys);
    look(BalanceOptions::WHAT, BalanceOptions::keys);
    look(SlowStartOptions::WHAT, SlowStartOptions::keys);
    look(ConcurrencyOptions::WHAT, ConcurrencyOptions::keys);
    look(LimitOptions::WHAT, LimitOptions::keys);
    look(Shares::WHAT, Shares::keys);
    look(RetryOptions::WHAT, RetryOptions::keys);
    look(Breaker::WHAT, Breaker::keys);
    look(Ejection::WHAT, Ejection::keys);
    look(Fallback::WHAT, Fallback::keys);
    look(ProbeOptions::WHAT, ProbeOptions::keys);
    look(ScaleOptions::WHAT, ScaleOptions::keys);
    look(Telemetry::WHAT, Telemetry::keys);
    look(WindowOptions::WHAT, WindowOptions::keys);
    look(OtlpListeners::WHAT, OtlpListeners::keys);
    look(Export::WHAT, Export::keys);
    look(ExportOtlp::WHAT, ExportOtlp::keys);
    homes
}
