//! A new log and a new store from a backup.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::disk::RealDisk;
use log::{BeginError, Log};
use prost::Message;

use super::{At, Part, Progress, Reader, SKIPPED, Summary, UNFINISHED, Unreadable};
use crate::embedded::{LOG_FOLDER, STORE_FOLDER};
use crate::error::OpenError;
use crate::overlay::prefix;
use crate::replica::{CHECKPOINT_KEY, Checkpoint, DATA_KEY, Data};
use crate::store::{Fjall, Pair, Store, StoreError};
use crate::verify::verify_unfinished;

/// Why there is nothing restored.
#[derive(Debug)]
pub enum RestoreError {
    /// The backup cannot be read.
    Unreadable(Unreadable),
    /// A newer machine has made the state.
    Machine {
        /// Which.
        is: u32,
        /// Which this program has.
        known: u32,
    },
    /// The folder has something in it.
    NotEmpty(PathBuf),
    /// Another process restores into it.
    Busy(PathBuf),
    /// The new log cannot begin where it should.
    Begin(BeginError),
    /// The new store cannot be written.
    Store(StoreError),
    /// What was written cannot be opened.
    Open(OpenError),
    /// What was written is not as it should be: a sentence each.
    NotWhole(Vec<String>),
    /// The folder cannot be written.
    Folder(Arc<io::Error>),
}

/// Puts what `backup` has into a new log and a new store, which are all of it or nothing: the store by one write, the log
/// after it.
///
/// # Errors
///
/// If the backup is not whole, or of a newer machine, or log or store cannot be written or are not new.
pub fn restore<R: Read, L: Log, S: Store>(
    backup: R,
    log: &L,
    store: &S,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, RestoreError> {
    let reader = Reader::new(backup)?;
    let (is, known) = (reader.header().machine, machine::VERSION);
    if is > known {
        return Err(RestoreError::Machine { is, known });
    }
    let mut pairs = Restoring {
        reader,
        ready: Vec::new().into_iter(),
        at: Vec::new(),
        end: None,
        failed: None,
        progress,
    };
    let loaded = store.load(&mut || pairs.next());
    if let Some(unreadable) = pairs.failed {
        return Err(RestoreError::Unreadable(unreadable));
    }
    loaded.map_err(RestoreError::Store)?;
    let firsts: Vec<_> = pairs.at.iter().map(|at| (at.shard.0, at.sequence + SKIPPED + 1)).collect();
    log.begin(&firsts).map_err(RestoreError::Begin)?;
    Ok(pairs.end.expect("the end has come, for there is nothing left to load"))
}

/// All pairs of a store, as they come in a backup.
struct Restoring<'a, R> {
    reader: Reader<R>,
    /// The next, of the shard that was begun last.
    ready: std::vec::IntoIter<Pair>,
    at: Vec<At>,
    end: Option<Summary>,
    failed: Option<Unreadable>,
    progress: &'a mut dyn FnMut(&Progress),
}

impl<R: Read> Restoring<'_, R> {
    fn next(&mut self) -> Result<Option<Pair>, StoreError> {
        loop {
            if let Some((key, value)) = self.ready.next() {
                let shard = self.at.last().map(|at| prefix(at.shard)).unwrap_or_default();
                return Ok(Some(([&shard, key.as_slice()].concat(), value)));
            }
            if self.end.is_some() {
                return Ok(None);
            }
            match self.reader.part() {
                Ok(Part::Shard(at)) => {
                    self.at.push(at);
                    // Nothing in the log is pointed to.
                    let (sequence, time) = (at.sequence + SKIPPED, at.time.as_millis());
                    let is = Checkpoint { sequence, time, kept_bytes: 0 };
                    self.ready = vec![(CHECKPOINT_KEY.to_vec(), is.encode_to_vec().into())].into_iter();
                }
                Ok(Part::Pairs(pairs)) => self.ready = pairs.into_iter(),
                Ok(Part::End(summary)) => {
                    self.end = Some(summary);
                    let header = self.reader.header();
                    let data = Data { shards: header.shards, machine: header.machine };
                    return Ok(Some((DATA_KEY.to_vec(), data.encode_to_vec().into())));
                }
                Err(unreadable) => {
                    self.failed = Some(unreadable);
                    return Err(StoreError::new("fill", "the backup cannot be read"));
                }
            }
            let (shard, shards) = (self.at.len().saturating_sub(1) as u32, self.reader.header().shards);
            (self.progress)(&Progress { shard, shards, bytes: self.reader.bytes() });
        }
    }
}

/// Restores into `folder`, which is made if it is not there and must be empty. All of it is read again before an engine
/// opens it; until then a file says that it is not finished. What a restore left that was killed is begun anew.
///
/// # Errors
///
/// As [`restore`], and if the folder is not empty, or what was written is not as it should be. Nothing is left then.
pub fn restore_in<R: Read>(
    backup: R,
    folder: &Path,
    progress: &mut dyn FnMut(&Progress),
    verifying: &mut dyn FnMut(&str),
) -> Result<Summary, RestoreError> {
    let place = Place::claim(folder)?;
    let restored = place.fill(backup, progress, verifying);
    if restored.is_err() {
        // What cannot be taken away says what it is.
        let _ = place.clear().and_then(|()| place.finish());
        if place.made {
            let _ = fs::remove_dir(folder);
        }
    }
    restored
}

