//! What the window is asked, and how it answers: for each step of a range one point, of what was recorded in that step.

use std::collections::BTreeMap;

use super::{Change, Key, MINUTE_MS, Series, Window, foreign};
use crate::catalogue::{self, Kind, Metric};
use crate::metrics::HistogramSnapshot;

/// Most points of a curve.
pub const POINTS_MAX: u64 = 2_000;
/// Most curves of an answer; of more, those with the most in them.
pub const CURVES_MAX: usize = 200;

/// A question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The metric's name, OpenTelemetry's or Prometheus'.
    pub metric: String,
    /// Labels that must have these values.
    pub labels: Vec<(String, String)>,
    /// By which labels series are told apart; those that differ in others are added up. None: by all.
    pub by: Option<Vec<String>>,
    /// From when, in milliseconds since 1970.
    pub from_ms: u64,
    /// Until when.
    pub to_ms: u64,
    /// How much of it makes a point. From an hour ago backwards there is nothing finer than a minute.
    pub step_ms: u64,
    /// What a point is.
    pub take: Take,
}

/// What a point says of its step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Take {
    /// What fits the metric: the value of a gauge, the rate of a counter or a histogram.
    #[default]
    Fitting,
    /// How much a second.
    Rate,
    /// How much.
    Increase,
    /// What a gauge said last.
    Value,
    /// The time that this share took at most, in seconds; of what services send in the unit that they send.
    Quantile(f64),
    /// The mean time, as of a quantile.
    Mean,
}

/// What is wrong with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// There is no such metric.
    NoMetric(String),
    /// The metric has no such label.
    NoLabel(String),
    /// Ends before it begins, or has no steps, or too many.
    Range,
    /// A metric of this kind has no such thing.
    Take(&'static str),
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            QueryError::NoMetric(name) => {
                write!(f, "there is no metric `{name}`; docs/telemetry/metrics.md has all")
            }
            QueryError::NoLabel(name) => write!(f, "the metric has no label `{name}`"),
            QueryError::Range => write!(f, "a range has 1 to {POINTS_MAX} steps of a millisecond or more"),
            QueryError::Take(kind) => write!(f, "this cannot be told of a {kind}"),
        }
    }
}

impl std::error::Error for QueryError {}

/// How one group of series went.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the series of the group have in common.
    pub labels: Vec<(&'static str, String)>,
    /// The end of each step, and what is known of it.
    pub points: Vec<(u64, Option<f64>)>,
}

/// What was recorded in a step.
#[derive(Clone, Default)]
struct Cell {
    known: bool,
    sum: f64,
    histogram: HistogramSnapshot,
}

impl Window {
    /// Answers a question.
    ///
    /// # Errors
    ///
    /// If it makes no sense.
    pub fn query(&self, query: &Query) -> Result<Vec<Curve>, QueryError> {
        let metrics = meant(&query.metric);
        let first = *metrics.first().ok_or_else(|| QueryError::NoMetric(query.metric.clone()))?;
        let take = fitting(first.kind, query.take)?;
        // What services send has other labels at other times: what one of them lacks is empty.
        let mut labels: Vec<&'static str> = Vec::new();
        for label in metrics.iter().flat_map(|metric| metric.labels) {
            if !labels.contains(label) {
                labels.push(label);
            }
        }
        let asked = query.labels.iter().map(|(name, _)| name).chain(query.by.iter().flatten());
        for name in asked {
            labels.iter().find(|known| *known == name).ok_or_else(|| QueryError::NoLabel(name.clone()))?;
        }
        let steps = query.to_ms.checked_sub(query.from_ms).and_then(|range| range.checked_div(query.step_ms));
        let steps = steps.filter(|steps| (1..=POINTS_MAX).contains(steps)).ok_or(QueryError::Range)? as usize;
        let mut groups: BTreeMap<Vec<&str>, Vec<Cell>> = BTreeMap::new();
        if let Some(by) = &query.by {
            labels.retain(|label| by.iter().any(|name| name == label));
        }
        for (key, series) in self.series.iter().filter(|(key, _)| is_meant(key, &metrics, &query.labels)) {
            let group = labels.iter().map(|label| value(key, label)).collect();
            let cells = groups.entry(group).or_insert_with(|| vec![Cell::default(); steps]);
            self.fill(series, first.kind, query, cells);
        }
        let scale = foreign::scale(first.unit);
        let curve = |(group, cells): (Vec<&str>, Vec<Cell>)| {
            let labels = labels.iter().copied().zip(group.into_iter().map(str::to_owned));
            let ends = (1..).map(|step: u64| query.from_ms + step * query.step_ms);
            let values = cells.iter().map(|cell| cell.told(take, query.step_ms, scale));
            Curve { labels: labels.collect(), points: ends.zip(values).collect() }
        };
        Ok(most(groups.into_iter().map(curve).collect()))
    }

