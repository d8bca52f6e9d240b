//! Rate limits that all cores share, and what a client is told of them.
//!
//! A limit over all requests is one atomic. A keyed one has a bucket a key, in maps with a lock each; a
//! key is a hash with a secret seed, so that a long header costs no memory, and nobody can choose whose
//! bucket to share. Both have a bound: whoever floods with new keys must not grow our memory.
//!
//! What is told is `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, one
//! item a limit, on answers of every kind. Without partition keys: an address or an API key has no
//! business in an answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::{Gcra, Left, Time};

use super::guard::lock;
use super::key::cookie;
use super::{CallState, LocalCall};
use crate::clock;
use crate::config::{LimitKey, RateLimit};
use crate::message::fields::Fields;
use crate::message::head::RequestHead;
use crate::request::problem::{Kind, Problem};

/// Buckets of a keyed limit are kept in this many maps, each with its own lock.
const SHARDS: usize = 16;
/// Most buckets in one of these maps before idle ones are swept out.
const KEYS_MAX: usize = 8 << 10;
/// Shortest time between two sweeps of a map that is full, in which new keys are refused.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// When it is worth asking again where no further key can be remembered.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Of an IPv6 address, what one client cannot change at will: its network (RFC 6177).
const IPV6_NETWORK: u128 = !0 << 64;

/// What a request shows of itself to be limited by.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) client: IpAddr,
    pub(crate) head: &'a RequestHead,
}

/// What the client is told of its limits, whatever the answer. Empty: nothing.
#[derive(Default)]
pub(crate) struct Quota(Option<(Arc<CallState>, Vec<u8>)>);

impl Quota {
    pub(crate) fn tell(self, fields: &mut Fields) {
        if let Some((state, left)) = self.0 {
            fields.push(b"ratelimit-policy", &state.limits.policy);
            fields.push(b"ratelimit", &left);
        }
    }
}

/// Lets a request in or refuses it, and counts which.
pub(crate) fn check(call: &LocalCall, asked: Asked, quota: &mut Quota) -> Result<(), Problem> {
    let state = &call.state;
    if state.limits.all.is_empty() {
        return Ok(());
    }
    let Checked { refused, shadowed, left } = state.limits.check(clock::now(), asked);
    if shadowed {
        call.tally().limited_shadow.add(1);
    }
    if !left.is_empty() {
        quota.0 = Some((state.clone(), left));
    }
    let Some(wait) = refused.iter().map(|(_, wait)| *wait).max() else { return Ok(()) };
    call.tally().limited.add(1);
    let over: Vec<&str> = refused.iter().map(|(limit, _)| limit.name.as_str()).collect();
    let detail = format!("over the limit of {}", over.join(" and of "));
    let mut problem = Problem::new(Kind::RateLimited, detail).retry_after(wait);
    problem.call = Some(state.config.id.clone());
    problem.upstream = Some(state.config.upstream.clone());
    Err(problem)
}

/// The rate limits of a call.
pub(crate) struct Limits {
    all: Vec<Limiter>,
    /// The value of `RateLimit-Policy`.
    policy: Vec<u8>,
}

/// What the limits say to one request.
struct Checked<'a> {
    /// The limits that it is over, and how long it is to wait for each.
    refused: Vec<(&'a RateLimit, Duration)>,
    /// Whether it is over one that only counts.
    shadowed: bool,
    /// The value of `RateLimit`; empty if nothing is told.
    left: Vec<u8>,
}

impl Limits {
    pub(crate) fn new(configs: &[RateLimit]) -> Limits {
        let mut policy = Vec::new();
        for config in configs.iter().filter(|config| is_told(config)) {
            item(&mut policy, config);
            let _ = write!(policy, ";q={};w={}", config.requests, config.per.as_secs());
            if config.burst != config.requests {
                let _ = write!(policy, ";colony-burst={}", config.burst);
            }
        }
        Limits { all: configs.iter().cloned().map(Limiter::new).collect(), policy }
    }

    /// A request that is over one limit is taken from no further one, but told of each.
    fn check(&self, now: Time, asked: Asked) -> Checked<'_> {
        let left = Vec::with_capacity(self.policy.len());
        let mut checked = Checked { refused: Vec::new(), shadowed: false, left };
        for limiter in &self.all {
            let config = &limiter.config;
            let (over, left) = match checked.refused.is_empty() || config.shadow {
                true => limiter.take(now, asked),
                false => limiter.look(now, asked),
            };
            match (over, config.shadow) {
                (Some(_), true) => checked.shadowed = true,
                (Some(wait), false) => checked.refused.push((config, wait)),
                (None, _) => {}
            }
            if is_told(config) {
                item(&mut checked.left, config);
                let seconds = left.window.as_millis().div_ceil(1000).max(1);
                let _ = write!(checked.left, ";r={};t={seconds}", left.requests);
            }
        }
        checked
    }
}

