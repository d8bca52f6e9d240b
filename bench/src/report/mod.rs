//! From samples to what is shown and kept: medians, with their lowest and highest.

pub mod counts;
mod layout;
pub mod store;
pub mod svg;
pub mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::harness::machine::Machine;
use crate::stats::{Summary, summary};

/// One measurement of one system.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    pub case: String,
    pub system: String,
    /// Counted from 0; samples of one round were made next to each other.
    pub round: u32,
    pub ops_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub user_us_per_op: f64,
    pub kernel_us_per_op: f64,
    pub rss_idle_mib: f64,
    pub rss_mib: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kib_per_connection: Option<f64>,
    pub errors: u64,
}

impl Sample {
    /// User and kernel together.
    pub fn cpu_us_per_op(&self) -> f64 {
        self.user_us_per_op + self.kernel_us_per_op
    }

    /// For who watches a run.
    pub fn line(&self) -> String {
        let head = format!("{:<12} {:<12} {:>8.0}/s", self.case, self.system, self.ops_per_s);
        let cpu = self.cpu_us_per_op();
        match self.kib_per_connection {
            Some(kib) => format!("{head}  {cpu:>5.1} µs CPU  {kib:>6.2} KiB a connection"),
            None => format!("{head}  p99 {:>7.0} µs  {cpu:>5.1} µs CPU", self.p99_us),
        }
    }
}

/// All rounds of one system in one case: medians and, in `spread`, lowest and highest.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    pub case: String,
    pub system: String,
    pub rounds: usize,
    pub ops_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub cpu_us_per_op: f64,
    pub cpu_user_us_per_op: f64,
    pub cpu_kernel_us_per_op: f64,
    pub rss_idle_mib: f64,
    pub rss_mib: f64,
    /// Growth of the resident size by a connection that is idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kib_per_connection: Option<f64>,
    /// CPU time beyond that of the first system in the same round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_over_first: Option<f64>,
    /// Of all rounds together.
    pub errors: u64,
    pub spread: Spread,
}

/// Lowest and highest of all rounds.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "named as in the row")]
pub struct Spread {
    pub ops_per_s: (f64, f64),
    pub p50_us: (f64, f64),
    pub p99_us: (f64, f64),
    pub cpu_us_per_op: (f64, f64),
    pub rss_mib: (f64, f64),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kib_per_connection: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_over_first: Option<(f64, f64)>,
}

/// Which of the benchmarks a run is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    #[default]
    Proxy,
    Idle,
    Policies,
    Durable,
    Api,
    Telemetry,
}

/// What is kept of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    pub what: What,
    /// When it was made, as `YYYY-MM-DD`.
    pub date: String,
    pub machine: Machine,
    pub versions: BTreeMap<String, String>,
    /// Sentences on who could not do what.
    pub left_out: Vec<String>,
    pub rows: Vec<Row>,
    pub samples: Vec<Sample>,
}

impl Run {
    /// Sums samples up; rows come in the given order of cases, then of systems.
    pub fn new(
        what: What,
        machine: Machine,
        versions: BTreeMap<String, String>,
        cases: &[String],
        systems: &[&str],
        samples: Vec<Sample>,
    ) -> Run {
        let of_case = |case: &str| -> Vec<Row> {
            let own: Vec<&Sample> = samples.iter().filter(|sample| sample.case == case).collect();
            let first = systems.first().filter(|_| matches!(what, What::Policies | What::Telemetry));
            systems.iter().filter_map(|system| row(case, system, first.copied(), &own)).collect()
        };
        let rows = cases.iter().flat_map(|case| of_case(case)).collect();
        Run { what, date: store::today(), machine, versions, left_out: Vec::new(), rows, samples }
    }

    /// The same, with what it is without.
    pub fn without(self, left_out: Vec<String>) -> Run {
        Run { left_out, ..self }
    }

    /// The cases in their order.
    pub fn cases(&self) -> Vec<&str> {
        let mut cases: Vec<&str> = self.rows.iter().map(|row| row.case.as_str()).collect();
        cases.dedup();
        cases
    }

    /// The rows of one case.
    pub fn of_case(&self, case: &str) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.case == case).collect()
    }
}

