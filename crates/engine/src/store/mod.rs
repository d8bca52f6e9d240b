//! Where state lies that is not in memory: an ordered map of bytes that is written in checkpoints.

mod fjall;
mod memory;
mod mirror;

pub use fjall::Fjall;
pub use memory::Memory;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use machine::Order;

use crate::overlay::{Layer, PREFIX_BYTES};

/// A pair as a store gives it.
pub type Pair = (Vec<u8>, Bytes);

/// What is written to a store: changes under a prefix.
pub struct Section {
    /// What stands before each key.
    pub prefix: [u8; PREFIX_BYTES],
    /// The changes.
    pub changes: Arc<Layer>,
}

/// Calls `write` with each key in full, and its value or nothing where it shall be gone.
fn each<E>(
    sections: &[Section],
    mut write: impl FnMut(&[u8], Option<&Bytes>) -> Result<(), E>,
) -> Result<(), E> {
    let mut key = Vec::new();
    for section in sections {
        for (rest, change) in section.changes.iter() {
            key.clear();
            key.extend_from_slice(&section.prefix);
            key.extend_from_slice(rest.as_bytes());
            write(&key, change.value.as_ref())?;
        }
    }
    Ok(())
}

/// An ordered map of bytes.
///
/// - `ingest` MUST be atomic: after a crash all of its writes are there or none.
/// - When `ingest` has returned `Ok`, its writes MUST survive the loss of power.
/// - Reads MUST see all writes of every `ingest` that has returned, and those of one that has not all or none.
/// - What holds for `ingest` MUST hold for `load`, of which there may be far more than there is memory.
/// - A snapshot MUST show what reads would have shown when it was made, whatever is written since, and MUST NOT keep
///   anyone from writing.
pub trait Store: Send + Sync + 'static {
    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The first `max` pairs with `from <= key < to` in `order`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Result<Vec<Pair>, StoreError>;

    /// Writes `sections`, whose prefixes ascend.
    ///
    /// # Errors
    ///
    /// If it cannot be written durably; then nothing is.
    fn ingest(&self, sections: &[Section]) -> Result<(), StoreError>;

    /// Writes the pairs that `next` gives, whose keys ascend, until it gives none.
    ///
    /// # Errors
    ///
    /// If it cannot be written durably, or `next` fails; then nothing is.
    fn load(&self, next: &mut NextPair<'_>) -> Result<(), StoreError>;

    /// What is in it now, to be read for as long as it is held.
    fn snapshot(&self) -> Box<dyn Snapshot>;
}

/// What gives the next pair to be written, or none.
pub type NextPair<'a> = dyn FnMut() -> Result<Option<Pair>, StoreError> + 'a;

/// What was in a store at one moment.
pub trait Snapshot: Send {
    /// Calls `visit` with the pairs with `from <= key < to` in order, until it breaks.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
}

/// A store failed.
#[derive(Clone, Debug)]
pub struct StoreError {
    doing: &'static str,
    cause: Arc<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// It failed at `doing`, such as "read", because of `cause`.
    pub fn new(
        doing: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError { doing, cause: Arc::from(cause.into()) }
    }

    /// Whether it failed since there is no room on the disk.
    pub(crate) fn is_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self.cause.as_ref());
        while let Some(error) = cause {
            if error.downcast_ref::<std::io::Error>().is_some_and(log::disk::is_full) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} the store", self.doing)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}
