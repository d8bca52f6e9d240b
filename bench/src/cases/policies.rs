//! What each of Colony's policies costs: Colony with its defaults beside itself with one less, or more.

use super::{Stage, Work, interleave};
use crate::harness::Result;
use crate::harness::machine::Machine;
use crate::peers::{Front, Installed, System};
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
    let samples = interleave(plan.rounds, &VARIANTS, |(name, policies)| {
        let sample = stage.measure(System::Colony, work, plan.seconds, policies)?;
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

/// Names as in results, and keys of the route. The first is what all others are compared with. Limits
/// are so high that they refuse nobody, and no fallback is needed.
pub const VARIANTS: [(&str, &str); 16] = [
    ("default", ""),
    ("no timeout", "timeout: none"),
    ("no retries", "retries: none"),
    ("no breaker", "breaker: none"),
    ("no ejection", "ejection: none"),
    ("no policies", "timeout: none, retries: none, breaker: none, ejection: none"),
    ("limit", "limit: { rate: 1000000000/s, headers: false }"),
    ("limit, told", "limit: 1000000000/s"),
    ("client limit", "limit: { rate: 1000000000/s per client, headers: false }"),
    ("bulkhead", "concurrency: 100000"),
    ("adaptive", "concurrency: { adaptive: true, min: 1000, max: 2000 }"),
    ("slow calls", "breaker: { slow: 5s }"),
    ("per try", "per-try: 5s"),
    ("hedge", "hedge: p99.9"),
    ("maglev", "balance: { policy: maglev, client: true }"),
    ("fallback", "fallback: { status: 200, body: none }"),
];
