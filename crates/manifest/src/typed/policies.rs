//! The policies as they are written: on a route, and on a call.

use super::{
    Balance, BalancePolicy, Bool, Concurrency, Condition, CookieName, Dur, DurOrZero, Factor, GrpcStatus,
    HeaderName, Hedge, HedgeAfter, Int, Jitter, Limit, Name, OneOrMany, OrNone, Overprovisioning, Part,
    Percentage, Priority, Rate, Retries, Size, SlowStart, Status, Text, keys,
};

keys! {
    /// The policies between a caller and what it calls.
    Policies, "a call";
    /// From the request to the answer's head, all tries together; or `none`. Default 10s.
    "timeout" => timeout: OrNone<Dur>,
    /// The same for one try. Default none: `timeout` alone.
    "per-try" => per_try: OrNone<Dur>,
    /// Whether requests say in X-Request-Deadline how much time they have left. Default true for a service, false for an external.
    "deadline-header" => deadline_header: Bool,
    /// Most requests in flight at a time: a number, `adaptive`, `none`, or a map. Default none: any number.
    "concurrency" => concurrency: OrNone<Concurrency>,
    /// Who goes first where not all can be served: `critical`, `high`, `normal` or `low`. Default: the priority of the request on whose behalf it is made, at the gateway normal.
    "priority" => priority: Priority,
    /// Tries after the first, for requests that are safe to repeat: a number, `none`, or a map. Default 2.
    "retries" => retries: Retries,
    /// When a request that keeps waiting is sent once more, to another instance: `p95`, a duration, `none`, or a map. Default none.
    "hedge" => hedge: OrNone<Hedge>,
    /// Circuit breaker: `none` or a map. Default on.
    "breaker" => breaker: OrNone<Breaker>,
    /// Takes instances that keep failing out of the balancing for a while: `none` or a map. Default on.
    "ejection" => ejection: OrNone<Ejection>,
    /// How an instance is chosen: `p2c-ewma`, `round-robin`, `random`, `least-request`, or a map, which `ring-hash` and `maglev` need. Default p2c-ewma.
    "balance" => balance: Balance,
    /// Whether instances in the node's own zone get requests first, where `url`s name zones: `none`, or a map. Default on.
    "zone-preference" => zone_preference: OrNone<ZoneOptions>,
    /// For how long a new instance gets a share that grows: a duration, `none`, or a map. Default none.
    "slow-start" => slow_start: OrNone<SlowStart>,
    /// What to answer when the call fails: `none`, a fixed answer, or another service. Default none.
    "fallback" => fallback: OrNone<Fallback>,
    /// Rate limit or limits, all of which a request must pass: `50/s per client`, or a map. Default none.
    "limit" => limit: OrNone<OneOrMany<Limit>>,
}

keys! {
    /// A rate limit.
    LimitOptions, "a rate limit";
    /// How many requests in what time, and of whom, such as `50/s per client`.
    "rate" => rate: Rate = required,
    /// Whether who is over the limit is only counted, and let in. Default false.
    "shadow" => shadow: Bool,
    /// Whether answers tell of it in `RateLimit-Policy` and `RateLimit`. Default true, unless it is a shadow.
    "headers" => headers: Bool,
}

keys! {
    /// How an instance is chosen.
    BalanceOptions, "`balance`";
    /// `p2c-ewma`, `round-robin`, `random`, `least-request`, `ring-hash` or `maglev`. Default p2c-ewma, or maglev where something is hashed.
    "policy" => policy: BalancePolicy,
    /// How many instances `least-request` looks at. Default 2.
    "choices" => choices: Int<1, 100>,
    ..by: HashOptions,
}

keys! {
    /// The part of a request that is hashed.
    HashOptions, "a key";
    /// The header to hash.
    "header" => header: HeaderName,
    /// The cookie to hash.
    "cookie" => cookie: CookieName,
    /// How long a cookie lasts that is given to whoever has none; 0s: until the browser ends. Default: nobody is given one.
    "ttl" => ttl: DurOrZero,
    /// The segment of the path to hash: its number, from 1, or its name in the route's path.
    "segment" => segment: Part,
    /// Whether the client's address is hashed. Default false.
    "client" => client: Bool,
}

keys! {
    /// How far requests stay in the node's own zone.
    ZoneOptions, "`zone-preference`";
    /// How many times its usual load an instance can bear, 1 to 10: all requests stay while the share of the zone's instances that are well, times this, is 1. Default 1.4.
    "factor" => factor: Overprovisioning,
}

keys! {
    /// Slow start of new instances.
    SlowStartOptions, "`slow-start`";
    /// For how long the share grows.
    "window" => window: Dur = required,
    /// How fast it grows at first: 1 in proportion to time, more is faster. Default 1.
    "aggression" => aggression: Factor,
    /// The share to begin with. Default 10%.
    "min" => min: Percentage,
}

