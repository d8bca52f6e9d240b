//! Metrics that services send, beside those of the catalogue: named as they are sent, and kept in the same window.
//!
//! A [`Board`] holds what every series says now, until the next look of the node takes it as [`Sample`]s. What comes as a change is
//! added up; what was counted before the node began is not told as if it had been counted now. Both are bounded: so many series of
//! a service, so many in all; what is beyond is left out and counted.
//!
//! What a metric is (its name, unit and labels) is [interned](metric): kept for as long as the process lives, so many at most.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::catalogue::{self, Kind, Metric};
use crate::exposition::{Sample, Value};
use crate::metrics::{self, HistogramSnapshot};
use crate::otlp::{Point, PointValue};

/// Most series of a service, default 500.
pub const SERIES_OF_SERVICE_MAX: usize = 500;
/// Most series of all services. A fifth of what the window has room for.
pub const SERIES_MAX: usize = 2_000;
/// Most metrics, with their labels, that are told apart in the life of a process: a few kilobytes each at most.
pub const METRICS_MAX: usize = 1_000;
/// Most attributes of a point.
pub const LABELS_MAX: usize = 16;
/// After so long without a point a series is forgotten here, and its gauge says nothing any more.
const FORGOTTEN_MS: u64 = 300_000;
/// The labels that every metric has.
const WHOSE: [&str; 2] = ["service", "instance"];

/// What services say now.
#[derive(Debug, Default)]
pub struct Board(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    began_ns: u64,
    series: HashMap<Key, Current>,
    of_service: HashMap<String, usize>,
    left_out: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Where the metric is, which is one place for each.
    metric: usize,
    labels: Vec<String>,
}

#[derive(Debug)]
struct Current {
    metric: &'static Metric,
    value: Value,
    /// What it said last, where it counts on.
    raw: Value,
    seen_ms: u64,
}

impl Board {
    /// Nothing yet; what was counted before `began_ns` (nanoseconds since 1970) is not told.
    pub fn new(began_ns: u64) -> Board {
        Board(Mutex::new(All { began_ns, ..All::default() }))
    }

    /// Takes a point that has come now.
    pub fn take(&self, now_ms: u64, point: &Point) {
        self.all().take(now_ms, point);
    }

    /// What all of them say, added to `out`; those that have said nothing for five minutes are forgotten.
    pub fn samples(&self, now_ms: u64, out: &mut Vec<Sample>) {
        let mut all = self.all();
        let All { series, of_service, .. } = &mut *all;
        series.retain(|key, current| {
            let is_here = now_ms.saturating_sub(current.seen_ms) < FORGOTTEN_MS;
            if let (false, Some(count)) = (is_here, of_service.get_mut(&key.labels[0])) {
                *count = count.saturating_sub(1);
            }
            is_here
        });
        of_service.retain(|_, count| *count > 0);
        let sample = |(key, current): (&Key, &Current)| Sample {
            metric: current.metric,
            labels: key.labels.clone(),
            value: current.value.clone(),
        };
        out.extend(series.iter().map(sample));
    }

