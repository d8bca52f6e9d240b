//! Event streams: the facts of things, in order.

use std::collections::BTreeMap;

use bytes::Bytes;
use log::Log;
pub use machine::Order;
use machine::command::Answer;
use machine::effect::Channel;
use machine::stream;
use machine::stream::Checkpoint;
pub use machine::stream::{EVENTS_READ_MAX, Event, Expected, Life, Settings, Spread, Stream};
use machine::{Code, Entry, Read, Refusal, Shard, Stored, Time};

use super::{Ask, dressing, named, unexpected};
use crate::define::{self, Standing};
use crate::engine::Engine;
use crate::error::Error;
use crate::feed::{Begin, Ends, Feed, Follow, Looked, Position};
use crate::store::Store;

/// A store of streams.
pub struct Streams<'a, L, S> {
    ask: Ask<'a, L, S>,
    store: &'a str,
    spread: Spread,
}

/// An event to be appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEvent {
    /// By which its appending again is known, such as a UUID; empty if it has none.
    pub id: Bytes,
    /// What kind of event, in the application's words.
    pub r#type: String,
    /// What happened.
    pub payload: Bytes,
    /// What is said about it, such as who caused it.
    pub metadata: Option<Bytes>,
}

/// An event that was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its stream.
    pub stream: String,
    /// Its version there.
    pub version: u64,
    /// Its place among all events of its store in its shard.
    pub position: u64,
    /// Its id.
    pub id: Bytes,
    /// Its type.
    pub r#type: String,
    /// When.
    pub time: Time,
    /// What happened.
    pub payload: Bytes,
    /// What is said about it.
    pub metadata: Option<Bytes>,
}

/// Some events of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The stream.
    pub stream: Stream,
    /// The events, in the order that was asked for.
    pub events: Vec<Appended>,
    /// The version to read on from; nothing at the end.
    pub next: Option<u64>,
}

/// What came of a stream's events up to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The version.
    pub version: u64,
    /// When it was saved.
    pub time: Time,
    /// It.
    pub payload: Bytes,
}

/// Which events are wanted: those that are as all of this says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Their type is one of these; any, if there are none.
    pub types: Vec<String>,
    /// Their stream's name begins with this.
    pub streams: String,
}

/// How far a projection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Its name.
    pub name: String,
    /// Up to where it has read.
    pub position: Position,
    /// When it was moved last.
    pub moved: Time,
    /// How many events it has not read.
    pub behind: u64,
}

