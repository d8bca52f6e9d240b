//! A shard's state: what has changed since the last checkpoint, in memory, over what is in the store.
//!
//! Three layers: the changes since the last checkpoint began, those that a running checkpoint is writing, and the
//! store. A read takes the first that knows the key. So a thing that comes and goes between two checkpoints never
//! reaches the store, and a counter that changes a thousand times reaches it once.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use machine::state::Visit;
use machine::{Key, Order, Read, Shard, State, Table};

use crate::store::{Pair, Store, StoreError};

/// Changes by key.
pub type Layer = BTreeMap<Vec<u8>, Change>;

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
    prefix: [u8; PREFIX_BYTES],
    store: Arc<S>,
    changed: Layer,
    changed_bytes: usize,
    writing: Option<Arc<Layer>>,
    /// The bytes of payloads in the log that the state points to.
    kept_bytes: u64,
    timers_changed: bool,
    failed: OnceLock<StoreError>,
}

impl<S: Store> Overlay<S> {
    /// The state of `shard` as it is in `store`, which points to `kept_bytes` of payloads in the log.
    pub fn new(shard: Shard, store: Arc<S>, kept_bytes: u64) -> Overlay<S> {
        Overlay {
            prefix: prefix(shard),
            store,
            changed: Layer::new(),
            changed_bytes: 0,
            writing: None,
            kept_bytes,
            timers_changed: true,
            failed: OnceLock::new(),
        }
    }

    /// The store's failure, if it failed: nothing that was read since can be relied on.
    pub fn failure(&self) -> Option<&StoreError> {
        self.failed.get()
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
    pub fn freeze(&mut self, key: Vec<u8>, value: Bytes) -> Arc<Layer> {
        assert!(self.writing.is_none(), "a checkpoint begins while another is under way");
        self.changed.insert(key, Change::put(value));
        self.changed_bytes = 0;
        let layer = Arc::new(std::mem::take(&mut self.changed));
        self.writing = Some(Arc::clone(&layer));
        layer
    }

    /// What was set aside is in the store.
    pub fn written(&mut self) -> Option<Arc<Layer>> {
        self.writing.take()
    }

    /// What was set aside could not be written: it counts as changed again.
    pub fn not_written(&mut self) {
        let Some(layer) = self.writing.take() else { return };
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

    fn set(&mut self, key: Key, value: Option<Bytes>, fresh: bool) {
        let key = Vec::from(key);
        self.timers_changed |= key.first() == Some(&(Table::Timer as u8));
        let added = cost(&key, value.as_ref());
        let before = match self.changed.entry(key) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Change { value, fresh });
                0
            }
            btree_map::Entry::Occupied(occupied) if occupied.get().fresh && value.is_none() => {
                let before = cost(occupied.key(), occupied.get().value.as_ref());
                occupied.remove();
                self.changed_bytes = self.changed_bytes.saturating_sub(before);
                return;
            }
            btree_map::Entry::Occupied(mut occupied) => {
                let before = cost(occupied.key(), occupied.get().value.as_ref());
                occupied.get_mut().value = value;
                before
            }
        };
        self.changed_bytes = (self.changed_bytes + added).saturating_sub(before);
    }

    fn in_store(&self, key: &[u8]) -> Vec<u8> {
        let mut full = Vec::with_capacity(PREFIX_BYTES + key.len());
        full.extend_from_slice(&self.prefix);
        full.extend_from_slice(key);
        full
    }

    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Vec<Pair> {
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
}

