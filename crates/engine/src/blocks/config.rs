//! Configuration: items that an operator sets and services watch.

use std::collections::BTreeMap;

use bytes::Bytes;
use log::Log;
use machine::command::Answer;
use machine::config;
use machine::effect::Channel;
use machine::{Entry, Read, Refusal, Shard, Time};

use super::{Ask, dressing, unexpected};
use crate::engine::Engine;
use crate::error::Error;
use crate::feed::{Begin, Ends, Feed, Follow, Looked, Position};
use crate::store::Store;

/// A store of configuration items.
pub struct Configuration<'a, L, S> {
    ask: Ask<'a, L, S>,
    store: &'a str,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Bytes,
    /// Its revision, which is never zero.
    pub revision: u64,
    /// What the operator calls this version.
    pub version: String,
    /// What else they say of it.
    pub metadata: BTreeMap<String, String>,
}

/// What is done to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its key.
    pub key: String,
    /// The revision that it must have; zero if it must not be there. Without one, it may have any.
    pub only_if: Option<u64>,
    /// What it is set to; without, it is deleted.
    pub set: Option<Set>,
}

/// What an item is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// The value.
    pub value: Bytes,
    /// What the operator calls this version.
    pub version: String,
    /// What else they say of it.
    pub metadata: BTreeMap<String, String>,
}

/// A change of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its key.
    pub key: String,
    /// The revision that it has since; nothing if it is gone.
    pub revision: Option<u64>,
    /// When.
    pub time: Time,
    /// The item as it is when this is read: it may have been changed again meanwhile, which is a further change. Nothing if
    /// it is gone.
    pub item: Option<Item>,
}

impl Edit {
    /// Sets an item.
    pub fn set(key: impl Into<String>, value: impl Into<Bytes>) -> Edit {
        let set = Set { value: value.into(), ..Set::default() };
        Edit { key: key.into(), only_if: None, set: Some(set) }
    }

    /// Deletes an item.
    pub fn delete(key: impl Into<String>) -> Edit {
        Edit { key: key.into(), only_if: None, set: None }
    }

    /// Only if it has this revision, or is not there if that is zero.
    #[must_use]
    pub fn only_if(mut self, revision: u64) -> Edit {
        self.only_if = Some(revision);
        self
    }
}

dressing!(Configuration);

impl<L: Log, S: Store> Engine<L, S> {
    /// Up to `max` stores of configuration that have or had items, by name: those after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn configurations(&self, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        super::union(&self.inner, max, |state| config::stores(state, after, max))
    }
}

impl<'a, L: Log, S: Store> Configuration<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, store: &'a str) -> Configuration<'a, L, S> {
        Configuration { ask, store }
    }

    /// Sets and deletes items, all or none. Returns the revision of all that was set.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if one does not have the revision that it must.
    pub async fn write(&self, edits: Vec<Edit>) -> Result<u64, Error> {
        let mut bodies = Vec::new();
        let lower = |edit: Edit| {
            let what = match edit.set {
                Some(Set { value, version, metadata }) => {
                    bodies.push(value);
                    config::What::Set(config::Set { body: bodies.len() as u32 - 1, version, metadata })
                }
                None => config::What::Delete(()),
            };
            config::Edit { key: edit.key, revision: edit.only_if, what: Some(what) }
        };
        let edits = edits.into_iter().map(lower).collect();
        let mut entry = Entry::new(config::Write { store: self.store.to_owned(), edits });
        entry.bodies = bodies;
        match self.ask.propose(self.shard(), entry).await? {
            Some(Answer::Config(reply)) => Ok(reply.revision),
            odd => unexpected(odd),
        }
    }

    /// An item.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<Item>, Error> {
        let (found, values) = self.ask.read_with(self.shard(), |state, _| {
            let found = config::get(state, self.store, key);
            let stored = found.iter().map(|item| item.value.clone()).collect();
            Ok((found, stored))
        })?;
        Ok(found.zip(values.into_iter().next()).map(|(found, value)| item(key.to_owned(), found, value)))
    }

    /// Up to `max` items by key, those after the key `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn list(&self, after: &str, max: usize) -> Result<Vec<Item>, Error> {
        self.list_at(after, max).map(|(items, _)| items)
    }

    /// All items, and what happens to them from then on: no change is missed in between, and none is in both.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn watch(&self) -> Result<(Vec<Item>, Feed<L, S, Changes>), Error> {
        let (items, position) = self.list_at("", config::ITEMS_MAX as usize)?;
        let from = Begin::After(Position::of(self.shard(), position));
        Ok((items, self.changes(&from).await?))
    }

    /// Follows what happens to items.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn changes(&self, from: &Begin) -> Result<Feed<L, S, Changes>, Error> {
        let follow = Changes { store: self.store.to_owned() };
        Feed::open(self.ask.inner, follow, [self.shard()], Channel::config(self.store), from)
    }

    /// With the position of the last change in it.
    fn list_at(&self, after: &str, max: usize) -> Result<(Vec<Item>, u64), Error> {
        let ((found, position), values) = self.ask.read_with(self.shard(), |state, _| {
            let found = config::list(state, self.store, after, max);
            let stored = found.iter().map(|(_, item)| item.value.clone()).collect();
            Ok(((found, config::position(state, self.store)), stored))
        })?;
        let items = found.into_iter().zip(values);
        Ok((items.map(|((key, found), value)| item(key, found, value)).collect(), position))
    }

    fn shard(&self) -> Shard {
        config::shard(self.ask.inner.shards(), self.store)
    }
}

impl<L: Log, S: Store> Feed<L, S, Changes> {
    /// The store whose changes these are.
    pub fn store(&self) -> Configuration<'_, L, S> {
        let store = &self.followed().store;
        Configuration::new(Ask::new(self.inner(), ["configuration", store]), store)
    }
}

/// What happens to items: [`Configuration::changes`].
pub struct Changes {
    store: String,
}

impl Follow for Changes {
    type Found = Changed;

    fn look(&self, state: &dyn Read, _: Time, after: u64, max: usize) -> Result<Looked<Changed>, Refusal> {
        let changes = config::changes(state, &self.store, after, max)?;
        let upto = changes.changes.last().map_or(changes.last, |(position, _)| *position);
        let found = changes.changes.into_iter().map(|(_, change)| {
            let key = String::from_utf8_lossy(&change.key).into_owned();
            let is = config::get(state, &self.store, &key);
            let stored = is.iter().map(|item| item.value.clone()).collect();
            let revision = (change.etag > 0).then_some(change.etag);
            let item = is.map(|found| item(key.clone(), found, Bytes::new()));
            (Changed { key, revision, time: Time::from_millis(change.time_ms), item }, stored)
        });
        Ok(Looked { found: found.collect(), after: upto, end: upto == changes.last })
    }

    fn ends(&self, state: &dyn Read, _: Shard) -> Result<Ends, Refusal> {
        let now = config::position(state, &self.store);
        Ok(Ends { start: now.saturating_sub(config::CHANGES_KEPT), now })
    }

    fn fill(found: &mut Changed, payloads: Vec<Bytes>) {
        if let (Some(item), Some(value)) = (&mut found.item, payloads.into_iter().next()) {
            item.value = value;
        }
    }
}

fn item(key: String, found: config::Item, value: Bytes) -> Item {
    let config::Item { revision, version, metadata, .. } = found;
    Item { key, value, revision, version, metadata }
}
