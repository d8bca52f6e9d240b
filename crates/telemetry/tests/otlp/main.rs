//! OTLP over real sockets: what is sent is what is handed over, and what must not be is refused in the protocol's words.

mod exporting;
mod flood;
mod receiving;
mod world;
