//! The console: a page for people, and the JSON and server-sent events behind it, which the command line uses too.
//!
//! `api` has a file for each resource; what they tell comes from [`Sources`], which the running node implements. Who asks over
//! TCP must know the [`Token`] and come from no other site (`access`); who asks over the node's own socket has been let in by the
//! socket's permissions. `live` watches the node once a second, whoever looks, so that rates, and what has changed since a client
//! was last told, are the same for all. The page is in `assets`, as it is: modules, elements and styles without a build.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod api;
mod assets;
mod layout;
mod live;
mod map;
mod problem;
mod promises;
mod server;
mod sources;
mod token;
mod urls;
mod used;

pub use problem::Problem;
pub use server::{Body, Console};
pub use sources::{Doing, Durable, Force, Held, Measured, Operation, Sources};
pub use token::{TOKEN_FILE, Token};
