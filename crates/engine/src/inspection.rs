//! A folder's data, opened to be looked at: nothing runs, no timer fires, and nothing is written.
//!
//! What a start would write is kept in memory ([`CopyOnWrite`]), or goes into a folder of links for as long as that takes
//! ([`Fjall::open_copy`]). So a folder that must not or cannot be written to can be looked at. The log's lock is shared with
//! others that look: nobody starts on the folder meanwhile. The state is what a start would begin with: that of the last
//! checkpoint with the log applied from there, in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use log::disk::{CopyOnWrite, RealDisk};
use log::{Log, ReadError};
use machine::{Shards, Stored};

use crate::backup::check_finished;
use crate::embedded::{LOG_FOLDER, STORE_FOLDER};
use crate::error::{Failure, OpenError};
use crate::replica::{self, Data, Shared};
use crate::store::Fjall;
use crate::worker::payload;

/// A folder's data, opened to be looked at.
pub struct Inspection {
    shards: Vec<Shared<Fjall>>,
    store: Arc<Fjall>,
    log: log::Embedded<CopyOnWrite<RealDisk>>,
}

impl Inspection {
    /// Opens what is in `folder`. `progress` is told how many shards have been opened, and of how many.
    ///
    /// # Errors
    ///
    /// If there is nothing, or a process has it open, or it is damaged.
    pub fn open(folder: &Path, progress: impl FnMut(u32, u32)) -> Result<Inspection, OpenError> {
        check_finished(folder)?;
        Inspection::open_unfinished(folder, progress)
    }

    /// As [`Inspection::open`], also where a restore is not finished yet.
    pub(crate) fn open_unfinished(
        folder: &Path,
        mut progress: impl FnMut(u32, u32),
    ) -> Result<Inspection, OpenError> {
        let disk = disk(folder)?;
        // Before the store is copied: so that nobody writes to it meanwhile.
        let _held = log::hold(&disk).map_err(OpenError::Open)?;
        let store = Fjall::open_copy(&store_folder(folder)?, CACHE_BYTES)?;
        Inspection::with(folder, disk, store, &mut progress)
    }

    /// Opens the log that is on `disk` with `store`: those of `folder`, or what would become of them.
    pub(crate) fn with(
        folder: &Path,
        disk: CopyOnWrite<RealDisk>,
        store: Fjall,
        progress: &mut dyn FnMut(u32, u32),
    ) -> Result<Inspection, OpenError> {
        let config = log::Config { upkeep: log::Upkeep::Inline, ..log::Config::default() };
        let log = log::Embedded::open(disk, config).map_err(OpenError::Open)?;
        let store = Arc::new(store);
        let data = Data::of(store.as_ref())?.ok_or_else(|| OpenError::Nothing(folder.to_owned()))?;
        let count = data.check_machine(&log, store.as_ref())?;
        let mut shards = Vec::new();
        for shard in count.all() {
            progress(shard.0, count.count());
            shards.push(replica::open(shard, &log, &store)?);
        }
        Ok(Inspection { shards, store, log })
    }

    /// The shards, in the order of their numbers.
    pub fn shards(&self) -> &[Shared<Fjall>] {
        &self.shards
    }

    /// How many shards there are.
    pub fn count(&self) -> Shards {
        Shards::new(self.shards.len() as u32).expect("it was opened with as many")
    }

    /// The log.
    pub fn log(&self) -> &log::Embedded<CopyOnWrite<RealDisk>> {
        &self.log
    }

    /// The store.
    pub fn store(&self) -> &Fjall {
        &self.store
    }

    /// The payload that a shard's state points to.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not as long as the state says.
    pub fn payload(&self, shard: &Shared<Fjall>, stored: &Stored) -> Result<Bytes, Failure> {
        let bytes = payload(&self.log, &shard.read().state, shard.shard(), stored)?;
        if bytes.len() == stored.len() {
            return Ok(bytes);
        }
        let what = format!("a payload of {} bytes has {}", stored.len(), bytes.len());
        let place = format!("the log of shard {}", shard.shard().0);
        Err(Failure::Read(ReadError::Damaged { place, offset: stored.sequence, what }))
    }

    /// Where a shard's log begins and ends.
    pub fn span(&self, shard: &Shared<Fjall>) -> (u64, u64) {
        (self.log.first(shard.shard().0), self.log.last(shard.shard().0))
    }
}

/// The log of `folder`, on a disk that stays as it is.
pub(crate) fn disk(folder: &Path) -> Result<CopyOnWrite<RealDisk>, OpenError> {
    let log_folder = folder.join(LOG_FOLDER);
    if !log_folder.is_dir() {
        return Err(OpenError::Nothing(folder.to_owned()));
    }
    let disk = RealDisk::new(log_folder).map_err(|error| OpenError::Folder(error.into()))?;
    Ok(CopyOnWrite::new(disk))
}

pub(crate) fn store_folder(folder: &Path) -> Result<PathBuf, OpenError> {
    let store_folder = folder.join(STORE_FOLDER);
    store_folder.is_dir().then_some(store_folder).ok_or_else(|| OpenError::Nothing(folder.to_owned()))
}

/// What is looked at once need not be kept.
pub(crate) const CACHE_BYTES: u64 = 8 << 20;
