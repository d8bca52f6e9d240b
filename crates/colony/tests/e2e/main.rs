//! The built binary, started, used, broken and looked at again as a user would.

mod apis;
mod backup;
mod balancing;
#[cfg(feature = "conformance")]
mod browser;
mod builds;
mod calls;
mod commands;
mod components;
mod configured;
#[cfg(feature = "conformance")]
mod conformance;
mod console;
mod console_map;
mod daemons;
mod data;
mod delivery;
mod discovery;
#[allow(dead_code, reason = "the stories of the data plane have it say more")]
#[path = "../../../mesh/tests/stories/world/dns.rs"]
mod dns;
mod door;
mod endings;
mod entities;
mod explain;
mod failures;
mod faults;
mod find;
mod frames;
mod golden;
mod interim;
mod json;
mod lifecycle;
mod marketplace;
mod marketplace_kills;
#[cfg(feature = "conformance")]
mod marketplace_python;
mod metrics;
mod noting;
#[cfg(feature = "conformance")]
mod openapi;
mod otlp;
mod outputs;
mod policies;
#[cfg(feature = "conformance")]
#[path = "../../../components/tests/servers/port.rs"]
mod port;
mod probes;
mod protocols;
mod purchase;
mod queues;
#[cfg(feature = "conformance")]
mod quickstarts;
mod reload;
mod renewed;
mod requests;
mod run;
#[cfg(feature = "conformance")]
mod scripts;
#[cfg(feature = "conformance")]
mod sdk;
mod sidecar;
mod sidecar_traces;
mod sidecars;
mod splits;
mod tls;
mod traces;
mod tries;
mod verbs;
mod world;
mod zones;
