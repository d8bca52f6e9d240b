//! The store: survives what the simulation calls a crash, and fails when it is told to. It knows by a checksum what is
//! damaged, as every store must.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use engine::store::{Memory, NextPair, Pair, Section, Snapshot};
use engine::{Store, StoreError};
use machine::Order;

/// A store in memory that can fail.
#[derive(Default)]
pub struct Flaky {
    pairs: Memory,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    /// The key of a pair that has a flipped bit.
    damaged: OnceLock<Vec<u8>>,
    /// Everything that was ever written.
    written: Mutex<Vec<Vec<Section>>>,
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

    /// Flips a bit of a pair, which one `chance` says; whether there is one.
    pub fn damage(&self, chance: u64) -> bool {
        let pairs =
            self.pairs.page(&[], &[u8::MAX; 8], Order::Forwards, usize::MAX).expect("memory does not fail");
        if pairs.is_empty() {
            return false;
        }
        self.damaged.set(pairs[chance as usize % pairs.len()].0.clone()).is_ok()
    }

    /// The store as it was some checkpoints ago, which one `chance` says: what opens where a bit has flipped in what says
    /// which of its versions counts.
    pub fn earlier(&self, chance: u64) -> Arc<Flaky> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = Flaky::default();
        for sections in written.iter().take(chance as usize % (written.len() + 1)) {
            earlier.pairs.ingest(sections).expect("memory does not fail");
        }
        Arc::new(earlier)
    }

    fn check_pair(&self, key: &[u8]) -> Result<(), StoreError> {
        match self.damaged.get() {
            Some(damaged) if damaged == key => {
                Err(StoreError::new("read", format!("the pair {key:?} is damaged")))
            }
            _ => Ok(()),
        }
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
        self.check_pair(key)?;
        self.pairs.get(key)
    }

    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Result<Vec<Pair>, StoreError> {
        Flaky::check(&self.reads_fail, "read")?;
        let page = self.pairs.page(from, to, order, max)?;
        page.iter().try_for_each(|(key, _)| self.check_pair(key))?;
        Ok(page)
    }

    fn ingest(&self, sections: &[Section]) -> Result<(), StoreError> {
        Flaky::check(&self.writes_fail, "write")?;
        let section = |of: &Section| Section { prefix: of.prefix, changes: Arc::clone(&of.changes) };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.push(sections.iter().map(section).collect());
        self.pairs.ingest(sections)
    }

    fn load(&self, next: &mut NextPair<'_>) -> Result<(), StoreError> {
        Flaky::check(&self.writes_fail, "write")?;
        self.pairs.load(next)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.pairs.snapshot()
    }
}
