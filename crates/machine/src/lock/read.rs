//! Looking at locks, which takes no entry.

use std::ops::ControlFlow;

use super::{Lease, lock_key, scope_key};
use crate::context::{decode, read};
use crate::key::{Key, Parts, Table};
use crate::state::{Order, Read};
use crate::time::Time;

/// The lease of a lock that somebody holds.
pub fn get(state: &(impl Read + ?Sized), store: &str, scope: &str, name: &str, now: Time) -> Option<Lease> {
    read(state, &lock_key(store, scope, name)).filter(|lease: &Lease| lease.is_held(now))
}

/// The locks of `scope` that somebody holds, by name from after `after` on: `max` at most.
pub fn list(
    state: &(impl Read + ?Sized),
    store: &str,
    scope: &str,
    after: &str,
    max: usize,
    now: Time,
) -> Vec<(String, Lease)> {
    let all = scope_key(store, scope);
    let from = lock_key(store, scope, after).u8(0);
    let mut locks = Vec::new();
    state.scan(from.as_bytes(), all.end().as_bytes(), Order::Forwards, &mut |key, value| {
        if locks.len() == max {
            return ControlFlow::Break(());
        }
        let lease: Lease = decode(key, value.clone());
        if lease.is_held(now) {
            let name = String::from_utf8_lossy(all.rest_of(key).unwrap_or_default());
            locks.push((name.into_owned(), lease));
        }
        ControlFlow::Continue(())
    });
    locks
}

/// A lock of any store and scope that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The store.
    pub store: String,
    /// The scope.
    pub scope: String,
    /// The lock's name.
    pub name: String,
}

/// The locks in this shard that somebody holds, by store, scope and name: the first `max`.
pub fn held(state: &(impl Read + ?Sized), max: usize, now: Time) -> Vec<(Place, Lease)> {
    let mut locks = Vec::new();
    state.scan_prefix(&Key::new(Table::Lock), &mut |key, value| {
        if locks.len() == max {
            return ControlFlow::Break(());
        }
        let lease: Lease = decode(key, value.clone());
        let mut parts = Parts::of(key);
        if let (true, Some(store), Some(scope)) = (lease.is_held(now), parts.name(), parts.name()) {
            let name = String::from_utf8_lossy(parts.rest()).into_owned();
            locks.push((Place { store: store.to_owned(), scope: scope.to_owned(), name }, lease));
        }
        ControlFlow::Continue(())
    });
    locks
}
