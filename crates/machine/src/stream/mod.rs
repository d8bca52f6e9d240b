//! Event streams: what event sourcing keeps its facts in.
//!
//! A *store* holds streams, a *stream* the events of one thing in order, such as an order's or an
//! account's. Events are appended at the end and never changed; who appends says which version it
//! believes the stream to have ([`Expected`]), so two that decided on the same past cannot both be
//! right.
//!
//! - **Versions** count a stream's events from one without gaps, and go on where they were when a deleted
//!   stream is begun anew. A stream that never was has version zero.
//! - **Positions** count all events of a store in a shard from one without gaps, in the order of their
//!   appending, so a reader knows how many it is behind.
//! - **Placement**: streams are spread over the shards by their names, or a store lies in one shard as a
//!   whole, when one order of all its events is worth more than the others' work ([`Spread`]). It is
//!   settled by the first [`Define`], since events would be looked for elsewhere after.
//! - **Appending again**: an append whose version is not the stream's any more is taken for done if the
//!   events there have its ids, as in KurrentDB. Without a version to look at, only the idempotency key of
//!   the request helps.
//! - **Removal** is by age, by count, by [`Truncate`] and by [`Delete`]. It moves the stream's first
//!   version at once; the events are taken out a few at a time, the rest by timer ([`trim`]). Readers
//!   of a stream see nothing of them any more, readers of all events may until then.
//! - **Projections** keep the position up to which they have read in the same commit as what came of it
//!   ([`Project`]), so what they write is written once, however often they are started again.
//!
//! An append of one event reads two small records (the store's, the stream's) and writes four: those two,
//! the event under its stream and version, and its place in the order of all, which says whose event it is
//! and of which type, so that what a reader does not want is passed over without being looked up.

mod append;
mod define;
mod delete;
mod describe;
mod expected;
mod project;
mod read;
mod record;
mod rewind;
mod snapshot;
mod trim;
mod truncate;

pub use append::{Append, NewEvent};
pub use define::Define;
pub use delete::Delete;
pub use describe::Describe;
pub use expected::Expected;
pub use project::{Project, Step};
pub use read::{
    All, EventAt, Events, Filter, Found, checkpoint, checkpoints, description, find, latest_snapshot,
    position, read, read_all, settings, stores, streams,
};
pub use record::{Checkpoint, Description, Event, Life, Place, Settings, Snapshot, Spread, Store, Stream};
pub use rewind::{Mark, Rewind};
pub use snapshot::SaveSnapshot;
pub use truncate::Truncate;

pub(crate) use trim::due as trim_due;

use crate::command::commands;
use crate::context::Context;
use crate::key::{Key, Table};
use crate::limits;
use crate::placement::{Shard, Shards};
use crate::refusal::{Code, Refusal};

/// Most events of one [`Append`].
pub const EVENTS_APPENDED_MAX: usize = 1_000;
/// Longest id of an event in bytes: a UUID has 16, or 36 as text.
pub const EVENT_ID_BYTES_MAX: usize = 64;
/// Most events that one read returns.
pub const EVENTS_READ_MAX: usize = 4_096;
/// How many events one read of all events looks at, whether it wants them or not.
pub const EVENTS_LOOKED_AT_MAX: usize = 65_536;
/// Most events that one command or timer takes out; the timer goes on with the others.
pub const EVENTS_TRIMMED_MAX: u64 = 64;
/// Most snapshots that a stream can keep.
pub const SNAPSHOTS_MAX: u32 = 16;

const _: () = assert!(EVENTS_APPENDED_MAX <= crate::limits::ENTRY_BODIES_MAX);

commands! {
    "event streams";
    /// Appends events.
    1 => Append,
    /// Makes a store, or changes its settings.
    2 => Define,
    /// Removes a stream's oldest events.
    3 => Truncate,
    /// Removes a stream.
    4 => Delete,
    /// Gives a stream settings and metadata of its own.
    5 => Describe,
    /// Saves a stream's snapshot.
    6 => SaveSnapshot,
    /// Moves a projection on, with what came of it.
    7 => Project,
    /// Sets a projection back.
    8 => Rewind,
}

/// What a command to event streams was answered.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Reply {
    /// The stream's version now; of a snapshot, the version that it is of.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// The position of the last event that was appended; of a projection, up to where it has read.
    #[prost(uint64, tag = "2")]
    pub position: u64,
}

/// The shard that a store is defined at first, and where it lies if it is not spread.
pub fn home(shards: Shards, store: &str) -> Shard {
    shards.of(&[b"stream", store.as_bytes()])
}

/// The shard of a stream.
pub fn shard(shards: Shards, store: &str, spread: Spread, stream: &str) -> Shard {
    match spread {
        Spread::ByStream => shards.of(&[b"stream", store.as_bytes(), stream.as_bytes()]),
        Spread::Together => home(shards, store),
    }
}

fn store_key(store: &str) -> Key {
    Key::new(Table::StreamStore).name(store)
}

fn stream_key(store: &str, stream: &str) -> Key {
    Key::new(Table::Stream).name(store).name(stream)
}

fn event_key(store: &str, stream: &str, version: u64) -> Key {
    Key::new(Table::StreamEvent).name(store).name(stream).u64(version)
}

fn place_key(store: &str, position: u64) -> Key {
    Key::new(Table::StreamAll).name(store).u64(position)
}

fn description_key(store: &str, stream: &str) -> Key {
    Key::new(Table::StreamDescription).name(store).name(stream)
}

fn snapshots_key(store: &str, stream: &str) -> Key {
    Key::new(Table::StreamSnapshot).name(store).name(stream)
}

fn projection_key(projection: &str, store: &str, shard: u32) -> Key {
    Key::new(Table::StreamProjection).name(projection).name(store).u32(shard)
}

fn check_place(store: &str, stream: &str) -> Result<(), Refusal> {
    limits::name("store", store)?;
    limits::name("stream", stream)
}

/// The store that a command speaks of, and the stream with its key.
fn opened(context: &Context<'_>, store: &str, stream: &str) -> Result<(Store, Key, Stream), Refusal> {
    let defined = context.get(&store_key(store)).ok_or_else(|| {
        Refusal::new(Code::NotFound, format!("there is no store {store:?} of streams: define it"))
    })?;
    let key = stream_key(store, stream);
    let stream = context.get_or_default(&key);
    Ok((defined, key, stream))
}
