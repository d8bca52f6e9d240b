//! The side of the clients: listening sockets, connections, what comes over them as bytes.

pub(crate) mod bind;
pub(crate) mod inspect;
pub(crate) mod serve;
pub(crate) mod tls;
