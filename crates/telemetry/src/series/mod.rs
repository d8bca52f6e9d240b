//! How metrics went: a window of time series, in memory, that is asked by range.
//!
//! Every few seconds all samples are [pushed](Window::push). What is kept is what changed: of a counter by how much it grew, of a
//! gauge its new value, of a histogram the buckets that grew. So a metric that stands still costs nothing, a restart of the
//! counter is no dent, and the quantile of any range is computed from what was recorded in it: quantiles are never averaged.
//!
//! Two tiers: as it was pushed for the last hour, by the minute for what is older. What a push made of the samples is a
//! [`Frame`], which is also what lies on disk ([`disk`]): [absorbing](Window::absorb) the frames gives the window again.
//!
//! Besides the metrics of the catalogue there are those that services send ([`foreign`]).
//!
//! Time is an argument, and nothing here does I/O but [`disk`].

pub mod disk;
pub mod foreign;
mod point;
mod query;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

pub use point::{Change, Sparse};
pub use query::{Curve, Query, QueryError, Take};

use crate::catalogue::{Kind, Metric};
use crate::exposition::{Sample, Value};
use crate::metrics::HistogramSnapshot;
use point::Tier;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For how long as it was pushed, in milliseconds. Default: an hour.
    pub fine_ms: u64,
    /// For how long by the minute. Default: a day.
    pub coarse_ms: u64,
    /// Most series; samples of others are left out and counted. Default: 10,000.
    pub series_max: usize,
    /// Most points of all series together: where there are more, what is kept by the minute is kept for less long.
    /// Default: a million, which is some 40 MB.
    pub points_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            fine_ms: 60 * MINUTE_MS,
            coarse_ms: 24 * 60 * MINUTE_MS,
            series_max: 10_000,
            points_max: 1_000_000,
        }
    }
}

/// A metric with values of its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Which metric.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub labels: Vec<String>,
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.metric.name.hash(state);
        self.labels.hash(state);
    }
}

/// What one push changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub changes: Vec<(Arc<Key>, Change)>,
}

/// The window.
#[derive(Debug, Default)]
pub struct Window {
    settings: Settings,
    series: HashMap<Arc<Key>, Series>,
    newest_ms: u64,
    swept_ms: u64,
    dropped: u64,
}

/// What is kept of one key.
#[derive(Debug)]
struct Series {
    /// Since when it is known.
    since_ms: u64,
    /// What was pushed last; of a gauge that which is in force, whoever pushed it.
    last: Last,
    seen_ms: u64,
    fine: Tier,
    coarse: Tier,
}

#[derive(Debug)]
enum Last {
    Nothing,
    Number(f64),
    Histogram(HistogramSnapshot),
}

const MINUTE_MS: u64 = 60_000;