impl NewEvent {
    /// One without id or metadata.
    pub fn new(r#type: impl Into<String>, payload: impl Into<Bytes>) -> NewEvent {
        NewEvent { r#type: r#type.into(), payload: payload.into(), ..NewEvent::default() }
    }

    fn lower(self, bodies: &mut Vec<Bytes>) -> stream::NewEvent {
        let mut body = |bytes| {
            bodies.push(bytes);
            bodies.len() as u32 - 1
        };
        let (payload, metadata) = (body(self.payload), self.metadata.map(&mut body));
        stream::NewEvent { id: self.id, r#type: self.r#type, payload, metadata }
    }
}

dressing!(Streams);

impl<L: Log, S: Store> Engine<L, S> {
    /// Up to `max` stores of streams by name: those after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn stream_stores(&self, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        super::union(&self.inner, max, |state| stream::stores(state, after, max))
    }
}

impl<'a, L: Log, S: Store> Streams<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, store: &'a str) -> Result<Streams<'a, L, S>, Error> {
        let look = || {
            named("store", store)?;
            let home = stream::home(ask.inner.shards(), store);
            let settings = ask.read(home, |state, _| stream::settings(state, store))?;
            Ok::<_, Error>(settings.map(|settings| settings.spread()))
        };
        // One that is not defined is refused by whichever shard.
        let spread = ask.inner.shapes().streams.get(store, look)?.unwrap_or(Spread::ByStream);
        Ok(Streams { ask, store, spread })
    }

    /// Makes the store, or changes its settings, in all shards. Nothing happens if they are so already; what was begun
    /// and not finished is.
    ///
    /// # Errors
    ///
    /// If over which shards it lies is settled otherwise.
    pub async fn define(&self, settings: Settings) -> Result<(), Error> {
        let define = stream::Define { store: self.store.to_owned(), settings };
        let look = |state: &dyn Read| match stream::settings(state, self.store) {
            Some(is) if is == settings => Standing::Same,
            Some(is) if is.spread != settings.spread => Standing::Contrary(match is.spread() {
                Spread::ByStream => "it is spread by stream".to_owned(),
                Spread::Together => "it lies together".to_owned(),
            }),
            _ => Standing::Other,
        };
        let (inner, home) = (self.ask.inner, stream::home(self.ask.inner.shards(), self.store));
        let what = format!("the store {:?} of streams", self.store);
        let forget = self.ask.forget(self.store, |shapes, store| shapes.streams.forget(store));
        define::everywhere(inner, &what, home, Channel::stream(self.store), define.into(), look, forget).await
    }

    /// How the store is kept; nothing if there is no such store.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn settings(&self) -> Result<Option<Settings>, Error> {
        let home = stream::home(self.ask.inner.shards(), self.store);
        self.ask.read(home, |state, _| stream::settings(state, self.store))
    }

    /// Up to `max` streams by name: those whose names begin so, after `after`. Those that were deleted are among them.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn list(&self, prefix: &str, after: &str, max: usize) -> Result<Vec<(String, Stream)>, Error> {
        let mut all = BTreeMap::new();
        for shard in self.shards() {
            all.extend(
                self.ask.read(shard, |state, _| stream::streams(state, self.store, prefix, after, max))?,
            );
        }
        Ok(all.into_iter().take(max).collect())
    }

    /// How many events there ever were.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn events(&self) -> Result<u64, Error> {
        self.positions().map(|positions| positions.values().sum())
    }

    /// Up to `max` of the projections that have read of the store, by name. One of a name that saves to several stores is told of for
    /// each.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn projections(&self, max: usize) -> Result<Vec<Projection>, Error> {
        let positions = self.positions()?;
        let mut found = Vec::new();
        for shard in self.ask.inner.shards().all() {
            let checkpoints = self.ask.read(shard, |state, _| stream::checkpoints(state, CHECKPOINTS_MAX))?;
            found.extend(projections(self.store, &positions, checkpoints));
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found.truncate(max);
        Ok(found)
    }

    /// Appends events, all or none. Returns the stream's version and the position of the last event then.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if the stream is not as `expected`, [`NotFound`](crate::Kind::NotFound) if there
    /// is no such store.
    pub async fn append(
        &self,
        stream: &str,
        expected: Option<Expected>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Result<(u64, u64), Error> {
        let mut bodies = Vec::new();
        let events = events.into_iter().map(|event| event.lower(&mut bodies)).collect();
        let (store, name) = (self.store.to_owned(), stream.to_owned());
        let mut entry = Entry::new(stream::Append { store, stream: name, expected, events });
        entry.bodies = bodies;
        let reply = self.ask.within(stream).propose(self.shard(stream), entry).await.map(reply)?;
        Ok((reply.version, reply.position))
    }

    /// Up to `max` events of a stream from a version on: 0 forwards and [`u64::MAX`] backwards are the ends. Nothing if
    /// there never was such a stream.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn read(
        &self,
        stream: &str,
        from: u64,
        order: Order,
        filter: &Filter,
        max: usize,
    ) -> Result<Option<Page>, Error> {
        named("stream", stream)?;
        let (read, payloads) = self.ask.read_with(self.shard(stream), |state, _| {
            let read =
                filter.with(|filter| stream::read(state, self.store, stream, from, order, filter, max));
            let stored =
                read.iter().flat_map(|read| &read.events).flat_map(|at| pointers(&at.event)).collect();
            Ok((read, stored))
        })?;
        let mut payloads = payloads.into_iter();
        Ok(read.map(|read| {
            let event = |at: stream::EventAt| {
                let has_metadata = at.event.metadata.is_some();
                let mut event = appended(stream.to_owned(), at.version, at.event);
                event.fill(payloads.by_ref().take(1 + usize::from(has_metadata)));
                event
            };
            Page {
                stream: read.stream,
                events: read.events.into_iter().map(event).collect(),
                next: read.next,
            }
        }))
    }

    /// Follows a stream: a [`Position`](crate::Position) is a version of it.
    ///
    /// # Errors
    ///
    /// If there is no such store.
    pub async fn subscribe(
        &self,
        stream: &str,
        filter: Filter,
        from: &Begin,
    ) -> Result<Feed<L, S, Events>, Error> {
        named("stream", stream)?;
        let follow = Events { store: self.store.to_owned(), stream: Some(stream.to_owned()), filter };
        let channel = Channel::stream(self.store);
        Feed::open(self.ask.inner, follow, [self.shard(stream)], channel, from)
    }

    /// Follows all streams: those of a shard in the order of their events.
    ///
    /// # Errors
    ///
    /// If there is no such store.
    pub async fn subscribe_all(&self, filter: Filter, from: &Begin) -> Result<Feed<L, S, Events>, Error> {
        let follow = Events { store: self.store.to_owned(), stream: None, filter };
        Feed::open(self.ask.inner, follow, self.shards(), Channel::stream(self.store), from)
    }

    /// A stream, also if it was deleted; nothing if there never was one.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn find(&self, stream: &str) -> Result<Option<Stream>, Error> {
        named("stream", stream)?;
        self.ask.read(self.shard(stream), |state, _| stream::find(state, self.store, stream))
    }

    /// Saves what came of a stream's events up to `version`.
    ///
    /// # Errors
    ///
    /// If there is no such stream, or it has not come there yet.
    pub async fn save_snapshot(
        &self,
        stream: &str,
        version: u64,
        payload: impl Into<Bytes>,
    ) -> Result<(), Error> {
        let (store, name) = (self.store.to_owned(), stream.to_owned());
        let save = stream::SaveSnapshot { store, stream: name, version, payload: 0 };
        self.ask
            .within(stream)
            .propose(self.shard(stream), Entry::new(save).with_body(payload))
            .await
            .map(|_| ())
    }

    /// The latest snapshot up to `version`.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn latest_snapshot(&self, stream: &str, version: u64) -> Result<Option<Snapshot>, Error> {
        named("stream", stream)?;
        let (found, payloads) = self.ask.read_with(self.shard(stream), |state, _| {
            let found = stream::latest_snapshot(state, self.store, stream, version);
            let stored = found.iter().map(|found| found.payload.clone()).collect();
            Ok((found, stored))
        })?;
        Ok(found.zip(payloads.into_iter().next()).map(|(found, payload)| Snapshot {
            version: found.version,
            time: Time::from_millis(found.time),
            payload,
        }))
    }

    /// Removes events before a version.
    ///
    /// # Errors
    ///
    /// If there is no such stream.
    pub async fn truncate(&self, stream: &str, before: u64) -> Result<(), Error> {
        let (store, name) = (self.store.to_owned(), stream.to_owned());
        let truncate = stream::Truncate { store, stream: name, before };
        self.ask.within(stream).propose(self.shard(stream), Entry::new(truncate)).await.map(|_| ())
    }

    /// Removes a stream; if `tombstone`, for ever.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if it is not as `expected`.
    pub async fn delete(
        &self,
        stream: &str,
        expected: Option<Expected>,
        tombstone: bool,
    ) -> Result<(), Error> {
        let (store, name) = (self.store.to_owned(), stream.to_owned());
        let delete = stream::Delete { store, stream: name, expected, tombstone };
        self.ask.within(stream).propose(self.shard(stream), Entry::new(delete)).await.map(|_| ())
    }

    /// Where one begins who follows a stream after a version of it.
    pub fn after(&self, stream: &str, version: u64) -> Position {
        Position::of(self.shard(stream), version)
    }

    /// The position of the last event in each shard.
    fn positions(&self) -> Result<BTreeMap<u32, u64>, Error> {
        let position = |shard: Shard| {
            let position = self.ask.read(shard, |state, _| stream::position(state, self.store))?;
            Ok((shard.0, position))
        };
        self.shards().map(position).collect()
    }

    /// Those over which it lies.
    fn shards(&self) -> impl Iterator<Item = Shard> + use<L, S> {
        let shards = self.ask.inner.shards();
        let (home, spread) = (stream::home(shards, self.store), self.spread);
        shards.all().filter(move |shard| spread == Spread::ByStream || *shard == home)
    }

    fn shard(&self, stream: &str) -> Shard {
        stream::shard(self.ask.inner.shards(), self.store, self.spread, stream)
    }
}

