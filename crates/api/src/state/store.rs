//! A store, and what can be done with it.

use bytes::Bytes;
use components::state::{self, Condition};
use engine::Position;
use engine::blocks::kv::OPERATIONS_MAX;
use engine::blocks::projection::Move;
use engine::blocks::{Idempotency, Outgoing};

use super::engine::Kept;
use super::errors::{self, Failing, check_key};
use super::{Concurrency, Delete, Operation, Options, Save};
use crate::error::Error;
use crate::resiliency::Asking;
use crate::{idempotency, time};

/// A store, for one request.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    pub(super) name: &'a str,
    pub(super) scope: &'a str,
    pub(super) keeper: Keeper<'a>,
    pub(super) asking: Asking<'a>,
}

/// Who keeps a store's items.
#[derive(Clone, Copy)]
pub(super) enum Keeper<'a> {
    Engine(Kept<'a>),
    Outside(&'a dyn state::Store),
}

/// An item that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its value.
    pub value: Bytes,
    /// Its ETag; none if somebody else has put it there.
    pub etag: Option<u64>,
    /// When it expires, if it does, in milliseconds since the epoch.
    pub expires_ms: Option<u64>,
}

/// Asks whoever keeps the items.
macro_rules! ask {
    ($store:expr, $keeper:ident => $ask:expr) => {
        match $store.keeper {
            Keeper::Engine($keeper) => $ask.await,
            Keeper::Outside($keeper) => $ask.await,
        }
    };
}

impl<'a> Store<'a> {
    /// The same, with what is written done once under this.
    ///
    /// # Errors
    ///
    /// If somebody else keeps the items, who does not remember what was asked.
    pub fn once(mut self, once: Option<&'a Idempotency>) -> Result<Store<'a>, Error> {
        match (once, self.keeper) {
            (None, _) => Ok(self),
            (Some(once), Keeper::Engine(kept)) => {
                self.keeper = Keeper::Engine(kept.once(once));
                Ok(self)
            }
            (Some(_), Keeper::Outside(_)) => Err(idempotency::refused(format!(
                "state store {} is kept outside, where nobody remembers what was asked under a key",
                self.name
            ))),
        }
    }

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
        let got = self.asking.run(async || ask!(self, keeper => keeper.get(self.scope, key))).await;
        let found = got.map_err(|error| Failing::Get(self.name, key).by(&error))?;
        Ok(found.map(Item::from))
    }

    /// Items, in the order of the keys.
    ///
    /// # Errors
    ///
    /// If there can be no such key, or they cannot be read.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Item>>, Error> {
        keys.iter().try_for_each(|key| check_key(self.name, key))?;
        let got = self.asking.run(async || ask!(self, keeper => keeper.get_many(self.scope, keys))).await;
        let found = got.map_err(|error| Failing::BulkGet(self.name).by(&error))?;
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
        let mut puts = items.into_iter().map(|item| put(item, failing)).collect::<Result<Vec<_>, _>>()?;
        if puts.len() == 1 {
            let put = puts.remove(0);
            return self.write(put).await.map_err(|error| failing.by(&error));
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
        let deletion = deletion(&item, failing)?;
        self.write(deletion).await.map_err(|error| failing.by(&error))
    }

    /// Deletes items, each by itself.
    ///
    /// # Errors
    ///
    /// Why the first of those was not deleted that were not.
    pub async fn delete_many(&self, items: Vec<Delete>) -> Result<(), Error> {
        items.iter().try_for_each(|item| check_key(self.name, &item.key))?;
        let deletes = items.iter().map(|item| deletion(item, Failing::Delete(&item.key)));
        let deletes = deletes.collect::<Result<Vec<_>, _>>()?;
        self.bulk(deletes).await.map_err(|(place, error)| Failing::Delete(&items[place].key).by(&error))
    }

