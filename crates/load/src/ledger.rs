//! Counts what happened. Pure: times come as arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::config::TIMEOUT_MAX;
use crate::report::{Example, Failures, Latency};

/// How one request ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Ok,
    Failed { kind: Kind, detail: String },
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Connect,
    Reset,
    Protocol,
    Timeout,
    /// The step did not expect this one.
    Status(u16),
    /// What the step wanted to save was not in the answer.
    Save,
    /// The request could not be written down.
    Invalid,
}

impl Kind {
    /// Whether the time until then says something about the server: an answer came, or the
    /// customer gave up. Leaving the latter out would leave out the slowest; counting refused
    /// connections would make a server that is down look quick.
    fn has_latency(self) -> bool {
        matches!(self, Kind::Status(_) | Kind::Save | Kind::Timeout)
    }
}

/// One request that ended.
pub(crate) struct Sample {
    /// Its place among all steps.
    pub step: usize,
    /// From the intended send time.
    pub latency: Duration,
    pub bytes: u64,
    pub outcome: Outcome,
}

/// All counts of a run, overall, by step and since the last tick.
pub(crate) struct Ledger {
    pub all: Line,
    pub steps: Vec<Line>,
    pub window: Line,
    pub failures: Failures,
    /// How late the generator itself was.
    lag: Histogram<u64>,
    examples: BTreeMap<(usize, Kind), Example>,
}

/// Counts and latencies of one kind of request.
#[derive(Clone)]
pub(crate) struct Line {
    pub sent: u64,
    pub ok: u64,
    pub failed: u64,
    pub bytes: u64,
    latency: Histogram<u64>,
}

impl Line {
    fn new() -> Line {
        Line { sent: 0, ok: 0, failed: 0, bytes: 0, latency: histogram() }
    }

    fn record(&mut self, sample: &Sample) {
        self.bytes += sample.bytes;
        let measured = match &sample.outcome {
            Outcome::Ok => {
                self.ok += 1;
                true
            }
            Outcome::Failed { kind, .. } => {
                self.failed += 1;
                kind.has_latency()
            }
        };
        if measured {
            self.latency.saturating_record(micros(sample.latency));
        }
    }

    /// Percentiles so far.
    pub(crate) fn latency(&self) -> Latency {
        summary(&self.latency)
    }
}

impl Ledger {
    pub(crate) fn new(steps: usize) -> Ledger {
        Ledger {
            all: Line::new(),
            steps: vec![Line::new(); steps],
            window: Line::new(),
            failures: Failures::default(),
            lag: histogram(),
            examples: BTreeMap::new(),
        }
    }

    /// A request is on its way, `lag` after it should have been.
    pub(crate) fn sent(&mut self, step: usize, lag: Duration) {
        self.lag.saturating_record(micros(lag));
        for line in [&mut self.all, &mut self.steps[step], &mut self.window] {
            line.sent += 1;
        }
    }

    /// A request has ended.
    pub(crate) fn ended(&mut self, sample: Sample) {
        for line in [&mut self.all, &mut self.steps[sample.step], &mut self.window] {
            line.record(&sample);
        }
        if let Outcome::Failed { kind, detail } = sample.outcome {
            self.failures.count(kind);
            self.example(sample.step, kind, detail);
        }
    }

    /// A request of the warm-up has ended: shown in progress, counted nowhere else.
    pub(crate) fn warmed(&mut self, sample: &Sample) {
        self.window.record(sample);
    }

    /// Closes the window since the last tick and opens the next.
    pub(crate) fn turn_window(&mut self) -> Line {
        std::mem::replace(&mut self.window, Line::new())
    }

    /// How late the generator itself was.
    pub(crate) fn lag(&self) -> Latency {
        summary(&self.lag)
    }

    /// The kinds of failure that came first, the most frequent foremost.
    pub(crate) fn examples(&self) -> Vec<(usize, Example)> {
        let mut examples: Vec<_> =
            self.examples.iter().map(|((step, _), example)| (*step, example.clone())).collect();
        examples.sort_by_key(|(_, example)| std::cmp::Reverse(example.count));
        examples
    }

    fn example(&mut self, step: usize, kind: Kind, detail: String) {
        if let Some(example) = self.examples.get_mut(&(step, kind)) {
            example.count += 1;
        } else if self.examples.len() < EXAMPLES_MAX {
            self.examples.insert((step, kind), Example::new(kind, detail));
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::expect_used, reason = "its arguments are constants")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, TIMEOUT_MAX.as_micros() as u64, DIGITS)
        .expect("an hour in microseconds with three digits is within what a histogram holds")
}

fn summary(histogram: &Histogram<u64>) -> Latency {
    Latency {
        p50_us: histogram.value_at_quantile(0.5),
        p90_us: histogram.value_at_quantile(0.9),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
        mean_us: histogram.mean().round() as u64,
    }
}

/// Every value is kept to within a thousandth of itself.
const DIGITS: u8 = 3;
const EXAMPLES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: Kind) -> Sample {
        let outcome = Outcome::Failed { kind, detail: "why".into() };
        Sample { step: 0, latency: Duration::from_millis(5), bytes: 0, outcome }
    }

    #[test]
    fn a_refused_connection_does_not_look_quick() {
        let mut ledger = Ledger::new(1);
        ledger.ended(failed(Kind::Connect));
        assert_eq!((ledger.all.failed, ledger.all.latency().max_us), (1, 0));
        ledger.ended(failed(Kind::Timeout));
        assert!((5_000..5_010).contains(&ledger.all.latency().max_us));
    }

    #[test]
    fn examples_are_distinct_and_bounded() {
        let mut ledger = Ledger::new(1);
        for status in 500..520 {
            ledger.ended(failed(Kind::Status(status)));
            ledger.ended(failed(Kind::Status(500)));
        }
        let examples = ledger.examples();
        assert_eq!((examples.len(), examples[0].1.count), (10, 21));
        assert_eq!(ledger.failures.status[&500], 21);
    }

    #[test]
    fn a_window_begins_empty() {
        let mut ledger = Ledger::new(1);
        ledger.ended(failed(Kind::Reset));
        assert_eq!(ledger.turn_window().failed, 1);
        assert_eq!(ledger.turn_window().failed, 0);
        assert_eq!(ledger.all.failed, 1);
    }
}
