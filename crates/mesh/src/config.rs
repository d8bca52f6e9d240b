//! What the data plane is to do, already valid: the binary lowers the manifest into this.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certs::Certificate;
use policy::{
    BalanceConfig, BreakerConfig, BudgetConfig, Class, EjectionConfig, Gcra, GradientConfig, HedgeConfig,
    RetryConfig, Shares, SlowStart, ZonePreference,
};
use tokio_rustls::rustls::ServerConfig;

use crate::client::tls;

/// Everything the data plane serves.
///
/// Every upstream that a listener's calls name must be in `upstreams`, also those named by a
/// fallback; [`crate::Mesh::apply`] refuses a configuration that breaks this.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Listeners by name; a listener of the same name and address survives a reload untouched.
    pub listeners: BTreeMap<String, Listener>,
    /// Where requests can go, by the name of the service or external.
    pub upstreams: BTreeMap<String, Upstream>,
}

/// One listening address.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Address; port 0 takes a free one, which [`crate::Mesh::address`] then tells.
    pub bind: SocketAddr,
    /// TLS with its clients. None: cleartext.
    pub tls: Option<Tls>,
    /// What a peer may do.
    pub limits: Limits,
    /// Where requests go.
    pub role: Role,
}

/// TLS with clients: versions 1.2 and 1.3, HTTP/2 or HTTP/1.1 as they agree by ALPN.
#[derive(Clone, Debug)]
pub struct Tls {
    certificates: Vec<Certificate>,
    pub(crate) server: Arc<ServerConfig>,
}

impl Tls {
    /// With these certificates, of which each client is shown the one for the name that it asks for, or
    /// else the first.
    ///
    /// # Errors
    /// A sentence, if there are none.
    pub fn new(certificates: Vec<Certificate>) -> Result<Tls, String> {
        let server = tls::server_config(&certificates)?;
        Ok(Tls { certificates, server })
    }

    /// Its certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        self.certificates == other.certificates
    }
}

/// What a listener is for.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one a listener, made when a manifest is applied")]
pub enum Role {
    /// The edge: the first route that matches answers.
    Gateway {
        /// Routes in the order in which they are tried.
        routes: Vec<Route>,
    },
    /// A declared call of a service: everything goes to one upstream.
    Call {
        /// The service that calls.
        caller: String,
        /// The call.
        call: Call,
    },
    /// A service's way to any of its declared calls, chosen by host name, as an HTTP proxy would.
    Sidecar {
        /// The service that calls.
        caller: String,
        /// Its declared calls by the callee's name.
        calls: BTreeMap<String, Call>,
        /// All names that exist, to tell an undeclared call from an unknown one.
        known: Vec<String>,
    },
}

/// Bounds on what a peer may send.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest head in bytes. At least 8 KiB (hyper's own floor).
    pub header_bytes: usize,
    /// Most headers in a request.
    pub headers: usize,
    /// Longest wait for a complete head, and for the next request of an idle connection.
    pub header_timeout: Duration,
    /// Longest silence inside a body, either way; not for event streams and upgrades.
    pub body_idle: Duration,
    /// Largest request body in bytes. None: unbounded.
    pub body_bytes: Option<u64>,
    /// Most connections at a time, over all cores; further ones are closed at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_bytes: 32 << 10,
            headers: 100,
            header_timeout: Duration::from_secs(15),
            body_idle: Duration::from_secs(60),
            body_bytes: None,
            connections: 16 << 10,
        }
    }
}

/// One route of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// What a request must look like.
    pub matcher: Matcher,
    /// New path. None: unchanged.
    pub rewrite: Option<Pattern>,
    /// Where it goes, and how.
    pub call: Call,
}

/// How several calls share the requests of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What stays with the call itself.
    pub first: Part,
    /// What the others get: each a call with state of its own, and without a split of its own.
    pub others: Vec<(Part, Call)>,
    /// What keeps a user on one side. None: nothing does, or for a request without it: chance.
    pub sticky: Option<HashKey>,
}

/// The part of the requests that one side gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its weight among those of all sides, at least one of which is above zero.
    pub weight: u64,
    /// Headers with exactly these values (names lower case) that send a request here whatever the
    /// weights; any of the lists, the first side that has one.
    pub when: Vec<Vec<(String, String)>>,
}

