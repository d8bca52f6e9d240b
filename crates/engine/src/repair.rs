//! Making what is in a folder open again.
//!
//! What would be done is found out first, on a disk that stays as it is ([`plan`]): it says what is lost by it, by name. Then it
//! is done, by the same code ([`Plan::carry_out`]). A damaged entry that the last checkpoint has is stepped over by the log
//! ([`log::repair`]); one that it has not ends the log there, in all shards. What was cut off then may have been
//! applied already. If the log begins with the first entry ever, the state is made anew from it: the store is set aside. If not, it
//! cannot be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::disk::{CopyOnWrite, RealDisk};
use log::{Repaired, Report};
use machine::Shards;

use crate::backup::check_finished;
use crate::embedded::{LOG_FOLDER, STORE_FOLDER};
use crate::error::OpenError;
use crate::inspection::{CACHE_BYTES, Inspection, disk, store_folder};
use crate::replica::{self, Data};
use crate::store::{Fjall, StoreError};
use crate::verify::Verdict;

/// What can be done about a folder.
#[derive(Clone, Debug)]
pub struct Plan {
    folder: PathBuf,
    /// Up to where each shard has been applied in the store, which is as old as when this was made.
    applied: Vec<u64>,
    /// What becomes of the log.
    pub log: Repaired,
    /// Whether the store has more in it than the log that is left: then its state is made anew from the log.
    pub remakes_state: bool,
    /// How the folder is then.
    pub after: Verdict,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Mended {
    /// What became of the log.
    pub log: Repaired,
    /// Where the store is now that could not be used any more.
    pub store: Option<PathBuf>,
}

/// Finds out what can be done about `folder`. Nothing is written. `progress` is told what is being done.
///
/// # Errors
///
/// If nothing is there, or a process has it open, or the disk fails, or a newer program has written it.
pub fn plan(folder: &Path, mut progress: impl FnMut(&str)) -> Result<Plan, OpenError> {
    check_finished(folder)?;
    let disk = disk(folder)?;
    let _held = log::hold(&disk).map_err(OpenError::Open)?;
    progress("reading the log");
    let (data, applied) = match stored(folder) {
        Ok((data, applied)) => (Some(data), applied),
        Err(error @ OpenError::Nothing(_)) => return Err(error),
        // What is wrong with it is said by who opens it.
        Err(_) => (None, Vec::new()),
    };
    let log = log::repair(&disk, &applied).map_err(OpenError::Open)?;
    let mut opened = open(folder, &disk, &mut progress);
    let mut remakes_state = false;
    if let (Err(OpenError::Ahead { .. }), Some(data)) = (&opened, data)
        && can_be_made_anew(&log.after, &data)
    {
        remakes_state = true;
        opened = empty(&data).and_then(|store| Inspection::with(folder, disk.clone(), store, &mut |_, _| {}));
    }
    let after = Verdict::of(log.after.clone(), opened, &mut progress)?;
    Ok(Plan { folder: folder.to_owned(), applied, log, remakes_state, after })
}

impl Plan {
    /// Whether there is anything to do.
    pub fn is_needed(&self) -> bool {
        let log = &self.log;
        self.remakes_state || !(log.kept.is_empty() && log.rebuilt.is_empty() && log.stepped_over.is_empty())
    }

    /// How many entries are given up that were acknowledged and are in no state then: at least so many, if
    /// [`Repaired::may_be_more`].
    pub fn given_up(&self) -> u64 {
        let last = |report: &Report, shard: u32| {
            report.shards.iter().find(|(of, ..)| *of == shard).map_or(0, |(_, _, last)| *last)
        };
        let shards = self.log.before.shards.iter().map(|(shard, ..)| *shard + 1).max().unwrap_or(0);
        let shards = shards.max(self.applied.len() as u32);
        let lost = |shard: u32| {
            let applied = self.applied.get(shard as usize).copied().filter(|_| self.remakes_state);
            let had = last(&self.log.before, shard).max(applied.unwrap_or(0));
            had.saturating_sub(last(&self.log.after, shard))
        };
        (0..shards).map(lost).sum()
    }

    /// Does it. Nothing is deleted: what is given up is put beside.
    ///
    /// # Errors
    ///
    /// If a process has the folder open, or the disk fails.
    pub fn carry_out(&self) -> Result<Mended, OpenError> {
        let disk = RealDisk::new(self.folder.join(LOG_FOLDER)).map_err(folder_error)?;
        let log = log::repair(&disk, &self.applied).map_err(OpenError::Open)?;
        let store = if self.remakes_state { Some(set_store_aside(&self.folder)?) } else { None };
        Ok(Mended { log, store })
    }
}

/// What the store says: of the data as a whole, and up to where each shard has been applied.
fn stored(folder: &Path) -> Result<(Data, Vec<u64>), OpenError> {
    let store = Fjall::open_copy(&store_folder(folder)?, CACHE_BYTES)?;
    let data = Data::of(&store)?.ok_or_else(|| OpenError::Nothing(folder.to_owned()))?;
    let shards = Shards::new(data.shards).map_err(|odd| StoreError::new("understand", odd))?;
    let applied = shards.all().map(|shard| replica::checkpointed(shard, &store));
    Ok((data, applied.collect::<Result<_, _>>()?))
}

fn open(
    folder: &Path,
    disk: &CopyOnWrite<RealDisk>,
    progress: &mut dyn FnMut(&str),
) -> Result<Inspection, OpenError> {
    let store = Fjall::open_copy(&store_folder(folder)?, CACHE_BYTES)?;
    Inspection::with(folder, disk.clone(), store, &mut |shard, of| {
        progress(&format!("applying the log: shard {shard} of {of}"));
    })
}

/// Another machine might make another state of the log, and so would a log without its beginning.
fn can_be_made_anew(log: &Report, data: &Data) -> bool {
    data.machine == machine::VERSION
        && log.lost.is_empty()
        && log.shards.iter().all(|(_, first, _)| *first == 1)
}

/// A store with nothing in it but what `data` says.
fn empty(data: &Data) -> Result<Fjall, OpenError> {
    let store = Fjall::temporary(CACHE_BYTES)?;
    data.write(&store)?;
    Ok(store)
}

fn set_store_aside(folder: &Path) -> Result<PathBuf, OpenError> {
    let place = folder.join(STORE_FOLDER);
    let open = || Fjall::open(&place, CACHE_BYTES);
    let data = Data::of(&open()?)?.ok_or_else(|| OpenError::Nothing(folder.to_owned()))?;
    let aside = (1..).map(|number| folder.join(format!("{STORE_FOLDER}.{number}.cut")));
    let aside = aside.into_iter().find(|aside| !aside.exists()).expect("there are more numbers than folders");
    std::fs::rename(&place, &aside).map_err(folder_error)?;
    data.write(&open()?)?;
    Ok(aside)
}

fn folder_error(error: std::io::Error) -> OpenError {
    OpenError::Folder(Arc::new(error))
}
