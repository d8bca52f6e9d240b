//! The application API: what a program's requests to its sidecar cost, with all that is written fsynced before it is
//! acknowledged, beside peers that are asked over protocols of their own.
//!
//! The CPU time is that of Colony's processes, or the peer's, without that of the program that asks and of the one that is called.

mod colony;
mod grpc;
mod http;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::cases::interleave;
use crate::durable::tcp::{self, Work};
use crate::durable::{Measured, Peers, REST};
use crate::harness::machine::Machine;
use crate::harness::{Error, Result, interrupt};
use crate::peers::Installed;
use crate::report::{Run, What};

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    pub cases: Vec<Case>,
    pub systems: Vec<System>,
    pub data: PathBuf,
    /// Colony's binary.
    pub colony: PathBuf,
    /// What the application that is called is of.
    pub app: Installed,
}

/// What a program asks of its sidecar, 64 requests at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Another application called, which has a sidecar too and answers 1 KiB.
    Invoke,
    /// A message of 1 KiB published over HTTP.
    PublishHttp,
    /// The same over gRPC, over four connections.
    PublishGrpc,
    /// A hundred of them in one call over gRPC; a message counts, not a call.
    PublishBulk,
    /// An item of 1 KiB saved over HTTP, of 100,000.
    StateSave,
    /// One of them got.
    StateGet,
    /// A sidecar started, from nothing until it may be asked, one after the other.
    Start,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// `colony sidecar`.
    Colony,
    /// Redis with `appendfsync always`, over its own protocol.
    Redis,
    /// NATS JetStream with `sync_interval: always`, over its own.
    Jetstream,
}

impl Case {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is the same over Redis' protocol.
    fn redis(self) -> Option<Work> {
        match self {
            Case::PublishHttp => Some(Work::Xadd),
            Case::StateSave => Some(Work::Set),
            Case::StateGet => Some(Work::Get),
            Case::Invoke | Case::PublishGrpc | Case::PublishBulk | Case::Start => None,
        }
    }
}

impl System {
    fn name(self) -> &'static str {
        match self {
            System::Colony => "colony",
            System::Redis => "redis",
            System::Jetstream => "jetstream",
        }
    }

    fn does(self, case: Case) -> bool {
        match self {
            System::Colony => true,
            System::Redis => case.redis().is_some(),
            System::Jetstream => case == Case::PublishHttp,
        }
    }
}

/// Measures every case with every system that does it.
pub fn run(plan: &Plan, machine: Machine) -> Result<Run> {
    let wanted = |system| plan.systems.contains(&system);
    let peers = Peers::find(wanted(System::Redis), wanted(System::Jetstream))?;
    std::fs::create_dir_all(&plan.data)
        .map_err(|error| Error::new(format!("make {}", plan.data.display()), error))?;
    let both = |case: &Case| {
        let case = *case;
        plan.systems.iter().filter(move |system| system.does(case)).map(move |system| (case, *system))
    };
    let items: Vec<(Case, System)> = plan.cases.iter().flat_map(both).collect();
    let samples = interleave(plan.rounds, &items, |(case, system)| {
        // What was measured before is written and given back by now.
        nix::unistd::sync();
        std::thread::sleep(REST);
        let folder = tempfile::tempdir_in(&plan.data)
            .map_err(|error| Error::new("make a folder for the data", error))?;
        let measured = measure(plan, &peers, case, system, folder.path())?;
        Ok(measured.sample(case.name(), system.name()))
    })?;
    let cases: Vec<String> = plan.cases.iter().map(|case| case.name()).collect();
    let order: Vec<&str> = plan.systems.iter().map(|system| system.name()).collect();
    Ok(Run::new(What::Api, machine, peers.versions(), &cases, &order, samples))
}

fn measure(plan: &Plan, peers: &Peers, case: Case, system: System, folder: &Path) -> Result<Measured> {
    interrupt::check()?;
    match (system, case.redis()) {
        (System::Redis, Some(work)) => {
            peers.ask_redis(folder, |port| tcp::load(work, TASKS, plan.seconds, port))
        }
        (System::Jetstream, _) => {
            peers.ask_jetstream(folder, |port| tcp::load(Work::Publish, TASKS, plan.seconds, port))
        }
        _ => colony::measure(plan, case, folder),
    }
}

/// How many wait for an answer at the same time.
const TASKS: u32 = 64;