/// One object in one line.
pub fn json_line(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// `first` is the system whose CPU time is taken off; none if that says nothing.
fn row(case: &str, system: &str, first: Option<&str>, samples: &[&Sample]) -> Option<Row> {
    let own = of(system, samples);
    let sum = |get: fn(&Sample) -> f64| summary(own.iter().map(|sample| get(sample)));
    let (ops, p50, p99) = (sum(|s| s.ops_per_s)?, sum(|s| s.p50_us)?, sum(|s| s.p99_us)?);
    let (cpu, rss) = (sum(Sample::cpu_us_per_op)?, sum(|s| s.rss_mib)?);
    let kib = summary(own.iter().filter_map(|sample| sample.kib_per_connection));
    let over = first.and_then(|first| over_first(&own, &of(first, samples)));
    Some(Row {
        case: case.to_owned(),
        system: system.to_owned(),
        rounds: own.len(),
        ops_per_s: ops.median,
        p50_us: p50.median,
        p99_us: p99.median,
        cpu_us_per_op: cpu.median,
        cpu_user_us_per_op: sum(|s| s.user_us_per_op)?.median,
        cpu_kernel_us_per_op: sum(|s| s.kernel_us_per_op)?.median,
        rss_idle_mib: sum(|s| s.rss_idle_mib)?.median,
        rss_mib: rss.median,
        kib_per_connection: kib.map(|kib| kib.median),
        cpu_us_over_first: over.map(|over| over.median),
        errors: own.iter().map(|sample| sample.errors).sum(),
        spread: Spread {
            ops_per_s: ends(ops),
            p50_us: ends(p50),
            p99_us: ends(p99),
            cpu_us_per_op: ends(cpu),
            rss_mib: ends(rss),
            kib_per_connection: kib.map(ends),
            cpu_us_over_first: over.map(ends),
        },
    })
}

fn of<'a>(system: &str, samples: &[&'a Sample]) -> Vec<&'a Sample> {
    samples.iter().copied().filter(|sample| sample.system == system).collect()
}

/// Differences are taken within a round: what slows all of it down cancels out.
fn over_first(own: &[&Sample], first: &[&Sample]) -> Option<Summary> {
    let beside = |sample: &Sample| first.iter().find(|first| first.round == sample.round);
    let over = |sample: &&Sample| Some(sample.cpu_us_per_op() - beside(sample)?.cpu_us_per_op());
    summary(own.iter().filter_map(over))
}

fn ends(summary: Summary) -> (f64, f64) {
    (summary.lowest, summary.highest)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three rounds of `colony` and `envoy`, from `(requests a second, user time)`.
    pub(crate) fn run(what: What) -> Run {
        let sample = |system: &str, round: u32, ops: f64, user: f64| Sample {
            case: "http1-64".into(),
            system: system.into(),
            round,
            ops_per_s: ops,
            p50_us: 800.0,
            p99_us: 4000.0,
            user_us_per_op: user,
            kernel_us_per_op: 10.0,
            rss_idle_mib: 20.0,
            rss_mib: 25.5,
            kib_per_connection: (what == What::Idle).then_some(user + 0.5),
            errors: 0,
        };
        let samples = vec![
            sample("colony", 0, 70_000.0, 3.0),
            sample("envoy", 0, 40_000.0, 20.0),
            sample("colony", 1, 90_000.0, 1.0),
            sample("envoy", 1, 42_000.0, 22.0),
            sample("colony", 2, 80_000.0, 2.0),
            sample("envoy", 2, 35_000.0, 18.0),
        ];
        let machine = Machine {
            host: "epyc-2core".into(),
            cpu: "AMD EPYC".into(),
            cores: 2,
            memory_gib: 24,
            kernel: "Linux 6.18".into(),
        };
        let versions = BTreeMap::from([("colony".into(), "0.1.0".into()), ("envoy".into(), "1.40.0".into())]);
        let cases = ["http1-64".to_owned()];
        let run = Run::new(what, machine, versions, &cases, &["colony", "envoy"], samples);
        Run { date: "2026-11-21".into(), ..run }
    }

    #[test]
    fn rows_are_medians_with_their_ends() {
        let run = run(What::Proxy);
        let colony = &run.rows[0];
        assert_eq!((colony.system.as_str(), colony.rounds, colony.ops_per_s), ("colony", 3, 80_000.0));
        assert_eq!(colony.spread.ops_per_s, (70_000.0, 90_000.0));
        assert_eq!((colony.cpu_us_per_op, colony.cpu_user_us_per_op), (12.0, 2.0));
        assert_eq!((colony.kib_per_connection, colony.cpu_us_over_first), (None, None));
    }

    #[test]
    fn differences_are_those_of_rounds_and_not_of_medians() {
        let run = run(What::Policies);
        assert_eq!(run.rows[0].cpu_us_over_first, Some(0.0));
        assert_eq!(run.rows[1].cpu_us_over_first, Some(17.0));
        assert_eq!(run.rows[1].spread.cpu_us_over_first, Some((16.0, 21.0)));
    }

    #[test]
    fn idle_connections_have_a_size() {
        let run = run(What::Idle);
        assert_eq!(run.rows[0].kib_per_connection, Some(2.5));
        assert_eq!(run.rows[0].spread.kib_per_connection, Some((1.5, 3.5)));
    }

    #[test]
    fn a_line_of_json_has_the_agreed_names() {
        let line: serde_json::Value = serde_json::from_str(&json_line(&run(What::Proxy).rows[0])).unwrap();
        for name in ["case", "system", "ops_per_s", "p50_us", "p99_us", "cpu_us_per_op", "rss_mib", "spread"]
        {
            assert!(!line[name].is_null(), "{name}");
        }
        let idle = json_line(&run(What::Idle).rows[0]);
        assert!(idle.contains("\"kib_per_connection\":2.5"), "{idle}");
    }
}
