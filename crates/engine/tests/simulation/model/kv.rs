//! Key-value state as users think of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::kv::{self, Action, Failed, Operation, Page};
use machine::{Code, Read, Refusal, Time};

use super::{Payloads, Step};

/// Items by store, scope and key.
#[derive(Clone, Default)]
pub struct Kv {
    items: BTreeMap<Place, Item>,
}

type Place = (String, String, Bytes);

#[derive(Clone)]
struct Item {
    etag: u64,
    value: Bytes,
    expires: Option<Time>,
}

impl Kv {
    pub(super) fn apply(&mut self, step: &Step<'_>, command: &kv::Command) -> Result<kv::Reply, Code> {
        let etag = step.sequence;
        match command.kind.as_ref().expect("what is in the log says what it is") {
            kv::Kind::Put(put) => {
                let mut operation = Operation::put(put.key.clone(), put.value);
                operation.etag = put.etag;
                if let Some(Action::Put(value)) = &mut operation.action {
                    value.ttl_ms = put.ttl_ms;
                }
                let existed = self.one(step, &put.store, &put.scope, &operation)?;
                Ok(kv::Reply { etag, existed, ..kv::Reply::default() })
            }
            kv::Kind::Delete(delete) => {
                let mut operation = Operation::delete(delete.key.clone());
                operation.etag = delete.etag;
                let existed = self.one(step, &delete.store, &delete.scope, &operation)?;
                Ok(kv::Reply { existed, ..kv::Reply::default() })
            }
            kv::Kind::Transact(transact) => {
                let mut after = self.clone();
                for operation in &transact.operations {
                    after.one(step, &transact.store, &transact.scope, operation)?;
                }
                *self = after;
                Ok(kv::Reply { etag, ..kv::Reply::default() })
            }
            kv::Kind::Bulk(bulk) => {
                let mut failed = Vec::new();
                for (index, operation) in (0..).zip(&bulk.operations) {
                    if let Err(code) = self.one(step, &bulk.store, &bulk.scope, operation) {
                        failed.push(Failed { index, refusal: Refusal::new(code, "") });
                    }
                }
                Ok(kv::Reply { etag, existed: false, failed })
            }
            other @ kv::Kind::Define(_) => panic!("the model does not know {other:?}"),
        }
    }

    /// One operation: whether the item was there before.
    fn one(
        &mut self,
        step: &Step<'_>,
        store: &str,
        scope: &str,
        operation: &Operation,
    ) -> Result<bool, Code> {
        let place = (store.to_owned(), scope.to_owned(), operation.key.clone());
        let before = self.live(&place, step.time).map_or(0, |item| item.etag);
        if operation.etag.is_some_and(|etag| etag != before) {
            return Err(Code::Conflict);
        }
        match operation.action.as_ref().expect("an operation does something") {
            Action::Put(put) => {
                let expires = (put.ttl_ms > 0).then(|| step.time.after(put.ttl_ms));
                let value = step.bodies[put.body as usize].clone();
                self.items.insert(place, Item { etag: step.sequence, value, expires });
            }
            Action::Delete(()) => {
                self.items.remove(&place);
            }
            Action::Check(()) => {}
        }
        Ok(before > 0)
    }

    fn live(&self, place: &Place, now: Time) -> Option<&Item> {
        self.items.get(place).filter(|item| item.expires.is_none_or(|expires| now < expires))
    }

    /// The ETag of an item, for a client that has read it.
    pub fn etag(&self, store: &str, scope: &str, key: &Bytes, now: Time) -> u64 {
        self.live(&(store.to_owned(), scope.to_owned(), key.clone()), now).map_or(0, |item| item.etag)
    }

    pub(super) fn assert_read(&self, state: &impl Read, now: Time, payloads: Payloads<'_>) {
        let mut places: Vec<(String, String)> = Vec::new();
        for (store, scope, key) in self.items.keys() {
            let live = self.live(&(store.clone(), scope.clone(), key.clone()), now);
            let read = kv::get(state, store, scope, key, now);
            let read = read.map(|item| (item.etag, payloads(&item.value), item.expires()));
            let live = live.map(|item| (item.etag, item.value.clone(), item.expires));
            assert_eq!(read, live, "the item {key:?} of {scope:?} in {store:?}, and what it should be");
            if places.last().is_none_or(|(last, of)| (last, of) != (store, scope)) {
                places.push((store.clone(), scope.clone()));
            }
        }
        for (store, scope) in places {
            let listing = kv::list(state, &store, &scope, &Page { max: 1000, ..Page::default() }, now);
            let listed: Vec<Bytes> = listing.items.into_iter().map(|(key, _)| key).collect();
            let in_scope = |(place, item): &(&Place, &Item)| {
                (&place.0, &place.1) == (&store, &scope) && item.expires.is_none_or(|expires| now < expires)
            };
            let live: Vec<Bytes> =
                self.items.iter().filter(in_scope).map(|(place, _)| place.2.clone()).collect();
            assert_eq!(listed, live, "the keys of {scope:?} in {store:?}, and what they should be");
        }
    }
}
