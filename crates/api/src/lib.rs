//! The application API: HTTP and gRPC, for programs in any language. What Dapr names is Dapr's, so that its SDKs work
//! as they are.
//!
//! The transports (`http`, `grpc`) are thin: they decode, ask a building block (`state`, `metadata`, `health`), and
//! render what it answers. The building blocks know no transport; their errors ([`error::Error`]) have Dapr's code and a
//! status for either. Nothing here keeps what must last: that is the engine's. Nothing here locks on the way of a
//! request.
//!
//! The applications of a node share a [`Host`]: its engines, and knowledge of each other. Each is an [`Instance`] with its own
//! listeners, so that it is known who asks; it is answered by one [`Api`] after the other, as what is declared changes. What goes to an application goes through [`app::App`]; what Colony brings it
//! of its own accord begins in `inbound`.
//!
//! To add endpoints: a building block in a file or folder of its own, a file in `http` and a line in its `route`, the
//! method in `proto` and `grpc/dapr.rs` and a file for the group in `grpc`.

pub mod access;
mod api;
pub mod app;
mod bindings;
pub mod carried;
pub mod config;
pub mod configuration;
mod deadline;
mod delivery;
mod duration;
pub mod error;
pub mod expression;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod grpc;
pub mod health;
pub mod host;
mod http;
mod idempotency;
mod ids;
mod inbound;
mod instance;
mod invoke;
pub mod jobs;
pub mod listeners;
pub mod lock;
pub mod metadata;
mod outbox;
pub mod payload;
pub mod projection;
pub mod proto;
pub mod pubsub;
pub mod queues;
mod refused;
pub mod resiliency;
mod secrets;
pub mod server;
pub mod spans;
pub mod state;
pub mod streams;
pub mod subscription;
mod time;
mod token;
pub mod topics;
mod undeclared;
pub mod uses;
mod value;

pub use api::{Api, Say};
pub use config::Config;
pub use host::Host;
pub use instance::Instance;
pub use listeners::{BindError, Listener, Listeners};
pub use server::{End, Server};
