//! A store in memory, for simulation: it survives what the simulation calls a crash.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::RwLock;

use bytes::Bytes;
use machine::Order;

use super::{NextPair, Pair, Section, Snapshot, Store, StoreError, each};

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    pairs: RwLock<BTreeMap<Vec<u8>, Bytes>>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn pairs(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Vec<u8>, Bytes>> {
        self.pairs.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.pairs().get(key).cloned())
    }

    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Result<Vec<Pair>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let pairs = self.pairs();
        let range = pairs.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let pair = |(key, value): (&Vec<u8>, &Bytes)| (key.clone(), value.clone());
        Ok(match order {
            Order::Forwards => range.map(pair).take(max).collect(),
            Order::Backwards => range.rev().map(pair).take(max).collect(),
        })
    }

    fn ingest(&self, sections: &[Section]) -> Result<(), StoreError> {
        let mut pairs = self.pairs.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        each(sections, |key, value| {
            match value {
                Some(value) => pairs.insert(key.to_vec(), value.clone()),
                None => pairs.remove(key),
            };
            Ok(())
        })
    }

    fn load(&self, next: &mut NextPair<'_>) -> Result<(), StoreError> {
        let mut loaded = Vec::new();
        while let Some(pair) = next()? {
            loaded.push(pair);
        }
        self.pairs.write().unwrap_or_else(std::sync::PoisonError::into_inner).extend(loaded);
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(self.pairs().clone())
    }
}

impl Snapshot for BTreeMap<Vec<u8>, Bytes> {
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        let _ = self.range::<[u8], _>(range).try_for_each(|(key, value)| visit(key, value.clone()));
        Ok(())
    }
}
