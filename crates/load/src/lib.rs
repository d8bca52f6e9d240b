//! An open-loop load generator: requests leave at a constant arrival rate, whatever the server does.
//!
//! # Why open loop
//!
//! A closed-loop generator sends its next request when the last one is answered. When the server
//! stalls for a second such a generator falls silent for a second and records *one* slow answer,
//! where customers, who don't wait for each other, would have met a hundred. Gil Tene named this
//! *coordinated omission* ("How NOT to Measure Latency", 2013) and `wrk2` corrects it; so do we, in
//! the same way: every request has an intended send time, `start + i / rate`, fixed before the run,
//! and its latency counts from there. A request that has to wait for a connection, or that the
//! generator itself sends late, has that wait in its latency.
//!
//! # How sequential steps fit an open loop
//!
//! A journey's steps depend on each other (an order can't be read before it is placed), so a
//! journey can't be a stream of independent arrivals. The rate is therefore one of *requests*: each
//! arrival asks for the next step of the journey that has waited longest for its turn; when every
//! journey under way still waits for an answer, the arrival begins a new journey. No arrival ever
//! waits for an answer, so the rate holds, and a slow server meets more concurrent customers, as it
//! would in life.
//!
//! # Parts
//!
//! [`scenario`] reads journeys from YAML; `journeys` (pure) decides what the next arrival asks for;
//! `client` carries one request over a pool that grows on demand; `ledger` (pure) counts;
//! `driver` joins them on a runtime in a thread of its own; [`report`] and [`render`] tell.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod config;
mod driver;
mod journeys;
mod ledger;
mod pacer;
mod render;
pub mod report;
mod rng;
pub mod scenario;

pub use config::{Config, Error, Target};
pub use driver::run;
pub use render::{progress_line, render};
pub use report::{Report, Tick};
pub use scenario::Scenario;
