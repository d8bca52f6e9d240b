//! The side of the upstreams: their instances, the connections to them, the addresses of externals.

mod dns;
mod greeting;
pub(crate) mod http1;
mod instances;
pub(crate) mod pool;
pub(crate) mod resolve;
mod sides;
mod tls;

pub use instances::Endpoint;
pub(crate) use instances::{Lease, LocalInstance, LocalUpstream, Upstream};
pub(crate) use sides::Sides;
