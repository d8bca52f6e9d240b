//! The data plane on real sockets: a small world of servers that misbehave on purpose and clients
//! that know the exact bytes, and short stories told in it.

mod bodies;
mod headers;
mod hostile;
mod policies;
mod protocols;
mod reload;
mod retries;
mod routing;
mod world;
