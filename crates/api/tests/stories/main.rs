//! The API over real sockets, as clients see it.

mod ends;
mod grpc;
mod queues;
mod rules;
mod state;
mod world;
