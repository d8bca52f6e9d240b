//! What each of Colony's policies costs: Colony with its defaults beside itself with one less, or more.

use super::{Stage, Work, interleave, telemetry};
use crate::harness::Result;
use crate::harness::machine::Machine;
use crate::peers::{Front, Installed, System, Tuning};
use crate::report::{Run, Sample, What};

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    pub connections: u32,
}

/// Measures every variant.
pub fn run(plan: &Plan, installed: Installed, machine: Machine) -> Result<Run> {
    let stage = Stage::new(installed, machine.cores, plan.connections, false)?;
    let work = Work { front: Front::Http1, connections: plan.connections };
    let case = format!("policies-{}", plan.connections);
    let samples = interleave(plan.rounds, &VARIANTS, |(name, tuning)| {
        let sample = stage.measure(System::Colony, work, plan.seconds, tuning)?;
        Ok(Sample { case: case.clone(), system: name.to_owned(), ..sample })
    })?;
    let order = VARIANTS.map(|(name, _)| name);
    Ok(Run::new(
        What::Policies,
        machine,
        stage.installed.versions(),
        std::slice::from_ref(&case),
        &order,
        samples,
    ))
}

/// Names as in results, and what is different. The first is what all others are compared with. Limits
/// are so high that they refuse nobody, and no fallback is needed.
pub const VARIANTS: [(&str, Tuning); 17] = [
    ("default", route("")),
    ("no timeout", route("timeout: none")),
    ("no retries", route("retries: none")),
    ("no breaker", route("breaker: none")),
    ("no ejection", route("ejection: none")),
    ("no policies", route("timeout: none, retries: none, breaker: none, ejection: none")),
    ("limit", route("limit: { rate: 1000000000/s, headers: false }")),
    ("limit, told", route("limit: 1000000000/s")),
    ("client limit", route("limit: { rate: 1000000000/s per client, headers: false }")),
    ("bulkhead", route("concurrency: 100000")),
    ("adaptive", route("concurrency: { adaptive: true, min: 1000, max: 2000 }")),
    ("slow calls", route("breaker: { slow: 5s }")),
    ("per try", route("per-try: 5s")),
    ("hedge", route("hedge: p99.9")),
    ("maglev", route("balance: { policy: maglev, client: true }")),
    ("fallback", route("fallback: { status: 200, body: none }")),
    ("no traces", telemetry::NO_TRACES),
];

const fn route(route: &str) -> Tuning<'_> {
    Tuning { route, manifest: "", flags: &[] }
}
