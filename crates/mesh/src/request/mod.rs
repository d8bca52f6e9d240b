//! A request on its way through: where it goes, what its headers become, how its body and its answer
//! stream, and the problem that answers when nobody else does.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod forward;
pub(crate) mod grpc;
pub(crate) mod headers;
pub(crate) mod http2;
pub(crate) mod idle;
pub(crate) mod interim;
pub(crate) mod last_hop;
pub(crate) mod outgoing;
pub(crate) mod preview;
pub(crate) mod problem;
pub(crate) mod route;
pub(crate) mod slow;
pub(crate) mod split;
pub(crate) mod websocket;
