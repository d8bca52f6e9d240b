//! Processes: build, start, probe, restart, scale, roll, stop.
//!
//! What decides is pure: a `machine` per service takes a time and an input (a probe's answer, an exit, a
//! command) and returns actions; it is tested in virtual time. What carries is dull: one task per service
//! feeds its machine and does what it says, one thread (`warden`) starts processes, and a second process
//! (`guardian`) ends them all when this one is killed. Linux only.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod apply;
mod builds;
mod changes;
mod command;
mod config;
mod error;
mod event;
mod guardian;
mod holder;
mod ledger;
mod machine;
mod mark;
mod once;
mod output;
mod ports;
mod probe;
mod process;
mod procfs;
mod service;
mod shared;
mod status;
mod supervisor;
mod warden;

pub use config::{
    Beginning, Beside, Check, Company, Config, Endpoint, Observer, Output, Probe, Protocol, Routing, Run,
    Service, Source,
};
pub use error::{Applied, Change, CommandError, Done, Error, NotReady};
pub use event::Event;
pub use guardian::{GUARDIAN_ARGUMENT, guardian_main};
pub use holder::{Holder, port_holder};
pub use once::{Program, Programs, Running};
pub use status::{InstanceState, InstanceStatus, Rollout, ServiceStatus, State};
pub use supervisor::Supervisor;
