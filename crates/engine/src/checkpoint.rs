//! Checkpoints: what has changed gets into the store, for all shards in one atomic write.

use std::sync::Arc;

use machine::Time;

use crate::overlay::prefix;
use crate::replica::Shared;
use crate::store::{Section, Store, StoreError};

/// What a checkpoint wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// How many shards had changed.
    pub shards: usize,
    /// How many pairs were written.
    pub pairs: usize,
}

/// What has been set aside to be written.
pub struct Begun {
    sections: Vec<Section>,
}

/// Writes what has changed in `shards`, which are in the order of their numbers. Commands are applied meanwhile. One
/// at a time.
///
/// # Errors
///
/// If the store cannot be written, or could not be read: nothing is lost, and what has changed stays in memory.
pub fn checkpoint<S: Store>(shards: &[Arc<Shared<S>>], store: &S) -> Result<Written, StoreError> {
    let Some(begun) = begin(shards)? else { return Ok(Written::default()) };
    let outcome = begun.write(store);
    begun.end(shards, outcome)
}

/// Sets aside what has changed in `shards`; nothing if nothing has. Until [`Begun::end`] no other is begun.
///
/// # Errors
///
/// If reading the state of one of them has failed, so that what has changed cannot be relied on.
pub fn begin<S: Store>(shards: &[Arc<Shared<S>>]) -> Result<Option<Begun>, StoreError> {
    let mut begun = Begun { sections: Vec::new() };
    for shared in shards {
        let mut applied = shared.write();
        let changes = match applied.freeze() {
            Ok(changes) => changes,
            Err(error) => {
                drop(applied);
                return begun.end(shards, Err(error)).map(|_| None);
            }
        };
        shared.note_changes(&applied);
        begun.sections.extend(changes.map(|changes| Section { prefix: prefix(shared.shard()), changes }));
    }
    Ok((!begun.sections.is_empty()).then_some(begun))
}

/// Sets aside what has changed in `shards`, of all at the same moment: nothing is applied anywhere while it looks. For each
/// the sequence of the entry that was applied last, and its time.
///
/// # Errors
///
/// As [`begin`].
pub fn begin_at_once<S: Store>(shards: &[Arc<Shared<S>>]) -> Result<(Begun, Vec<(u64, Time)>), StoreError> {
    let mut all: Vec<_> = shards.iter().map(|shared| shared.write()).collect();
    let mut sections = Vec::new();
    for at in 0..all.len() {
        match all[at].freeze() {
            Ok(changes) => sections
                .extend(changes.map(|changes| Section { prefix: prefix(shards[at].shard()), changes })),
            Err(error) => {
                all.iter_mut().for_each(|applied| applied.state.not_written());
                return Err(error);
            }
        }
    }
    for (shared, applied) in shards.iter().zip(&all) {
        shared.note_changes(applied);
    }
    let applied = all.iter().map(|applied| (applied.sequence, applied.time)).collect();
    Ok((Begun { sections }, applied))
}

impl Begun {
    /// Writes it, all or nothing.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn write<S: Store>(&self, store: &S) -> Result<(), StoreError> {
        store.ingest(&self.sections)
    }

    /// Notes in `shards` what became of it.
    ///
    /// # Errors
    ///
    /// What writing it ended with: what has changed stays in memory.
    pub fn end<S: Store>(
        self,
        shards: &[Arc<Shared<S>>],
        outcome: Result<(), StoreError>,
    ) -> Result<Written, StoreError> {
        for shared in shards {
            let mut applied = shared.write();
            match outcome {
                Ok(()) => applied.written(),
                Err(_) => applied.state.not_written(),
            }
            shared.note_changes(&applied);
        }
        let pairs = self.sections.iter().map(|section| section.changes.len()).sum();
        outcome.map(|()| Written { shards: self.sections.len(), pairs })
    }
}
