//! The log of a single node: all of its shards in segment files of one directory.
//!
//! `format` says what the bytes on disk are, `recover` how they become a log again. One call of `append` is
//! one write and one sync (`writer`), into a segment that was made before (`upkeep`); what is read comes from
//! memory if it is new and else from where an index says (`directory`, `reader`); what is trimmed gives its
//! segments back (`trim`).

mod begin;
mod cache;
mod config;
mod directory;
mod fresh;
mod head;
mod holes;
mod index;
mod open_error;
mod reader;
mod recover;
mod repair;
mod rooms;
mod scan;
mod segment;
mod survey;
mod trim;
mod upkeep;
mod verify;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{fmt, io, thread};

use bytes::Bytes;

pub use config::{Config, Upkeep};
pub use open_error::OpenError;
pub use recover::{Cut, Recovery};
pub use repair::{Repaired, repair};
pub use verify::{Damage, Lost, Report, verify};

use crate::disk::Disk;
use crate::{
    AppendError, Batch, BeginError, Log, Oldest, ReadError, Record, SHARDS_MAX, Sequence, TrimError,
};
use directory::Directory;
use head::HeadFile;
use upkeep::{Duties, Pool};
use writer::Writer;

/// The log of a single node.
pub struct Embedded<D: Disk> {
    inner: Arc<Inner<D>>,
    recovery: Recovery,
    upkeep: Option<thread::JoinHandle<()>>,
    /// Let go last, when nothing is written any more.
    _lock: D::Lock,
}

/// What the thread of the upkeep sees, too. Where several locks are held, they are taken in the order
/// writer, pool, head, directory.
struct Inner<D: Disk> {
    disk: D,
    config: Config,
    /// Which log this is.
    log: u64,
    writer: Mutex<Writer<D::File>>,
    pool: Mutex<Pool<D::File>>,
    head: Mutex<HeadFile<D::File>>,
    directory: RwLock<Directory<D::File>>,
    /// Files that can be written over.
    spares: Mutex<Vec<String>>,
    duties: Duties<D::File>,
    /// Why nothing is taken any more.
    failed: OnceLock<Arc<io::Error>>,
}

impl<D: Disk> Embedded<D> {
    /// Opens the log that is on `disk`, or makes an empty one if there is none.
    ///
    /// # Errors
    ///
    /// If another has it open, or something that was acknowledged is damaged or missing, or the disk fails.
    pub fn open(disk: D, config: Config) -> Result<Embedded<D>, OpenError> {
        config.check().map_err(OpenError::Config)?;
        let lock = recover::lock(&disk)?;
        let (inner, recovery) = recover::open(disk, config)?;
        let inner = Arc::new(inner);
        let upkeep = match inner.config.upkeep {
            Upkeep::Inline => None,
            Upkeep::Background => {
                Some(upkeep::start(&inner).map_err(open_error::failed("start", "a thread".to_owned()))?)
            }
        };
        Ok(Embedded { inner, recovery, upkeep, _lock: lock })
    }

    /// What opening has found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How many segments it has.
    pub fn segments(&self) -> usize {
        self.inner.directory().segments()
    }

    /// Why nothing is taken any more, if that is so.
    pub fn failed(&self) -> Option<Arc<io::Error>> {
        self.inner.failed.get().cloned()
    }

    /// Closes the log in such a way that the next opening need not look through its end. To drop it is as safe.
    ///
    /// # Errors
    ///
    /// If the disk failed.
    pub fn close(mut self) -> Result<(), Arc<io::Error>> {
        self.stop();
        if let Some(error) = self.failed() {
            return Err(error);
        }
        self.inner.seal_all()
    }

    fn stop(&mut self) {
        self.inner.duties.stop();
        if let Some(thread) = self.upkeep.take() {
            // It tells nothing but that it has ended.
            let _ = thread.join();
        }
    }
}

impl<D: Disk> Drop for Embedded<D> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<D: Disk> fmt::Debug for Embedded<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("config", &self.inner.config)
            .field("recovery", &self.recovery)
            .finish()
    }
}

impl<D: Disk> Inner<D> {
    fn directory(&self) -> RwLockReadGuard<'_, Directory<D::File>> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory<D::File>> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing any more.
    fn fail(&self, error: io::Error) -> Arc<io::Error> {
        Arc::clone(self.failed.get_or_init(|| Arc::new(error)))
    }
}

impl<D: Disk> Log for Embedded<D> {
    fn begin(&self, firsts: &[(u32, Sequence)]) -> Result<(), BeginError> {
        self.inner.begin(firsts)
    }

    fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>> {
        assert!(
            batches.iter().all(|batch| batch.shard < SHARDS_MAX),
            "shards are numbered from 0 to {SHARDS_MAX}"
        );
        self.inner.append(batches)
    }

    fn read(&self, shard: u32, from: Sequence, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        self.inner.read(shard, from, bytes_max)
    }

    fn get(&self, shard: u32, sequence: Sequence) -> Result<Bytes, ReadError> {
        self.inner.get(shard, sequence)
    }

    fn last(&self, shard: u32) -> Sequence {
        self.inner.directory().last(shard)
    }

    fn first(&self, shard: u32) -> Sequence {
        self.inner.directory().first(shard)
    }

    fn trim(&self, shard: u32, before: Sequence) -> Result<(), TrimError> {
        self.inner.trim(shard, before)
    }

    fn oldest(&self) -> Option<Oldest> {
        self.inner.directory().oldest()
    }

    fn bytes(&self) -> u64 {
        self.inner.directory().bytes()
    }
}

/// Keeps others from opening the log that is on `disk` for as long as the value lives; on a disk that only is looked at, beside
/// others that look.
///
/// # Errors
///
/// If another has it open, or the disk fails.
pub fn hold<D: Disk>(disk: &D) -> Result<D::Lock, OpenError> {
    recover::lock(disk)
}

/// A lock that nobody leaves behind in disorder: what panics in here is a bug that has changed nothing yet.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
