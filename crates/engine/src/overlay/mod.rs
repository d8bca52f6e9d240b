//! A shard's state: what has changed since the last checkpoint, in memory, over what is in the store.
//!
//! Three layers: the changes since the last checkpoint began, those that a running checkpoint is writing, and the
//! store. A read takes the first that knows the key. So a thing that comes and goes between two checkpoints never
//! reaches the store, and a counter that changes a thousand times reaches it once.

mod below;
mod scan;

use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::sync::Arc;

use below::Below;
use bytes::Bytes;
use machine::state::Visit;
use machine::{Key, Order, Read, Shard, State, Table};

use crate::store::{Store, StoreError};

/// Changes by key.
pub type Layer = BTreeMap<Key, Change>;

/// What has become of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its value; nothing if it is gone.
    pub value: Option<Bytes>,
    /// Whether nothing is under the key further down: then nothing needs to be said of it when it is gone.
    fresh: bool,
}

impl Change {
    /// A value in place of what may be further down.
    pub fn put(value: Bytes) -> Change {
        Change { value: Some(value), fresh: false }
    }
}

/// A shard's state.
pub struct Overlay<S> {
    changed: Layer,
    changed_bytes: usize,
    below: Below<S>,
    /// What was asked for with [`State::recall`], as it is; nothing where nothing is.
    recalled: HashMap<Key, Option<Bytes>>,
    /// The tables it is of.
    recalled_tables: Vec<u8>,
    /// The bytes of payloads in the log that the state points to.
    kept_bytes: u64,
    timers_changed: bool,
}

impl<S: Store> Overlay<S> {
    /// The state of `shard` as it is in `store`, which points to `kept_bytes` of payloads in the log.
    pub fn new(shard: Shard, store: Arc<S>, kept_bytes: u64) -> Overlay<S> {
        Overlay {
            changed: Layer::new(),
            changed_bytes: 0,
            below: Below::new(prefix(shard), store),
            recalled: HashMap::new(),
            recalled_tables: Vec::new(),
            kept_bytes,
            timers_changed: true,
        }
    }

    /// The store's failure, if it failed: nothing that was read since can be relied on.
    pub fn failure(&self) -> Option<&StoreError> {
        self.below.failure()
    }

    /// About how many bytes of memory the changes take.
    pub fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// How many bytes of payloads in the log the state points to.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// Whether timers may have changed since this was last asked.
    pub fn take_timers_changed(&mut self) -> bool {
        std::mem::take(&mut self.timers_changed)
    }

    /// Sets the changes aside for a checkpoint, with a pair of its own. It writes them and then calls
    /// [`Overlay::written`].
    ///
    /// # Panics
    ///
    /// If a checkpoint is under way.
    pub fn freeze(&mut self, key: Key, value: Bytes) -> Arc<Layer> {
        assert!(self.below.writing.is_none(), "a checkpoint begins while another is under way");
        self.changed.insert(key, Change::put(value));
        self.changed_bytes = 0;
        let layer = Arc::new(std::mem::take(&mut self.changed));
        self.below.writing = Some(Arc::clone(&layer));
        layer
    }

    /// What was set aside is in the store.
    pub fn written(&mut self) -> Option<Arc<Layer>> {
        self.below.writing.take()
    }

    /// What was set aside could not be written: it counts as changed again.
    pub fn not_written(&mut self) {
        let Some(layer) = self.below.writing.take() else { return };
        for (key, change) in layer.iter() {
            match self.changed.entry(key.clone()) {
                btree_map::Entry::Vacant(vacant) => {
                    self.changed_bytes += cost(key, change.value.as_ref());
                    vacant.insert(change.clone());
                }
                // What is further down is now what was further down of the one that was set aside.
                btree_map::Entry::Occupied(mut occupied) => occupied.get_mut().fresh = change.fresh,
            }
        }
    }

    /// As [`Read::get`]: two keys are compared faster than two slices.
    fn get_by(&self, key: &Key) -> Option<Bytes> {
        if let Some(change) = self.changed.get(key) {
            return change.value.clone();
        }
        self.below.get(key)
    }

