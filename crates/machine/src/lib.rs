//! The state machine of a shard: key-value state, topics, queues, streams, jobs, locks and
//! configuration, as one function from a command to a reply.
//!
//! A shard is an ordered log of [`Entry`]s and [`apply`] over them. Whoever applies the same entries
//! in the same order has the same state, which is why nothing here may depend on anything else:
//!
//! - **time** is in the entry, stamped by the shard's leader, and never runs back;
//! - **chance** is not used; where ties must be broken, the sequence breaks them;
//! - **order** is that of keys: the state is an ordered map, and no unordered map is iterated.
//!
//! A folder is a block ([`kv`]), a file in it a command: its inputs as a protobuf message and one
//! `apply`. What a block keeps is protobuf under keys made by [`key::Key`]. What must happen later is
//! a [`timer`], what must happen elsewhere a [`Send`](outbox::Send). Payloads are not copied into the
//! state: they stay in the log, and the state says where ([`body`]).

pub mod body;
pub mod census;
pub mod changes;
pub mod command;
pub mod config;
pub mod context;
pub mod effect;
pub mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod idempotency;
pub mod job;
pub mod key;
pub mod kv;
pub mod limits;
pub mod lock;
pub mod memory;
pub mod outbox;
pub mod placement;
pub mod pointers;
pub mod queue;
pub mod refusal;
pub mod state;
pub mod stream;
pub mod time;
pub mod timer;
pub mod topic;

pub use body::{Body, Stored};
pub use command::{Command, Reply, apply};
pub use context::Context;
pub use effect::Effect;
pub use entry::Entry;
pub use key::{Key, Table};
pub use memory::Memory;
pub use placement::{Shard, Shards};
pub use refusal::{Code, Refusal};
pub use state::{Order, Read, State};
pub use time::Time;

/// The version of what the machine does: raised whenever the same entries would give another state, replies or effects,
/// be it by a newer database of time zones. Entries that were applied by one version must not be applied again by another:
/// whoever opens data of an older one needs a checkpoint that nothing follows.
pub const VERSION: u32 = 2;