/// What a request must look like to take a route. All given parts must match.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    /// Host, lower case, without port; a leading `*.` matches one label or more. None: any.
    pub host: Option<String>,
    /// Path.
    pub path: Pattern,
    /// Methods, upper case; empty: any.
    pub methods: Vec<String>,
    /// Headers with exactly these values, names lower case.
    pub headers: Vec<(String, String)>,
}

/// A path pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Segments; None matches any one segment that is not empty.
    pub segments: Vec<Option<String>>,
    /// Matches any rest too, also none.
    pub rest: bool,
}

/// A call: an upstream and the policies on the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What status, metrics and errors call it, such as `checkout -> payments`. Unique; a call of
    /// the same id and policies keeps its breaker and counters over a reload.
    pub id: String,
    /// Name of the upstream.
    pub upstream: String,
    /// From the request to the answer's head, all tries and waits together. None: unbounded.
    pub timeout: Option<Duration>,
    /// The same for one try. None: only `timeout`.
    pub per_try: Option<Duration>,
    /// Whether each try says in `X-Request-Deadline` how much time it has. None: if it goes to a service,
    /// and not to an external.
    pub deadline_header: Option<bool>,
    /// How many requests may be in flight. None: any number.
    pub concurrency: Option<Concurrency>,
    /// The class of its requests, or a lower one that they ask for. None: what they ask for.
    pub priority: Option<Class>,
    /// Retries. None: off.
    pub retries: Option<Retries>,
    /// Hedges. None: off.
    pub hedge: Option<Hedge>,
    /// Circuit breaker. None: off.
    pub breaker: Option<BreakerConfig>,
    /// Outlier ejection. None: off.
    pub ejection: Option<EjectionConfig>,
    /// How an instance is chosen.
    pub balance: Balance,
    /// What to answer when the call fails. None: the failure.
    pub fallback: Option<Fallback>,
    /// Rate limits, all of which a request must pass. The sides of a split share those of the call.
    pub limits: Vec<RateLimit>,
    /// Others that get a part of its requests. None: they all stay.
    pub split: Option<Split>,
}

impl Call {
    /// It and the calls that it shares its requests with.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Call> {
        let others = self.split.iter().flat_map(|split| split.others.iter().map(|(_, call)| call));
        std::iter::once(self).chain(others)
    }

    /// It alone. Its state has nothing to do with what others get.
    pub(crate) fn alone(&self) -> Call {
        Call { split: None, ..self.clone() }
    }
}

impl Call {
    /// How much of a request's body is kept to be sent again, here or to who stands in. None: nothing is
    /// ever sent again.
    pub(crate) fn replay_bytes(&self) -> Option<usize> {
        let retries = self.retries.as_ref().map(|retries| retries.body_bytes);
        let tries = retries.max(self.hedge.map(|hedge| hedge.body_bytes));
        let elsewhere = matches!(self.fallback, Some(Fallback::Call(_)));
        tries.or(elsewhere.then_some(FALLBACK_BODY_BYTES))
    }
}

/// What is kept of a body for a fallback, where neither retries nor hedges say how much: as much as
/// retries would by default.
const FALLBACK_BODY_BYTES: usize = 64 << 10;

/// How many requests may be in flight at a time, over all cores, until the last byte of their answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concurrency {
    /// How many.
    pub limit: ConcurrencyLimit,
    /// How many more may wait for a place. Zero: who finds none is refused.
    pub queue: u32,
    /// How long each of them may wait.
    pub wait: Duration,
    /// How much of the limit each class may fill.
    pub shares: Shares,
}

/// How many requests may be in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConcurrencyLimit {
    /// So many. Zero lets nothing through.
    Fixed(u32),
    /// As many as the upstream's latency shows that it can take.
    Adaptive(GradientConfig),
}

/// How an instance is chosen for a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Balance {
    /// By which rule.
    pub policy: BalanceConfig,
    /// What a rule that hashes looks at. A request that has no such thing, and every request where this is
    /// None, is balanced as by default.
    pub key: Option<HashKey>,
    /// How a new instance starts. None: with its whole share.
    pub slow_start: Option<SlowStart>,
    /// How much the own zone is preferred. None: not at all.
    pub zone: Option<ZonePreference>,
}

