//! What must hold of a shard at any time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use engine::Store;
use engine::overlay::Overlay;
use engine::replica::{Applied, pairs};
use engine::worker::payload;
use log::Log;
use machine::body::{self, Kept};
use machine::key::Parts;
use machine::outbox::Parcel;
use machine::{Key, Memory, Read, Shard, Stored, Table, config, job, kv, queue, stream, topic};
use prost::Message;

use crate::witness::Witness;

/// The engine's state is what the machine alone makes of the log.
pub fn equals_replay<S: Store>(witness: &Witness, shard: Shard, applied: &Applied<S>) {
    let last = witness.last(shard);
    assert!(applied.sequence <= last, "{shard:?}: {} is applied, and {last} is durable", applied.sequence);
    assert!(applied.checkpointed <= applied.sequence, "{shard:?}: a checkpoint of what is not applied");
    if applied.sequence < last {
        return;
    }
    agrees(witness, shard, pairs(&applied.state), witness.state(shard));
}

/// These are the pairs of `should`, wherever payloads lie.
pub fn agrees(witness: &Witness, shard: Shard, pairs: Vec<(Vec<u8>, Bytes)>, should: &Memory) {
    let is: Vec<_> = pairs.into_iter().map(|pair| where_it_was(witness, shard, pair)).collect();
    for ((key, value), should) in is.iter().zip(should.pairs()) {
        assert_eq!((key.as_slice(), value), should, "{shard:?}: a pair, and what a replay makes of it");
    }
    assert_eq!(is.len(), should.len(), "{shard:?}: how many pairs there are");
}

/// Counts agree with what is counted: payloads with pointers to them, timers, bytes that are alive in the log.
pub fn balances<S: Store>(shard: Shard, applied: &Applied<S>) {
    let state = &applied.state;
    let mut alive = 0;
    let mut counted: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for (key, value) in table(state, Table::Kept) {
        let kept = Kept::decode(value).expect("what is known of a payload");
        alive += if kept.moved.is_none() { u64::from(kept.length) } else { 0 };
        counted.insert(body::of_key(&key).expect("a payload's place"), kept.pointers);
    }
    assert_eq!(state.kept_bytes(), alive, "{shard:?}: bytes of payloads in the log");
    let mut pointers: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for stored in pointed_to(state).into_iter().filter(|stored| stored.inline.is_none()) {
        *pointers.entry((stored.sequence, stored.index)).or_default() += 1;
    }
    assert_eq!(pointers, counted, "{shard:?}: pointers to payloads, and as they are counted");
    let timers = table(state, Table::Timer).len() as u64;
    let count = state.get(Key::new(Table::Shard).name("timers").as_bytes());
    let count = count.map_or(0, |count| u64::from_be_bytes(count.as_ref().try_into().expect("a number")));
    assert_eq!(timers, count, "{shard:?}: timers, and as they are counted");
}

/// Every payload that is pointed to can be read, and is what came.
pub fn payloads_are_there<L: Log, S: Store>(witness: &Witness, log: &L, shard: Shard, state: &Overlay<S>) {
    for (key, value) in table(state, Table::Kept) {
        let (sequence, index) = body::of_key(&key).expect("a payload's place");
        let length = Kept::decode(value).expect("what is known of a payload").length;
        let stored = Stored { inline: None, sequence, index, length };
        let read = payload(log, state, shard, &stored)
            .unwrap_or_else(|error| panic!("{shard:?}: the payload {stored:?} cannot be read: {error:?}"));
        assert_eq!(read, witness.payload(shard, &stored), "{shard:?}: the payload {stored:?}");
    }
}

/// A pair as it would be had nothing been moved out of the log, which must have kept its bytes.
fn where_it_was(witness: &Witness, shard: Shard, (key, value): (Vec<u8>, Bytes)) -> (Vec<u8>, Bytes) {
    if key.first() != Some(&(Table::Kept as u8)) {
        return (key, value);
    }
    let mut kept = Kept::decode(value.clone()).expect("what is known of a payload");
    let Some(moved) = kept.moved.take() else { return (key, value) };
    let (sequence, index) = body::of_key(&key).expect("a payload's place");
    let stored = Stored { inline: None, sequence, index, length: kept.length };
    assert_eq!(moved, witness.payload(shard, &stored), "{shard:?}: the moved payload {stored:?}");
    (key, kept.encode_to_vec().into())
}

/// All pointers in the state.
fn pointed_to(state: &impl Read) -> Vec<Stored> {
    let mut all = Vec::new();
    let mut each = |of: Table, pointers: fn(&[u8], Bytes) -> Vec<Stored>| {
        all.extend(table(state, of).into_iter().flat_map(|(key, value)| pointers(&key, value)));
    };
    each(Table::Outbox, |_, value| Parcel::decode(value).expect("a command on its way").bodies);
    each(Table::KvItem, |_, value| vec![kv::Item::decode(value).expect("an item").value]);
    each(Table::TopicMessage, |_, value| vec![topic::Message::decode(value).expect("a message").body]);
    each(Table::TopicDelayed, |_, value| {
        vec![topic::Delayed::decode(value).expect("a message that is delayed").body]
    });
    each(Table::QueueItem, |key, value| match key.ends_with(&[0]) {
        true => vec![queue::Item::decode(value).expect("an item").body],
        // How it has failed.
        false => Vec::new(),
    });
    each(Table::StreamEvent, |_, value| {
        let event = stream::Event::decode(value).expect("an event");
        event.metadata.into_iter().chain([event.payload]).collect()
    });
    each(Table::StreamSnapshot, |_, value| {
        vec![stream::Snapshot::decode(value).expect("a snapshot").payload]
    });
    each(Table::StreamDescription, |_, value| {
        vec![stream::Description::decode(value).expect("what is said about a stream").metadata]
    });
    each(Table::Job, |key, value| match key.ends_with(&[0]) {
        true => job::Job::decode(value).expect("a job").bodies,
        // How far it is.
        false => Vec::new(),
    });
    each(Table::Config, |key, value| {
        let mut parts = Parts::of(key);
        match (parts.name(), parts.u8()) {
            (_, Some(1)) => vec![config::Item::decode(value).expect("an item").value],
            // How many there are.
            _ => Vec::new(),
        }
    });
    all
}

/// All pairs of a table.
pub fn table(state: &impl Read, table: Table) -> Vec<(Vec<u8>, Bytes)> {
    let mut pairs = Vec::new();
    state.scan_prefix(&Key::new(table), &mut |key, value| {
        pairs.push((key.to_vec(), value.clone()));
        ControlFlow::Continue(())
    });
    pairs
}
