//! The store: survives what the simulation calls a crash, and fails when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use engine::store::{Memory, Pair, Section};
use engine::{Store, StoreError};
use machine::Order;

/// A store in memory that can fail.
#[derive(Debug, Default)]
pub struct Flaky {
    pairs: Memory,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
}

impl Flaky {
    /// From now on reading fails, or does no longer.
    pub fn fail_reads(&self, fail: bool) {
        self.reads_fail.store(fail, Ordering::Relaxed);
    }

    /// From now on writing fails, or does no longer.
    pub fn fail_writes(&self, fail: bool) {
        self.writes_fail.store(fail, Ordering::Relaxed);
    }

    fn check(failing: &AtomicBool, doing: &'static str) -> Result<(), StoreError> {
        match failing.load(Ordering::Relaxed) {
            true => Err(StoreError::new(doing, "the simulation has it fail")),
            false => Ok(()),
        }
    }
}

impl Store for Flaky {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Flaky::check(&self.reads_fail, "read")?;
        self.pairs.get(key)
    }

    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Result<Vec<Pair>, StoreError> {
        Flaky::check(&self.reads_fail, "read")?;
        self.pairs.page(from, to, order, max)
    }

    fn ingest(&self, sections: &[Section]) -> Result<(), StoreError> {
        Flaky::check(&self.writes_fail, "write")?;
        self.pairs.ingest(sections)
    }
}