    fn set(&mut self, key: Key, value: Option<Bytes>, fresh: bool) {
        self.notice(&key);
        match self.changed.entry(key) {
            btree_map::Entry::Vacant(vacant) => {
                self.changed_bytes += cost(vacant.key(), value.as_ref());
                vacant.insert(Change { value, fresh });
            }
            btree_map::Entry::Occupied(occupied) => {
                let before = cost(occupied.key(), occupied.get().value.as_ref());
                self.changed_bytes = self.changed_bytes.saturating_sub(before) + replace(occupied, value);
            }
        }
    }

    /// What is written has consequences for what is remembered.
    fn notice(&mut self, key: &Key) {
        let Some(table) = key.as_bytes().first() else { return };
        self.timers_changed |= *table == Table::Timer as u8;
        if self.recalled_tables.contains(table) {
            self.recalled.remove(key);
        }
    }
}

impl<S: Store> Read for Overlay<S> {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.get_by(&Key::from(key))
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: &mut Visit<'_>) {
        if from < to {
            scan::merge(&self.changed, &self.below, from..to, order, visit);
        }
    }
}

impl<S: Store> State for Overlay<S> {
    fn put(&mut self, key: Key, value: Bytes) {
        self.set(key, Some(value), false);
    }

    fn insert(&mut self, key: Key, value: Bytes) {
        self.set(key, Some(value), true);
    }

    fn delete(&mut self, key: Key) {
        self.set(key, None, false);
    }

    fn update(&mut self, key: Key, change: &mut dyn FnMut(Option<Bytes>) -> Option<Bytes>) {
        self.notice(&key);
        match self.changed.entry(key) {
            btree_map::Entry::Vacant(vacant) => {
                let known = self.below.get(vacant.key());
                let fresh = known.is_none();
                let value = change(known);
                if !fresh || value.is_some() {
                    self.changed_bytes += cost(vacant.key(), value.as_ref());
                    vacant.insert(Change { value, fresh });
                }
            }
            btree_map::Entry::Occupied(mut occupied) => {
                let before = cost(occupied.key(), occupied.get().value.as_ref());
                let value = change(occupied.get_mut().value.take());
                self.changed_bytes = self.changed_bytes.saturating_sub(before) + replace(occupied, value);
            }
        }
    }

    fn recall(&mut self, key: Key) -> Option<Bytes> {
        if let Some(value) = self.recalled.get(&key) {
            return value.clone();
        }
        let value = self.get_by(&key);
        if self.recalled.len() == RECALLED_MAX {
            self.recalled.clear();
        }
        if let Some(table) = key.as_bytes().first().filter(|table| !self.recalled_tables.contains(table)) {
            self.recalled_tables.push(*table);
        }
        self.recalled.insert(key, value.clone());
        value
    }

    fn kept(&mut self, bytes: i64) {
        self.kept_bytes = self.kept_bytes.saturating_add_signed(bytes);
    }
}

/// The prefix under which a shard's state is in the store.
pub fn prefix(shard: Shard) -> [u8; PREFIX_BYTES] {
    shard.0.to_be_bytes()
}

/// Puts `value` in place of a change: what that takes in memory.
fn replace(mut occupied: OccupiedEntry<'_, Key, Change>, value: Option<Bytes>) -> usize {
    if value.is_none() && occupied.get().fresh {
        occupied.remove();
        return 0;
    }
    let takes = cost(occupied.key(), value.as_ref());
    occupied.get_mut().value = value;
    takes
}

/// About how many bytes of memory a change takes.
fn cost(key: &Key, value: Option<&Bytes>) -> usize {
    key.heap_bytes() + value.map_or(0, Bytes::len) + PAIR_BYTES
}

/// Bytes of a key in the store that name its shard.
pub const PREFIX_BYTES: usize = 4;
/// What a pair takes in memory besides its value's bytes and a long key's: both in their place, the value's allocation, the
/// tree's slack.
const PAIR_BYTES: usize = 160;
/// How many keys are remembered with what is under them.
const RECALLED_MAX: usize = 1_024;
