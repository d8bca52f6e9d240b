//! The live data plane: the gateway in front and the sidecar beside each service are the same code
//! with another [`config::Role`].
//!
//! A [`Mesh`] owns a thread per core. Each has its own listeners (`SO_REUSEPORT`), connections and
//! pools and serves a request from beginning to end; cores meet only in the instance lists
//! (`upstream`) and in the policy machines that must see every failure (`guard`).
//!
//! The way of a request: `serve` takes the connection, `forward` finds the route and readies the
//! headers, `call` carries it through the policies, `upstream` and `pool` hold the other side,
//! `body` streams.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod bind;
mod body;
mod call;
mod clock;
pub mod config;
mod core;
mod executor;
mod forward;
mod guard;
mod headers;
mod inspect;
mod mesh;
mod pool;
mod problem;
mod resolve;
mod route;
mod serve;
mod status;
mod table;
mod upstream;

pub use crate::bind::BindError;
pub use crate::mesh::{ApplyError, Mesh};
pub use crate::resolve::RESOLVE_EVERY;
pub use crate::status::{CallStatus, EjectedStatus, InstanceStatus, ListenerStatus, Status, UpstreamStatus};
pub use crate::upstream::Endpoint;
