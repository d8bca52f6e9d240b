//! What is under the changes since the last checkpoint began: those that a running one is writing, and the store.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use machine::{Key, Order};

use super::{Layer, PREFIX_BYTES};
use crate::store::{Pair, Store, StoreError};

/// What is under the changes.
pub(super) struct Below<S> {
    prefix: [u8; PREFIX_BYTES],
    store: Arc<S>,
    pub(super) writing: Option<Arc<Layer>>,
    failed: OnceLock<StoreError>,
}

impl<S: Store> Below<S> {
    pub(super) fn new(prefix: [u8; PREFIX_BYTES], store: Arc<S>) -> Below<S> {
        Below { prefix, store, writing: None, failed: OnceLock::new() }
    }

    /// The store's failure, if it failed.
    pub(super) fn failure(&self) -> Option<&StoreError> {
        self.failed.get()
    }

    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        if let Some(change) = self.writing.as_ref().and_then(|layer| layer.get(key)) {
            return change.value.clone();
        }
        self.store.get(&self.in_store(key.as_bytes())).unwrap_or_else(|error| {
            let _ = self.failed.set(error);
            None
        })
    }

    /// The first `max` pairs of the store with `from <= key < to` in `order`.
    pub(super) fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Vec<Pair> {
        match self.store.page(&self.in_store(from), &self.in_store(to), order, max) {
            Ok(mut page) => {
                for (key, _) in &mut page {
                    key.drain(..PREFIX_BYTES);
                }
                page
            }
            Err(error) => {
                let _ = self.failed.set(error);
                Vec::new()
            }
        }
    }

    fn in_store(&self, key: &[u8]) -> Vec<u8> {
        let mut full = Vec::with_capacity(PREFIX_BYTES + key.len());
        full.extend_from_slice(&self.prefix);
        full.extend_from_slice(key);
        full
    }
}