fn is_told(config: &RateLimit) -> bool {
    config.headers && !config.shadow
}

/// Begins an item of a list of structured fields (RFC 9651): a string that names the limit.
fn item(out: &mut Vec<u8>, config: &RateLimit) {
    let separator = if out.is_empty() { "" } else { ", " };
    let _ = write!(out, "{separator}\"{}\"", config.name);
}

/// One limit: an atomic for a single bucket, maps for keyed ones.
struct Limiter {
    config: RateLimit,
    all: AtomicU64,
    keyed: Vec<Mutex<Buckets>>,
    hasher: RandomState,
}

#[derive(Default)]
struct Buckets {
    arrivals: HashMap<u64, Time>,
    /// When it is worth sweeping again.
    full_until: Time,
}

/// For how long the request is over the limit, if it is, and what is left to its key.
type Taken = (Option<Duration>, Left);

impl Limiter {
    fn new(config: RateLimit) -> Limiter {
        let shards = if config.key == LimitKey::All { 0 } else { SHARDS };
        Limiter {
            config,
            all: AtomicU64::new(0),
            keyed: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Takes a request from its bucket, if there is one left.
    fn take(&self, now: Time, asked: Asked) -> Taken {
        match self.key(asked) {
            None => self.take_of_all(now),
            Some(key) => lock(self.shard(key)).take(&self.config.gcra, key, now),
        }
    }

    /// The same without taking it.
    fn look(&self, now: Time, asked: Asked) -> Taken {
        let arrival = match self.key(asked) {
            None => Time::from_nanos(self.all.load(Ordering::Relaxed)),
            Some(key) => lock(self.shard(key)).arrivals.get(&key).copied().unwrap_or(Time::ZERO),
        };
        let gcra = &self.config.gcra;
        (gcra.check(arrival, now).err(), gcra.left(arrival, now))
    }

    fn take_of_all(&self, now: Time) -> Taken {
        let mut seen = self.all.load(Ordering::Relaxed);
        loop {
            let (next, said) = taken(&self.config.gcra, Time::from_nanos(seen), now);
            if said.0.is_some() {
                return said;
            }
            let next = next.as_nanos();
            match self.all.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return said,
                Err(other) => seen = other,
            }
        }
    }

    fn shard(&self, key: u64) -> &Mutex<Buckets> {
        &self.keyed[key as usize % SHARDS]
    }

    /// Whose bucket it is. None: there is one for all.
    fn key(&self, Asked { client, head }: Asked) -> Option<u64> {
        Some(match &self.config.key {
            LimitKey::All => return None,
            LimitKey::Client => self.hash(network(client)),
            LimitKey::Header(name) => self.hash(head.fields.named(name)),
            LimitKey::Cookie(name) => self.hash(cookie(&head.fields, name)),
            LimitKey::Segment(nth) => self.hash(head.path().split('/').nth(*nth as usize)),
        })
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }
}

impl Buckets {
    fn take(&mut self, gcra: &Gcra, key: u64, now: Time) -> Taken {
        if !self.has_room(gcra, key, now) {
            return (Some(FULL_RETRY_AFTER), Left { requests: 0, window: FULL_RETRY_AFTER });
        }
        let arrival = self.arrivals.get(&key).copied().unwrap_or(Time::ZERO);
        let (next, said) = taken(gcra, arrival, now);
        if said.0.is_none() {
            self.arrivals.insert(key, next);
        }
        said
    }

