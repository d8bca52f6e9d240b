//! What all shards were at one moment, held while it is read: what a backup is made of.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use log::{Log, ReadError};
use machine::Shard;

use super::{Engine, Inner, lock};
use crate::backup::{self, At, BackupError, CHUNK_BYTES, Progress, Serving, Source, Summary};
use crate::checkpoint::begin_at_once;
use crate::error::Failure;
use crate::overlay::{PREFIX_BYTES, prefix};
use crate::store::{Pair, Snapshot, Store};

/// Held by who writes a checkpoint or gives parts of the log back.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// How many read what may lie in parts of the log that nobody else needs.
    cuts: usize,
}

impl Turn {
    pub(super) fn may_give_back(&self) -> bool {
        self.cuts == 0
    }
}

/// What all shards were at one moment.
struct Cut<'a, L: Log, S: Store> {
    inner: &'a Inner<L, S>,
    at: Vec<At>,
    snapshot: Box<dyn Snapshot>,
}

impl<L: Log, S: Store> Engine<L, S> {
    /// Writes what all shards are at this moment to `out`, as a backup that [`backup::restore`] reads. Commands are taken
    /// and answered meanwhile; the log is not given back, so it grows by what they write. `progress` is told now and then.
    ///
    /// # Errors
    ///
    /// If log or store cannot be read, or `out` cannot be written. What was written then is no backup, and says so to
    /// whoever reads it.
    pub fn backup(
        &self,
        out: &mut dyn io::Write,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Summary, BackupError> {
        self.inner.backup(out, progress)
    }

    /// Has whoever connects to a socket in `folder` get a backup, from now on. Where there can be no socket nobody gets
    /// one: that is no reason to refuse commands.
    pub(crate) fn serve_backups(&mut self, folder: &Path) {
        let inner = Arc::clone(&self.inner);
        let make = move |out: &mut dyn io::Write| {
            // Why there is none has been told to who asked.
            let _ = inner.backup(out, &mut |_| {});
        };
        self.serving = Serving::start(folder, make).ok();
    }
}

impl<L: Log, S: Store> Inner<L, S> {
    /// As [`Engine::backup`].
    pub(crate) fn backup(
        &self,
        out: &mut dyn io::Write,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Summary, BackupError> {
        backup::write(|| self.cut(), self.now(), out, progress)
    }

    /// Writes a checkpoint of all shards at one moment, and holds what is then in the store and what that points to.
    fn cut(&self) -> Result<Cut<'_, L, S>, Failure> {
        let mut turn = lock(&self.turn);
        let begun = Instant::now();
        let (set_aside, applied) = begin_at_once(&self.shared).map_err(Failure::Store)?;
        let outcome = set_aside.write(self.store.as_ref());
        let written = set_aside.end(&self.shared, outcome).map_err(Failure::Store)?;
        self.metrics.checkpoint(written.pairs, begun.elapsed());
        // Nobody has written to the store since, for it is our turn.
        let snapshot = self.store.snapshot();
        turn.cuts += 1;
        let at = self.shared.iter().zip(applied);
        let at = at.map(|(shared, (sequence, time))| At { shard: shared.shard(), sequence, time }).collect();
        Ok(Cut { inner: self, at, snapshot })
    }
}

impl<L: Log, S: Store> Drop for Cut<'_, L, S> {
    fn drop(&mut self) {
        lock(&self.inner.turn).cuts -= 1;
    }
}

impl<L: Log, S: Store> Source for Cut<'_, L, S> {
    fn at(&self) -> &[At] {
        &self.at
    }

    fn chunk(&self, shard: Shard, from: &[u8]) -> Result<Vec<Pair>, Failure> {
        let in_store = |key: &[u8]| [&prefix(shard), key].concat();
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        let mut visit = |key: &[u8], value: Bytes| {
            bytes += key.len() + value.len();
            pairs.push((key[PREFIX_BYTES..].to_vec(), value));
            if bytes >= CHUNK_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let scanned = self.snapshot.scan(&in_store(from), &in_store(&[u8::MAX]), &mut visit);
        scanned.map_err(Failure::Store)?;
        Ok(pairs)
    }

    fn record(&self, shard: Shard, sequence: u64) -> Result<Bytes, ReadError> {
        self.inner.log.get(shard.0, sequence)
    }
}
