//! Key-value state: items with ETags.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use log::Log;
use machine::changes::{Change, Keep};
use machine::command::Answer;
use machine::effect::Channel;
pub use machine::kv::OPERATIONS_MAX;
use machine::kv::{self, Placement};
pub use machine::limits::KEY_BYTES_MAX;
use machine::{Entry, Read, Refusal, Shard, Stored, Time};

use super::{Ask, Outgoing, Part, dressing, named, unexpected};
use crate::define::{self, Standing};
use crate::engine::Engine;
use crate::error::Error;
use crate::feed::{Begin, Ends, Feed, Follow, Looked};
use crate::store::Store;

/// A store.
pub struct Kv<'a, L, S> {
    pub(super) ask: Ask<'a, L, S>,
    store: &'a str,
    scope: &'a str,
    placement: Placement,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// Its ETag, which is never zero.
    pub etag: u64,
    /// When it expires, if it does.
    pub expires: Option<Time>,
}

/// Under which condition something is written, and for how long. As it is by default: whatever is there, and for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// The ETag that the item must have; zero if it must not be there.
    pub only_if: Option<u64>,
    /// For how long the item lives.
    pub ttl: Option<Duration>,
}

/// What is done to one of several items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The item's key.
    pub key: Bytes,
    /// What is done.
    pub action: Action,
    /// Under which condition.
    pub write: Write,
}

/// What can be done to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is put.
    Put(Bytes),
    /// It is deleted.
    Delete,
    /// Nothing, but that its ETag is looked at.
    Check,
}

/// An item without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its key.
    pub key: Bytes,
    /// How many bytes its value has.
    pub bytes: usize,
    /// Its ETag, which is never zero.
    pub etag: u64,
    /// When it expires, if it does.
    pub expires: Option<Time>,
}

/// A page of items by ascending key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T = Item> {
    /// The items.
    pub items: Vec<T>,
    /// What the next page begins after; nothing if this is the last.
    pub next: Option<Bytes>,
}

/// What is set for a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether items lie in all shards by their keys, rather than all of a scope in one. More writers get on at a time
    /// then; a transaction takes only what happens to be in one shard. Settled once, before there are items.
    pub spread: bool,
    /// For how long changes are kept, if they are.
    pub changes: Option<Keep>,
}

/// A change of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// In which scope.
    pub scope: String,
    /// Of which item.
    pub key: Bytes,
    /// Its ETag since; nothing if it is gone.
    pub etag: Option<u64>,
    /// When.
    pub time: Time,
    /// What was put, if the store keeps that.
    pub value: Option<Bytes>,
}

/// How many items there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// So many were counted.
    pub items: u64,
    /// Whether these are all.
    pub whole: bool,
}

/// What has become of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Its changes, the latest first.
    pub changes: Vec<Changed>,
    /// Whether these are all that are kept.
    pub whole: bool,
}

impl Write {
    /// Only if the item has this ETag.
    pub fn if_etag(etag: u64) -> Write {
        Write { only_if: Some(etag), ttl: None }
    }

    /// Only if there is no such item.
    pub fn if_absent() -> Write {
        Write::if_etag(0)
    }

    /// For so long.
    #[must_use]
    pub fn for_(mut self, ttl: Duration) -> Write {
        self.ttl = Some(ttl);
        self
    }
}

impl Operation {
    /// Puts an item.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>, write: Write) -> Operation {
        Operation { key: key.into(), action: Action::Put(value.into()), write }
    }

    /// Deletes an item.
    pub fn delete(key: impl Into<Bytes>, write: Write) -> Operation {
        Operation { key: key.into(), action: Action::Delete, write }
    }

    /// Looks whether an item has this ETag, or is not there if that is zero.
    pub fn check(key: impl Into<Bytes>, etag: u64) -> Operation {
        Operation { key: key.into(), action: Action::Check, write: Write::if_etag(etag) }
    }

    fn lower(self, bodies: &mut Vec<Bytes>) -> kv::Operation {
        let action = match self.action {
            Action::Put(value) => {
                bodies.push(value);
                let body = bodies.len() as u32 - 1;
                kv::Action::Put(kv::Value { body, ttl_ms: self.write.ttl_ms() })
            }
            Action::Delete => kv::Action::Delete(()),
            Action::Check => kv::Action::Check(()),
        };
        kv::Operation { key: self.key, etag: self.write.only_if, action: Some(action) }
    }
}