/// A folder that is being restored.
struct Place<'a> {
    folder: &'a Path,
    /// Whether it was not there.
    made: bool,
    /// Locked for as long as this lives.
    _mark: File,
}

impl<'a> Place<'a> {
    fn claim(folder: &'a Path) -> Result<Place<'a>, RestoreError> {
        let made = !folder.exists();
        if made {
            fs::create_dir_all(folder)?;
            sync(folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        }
        let path = folder.join(UNFINISHED);
        if !path.exists() {
            if !is_empty(folder)? {
                return Err(RestoreError::NotEmpty(folder.to_owned()));
            }
            File::create_new(&path)?.sync_all()?;
        }
        let mark = OpenOptions::new().write(true).open(&path)?;
        match mark.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RestoreError::Busy(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Another may have finished before it was locked: then what is there is no longer ours to clear.
        if mark.metadata()?.nlink() == 0 {
            return Err(RestoreError::NotEmpty(folder.to_owned()));
        }
        sync(folder)?;
        let place = Place { folder, made, _mark: mark };
        place.clear()?;
        Ok(place)
    }

    fn fill(
        &self,
        backup: impl Read,
        progress: &mut dyn FnMut(&Progress),
        verifying: &mut dyn FnMut(&str),
    ) -> Result<Summary, RestoreError> {
        let disk = RealDisk::new(self.folder.join(LOG_FOLDER))?;
        let config = log::Config { upkeep: log::Upkeep::Inline, ..log::Config::default() };
        let open = |error| RestoreError::Open(OpenError::Open(error));
        let log = log::Embedded::open(disk, config).map_err(open)?;
        let store = Fjall::open(&self.folder.join(STORE_FOLDER), CACHE_BYTES).map_err(RestoreError::Store)?;
        let summary = restore(backup, &log, &store, progress)?;
        drop((log, store));
        sync(self.folder)?;
        let verdict = verify_unfinished(self.folder, verifying).map_err(RestoreError::Open)?;
        let damages = verdict.log.damages.iter().map(|damage| damage.what.clone());
        let mut wrong: Vec<String> = damages.chain(verdict.wrong).collect();
        if verdict.pairs != summary.pairs {
            wrong.push(format!("{} pairs of {} are there", verdict.pairs, summary.pairs));
        }
        if !wrong.is_empty() {
            return Err(RestoreError::NotWhole(wrong));
        }
        self.finish()?;
        Ok(summary)
    }

    /// Takes away what there is but for the mark.
    fn clear(&self) -> io::Result<()> {
        for name in [LOG_FOLDER, STORE_FOLDER] {
            match fs::remove_dir_all(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync(self.folder)
    }

    /// Takes the mark away: what is there is all that shall be.
    fn finish(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join(UNFINISHED))?;
        sync(self.folder)
    }
}

/// Refuses a folder that is being restored, or was when that was killed.
pub(crate) fn check_finished(folder: &Path) -> Result<(), OpenError> {
    match folder.join(UNFINISHED).exists() {
        true => Err(OpenError::Unfinished(folder.to_owned())),
        false => Ok(()),
    }
}

/// A file system's own folder does not count: a data folder may be the root of one.
fn is_empty(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl From<Unreadable> for RestoreError {
    fn from(unreadable: Unreadable) -> RestoreError {
        RestoreError::Unreadable(unreadable)
    }
}

impl From<io::Error> for RestoreError {
    fn from(error: io::Error) -> RestoreError {
        RestoreError::Folder(Arc::new(error))
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Unreadable(unreadable) => unreadable.fmt(f),
            RestoreError::Machine { is, known } => {
                write!(
                    f,
                    "the backup was made by a program whose machine has version {is}, and this one has {known}"
                )
            }
            RestoreError::NotEmpty(folder) => write!(f, "{} is not empty", folder.display()),
            RestoreError::Busy(folder) => write!(f, "another process restores into {}", folder.display()),
            RestoreError::Begin(error) => error.fmt(f),
            RestoreError::Store(error) => error.fmt(f),
            RestoreError::Open(error) => error.fmt(f),
            RestoreError::NotWhole(wrong) => {
                write!(f, "what was written is not what was read: {}", wrong.join("; "))
            }
            RestoreError::Folder(_) => f.write_str("cannot write the folder"),
        }
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RestoreError::Unreadable(unreadable) => unreadable.source(),
            RestoreError::Begin(error) => error.source(),
            RestoreError::Store(error) => error.source(),
            RestoreError::Open(error) => error.source(),
            RestoreError::Folder(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

const CACHE_BYTES: u64 = 8 << 20;
