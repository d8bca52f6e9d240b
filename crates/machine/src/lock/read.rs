//! Looking at locks, which takes no entry.

use std::ops::ControlFlow;

use super::{Lease, lock_key, scope_key};
use crate::context::{decode, read};
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
