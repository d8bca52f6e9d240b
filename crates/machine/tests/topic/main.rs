//! Stories of topics.

#![allow(clippy::single_range_in_vec_init, reason = "a list of ranges may have one")]

mod consume;
mod delayed;
mod delivery;
mod failing;
mod leader;
mod property;
mod publish;
mod retention;
mod shop;
#[path = "../world/mod.rs"]
mod world;
