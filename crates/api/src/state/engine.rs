//! The engine's items behind the trait that stores outside implement too, so that one suite holds for all.
//!
//! The methods are there a second time without the trait, and so without a box around each answer: the engine's own
//! store is what most requests are for.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use components::Reply;
use components::state::{Action, Condition, Error, Item, Operation, Store};
use engine::blocks::kv::{self, KEY_BYTES_MAX, OPERATIONS_MAX, Write};
use engine::blocks::projection::Move;
use engine::blocks::{Idempotency, Outgoing};
use engine::{Embedded, InMemory, Kind, Position};
use futures_util::future::join_all;

/// A store of an engine.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    name: &'a str,
    engine: Engine<'a>,
    once: Option<&'a Idempotency>,
}

/// The engine that keeps a store's items.
#[derive(Clone, Copy)]
pub enum Engine<'a> {
    /// In a folder.
    Disk(&'a Embedded),
    /// In memory.
    Memory(&'a InMemory),
}

/// Asks whichever engine keeps the items.
macro_rules! ask {
    ($kept:expr, $scope:expr, $kv:ident => $ask:expr) => {{
        let asked = async {
            match $kept.engine {
                Engine::Disk(engine) => {
                    let $kv = engine.kv($kept.name)?.scope($scope);
                    let $kv = match $kept.once {
                        Some(once) => $kv.once(once),
                        None => $kv,
                    };
                    $ask.await
                }
                Engine::Memory(engine) => {
                    let $kv = engine.kv($kept.name)?.scope($scope);
                    let $kv = match $kept.once {
                        Some(once) => $kv.once(once),
                        None => $kv,
                    };
                    $ask.await
                }
            }
        };
        asked.await.map_err(|error: engine::Error| refused(&error))
    }};
}

impl<'a> Kept<'a> {
    /// The store of this name.
    pub fn new(name: &'a str, engine: Engine<'a>) -> Kept<'a> {
        Kept { name, engine, once: None }
    }

    /// The same, with what is written done once under this.
    pub(super) fn once(mut self, once: &'a Idempotency) -> Kept<'a> {
        self.once = Some(once);
        self
    }

    pub(super) async fn get(self, scope: &str, key: &str) -> Result<Option<Item>, Error> {
        check_key(key)?;
        let found = ask!(self, scope, kv => kv.get(key.as_bytes()))?;
        Ok(found.map(item))
    }

    pub(super) async fn get_many(self, scope: &str, keys: &[String]) -> Result<Vec<Option<Item>>, Error> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let keys: Vec<Bytes> = keys.iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect();
        let found = ask!(self, scope, kv => kv.get_many(&keys))?;
        Ok(found.into_iter().map(|found| found.map(item)).collect())
    }

    pub(super) async fn write(self, scope: &str, operation: Operation) -> Result<(), Error> {
        let only_if = only_if(operation.condition);
        match operation.action {
            Action::Put { value, ttl } => {
                let write = Write { only_if, ttl };
                ask!(self, scope, kv => kv.put(operation.key, value, write)).map(drop)
            }
            Action::Delete => {
                let write = Write { only_if, ttl: None };
                ask!(self, scope, kv => kv.delete(operation.key, write)).map(drop)
            }
        }
    }

    /// In as many requests to the engine as are needed.
    pub(super) async fn write_many(
        self,
        scope: &str,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let mut outcomes = Vec::with_capacity(operations.len());
        let parts = parts(operations);
        if parts.len() > 1 && self.once.is_some() {
            let several = "this is more than one commit, and cannot be done once under an idempotency key: save less at a time";
            return Err(Error::Invalid(several.to_owned()));
        }
        // All are on their way at once, in their order.
        let asked = parts.into_iter().map(|part| {
            let part: Vec<kv::Operation> = part.into_iter().map(lower).collect();
            async move { ask!(self, scope, kv => kv.bulk(part)) }
        });
        for done in join_all(asked).await {
            outcomes.extend(done?.into_iter().map(|done| done.map(drop).map_err(|error| refused(&error))));
        }
        Ok(outcomes)
    }

    pub(super) async fn transact(
        self,
        scope: &str,
        operations: Vec<Operation>,
        along: &[Outgoing],
        moved: Option<&Move>,
    ) -> Result<(), Error> {
        if operations.is_empty() && moved.is_none() {
            return Ok(());
        }
        let operations: Vec<kv::Operation> = operations.into_iter().map(lower).collect();
        match moved {
            None => ask!(self, scope, kv => kv.along(along).transact(operations)).map(drop),
            Some(moved) => ask!(self, scope, kv => kv.along(along).project(moved, operations)),
        }
    }

    pub(super) async fn checkpoint(
        self,
        scope: &str,
        projection: &str,
        streams: &str,
    ) -> Result<Position, Error> {
        ask!(self, scope, kv => kv.checkpoint(projection, streams))
    }

    pub(super) async fn rewind(
        self,
        scope: &str,
        projection: &str,
        streams: &str,
        to: &Position,
    ) -> Result<(), Error> {
        ask!(self, scope, kv => kv.rewind(projection, streams, to))
    }
}

