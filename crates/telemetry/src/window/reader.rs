//! Reads blocks, and keeps those read last: a query asks for the same ones again and again, and the next one asks for them too.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::file::Block;
use super::row::Row;
use crate::part::{KeptLog, Part};

/// Most blocks that are kept of each kind; a few megabytes each.
const KEPT_MAX: usize = 6;

/// Rows by the number of their block, that read last at the end.
type Last<R> = Mutex<Vec<(u64, Arc<Vec<R>>)>>;

/// Shared by all queries.
#[derive(Default)]
pub(crate) struct Reader {
    parts: Last<Part>,
    logs: Last<Arc<KeptLog>>,
    /// Blocks that were not whole when they were read.
    damaged: AtomicU64,
}

impl Reader {
    /// The parts in a block; none if it is not whole.
    pub(crate) fn parts(&self, block: &Block) -> Arc<Vec<Part>> {
        self.read(&self.parts, block)
    }

    /// The records in a block; none if it is not whole.
    pub(crate) fn logs(&self, block: &Block) -> Arc<Vec<Arc<KeptLog>>> {
        self.read(&self.logs, block)
    }

    /// How many blocks were not whole.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.load(Relaxed)
    }

    fn read<R: Row>(&self, kept: &Last<R>, block: &Block) -> Arc<Vec<R>> {
        let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            if let Some(at) = kept.iter().position(|(id, _)| *id == block.id) {
                let entry = kept.remove(at);
                let rows = entry.1.clone();
                kept.push(entry);
                return rows;
            }
        }
        // Read without the lock: others need not wait for the disk.
        let rows = block.rows().unwrap_or_else(|| {
            if block.path.exists() {
                self.damaged.fetch_add(1, Relaxed);
            }
            Vec::new()
        });
        let rows = Arc::new(rows);
        let mut kept = lock();
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((block.id, rows.clone()));
        rows
    }
}
