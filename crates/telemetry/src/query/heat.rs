//! How many took how long when: counts by stretches of time and of latency, for a map that shows at a glance where it is slow.

use serde::Serialize;

use super::{Range, TraceQuery, View};
use crate::part::Part;

/// Most stretches of time.
const COLUMNS_MAX: usize = 480;
/// Where stretches of latency end, in nanoseconds: four to a power of ten, from 100 µs to 100 s. What takes longer is in a last
/// one without an end.
pub const BOUNDS_NS: [u64; 24] = {
    let mut bounds = [0; 24];
    let mut at = 0;
    let mut power = 100_000;
    while at < bounds.len() {
        // The fourth roots of ten, in hundredths.
        let factor = [178, 316, 562, 1_000][at % 4];
        bounds[at] = power * factor / 100;
        at += 1;
        if at % 4 == 0 {
            power *= 10;
        }
    }
    bounds
};

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatQuery {
    /// Which traces are counted: those that a list would have.
    pub traces: TraceQuery,
    /// Into how many stretches their time is divided; up to 480.
    pub columns: usize,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heat {
    /// When the first stretch begins, in microseconds since 1970.
    pub from_us: u64,
    /// How long each stretch is, in microseconds.
    pub step_us: u64,
    /// Where stretches of latency end, in nanoseconds; there is one more.
    pub bounds_ns: Vec<u64>,
    /// For each stretch of time, how many of each of latency.
    pub counts: Vec<Vec<f64>>,
    /// For each stretch of time, how many of each of latency failed.
    pub errors: Vec<Vec<f64>>,
    /// Whether more was to be looked at than a query may.
    pub cut: bool,
}

impl View {
    /// Counts. A trace is where it began and as long as its first span took; where a service or name is asked for, each span that
    /// answers somebody there is counted, or if none is what it asks of others.
    pub(crate) fn heat(&self, query: &HeatQuery) -> Heat {
        let columns = query.columns.clamp(1, COLUMNS_MAX);
        let HeatQuery { traces, .. } = query;
        let Range { from_ns, to_ns } = traces.range;
        let step_ns = (to_ns.saturating_sub(from_ns) / columns as u64).max(1);
        let empty = vec![vec![0.0; BOUNDS_NS.len() + 1]; columns];
        let (mut counts, mut errors) = (empty.clone(), empty);
        let mut walk = self.walk::<Part>(|zone| traces.may_be_in(zone, u64::MAX));
        while let Some(parts) = walk.next(|_| false) {
            for part in parts.iter().filter(|part| traces.is_met(part)) {
                let column = (((part.start_ns - from_ns) / step_ns) as usize).min(columns - 1);
                for span in traces.span.timed(part) {
                    let row = BOUNDS_NS.partition_point(|bound| *bound < span.duration_ns);
                    counts[column][row] += part.weight();
                    if span.is_error() {
                        errors[column][row] += part.weight();
                    }
                }
            }
        }
        let (bounds_ns, cut) = (BOUNDS_NS.to_vec(), walk.cut_at.is_some());
        Heat { from_us: from_ns / 1_000, step_us: step_ns / 1_000, bounds_ns, counts, errors, cut }
    }
}
