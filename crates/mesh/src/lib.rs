//! The live data plane: the gateway in front and the sidecar beside each service are the same code
//! with another [`config::Role`].
//!
//! A [`Mesh`] owns a thread per core. Each has its own listeners (`SO_REUSEPORT`), connections and
//! pools and serves a request from beginning to end; cores meet only in the instance lists
//! (`upstream`) and in the policy machines that must see every failure (`guard`).
//!
//! The way of a request through the folders: `client` takes the connection, `request` finds the route
//! and readies headers and bodies (`message` is what they are made of, `io` what they come over), `call` carries it through the policies, `upstream` holds the
//! other side. Around them: `config` and `table` say what to serve, `mesh` is the handle, `core` a
//! thread, `status` the numbers, `spans` what is recorded of each request.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod affinity;
mod call;
mod client;
mod clock;
pub mod config;
mod core;
mod executor;
mod faults;
mod forces;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod io;
mod mesh;
mod message;
mod neighbours;
mod request;
mod spans;
mod status;
mod table;
mod upstream;

pub use crate::call::HOLD_MAX;
pub use crate::client::bind::BindError;
pub use crate::faults::{FAULTS_MAX, FaultEnd, FaultError, FaultStatus};
pub use crate::forces::{ForceEnd, ForceError, LostForce};
pub use crate::mesh::{ApplyError, Mesh};
pub use crate::request::preview::{Asked, Misfit, Part, Preview, Refusal, Tried, preview};
pub use crate::request::split::Side;
pub use crate::spans::Recording;
pub use crate::status::{
    CallStatus, ClassStatus, ConcurrencyStatus, EjectedStatus, InstanceStatus, ListenerStatus, Status,
    UpstreamStatus, ZoneStatus,
};
pub use crate::upstream::Endpoint;
