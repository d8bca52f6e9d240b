//! Reverse proxying: a 1 KiB answer from the same backend through each system in turn.

use super::{HTTP2_CONNECTIONS, Stage, Work, interleave};
use crate::harness::Result;
use crate::harness::machine::Machine;
use crate::peers::{Front, Installed, System, Tuning};
use crate::report::{Run, What};

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    pub fronts: Vec<Front>,
    /// Of HTTP/1.1; HTTP/2 has its own.
    pub connections: Vec<u32>,
    pub systems: Vec<System>,
}

/// Measures every system with every load that it bears.
pub fn run(plan: &Plan, installed: Installed, machine: Machine) -> Result<Run> {
    let most = plan.connections.iter().copied().max().unwrap_or(0).max(HTTP2_CONNECTIONS);
    let stage = Stage::new(installed, machine.cores, most, false)?;
    let mut left_out = Vec::new();
    let mut turns = Vec::new();
    for work in plan.works() {
        for system in plan.systems.iter().copied() {
            match stage.installed.lacks(system, work.front) {
                None => turns.push((work, system)),
                Some(why) => {
                    left_out.push(format!("{} is left out of {}: {why}", system.name(), work.name()));
                }
            }
        }
    }
    left_out.iter().for_each(|line| eprintln!("{line}"));
    let samples = interleave(plan.rounds, &turns, |(work, system)| {
        stage.measure(system, work, plan.seconds, Tuning::default())
    })?;
    let order: Vec<&str> = plan.systems.iter().map(|system| system.name()).collect();
    let cases: Vec<String> = plan.works().iter().map(Work::name).collect();
    Ok(Run::new(What::Proxy, machine, stage.installed.versions(), &cases, &order, samples).without(left_out))
}

impl Plan {
    fn works(&self) -> Vec<Work> {
        let of = |front: &Front| {
            let connections =
                if front.is_http2() { vec![HTTP2_CONNECTIONS] } else { self.connections.clone() };
            let front = *front;
            connections.into_iter().map(move |connections| Work { front, connections })
        };
        self.fronts.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_connections_is_that_of_http1() {
        let plan = Plan {
            rounds: 1,
            seconds: 1,
            fronts: vec![Front::Http1, Front::Http2],
            connections: vec![64, 256],
            systems: Vec::new(),
        };
        let names: Vec<String> = plan.works().iter().map(Work::name).collect();
        assert_eq!(names, ["http1-64", "http1-256", "http2-16x32"]);
    }
}