    /// Points that were left out, for there were too many series.
    pub fn left_out(&self) -> u64 {
        self.all().left_out
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn take(&mut self, now_ms: u64, point: &Point) {
        let Some((key, metric)) = key(point) else {
            self.left_out += 1;
            return;
        };
        let service = &key.labels[0];
        let told = told(point, metric);
        if let Some(current) = self.series.get_mut(&key) {
            current.goes_on(now_ms, point, told);
            return;
        }
        let count = self.of_service.get(service).copied().unwrap_or(0);
        if count >= SERIES_OF_SERVICE_MAX || self.series.len() >= SERIES_MAX {
            self.left_out += 1;
            return;
        }
        *self.of_service.entry(service.clone()).or_default() += 1;
        // It counted before there was anybody to see it.
        let is_older = point.start_ns < self.began_ns && !is_delta(point) && metric.kind != Kind::Gauge;
        let value = match (&told, is_older) {
            (Value::Number(_), true) => Value::Number(0.0),
            (Value::Histogram(..), true) => Value::Histogram(HistogramSnapshot::default(), Vec::new()),
            (_, false) => told.clone(),
        };
        self.series.insert(key, Current { metric, value, raw: told, seen_ms: now_ms });
    }
}

impl Current {
    fn goes_on(&mut self, now_ms: u64, point: &Point, told: Value) {
        self.seen_ms = now_ms;
        match (&mut self.value, &self.raw, &told) {
            (Value::Number(value), _, Value::Number(change)) if is_delta(point) => *value += change,
            (Value::Number(value), _, Value::Number(now)) if self.metric.kind == Kind::Gauge => *value = *now,
            (Value::Number(value), Value::Number(raw), Value::Number(now)) => {
                // Less than before: it began anew.
                *value += if now >= raw { now - raw } else { *now };
            }
            (Value::Histogram(value, _), _, Value::Histogram(change, _)) if is_delta(point) => {
                value.merge(change);
            }
            (Value::Histogram(value, _), Value::Histogram(raw, _), Value::Histogram(now, _)) => {
                let change = if now.count() >= raw.count() { now.delta(raw) } else { now.clone() };
                value.merge(&change);
            }
            _ => {}
        }
        self.raw = told;
    }
}

fn is_delta(point: &Point) -> bool {
    match point.value {
        PointValue::Change(_) => true,
        PointValue::Sum { is_delta, .. } | PointValue::Histogram { is_delta, .. } => is_delta,
        PointValue::Gauge(_) => false,
    }
}

/// None: it has a name of ours or none, or there are too many metrics.
fn key(point: &Point) -> Option<(Key, &'static Metric)> {
    let kind = match point.value {
        PointValue::Gauge(_) | PointValue::Change(_) => Kind::Gauge,
        PointValue::Sum { .. } => Kind::Counter,
        PointValue::Histogram { .. } => Kind::Histogram,
    };
    let attributes = &point.attributes[..point.attributes.len().min(LABELS_MAX)];
    let attributes = || attributes.iter().filter(|(key, _)| !WHOSE.contains(&&**key));
    let labels: Vec<&str> = WHOSE.into_iter().chain(attributes().map(|(key, _)| &**key)).collect();
    let metric = metric(&point.name, kind, &point.unit, &labels, &point.description)?;
    let whose = [point.service.to_string(), point.instance.to_string()];
    let labels = whose.into_iter().chain(attributes().map(|(_, value)| value.clone())).collect();
    Some((Key { metric: std::ptr::from_ref(metric).addr(), labels }, metric))
}

fn told(point: &Point, metric: &Metric) -> Value {
    match &point.value {
        PointValue::Gauge(value) | PointValue::Change(value) | PointValue::Sum { value, .. } => {
            Value::Number(*value)
        }
        PointValue::Histogram { buckets, sum, .. } => {
            let scale = scale(metric.unit);
            // What is below zero counts as zero: these are times and sizes.
            let whole = |value: f64| (value * scale).round().max(0.0) as u64;
            let mut snapshot = HistogramSnapshot::default();
            let buckets = buckets.iter().map(|(value, count)| (metrics::bucket(whole(*value)), *count));
            snapshot.add(buckets, whole(*sum));
            Value::Histogram(snapshot, Vec::new())
        }
    }
}

/// By what a value of this unit is multiplied to be a whole number that is fine enough: histograms tell numbers from one to four
/// billion apart. Of the catalogue all are in seconds, and kept in microseconds.
pub fn scale(unit: &str) -> f64 {
    match unit {
        "s" | "1" => 1e6,
        "ms" => 1e3,
        _ => 1.0,
    }
}

/// The metrics that were sent, in the order in which they came first, and where in that they are by a hash of what they are.
#[derive(Debug, Default)]
struct Interned {
    all: Vec<&'static Metric>,
    places: BTreeMap<u64, Vec<usize>>,
}

static METRICS: Mutex<Interned> = Mutex::new(Interned { all: Vec::new(), places: BTreeMap::new() });

fn interned() -> MutexGuard<'static, Interned> {
    METRICS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The metric that this is; none if the catalogue has one of that name, there is no name, or there are too many.
pub fn metric(
    name: &str,
    kind: Kind,
    unit: &str,
    labels: &[&str],
    description: &str,
) -> Option<&'static Metric> {
    let mut hasher = DefaultHasher::new();
    (name, kind.word(), unit, labels).hash(&mut hasher);
    let hash = hasher.finish();
    let mut interned = interned();
    let Interned { all, places } = &mut *interned;
    let is_it = |metric: &&'static Metric| {
        metric.name == name && metric.kind == kind && metric.unit == unit && *metric.labels == *labels
    };
    let known = places.get(&hash).and_then(|places| places.iter().map(|at| all[*at]).find(is_it));
    if known.is_some() {
        return known;
    }
    if all.len() >= METRICS_MAX || name.is_empty() || catalogue::find(name).is_some() {
        return None;
    }
    let kept = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let labels = labels.iter().map(|label| kept(label)).collect::<Vec<_>>().leak();
    let metric = Metric { name: kept(name), kind, unit: kept(unit), labels, help: kept(description) };
    let metric: &'static Metric = Box::leak(Box::new(metric));
    places.entry(hash).or_default().push(all.len());
    all.push(metric);
    Some(metric)
}

/// All that were sent.
pub fn all() -> Vec<&'static Metric> {
    interned().all.clone()
}

/// Those of a name that tell the same in the same unit as the first of them: they differ in their labels only.
pub fn named(name: &str) -> Vec<&'static Metric> {
    let mut all = all();
    all.retain(|metric| metric.name == name);
    let first = all.first().copied();
    all.retain(|metric| first.is_some_and(|first| (first.kind, first.unit) == (metric.kind, metric.unit)));
    all
}

/// Whether it is one of these.
pub fn is_foreign(metric: &Metric) -> bool {
    !catalogue::ALL.iter().any(|own| std::ptr::eq(*own, metric))
}