/// What happens in a store, or in one stream of it: [`Streams::subscribe`], [`Streams::subscribe_all`].
pub struct Events {
    store: String,
    stream: Option<String>,
    filter: Filter,
}

impl Follow for Events {
    type Found = Appended;

    fn look(&self, state: &dyn Read, _: Time, after: u64, max: usize) -> Result<Looked<Appended>, Refusal> {
        let from = after.saturating_add(1);
        self.filter.with(|filter| match &self.stream {
            Some(name) => {
                let read = stream::read(state, &self.store, name, from, Order::Forwards, filter, max);
                let Some(read) = read else { return Ok(Looked { found: Vec::new(), after, end: true }) };
                let found = |at: stream::EventAt| with_pointers(name.clone(), at.version, at.event);
                Ok(Looked {
                    found: read.events.into_iter().map(found).collect(),
                    after: read.next.map_or(after.max(read.stream.version), |next| next - 1),
                    end: read.next.is_none(),
                })
            }
            None => {
                let all = stream::read_all(state, &self.store, from, Order::Forwards, filter, max);
                let found = |found: stream::Found| with_pointers(found.stream, found.version, found.event);
                let found = all.events.into_iter().map(found).collect();
                Ok(Looked { found, after: after.max(all.next - 1), end: all.end })
            }
        })
    }

