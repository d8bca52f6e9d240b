//! The built binary, started, used, broken and looked at again as a user would.

mod commands;
mod daemons;
mod failures;
mod golden;
mod lifecycle;
mod marketplace;
mod reload;
mod world;