impl Write {
    fn ttl_ms(self) -> u64 {
        // Gone at once is not for ever.
        self.ttl.map_or(0, super::some_millis)
    }
}

dressing!(Kv);

impl<L: Log, S: Store> Engine<L, S> {
    /// Up to `max` stores that have items, be it ones that have expired, by name: those after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn stores(&self, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        super::union(&self.inner, max, |state| kv::stores(state, after, max))
    }
}

impl<'a, L: Log, S: Store> Kv<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, store: &'a str) -> Result<Kv<'a, L, S>, Error> {
        let look = || {
            named("store", store)?;
            let home = kv::home(ask.inner.shards(), store);
            ask.read(home, |state, _| Some(placement(kv::definition(state, store).spread)))
        };
        let known = ask.inner.shapes().stores.get(store, look)?;
        Ok(Kv { ask, store, scope: "", placement: known.unwrap_or_default() })
    }

    /// The items of `scope`, as a rule a service: those of others are others.
    #[must_use]
    pub fn scope(self, scope: &'a str) -> Kv<'a, L, S> {
        Kv { scope, ..self }
    }

    /// Sets what holds for the store, in all shards. Nothing happens if it holds already; what was begun and not
    /// finished is.
    ///
    /// # Errors
    ///
    /// If how its items are placed is settled otherwise.
    pub async fn define(&self, settings: Settings) -> Result<(), Error> {
        let Settings { spread, changes } = settings;
        let define = kv::Define { store: self.store.to_owned(), changes, spread };
        let look = |state: &dyn Read| {
            let is = kv::definition(state, self.store);
            match is == define {
                true => Standing::Same,
                false if is.spread && !spread => Standing::Contrary("its items are placed by key".to_owned()),
                false if spread && !is.spread && kv::has_items(state, self.store) => {
                    Standing::Contrary("its items are placed by scope, for it has some".to_owned())
                }
                false => Standing::Other,
            }
        };
        let (inner, home) = (self.ask.inner, kv::home(self.ask.inner.shards(), self.store));
        let what = format!("the store {:?}", self.store);
        let forget = self.ask.forget(self.store, |shapes, store| shapes.stores.forget(store));
        let channel = Channel::kv(self.store);
        define::everywhere(inner, &what, home, channel, define.clone().into(), look, forget).await
    }

    /// What holds for the store.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let home = kv::home(self.ask.inner.shards(), self.store);
        let kv::Define { changes, spread, .. } =
            self.ask.read(home, |state, _| kv::definition(state, self.store))?;
        Ok(Settings { spread, changes })
    }

    /// An item.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Item>, Error> {
        let shard = self.shard(key);
        loop {
            let found =
                self.ask.read(shard, |state, now| kv::get(state, self.store, self.scope, key, now))?;
            let Some(found) = found else { return Ok(None) };
            if let Some(value) = self.ask.inner.payload(shard, &found.value)? {
                return Ok(Some(item(Bytes::copy_from_slice(key), &found, value)));
            }
        }
    }

    /// Items, in the order of the keys that are named. Those of a shard are as they were at one moment.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn get_many(&self, keys: &[Bytes]) -> Result<Vec<Option<Item>>, Error> {
        let mut places: BTreeMap<Shard, Vec<usize>> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            places.entry(self.shard(key)).or_default().push(place);
        }
        let mut items = vec![None; keys.len()];
        for (shard, places) in places {
            let (found, values) = self.ask.read_with(shard, |state, now| {
                let get = |place: &usize| {
                    Some((*place, kv::get(state, self.store, self.scope, &keys[*place], now)?))
                };
                let found: Vec<(usize, kv::Item)> = places.iter().filter_map(get).collect();
                let stored = found.iter().map(|(_, item)| item.value.clone()).collect();
                Ok((found, stored))
            })?;
            for ((place, found), value) in found.into_iter().zip(values) {
                items[place] = Some(item(keys[place].clone(), &found, value));
            }
        }
        Ok(items)
    }

    /// Puts an item in place of what was there. Returns its ETag.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if the condition does not hold.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        write: Write,
    ) -> Result<u64, Error> {
        let put = self.command(key.into(), write);
        let entry = |put: kv::Put| (self.shard(&put.key), Entry::new(put).with_body(value));
        let (shard, entry) = entry(put);
        self.ask.propose(shard, entry).await.map(|answer| reply(answer).etag)
    }

    /// Deletes an item. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if the condition does not hold.
    pub async fn delete(&self, key: impl Into<Bytes>, write: Write) -> Result<bool, Error> {
        let key = key.into();
        let shard = self.shard(&key);
        let (store, scope) = (self.store.to_owned(), self.scope.to_owned());
        let delete = kv::Delete { store, scope, key, etag: write.only_if };
        self.ask.propose(shard, Entry::new(delete)).await.map(|answer| reply(answer).existed)
    }

    /// Does several things, all or none. Returns the ETag of all that is put.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if a condition does not hold, [`Invalid`](crate::Kind::Invalid) if the store
    /// is spread and the items are not all in one shard.
    pub async fn transact(&self, operations: Vec<Operation>) -> Result<u64, Error> {
        let keys = || operations.iter().map(|operation| &operation.key[..]);
        let shards = self.ask.inner.shards();
        let shard = match self.placement.shard_of_all(shards, self.store, self.scope, keys()) {
            Some(shard) => shard,
            None if operations.is_empty() => self.shard(b""),
            None => {
                return Err(Error::invalid(format!(
                    "the store {:?} is spread by key, and these items are in several shards: a transaction is of one",
                    self.store
                )));
            }
        };
        let mut bodies = Vec::new();
        let mut entry = Entry::new(self.lowered(operations, &mut bodies));
        entry.bodies = bodies;
        self.ask.propose(shard, entry).await.map(|answer| reply(answer).etag)
    }

    pub(super) fn lowered(&self, operations: Vec<Operation>, bodies: &mut Vec<Bytes>) -> kv::Transact {
        let operations = operations.into_iter().map(|operation| operation.lower(bodies)).collect();
        kv::Transact { store: self.store.to_owned(), scope: self.scope.to_owned(), operations }
    }

    /// The shard of all items of the scope.
    pub(super) fn whole(&self) -> Result<Shard, Error> {
        match self.placement {
            Placement::Scope => Ok(self.shard(b"")),
            Placement::Key => Err(Error::invalid(format!(
                "the store {:?} is spread by key: a projection writes to one whose items of a scope lie together",
                self.store
            ))),
        }
    }

    /// Does several things, each by itself. Returns for each the ETag that the item has since, if it was put, or why it
    /// was not done.
    ///
    /// # Errors
    ///
    /// If what goes along would need one commit, and there would be several.
    pub async fn bulk(&self, operations: Vec<Operation>) -> Result<Vec<Result<u64, Error>>, Error> {
        let mut outcomes: Vec<Result<u64, Error>> = operations.iter().map(|_| Ok(0)).collect();
        let mut parts: BTreeMap<Shard, Part<kv::Operation>> = BTreeMap::new();
        for (place, operation) in operations.into_iter().enumerate() {
            let part = parts.entry(self.shard(&operation.key)).or_default();
            part.places.push(place);
            part.commands.push(operation.lower(&mut part.bodies));
        }
        let count = parts.len();
        for (part, (shard, Part { places, commands, bodies })) in parts.into_iter().enumerate() {
            let (store, scope) = (self.store.to_owned(), self.scope.to_owned());
            let mut entry = Entry::new(kv::Bulk { store, scope, operations: commands });
            entry.bodies = bodies;
            match self.ask.propose_part(part, count, shard, entry).await {
                Ok(answer) => {
                    let reply = reply(answer);
                    places.iter().for_each(|place| outcomes[*place] = Ok(reply.etag));
                    for failed in reply.failed {
                        outcomes[places[failed.index as usize]] = Err(failed.refusal.into());
                    }
                }
                Err(error) if count == 1 => return Err(error),
                Err(error) => places.iter().for_each(|place| outcomes[*place] = Err(error.clone())),
            }
        }
        Ok(outcomes)
    }

    /// A page of the scope's items.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn list(&self, page: &kv::Page) -> Result<Listing, Error> {
        match self.placement {
            Placement::Scope => self.list_in(self.shard(b""), page),
            Placement::Key => self.merged(page, |shard| self.list_in(shard, page)),
        }
    }

    /// As [`Kv::list`], without the values.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn heads(&self, page: &kv::Page) -> Result<Listing<Head>, Error> {
        match self.placement {
            Placement::Scope => self.heads_in(self.shard(b""), page),
            Placement::Key => self.merged(page, |shard| self.heads_in(shard, page)),
        }
    }

    /// Up to `max` scopes that have items in the store, be it ones that have expired, by name: those after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn scopes(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        super::union(self.ask.inner, max, |state| kv::scopes(state, self.store, prefix, after, max))
    }

    /// How many items the scope has, of which no more than `max` are looked at in a shard.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn count(&self, max: usize) -> Result<Counted, Error> {
        let count =
            |shard| self.ask.read(shard, |state, now| kv::count(state, self.store, self.scope, max, now));
        let counts = match self.placement {
            Placement::Scope => vec![count(self.shard(b""))?],
            Placement::Key => self.ask.inner.shards().all().map(count).collect::<Result<Vec<_>, Error>>()?,
        };
        let items = counts.iter().map(|(items, _)| items).sum();
        Ok(Counted { items, whole: counts.iter().all(|(_, whole)| *whole) })
    }

    /// The last changes of an item, `max` of them at most, with what was put where the store keeps that; nothing if it keeps no
    /// changes.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn history(&self, key: &[u8], max: usize) -> Result<Option<History>, Error> {
        if self.settings().await?.changes.is_none() {
            return Ok(None);
        }
        let ((found, whole), values) = self.ask.read_with(self.shard(key), |state, _| {
            let (changes, whole) = kv::history(state, self.store, self.scope, key, max)?;
            let stored = changes.iter().filter_map(|change| change.value.clone()).collect();
            Ok(((changes, whole), stored))
        })?;
        let mut values = values.into_iter();
        let changes = found.into_iter().map(|change| {
            let (mut changed, stored) = found_change(change);
            changed.value = (!stored.is_empty()).then(|| values.next()).flatten();
            changed
        });
        Ok(Some(History { changes: changes.collect(), whole }))
    }

    /// Follows what changes in the store, of all scopes. The store must keep changes: [`Settings::changes`].
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn changes(&self, from: &Begin) -> Result<Feed<L, S, Changes>, Error> {
        let inner = self.ask.inner;
        let follow = Changes { store: self.store.to_owned() };
        Feed::open(inner, follow, inner.shards().all(), Channel::kv(self.store), from)
    }

    /// A put, to be committed along with something else or to be done by a job.
    pub fn putting(&self, key: impl Into<Bytes>, value: impl Into<Bytes>, write: Write) -> Outgoing {
        let put = self.command(key.into(), write);
        Outgoing { target: self.shard(&put.key), command: put.into(), bodies: vec![value.into()] }
    }

    fn command(&self, key: Bytes, write: Write) -> kv::Put {
        kv::Put {
            store: self.store.to_owned(),
            key,
            value: 0,
            etag: write.only_if,
            scope: self.scope.to_owned(),
            ttl_ms: write.ttl_ms(),
        }
    }

    fn shard(&self, key: &[u8]) -> Shard {
        self.placement.shard(self.ask.inner.shards(), self.store, self.scope, key)
    }

    fn merged<T: Keyed>(
        &self,
        page: &kv::Page,
        list: impl Fn(Shard) -> Result<Listing<T>, Error>,
    ) -> Result<Listing<T>, Error> {
        let pages = self.ask.inner.shards().all().map(list).collect::<Result<Vec<_>, Error>>()?;
        Ok(merged(pages, page.max.min(kv::PAGE_ITEMS_MAX)))
    }

    fn heads_in(&self, shard: Shard, page: &kv::Page) -> Result<Listing<Head>, Error> {
        let listing =
            self.ask.read(shard, |state, now| kv::list(state, self.store, self.scope, page, now))?;
        let head = |(key, found): (Bytes, kv::Item)| Head {
            key,
            bytes: found.value.len(),
            etag: found.etag,
            expires: found.expires(),
        };
        Ok(Listing { items: listing.items.into_iter().map(head).collect(), next: listing.next })
    }

    fn list_in(&self, shard: Shard, page: &kv::Page) -> Result<Listing, Error> {
        let (listing, values) = self.ask.read_with(shard, |state, now| {
            let listing = kv::list(state, self.store, self.scope, page, now);
            let stored = listing.items.iter().map(|(_, item)| item.value.clone()).collect();
            Ok((listing, stored))
        })?;
        let items = listing.items.into_iter().zip(values);
        let items = items.map(|((key, found), value)| item(key, &found, value)).collect();
        Ok(Listing { items, next: listing.next })
    }
}

