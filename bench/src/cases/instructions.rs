//! What each of Colony's policies costs in instructions a request: in user space, where policies are.
//!
//! Every variant runs twice, with few requests and with many. The difference is that of the requests alone:
//! start, connections and end are the same in both.

use std::path::Path;

use super::policies::VARIANTS;
use super::{Stage, Work};
use crate::harness::callgrind::Callgrind;
use crate::harness::machine::Machine;
use crate::harness::{Error, Result};
use crate::peers::{self, Front, Installed};
use crate::report::counts::Counts;

/// How much is counted.
pub struct Plan {
    pub rounds: u32,
    pub connections: u32,
}

/// Counts every variant.
pub fn run(plan: &Plan, valgrind: &Path, installed: Installed, machine: Machine) -> Result<Counts> {
    let stage = Stage::new(installed, machine.cores, plan.connections, false)?;
    let work = Work { front: Front::Http1, connections: plan.connections };
    let folder =
        tempfile::tempdir().map_err(|error| Error::new("make a folder for what is counted", error))?;
    let tool = Callgrind::new(valgrind, folder.path());
    let mut all = VARIANTS.map(|(name, _)| (name, Vec::new()));
    for round in 1..=plan.rounds {
        for ((name, counted), (_, tuning)) in all.iter_mut().zip(VARIANTS) {
            let few = stage.instructions(&tool, work, FEW, tuning)?;
            let many = stage.instructions(&tool, work, MANY, tuning)?;
            let each = many.saturating_sub(few) as f64 / f64::from(MANY - FEW);
            eprintln!("round {round} of {}: {name:<12} {each:>8.0} instructions", plan.rounds);
            counted.push(each);
        }
    }
    let mut versions = stage.installed.versions();
    versions.insert("valgrind".to_owned(), peers::version(valgrind, "--version"));
    Ok(Counts::new(machine, versions, plan.connections, &all))
}

/// At least one for each connection that there may be.
const FEW: u32 = 4_000;
const MANY: u32 = 24_000;
