//! Queues: stories, and a model beside them.

#[path = "../world/mod.rs"]
mod world;

mod cost;
mod keys;
mod model;
mod shop;
mod stories;
