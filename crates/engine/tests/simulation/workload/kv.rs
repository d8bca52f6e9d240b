//! Items that are put, deleted, and changed together.

use bytes::Bytes;
use machine::Entry;
use machine::kv::{Action, Bulk, Delete, Operation, Put, Transact};

use super::{Glance, payload};

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    match glance.rng.below(10) {
        0..5 => {
            let body = payload(glance.rng, glance.id, 0);
            Entry::new(put(glance)).with_body(body)
        }
        5..7 => {
            let (store, scope, key) = place(glance);
            let etag = etag(glance, &store, &scope, &key);
            Entry::new(Delete { store, scope, key, etag })
        }
        7..9 => {
            let (store, scope, _) = place(glance);
            let (operations, bodies) = operations(glance, &store, &scope);
            Entry { bodies, ..Entry::new(Transact { store, scope, operations }) }
        }
        _ => {
            let (store, scope, _) = place(glance);
            let (operations, bodies) = operations(glance, &store, &scope);
            Entry { bodies, ..Entry::new(Bulk { store, scope, operations }) }
        }
    }
}

/// Puts the entry's first payload.
pub fn put(glance: &mut Glance<'_>) -> Put {
    let (store, scope, key) = place(glance);
    let etag = etag(glance, &store, &scope, &key);
    let ttl_ms = ttl(glance);
    Put { store, scope, key, value: 0, etag, ttl_ms }
}

fn operations(glance: &mut Glance<'_>, store: &str, scope: &str) -> (Vec<Operation>, Vec<Bytes>) {
    let mut bodies = Vec::new();
    let mut operations = Vec::new();
    for _ in 0..=glance.rng.below(4) {
        let (_, _, key) = place(glance);
        let etag = etag(glance, store, scope, &key);
        let mut operation = match glance.rng.below(4) {
            0 => Operation::delete(key),
            1 => Operation::check(key, etag.unwrap_or(0)),
            _ => {
                bodies.push(payload(glance.rng, glance.id, bodies.len()));
                let mut put = Operation::put(key, bodies.len() as u32 - 1);
                if let Some(Action::Put(value)) = &mut put.action {
                    value.ttl_ms = ttl(glance);
                }
                put
            }
        };
        if glance.rng.chance(30) {
            operation.etag = etag;
        }
        operations.push(operation);
    }
    (operations, bodies)
}

fn place(glance: &mut Glance<'_>) -> (String, String, Bytes) {
    let store = glance.rng.pick(&["orders", "carts"]);
    let scope = glance.rng.pick(&["", "shop"]);
    let key = glance.rng.pick(&["a", "b", "c", "d", "e", ""]);
    (store.to_owned(), scope.to_owned(), Bytes::from_static(key.as_bytes()))
}

/// None, the right one as far as the client can know, that there is none, or a wrong one.
fn etag(glance: &mut Glance<'_>, store: &str, scope: &str, key: &Bytes) -> Option<u64> {
    match glance.rng.below(10) {
        0..5 => None,
        5..8 => Some(glance.model.kv(glance.shard).etag(store, scope, key, glance.now)),
        8 => Some(0),
        _ => Some(glance.rng.between(1, 50)),
    }
}

fn ttl(glance: &mut Glance<'_>) -> u64 {
    match glance.rng.below(3) {
        0 => glance.rng.between(1, 120_000),
        _ => 0,
    }
}
