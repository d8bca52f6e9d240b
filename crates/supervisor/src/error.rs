//! What can go wrong with what the supervisor is asked to do.

use crate::status::State;
use serde::Serialize;
use std::error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The supervisor could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The data folder cannot be created, read or written.
    DataDir {
        /// The folder or the file in it.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another supervisor works with this data folder.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused a thread.
    Thread(io::Error),
    /// Not called within a tokio runtime.
    NoRuntime,
}

/// A service that is not ready and will not become so without help.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NotReady {
    /// Its name.
    pub service: String,
    /// How it is.
    pub state: State,
    /// Why, in one sentence.
    pub why: String,
    /// The last lines of output, when there are some.
    pub last_lines: Vec<String>,
}

/// What `apply` did with one service.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Applied {
    /// Its name.
    pub service: String,
    /// What differed.
    pub change: Change,
    /// Why the change could not be carried out. A service that could not be rolled runs on as it was.
    pub error: Option<CommandError>,
}

/// How a service differs from what ran before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Nothing differs.
    Unchanged,
    /// Something that needs no restart, such as `after` or `grace`.
    Adjusted,
    /// The number of instances.
    Scaled {
        /// Before.
        from: u32,
        /// After.
        to: u32,
    },
    /// What runs: each instance was replaced.
    Rolled,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// An operation that ended well.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Done {
    /// The service.
    pub service: String,
    /// The ids of its instances now.
    pub instances: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// An operation on a service that was refused or failed.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "error", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CommandError {
    /// No service has this name.
    NoSuchService {
        /// The name asked for.
        service: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The number is not from 1 to the service's maximum.
    OutOfRange {
        /// The service.
        service: String,
        /// The number asked for.
        asked: u32,
        /// The most there may be.
        max: u32,
    },
    /// It is not a process of ours, so it cannot be started, scaled or stopped.
    External {
        /// The service.
        service: String,
    },
    /// A build, a start or a readiness probe failed.
    Failed {
        /// The service.
        service: String,
        /// What failed.
        why: String,
        /// The last lines of output.
        last_lines: Vec<String>,
        /// What ran before still runs.
        old_stays: bool,
    },
    /// Another operation, such as `stop`, came in between.
    Interrupted {
        /// The service.
        service: String,
    },
    /// The supervisor is shutting down.
    ShuttingDown,
}

impl CommandError {
    /// Whether the caller asked for something impossible (true) or the service failed (false).
    pub fn is_callers(&self) -> bool {
        matches!(self, Self::NoSuchService { .. } | Self::OutOfRange { .. } | Self::External { .. })
    }
}

impl Done {
    pub(crate) fn new(service: &str, instances: Vec<String>, took: Duration) -> Self {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { service: service.to_owned(), instances, took_ms }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir { path, .. } => write!(f, "cannot use data folder `{}`", path.display()),
            Self::InUse { path } => {
                write!(f, "already running: another process works with `{}`", path.display())
            }
            Self::Thread(_) => f.write_str("cannot start the thread that starts processes"),
            Self::NoRuntime => f.write_str("the supervisor must be started within a tokio runtime"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::DataDir { source, .. } | Self::Thread(source) => Some(source),
            Self::InUse { .. } | Self::NoRuntime => None,
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not ready ({}): {}", self.service, self.state, self.why)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchService { service, known } => {
                write!(f, "there is no service `{service}`; there are {}", known.join(", "))
            }
            Self::OutOfRange { service, asked, max } => {
                write!(f, "`{service}` can have 1 to {max} instances, not {asked}")
            }
            Self::External { service } => {
                write!(f, "`{service}` is declared with `url`, so its process is not ours to start or stop")
            }
            Self::Failed { service, why, old_stays, .. } => {
                let stays = if *old_stays { "; the instances from before go on" } else { "" };
                write!(f, "`{service}`: {why}{stays}")
            }
            Self::Interrupted { service } => write!(f, "`{service}`: another command came in between"),
            Self::ShuttingDown => f.write_str("everything is being shut down"),
        }
    }
}

impl error::Error for NotReady {}
impl error::Error for CommandError {}
