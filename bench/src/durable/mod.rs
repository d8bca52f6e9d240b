//! Durable messages, state and events of 1 KiB, each of which is on the disk before it is acknowledged.
//!
//! Peers are asked over their own sockets by tasks of this process, of which each waits for its answer. Colony's engine
//! has no socket of its own: it is asked inside of a process (`colony`), whose CPU time then includes the tasks that ask.

pub mod backlog;
mod colony;
mod disk;
mod jetstream;
mod redis;
pub(crate) mod tasks;
pub(crate) mod tcp;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::cases::interleave;
use crate::harness::machine::Machine;
use crate::harness::{Error, Process, Result, interrupt};
use crate::report::{Run, Sample, What};

pub use colony::load;

/// How much is measured.
pub struct Plan {
    pub rounds: u32,
    pub seconds: u32,
    pub cases: Vec<Case>,
    pub systems: Vec<System>,
    pub data: PathBuf,
}

/// What is done, by how many who wait for their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// A message published.
    #[value(name = "publish-1")]
    Publish1,
    #[value(name = "publish-64")]
    Publish64,
    #[value(name = "publish-1024")]
    Publish1024,
    /// An item of state put, of 100,000.
    #[value(name = "put-64")]
    Put64,
    /// One of them got.
    #[value(name = "get-64")]
    Get64,
    /// An event appended under the version that its stream must have.
    #[value(name = "append-64")]
    Append64,
    /// Messages consumed and acknowledged, durably.
    Consume,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Colony's engine, on its embedded log and store.
    Colony,
    /// Redis with `appendfsync always`: streams and strings.
    Redis,
    /// NATS JetStream with `sync_interval: always`.
    Jetstream,
    /// A bare write of 4 KiB and `fdatasync` in a file that was written before: what the disk takes.
    Disk,
}

/// What a load came to: what every measurement tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub count: u64,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub user_us: f64,
    pub kernel_us: f64,
    pub rss_idle_kib: u64,
    pub rss_kib: u64,
}

impl Case {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How many wait at the same time.
    fn tasks(self) -> u32 {
        match self {
            Case::Publish1 => 1,
            Case::Publish1024 => 1024,
            Case::Consume => 4,
            Case::Publish64 | Case::Put64 | Case::Get64 | Case::Append64 => 64,
        }
    }
}

impl Case {
    /// Threads that ask. What is written waits for the disk most of the time; what is read is read by who asks.
    fn threads(self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if self == Case::Get64 { cores } else { 1 }
    }
}

impl System {
    fn name(self) -> &'static str {
        match self {
            System::Colony => "colony",
            System::Redis => "redis",
            System::Jetstream => "jetstream",
            System::Disk => "disk",
        }
    }

    fn does(self, case: Case) -> bool {
        match self {
            System::Colony => true,
            System::Redis => !matches!(case, Case::Append64 | Case::Consume),
            System::Jetstream => matches!(case, Case::Publish1 | Case::Publish64 | Case::Publish1024),
            System::Disk => case == Case::Publish1,
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
        // What was measured before is written and given back by now: nobody's disk is busy with another's data.
        nix::unistd::sync();
        std::thread::sleep(REST);
        let folder = tempfile::tempdir_in(&plan.data)
            .map_err(|error| Error::new("make a folder for the data", error))?;
        let measured = peers.measure(case, system, plan.seconds, folder.path())?;
        Ok(measured.sample(case.name(), system.name()))
    })?;
    let cases: Vec<String> = plan.cases.iter().map(|case| case.name()).collect();
    let order: Vec<&str> = plan.systems.iter().map(|system| system.name()).collect();
    Ok(Run::new(What::Durable, machine, peers.versions(), &cases, &order, samples))
}

