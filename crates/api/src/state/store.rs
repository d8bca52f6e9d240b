//! A store, and what can be done with it.

use bytes::Bytes;
use engine::blocks::kv::{self, OPERATIONS_MAX, Write};

use super::errors::{self, Failing, check_key};
use super::{Concurrency, Delete, Engine, Operation, Options, Save};
use crate::error::Error;

/// A store, for one request.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    pub(super) name: &'a str,
    pub(super) scope: &'a str,
    pub(super) engine: Engine<'a>,
}

/// An item that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its value.
    pub value: Bytes,
    /// Its ETag.
    pub etag: u64,
    /// When it expires, if it does, in milliseconds since the epoch.
    pub expires_ms: Option<u64>,
}

/// Asks whichever engine keeps the items.
macro_rules! ask {
    ($store:expr, $kv:ident => $ask:expr) => {
        match $store.engine {
            Engine::Disk(engine) => {
                let $kv = engine.kv($store.name)?.scope($store.scope);
                $ask.await
            }
            Engine::Memory(engine) => {
                let $kv = engine.kv($store.name)?.scope($store.scope);
                $ask.await
            }
        }
    };
}

impl Store<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// An item, if it is there.
    ///
    /// # Errors
    ///
    /// If there can be no such key, or it cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<Item>, Error> {
        check_key(self.name, key)?;
        let got = async { ask!(self, kv => kv.get(key.as_bytes())) }.await;
        let found = got.map_err(|error: engine::Error| Failing::Get(self.name, key).by(&error))?;
        Ok(found.map(Item::from))
    }

    /// Items, in the order of the keys.
    ///
    /// # Errors
    ///
    /// If there can be no such key, or they cannot be read.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Item>>, Error> {
        keys.iter().try_for_each(|key| check_key(self.name, key))?;
        let keys: Vec<Bytes> = keys.iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect();
        let got = async { ask!(self, kv => kv.get_many(&keys)) }.await;
        let found = got.map_err(|error: engine::Error| Failing::BulkGet(self.name).by(&error))?;
        Ok(found.into_iter().map(|item| item.map(Item::from)).collect())
    }

    /// Puts items, each by itself: of those after one that is not put, none or some may be.
    ///
    /// # Errors
    ///
    /// Why the first of those was not put that were not.
    pub async fn save(&self, items: Vec<Save>) -> Result<(), Error> {
        let failing = Failing::Save(self.name);
        items.iter().try_for_each(|item| check_key(self.name, &item.key))?;
        let mut puts =
            items.into_iter().map(|item| self.put(item, failing)).collect::<Result<Vec<_>, _>>()?;
        if puts.len() == 1 {
            let kv::Operation { key, action: kv::Action::Put(value), write } = puts.remove(0) else {
                return Ok(());
            };
            let put = async { ask!(self, kv => kv.put(key, value, write)) }.await;
            return put.map(drop).map_err(|error: engine::Error| failing.by(&error));
        }
        self.bulk(puts).await.map_err(|(_, error)| failing.by(&error))
    }

    /// Deletes an item; that there is none is as good, unless an ETag says that there must be.
    ///
    /// # Errors
    ///
    /// Why it was not deleted.
    pub async fn delete(&self, item: Delete) -> Result<(), Error> {
        check_key(self.name, &item.key)?;
        let failing = Failing::Delete(&item.key);
        let write = Write { only_if: expected(item.etag.as_deref(), item.options, failing)?, ttl: None };
        let key = Bytes::copy_from_slice(item.key.as_bytes());
        let deleted = async { ask!(self, kv => kv.delete(key, write)) }.await;
        deleted.map(drop).map_err(|error: engine::Error| failing.by(&error))
    }

    /// Deletes items, each by itself.
    ///
    /// # Errors
    ///
    /// Why the first of those was not deleted that were not.
    pub async fn delete_many(&self, items: Vec<Delete>) -> Result<(), Error> {
        items.iter().try_for_each(|item| check_key(self.name, &item.key))?;
        let deletes = items.iter().map(|item| self.deletion(item, Failing::Delete(&item.key)));
        let deletes = deletes.collect::<Result<Vec<_>, _>>()?;
        self.bulk(deletes).await.map_err(|(place, error)| Failing::Delete(&items[place].key).by(&error))
    }

    /// Does several things, all or none.
    ///
    /// # Errors
    ///
    /// Why nothing was done.
    pub async fn transact(&self, operations: Vec<Operation>) -> Result<(), Error> {
        if operations.is_empty() {
            return Ok(());
        }
        if operations.len() > OPERATIONS_MAX {
            return Err(errors::too_many(self.name, operations.len(), OPERATIONS_MAX));
        }
        operations.iter().try_for_each(|operation| check_key(self.name, operation.key()))?;
        let lower = |operation| match operation {
            Operation::Upsert(item) => self.put(item, Failing::Transaction),
            Operation::Delete(item) => self.deletion(&item, Failing::Transaction),
        };
        let operations = operations.into_iter().map(lower).collect::<Result<Vec<_>, _>>()?;
        let done = async { ask!(self, kv => kv.transact(operations)) }.await;
        done.map(drop).map_err(|error: engine::Error| Failing::Transaction.by(&error))
    }

    /// In as many requests as are needed; which operation was the first not to be done, and why.
    async fn bulk(&self, operations: Vec<kv::Operation>) -> Result<(), (usize, engine::Error)> {
        let mut first = 0;
        let mut failed = None;
        for part in parts(operations) {
            let count = part.len();
            let outcomes = async { ask!(self, kv => kv.bulk(part)) }.await;
            let outcomes = outcomes.map_err(|error| (first, error))?;
            let odd = outcomes.into_iter().enumerate().find_map(|(at, outcome)| Some((at, outcome.err()?)));
            failed = failed.or(odd.map(|(at, error)| (first + at, error)));
            first += count;
        }
        failed.map_or(Ok(()), Err)
    }

    fn put(&self, item: Save, failing: Failing<'_>) -> Result<kv::Operation, Error> {
        let only_if = match (item.options.concurrency, expected(item.etag.as_deref(), item.options, failing)?)
        {
            (Concurrency::FirstWrite, None) => Some(ABSENT),
            (_, expected) => expected,
        };
        Ok(kv::Operation::put(item.key, item.value, Write { only_if, ttl: item.ttl }))
    }

    fn deletion(&self, item: &Delete, failing: Failing<'_>) -> Result<kv::Operation, Error> {
        let only_if = expected(item.etag.as_deref(), item.options, failing)?;
        Ok(kv::Operation::delete(item.key.clone(), Write { only_if, ttl: None }))
    }
}

