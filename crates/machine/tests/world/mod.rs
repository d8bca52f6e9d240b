//! A small world in virtual time: one shard, its log, and a state in memory.
//!
//! It keeps to what an engine promises: an entry is checked, encoded, decoded and applied; time never
//! runs back; what is due fires. And it holds the machine to what it promises: a refused command has
//! written nothing, and what is replayed is the same.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod counting;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use machine::body::{self, Kept, Stored};
use machine::limits::BODY_BYTES_MAX;
use machine::timer::{self, Fire};
use machine::{
    Effect, Entry, Key, Memory, Order, Read, Refusal, Reply, Shard, State, Table, Time, apply, pointers,
};
use prost::Message;

/// One shard.
pub struct World {
    pub state: Memory,
    /// What the last entry wanted done.
    pub effects: Vec<Effect>,
    /// What all entries wanted done since somebody took it.
    pub wanted: Vec<Effect>,
    now: Time,
    log: Vec<Bytes>,
}

/// The shard's number.
pub const SHARD: Shard = Shard(3);
/// After how many entries that fire timers something must be wrong.
const FIRED_MAX: u32 = 100_000;
/// When the world begins: 2026-01-01T00:00:00Z.
pub const BEGIN: Time = Time::from_millis(1_767_225_600_000);

impl World {
    pub fn new() -> World {
        World { state: Memory::new(), effects: Vec::new(), wanted: Vec::new(), now: BEGIN, log: Vec::new() }
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// The sequence of the last entry.
    pub fn sequence(&self) -> u64 {
        self.log.len() as u64
    }

    /// Proposes an entry: it is applied, unless it is malformed.
    pub fn run(&mut self, entry: Entry) -> Result<Reply, Refusal> {
        entry.check(BODY_BYTES_MAX)?;
        let entry = Entry { time: self.now, ..entry };
        let mut buffer = BytesMut::new();
        entry.encode(&mut buffer);
        assert_eq!(buffer.len(), entry.encoded_len());
        let bytes = buffer.freeze();
        self.log.push(bytes.clone());
        let before = self.state.clone();
        self.effects.clear();
        let decoded = Entry::decode(bytes).expect("what was encoded can be read");
        assert_eq!(decoded, entry);
        let sequence = self.sequence();
        let outcome = apply(&mut self.state, SHARD, sequence, &decoded, &mut self.effects);
        self.wanted.extend_from_slice(&self.effects);
        if outcome.is_err() && entry.idempotency.is_none() {
            assert_eq!(before, self.state, "a refused command has written");
        }
        outcome
    }

    /// A payload that the state points to, from the log.
    pub fn body(&self, stored: &Stored) -> Bytes {
        stored.inline.clone().unwrap_or_else(|| {
            let entry = self.log[stored.sequence as usize - 1].clone();
            machine::entry::body(entry, stored.index).expect("what is pointed to is in the log")
        })
    }

    /// Lets `millis` pass; what is due fires, each at its time.
    pub fn advance(&mut self, millis: u64) {
        let until = self.now.after(millis);
        let mut fired = 0;
        while let Some(due) = timer::next(&self.state).filter(|due| *due <= until) {
            fired += 1;
            assert!(fired < FIRED_MAX, "timers are due again and again: {due:?}");
            self.now = self.now.max(due);
            self.run(Entry::new(Fire {})).expect("firing is not refused");
        }
        self.now = until;
    }

    /// Lets `millis` pass while nobody leads the shard: nothing fires.
    pub fn sleep(&mut self, millis: u64) {
        self.now = self.now.after(millis);
    }

    /// Applies all entries anew.
    pub fn replayed(&self) -> Memory {
        let mut state = Memory::new();
        for (index, bytes) in self.log.iter().enumerate() {
            let entry = Entry::decode(bytes.clone()).expect("what was encoded can be read");
            let _ = apply(&mut state, SHARD, index as u64 + 1, &entry, &mut Vec::new());
        }
        state
    }

    /// What must hold at any time: what is replayed is the same, and payloads are pointed to as often as
    /// their counts say.
    pub fn check(&self, pointers: impl Fn(&Memory) -> Vec<Stored>) {
        assert!(self.replayed() == self.state, "another state came of the same entries");
        self.check_pointers(pointers);
    }

    /// Payloads are pointed to as often as their counts say.
    pub fn check_pointers(&self, pointers: impl Fn(&Memory) -> Vec<Stored>) {
        let mut counted: BTreeMap<(u64, u32), u32> = BTreeMap::new();
        let all = pointers(&self.state).into_iter().chain(parcels(&self.state));
        for stored in all.filter(|stored| stored.inline.is_none()) {
            *counted.entry((stored.sequence, stored.index)).or_default() += 1;
        }
        assert_eq!(counted, kept(&self.state), "pointers that are there, and as they are counted");
        assert_eq!(counted, named(&self.state), "whoever points to a payload has a name");
    }
}

/// As if `commands` had been sent to `target`, and nobody had taken any.
pub fn fill_way(state: &mut Memory, target: Shard, commands: u64) {
    let mut way = Vec::new();
    prost::encoding::uint64::encode(1, &commands, &mut way);
    state.put(way_key(target), way.into());
}

/// As if nothing had ever been sent to `target`.
pub fn empty_way(state: &mut Memory, target: Shard) {
    state.delete(way_key(target));
}

fn way_key(target: Shard) -> Key {
    Key::new(Table::Shard).name("ways").u32(target.0)
}

/// The pairs of a table.
pub fn table(state: &Memory, table: Table) -> Vec<(Vec<u8>, Bytes)> {
    let mut pairs = Vec::new();
    state.scan_prefix(&Key::new(table), &mut |key, value| {
        pairs.push((key.to_vec(), value.clone()));
        std::ops::ControlFlow::Continue(())
    });
    pairs
}

/// How often each payload is pointed to by something that has a name for those who are told of its loss.
fn named(state: &Memory) -> BTreeMap<(u64, u32), u32> {
    let mut counted = BTreeMap::new();
    state.scan(&[1], &[u8::MAX], Order::Forwards, &mut |key, value| {
        let pointers = pointers::of(key, value).into_iter().flat_map(|(_, pointers)| pointers);
        for stored in pointers.filter(|stored| stored.inline.is_none()) {
            *counted.entry((stored.sequence, stored.index)).or_default() += 1;
        }
        std::ops::ControlFlow::Continue(())
    });
    counted
}

fn kept(state: &Memory) -> BTreeMap<(u64, u32), u32> {
    let pairs = table(state, Table::Kept).into_iter();
    pairs
        .map(|(key, value)| {
            let place = body::of_key(&key).expect("a payload's place");
            (place, Kept::decode(value).expect("what is known of a payload").pointers)
        })
        .collect()
}

fn parcels(state: &Memory) -> Vec<Stored> {
    let pairs = table(state, Table::Outbox).into_iter();
    pairs
        .flat_map(|(_, value)| machine::outbox::Parcel::decode(value).expect("a command on its way").bodies)
        .collect()
}