    /// Adds what a series recorded to the steps.
    fn fill(&self, series: &Series, kind: Kind, query: &Query, cells: &mut [Cell]) {
        // Up to a full minute only the coarse ones are whole.
        let fine_from = self.newest_ms.saturating_sub(self.settings.fine_ms).next_multiple_of(MINUTE_MS);
        let step = |at: u64| {
            let behind = at.checked_sub(query.from_ms + 1)? / query.step_ms;
            usize::try_from(behind).ok().filter(|step| *step < cells.len())
        };
        let coarse = series.coarse.from(query.from_ms + 1).filter(|(end, _)| *end <= fine_from);
        let points = coarse.chain(series.fine.from(fine_from.max(query.from_ms) + 1));
        let points: Vec<(Option<usize>, &Change)> = points.map(|(at, change)| (step(*at), change)).collect();
        if kind == Kind::Gauge {
            let before = series.fine.before(query.from_ms + 1).filter(|_| query.from_ms >= fine_from);
            let before = before.or_else(|| series.coarse.before(query.from_ms + 1));
            return hold(before.map(|(_, change)| change), &points, self.step_of_newest(query), cells);
        }
        let born = step(series.since_ms.max(query.from_ms + 1));
        let until = self.step_of_newest(query);
        for cell in cells.iter_mut().take(until + 1).skip(born.unwrap_or(usize::MAX)) {
            cell.known = true;
        }
        for (step, change) in points {
            let Some(cell) = step.map(|step| &mut cells[step]) else { continue };
            match change {
                Change::Number(more) => cell.sum += more,
                Change::Histogram(more) => more.add_to(&mut cell.histogram),
                Change::Gone => {}
            }
            cell.known = true;
        }
    }

    /// The step that the newest push is in: beyond it nothing is known. Before the first of them that is none.
    fn step_of_newest(&self, query: &Query) -> usize {
        (self.newest_ms.saturating_sub(query.from_ms + 1) / query.step_ms) as usize
    }
}

/// A gauge says the same until it says something else.
fn hold(before: Option<&Change>, points: &[(Option<usize>, &Change)], until: usize, cells: &mut [Cell]) {
    let mut now = before;
    let mut points = points.iter().peekable();
    for (at, cell) in cells.iter_mut().enumerate().take(until.saturating_add(1)) {
        while let Some((_, change)) = points.next_if(|(step, _)| step.is_some_and(|step| step <= at)) {
            now = Some(change);
        }
        if let Some(Change::Number(value)) = now {
            cell.sum += value;
            cell.known = true;
        }
    }
}

impl Cell {
    fn told(&self, take: Take, step_ms: u64, scale: f64) -> Option<f64> {
        let count = self.histogram.count();
        let much = self.sum + count as f64;
        match take {
            _ if !self.known => None,
            Take::Fitting | Take::Value | Take::Increase => Some(much),
            Take::Rate => Some(much * 1e3 / step_ms as f64),
            Take::Quantile(_) | Take::Mean if count == 0 => None,
            Take::Quantile(share) => Some(self.histogram.quantile(share) as f64 / scale),
            Take::Mean => Some(self.histogram.mean() / scale),
        }
    }
}

fn fitting(kind: Kind, take: Take) -> Result<Take, QueryError> {
    match (kind, take) {
        (Kind::Gauge, Take::Fitting) => Ok(Take::Value),
        (_, Take::Fitting) => Ok(Take::Rate),
        (Kind::Gauge, Take::Value) => Ok(take),
        (Kind::Histogram, Take::Quantile(share)) if (0.0..=1.0).contains(&share) => Ok(take),
        (Kind::Histogram, Take::Mean) => Ok(take),
        (Kind::Counter | Kind::Lasting | Kind::Histogram, Take::Rate | Take::Increase) => Ok(take),
        (kind, _) => Err(QueryError::Take(kind.word())),
    }
}

/// That of the catalogue by this name, or those that were sent.
fn meant(name: &str) -> Vec<&'static Metric> {
    catalogue::find(name).map_or_else(|| foreign::named(name), |metric| vec![metric])
}

/// The value of a label, empty if there is none of that name.
fn value<'k>(key: &'k Key, label: &str) -> &'k str {
    let place = key.metric.labels.iter().position(|known| *known == label);
    place.and_then(|at| key.labels.get(at)).map_or("", String::as_str)
}

fn is_meant(key: &Key, metrics: &[&'static Metric], labels: &[(String, String)]) -> bool {
    metrics.iter().any(|metric| std::ptr::eq(key.metric, *metric))
        && labels.iter().all(|(name, wanted)| value(key, name) == wanted)
}

/// The curves with the most in them, in the order in which they were.
fn most(curves: Vec<Curve>) -> Vec<Curve> {
    if curves.len() <= CURVES_MAX {
        return curves;
    }
    let weight = |curve: &Curve| curve.points.iter().filter_map(|(_, value)| *value).sum::<f64>();
    let mut weighed: Vec<(f64, usize, Curve)> =
        curves.into_iter().enumerate().map(|(at, curve)| (weight(&curve), at, curve)).collect();
    weighed.sort_by(|one, two| two.0.total_cmp(&one.0));
    weighed.truncate(CURVES_MAX);
    weighed.sort_by_key(|(_, at, _)| *at);
    weighed.into_iter().map(|(_, _, curve)| curve).collect()
}
