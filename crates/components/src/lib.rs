//! Adapters to outside systems, each behind the trait that the engine's own blocks implement too, so that what a
//! component means does not change with what is behind it.
//!
//! A trait carries its contract in MUST words, and `conformance` the same as stories, run against every
//! implementation. Adapters know nothing of applications, resource files or transports: they get their
//! [`Properties`], and answer.

pub mod binding;
pub mod configuration;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod lock;
#[cfg(feature = "outside")]
pub mod postgres;
pub mod properties;
pub mod pubsub;
#[cfg(feature = "outside")]
pub mod redis;
pub mod secret;
pub mod state;
pub mod tls;

use std::pin::Pin;

pub use properties::Properties;

/// An answer that comes. Boxed, for which adapter answers is known only when the resource files have been read.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
