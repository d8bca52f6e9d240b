//! Event streams: stories, and a shadow model beside the machine.

#[path = "../world/mod.rs"]
mod world;

mod appending;
mod cost;
mod model;
mod projecting;
mod reading;
mod removing;
mod snapshots;

use bytes::Bytes;
use machine::stream::{
    self, Append, Define, Delete, Description, Event, Expected, Filter, NewEvent, Settings, Snapshot, Spread,
    Truncate,
};
use machine::{Code, Entry, Memory, Order, Refusal, Stored, Table};
use prost::Message;
use world::{World, table};

const STORE: &str = "orders";
/// Longer than what is kept in line.
const LARGE: usize = 200;

/// A world with a store in it.
fn world(settings: Settings) -> World {
    let mut world = World::new();
    world.run(Entry::new(Define { store: STORE.to_owned(), settings })).expect("a store is defined");
    world
}

/// An append of events with these ids, each with a payload of its own.
fn append(stream: &str, expected: Option<Expected>, ids: &[&str]) -> Entry {
    let new = |(at, id): (usize, &&str)| NewEvent {
        id: Bytes::copy_from_slice(id.as_bytes()),
        r#type: id.split('-').next().unwrap_or(id).to_owned(),
        payload: at as u32,
        metadata: None,
    };
    let events = ids.iter().enumerate().map(new).collect();
    let command = Append { store: STORE.to_owned(), stream: stream.to_owned(), expected, events };
    ids.iter().fold(Entry::new(command), |entry, id| entry.with_body(payload(id)))
}

fn payload(id: &str) -> Vec<u8> {
    id.bytes().cycle().take(LARGE).collect()
}

fn version(version: u64) -> Option<Expected> {
    Some(Expected::Version(version))
}

fn truncate(stream: &str, before: u64) -> Entry {
    Entry::new(Truncate { store: STORE.to_owned(), stream: stream.to_owned(), before })
}

fn delete(stream: &str, expected: Option<Expected>, tombstone: bool) -> Entry {
    Entry::new(Delete { store: STORE.to_owned(), stream: stream.to_owned(), expected, tombstone })
}

/// What a command to streams is answered.
fn run(world: &mut World, entry: Entry) -> Result<stream::Reply, Refusal> {
    world.run(entry).map(|reply| match reply.answer {
        Some(machine::command::Answer::Stream(reply)) => reply,
        other => panic!("another answer: {other:?}"),
    })
}

fn refused(world: &mut World, entry: Entry) -> (Code, String) {
    let refusal = run(world, entry).expect_err("it is refused");
    (refusal.code(), refusal.message)
}

fn find(world: &World, name: &str) -> stream::Stream {
    stream::find(&world.state, STORE, name).expect("the stream is known")
}

/// The ids of a stream's events.
fn ids(world: &World, stream: &str) -> Vec<String> {
    let events =
        stream::read(&world.state, STORE, stream, 0, Order::Forwards, &Filter::default(), usize::MAX);
    events.map_or(Vec::new(), |read| read.events.iter().map(|at| text(&at.event.id)).collect())
}

/// The ids of all events.
fn all_ids(world: &World) -> Vec<String> {
    let all = stream::read_all(&world.state, STORE, 0, Order::Forwards, &Filter::default(), usize::MAX);
    assert!(all.end);
    all.events.iter().map(|found| text(&found.event.id)).collect()
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("ids of tests are text")
}

/// All pointers to payloads that streams, and what projections wrote, hold.
fn pointers(state: &Memory) -> Vec<Stored> {
    let events = table(state, Table::StreamEvent).into_iter().flat_map(|(_, value)| {
        let event = Event::decode(value).expect("an event");
        std::iter::once(event.payload).chain(event.metadata)
    });
    let snapshots = table(state, Table::StreamSnapshot).into_iter();
    let descriptions = table(state, Table::StreamDescription).into_iter();
    let items = table(state, Table::KvItem).into_iter();
    events
        .chain(snapshots.map(|(_, value)| Snapshot::decode(value).expect("a snapshot").payload))
        .chain(descriptions.map(|(_, value)| Description::decode(value).expect("a description").metadata))
        .chain(items.map(|(_, value)| machine::kv::Item::decode(value).expect("an item").value))
        .collect()
}

/// Events and their places in the order of all are there together.
fn check(world: &World) {
    world.check(pointers);
    assert_eq!(
        table(&world.state, Table::StreamEvent).len(),
        table(&world.state, Table::StreamAll).len(),
        "an event without a place, or a place without an event"
    );
}

fn spread(spread: Spread) -> Settings {
    Settings { spread: spread.into(), ..Settings::default() }
}
