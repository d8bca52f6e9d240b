//! What telemetry costs: Colony with all of it on, as by default, beside itself with less of it, while it has a given
//! number of requests a second to answer. As much as it can do would say nothing of that: under overload telemetry takes a share of the traces.

use super::{Stage, Work, interleave};
use crate::harness::Result;
use crate::harness::machine::Machine;
use crate::peers::{Front, Installed, Tuning};
use crate::report::{Run, Sample, What};

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    /// Requests a second.
    pub rate: u32,
}

/// Measures every variant.
pub fn run(plan: &Plan, installed: Installed, machine: Machine) -> Result<Run> {
    let stage = Stage::new(installed, machine.cores, CONNECTIONS, false)?;
    let work = Work { front: Front::Http1, connections: CONNECTIONS };
    let case = format!("steady-{}", plan.rate);
    let samples = interleave(plan.rounds, &VARIANTS, |(name, tuning)| {
        let sample = stage.measure_at(work, plan.rate, plan.seconds, tuning)?;
        Ok(Sample { case: case.clone(), system: name.to_owned(), ..sample })
    })?;
    let order = VARIANTS.map(|(name, _)| name);
    let versions = stage.installed.versions();
    Ok(Run::new(What::Telemetry, machine, versions, std::slice::from_ref(&case), &order, samples))
}

/// No spans of requests.
pub const NO_TRACES: Tuning = Tuning { route: "", manifest: "telemetry: { traces: none }\n", flags: &[] };

/// The first has least; what the others have more is what it costs.
const VARIANTS: [(&str, Tuning); 3] = [
    ("no traces, no page", Tuning { flags: &["--console", "off"], ..NO_TRACES }),
    ("no traces", NO_TRACES),
    ("default", Tuning { route: "", manifest: "", flags: &[] }),
];

/// So few that each is busy, and so many that both cores have some.
const CONNECTIONS: u32 = 20;
