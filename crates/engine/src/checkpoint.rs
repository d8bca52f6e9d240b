//! Checkpoints: what has changed gets into the store, for all shards in one atomic write.

use std::sync::Arc;

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

/// Writes what has changed in `shards`, which are in the order of their numbers. Commands are applied meanwhile. One
/// at a time.
///
/// # Errors
///
/// If the store cannot be written: nothing is lost, and what has changed stays in memory.
pub fn checkpoint<S: Store>(shards: &[Arc<Shared<S>>], store: &S) -> Result<Written, StoreError> {
    let sections: Vec<Section> = shards
        .iter()
        .filter_map(|shared| {
            let mut applied = shared.write();
            let changes = applied.freeze()?;
            shared.note_changes(&applied);
            Some(Section { prefix: prefix(shared.shard()), changes })
        })
        .collect();
    if sections.is_empty() {
        return Ok(Written::default());
    }
    let pairs = sections.iter().map(|section| section.changes.len()).sum();
    let outcome = store.ingest(&sections);
    for shared in shards {
        let mut applied = shared.write();
        match outcome {
            Ok(()) => applied.written(),
            Err(_) => applied.state.not_written(),
        }
        shared.note_changes(&applied);
    }
    outcome.map(|()| Written { shards: sections.len(), pairs })
}
