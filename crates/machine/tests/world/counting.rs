//! A state that counts how often it is read and written, for tests of what a command costs.

use std::cell::Cell;

use bytes::Bytes;
use machine::state::Visit;
use machine::{Entry, Key, Memory, Order, Read, Reply, Shard, State, apply};

use super::BEGIN;

/// A state that counts.
#[derive(Default)]
pub struct Counting {
    state: Memory,
    reads: Cell<usize>,
    writes: usize,
    sequence: u64,
}

impl Counting {
    /// Applies an entry, a millisecond after the last.
    pub fn run(&mut self, entry: Entry) -> Reply {
        self.sequence += 1;
        let entry = Entry { time: BEGIN.after(self.sequence), ..entry };
        let sequence = self.sequence;
        apply(self, Shard(0), sequence, &entry, &mut Vec::new()).expect("not refused")
    }

    /// How many pairs have been read.
    pub fn reads(&self) -> usize {
        self.reads.get()
    }

    /// How many pairs have been put or deleted.
    pub fn writes(&self) -> usize {
        self.writes
    }
}

impl Read for Counting {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.reads.set(self.reads.get() + 1);
        self.state.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: &mut Visit<'_>) {
        self.state.scan(from, to, order, &mut |key, value| {
            self.reads.set(self.reads.get() + 1);
            visit(key, value)
        });
    }
}

impl State for Counting {
    fn put(&mut self, key: Key, value: Bytes) {
        self.writes += 1;
        self.state.put(key, value);
    }

    fn insert(&mut self, key: Key, value: Bytes) {
        self.writes += 1;
        self.state.insert(key, value);
    }

    fn delete(&mut self, key: Key) {
        self.writes += 1;
        self.state.delete(key);
    }
}