    fn ends(&self, state: &dyn Read, _: Shard) -> Result<Ends, Refusal> {
        if stream::settings(state, &self.store).is_none() {
            let none = format!("there is no store {:?} of streams: define it", self.store);
            return Err(Refusal::new(Code::NotFound, none));
        }
        let now = match &self.stream {
            Some(name) => stream::find(state, &self.store, name).map_or(0, |stream| stream.version),
            None => {
                let any = stream::Filter::default();
                let last = stream::read_all(state, &self.store, u64::MAX - 1, Order::Backwards, &any, 1);
                last.events.first().map_or(0, |found| found.event.position)
            }
        };
        Ok(Ends { start: 0, now })
    }

    fn fill(found: &mut Appended, payloads: Vec<Bytes>) {
        found.fill(payloads.into_iter());
    }
}

impl Appended {
    /// With what [`pointers`] points to.
    fn fill(&mut self, mut payloads: impl Iterator<Item = Bytes>) {
        self.payload = payloads.next().unwrap_or_default();
        self.metadata = payloads.next();
    }
}

impl Filter {
    fn with<R>(&self, read: impl FnOnce(&stream::Filter<'_>) -> R) -> R {
        let types: Vec<&str> = self.types.iter().map(String::as_str).collect();
        read(&stream::Filter { types: &types, streams: &self.streams })
    }
}

/// Of the checkpoints that lie in one shard, what they say of this store.
fn projections(
    store: &str,
    positions: &BTreeMap<u32, u64>,
    checkpoints: Vec<(String, String, u32, Checkpoint)>,
) -> Vec<Projection> {
    let mut of: BTreeMap<String, BTreeMap<u32, Checkpoint>> = BTreeMap::new();
    for (projection, _, shard, at) in checkpoints.into_iter().filter(|(_, of, ..)| of == store) {
        of.entry(projection).or_default().insert(shard, at);
    }
    let told = |(name, at): (String, BTreeMap<u32, Checkpoint>)| {
        let read = |shard: &u32| at.get(shard).map_or(0, |at| at.position);
        let behind = positions.iter().map(|(shard, last)| last.saturating_sub(read(shard))).sum();
        let moved = Time::from_millis(at.values().map(|at| at.time).max().unwrap_or_default());
        let position = Position::of_parts(at.iter().map(|(shard, at)| (*shard, at.position)));
        Projection { name, position, moved, behind }
    };
    of.into_iter().map(told).collect()
}

/// Most checkpoints that are looked at in a shard.
const CHECKPOINTS_MAX: usize = 10_000;

fn pointers(event: &Event) -> Vec<Stored> {
    std::iter::once(&event.payload).chain(&event.metadata).cloned().collect()
}

fn with_pointers(stream: String, version: u64, event: Event) -> (Appended, Vec<Stored>) {
    let pointers = pointers(&event);
    (appended(stream, version, event), pointers)
}

fn appended(stream: String, version: u64, event: Event) -> Appended {
    let Event { id, r#type, position, time, .. } = event;
    let time = Time::from_millis(time);
    Appended { stream, version, position, id, r#type, time, payload: Bytes::new(), metadata: None }
}

fn reply(answer: Option<Answer>) -> stream::Reply {
    match answer {
        Some(Answer::Stream(reply)) => reply,
        odd => unexpected(odd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_is_behind_by_what_it_has_not_read() {
        let at = |name: &str, of: &str, shard, position, time| {
            (name.to_owned(), of.to_owned(), shard, Checkpoint { position, time })
        };
        let checkpoints = vec![
            at("sums", "orders", 0, 3, 10),
            at("sums", "orders", 2, 5, 20),
            at("names", "orders", 1, 1, 5),
            at("sums", "carts", 1, 9, 30),
        ];
        let positions = BTreeMap::from([(0, 4), (1, 7), (2, 5)]);
        let found = projections("orders", &positions, checkpoints);
        let told: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.behind, one.moved)).collect();
        assert_eq!(
            told,
            [("names", 4 + 6 + 5, Time::from_millis(5)), ("sums", 1 + 7, Time::from_millis(20))]
        );
        assert_eq!(found[1].position.to_string(), "0:3,2:5");
    }
}
