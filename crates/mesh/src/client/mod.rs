//! The side of the clients: listening sockets, connections, what comes over them as requests.

mod batched;
pub(crate) mod bind;
mod flood;
mod http1;
mod http2;
pub(crate) mod serve;
mod stall;
pub(crate) mod tls;
mod tunnel;
pub(crate) mod wire;
