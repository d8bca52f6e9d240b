//! Idle visitors: what a connection that has had one answer, and stays, costs in memory.
//!
//! The figure is the growth of the resident size while the connections come, divided by their number.
//! What a system sets aside for them at its start (nginx its table of connections) is not in it.

use super::{Stage, Work, interleave};
use crate::harness::crowd::Crowd;
use crate::harness::machine::Machine;
use crate::harness::{Error, Result, interrupt};
use crate::peers::{BODY_BYTES, Front, Installed, System, Tuning};
use crate::report::{Run, Sample, What};
use crate::stats::percentile;

use std::time::{Duration, Instant};

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub connections: u32,
    pub systems: Vec<System>,
}

/// Measures every system.
pub fn run(plan: &Plan, installed: Installed, machine: Machine) -> Result<Run> {
    let stage = Stage::new(installed, machine.cores, plan.connections, true)?;
    let samples = interleave(plan.rounds, &plan.systems, |system| measure(&stage, system, plan.connections))?;
    let order: Vec<&str> = plan.systems.iter().map(|system| system.name()).collect();
    let cases = [name(plan.connections)];
    Ok(Run::new(What::Idle, machine, stage.installed.versions(), &cases, &order, samples))
}

fn measure(stage: &Stage, system: System, connections: u32) -> Result<Sample> {
    let work = Work { front: Front::Http1, connections };
    let mut server = stage.start(system, work, true, Tuning::default())?;
    // What the first requests need once is not the cost of a connection.
    drop(Crowd::open(server.port, WARM_UP_CONNECTIONS, BODY_BYTES)?);
    settle()?;
    let before = server.process.usage();
    let mut crowd = Crowd::open(server.port, connections, BODY_BYTES)?;
    let (user, kernel) = server.process.usage().cpu_since(&before);
    settle()?;
    let after = server.process.usage();
    server.process.expect_alive()?;
    expect_all(system, &crowd, connections)?;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / f64::from(connections);
    Ok(Sample {
        case: name(connections),
        system: system.name().to_owned(),
        ops_per_s: f64::from(connections) / crowd.took.as_secs_f64(),
        p50_us: percentile(&mut crowd.each_us, 50.0).unwrap_or(0) as f64,
        p99_us: percentile(&mut crowd.each_us, 99.0).unwrap_or(0) as f64,
        user_us_per_op: each(user),
        kernel_us_per_op: each(kernel),
        rss_idle_mib: before.rss_kib as f64 / 1024.0,
        rss_mib: after.rss_kib as f64 / 1024.0,
        kib_per_connection: Some(growth_kib(before.rss_kib, after.rss_kib) / f64::from(connections)),
        ..Sample::default()
    })
}

/// A connection that was closed costs nothing: that would be no comparison.
fn expect_all(system: System, crowd: &Crowd, connections: u32) -> Result<()> {
    match crowd.lost() {
        0 => Ok(()),
        lost => Err(Error::say(format!("{} closed {lost} of {connections} idle connections", system.name()))),
    }
}

/// Allocators give memory back some time after it is free.
fn settle() -> Result<()> {
    let end = Instant::now() + SETTLE;
    while Instant::now() < end {
        interrupt::pause()?;
    }
    Ok(())
}

fn growth_kib(before: u64, after: u64) -> f64 {
    after as f64 - before as f64
}

fn name(connections: u32) -> String {
    format!("idle-{connections}")
}

const WARM_UP_CONNECTIONS: u32 = 100;
const SETTLE: Duration = Duration::from_secs(2);