/// What has a place in a listing.
trait Keyed {
    fn key(&self) -> &Bytes;
}

impl Keyed for Item {
    fn key(&self) -> &Bytes {
        &self.key
    }
}

impl Keyed for Head {
    fn key(&self) -> &Bytes {
        &self.key
    }
}

/// The first items of all pages, as one: nothing behind where one of them ended is known to be whole.
fn merged<T: Keyed>(pages: Vec<Listing<T>>, max: usize) -> Listing<T> {
    let end = pages.iter().filter_map(|page| page.next.clone()).min();
    let mut items: Vec<T> = pages.into_iter().flat_map(|page| page.items).collect();
    items.sort_unstable_by(|one, other| one.key().cmp(other.key()));
    if let Some(end) = &end {
        items.retain(|item| item.key() <= end);
    }
    if items.len() > max {
        items.truncate(max);
        return Listing { next: items.last().map(|item| item.key().clone()), items };
    }
    Listing { items, next: end }
}

/// What happens in a store: [`Kv::changes`].
pub struct Changes {
    store: String,
}

impl Follow for Changes {
    type Found = Changed;

    fn look(&self, state: &dyn Read, _: Time, after: u64, max: usize) -> Result<Looked<Changed>, Refusal> {
        let changes = kv::changes(state, &self.store, after, max)?;
        let upto = changes.changes.last().map_or(changes.last, |(position, _)| *position);
        let found = changes.changes.into_iter().map(|(_, change)| found_change(change)).collect();
        Ok(Looked { found, after: upto, end: upto == changes.last })
    }

    fn ends(&self, state: &dyn Read, _: Shard) -> Result<Ends, Refusal> {
        let span = kv::span(state, &self.store)?;
        Ok(Ends { start: (span.first - 1).max(span.gap), now: span.last })
    }

    fn fill(found: &mut Changed, payloads: Vec<Bytes>) {
        found.value = payloads.into_iter().next();
    }
}

fn found_change(change: Change) -> (Changed, Vec<Stored>) {
    let Change { scope, key, etag, time_ms, value } = change;
    let etag = (etag > 0).then_some(etag);
    let changed = Changed { scope, key, etag, time: Time::from_millis(time_ms), value: None };
    (changed, value.into_iter().collect())
}

fn placement(spread: bool) -> Placement {
    if spread { Placement::Key } else { Placement::Scope }
}

fn item(key: Bytes, found: &kv::Item, value: Bytes) -> Item {
    Item { key, value, etag: found.etag, expires: found.expires() }
}

fn reply(answer: Option<Answer>) -> kv::Reply {
    match answer {
        Some(Answer::Kv(reply)) => reply,
        odd => unexpected(odd),
    }
}