/// The part of a request that decides to which instance it goes.
#[derive(Clone, Debug, PartialEq)]
pub enum HashKey {
    /// The first value of this header (lower case).
    Header(String),
    /// The value of a cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Whoever has none is given one that lasts so long; zero: until the browser ends. None: nobody
        /// is given one.
        ttl: Option<Duration>,
    },
    /// A segment of the path as the client sent it, by how many come before it.
    Segment(usize),
    /// The address of the client's connection.
    Client,
}

/// Hedges of a call, within the budget of its retries, or a default one where these are off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    /// When and how often.
    pub hedge: HedgeConfig,
    /// Largest request body kept for a hedge, bytes; one that is larger is sent once.
    pub body_bytes: usize,
}

/// Retries of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// When and how often.
    pub retry: RetryConfig,
    /// How many in all. Each core has the budget of its own requests.
    pub budget: BudgetConfig,
    /// Largest request body kept for a retry, bytes; a larger one is sent once.
    pub body_bytes: usize,
}

/// What answers in a failed call's stead.
#[derive(Clone, Debug, PartialEq)]
pub enum Fallback {
    /// This answer.
    Static {
        /// Status code, 200 to 599.
        status: u16,
        /// Body.
        body: String,
        /// `Content-Type`.
        content_type: String,
    },
    /// The same request through this call, whose own fallback must be None.
    Call(Box<Call>),
}

/// A rate limit.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    /// What errors and `RateLimit` call it: ASCII as in a manifest, without quotes and control characters.
    pub name: String,
    /// So many requests
    pub requests: u32,
    /// in each such time, whole seconds, at least one,
    pub per: Duration,
    /// of which so many may come at once.
    pub burst: u32,
    /// The same as it is decided by.
    pub gcra: Gcra,
    /// What has a bucket of its own.
    pub key: LimitKey,
    /// Who is over the limit is counted, and let in.
    pub shadow: bool,
    /// Answers tell of it, unless it is in the shadow.
    pub headers: bool,
}

/// What a rate limit counts apart.
#[derive(Clone, Debug, PartialEq)]
pub enum LimitKey {
    /// Everything together.
    All,
    /// Each client address; of IPv6 each network of 64 bits.
    Client,
    /// Each value of this header (lower case); requests without it share one bucket.
    Header(String),
    /// Each value of this cookie; likewise.
    Cookie(String),
    /// Each value of this segment of the path, counted from 1; likewise.
    Segment(u32),
}

/// Where requests can go.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// The protocol its instances speak.
    pub protocol: Protocol,
    /// Given for an external: its address. None: instances come by [`crate::Mesh::publish`].
    pub external: Option<External>,
    /// How many requests may be in flight, of all calls together. None: any number.
    pub concurrency: Option<Concurrency>,
    /// Where its instances are. None: nobody knows.
    pub zones: Option<Zones>,
}

/// The zones that the instances of an upstream are in.
#[derive(Clone, Debug, PartialEq)]
pub struct Zones {
    /// The one that requests come from: the node's. None: not known, so none is preferred.
    pub own: Option<String>,
    /// Where instances should be, by [`crate::Endpoint::place`]. None: in no zone that is known, so not in the
    /// own one.
    pub places: BTreeMap<String, Option<String>>,
    /// The zone of instances at no such place.
    pub otherwise: Option<String>,
}

impl Zones {
    /// The zone of an instance at this place.
    pub(crate) fn of(&self, place: &str) -> Option<&str> {
        self.places.get(place).unwrap_or(&self.otherwise).as_deref()
    }
}

/// A system outside the colony.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    /// Speak TLS.
    pub tls: bool,
    /// Where it is, at least one; the instances of all of them share the load.
    pub origins: Vec<Origin>,
    /// Put before every path; empty or `/x` without a trailing slash.
    pub prefix: String,
    /// DNS servers to ask. Empty: those of the machine.
    pub resolver: Vec<SocketAddr>,
}

/// One place where a system outside is.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Host name or address that requests are for, and that a certificate must name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The name whose SRV records say where the instances are. None: they are at the addresses of `host`.
    pub srv: Option<String>,
}

impl Origin {
    /// What it is in [`Zones::places`].
    pub fn place(&self) -> String {
        self.srv.clone().unwrap_or_else(|| format!("{}:{}", self.host, self.port))
    }
}

/// HTTP version spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, cleartext by prior knowledge, over TLS by ALPN.
    Http2,
}