impl Store for Kept<'_> {
    fn get<'a>(&'a self, scope: &'a str, key: &'a str) -> Reply<'a, Result<Option<Item>, Error>> {
        Box::pin(Kept::get(*self, scope, key))
    }

    fn get_many<'a>(
        &'a self,
        scope: &'a str,
        keys: &'a [String],
    ) -> Reply<'a, Result<Vec<Option<Item>>, Error>> {
        Box::pin(Kept::get_many(*self, scope, keys))
    }

    fn write<'a>(&'a self, scope: &'a str, operation: Operation) -> Reply<'a, Result<(), Error>> {
        Box::pin(Kept::write(*self, scope, operation))
    }

    fn write_many<'a>(
        &'a self,
        scope: &'a str,
        operations: Vec<Operation>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(Kept::write_many(*self, scope, operations))
    }

    fn transact<'a>(&'a self, scope: &'a str, operations: Vec<Operation>) -> Reply<'a, Result<(), Error>> {
        Box::pin(Kept::transact(*self, scope, operations, &[], None))
    }
}

fn item(found: kv::Item) -> Item {
    let expires = found.expires.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis()));
    Item { value: found.value, etag: found.etag, expires }
}

fn lower(operation: Operation) -> kv::Operation {
    let only_if = only_if(operation.condition);
    match operation.action {
        Action::Put { value, ttl } => kv::Operation::put(operation.key, value, Write { only_if, ttl }),
        Action::Delete => kv::Operation::delete(operation.key, Write { only_if, ttl: None }),
    }
}

fn only_if(condition: Condition) -> Option<u64> {
    match condition {
        Condition::None => None,
        // No item has it, and to the engine it would mean that there is none.
        Condition::Etag(ABSENT) => Some(NEVER),
        Condition::Etag(etag) => Some(etag),
        Condition::Absent => Some(ABSENT),
    }
}

fn refused(error: &engine::Error) -> Error {
    let why = error.to_string();
    match error.kind() {
        Kind::Conflict => Error::Conflict(why),
        Kind::Reused => Error::Reused(why),
        Kind::Invalid | Kind::TooLarge => Error::Invalid(why),
        _ => Error::Unavailable(why),
    }
}

/// Reading finds nothing under a key that there cannot be, and who asks for one would not hear why.
fn check_key(key: &str) -> Result<(), Error> {
    match key.len() > KEY_BYTES_MAX {
        true => Err(Error::Invalid(format!(
            "the key of an item has {} bytes; {KEY_BYTES_MAX} are the most",
            key.len()
        ))),
        false => Ok(()),
    }
}

/// In parts of which each is one request to the engine.
fn parts(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut part_bytes = 0;
    for operation in operations {
        let value = if let Action::Put { value, .. } = &operation.action { value.len() } else { 0 };
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
/// How many bytes a request to the engine has at most, unless one operation has more: to read an item, all is read that was written
/// by the same request.
const PART_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(count: usize, bytes: usize) -> Vec<Operation> {
        (0..count).map(|n| Operation::put(n.to_string(), vec![b'x'; bytes])).collect()
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
