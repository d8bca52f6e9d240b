//! The command line, as clap reads it. What is written here is what `--help` says.

mod data;
mod fault;
mod list;
mod run;
mod secret;
pub(crate) mod sidecar;
mod trace;
pub(crate) mod verbs;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use std::ffi::OsString;

use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use data::{
    BackupData, Data, DataCommand, DataFolder, ExerciseData, ExportData, ExportKind, RepairData, RestoreData,
};
pub(crate) use fault::{AddFault, ClearFault, Fault, FaultCommand};
pub(crate) use list::{Ignored, List, ListAs};
pub(crate) use run::Run;
pub(crate) use secret::{OneSecret, Secret, SecretCommand};
pub(crate) use sidecar::Sidecar;
pub(crate) use trace::{Logs, Trace};
pub(crate) use verbs::Verb;

/// Everything between the services of a distributed system, from one file.
///
/// Colony reads a manifest (colony.yaml), starts the services it declares, puts a gateway in front and a
/// sidecar beside each of them, and keeps them running.
#[derive(Debug, Parser)]
#[command(name = "colony", version, max_term_width = 100)]
#[command(
    after_help = "Start with `colony init --url http://127.0.0.1:3000` for a program that runs already,\n\
                        then `colony up`. `colony COMMAND --help` says more about each command."
)]
pub(crate) struct Args {
    /// Work as if started in this folder
    #[arg(short = 'C', long = "dir", global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The data folder: where `up` keeps what belongs to a node, and which node the other commands talk to; none:
    /// $COLONY_DATA, or .colony beside the manifest
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(Up),
    /// Say what is wrong with a manifest; exit 0 if nothing is
    Check(Check),
    /// Show how the running system is: services, instances, calls, breakers
    Status(Json),
    Top(Top),
    /// Print what the services have written
    Logs(Logs),
    Trace(Trace),
    /// Take the changed manifest on: only what changed restarts, no request is dropped
    Apply(Json),
    /// Replace the instances of a service one by one, without a gap
    Restart(OneService),
    /// Run N instances of a service
    Scale(Scale),
    /// Stop one service, or everything if none is named
    Stop(Stop),
    /// Print the link to the console of the running system
    Console(Json),
    Breaker(Breaker),
    Fault(Fault),
    Init(Init),
    Certs(Certs),
    Load(Load),
    Explain(Explain),
    Data(Data),
    Sidecar(Box<Sidecar>),
    Run(Box<Run>),
    List(List),
    Secret(Secret),
    #[command(flatten)]
    Verb(Verb),
    #[command(hide = true)]
    DaprInit(Ignored),
    /// Print the JSON Schema of the manifest, for editors
    Schema,
}

impl Args {
    /// What a command line means.
    pub(crate) fn understood(words: Vec<OsString>) -> Result<Args, clap::Error> {
        let command = run::adapted(Args::command());
        Args::from_arg_matches(&command.try_get_matches_from(sidecar::understood(words))?)
    }
}

impl Command {
    /// Whether every outcome is to be JSON, also a failure.
    pub(crate) fn json(&self) -> bool {
        match self {
            Command::Up(args) => args.json,
            Command::Check(args) => args.json,
            Command::Status(args) | Command::Apply(args) | Command::Console(args) => args.json,
            Command::Top(args) => args.json,
            Command::Logs(args) => args.json,
            Command::Trace(args) => args.json,
            Command::Restart(args) => args.json,
            Command::Scale(args) => args.json,
            Command::Stop(args) => args.json,
            Command::Breaker(args) => args.json,
            Command::Fault(args) => match &args.what {
                FaultCommand::Add(args) => args.json,
                FaultCommand::List(args) => args.json,
                FaultCommand::Clear(args) => args.json,
            },
            Command::Init(args) => args.json,
            Command::Certs(args) => args.json,
            Command::Load(args) => args.json,
            Command::Explain(args) => args.json,
            Command::Data(args) => args.what.json(),
            Command::Sidecar(args) => args.log_as_json,
            Command::Run(args) => args.sidecar.log_as_json,
            Command::List(args) => args.json,
            Command::Secret(args) => args.what.json(),
            Command::Verb(verb) => verb.json(),
            Command::DaprInit(_) => false,
            Command::Schema => false,
        }
    }
}

