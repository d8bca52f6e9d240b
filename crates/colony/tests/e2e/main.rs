//! The built binary, started, used, broken and looked at again as a user would.

mod balancing;
mod builds;
mod commands;
#[cfg(feature = "conformance")]
mod conformance;
mod daemons;
mod door;
mod explain;
mod failures;
mod faults;
mod find;
mod golden;
mod json;
mod lifecycle;
mod marketplace;
mod outputs;
mod policies;
mod probes;
mod reload;
mod tls;
mod tries;
mod world;
