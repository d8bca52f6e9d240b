//! The built binary, started, used, broken and looked at again as a user would.

mod commands;
mod failures;
mod golden;
mod lifecycle;
mod marketplace;
mod reload;
mod world;