/// Where the manifest is.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Manifest {
    /// The manifest, or the folder it lies in as colony.yaml
    #[arg(value_name = "FILE or DIR", default_value = ".")]
    pub(crate) path: PathBuf,
    /// Merge this file over the manifest, such as colony.prod.yaml; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Vec<PathBuf>,
    /// The zone that the node is in, such as eu-1a; none: $COLONY_ZONE, or `zone` of the manifest
    #[arg(long, value_name = "ZONE", value_parser = manifest::zone_name)]
    pub(crate) zone: Option<String>,
    /// Keep in Colony itself what components would keep in other servers: state, messages, configuration and locks
    #[arg(long)]
    pub(crate) embedded: bool,
}

/// Build and start everything, and keep it running until Ctrl-C
///
/// Services start in the order of their calls, each when those it calls are ready. The gateway listens from the
/// beginning and holds requests until there is somebody to answer them. A changed manifest is taken on while
/// running. Ctrl-C finishes what is in flight, stops the services and exits; a second one exits at once.
#[derive(Debug, ClapArgs)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) manifest: Manifest,
    /// Print one JSON object a line: events and the services' output
    #[arg(long)]
    pub(crate) json: bool,
    /// Don't print the services' output (`colony logs -f` shows it)
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Don't take the manifest on by itself when the file changes
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// Serve the metrics, as Prometheus reads them, at http://ADDRESS/metrics too, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    /// Where the console listens: ADDRESS:PORT, or `off`; none: 127.0.0.1:7700, or the next port that is free
    #[arg(long, value_name = "ADDRESS or off", value_parser = console)]
    pub(crate) console: Option<Console>,
    /// Threads of the data plane; 0: one a processor
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: usize,
}

/// Whether and where the console listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Off,
    At(SocketAddr),
}

