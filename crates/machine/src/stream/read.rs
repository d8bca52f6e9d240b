//! What can be read of streams without an entry in the log.
//!
//! A subscription reads from the version or position after the last that it has seen, and when there is no
//! more waits at [`Channel::stream`](crate::effect::Channel::stream) before it reads on.

use std::ops::ControlFlow;

use super::{
    Checkpoint, Description, EVENTS_LOOKED_AT_MAX, EVENTS_READ_MAX, Event, Place, Settings, Snapshot, Store,
    Stream, description_key, event_key, place_key, projection_key, snapshots_key, store_key, stream_key,
};
use crate::context::{decode, read as message};
use crate::key::{Key, Parts, Table, last_number};
use crate::state::{Order, Read, names};

/// Which events a reader wants: those that are as all of this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Their type is one of these; any, if there are none.
    pub types: &'a [&'a str],
    /// Their stream's name begins with this.
    pub streams: &'a str,
}

/// Events of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// The stream.
    pub stream: Stream,
    /// Its events, in the order that was asked for.
    pub events: Vec<EventAt>,
    /// The version to read on from; nothing at the end.
    pub next: Option<u64>,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAt {
    /// Its version.
    pub version: u64,
    /// The event.
    pub event: Event,
}

/// Events of all streams of a store in a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct All {
    /// The events, in the order that was asked for.
    pub events: Vec<Found>,
    /// The position to read on from. Forwards, all before it has been seen, wanted or not: one less is a
    /// checkpoint. Backwards, zero is the end.
    pub next: u64,
    /// Whether there is no more now.
    pub end: bool,
}

/// An event among those of all streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its stream.
    pub stream: String,
    /// Its version there.
    pub version: u64,
    /// The event, which has its position.
    pub event: Event,
}

/// How `store` is kept; nothing if there is no such store.
pub fn settings(state: &(impl Read + ?Sized), store: &str) -> Option<Settings> {
    message::<Store>(state, &store_key(store)).map(|store| store.settings)
}

/// Up to `max` stores by name: those after `after`.
pub fn stores(state: &(impl Read + ?Sized), after: Option<&str>, max: usize) -> Vec<String> {
    names(state, &Key::new(Table::StreamStore), "", after, max)
}

/// The position of the last event of `store` in this shard: how many there ever were.
pub fn position(state: &(impl Read + ?Sized), store: &str) -> u64 {
    message::<Store>(state, &store_key(store)).map_or(0, |store| store.position)
}

/// The stream `name` of `store`; nothing if there never was one.
pub fn find(state: &(impl Read + ?Sized), store: &str, name: &str) -> Option<Stream> {
    message(state, &stream_key(store, name))
}

