//! The side of the clients: listening sockets, connections, what comes over them as requests.

pub(crate) mod bind;
mod http1;
mod http2;
pub(crate) mod serve;
pub(crate) mod tls;
mod tunnel;
pub(crate) mod wire;
