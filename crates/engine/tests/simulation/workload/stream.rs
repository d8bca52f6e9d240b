//! Streams that are appended to by some who know their version and some who only believe so.

use bytes::Bytes;
use machine::Entry;
use machine::kv;
use machine::stream::{
    Append, Define, Delete, Describe, Expected, NewEvent, Project, Rewind, SaveSnapshot, Settings, Truncate,
};

use super::{Glance, payload};

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let (store, stream) = place(glance);
    let streams = glance.model.streams(glance.shard);
    let (is_there, version) = (streams.has(&store), streams.version(&store, &stream));
    let body = payload(glance.rng, glance.id, 0);
    let what = match glance.rng.below(20) {
        // Seldom does anybody speak of a store or a stream that there is not.
        _ if !is_there && glance.rng.chance(90) => 0,
        11..17 if version == 0 && glance.rng.chance(80) => 3,
        what => what,
    };
    match what {
        0 => Entry::new(Define { settings: settings(&store), store }),
        1..10 => append(glance, store, stream, version),
        10 => append_again(glance, store, stream, version),
        11 => Entry::new(Truncate { store, stream, before: glance.rng.between(0, version + 2) }),
        12 => Entry::new(Delete {
            expected: expected(glance, version),
            tombstone: glance.rng.chance(20),
            store,
            stream,
        }),
        13 => {
            let count_max = glance.rng.pick(&[None, Some(0), Some(3)]);
            let metadata = glance.rng.pick(&[None, Some(0)]);
            Entry::new(Describe { store, stream, count_max, age_ms_max: None, metadata }).with_body(body)
        }
        14..17 => {
            let version = glance.rng.between(version.saturating_sub(4), version + 1).max(1);
            Entry::new(SaveSnapshot { store, stream, version, payload: 0 }).with_body(body)
        }
        17..19 => project(glance, store).with_body(body),
        _ => {
            let (projection, shard) = ("totals".to_owned(), 0);
            let position = glance.rng.between(0, 5);
            Entry::new(Rewind { projection, store, shard, position, more: Vec::new() })
        }
    }
}

/// Appends the entry's first payload, whatever the stream's version is.
pub fn append_one(glance: &mut Glance<'_>) -> Append {
    let (store, stream) = place(glance);
    Append { store, stream, expected: None, events: vec![event(glance, 0)] }
}

fn append(glance: &mut Glance<'_>, store: String, stream: String, version: u64) -> Entry {
    let count = 1 + glance.rng.below(3);
    let events = (0..count as u32).map(|body| event(glance, body)).collect();
    let bodies = (0..count).map(|index| payload(glance.rng, glance.id, index)).collect();
    let expected = expected(glance, version);
    Entry { bodies, ..Entry::new(Append { store, stream, expected, events }) }
}

/// Somebody who does not know whether it was done, with the ids of then.
fn append_again(glance: &mut Glance<'_>, store: String, stream: String, version: u64) -> Entry {
    let most = glance.rng.between(1, 3) as usize;
    let ids = glance.model.streams(glance.shard).last_ids(&store, &stream, most);
    let mut entry = append(glance, store.clone(), stream.clone(), version);
    if !ids.is_empty() {
        let expected = Some(Expected::Version(version - ids.len() as u64));
        let events = ids.iter().map(|id| NewEvent { id: id.clone(), ..event(glance, 0) }).collect();
        entry.command = Append { store, stream, expected, events }.into();
    }
    entry
}

fn event(glance: &mut Glance<'_>, body: u32) -> NewEvent {
    let id = match glance.rng.chance(80) {
        true => Bytes::from(format!("{}.{body}", glance.id)),
        false => Bytes::new(),
    };
    let r#type = glance.rng.pick(&["placed", "paid"]).to_owned();
    NewEvent { id, r#type, payload: body, metadata: glance.rng.pick(&[None, None, Some(0)]) }
}

/// Moves a projection on, with a put that may be refused.
fn project(glance: &mut Glance<'_>, store: String) -> Entry {
    let (projection, shard) = ("totals".to_owned(), 0);
    let is = glance.model.streams(glance.shard).position(&projection, &store, shard);
    let expected = if glance.rng.chance(80) { is } else { glance.rng.between(0, 10) };
    let position = expected + glance.rng.between(1, 3);
    let output =
        glance.rng.chance(70).then(|| kv::Command { kind: Some(kv::Kind::Put(super::kv::put(glance))) });
    Entry::new(Project { projection, store, shard, expected, position, output, more: Vec::new() })
}

fn expected(glance: &mut Glance<'_>, version: u64) -> Option<Expected> {
    match glance.rng.below(10) {
        0..3 => None,
        3..7 => Some(Expected::Version(version)),
        7 => Some(Expected::Version(glance.rng.between(0, version + 1))),
        8 => Some(Expected::NoStream(())),
        _ => Some(Expected::StreamExists(())),
    }
}

fn place(glance: &mut Glance<'_>) -> (String, String) {
    let store = glance.rng.pick(&["ledger", "sensor", "trail"]);
    let stream = glance.rng.pick(&["a", "a", "b"]);
    (store.to_owned(), stream.to_owned())
}

/// Each store has its own, for good.
fn settings(store: &str) -> Settings {
    match store {
        "ledger" => Settings { snapshots: 2, ..Settings::default() },
        "sensor" => Settings { count_max: 4, ..Settings::default() },
        _ => Settings { age_ms_max: 30_000, ..Settings::default() },
    }
}
