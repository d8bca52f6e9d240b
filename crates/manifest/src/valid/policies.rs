//! The policies of a route or a call, with every default filled in.

use std::time::Duration;

/// The policies of a call. `None` stands for a policy that was switched off with `none`.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPolicies {
    /// From the request to the answer's head, all tries and waits together. Default 10 s.
    pub timeout: Option<Duration>,
    /// The same for one try. Default none: `timeout` alone.
    pub per_try: Option<Duration>,
    /// Whether requests say how much time they have left. Default none: to services they do, to externals not.
    pub deadline_header: Option<bool>,
    /// Most requests in flight. Default none: any number.
    pub concurrency: Option<Concurrency>,
    /// Who goes first. Default of a route normal, of a call none: as the request on whose behalf it is made.
    pub priority: Option<Priority>,
    /// Retries. Default on.
    pub retries: Option<Retries>,
    /// Hedges. Default none.
    pub hedge: Option<Hedge>,
    /// Circuit breaker. Default on.
    pub breaker: Option<Breaker>,
    /// Outlier ejection. Default on.
    pub ejection: Option<Ejection>,
    /// How an instance is chosen. Default power of two choices on peak EWMA.
    pub balance: Balance,
    /// How much instances in the node's own zone are preferred, where zones are known. Default on.
    pub zone_preference: Option<ZonePreference>,
    /// How a new instance starts. Default none: with its whole share.
    pub slow_start: Option<SlowStart>,
    /// What to answer when the call fails. Default none.
    pub fallback: Option<Fallback>,
}

/// Most requests in flight at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Concurrency {
    /// How many.
    pub limit: ConcurrencyLimit,
    /// Requests that may wait for a place. Default 0.
    pub queue: u32,
    /// Longest wait for a place. Default 1 s.
    pub wait: Duration,
    /// How much of the limit each priority may fill.
    pub shares: Shares,
}

/// How much of a limit requests of each priority may fill, together with all others, 0 to 1: none more than
/// one above it, and critical ones all of it. The defaults are in `docs/manifest.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Of `low`.
    pub low: f64,
    /// Of `normal`.
    pub normal: f64,
    /// Of `high`.
    pub high: f64,
}

/// How much it matters that a request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Can be done without, or later.
    Low,
    /// What nothing is said of.
    Normal,
    /// Somebody waits for it.
    High,
    /// What the system is there for.
    Critical,
}

impl Priority {
    /// Each of them, the lowest first.
    pub const ALL: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }
}

/// How many requests may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyLimit {
    /// So many.
    Fixed(u32),
    /// Found out from latency, within these bounds: `min` is at most `max`.
    Adaptive {
        /// The least, and where it begins. Default 20.
        min: u32,
        /// The most. Default 200.
        max: u32,
    },
}

/// Retries of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// Tries after the first. Default 2.
    pub max: u32,
    /// First upper bound of the jittered wait. Default 25 ms; doubles each time.
    pub backoff: Duration,
    /// Largest upper bound of the wait. Default 1 s.
    pub backoff_max: Duration,
    /// Retries as a share of live requests, 0 to 1. Default 0.2.
    pub budget: f64,
    /// Retries a second that are always allowed. Default 10.
    pub budget_min: u32,
    /// Largest request body kept for a retry, bytes. Default 64 KiB.
    pub body_bytes: usize,
    /// How chance comes into the wait. Default full.
    pub jitter: Jitter,
    /// What to retry. Default all.
    pub on: Vec<Condition>,
    /// Statuses to retry. Default 502, 503, 504.
    pub statuses: Vec<u16>,
    /// Statuses of gRPC to retry, by number. Default none.
    pub grpc_statuses: Vec<u16>,
}

impl CallPolicies {
    /// The most retries of one request: none where nothing that can happen to it is retried.
    pub fn retries_most(&self) -> u32 {
        let some = |retries: &&Retries| {
            !retries.is_budget_empty() && retries.on.iter().any(|on| self.repeats(retries, *on))
        };
        self.retries.as_ref().filter(some).map_or(0, |retries| retries.max)
    }

    /// The most tries beside the first, which come out of the budget of retries.
    pub fn hedges_most(&self) -> u32 {
        let empty = self.retries.as_ref().is_some_and(Retries::is_budget_empty);
        self.hedge.filter(|_| !empty).map_or(0, |hedge| hedge.max)
    }

    /// Whether there can be such an end of a try with time and reason to try again.
    pub fn repeats(&self, retries: &Retries, on: Condition) -> bool {
        match on {
            Condition::ConnectFailure | Condition::Reset => true,
            Condition::Statuses => !retries.statuses.is_empty() || !retries.grpc_statuses.is_empty(),
            // Else a try that takes too long has used up the whole time.
            Condition::Timeout => {
                self.per_try.is_some_and(|per_try| self.timeout.is_none_or(|timeout| per_try < timeout))
            }
        }
    }
}

impl Retries {
    /// Whether there is never one.
    pub fn is_budget_empty(&self) -> bool {
        self.budget == 0.0 && self.budget_min == 0
    }
}

/// How chance comes into the wait before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// From nothing to a bound that doubles.
    Full,
    /// From `backoff` to three times the wait before.
    Decorrelated,
}

/// An end of a try that is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing was sent.
    ConnectFailure,
    /// The connection was lost after that.
    Reset,
    /// No answer in time.
    Timeout,
    /// An answer with one of the statuses.
    Statuses,
}