impl Measured {
    pub fn sample(&self, case: String, system: &str) -> Sample {
        let each = |cpu: f64| cpu / self.count.max(1) as f64;
        Sample {
            case,
            system: system.to_owned(),
            ops_per_s: self.count as f64 / self.seconds,
            p50_us: self.p50_us,
            p99_us: self.p99_us,
            user_us_per_op: each(self.user_us),
            kernel_us_per_op: each(self.kernel_us),
            rss_idle_mib: self.rss_idle_kib as f64 / 1024.0,
            rss_mib: self.rss_kib as f64 / 1024.0,
            ..Sample::default()
        }
    }
}

/// The peers' programs.
pub(crate) struct Peers {
    redis: Option<PathBuf>,
    nats: Option<PathBuf>,
}

impl Peers {
    /// Finds or installs those that are wanted.
    pub fn find(redis: bool, jetstream: bool) -> Result<Peers> {
        Ok(Peers {
            redis: redis
                .then(|| crate::peers::install::package("redis-server", "redis-server"))
                .transpose()?,
            nats: jetstream.then(crate::peers::install::nats).transpose()?,
        })
    }

    pub fn versions(&self) -> std::collections::BTreeMap<String, String> {
        let mut versions = std::collections::BTreeMap::new();
        versions.insert("colony".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let ask = |program: &Path| {
            let said = Command::new(program).arg("--version").output().ok()?;
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let word = |word: &str| {
                word.trim_start_matches('v').trim_start_matches('=').starts_with(|c: char| c.is_ascii_digit())
            };
            said.split_whitespace()
                .find(|found| word(found))
                .map(|found| found.trim_start_matches(['v', '=']).to_owned())
        };
        for (name, program) in [("redis", &self.redis), ("jetstream", &self.nats)] {
            if let Some(version) = program.as_deref().and_then(ask) {
                versions.insert(name.to_owned(), version);
            }
        }
        versions
    }

    fn measure(&self, case: Case, system: System, seconds: u32, folder: &Path) -> Result<Measured> {
        interrupt::check()?;
        match system {
            System::Redis => {
                self.ask_redis(folder, |port| tcp::load(redis::work(case)?, case.tasks(), seconds, port))
            }
            System::Jetstream => {
                self.ask_jetstream(folder, |port| tcp::load(tcp::Work::Publish, case.tasks(), seconds, port))
            }
            System::Disk => disk::load(folder, seconds),
            System::Colony => colony::measure(case, seconds, folder),
        }
    }

    /// What Redis, started on an empty folder, costs under a load on its port.
    pub fn ask_redis(
        &self,
        folder: &Path,
        load: impl FnOnce(u16) -> Result<tasks::Load>,
    ) -> Result<Measured> {
        let program = self.redis.as_deref().ok_or_else(|| Error::say("Redis is not among the systems"))?;
        let (server, port) = redis::start(program, folder)?;
        ask(&server, || load(port))
    }

    /// What NATS costs, the same way.
    pub fn ask_jetstream(
        &self,
        folder: &Path,
        load: impl FnOnce(u16) -> Result<tasks::Load>,
    ) -> Result<Measured> {
        let program = self.nats.as_deref().ok_or_else(|| Error::say("JetStream is not among the systems"))?;
        let (server, port) = jetstream::start(program, folder)?;
        ask(&server, || load(port))
    }
}

/// What `server` costs while `load` runs.
fn ask(server: &Process, load: impl FnOnce() -> Result<tasks::Load>) -> Result<Measured> {
    let before = server.usage();
    let load = load()?;
    let after = server.usage();
    let (user, kernel) = after.cpu_since(&before);
    let mut measured = load.measured();
    measured.user_us = user.as_secs_f64() * 1e6;
    measured.kernel_us = kernel.as_secs_f64() * 1e6;
    measured.rss_idle_kib = before.rss_kib;
    measured.rss_kib = after.rss_kib;
    Ok(measured)
}

/// Bytes of a message's, an item's or an event's payload.
pub(crate) const PAYLOAD_BYTES: usize = 1024;
/// How many items of state there are.
pub(crate) const ITEMS: u64 = 100_000;

/// How long the disk is left alone between two measurements: file systems give room back some time after a file was removed.
pub(crate) const REST: Duration = Duration::from_secs(1);