/// Up to `limit` streams of `store` in this shard whose names begin with `prefix` and come after `after`, by name. Those
/// that were deleted are among them.
pub fn streams(
    state: &(impl Read + ?Sized),
    store: &str,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Vec<(String, Stream)> {
    let all = Key::new(Table::Stream).name(store).bytes(prefix.as_bytes());
    let from = if after < prefix || after.is_empty() { all.clone() } else { stream_key(store, after).end() };
    let mut streams = Vec::new();
    state.scan(from.as_bytes(), all.end().as_bytes(), Order::Forwards, &mut |key, value| {
        if streams.len() >= limit.min(EVENTS_READ_MAX) {
            return ControlFlow::Break(());
        }
        let mut parts = Parts::of(key);
        parts.name();
        let name = parts.name().expect("the key of a stream has its name");
        streams.push((name.to_owned(), decode(key, value.clone())));
        ControlFlow::Continue(())
    });
    streams
}

/// Up to `limit` events of a stream, and [`EVENTS_READ_MAX`] at most, from the version `from` on in `order`.
/// Versions that are not there are passed over: zero forwards and [`u64::MAX`] backwards are the ends.
/// Nothing if there never was such a stream.
pub fn read(
    state: &(impl Read + ?Sized),
    store: &str,
    name: &str,
    from: u64,
    order: Order,
    filter: &Filter<'_>,
    limit: usize,
) -> Option<Events> {
    let stream = find(state, store, name)?;
    let (first, end) = match order {
        Order::Forwards => (from.max(stream.first()), stream.version + 1),
        Order::Backwards => (stream.first(), from.min(stream.version) + 1),
    };
    let mut read = Events { stream, events: Vec::new(), next: None };
    let (begin, end) = (event_key(store, name, first), event_key(store, name, end));
    let mut looked_at = 0;
    state.scan(begin.as_bytes(), end.as_bytes(), order, &mut |key, value| {
        let version = last_number(key);
        if read.events.len() >= limit.min(EVENTS_READ_MAX) || looked_at >= EVENTS_LOOKED_AT_MAX {
            read.next = Some(version);
            return ControlFlow::Break(());
        }
        looked_at += 1;
        let event: Event = decode(key, value.clone());
        if filter.wants(name, &event.r#type) {
            read.events.push(EventAt { version, event });
        }
        ControlFlow::Continue(())
    });
    Some(read)
}

/// Up to `limit` events of all streams of `store` in this shard, and [`EVENTS_READ_MAX`] at most, from the
/// position `from` on in `order`.
pub fn read_all(
    state: &(impl Read + ?Sized),
    store: &str,
    from: u64,
    order: Order,
    filter: &Filter<'_>,
    limit: usize,
) -> All {
    let last = position(state, store);
    let (first, end, after_end) = match order {
        Order::Forwards => (from, last + 1, from.max(last + 1)),
        Order::Backwards => (1, from.min(last) + 1, 0),
    };
    let mut all = All { events: Vec::new(), next: after_end, end: true };
    let (begin, end) = (place_key(store, first), place_key(store, end));
    let mut looked_at = 0;
    state.scan(begin.as_bytes(), end.as_bytes(), order, &mut |key, value| {
        if all.events.len() >= limit.min(EVENTS_READ_MAX) || looked_at >= EVENTS_LOOKED_AT_MAX {
            (all.next, all.end) = (last_number(key), false);
            return ControlFlow::Break(());
        }
        looked_at += 1;
        let place: Place = decode(key, value.clone());
        if filter.wants(&place.stream, &place.r#type) {
            all.events.push(found(state, store, place));
        }
        ControlFlow::Continue(())
    });
    all
}

/// The latest snapshot of a stream up to `version`.
pub fn latest_snapshot(
    state: &(impl Read + ?Sized),
    store: &str,
    name: &str,
    version: u64,
) -> Option<Snapshot> {
    let all = snapshots_key(store, name);
    let end = match version.checked_add(1) {
        Some(end) => all.clone().u64(end),
        None => all.end(),
    };
    let (key, value) = state.first(all.as_bytes(), end.as_bytes(), Order::Backwards)?;
    Some(decode(&key, value))
}

/// What is said about a stream, if anything.
pub fn description(state: &(impl Read + ?Sized), store: &str, name: &str) -> Option<Description> {
    message(state, &description_key(store, name))
}

/// Up to where `projection` has read `shard` of `store`; nothing if it has read nothing.
pub fn checkpoint(
    state: &(impl Read + ?Sized),
    projection: &str,
    store: &str,
    shard: u32,
) -> Option<Checkpoint> {
    message(state, &projection_key(projection, store, shard))
}

/// Up to `max` checkpoints of projections that lie in this shard, each with the projection's name, the store that it reads and the
/// shard of that.
pub fn checkpoints(state: &(impl Read + ?Sized), max: usize) -> Vec<(String, String, u32, Checkpoint)> {
    let mut found = Vec::new();
    state.scan_prefix(&Key::new(Table::StreamProjection), &mut |key, value| {
        if found.len() == max {
            return ControlFlow::Break(());
        }
        let mut parts = Parts::of(key);
        if let (Some(projection), Some(store), Some(shard)) = (parts.name(), parts.name(), parts.u32()) {
            found.push((projection.to_owned(), store.to_owned(), shard, decode(key, value.clone())));
        }
        ControlFlow::Continue(())
    });
    found
}

fn found(state: &(impl Read + ?Sized), store: &str, place: Place) -> Found {
    let Place { stream, version, .. } = place;
    let event = message(state, &event_key(store, &stream, version)).unwrap_or_else(|| {
        panic!("the store {store:?} has a place for event {version} of {stream:?}, but not it")
    });
    Found { stream, version, event }
}

impl Filter<'_> {
    fn wants(&self, stream: &str, r#type: &str) -> bool {
        (self.types.is_empty() || self.types.contains(&r#type)) && stream.starts_with(self.streams)
    }
}
