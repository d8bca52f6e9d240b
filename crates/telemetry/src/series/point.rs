//! The points of a series: what changed, and when.

use std::collections::VecDeque;

use crate::catalogue::Kind;
use crate::metrics::HistogramSnapshot;

/// What is new of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// By how much a counter has grown, or what a gauge says now.
    Number(f64),
    /// By how much a histogram has grown.
    Histogram(Sparse),
    /// The gauge says nothing any more.
    Gone,
}

/// A histogram by the buckets that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    /// Which, in order, and how many are in each.
    pub buckets: Box<[(u16, u64)]>,
    /// The sum in microseconds.
    pub sum_micros: u64,
}

impl Sparse {
    /// The same as a snapshot.
    pub fn of(snapshot: &HistogramSnapshot) -> Sparse {
        let buckets = snapshot.buckets().map(|(at, count)| (at as u16, count)).collect();
        Sparse { buckets, sum_micros: snapshot.sum() }
    }

    /// Adds it to a snapshot.
    pub fn add_to(&self, snapshot: &mut HistogramSnapshot) {
        let buckets = self.buckets.iter().map(|&(at, count)| (usize::from(at), count));
        snapshot.add(buckets, self.sum_micros);
    }

    fn merge(&mut self, other: &Sparse) {
        let mut both = HistogramSnapshot::default();
        self.add_to(&mut both);
        other.add_to(&mut both);
        *self = Sparse::of(&both);
    }
}

/// Points in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Tier(VecDeque<(u64, Change)>);

impl Tier {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, at_ms: u64, change: Change) {
        self.0.push_back((at_ms, change));
    }

    /// Adds to the point of this time, which is the last one if there is one.
    pub(super) fn merge(&mut self, at_ms: u64, kind: Kind, change: &Change) {
        match (self.0.back_mut(), change) {
            (Some((last, into)), change) if *last == at_ms => match (into, change) {
                (Change::Number(sum), Change::Number(more)) if kind != Kind::Gauge => *sum += more,
                (Change::Histogram(sum), Change::Histogram(more)) => sum.merge(more),
                (into, change) => *into = change.clone(),
            },
            (_, change) => self.0.push_back((at_ms, change.clone())),
        }
    }

    /// Forgets what was before; of a gauge all but what it said last before.
    pub(super) fn forget(&mut self, from_ms: u64, kind: Kind) {
        loop {
            let decides = if kind == Kind::Gauge { self.0.get(1) } else { self.0.front() };
            let alone_and_gone =
                self.0.len() == 1 && matches!(self.0.front(), Some((at, Change::Gone)) if *at < from_ms);
            if !alone_and_gone && decides.is_none_or(|(at, _)| *at >= from_ms) {
                return;
            }
            self.0.pop_front();
        }
    }

    /// The points from a time on.
    pub(super) fn from(&self, from_ms: u64) -> impl Iterator<Item = &(u64, Change)> {
        let first = self.0.partition_point(|(at, _)| *at < from_ms);
        self.0.range(first..)
    }

    /// The last point before a time.
    pub(super) fn before(&self, at_ms: u64) -> Option<&(u64, Change)> {
        let first = self.0.partition_point(|(at, _)| *at < at_ms);
        self.0.get(first.checked_sub(1)?)
    }
}