impl Window {
    /// Nothing yet.
    pub fn new(settings: Settings) -> Window {
        Window { settings, ..Window::default() }
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Samples that were left out since there were too many series.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// When there was something last, in milliseconds since 1970.
    pub fn newest_ms(&self) -> u64 {
        self.newest_ms
    }

    /// Takes what is so now, and returns what that changed. A time that is not after the last one counts as just after it.
    pub fn push(&mut self, now_ms: u64, samples: &[Sample]) -> Frame {
        let at_ms = now_ms.max(self.newest_ms + 1);
        let mut frame = Frame { at_ms, changes: Vec::new() };
        for sample in samples {
            let key = Key { metric: sample.metric, labels: sample.labels.clone() };
            let key = match self.series.get_key_value(&key) {
                Some((known, _)) => Arc::clone(known),
                None if self.series.len() >= self.settings.series_max => {
                    self.dropped += 1;
                    continue;
                }
                None => Arc::new(key),
            };
            let series = self.series.entry(Arc::clone(&key)).or_insert_with(|| Series::new(at_ms));
            series.seen_ms = at_ms;
            frame.changes.extend(series.change(key.metric.kind, &sample.value).map(|change| (key, change)));
        }
        let gone = self.series.iter().filter(|(key, series)| {
            key.metric.kind == Kind::Gauge
                && series.seen_ms != at_ms
                && matches!(series.last, Last::Number(_))
        });
        frame.changes.extend(gone.map(|(key, _)| (Arc::clone(key), Change::Gone)));
        self.absorb(&frame);
        frame
    }

    /// Takes what a push once changed. Those of before the newest are left out.
    pub fn absorb(&mut self, frame: &Frame) {
        if frame.at_ms <= self.newest_ms {
            return;
        }
        self.newest_ms = frame.at_ms;
        for (key, change) in &frame.changes {
            if !self.series.contains_key(key) && self.series.len() >= self.settings.series_max {
                self.dropped += 1;
                continue;
            }
            let series = self.series.entry(Arc::clone(key)).or_insert_with(|| Series::new(frame.at_ms));
            series.absorb(key.metric.kind, frame.at_ms, change);
        }
        if frame.at_ms >= self.swept_ms + MINUTE_MS {
            self.sweep();
        }
    }

    /// Nothing was pushed for a while: what gauges said does not hold any more.
    pub fn pause(&mut self) {
        let at_ms = self.newest_ms + 1;
        for (key, series) in &mut self.series {
            if key.metric.kind == Kind::Gauge && matches!(series.last, Last::Number(_)) {
                series.absorb(Kind::Gauge, at_ms, &Change::Gone);
            }
        }
    }

    /// What all gauges say, as a frame: what a new file on disk begins with, for the older ones will be gone.
    pub fn standing(&self) -> Frame {
        let gauge = |(key, series): (&Arc<Key>, &Series)| match (key.metric.kind, &series.last) {
            (Kind::Gauge, Last::Number(value)) => Some((Arc::clone(key), Change::Number(*value))),
            _ => None,
        };
        Frame { at_ms: self.newest_ms, changes: self.series.iter().filter_map(gauge).collect() }
    }

    fn sweep(&mut self) {
        self.swept_ms = self.newest_ms;
        let fine_from = self.newest_ms.saturating_sub(self.settings.fine_ms);
        let mut coarse_from = self.newest_ms.saturating_sub(self.settings.coarse_ms);
        for (key, series) in &mut self.series {
            series.fine.forget(fine_from, key.metric.kind);
            series.coarse.forget(coarse_from, key.metric.kind);
        }
        while self.points() > self.settings.points_max && coarse_from < self.newest_ms {
            coarse_from += 10 * MINUTE_MS;
            self.series
                .iter_mut()
                .for_each(|(key, series)| series.coarse.forget(coarse_from, key.metric.kind));
        }
        let newest = self.newest_ms;
        self.series.retain(|_, series| {
            series.seen_ms + MINUTE_MS >= newest || !series.fine.is_empty() || !series.coarse.is_empty()
        });
    }

    fn points(&self) -> usize {
        self.series.values().map(|series| series.fine.len() + series.coarse.len()).sum()
    }
}

impl Series {
    fn new(since_ms: u64) -> Series {
        Series { since_ms, last: Last::Nothing, seen_ms: 0, fine: Tier::default(), coarse: Tier::default() }
    }

    /// What is new of a value, if anything is; then it is the last.
    fn change(&mut self, kind: Kind, value: &Value) -> Option<Change> {
        let (change, is_new) = match (&self.last, value) {
            (Last::Number(last), Value::Number(value)) if kind == Kind::Gauge => {
                (Change::Number(*value), last != value)
            }
            (Last::Number(last), Value::Number(value)) => {
                // Less than before: it began anew.
                let grown = if value >= last { value - last } else { *value };
                (Change::Number(grown), grown > 0.0)
            }
            (Last::Nothing, Value::Number(_)) if kind == Kind::Lasting => (Change::Number(0.0), true),
            (_, Value::Number(value)) => (Change::Number(*value), true),
            (Last::Histogram(last), Value::Histogram(now, _)) => {
                let grown = if now.count() >= last.count() { now.delta(last) } else { now.clone() };
                let is_new = grown.count() > 0;
                (Change::Histogram(Sparse::of(&grown)), is_new)
            }
            (_, Value::Histogram(now, _)) => (Change::Histogram(Sparse::of(now)), true),
        };
        self.last = match value {
            Value::Number(value) => Last::Number(*value),
            Value::Histogram(now, _) => Last::Histogram(now.clone()),
        };
        is_new.then_some(change)
    }

    fn absorb(&mut self, kind: Kind, at_ms: u64, change: &Change) {
        match (kind, change) {
            (Kind::Gauge, Change::Number(value)) => self.last = Last::Number(*value),
            (Kind::Gauge, Change::Gone) => self.last = Last::Nothing,
            _ => {}
        }
        self.fine.put(at_ms, change.clone());
        // As of the end of its minute, which belongs to it.
        self.coarse.merge(at_ms.next_multiple_of(MINUTE_MS), kind, change);
    }
}