fn console(text: &str) -> Result<Console, String> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match (text, text.parse(), text.parse::<u16>()) {
        ("off", ..) => Ok(Console::Off),
        (_, Ok(address), _) => Ok(Console::At(address)),
        (.., Ok(port)) => Ok(Console::At(loopback(port))),
        _ => Err("write an address with a port, such as 127.0.0.1:7800, or off".to_owned()),
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) manifest: Manifest,
    /// Print a JSON object instead of a drawing
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct OneService {
    /// The service
    pub(crate) service: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Scale {
    /// The service
    pub(crate) service: String,
    /// How many instances, from 1 to the `scale.max` of its manifest
    #[arg(allow_negative_numbers = true)]
    pub(crate) instances: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Stop {
    /// The service; none: everything, and `colony up` exits
    #[arg(conflicts_with = "app_id")]
    pub(crate) service: Option<String>,
    /// An application that `colony list` tells of, and its program; may be given more than once
    #[arg(short, long, value_name = "ID")]
    pub(crate) app_id: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Force a call's circuit breaker open or closed, or leave it to itself again
///
/// Open, it refuses every request, which takes a service out of use without touching it; closed, it lets every one
/// through, whatever comes of it. That holds until it is left to itself with `auto`, or the manifest changes the
/// call, or the system ends.
#[derive(Debug, ClapArgs)]
pub(crate) struct Breaker {
    /// The call as `colony status` names it, such as "checkout -> payments"
    pub(crate) call: String,
    /// What it shall do
    #[arg(value_enum, value_name = "open, closed or auto", hide_possible_values = true)]
    pub(crate) state: Force,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a breaker can be told.
#[derive(Debug, Clone, Copy, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Force {
    Open,
    Closed,
    Auto,
}

/// Watch the running system: services, calls, topics, queues and objectives, every two seconds
///
/// Keys: 1 to 5 or tab changes the view, s the column to sort by, r its order, / filters, the arrows scroll, q ends. What
/// is shown is of the last half minute.
#[derive(Debug, ClapArgs)]
pub(crate) struct Top {
    /// Print everything once, as tables, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Print everything once, as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write a manifest for a program that runs already
///
/// The manifest has a gateway in front of the program, with the default policies; nothing about the program
/// changes. `colony up` then serves it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// Where the program listens
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// What to call it
    #[arg(long, default_value = "app", value_name = "NAME")]
    pub(crate) name: String,
    /// Where the gateway shall listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// Where to write it
    #[arg(default_value = "colony.yaml", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace a manifest that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a CA for development, and certificates by it
///
/// Without names: says where the CA is and how to trust it, and makes it if there is none. It belongs to the
/// user, not to a system. With names: writes a certificate for them, valid for 90 days, and its key.
#[derive(Debug, ClapArgs)]
pub(crate) struct Certs {
    /// Host names and addresses, such as shop.localhost, '*.shop.test' or 192.168.1.5
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Where to write NAME.pem and NAME.key
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace a certificate that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Let a CA that is made now also sign for this host and all below it, or for this address; may be given more
    /// than once
    #[arg(long, value_name = "NAME")]
    pub(crate) permit: Vec<String>,
    /// Make another CA in place of the one that is there; what the old one signed is trusted no more
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Send load at a constant rate and say how it was answered
///
/// Requests leave at their time whether or not earlier ones were answered (open loop), and a latency counts from
/// when its request should have left, so a stall of the server shows in full. Ctrl-C ends early and reports.
#[derive(Debug, ClapArgs)]
pub(crate) struct Load {
    /// Where to: http://HOST:PORT[/PATH]; none: the gateway of the running system
    #[arg(value_name = "URL")]
    pub(crate) target: Option<String>,
    /// Requests a second
    #[arg(short, long, default_value_t = 100.0, value_name = "N", allow_negative_numbers = true)]
    pub(crate) rate: f64,
    /// How long, such as 30s or 5m
    #[arg(short, long, default_value = "10s", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) duration: Duration,
    /// Load before the measurement begins
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) warmup: Duration,
    /// What customers do: a YAML file, or its name without .yaml if it lies beside the manifest
    #[arg(short, long, value_name = "FILE or NAME")]
    pub(crate) scenario: Option<String>,
    /// Longest wait for an answer
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) timeout: Duration,
    /// Most connections at a time
    #[arg(long, default_value_t = 1024, value_name = "N", allow_negative_numbers = true)]
    pub(crate) connections: usize,
    /// Makes the choices of customers repeatable
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Explain a request, a call, or an error code such as C0007
///
/// Of a request: the route it takes, and why it takes none of the others. Of that route, or of a declared call:
/// every policy in the order in which a request meets it, with its value and where that was set, then how long a
/// request may take at worst and how many tries it can become. From the manifest alone: nothing need be running.
#[derive(Debug, ClapArgs)]
#[command(override_usage = "colony explain [OPTIONS] METHOD PATH [FILE or DIR]\n       \
                      colony explain [OPTIONS] CALLER CALLEE [FILE or DIR]\n       \
                      colony explain CODE")]
pub(crate) struct Explain {
    /// A request, such as GET /api/cart; a call, such as checkout payments; a route as `colony status` names it; or a
    /// code, as `colony check` prints it. Then the manifest, or the folder it lies in as colony.yaml; none: this folder
    #[arg(value_name = "WHAT", required = true, num_args = 1..=3)]
    pub(crate) what: Vec<String>,
    /// Merge this file over the manifest, such as colony.prod.yaml; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Vec<PathBuf>,
    /// The zone that the node is in, such as eu-1a; none: $COLONY_ZONE, or `zone` of the manifest
    #[arg(long, value_name = "ZONE", value_parser = manifest::zone_name)]
    pub(crate) zone: Option<String>,
    /// A header of the request; may be given more than once
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// The host that the request is for; none: the gateway's address
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Ask the running system how the call is just now
    #[arg(long)]
    pub(crate) live: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let negative = text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let read = match negative {
        true => Err("a time is not negative".to_owned()),
        false => humantime::parse_duration(text).map_err(|error| error.to_string()),
    };
    read.map_err(|why| format!("{why}; write for example 30s, 5m or 500ms"))
}
