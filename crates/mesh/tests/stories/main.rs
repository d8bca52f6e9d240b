//! The data plane on real sockets: a small world of servers that misbehave on purpose and clients
//! that know the exact bytes, and short stories told in it.

#![allow(clippy::disallowed_methods, reason = "the crate has one clock; its stories look on with another")]

mod balancing;
mod bodies;
mod breakers;
mod crowds;
mod deadlines;
mod discovery;
mod endings;
mod events;
mod faults;
mod floods;
mod grpc;
mod headers;
mod hedges;
mod hostile;
mod interim;
mod limits;
mod policies;
mod previews;
mod protocols;
mod reload;
mod retries;
mod routing;
mod shedding;
mod smuggling;
mod spans;
mod splits;
mod streams;
mod tls;
mod websocket;
mod world;
mod zones;