impl<S: Store> Read for Overlay<S> {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        if let Some(change) = self.changed.get(key) {
            return change.value.clone();
        }
        if let Some(change) = self.writing.as_ref().and_then(|layer| layer.get(key)) {
            return change.value.clone();
        }
        self.store.get(&self.in_store(key)).unwrap_or_else(|error| {
            let _ = self.failed.set(error);
            None
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        let mut changed = InLayer::new(self.changed.range::<[u8], _>(range), order);
        let mut writing =
            self.writing.as_ref().map(|layer| InLayer::new(layer.range::<[u8], _>(range), order));
        let mut stored = InStore::new(self, from, to, order);
        loop {
            let keys = [
                changed.key(),
                writing.as_ref().and_then(InLayer::key),
                stored.pair().map(|(key, _)| key.as_slice()),
            ];
            let Some(next) = keys.iter().flatten().copied().reduce(|a, b| first(a, b, order)) else { return };
            let is_next = keys.map(|key| key == Some(next));
            let value = if is_next[0] {
                changed.value()
            } else if is_next[1] {
                writing.as_ref().and_then(InLayer::value)
            } else {
                stored.pair().map(|(_, value)| value)
            };
            if value.is_some_and(|value| visit(next, value).is_break()) {
                return;
            }
            if is_next[0] {
                changed.advance();
            }
            if let (true, Some(writing)) = (is_next[1], &mut writing) {
                writing.advance();
            }
            if is_next[2] {
                stored.advance();
            }
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

    fn kept(&mut self, bytes: i64) {
        self.kept_bytes = self.kept_bytes.saturating_add_signed(bytes);
    }
}

/// Where a scan is in a layer.
struct InLayer<'a> {
    range: btree_map::Range<'a, Vec<u8>, Change>,
    order: Order,
    at: Option<(&'a Vec<u8>, &'a Change)>,
}

impl<'a> InLayer<'a> {
    fn new(range: btree_map::Range<'a, Vec<u8>, Change>, order: Order) -> InLayer<'a> {
        let mut scan = InLayer { range, order, at: None };
        scan.advance();
        scan
    }

    fn advance(&mut self) {
        self.at = match self.order {
            Order::Forwards => self.range.next(),
            Order::Backwards => self.range.next_back(),
        };
    }

    fn key(&self) -> Option<&'a [u8]> {
        self.at.map(|(key, _)| key.as_slice())
    }

    fn value(&self) -> Option<&'a Bytes> {
        self.at.and_then(|(_, change)| change.value.as_ref())
    }
}

/// Where a scan is in the store, of which it reads a few pairs first and then ever more.
struct InStore<'a, S> {
    overlay: &'a Overlay<S>,
    from: Vec<u8>,
    to: Vec<u8>,
    order: Order,
    page: Vec<Pair>,
    at: usize,
    size: usize,
    last: bool,
}

impl<'a, S: Store> InStore<'a, S> {
    fn new(overlay: &'a Overlay<S>, from: &[u8], to: &[u8], order: Order) -> InStore<'a, S> {
        let (from, to) = (from.to_vec(), to.to_vec());
        let mut scan =
            InStore { overlay, from, to, order, page: Vec::new(), at: 0, size: PAGE_FIRST, last: false };
        scan.load();
        scan
    }

    fn pair(&self) -> Option<&Pair> {
        self.page.get(self.at)
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.at == self.page.len() && !self.last {
            self.load();
        }
    }

    fn load(&mut self) {
        if let Some((key, _)) = self.page.last() {
            match self.order {
                Order::Forwards => {
                    self.from.clone_from(key);
                    self.from.push(0);
                }
                Order::Backwards => self.to.clone_from(key),
            }
        }
        self.page = self.overlay.page(&self.from, &self.to, self.order, self.size);
        self.last = self.page.len() < self.size;
        self.at = 0;
        self.size = (self.size * 4).min(PAGE_MAX);
    }
}

/// The prefix under which a shard's state is in the store.
pub fn prefix(shard: Shard) -> [u8; PREFIX_BYTES] {
    shard.0.to_be_bytes()
}

fn first<'a>(a: &'a [u8], b: &'a [u8], order: Order) -> &'a [u8] {
    match (a.cmp(b), order) {
        (Ordering::Greater, Order::Forwards) | (Ordering::Less, Order::Backwards) => b,
        _ => a,
    }
}

fn cost(key: &[u8], value: Option<&Bytes>) -> usize {
    key.len() + value.map_or(0, Bytes::len) + PAIR_BYTES
}

/// Bytes of a key in the store that name its shard.
pub const PREFIX_BYTES: usize = 4;
/// What a pair takes in memory besides its bytes: the headers of key and value, their allocations, the tree's slack.
const PAIR_BYTES: usize = 112;
/// How many pairs a scan reads from the store at first, and at most at a time.
const PAGE_FIRST: usize = 4;
const PAGE_MAX: usize = 256;
