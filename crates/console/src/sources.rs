//! What the console tells comes from here: the running node, seen as far as the console needs it.

use std::pin::Pin;
use std::sync::Arc;

use manifest::valid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::ServiceStatus;
use telemetry::logs::LogWindow;

use crate::problem::Problem;

/// An answer that takes a while.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// A running node. Everything may be asked by several at a time; what is no future MUST answer at once.
pub trait Sources: Send + Sync + 'static {
    /// Everything that `colony status` shows.
    fn status(&self) -> Value;

    /// The manifest in force.
    fn manifest(&self) -> valid::Manifest;

    /// Calls, upstreams and faults.
    fn plane(&self) -> mesh::Status;

    /// Services and their instances.
    fn services(&self) -> Vec<ServiceStatus>;

    /// The last lines that services wrote.
    fn logs(&self) -> Arc<LogWindow>;

    /// What is kept of traces and logs.
    fn telemetry(&self) -> telemetry::Telemetry;

    /// All metrics as Prometheus reads them, by what it accepts: the type of the content, and the content.
    fn metrics<'a>(&'a self, accept: &'a str) -> Doing<'a, (&'static str, String)>;

    /// What was measured, as is asked.
    fn measured(&self, asked: Measured) -> Doing<'_, Value>;

    /// A document without the secrets that the manifest holds. What leaves the console goes through it.
    fn redacted(&self, document: Value) -> Value;

    /// Has something done; what came of it, as the command line tells it with `--json`.
    fn operate(&self, operation: Operation) -> Doing<'_, Value>;

    /// Every policy of a call or route with its value and place, as `colony explain --json` tells it.
    ///
    /// # Errors
    /// There is no such call, or the manifest cannot be read any more.
    fn explain(&self, call: &str) -> Result<Value, Problem>;

    /// The values in force for a call, for `colony explain --live`.
    ///
    /// # Errors
    /// There is no such call.
    fn terms(&self, call: &str) -> Result<Value, Problem>;

    /// The manifest as it is written now, and how that differs from what is in force.
    ///
    /// # Errors
    /// It cannot be read.
    fn written(&self) -> Result<Value, Problem>;

    /// Where what is durable is kept. It is opened by the first instance that has the application API beside it, and may be another
    /// process'.
    fn durable(&self) -> Doing<'_, Durable<'_>>;
}

/// What is durable, which is not closed meanwhile. Held for one answer.
pub struct Durable<'a> {
    /// Whose engine it is.
    pub host: Arc<api::Host>,
    /// What keeps it open.
    pub held: Box<dyn Held + 'a>,
}

/// Something that is let go of by being dropped.
pub trait Held: Send {}

/// What can be asked of what was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// How a metric went, by the query that says which; or all that there are.
    Metric(String),
    /// What was done to the system, by the query that says when.
    Changes(String),
    /// Objectives, how their budgets were spent, and alerts.
    Objectives,
    /// How objectives stand, and no more: a list.
    Standings,
    /// What `colony top` shows.
    Digest,
}

/// What can be done to a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Take the manifest on as it is now.
    Apply,
    /// End the node.
    End,
    /// Replace the instances of a service, or start a stopped one.
    Restart(String),
    /// Stop a service.
    Stop(String),
    /// Run so many instances of a service.
    Scale(String, u32),
    /// End an instance's process at once, as a crash would.
    Kill(String),
    /// Force the breaker of a call.
    Breaker(String, Force),
    /// Have a fault strike; what, as `colony fault add` sends it.
    AddFault(Value),
    /// End a fault, or all.
    ClearFaults(Option<u64>),
}

/// What a breaker is made to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Force {
    /// It refuses every request.
    Open,
    /// It lets every request through.
    Closed,
    /// What it decides itself.
    Auto,
}
