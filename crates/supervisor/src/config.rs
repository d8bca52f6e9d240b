//! What the supervisor is told: services that are already valid, in start order, and the three traits
//! through which it meets the rest of the system (where requests go, where output goes, what stands beside a process).

use crate::event::Event;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{pending, ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

/// Everything one supervisor runs. It is taken as valid: names are unique, `after` has no cycle and names
/// only services that come earlier, counts are at least one.
#[derive(Clone, Debug)]
pub struct Config {
    /// In start order: a service comes behind those in its `after`.
    pub services: Vec<Service>,
    /// Where the supervisor keeps its own files (created when missing). One supervisor at a time: it is locked.
    pub data_dir: PathBuf,
    /// The folder of the manifest. Paths in messages are shown relative to it.
    pub root: PathBuf,
    /// The executable that becomes the guardian when its first argument is [`crate::GUARDIAN_ARGUMENT`]; for
    /// the binary itself this is `std::env::current_exe()`.
    pub executable: PathBuf,
}

/// One service.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Its name, unique.
    pub name: String,
    /// What stands behind it: processes of ours or something that already runs.
    pub source: Source,
    /// The services that must be ready before this one is started. Names that are not there count as ready.
    pub after: Vec<String>,
    /// When an instance gets requests.
    pub ready: Probe,
    /// When an instance is restarted. `None`: only when it exits.
    pub live: Option<Probe>,
}

/// What stands behind a service.
#[derive(Clone, PartialEq, Debug)]
pub enum Source {
    /// Processes that the supervisor starts.
    Run(Run),
    /// Something that already runs; it is probed and never started or stopped.
    Url {
        /// `host:port`, each one instance. Hosts are looked up again at every probe.
        authorities: Vec<String>,
    },
}

/// How the processes of a service are run.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// The command line. Without shell syntax it is split into words and executed, otherwise `/bin/sh -c`
    /// gets it. A first word with a `/` is relative to `dir`.
    pub command: String,
    /// The command line that builds it; equal lines in equal folders run once.
    pub build: Option<String>,
    /// The working directory, absolute.
    pub dir: PathBuf,
    /// Set over the inherited environment. `PORT`, `COLONY_SERVICE` and `COLONY_INSTANCE` are added to it.
    pub env: BTreeMap<String, String>,
    /// A fixed port, or `None` for one that is chosen at each start. With a fixed port there can be no overlap
    /// of an old and a new instance: a restart stops before it starts.
    pub port: Option<u16>,
    /// Instances at the start, at least 1.
    pub instances: u32,
    /// The most that `scale` may ask for.
    pub max: u32,
    /// How long an instance may take to finish its requests, and then again to exit after SIGTERM, before
    /// SIGKILL. Zero: killed at once.
    pub grace: Duration,
    /// What [`Beside`] knows of it, in whatever form: where this differs, instances are replaced.
    pub beside: String,
}

/// How an instance is asked whether it is well.
#[derive(Clone, PartialEq, Debug)]
pub struct Probe {
    /// The question.
    pub check: Check,
    /// Time between two questions. A starting instance is asked more often.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Failures in a row that count as one verdict, at least 1.
    pub failures: u32,
    /// Readiness: an instance that is not ready so long after its start is restarted as a failure.
    /// Liveness: failures in this time after the start do not count until a first success.
    pub within: Duration,
}

/// The question that a probe asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Check {
    /// A GET answers with a status from 200 to 399.
    Http {
        /// The path, with a `/` in front.
        path: String,
        /// The version in which the service is asked.
        protocol: Protocol,
    },
    /// The port accepts a connection.
    Tcp,
    /// Nothing is asked: a started process is ready.
    None,
}

/// The version of HTTP that a service speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/1.1, or 1.0 in the answer.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// An instance that takes requests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Endpoint {
    /// For example `catalog-1`. A restarted instance keeps its id and gets another port.
    pub id: String,
    /// Its place among the instances of its service, from 1: what is kept by place, such as keys that are
    /// hashed, stays with the replacement that takes it over. Of two with the same the later one is meant.
    pub slot: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which of the authorities of its service it stands for, if it is not a process of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// Where ready instances are told to the data plane. Both methods are called from async tasks: they MUST
/// return quickly and MUST NOT block.
pub trait Routing: Send + Sync + 'static {
    /// These instances of `service`, and no others, get requests from now on. The whole set each time. When
    /// this returns, a request that has not yet been counted by [`Routing::in_flight`] MUST NOT go to an
    /// instance that is not in the set.
    fn publish(&self, service: &str, instances: &[Endpoint]);

    /// Requests under way on an instance, published or not. 0 for one that is not known.
    fn in_flight(&self, service: &str, id: &str) -> usize;
}

/// Where output and events go. The methods are called from async tasks: they MUST return quickly and MUST NOT
/// block.
pub trait Observer: Send + Sync + 'static {
    /// A line that a process has written, without its end. Long lines come in pieces. The instance of a build
    /// is called `build`.
    fn line(&self, service: &str, instance: &str, stream: Output, text: &str);

    /// Something happened.
    fn event(&self, event: &Event);
}

/// What stands beside each process of ours, from before its start until nothing is left of it.
pub trait Beside: Send + Sync + 'static {
    /// Begins for an instance that is about to be started and told to listen on `port`. The process is started when this
    /// has come to an end, and not at all if it fails; why, is told as the reason. When it is dropped before, nothing MUST
    /// be left.
    fn begin<'a>(&'a self, service: &'a Service, instance: &'a str, port: u16) -> Beginning<'a>;
}

/// How something begins that stands beside a process.
pub type Beginning<'a> = Pin<Box<dyn Future<Output = Result<Company, String>> + Send + 'a>>;

/// What stands beside one process. Dropped when nothing is left of the process.
pub struct Company {
    /// Set in the process's environment, where the service's own says nothing else.
    pub env: BTreeMap<String, String>,
    /// When this comes to an end the process is asked to end.
    pub over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Nothing stands beside a process.
impl Beside for () {
    fn begin<'a>(&'a self, _: &'a Service, _: &'a str, _: u16) -> Beginning<'a> {
        Box::pin(ready(Ok(Company { env: BTreeMap::new(), over: Box::pin(pending()) })))
    }
}

impl fmt::Debug for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Company").field("env", &self.env).finish_non_exhaustive()
    }
}

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Protocol {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Http1 => Self::Http2,
            Self::Http2 => Self::Http1,
        }
    }
}

impl Service {
    /// Its processes, when it has some of ours.
    pub fn run(&self) -> Option<&Run> {
        match &self.source {
            Source::Run(run) => Some(run),
            Source::Url { .. } => None,
        }
    }

    /// Instances at the start.
    pub fn instances(&self) -> u32 {
        match &self.source {
            Source::Run(run) => run.instances.max(1),
            Source::Url { authorities } => u32::try_from(authorities.len()).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn grace(&self) -> Duration {
        self.run().map_or(Duration::ZERO, |run| run.grace)
    }

    pub(crate) fn fixed_port(&self) -> Option<u16> {
        self.run().and_then(|run| run.port)
    }

    pub(crate) fn is_external(&self) -> bool {
        self.run().is_none()
    }

    /// The command line, or the authorities of something that already runs.
    pub(crate) fn command(&self) -> String {
        match &self.source {
            Source::Run(run) => run.command.clone(),
            Source::Url { authorities } => format!("external process at {}", authorities.join(", ")),
        }
    }
}
