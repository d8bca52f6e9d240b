//! A soak: the marketplace under steady load while its instances are killed, its manifest changes and
//! faults are on, and long streams go through it. What a policy could have saved must not fail, no stream
//! may lose an event, and memory must stay flat.

mod memory;
mod streams;
mod troubles;
mod verdict;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::machine::Machine;
use crate::harness::{Result, interrupt};
use memory::Memory;
use streams::{Clock, Streams};
use troubles::Troubles;
pub use verdict::Verdict;
use world::World;

/// How long and how hard.
pub struct Plan {
    /// Measured time, after the shop is ready.
    pub time: Duration,
    /// Requests a second.
    pub rate: u32,
    /// Between two troubles.
    pub every: Duration,
    /// Of the troubles' order and the customers' choices.
    pub seed: u64,
}

/// The binaries that take part.
pub struct Binaries {
    /// Colony itself.
    pub colony: PathBuf,
    /// The shop's one program.
    pub shop: PathBuf,
}

/// Runs it, telling on standard error what is done when.
pub fn run(plan: &Plan, binaries: &Binaries, machine: Machine) -> Result<Verdict> {
    let clock = Clock::start()?;
    let mut world = World::start(binaries, clock.port)?;
    let streams = Streams::open(world.gateway)?;
    let mut troubles = Troubles::new(plan.seed);
    let mut memory = Memory::default();
    let mut load = world.load(plan)?;
    let begun = Instant::now();
    let mut next = begun + plan.every;
    while begun.elapsed() < plan.time && load.runs() {
        interrupt::pause()?;
        memory.look(begun.elapsed(), &world)?;
        // The last of them is over before the load is, so that what it breaks would be seen.
        if Instant::now() >= next && begun.elapsed() + 2 * plan.every < plan.time {
            let trouble = troubles.next();
            eprintln!("{:>5.0} s  {trouble}", begun.elapsed().as_secs_f64());
            world.make(trouble)?;
            next += plan.every;
        }
    }
    let report = load.end()?;
    let streamed = streams.end();
    let status = world.end()?;
    Ok(Verdict::new(machine, plan, report, &streamed, troubles.made(), &memory, &status))
}
