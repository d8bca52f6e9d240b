//! A [`State`] in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::key::Key;
use crate::state::{Order, Read, State, Visit};

/// An ordered map in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pairs: BTreeMap<Key, Bytes>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// All pairs by ascending key.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.pairs.iter().map(|(key, value)| (key.as_bytes(), value))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.pairs.get(key).cloned()
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let range = self.pairs.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let _ = match order {
            Order::Forwards => range.into_iter().try_for_each(|(key, value)| visit(key.as_bytes(), value)),
            Order::Backwards => {
                range.into_iter().rev().try_for_each(|(key, value)| visit(key.as_bytes(), value))
            }
        };
    }
}

impl State for Memory {
    fn put(&mut self, key: Key, value: Bytes) {
        self.pairs.insert(key, value);
    }

    fn delete(&mut self, key: Key) {
        self.pairs.remove(key.as_bytes());
    }
}