    fn has_room(&mut self, gcra: &Gcra, key: u64, now: Time) -> bool {
        if self.arrivals.len() < KEYS_MAX || self.arrivals.contains_key(&key) {
            return true;
        }
        if now < self.full_until {
            return false;
        }
        self.full_until = now + SWEEP_EVERY;
        self.arrivals.retain(|_, arrival| !gcra.is_idle(*arrival, now));
        self.arrivals.len() < KEYS_MAX
    }
}

/// The bucket after the request, and what is to be said of it.
fn taken(gcra: &Gcra, arrival: Time, now: Time) -> (Time, Taken) {
    match gcra.check(arrival, now) {
        Ok(next) => (next, (None, gcra.left(next, now))),
        Err(wait) => (arrival, (Some(wait), gcra.left(arrival, now))),
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & IPV6_NETWORK).to_be_bytes()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::head::Parsed;

    fn limit(key: LimitKey) -> RateLimit {
        RateLimit {
            name: "1/s".into(),
            requests: 1,
            per: Duration::from_secs(1),
            burst: 1,
            gcra: Gcra::new(1, Duration::from_secs(1), 1),
            key,
            shadow: false,
            headers: true,
        }
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    fn head(text: &str) -> RequestHead {
        match RequestHead::parse(text.as_bytes(), 1 << 10, 100) {
            Ok(Parsed::Whole(head, _)) => head,
            _ => panic!("no head: {text}"),
        }
    }

    fn passes(limiter: &Limiter, client: &str, head: &RequestHead) -> bool {
        limiter.take(at(5_000), Asked { client: client.parse().expect("an address"), head }).0.is_none()
    }

    #[test]
    fn clients_have_buckets_of_their_own_and_a_network_is_one_client() {
        let limiter = Limiter::new(limit(LimitKey::Client));
        let head = head("GET / HTTP/1.1\r\n\r\n");
        for (client, fresh) in [
            ("10.0.0.1", true),
            ("10.0.0.1", false),
            ("10.0.0.2", true),
            ("::ffff:10.0.0.2", false),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
        ] {
            assert_eq!(passes(&limiter, client, &head), fresh, "{client}");
        }
    }

    #[test]
    fn cookies_and_segments_are_told_apart() {
        let by_cookie = Limiter::new(limit(LimitKey::Cookie("id".into())));
        let by_segment = Limiter::new(limit(LimitKey::Segment(2)));
        let ask =
            |path: &str, cookie: &str| head(&format!("GET {path} HTTP/1.1\r\nCookie: {cookie}\r\n\r\n"));
        for (cookie, fresh) in
            [("a=1; id=7", true), ("id=7", false), ("id=8; id=7", true), ("xid=9", true), ("", false)]
        {
            assert_eq!(passes(&by_cookie, "::1", &ask("/", cookie)), fresh, "{cookie}");
        }
        for (path, fresh) in [("/t/1/x", true), ("/t/1?a", false), ("/t/2", true), ("/t", true), ("/", false)]
        {
            assert_eq!(passes(&by_segment, "::1", &ask(path, "")), fresh, "{path}");
        }
    }

    #[test]
    fn a_flood_of_new_keys_is_refused_and_forgotten_once_idle() {
        let mut buckets = Buckets::default();
        let gcra = Gcra::new(1, Duration::from_secs(1), 1);
        let fresh = |buckets: &mut Buckets, key: u64, ms| buckets.take(&gcra, key, at(ms)).0.is_none();
        assert!((0..KEYS_MAX as u64).all(|key| fresh(&mut buckets, key, 5_000)));
        assert!(!fresh(&mut buckets, u64::MAX, 5_000));
        assert!(fresh(&mut buckets, 1, 6_000), "who is remembered is not refused");
        assert!(fresh(&mut buckets, u64::MAX, 6_000));
        assert_eq!(buckets.arrivals.len(), 2);
    }

    #[test]
    fn every_limit_is_told_and_those_in_the_shadow_are_not() {
        let named = |name: &str, requests: u32, per: u64, burst: u32| RateLimit {
            name: name.into(),
            requests,
            per: Duration::from_secs(per),
            burst,
            gcra: Gcra::new(requests, Duration::from_secs(per), burst),
            ..limit(LimitKey::All)
        };
        let shadow = RateLimit { shadow: true, ..named("1/h", 1, 3600, 1) };
        let silent = RateLimit { headers: false, ..named("90/s", 90, 1, 90) };
        let limits =
            Limits::new(&[named("2/s", 2, 1, 2), shadow, silent, named("100/m burst 20", 100, 60, 20)]);
        let policy = r#""2/s";q=2;w=1, "100/m burst 20";q=100;w=60;colony-burst=20"#;
        assert_eq!(String::from_utf8_lossy(&limits.policy), policy);
        let head = head("GET / HTTP/1.1\r\n\r\n");
        let client = IpAddr::from([10, 0, 0, 1]);
        for (refused, shadowed, left) in [
            (0, false, r#""2/s";r=1;t=1, "100/m burst 20";r=19;t=12"#),
            (0, true, r#""2/s";r=0;t=1, "100/m burst 20";r=18;t=11"#),
            (1, true, r#""2/s";r=0;t=1, "100/m burst 20";r=18;t=11"#),
        ] {
            let checked = limits.check(at(5_000), Asked { client, head: &head });
            assert_eq!(String::from_utf8_lossy(&checked.left), left);
            assert_eq!((checked.refused.len(), checked.shadowed), (refused, shadowed));
        }
    }
}
