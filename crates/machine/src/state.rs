//! What a machine keeps its state in: an ordered map of bytes.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::key::{Key, Parts};

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key to the largest.
    Forwards,
    /// From the largest key to the smallest.
    Backwards,
}

/// What a scan does with each pair: look, and go on or stop.
pub type Visit<'a> = dyn FnMut(&[u8], &Bytes) -> ControlFlow<()> + 'a;

/// Reading an ordered map of bytes.
///
/// An implementation MUST order keys as byte strings, MUST show every earlier `put` and `delete` of
/// the same shard, and MUST NOT answer from a store that failed: where reading can fail, it notes
/// the failure, answers as if there were nothing, and whoever applies throws away what came of it.
pub trait Read {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Option<Bytes>;

    /// Visits the pairs with `from <= key < to` in `order`, until `visit` breaks.
    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: &mut Visit<'_>);

    /// Visits the pairs whose key begins with `prefix`, by ascending key.
    fn scan_prefix(&self, prefix: &Key, visit: &mut Visit<'_>) {
        self.scan(prefix.as_bytes(), prefix.end().as_bytes(), Order::Forwards, visit);
    }

    /// The first pair with `from <= key < to` in `order`.
    fn first(&self, from: &[u8], to: &[u8], order: Order) -> Option<(Vec<u8>, Bytes)> {
        let mut found = None;
        self.scan(from, to, order, &mut |key, value| {
            found = Some((key.to_vec(), value.clone()));
            ControlFlow::Break(())
        });
        found
    }
}

/// Up to `max` of the names that stand next in the keys that begin with `within`: those that begin with `prefix`, after `after`.
/// Each is looked for by itself, whatever lies under the one before.
pub(crate) fn names(
    state: &(impl Read + ?Sized),
    within: &Key,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Vec<String> {
    let first = within.clone().bytes(prefix.as_bytes());
    let end = first.end();
    let mut from = match after.filter(|after| *after >= prefix) {
        Some(after) => within.clone().name(after).end(),
        None => first,
    };
    let mut found = Vec::new();
    while found.len() < max && from < end {
        let Some((key, _)) = state.first(from.as_bytes(), end.as_bytes(), Order::Forwards) else { break };
        let Some(name) = within.rest_of(&key).and_then(|rest| Parts::within(rest).name()) else { break };
        from = within.clone().name(name).end();
        found.push(name.to_owned());
    }
    found
}

/// An ordered map of bytes that a machine writes to.
///
/// All writes of one entry MUST become durable together, and together with the entry's sequence.
pub trait State: Read {
    /// Puts `value` under `key`, in place of what was there.
    fn put(&mut self, key: Key, value: Bytes);

    /// Puts `value` under `key`, where the caller knows that nothing is: a key that contains the entry's sequence, or one
    /// that was just looked up. What is put so and deleted soon may never reach a disk.
    fn insert(&mut self, key: Key, value: Bytes) {
        debug_assert!(self.get(key.as_bytes()).is_none(), "there is something under {key:?}");
        self.put(key, value);
    }

    /// Takes away what is under `key`, if anything.
    fn delete(&mut self, key: Key);

    /// Puts what `change` makes of what is under `key` there, or takes it away where it makes nothing of it: as a
    /// [`Read::get`] and a write, looked up once.
    fn update(&mut self, key: Key, change: &mut dyn FnMut(Option<Bytes>) -> Option<Bytes>) {
        match change(self.get(key.as_bytes())) {
            Some(value) => self.put(key, value),
            None => self.delete(key),
        }
    }

    /// As [`Read::get`], for the few keys that many commands look at and hardly any writes, such as settings: a
    /// state may remember what is there, and that nothing is.
    fn recall(&mut self, key: Key) -> Option<Bytes> {
        self.get(key.as_bytes())
    }

    /// Told by how many bytes the payloads that lie in the log and are pointed to grew, so that whoever
    /// shortens the log knows what is alive there. Whether anyone counts changes nothing else.
    fn kept(&mut self, bytes: i64) {
        let _ = bytes;
    }
}
