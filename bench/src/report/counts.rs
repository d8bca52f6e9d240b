//! Instructions a request, beside the first of several variants.

use std::collections::BTreeMap;

use serde::Serialize;

use super::layout::thousands;
use super::{store, table};
use crate::harness::machine::Machine;
use crate::stats::{Summary, summary};

/// Everything that is kept of them.
#[derive(Debug, Serialize)]
pub struct Counts {
    /// When they were made, as `YYYY-MM-DD`.
    pub date: String,
    pub machine: Machine,
    pub versions: BTreeMap<String, String>,
    pub connections: u32,
    pub rows: Vec<Row>,
}

/// One variant.
#[derive(Debug, Serialize)]
pub struct Row {
    pub system: String,
    pub rounds: usize,
    /// In user space, a request.
    pub instructions: Summary,
    /// Beyond those of the first.
    pub over_first: f64,
    /// The same as a share of the first's.
    pub percent_over_first: f64,
}

impl Counts {
    /// Sums up what was counted in each round; of no round nothing is left.
    pub fn new(
        machine: Machine,
        versions: BTreeMap<String, String>,
        connections: u32,
        all: &[(&str, Vec<f64>)],
    ) -> Counts {
        let first = all.first().and_then(|(_, counted)| summary(counted.iter().copied()));
        let row = |(name, counted): &(&str, Vec<f64>)| {
            let (first, own) = (first?, summary(counted.iter().copied())?);
            let over = own.median - first.median;
            Some(Row {
                system: (*name).to_owned(),
                rounds: counted.len(),
                instructions: own,
                over_first: over,
                percent_over_first: over * 100.0 / first.median,
            })
        };
        let rows = all.iter().filter_map(row).collect();
        Counts { date: store::today(), machine, versions, connections, rows }
    }

    /// For people.
    pub fn text(&self) -> String {
        let machine = &self.machine;
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let heads = ["policies", "instructions/req", "(lowest to highest)", "over default", "%"];
        let lines: Vec<Vec<String>> = std::iter::once(heads.map(str::to_owned).to_vec())
            .chain(self.rows.iter().map(Row::cells))
            .collect();
        format!(
            "Instructions a request in user space, HTTP/1.1 over {} connections; medians. {} with {} cores, {}; {}.\n\n{}",
            self.connections,
            machine.cpu,
            machine.cores,
            machine.kernel,
            versions.join(", "),
            table::align(&lines)
        )
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let Summary { median, lowest, highest } = self.instructions;
        vec![
            self.system.clone(),
            thousands(median),
            format!("{} to {}", thousands(lowest), thousands(highest)),
            format!("{:+.0}", self.over_first),
            format!("{:+.1}", self.percent_over_first),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_what_it_has_beyond_the_first() {
        let machine =
            Machine { cpu: "AMD EPYC".into(), cores: 2, kernel: "Linux 6.18".into(), ..Machine::default() };
        let versions =
            BTreeMap::from([("colony".into(), "0.1.0".into()), ("valgrind".into(), "3.19.0".into())]);
        let all = [
            ("default", vec![20_000.0, 20_010.0, 19_990.0]),
            ("no breaker", vec![19_500.0, 19_500.0, 19_600.0]),
        ];
        let counts = Counts::new(machine, versions, 64, &all);
        let expected = "\
Instructions a request in user space, HTTP/1.1 over 64 connections; medians. AMD EPYC with 2 cores, Linux 6.18; colony 0.1.0, valgrind 3.19.0.

  policies    instructions/req  (lowest to highest)  over default     %
  default               20,000     19,990 to 20,010            +0  +0.0
  no breaker            19,500     19,500 to 19,600          -500  -2.5
";
        assert_eq!(counts.text(), expected);
    }
}
