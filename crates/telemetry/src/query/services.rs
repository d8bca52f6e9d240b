//! What services answer and who calls whom, told from traces: how many, how many failed, how long they took.
//!
//! Each trace counts for as many as it stands for. The errors and the slow are kept whole and the rest is not, but with that weight
//! the sums and quantiles are those of all. Quantiles come of one histogram of all that was counted, and are never averaged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::{Range, View};
use crate::part::{Part, is_answer};
use crate::span::{Kind, Span, Text, Value};

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Services {
    /// By name.
    pub services: Vec<ServiceStats>,
    /// By caller and callee.
    pub edges: Vec<Edge>,
    /// Whether more was to be looked at than a query may.
    pub cut: bool,
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceStats {
    /// Whose.
    pub service: Text,
    /// How many and how fast.
    #[serde(flatten)]
    pub stats: Quantiles,
}

/// What one service asked of another, or of something outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// Who asks.
    pub caller: Text,
    /// Who is asked: a service, a topic or queue, or a host.
    pub callee: String,
    /// How many and how fast, as the caller saw it.
    #[serde(flatten)]
    pub stats: Quantiles,
}

/// How many, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many.
    pub count: f64,
    /// How many of them failed.
    pub errors: f64,
    /// Half took no longer, in nanoseconds; a sixteenth too high at most.
    pub p50_ns: u64,
    /// Of ten nine.
    pub p90_ns: u64,
    /// Of a hundred ninety-nine.
    pub p99_ns: u64,
}

/// A call in a trace.
pub(super) struct Call<'p> {
    pub(super) caller: &'p Text,
    pub(super) callee: String,
    span: &'p Arc<Span>,
}

/// The calls in a trace, or of a part of it: each span that asks somebody, with who was asked. That is `peer.service` where it is told,
/// which is the manifest's name, or whose the span is that it caused, or else what its attributes tell of the other side. What lies
/// in a call of the same service, as its tries do, is no call of its own.
pub(super) fn calls(spans: &[Arc<Span>]) -> Vec<Call<'_>> {
    let asks = |span: &Span| matches!(span.kind, Kind::Client | Kind::Producer);
    let asking: HashMap<[u8; 8], &Arc<Span>> =
        spans.iter().filter(|span| asks(span)).map(|span| (span.span_id, span)).collect();
    let within = |span: &Span| {
        span.parent.and_then(|parent| asking.get(&parent)).filter(|parent| parent.service == span.service)
    };
    let mut answered: HashMap<[u8; 8], &Text> = HashMap::new();
    for span in spans.iter().filter(|span| is_answer(span)) {
        let Some(asked) = span.parent.and_then(|parent| asking.get(&parent)) else { continue };
        answered.insert(asked.span_id, &span.service);
        answered.extend(within(asked).map(|call| (call.span_id, &span.service)));
    }
    let callee = |span: &Arc<Span>| {
        let service = || answered.get(&span.span_id).map(|service| service.to_string());
        told(span, &PEERS[..1]).or_else(service).or_else(|| told(span, &PEERS[1..]))
    };
    let outer = spans.iter().filter(|span| asks(span) && within(span).is_none());
    outer.filter_map(|span| Some(Call { caller: &span.service, callee: callee(span)?, span })).collect()
}

/// The attributes that tell of the other side, the best first.
const PEERS: [&str; 4] = ["peer.service", "messaging.destination.name", "server.address", "db.system.name"];

fn told(span: &Span, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| match span.attribute(key) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    })
}

impl View {
    /// Counts what began in a stretch of time.
    pub(crate) fn services(&self, range: Range) -> Services {
        let mut services: BTreeMap<String, (Text, Tally)> = BTreeMap::new();
        let mut edges: BTreeMap<(String, String), (Text, Tally)> = BTreeMap::new();
        let cut = self.each_part(range, |part| {
            let weight = part.weight();
            for span in part.spans.iter().filter(|span| is_answer(span)) {
                let tally = services.entry(span.service.to_string());
                tally.or_insert_with(|| (span.service.clone(), Tally::default())).1.add(span, weight);
            }
            for call in calls(&part.spans) {
                let tally = edges.entry((call.caller.to_string(), call.callee));
                tally.or_insert_with(|| (call.caller.clone(), Tally::default())).1.add(call.span, weight);
            }
        });
        let of_service = |(service, tally): (Text, Tally)| ServiceStats { service, stats: tally.told() };
        let of_edge = |((_, callee), (caller, tally)): ((String, String), (Text, Tally))| Edge {
            caller,
            callee,
            stats: tally.told(),
        };
        Services {
            services: services.into_values().map(of_service).collect(),
            edges: edges.into_iter().map(of_edge).collect(),
            cut,
        }
    }

    /// Each part of the traces that began in a stretch of time, until it is enough; whether that was before the end.
    pub(super) fn each_part(&self, range: Range, mut told: impl FnMut(&Part)) -> bool {
        let mut walk = self.walk::<Part>(|zone| range.overlaps(zone));
        while let Some(parts) = walk.next(|_| false) {
            parts.iter().filter(|part| range.has(part.start_ns)).for_each(&mut told);
        }
        walk.cut_at.is_some()
    }
}

/// Weighted counts by duration, sixteen to a power of two.
#[derive(Clone, Debug, Default)]
struct Tally {
    buckets: BTreeMap<u32, f64>,
    count: f64,
    errors: f64,
}

impl Tally {
    fn add(&mut self, span: &Span, weight: f64) {
        *self.buckets.entry(bucket(span.duration_ns)).or_default() += weight;
        self.count += weight;
        if span.is_error() {
            self.errors += weight;
        }
    }

    fn told(&self) -> Quantiles {
        let [p50_ns, p90_ns, p99_ns] = [0.5, 0.9, 0.99].map(|q| self.quantile(q));
        Quantiles { count: self.count, errors: self.errors, p50_ns, p90_ns, p99_ns }
    }

    fn quantile(&self, q: f64) -> u64 {
        let mut left = q * self.count;
        for (bucket, count) in &self.buckets {
            left -= count;
            if left <= 0.0 {
                return bound(*bucket);
            }
        }
        self.buckets.last_key_value().map_or(0, |(bucket, _)| bound(*bucket))
    }
}

const SUB_BITS: u32 = 4;

fn bucket(ns: u64) -> u32 {
    let shift = ns.max(1 << SUB_BITS).ilog2() - SUB_BITS;
    (shift << SUB_BITS) + (ns >> shift) as u32
}

fn bound(bucket: u32) -> u64 {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let within = u128::from(bucket - (shift << SUB_BITS));
    u64::try_from(((within + 1) << shift) - 1).unwrap_or(u64::MAX)
}
