//! Every default in one place. `docs/manifest.md` and the schema's descriptions repeat them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::valid::{
    Breaker, Concurrency, ConcurrencyLimit, Condition, Ejection, HashKey, Hedge, HedgeAfter, Jitter, Limits,
    OtlpListeners, Priority, Recorded, Retries, Shares, SlowStart, Telemetry, Window, ZonePreference,
};

/// Over how long objectives are held.
pub(crate) const OBJECTIVE_WINDOW: Duration = Duration::from_secs(30 * 24 * 60 * 60);
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const GRACE: Duration = Duration::from_secs(10);
pub(crate) const SCALE_MAX: u32 = 16;
pub(crate) const READY_EVERY: Duration = Duration::from_secs(1);
pub(crate) const LIVE_EVERY: Duration = Duration::from_secs(5);
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const PROBE_FAILURES: u32 = 3;
pub(crate) const PROBE_WITHIN: Duration = Duration::from_secs(60);
pub(crate) const FALLBACK_STATUS: u16 = 200;

pub(crate) fn limits() -> Limits {
    Limits {
        header_bytes: 32 << 10,
        headers: 100,
        header_timeout: Duration::from_secs(15),
        body_idle: Duration::from_secs(60),
        body_bytes: None,
        connections: 16_384,
    }
}

/// Bounds of an adaptive limit, as in Netflix' concurrency-limits.
pub(crate) const ADAPTIVE_MIN: u32 = 20;
pub(crate) const ADAPTIVE_MAX: u32 = 200;

pub(crate) fn concurrency(limit: ConcurrencyLimit, shares: Shares) -> Concurrency {
    Concurrency { limit, queue: 0, wait: Duration::from_secs(1), shares }
}

/// Of a limit that is one call's.
pub(crate) const SHARES_OF_CALL: Shares = Shares { low: 1.0, normal: 1.0, high: 1.0 };

/// Of a limit that all calls share, where `highest` is the highest priority in use: nothing is kept free for
/// those that nobody has.
pub(crate) fn shares(highest: Priority) -> Shares {
    let below = |priority, share| if highest > priority { share } else { 1.0 };
    Shares { low: 0.5, normal: below(Priority::Normal, 0.8), high: below(Priority::High, 0.9) }
}

pub(crate) fn retries() -> Retries {
    Retries {
        max: 2,
        backoff: Duration::from_millis(25),
        backoff_max: Duration::from_secs(1),
        budget: 0.2,
        budget_min: 10,
        body_bytes: 64 << 10,
        jitter: Jitter::Full,
        on: Condition::ALL.to_vec(),
        statuses: vec![502, 503, 504],
        grpc_statuses: Vec::new(),
    }
}

pub(crate) fn hedge() -> Hedge {
    Hedge { after: HedgeAfter::Quantile(0.95), max: 1 }
}

pub(crate) fn breaker() -> Breaker {
    Breaker {
        failures: 0,
        rate: 0.5,
        slow: None,
        slow_rate: 0.5,
        window: Duration::from_secs(10),
        minimum: 20,
        open_for: Duration::from_secs(5),
        probes: 1,
    }
}

pub(crate) fn ejection() -> Ejection {
    Ejection { failures: 5, base: Duration::from_secs(10), max: Duration::from_secs(300), ceiling: 0.5 }
}

/// The cookie that keeps a user on a side: one for all splits of a site, until the browser ends.
pub(crate) fn sticky_cookie() -> HashKey {
    HashKey::Cookie { name: "colony-split".to_owned(), ttl: Some(Duration::ZERO) }
}

pub(crate) fn telemetry() -> Telemetry {
    Telemetry {
        traces: Recorded::Sampled,
        window: Window { bytes: 512 << 20, age: Duration::from_secs(24 * 60 * 60) },
        otlp: Some(OtlpListeners { grpc: None, http: None }),
        export: None,
    }
}

/// Below that a window is hardly one.
pub(crate) const WINDOW_BYTES_MIN: u64 = 16 << 20;
/// OTEL_EXPORTER_OTLP_TIMEOUT's default.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const EXPORT_QUEUE_BYTES: u64 = 16 << 20;
/// A request is as large, at most.
pub(crate) const EXPORT_QUEUE_BYTES_MIN: u64 = 1 << 20;

/// How many `least-request` looks at, as in Envoy.
pub(crate) const CHOICES: u32 = 2;

/// Envoy's overprovisioning factor.
pub(crate) fn zone_preference() -> ZonePreference {
    ZonePreference { percent: 140 }
}

/// The shape of Envoy's slow start.
pub(crate) fn slow_start(window: Duration) -> SlowStart {
    SlowStart { window, aggression: 1.0, min: 0.1 }
}