    /// Does several things, all or none, and commits `along` with them, which must be for the engine that keeps the items, as
    /// that a projection has `moved`.
    ///
    /// # Errors
    ///
    /// Why nothing was done.
    pub(crate) async fn transact(
        &self,
        operations: Vec<Operation>,
        along: &[Outgoing],
        moved: Option<&Move>,
    ) -> Result<(), Error> {
        if operations.len() > OPERATIONS_MAX {
            return Err(errors::too_many(self.name, operations.len(), OPERATIONS_MAX));
        }
        operations.iter().try_for_each(|operation| check_key(self.name, operation.key()))?;
        let lower = |operation| match operation {
            Operation::Upsert(item) => put(item, Failing::Transaction),
            Operation::Delete(item) => deletion(&item, Failing::Transaction),
        };
        let operations = operations.into_iter().map(lower).collect::<Result<Vec<_>, _>>()?;
        let transact = async |operations| match self.keeper {
            Keeper::Engine(keeper) => keeper.transact(self.scope, operations, along, moved).await,
            Keeper::Outside(_) if moved.is_some() => Err(self.outside()),
            Keeper::Outside(keeper) => keeper.transact(self.scope, operations).await,
        };
        let done = match self.asking.guard {
            None => transact(operations).await,
            Some(_) => self.asking.run(|| transact(operations.clone())).await,
        };
        let failing = if moved.is_some() { Failing::Projection } else { Failing::Transaction };
        done.map_err(|error| failing.by(&error))
    }

    /// Where a projection that saves here is.
    pub(crate) async fn checkpoint(&self, projection: &str, streams: &str) -> Result<Position, state::Error> {
        match self.keeper {
            Keeper::Engine(kept) => kept.checkpoint(self.scope, projection, streams).await,
            Keeper::Outside(_) => Err(self.outside()),
        }
    }

    /// Sets a projection that saves here.
    pub(crate) async fn rewind(
        &self,
        projection: &str,
        streams: &str,
        to: &Position,
    ) -> Result<(), state::Error> {
        match self.keeper {
            Keeper::Engine(kept) => kept.rewind(self.scope, projection, streams, to).await,
            Keeper::Outside(_) => Err(self.outside()),
        }
    }

    fn outside(&self) -> state::Error {
        state::Error::Invalid(format!(
            "state store {} is kept outside, where nothing is committed together with a projection's checkpoint",
            self.name
        ))
    }

    async fn write(&self, operation: state::Operation) -> Result<(), state::Error> {
        let write = async |operation| ask!(self, keeper => keeper.write(self.scope, operation));
        match self.asking.guard {
            None => write(operation).await,
            Some(_) => self.asking.run(|| write(operation.clone())).await,
        }
    }

    /// Which operation was the first not to be done, and why.
    async fn bulk(&self, operations: Vec<state::Operation>) -> Result<(), (usize, state::Error)> {
        let write = async |operations| ask!(self, keeper => keeper.write_many(self.scope, operations));
        let outcomes = match self.asking.guard {
            None => write(operations).await,
            Some(_) => self.asking.run(|| write(operations.clone())).await,
        };
        let outcomes = outcomes.map_err(|error| (0, error))?;
        let failed = outcomes.into_iter().enumerate().find_map(|(at, outcome)| Some((at, outcome.err()?)));
        failed.map_or(Ok(()), Err)
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

impl From<state::Item> for Item {
    fn from(item: state::Item) -> Item {
        Item {
            value: item.value,
            etag: Some(item.etag).filter(|etag| *etag != 0),
            expires_ms: item.expires.map(time::millis),
        }
    }
}

fn put(item: Save, failing: Failing<'_>) -> Result<state::Operation, Error> {
    let condition = match (item.options.concurrency, expected(item.etag.as_deref(), item.options, failing)?) {
        (Concurrency::FirstWrite, Condition::None) => Condition::Absent,
        (_, expected) => expected,
    };
    let action = state::Action::Put { value: item.value, ttl: item.ttl };
    Ok(state::Operation { key: item.key, action, condition })
}

fn deletion(item: &Delete, failing: Failing<'_>) -> Result<state::Operation, Error> {
    let condition = expected(item.etag.as_deref(), item.options, failing)?;
    Ok(state::Operation::delete(item.key.clone()).only_if(condition))
}

/// What an ETag says of the item. Clients send an empty one for none.
fn expected(etag: Option<&str>, options: Options, failing: Failing<'_>) -> Result<Condition, Error> {
    let counts = options.concurrency != Concurrency::LastWrite;
    let Some(etag) = etag.filter(|etag| counts && !etag.is_empty()) else { return Ok(Condition::None) };
    etag.parse().map(Condition::Etag).map_err(|_| failing.invalid_etag(etag))
}