keys! {
    /// Most requests in flight at a time.
    ConcurrencyOptions, "`concurrency`";
    /// Most requests in flight; with `adaptive` the most that may be found out, by default 200.
    "max" => max: Int<1, 1000000>,
    /// Whether the limit is found out from latency. Default false.
    "adaptive" => adaptive: Bool,
    /// The least that an adaptive limit may fall to, and where it begins. Default 20.
    "min" => min: Int<1, 1000000>,
    /// Requests that may wait for a place. Default 0: who finds none is refused.
    "queue" => queue: Int<0, 100000>,
    /// Longest wait for a place. Default 1s.
    "wait" => wait: Dur,
    /// How much of the limit requests of each priority may fill.
    "shares" => shares: Shares,
}

keys! {
    /// How much of a limit requests of each priority may fill, together with all others; critical ones all of it.
    Shares, "`shares`";
    /// Share of `low`. Default 50% on a service or external, 100% on a call.
    "low" => low: Percentage,
    /// Share of `normal`. Default 100%, on a service or external 80% if the manifest has a `high` or `critical`.
    "normal" => normal: Percentage,
    /// Share of `high`. Default 100%, on a service or external 90% if the manifest has a `critical`.
    "high" => high: Percentage,
}

keys! {
    /// Retries of a call.
    RetryOptions, "`retries`";
    /// Tries after the first. Default 2.
    "max" => max: Int<0, 20>,
    /// First upper bound of the random wait before a retry; doubles each time. Default 25ms.
    "backoff" => backoff: DurOrZero,
    /// Largest upper bound of the wait. Default 1s.
    "backoff-max" => backoff_max: DurOrZero,
    /// Retries as a share of live requests. Default 20%.
    "budget" => budget: Percentage,
    /// Retries a second that are always allowed. Default 10.
    "budget-min" => budget_min: Int<0, 100000>,
    /// Largest body of a request that is kept for a retry. Default 64KiB.
    "body-bytes" => body_bytes: Size,
    /// How chance comes into the wait: `full`, or `decorrelated`. Default full.
    "jitter" => jitter: Jitter,
    /// What to retry, one or a list: `connect-failure`, `reset`, `timeout`, `statuses`. Default all.
    "on" => on: OneOrMany<Condition>,
    /// Statuses to retry. Default 502, 503 and 504.
    "statuses" => statuses: OneOrMany<Status>,
    /// Statuses of gRPC to retry, by name, such as `unavailable`. Default none.
    "grpc-statuses" => grpc_statuses: OneOrMany<GrpcStatus>,
}

keys! {
    /// Hedges of a call, for requests that are safe to repeat, within the budget of its retries.
    HedgeOptions, "`hedge`";
    /// The wait before a request is sent once more: a quantile of the call's latency such as `p95`, or a duration. Default p95.
    "after" => after: HedgeAfter,
    /// Most of them under way beside the first try. Default 1.
    "max" => max: Int<1, 4>,
}

keys! {
    /// Circuit breaker of a call: open, it refuses at once instead of waiting for a broken service.
    Breaker, "`breaker`";
    /// Failures in a row that open it; 0: not counted. Default 0.
    "failures" => failures: Int<0, 1000000>,
    /// Share of failures within `window` that opens it; 0%: not counted. Default 50%.
    "rate" => rate: Percentage,
    /// From when on a try counts as slow, to its answer's head; or `none`. Default none: slow ones don't count.
    "slow" => slow: OrNone<Dur>,
    /// Share of slow tries within `window` that opens it; 0%: not counted. Default 50%.
    "slow-rate" => slow_rate: Percentage,
    /// Window of `rate` and `slow-rate`. Default 10s.
    "window" => window: Dur,
    /// Fewest tries within `window` for `rate` and `slow-rate` to count. Default 20.
    "minimum" => minimum: Int<1, 1000000>,
    /// Time open before probing. Default 5s.
    "open-for" => open_for: Dur,
    /// Probes let through half-open, all of which must succeed to close it. Default 1.
    "probes" => probes: Int<1, 1000>,
}

keys! {
    /// Ejection of instances that keep failing.
    Ejection, "`ejection`";
    /// Failures in a row of one instance that eject it. Default 5.
    "failures" => failures: Int<1, 1000000>,
    /// Length of the first ejection; grows with each. Default 10s.
    "base" => base: Dur,
    /// Longest ejection. Default 5m.
    "max" => max: Dur,
    /// Largest share of instances ejected at a time; one always may be, if another is left. Default 50%.
    "ceiling" => ceiling: Percentage,
}

keys! {
    /// What answers in a failed call's stead: a fixed answer, or another service with `to`.
    Fallback, "`fallback`";
    /// Status of the fixed answer. Default 200.
    "status" => status: Status,
    /// Body of the fixed answer. Default empty.
    "body" => body: Text,
    /// Its Content-Type. Default: application/json if the body is JSON, else text/plain.
    "content-type" => content_type: Text,
    /// Service or external that gets the same request instead.
    "to" => to: Name,
}
