//! From samples to what is shown and kept: medians, with their lowest and highest.

pub mod store;
pub mod svg;
pub mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::harness::machine::Machine;

/// One measurement of one system.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    pub case: String,
    pub system: String,
    pub ops_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub user_us_per_op: f64,
    pub kernel_us_per_op: f64,
    pub rss_idle_mib: f64,
    pub rss_mib: f64,
    pub errors: u64,
}

impl Sample {
    /// User and kernel together.
    pub fn cpu_us_per_op(&self) -> f64 {
        self.user_us_per_op + self.kernel_us_per_op
    }
}

/// All rounds of one system in one case: medians and, in `spread`, lowest and highest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    /// Of all rounds together.
    pub errors: u64,
    pub spread: Spread,
}

/// Lowest and highest of all rounds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the row")]
pub struct Spread {
    pub ops_per_s: (f64, f64),
    pub p50_us: (f64, f64),
    pub p99_us: (f64, f64),
    pub cpu_us_per_op: (f64, f64),
    pub rss_mib: (f64, f64),
}

/// What is kept of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// When it was made, as `YYYY-MM-DD`.
    pub date: String,
    pub machine: Machine,
    pub versions: BTreeMap<String, String>,
    pub rows: Vec<Row>,
    pub samples: Vec<Sample>,
}

impl Run {
    /// Sums samples up; rows come by case, then in the given order of systems.
    pub fn new(
        machine: Machine,
        versions: BTreeMap<String, String>,
        order: &[&str],
        samples: Vec<Sample>,
    ) -> Run {
        let mut cases: Vec<&str> = Vec::new();
        for sample in &samples {
            if !cases.contains(&sample.case.as_str()) {
                cases.push(&sample.case);
            }
        }
        let pairs = cases.iter().flat_map(|case| order.iter().map(move |system| (*case, *system)));
        let rows = pairs.filter_map(|(case, system)| row(case, system, &samples)).collect();
        Run { date: store::today(), machine, versions, rows, samples }
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
pub fn json_line(row: &Row) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

fn row(case: &str, system: &str, samples: &[Sample]) -> Option<Row> {
    let own: Vec<&Sample> = samples.iter().filter(|s| s.case == case && s.system == system).collect();
    let of = |get: fn(&Sample) -> f64| {
        let mut values: Vec<f64> = own.iter().map(|sample| get(sample)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let middle = |get| median(&of(get));
    let ends = |get| {
        let values = of(get);
        Some((round(*values.first()?), round(*values.last()?)))
    };
    Some(Row {
        case: case.to_owned(),
        system: system.to_owned(),
        rounds: own.len(),
        ops_per_s: middle(|s| s.ops_per_s)?,
        p50_us: middle(|s| s.p50_us)?,
        p99_us: middle(|s| s.p99_us)?,
        cpu_us_per_op: middle(Sample::cpu_us_per_op)?,
        cpu_user_us_per_op: middle(|s| s.user_us_per_op)?,
        cpu_kernel_us_per_op: middle(|s| s.kernel_us_per_op)?,
        rss_idle_mib: middle(|s| s.rss_idle_mib)?,
        rss_mib: middle(|s| s.rss_mib)?,
        errors: own.iter().map(|sample| sample.errors).sum(),
        spread: Spread {
            ops_per_s: ends(|s| s.ops_per_s)?,
            p50_us: ends(|s| s.p50_us)?,
            p99_us: ends(|s| s.p99_us)?,
            cpu_us_per_op: ends(Sample::cpu_us_per_op)?,
            rss_mib: ends(|s| s.rss_mib)?,
        },
    })
}

/// Of sorted values; the mean of the two in the middle when their number is even.
fn median(values: &[f64]) -> Option<f64> {
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(round(values[middle])),
        _ => Some(round(f64::midpoint(values[middle - 1], values[middle]))),
    }
}

/// Two decimals: more would only look exact.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run() -> Run {
        let sample = |system: &str, ops: f64, user: f64| Sample {
            case: "proxy-64".into(),
            system: system.into(),
            ops_per_s: ops,
            p50_us: 800.0,
            p99_us: 4000.0,
            user_us_per_op: user,
            kernel_us_per_op: 10.0,
            rss_idle_mib: 20.0,
            rss_mib: 25.5,
            errors: 0,
        };
        let samples = vec![
            sample("colony", 70_000.0, 3.0),
            sample("envoy", 40_000.0, 20.0),
            sample("colony", 90_000.0, 1.0),
            sample("envoy", 42_000.0, 22.0),
            sample("colony", 80_000.0, 2.0),
            sample("envoy", 35_000.0, 18.0),
        ];
        let machine = Machine {
            host: "epyc-2core".into(),
            cpu: "AMD EPYC".into(),
            cores: 2,
            memory_gib: 24,
            kernel: "Linux 6.18".into(),
        };
        let versions = BTreeMap::from([("colony".into(), "0.1.0".into()), ("envoy".into(), "1.40.0".into())]);
        Run { date: "2026-11-21".into(), ..Run::new(machine, versions, &["colony", "envoy"], samples) }
    }

    #[test]
    fn rows_are_medians_with_their_ends() {
        let run = run();
        let colony = &run.rows[0];
        assert_eq!((colony.system.as_str(), colony.rounds, colony.ops_per_s), ("colony", 3, 80_000.0));
        assert_eq!(colony.spread.ops_per_s, (70_000.0, 90_000.0));
        assert_eq!((colony.cpu_us_per_op, colony.cpu_user_us_per_op), (12.0, 2.0));
    }

    #[test]
    fn an_even_number_has_two_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_line_of_json_has_the_agreed_names() {
        let line: serde_json::Value = serde_json::from_str(&json_line(&run().rows[0])).unwrap();
        for name in ["case", "system", "ops_per_s", "p50_us", "p99_us", "cpu_us_per_op", "rss_mib", "spread"]
        {
            assert!(!line[name].is_null(), "{name}");
        }
    }
}
