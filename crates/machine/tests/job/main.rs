//! Jobs: stories, what the clock on a wall does, texts, and a model.

#[path = "../world/mod.rs"]
mod world;

mod clock;
mod desk;
mod model;
mod stories;
mod texts;
