//! Components that are kept outside, used through `colony sidecar`.

mod bindings;
mod blocks;
#[cfg(feature = "conformance")]
mod brokers;
#[cfg(feature = "conformance")]
mod configurations;
#[cfg(feature = "conformance")]
#[allow(dead_code, reason = "the stories of the adapter have it do more")]
#[path = "../../../../components/tests/jetstream/server.rs"]
mod nats_server;
#[cfg(feature = "conformance")]
mod postgres;
#[cfg(feature = "conformance")]
#[allow(dead_code, reason = "the stories of the adapter have it do more")]
#[path = "../../../../components/tests/postgres/server.rs"]
pub mod postgres_server;
mod publish;
#[cfg(feature = "conformance")]
#[allow(dead_code, reason = "the stories of the adapter have it do more")]
#[path = "../../../../components/tests/rabbitmq/server.rs"]
mod rabbitmq_server;
#[cfg(feature = "conformance")]
mod redis;
mod secrets;
#[cfg(feature = "conformance")]
#[allow(dead_code, reason = "the stories of the adapter have it do more")]
#[path = "../../../../components/tests/redis/server.rs"]
pub mod server;
mod sidecar;
#[cfg(feature = "conformance")]
mod topics;
