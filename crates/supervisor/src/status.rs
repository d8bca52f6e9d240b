//! What `status` shows: one row a service, one a instance.

use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;

/// A service as it is now.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: State,
    /// Why it is not ready, in one sentence: what it waits for, what failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The last lines of output that belong to `why`, when it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// The services that must be ready before it is started, while it waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// How far the replacement of its instances is, while they are being replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// How many instances there should be.
    pub wanted: u32,
    /// How many instances get requests.
    pub ready: u32,
    /// The command line, or where the external process is.
    pub command: String,
    /// It is not a process of ours.
    pub external: bool,
    /// By number.
    pub instances: Vec<InstanceStatus>,
}

/// A replacement under way of the instances of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Rollout {
    /// New instances that get requests.
    pub replaced: u32,
    /// New instances that there will be.
    pub of: u32,
    /// Old instances that are still there.
    pub old: u32,
}

/// An instance as it is now.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct InstanceStatus {
    /// For example `catalog-1`.
    pub id: String,
    /// Its place among its siblings, which its replacement takes over.
    pub slot: u32,
    /// Its process, the leader of its process group.
    pub pid: Option<u32>,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// Where it was said to be, if it is not a process of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// How it is.
    pub state: InstanceState,
    /// Since the process was started.
    pub uptime_ms: u64,
    /// How often it was started again after a failure.
    pub restarts: u32,
    /// How its last process ended, such as `exit code 1` or `signal 9 (SIGKILL)`.
    pub last_exit: Option<String>,
    /// From its start to its first readiness.
    pub ready_after_ms: Option<u64>,
    /// Resident memory of the process and its descendants.
    pub rss_kib: Option<u64>,
    /// Processor time of the process and its descendants.
    pub cpu_ms: Option<u64>,
}

/// How a service is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not started: others must be ready first.
    Waiting,
    /// Its build runs or is queued.
    Building,
    /// Started, not yet ready.
    Starting,
    /// All wanted instances get requests.
    Ready,
    /// It was ready; now some or all instances get no requests.
    Degraded,
    /// It fails again and again.
    CrashLoop,
    /// Stopped on demand.
    Stopped,
    /// It could not be built or started, or was not ready in time.
    Failed,
}

/// How an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Started, not yet ready.
    Starting,
    /// It gets requests.
    Ready,
    /// It was ready and is not now.
    Unready,
    /// It gets no new requests and finishes those under way.
    Draining,
    /// It was asked to end.
    Stopping,
    /// It failed and will be started again.
    Backoff,
    /// It failed often and will be started again later.
    CrashLoop,
    /// It cannot be started; tried again later.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Waiting => "waiting",
            State::Building => "building",
            State::Starting => "starting",
            State::Ready => "ready",
            State::Degraded => "degraded",
            State::CrashLoop => "crash-loop",
            State::Stopped => "stopped",
            State::Failed => "failed",
        })
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            InstanceState::Starting => "starting",
            InstanceState::Ready => "ready",
            InstanceState::Unready => "unready",
            InstanceState::Draining => "draining",
            InstanceState::Stopping => "stopping",
            InstanceState::Backoff => "backoff",
            InstanceState::CrashLoop => "crash-loop",
            InstanceState::Failed => "failed",
        })
    }
}
