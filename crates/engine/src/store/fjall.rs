//! The store on disk: one keyspace of `fjall`, written by ingestion alone.
//!
//! An ingestion writes sorted tables straight to the tree and makes them visible by one change of the tree's
//! version. So nothing passes through `fjall`'s own journal: the log in front of the engine is one already, and a
//! second would double what every change costs to write.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::{Database, DatabaseBuilder, Keyspace, KeyspaceCreateOptions, Readable};
use machine::Order;

use super::mirror::Mirror;
use super::{NextPair, Pair, Section, Snapshot, Store, StoreError, each};

/// The store on disk.
pub struct Fjall {
    /// Ends its threads when dropped.
    database: Database,
    state: Keyspace,
    /// Taken away when all else has been closed.
    _mirror: Option<Mirror>,
}

/// What was in it at one moment.
struct Frozen {
    snapshot: fjall::Snapshot,
    state: Keyspace,
}

impl Fjall {
    /// Opens the store in `folder`, or creates it. It keeps up to `cache_bytes` of what it read in memory.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(folder: &Path, cache_bytes: u64) -> Result<Fjall, StoreError> {
        let builder = Database::builder(folder).cache_size(cache_bytes).worker_threads(WORKER_THREADS);
        Fjall::of(builder, None)
    }

    /// Opens what is in `folder` to be looked at. `fjall` writes whatever it opens: so it gets a folder of links to the
    /// tables, which are never changed, and copies of the little that is beside them. What is written is seen
    /// here, and gone in the end.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open_copy(folder: &Path, cache_bytes: u64) -> Result<Fjall, StoreError> {
        Fjall::over(Mirror::of(folder), cache_bytes)
    }

    /// An empty one that is gone in the end.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn temporary(cache_bytes: u64) -> Result<Fjall, StoreError> {
        Fjall::over(Mirror::empty(), cache_bytes)
    }

    fn over(mirror: std::io::Result<Mirror>, cache_bytes: u64) -> Result<Fjall, StoreError> {
        let mirror = mirror.map_err(|error| StoreError::new("make a folder to look at", error))?;
        // Nobody compacts what is looked at once.
        let builder = Database::builder(mirror.folder()).cache_size(cache_bytes).worker_threads_unchecked(0);
        Fjall::of(builder, Some(mirror))
    }

    fn of(builder: DatabaseBuilder<Database>, mirror: Option<Mirror>) -> Result<Fjall, StoreError> {
        let opening = |error: fjall::Error| StoreError::new("open", error);
        let database = builder.open().map_err(opening)?;
        let state = database.keyspace(KEYSPACE, options).map_err(opening)?;
        Ok(Fjall { database, state, _mirror: mirror })
    }

    /// How many bytes it takes on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.state.disk_space()
    }
}

impl Store for Fjall {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.state.get(key).map_err(|error| StoreError::new("read", error))?;
        Ok(value.map(Bytes::from))
    }

    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Result<Vec<Pair>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let pair = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner()?;
            Ok((key.to_vec(), Bytes::from(value)))
        };
        let range = self.state.range(from..to);
        let pairs: Result<Vec<Pair>, fjall::Error> = match order {
            Order::Forwards => range.take(max).map(pair).collect(),
            Order::Backwards => range.rev().take(max).map(pair).collect(),
        };
        pairs.map_err(|error| StoreError::new("read", error))
    }

    fn ingest(&self, sections: &[Section]) -> Result<(), StoreError> {
        let writing = |error: fjall::Error| StoreError::new("write", error);
        let mut ingestion = self.state.start_ingestion().map_err(writing)?;
        let mut written = 0_usize;
        each(sections, |key, value| {
            written += 1;
            if written.is_multiple_of(YIELD_AFTER) {
                thread::yield_now();
            }
            match value {
                Some(value) => ingestion.write(key, value.clone()),
                None => ingestion.write_tombstone(key),
            }
        })
        .map_err(writing)?;
        ingestion.finish().map_err(writing)
    }

    fn load(&self, next: &mut NextPair<'_>) -> Result<(), StoreError> {
        let writing = |error: fjall::Error| StoreError::new("write", error);
        let mut ingestion = self.state.start_ingestion().map_err(writing)?;
        while let Some((key, value)) = next()? {
            ingestion.write(key, value).map_err(writing)?;
        }
        ingestion.finish().map_err(writing)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(Frozen { snapshot: self.database.snapshot(), state: self.state.clone() })
    }
}

impl Snapshot for Frozen {
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        for pair in self.snapshot.range(&self.state, from..to) {
            let (key, value) = pair.into_inner().map_err(|error| StoreError::new("read", error))?;
            if visit(&key, Bytes::from(value)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What a new store is made with; one that is there keeps what it was made with.
fn options() -> KeyspaceCreateOptions {
    let levels = Leveled::default().with_table_target_size(TABLE_BYTES).with_l0_threshold(CHECKPOINTS_MERGED);
    KeyspaceCreateOptions::default().compaction_strategy(Arc::new(levels))
}

const KEYSPACE: &str = "state";
/// How large a table grows. A checkpoint has a few megabytes over the whole range of keys, and what is merged with it is as
/// much as so many tables as checkpoints are merged at once: with the 64 MiB that are usual, hundreds of MiB would be written
/// anew for a few.
const TABLE_BYTES: u64 = 4 << 20;
/// How many checkpoints wait until they are merged. Each merge goes through what the ones before have left: with four of
/// them, and 8 MiB a table, merging a backlog of 4 GiB took three times as much CPU time. What is looked for is looked for in all of
/// them, which their filters make cheap.
const CHECKPOINTS_MERGED: u8 = 12;
/// After how many pairs, which take some 50 µs, a checkpoint lets others have the processor who were woken meanwhile: however
/// low its priority is, they would wait for its slice of some milliseconds to end.
const YIELD_AFTER: usize = 32;
/// Compaction has one thread: it shall not take the cores from those who serve.
const WORKER_THREADS: usize = 1;