impl Operation {
    fn key(&self) -> &str {
        match self {
            Operation::Upsert(item) => &item.key,
            Operation::Delete(item) => &item.key,
        }
    }
}

impl From<kv::Item> for Item {
    fn from(item: kv::Item) -> Item {
        Item { value: item.value, etag: item.etag, expires_ms: item.expires.map(|at| at.as_millis()) }
    }
}

/// The ETag that an item must have. Clients send an empty one for none.
fn expected(etag: Option<&str>, options: Options, failing: Failing<'_>) -> Result<Option<u64>, Error> {
    let counts = options.concurrency != Concurrency::LastWrite;
    let Some(etag) = etag.filter(|etag| counts && !etag.is_empty()) else { return Ok(None) };
    match etag.parse() {
        // No item has it, and to the engine it would mean that there is none.
        Ok(ABSENT) => Ok(Some(NEVER)),
        Ok(etag) => Ok(Some(etag)),
        Err(_) => Err(failing.invalid_etag(etag)),
    }
}

/// In parts of which each is one request to the engine.
fn parts(operations: Vec<kv::Operation>) -> Vec<Vec<kv::Operation>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut part_bytes = 0;
    for operation in operations {
        let value = if let kv::Action::Put(value) = &operation.action { value.len() } else { 0 };
        let bytes = operation.key.len() + value;
        if part.len() == OPERATIONS_MAX || (part_bytes + bytes > PART_BYTES && !part.is_empty()) {
            parts.push(std::mem::take(&mut part));
            part_bytes = 0;
        }
        part_bytes += bytes;
        part.push(operation);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Means to the engine that there must be no item.
const ABSENT: u64 = 0;
/// Nothing was ever written so late.
const NEVER: u64 = u64::MAX;
/// How many bytes a request to the engine has at most, unless one operation has more: well below what it takes.
const PART_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(count: usize, bytes: usize) -> Vec<kv::Operation> {
        (0..count).map(|n| kv::Operation::put(n.to_string(), vec![b'x'; bytes], Write::default())).collect()
    }

    #[test]
    fn what_is_too_much_for_one_request_is_several() {
        let counts = |operations| parts(operations).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(counts(puts(0, 1)), Vec::<usize>::new());
        assert_eq!(counts(puts(OPERATIONS_MAX + 1, 1)), [OPERATIONS_MAX, 1]);
        assert_eq!(counts(puts(3, PART_BYTES / 2)), [1, 1, 1]);
        assert_eq!(counts(puts(2, PART_BYTES * 2)), [1, 1]);
    }
}