impl Condition {
    /// Each of them.
    pub const ALL: [Condition; 4] =
        [Condition::ConnectFailure, Condition::Reset, Condition::Timeout, Condition::Statuses];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Condition::ConnectFailure => "connect-failure",
            Condition::Reset => "reset",
            Condition::Timeout => "timeout",
            Condition::Statuses => "statuses",
        }
    }
}

/// The failures of gRPC by number and name.
pub const GRPC_STATUSES: [(u16, &str); 16] = [
    (1, "cancelled"),
    (2, "unknown"),
    (3, "invalid-argument"),
    (4, "deadline-exceeded"),
    (5, "not-found"),
    (6, "already-exists"),
    (7, "permission-denied"),
    (8, "resource-exhausted"),
    (9, "failed-precondition"),
    (10, "aborted"),
    (11, "out-of-range"),
    (12, "unimplemented"),
    (13, "internal"),
    (14, "unavailable"),
    (15, "data-loss"),
    (16, "unauthenticated"),
];

/// Hedges of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    /// The wait before a request is sent once more. Default the 95th percentile.
    pub after: HedgeAfter,
    /// Most of them beside the first try. Default 1.
    pub max: u32,
}

/// How long a request may take before it is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeAfter {
    /// As long as this share of the call's requests takes, 0.5 to 0.999.
    Quantile(f64),
    /// So long.
    Fixed(Duration),
}

/// Circuit breaker of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// Failures in a row that open it; 0: not counted. Default 0.
    pub failures: u32,
    /// Share of failures in `window` that opens it, 0 to 1; 0: not counted. Default 0.5.
    pub rate: f64,
    /// From when on a try counts as slow. Default none: slow ones don't count.
    pub slow: Option<Duration>,
    /// Share of slow tries in `window` that opens it, 0 to 1; 0: not counted. Default 0.5.
    pub slow_rate: f64,
    /// Window of `rate` and `slow_rate`. Default 10 s.
    pub window: Duration,
    /// Fewest tries in `window` for `rate` and `slow_rate` to count. Default 20.
    pub minimum: u32,
    /// Time open before probing. Default 5 s.
    pub open_for: Duration,
    /// Probes let through half-open, all of which must succeed. Default 1.
    pub probes: u32,
}

/// Outlier ejection of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Ejection {
    /// Failures in a row of one instance that eject it. Default 5.
    pub failures: u32,
    /// First ejection's length; grows with each. Default 10 s.
    pub base: Duration,
    /// Longest ejection. Default 5 min.
    pub max: Duration,
    /// Largest share of instances ejected at a time, 0 to 1; one may always be, if another is left. Default 0.5.
    pub ceiling: f64,
}

/// How an instance is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Of two picked by chance the one with the shorter expected wait.
    P2cEwma,
    /// One after the other.
    RoundRobin,
    /// By chance.
    Random,
    /// Of `choices` picked by chance the one with the fewest requests in flight.
    LeastRequest {
        /// How many are looked at. Default 2.
        choices: u32,
    },
    /// Consistent hashing on a ring.
    RingHash(HashKey),
    /// Consistent hashing by Maglev's table.
    Maglev(HashKey),
}

impl Balance {
    /// As it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Balance::P2cEwma => "p2c-ewma",
            Balance::RoundRobin => "round-robin",
            Balance::Random => "random",
            Balance::LeastRequest { .. } => "least-request",
            Balance::RingHash(_) => "ring-hash",
            Balance::Maglev(_) => "maglev",
        }
    }
}

/// The part of a request that decides to which instance it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// This header, lower case.
    Header(String),
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Whoever has none is given one for so long; zero: until the browser ends. Default none: nobody is.
        ttl: Option<Duration>,
    },
    /// The segment of the path that so many come before.
    Segment(usize),
    /// The client's address.
    Client,
}

/// How much instances in the node's own zone are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonePreference {
    /// Envoy's overprovisioning factor, in percent, at least 100: how many times its usual load an instance can
    /// bear. Default 140.
    pub percent: u32,
}

/// How a new instance starts.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowStart {
    /// For how long its share grows.
    pub window: Duration,
    /// How fast at first: 1 in proportion to time. Above zero. Default 1.
    pub aggression: f64,
    /// The share to begin with, 0 to 1. Default 0.1.
    pub min: f64,
}

/// What answers in a failed call's stead.
#[derive(Clone, Debug, PartialEq)]
pub enum Fallback {
    /// This answer.
    Static {
        /// Status code. Default 200.
        status: u16,
        /// Body text.
        body: String,
        /// `Content-Type`. Default: `application/json` if the body parses as JSON, else `text/plain; charset=utf-8`.
        content_type: String,
    },
    /// The same request to this service or external; always declared.
    To(String),
}

/// A rate limit. Displays as it is written, `50/s per client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per `per`.
    pub requests: u32,
    /// The period.
    pub per: Duration,
    /// Requests that may come at once. Default: one second's worth, at least 1.
    pub burst: u32,
    /// What each has a limit of its own.
    pub key: LimitKey,
    /// Who is over it is only counted. Default false.
    pub shadow: bool,
    /// Answers tell of it; never of one in the shadow. Default true.
    pub headers: bool,
}

impl std::fmt::Display for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::units::show_rate(self))
    }
}

/// What a rate limit counts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// Everything together.
    All,
    /// Each client address.
    Client,
    /// Each value of this header, lower case.
    Header(String),
    /// Each value of this cookie.
    Cookie(String),
    /// Each value of this segment of the path, counted from 1.
    Segment(u32),
}
