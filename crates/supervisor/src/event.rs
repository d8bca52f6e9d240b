//! What happens to services, in a form that both people and programs read: every event has a sentence
//! (`Display`) and a JSON object (`Serialize`, tagged `event`, durations in milliseconds).

use serde::{Serialize, Serializer};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Something that happened to a service.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Event {
    /// A build has begun.
    Building { service: String, command: String },
    /// A build has ended well.
    Built {
        service: String,
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// A build has failed; the service is not started.
    BuildFailed { service: String, command: String, status: String, last_lines: Vec<String> },
    /// The service is not started yet because others are not ready.
    Waiting { service: String, on: Vec<String> },
    /// A process has been started.
    Starting { service: String, instance: String, pid: u32, port: u16, command: String },
    /// A process could not be started at all.
    NotStarted {
        service: String,
        instance: String,
        why: String,
        #[serde(rename = "retry_in_ms", serialize_with = "millis")]
        retry_in: Duration,
    },
    /// An instance gets requests from now on (again).
    Ready {
        service: String,
        instance: String,
        address: SocketAddr,
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// An instance gets no requests until it is ready again.
    Unready { service: String, instance: String, why: String },
    /// An instance was not ready in the time it had. An external one is asked on, a process is restarted.
    Late {
        service: String,
        instance: String,
        #[serde(rename = "within_ms", serialize_with = "millis")]
        within: Duration,
        why: String,
    },
    /// The liveness probe has failed; the instance is restarted.
    Unhealthy { service: String, instance: String, why: String },
    /// An instance has exited by itself.
    Exited {
        service: String,
        instance: String,
        status: String,
        #[serde(rename = "uptime_ms", serialize_with = "millis")]
        uptime: Duration,
    },
    /// An instance is started again after a failure.
    Restarting {
        service: String,
        instance: String,
        #[serde(rename = "in_ms", serialize_with = "millis")]
        in_: Duration,
        why: String,
    },
    /// An instance fails again and again; it is tried on at longer intervals.
    CrashLoop {
        service: String,
        instance: String,
        restarts: u32,
        why: String,
        last_lines: Vec<String>,
        #[serde(rename = "retry_in_ms", serialize_with = "millis")]
        retry_in: Duration,
    },
    /// An instance gets no more requests and is asked to end when those under way are done.
    Stopping { service: String, instance: String },
    /// An instance that was asked to end has ended.
    Stopped { service: String, instance: String, status: String },
    /// An instance did not end in its grace period and was killed.
    Killed {
        service: String,
        instance: String,
        #[serde(rename = "grace_ms", serialize_with = "millis")]
        grace: Duration,
    },
    /// A new version did not become ready; the old one stays.
    RolledBack { service: String, why: String },
    /// A process that an earlier run left behind has been ended.
    Cleaned { instance: String, pid: i32 },
    /// The guardian has died and was started again.
    GuardianRestarted { pid: u32 },
    /// The guardian could not be started: processes outlive this one when it is killed.
    GuardianFailed { why: String },
}

impl Event {
    /// The service it is about, if it is about one.
    pub fn service(&self) -> Option<&str> {
        use Event::*;
        match self {
            Building { service, .. }
            | Built { service, .. }
            | BuildFailed { service, .. }
            | Waiting { service, .. }
            | Starting { service, .. }
            | NotStarted { service, .. }
            | Ready { service, .. }
            | Unready { service, .. }
            | Late { service, .. }
            | Unhealthy { service, .. }
            | Exited { service, .. }
            | Restarting { service, .. }
            | CrashLoop { service, .. }
            | Stopping { service, .. }
            | Stopped { service, .. }
            | Killed { service, .. }
            | RolledBack { service, .. } => Some(service),
            Cleaned { .. } | GuardianRestarted { .. } | GuardianFailed { .. } => None,
        }
    }

    /// The instance it is about, if it is about one.
    pub fn instance(&self) -> Option<&str> {
        use Event::*;
        match self {
            Starting { instance, .. }
            | NotStarted { instance, .. }
            | Ready { instance, .. }
            | Unready { instance, .. }
            | Late { instance, .. }
            | Unhealthy { instance, .. }
            | Exited { instance, .. }
            | Restarting { instance, .. }
            | CrashLoop { instance, .. }
            | Stopping { instance, .. }
            | Stopped { instance, .. }
            | Killed { instance, .. }
            | Cleaned { instance, .. } => Some(instance),
            _ => None,
        }
    }

    /// Whether a person should look at it: something failed.
    pub fn is_problem(&self) -> bool {
        use Event::*;
        matches!(
            self,
            BuildFailed { .. }
                | NotStarted { .. }
                | Unready { .. }
                | Late { .. }
                | Unhealthy { .. }
                | Exited { .. }
                | CrashLoop { .. }
                | Killed { .. }
                | RolledBack { .. }
                | GuardianRestarted { .. }
                | GuardianFailed { .. }
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Event::*;
        match self {
            Building { service, command } => write!(f, "{service}: building with `{command}`"),
            Built { service, took } => write!(f, "{service}: built in {}", Human(*took)),
            BuildFailed { service, command, status, last_lines } => {
                write!(f, "{service}: build `{command}` failed ({status})")?;
                lines(f, last_lines)
            }
            Waiting { service, on } => write!(f, "{service}: waits for {}", on.join(", ")),
            Starting { instance, pid, port, .. } => write!(f, "{instance}: starting, pid {pid}, port {port}"),
            NotStarted { instance, why, retry_in, .. } => {
                write!(f, "{instance}: cannot be started: {why}; tried again in {}", Human(*retry_in))
            }
            Ready { instance, address, took, .. } => {
                write!(f, "{instance}: ready at {address} after {}", Human(*took))
            }
            Unready { instance, why, .. } => write!(f, "{instance}: no longer ready: {why}"),
            Late { instance, within, why, .. } => {
                write!(f, "{instance}: not ready within {}: {why}", Human(*within))
            }
            Unhealthy { instance, why, .. } => write!(f, "{instance}: not alive: {why}"),
            Exited { instance, status, uptime, .. } => {
                write!(f, "{instance}: {status} after {}", Human(*uptime))
            }
            Restarting { instance, in_, why, .. } if in_.is_zero() => {
                write!(f, "{instance}: restarting at once: {why}")
            }
            Restarting { instance, in_, why, .. } => {
                write!(f, "{instance}: restarting in {}: {why}", Human(*in_))
            }
            CrashLoop { instance, restarts, why, last_lines, retry_in, .. } => {
                write!(
                    f,
                    "{instance}: crash loop: {why}, {restarts} restarts; next try in {}",
                    Human(*retry_in)
                )?;
                lines(f, last_lines)
            }
            Stopping { instance, .. } => write!(f, "{instance}: stopping"),
            Stopped { instance, status, .. } => write!(f, "{instance}: stopped ({status})"),
            Killed { instance, grace, .. } => {
                write!(f, "{instance}: killed, it did not end within {}", Human(*grace))
            }
            RolledBack { service, why } => {
                write!(f, "{service}: the new version does not start, the old one stays: {why}")
            }
            Cleaned { instance, pid } => write!(f, "{instance}: ended pid {pid} of an earlier run"),
            GuardianRestarted { pid } => write!(f, "the guardian had died and runs again, pid {pid}"),
            GuardianFailed { why } => {
                write!(f, "no guardian, so processes stay behind if this one is killed: {why}")
            }
        }
    }
}

fn lines(f: &mut fmt::Formatter<'_>, lines: &[String]) -> fmt::Result {
    lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
}

/// A duration as a person says it: `43 ms`, `1.2 s`, `3 min`.
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms @ 0..1000 => write!(f, "{ms} ms"),
            ms @ 1000..120_000 if ms % 1000 == 0 => write!(f, "{} s", ms / 1000),
            1000..120_000 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            ms => write!(f, "{} min", ms / 60_000),
        }
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
