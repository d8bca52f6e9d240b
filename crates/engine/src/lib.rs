//! Runs shards: takes commands, has them made durable, applies them, and does what comes of it.
//!
//! What decides is in [`worker::Worker`]: which commands become a batch, what is applied when, which timers
//! fire, what goes to which shard. It has no thread, clock or file of its own; a log, a store and the time are
//! given to it. [`Engine`] drives workers with threads, the simulation in `tests` with a seed.
//!
//! The way of a command: `propose` stamps it and puts it to those that wait; the next batch takes all that wait
//! for all shards to the log, as one write and one sync; while the disk is busy the batch before is applied and
//! answered. State is in memory in front of a store ([`overlay`]): a checkpoint puts what has changed into the
//! store all at once, together with the sequence up to which it was applied, so that starting after a crash and
//! starting after a shutdown are the same: read the store, apply the log from there.

pub mod backup;
pub mod blocks;
pub mod checkpoint;
pub mod clock;
pub mod commits;
pub mod config;
pub mod consume;
mod define;
pub mod embedded;
pub mod engine;
pub mod error;
pub mod feed;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod inspection;
pub mod metrics;
mod outbox;
pub mod overlay;
mod receive;
pub mod reclaim;
pub mod repair;
pub mod replica;
mod shapes;
pub mod store;
pub mod verify;
mod wait;
mod work;
pub mod worker;

pub use backup::{BackupError, RestoreError};
pub use clock::{Clock, System};
pub use config::Config;
pub use consume::{Consumer, ConsumerConfig, Received};
pub use embedded::{
    Embedded, EmbeddedChanges, EmbeddedConsumer, EmbeddedLog, InMemory, InMemoryChanges, InMemoryConsumer,
};
pub use engine::Engine;
pub use error::{Error, Kind, OpenError, with_causes};
pub use feed::{Begin, Feed, Position};
pub use inspection::Inspection;
pub use metrics::{Metrics, Snapshot};
pub use repair::{Mended, Plan};
pub use store::{Store, StoreError};
pub use verify::{LostPayload, Verdict, verify};
pub use wait::Waiting;
pub use work::{Outcome, WorkConfig};
