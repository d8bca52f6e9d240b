//! HTTP/1.1 reverse proxying: a 1 KiB answer from the same backend through each system in turn.

use std::path::Path;

use crate::harness::machine::Machine;
use crate::harness::{Error, Result, interrupt, wrk};
use crate::peers::{Installed, Server, System};
use crate::report::{Run, Sample};

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    pub connections: Vec<u32>,
    pub systems: Vec<System>,
}

/// Measures everything, telling on standard error how far it is.
///
/// Every round goes through all systems, in an order that turns, so that a slow phase of the
/// machine does not always meet the same one. A system is started anew for each measurement.
pub fn run(plan: &Plan, installed: Installed, machine: Machine) -> Result<Run> {
    let folder = tempfile::tempdir().map_err(|error| Error::new("make a folder for the run", error))?;
    let backend = installed.start_backend(folder.path())?;
    let mut samples = Vec::new();
    for round in 0..plan.rounds {
        for connections in &plan.connections {
            let mut systems = plan.systems.clone();
            systems.rotate_left(round as usize % plan.systems.len().max(1));
            for system in systems {
                let sample =
                    measure(&installed, system, folder.path(), &backend, *connections, plan.seconds)?;
                eprintln!(
                    "round {} of {}: {:<10} {:<8} {:>8.0}/s  p99 {:>7.0} µs  {:>5.1} µs CPU",
                    round + 1,
                    plan.rounds,
                    sample.case,
                    sample.system,
                    sample.ops_per_s,
                    sample.p99_us,
                    sample.cpu_us_per_op()
                );
                samples.push(sample);
            }
        }
    }
    let order: Vec<&str> = plan.systems.iter().map(|system| system.name()).collect();
    Ok(Run::new(machine, installed.versions(), &order, samples))
}

fn measure(
    installed: &Installed,
    system: System,
    folder: &Path,
    backend: &Server,
    connections: u32,
    seconds: u32,
) -> Result<Sample> {
    interrupt::check()?;
    let server = installed.start(system, folder, backend.port)?;
    let idle = server.process.usage();
    let load = |seconds, watch: &mut dyn FnMut()| {
        wrk::run(&installed.wrk, folder, server.port, connections, seconds, watch)
    };
    load(WARM_UP_S, &mut || ())?;
    let before = server.process.usage();
    let mut rss_kib = before.rss_kib;
    let load = load(seconds, &mut || rss_kib = rss_kib.max(server.process.usage().rss_kib))?;
    let (user, kernel) = server.process.usage().cpu_since(&before);
    let requests = load.requests.max(1) as f64;
    Ok(Sample {
        case: format!("proxy-{connections}"),
        system: system.name().to_owned(),
        ops_per_s: load.ops_per_s(),
        p50_us: load.p50_us,
        p99_us: load.p99_us,
        user_us_per_op: user.as_secs_f64() * 1e6 / requests,
        kernel_us_per_op: kernel.as_secs_f64() * 1e6 / requests,
        rss_idle_mib: idle.rss_kib as f64 / 1024.0,
        rss_mib: rss_kib as f64 / 1024.0,
        errors: load.errors,
    })
}

/// Load before the measured one: connections are opened and caches filled.
const WARM_UP_S: u32 = 1;
