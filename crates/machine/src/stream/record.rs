//! What is stored of streams. Numbers of fields are in files on disk: they are never used for anything
//! else.

use crate::body::Stored;

/// What is known of a store: a value under [`crate::Table::StreamStore`]. Written by every append, so it is
/// small.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Store {
    /// The position of the last event; zero if there never was one.
    #[prost(uint64, tag = "1")]
    pub position: u64,
    /// How it is kept.
    #[prost(message, required, tag = "2")]
    pub settings: Settings,
}

/// How a store is kept.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Settings {
    /// Over which shards its streams lie. Settled once.
    #[prost(enumeration = "Spread", tag = "1")]
    pub spread: i32,
    /// How many of a stream's events are kept, the latest; zero, the default, for all. A stream may have
    /// its own ([`super::Describe`]).
    #[prost(uint64, tag = "2")]
    pub count_max: u64,
    /// For how many milliseconds an event is kept; zero, the default, for ever. A stream may have its own.
    #[prost(uint64, tag = "3")]
    pub age_ms_max: u64,
    /// How many snapshots of a stream are kept, the latest; zero, the default, is one, and
    /// [`super::SNAPSHOTS_MAX`] are the most.
    #[prost(uint32, tag = "4")]
    pub snapshots: u32,
}

/// Over which shards a store's streams lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Spread {
    /// Over all, by their names: the order of all events is that of each shard.
    ByStream = 0,
    /// All in one: its events have one order, and no more than one shard's speed.
    Together = 1,
}

/// What is known of a stream: a value under [`crate::Table::Stream`]. Written by every append, so it is small.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Stream {
    /// The version of its last event: how many it ever had.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// Up to which version its events are removed.
    #[prost(uint64, tag = "2")]
    pub truncated: u64,
    /// Up to which of those the events have been taken out.
    #[prost(uint64, tag = "3")]
    pub trimmed: u64,
    /// Whether it is there.
    #[prost(enumeration = "Life", tag = "4")]
    pub life: i32,
    /// When its timer is due, in milliseconds since the epoch; zero if it has none.
    #[prost(uint64, tag = "5")]
    pub timer: u64,
    /// Its own for [`Settings::count_max`]; zero for all.
    #[prost(uint64, optional, tag = "6")]
    pub count_max: Option<u64>,
    /// Its own for [`Settings::age_ms_max`]; zero for ever.
    #[prost(uint64, optional, tag = "7")]
    pub age_ms_max: Option<u64>,
}

/// Whether a stream is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Life {
    /// It is, or has yet to be begun.
    Live = 0,
    /// It was deleted, and may be begun anew.
    Deleted = 1,
    /// It was deleted for ever.
    Tombstone = 2,
}

/// An event: a value under [`crate::Table::StreamEvent`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Event {
    /// By which its appending again is known; empty if it has none.
    #[prost(bytes = "bytes", tag = "1")]
    pub id: bytes::Bytes,
    /// What kind of event, in the application's words.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// Its place among all events of its store in this shard.
    #[prost(uint64, tag = "3")]
    pub position: u64,
    /// When it was appended, in milliseconds since the epoch.
    #[prost(uint64, tag = "4")]
    pub time: u64,
    /// What happened.
    #[prost(message, required, tag = "5")]
    pub payload: Stored,
    /// What is said about it, such as who caused it.
    #[prost(message, optional, tag = "6")]
    pub metadata: Option<Stored>,
}

/// Whose event is at a position: a value under [`crate::Table::StreamAll`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Place {
    /// The event's stream.
    #[prost(string, tag = "1")]
    pub stream: String,
    /// Its version there.
    #[prost(uint64, tag = "2")]
    pub version: u64,
    /// Its type, for who wants only some.
    #[prost(string, tag = "3")]
    pub r#type: String,
}

/// What is said about a stream: a value under [`crate::Table::StreamDescription`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Description {
    /// In the application's words.
    #[prost(message, required, tag = "1")]
    pub metadata: Stored,
}

/// A snapshot: a value under [`crate::Table::StreamSnapshot`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Snapshot {
    /// Up to which version the stream's events are in it.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// When it was saved, in milliseconds since the epoch.
    #[prost(uint64, tag = "2")]
    pub time: u64,
    /// What came of those events.
    #[prost(message, required, tag = "3")]
    pub payload: Stored,
}

/// Up to where a projection has read one shard of a store: a value under [`crate::Table::StreamProjection`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Checkpoint {
    /// The position of the last event that it has read.
    #[prost(uint64, tag = "1")]
    pub position: u64,
    /// When it was moved, in milliseconds since the epoch.
    #[prost(uint64, tag = "2")]
    pub time: u64,
}

impl Stream {
    /// Whether it has been begun and not been deleted since.
    pub fn exists(&self) -> bool {
        self.life() == Life::Live && self.version > 0
    }

    /// The version of the first event that can be read; one more than the last if there is none.
    pub fn first(&self) -> u64 {
        self.truncated + 1
    }
}
