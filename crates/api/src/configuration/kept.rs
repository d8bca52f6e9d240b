//! The engine's configuration behind the trait that stores outside implement too, so that one suite holds for all.
//!
//! An item's version is what the operator calls it, or else its revision, which is told in the metadata where it is not the version:
//! who edits an item names the revision that it has read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use components::Reply;
use components::configuration::{Change, Error, Item, Store, Watch};
use engine::blocks::Idempotency;
use engine::blocks::config;
use engine::{Begin, EmbeddedChanges, InMemoryChanges, Kind};

use crate::state::Engine;

/// A store of configuration of an engine.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    name: &'a str,
    engine: Engine<'a>,
}

/// Asks whichever engine keeps the items.
macro_rules! ask {
    ($engine:expr, $name:expr, $store:ident => $ask:expr) => {
        match $engine {
            Engine::Disk(engine) => {
                let $store = engine.configuration($name);
                $ask
            }
            Engine::Memory(engine) => {
                let $store = engine.configuration($name);
                $ask
            }
        }
    };
}

impl<'a> Kept<'a> {
    /// The store of this name.
    pub fn new(name: &'a str, engine: Engine<'a>) -> Kept<'a> {
        Kept { name, engine }
    }

    /// Sets and takes away items, all or none, and once under `once`. Returns their revision.
    ///
    /// # Errors
    ///
    /// If one does not have the revision that it must.
    pub async fn write(
        self,
        edits: Vec<config::Edit>,
        once: Option<&Idempotency>,
    ) -> Result<u64, engine::Error> {
        ask!(self.engine, self.name, store => match once {
            Some(once) => store.once(once).write(edits).await,
            None => store.write(edits).await,
        })
    }

    /// Whether it is as it was after the end of the process.
    pub(crate) fn is_durable(self) -> bool {
        matches!(self.engine, Engine::Disk(_))
    }

    /// What happens to these items, all if none is named, from somewhere on.
    pub(crate) async fn follow(self, keys: &[String], from: &Begin) -> Result<Watched, Error> {
        let feed = match self.engine {
            Engine::Disk(engine) => engine.configuration(self.name).changes(from).await.map(Changes::Disk),
            Engine::Memory(engine) => {
                engine.configuration(self.name).changes(from).await.map(Changes::Memory)
            }
        };
        let feed = feed.map_err(|error| refused(&error))?;
        Ok(Watched { feed, keys: keys.iter().cloned().collect(), anew: None })
    }

    async fn item(self, key: &str) -> Result<Option<Item>, engine::Error> {
        let found = ask!(self.engine, self.name, store => store.get(key).await)?;
        Ok(found.map(item))
    }

    /// All items as they were at one moment, if they are not changed faster than they can be read.
    async fn all(self) -> Result<BTreeMap<String, Item>, Error> {
        for _ in 0..READS_MAX {
            let (before, all, after) = (self.position().await?, self.list().await?, self.position().await?);
            if before == after {
                return Ok(all);
            }
        }
        self.list().await
    }

    async fn list(self) -> Result<BTreeMap<String, Item>, Error> {
        let (mut all, mut bytes, mut last) = (BTreeMap::new(), 0, String::new());
        loop {
            let page = ask!(self.engine, self.name, store => store.list(&last, PAGE).await);
            let page = page.map_err(|error| refused(&error))?;
            let Some(end) = page.last() else { return Ok(all) };
            last.clone_from(&end.key);
            for found in page {
                bytes += found.value.len();
                all.insert(found.key.clone(), item(found));
            }
            if bytes > ANSWER_BYTES_MAX {
                let many =
                    format!("the items have more than {ANSWER_BYTES_MAX} bytes: ask for them by their keys");
                return Err(Error::Invalid(many));
            }
        }
    }

    async fn position(self) -> Result<engine::Position, Error> {
        let at = ask!(self.engine, self.name, store => store.changes(&Begin::Now).await.map(|feed| feed.position()));
        at.map_err(|error| refused(&error))
    }
}

impl Store for Kept<'_> {
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<BTreeMap<String, Item>, Error>> {
        Box::pin(async move {
            if keys.is_empty() {
                return self.all().await;
            }
            let mut found = BTreeMap::new();
            for key in keys {
                if let Some(item) = self.item(key).await.map_err(|error| refused(&error))? {
                    found.insert(key.clone(), item);
                }
            }
            Ok(found)
        })
    }

    fn watch<'a>(
        &'a self,
        keys: &'a [String],
        _: &'a BTreeMap<String, String>,
    ) -> Reply<'a, Result<Box<dyn Watch>, Error>> {
        Box::pin(async move {
            let watch: Box<dyn Watch> = Box::new(self.follow(keys, &Begin::Now).await?);
            Ok(watch)
        })
    }
}

/// What happens to items. It has a position and no changes, however far behind it is.
pub(crate) struct Watched {
    feed: Changes,
    /// What is watched; all if there is none.
    keys: BTreeSet<String>,
    /// After which key all is told of anew, for changes were missed.
    anew: Option<String>,
}

/// Those of either engine.
enum Changes {
    Disk(EmbeddedChanges),
    Memory(InMemoryChanges),
}

/// Asks whichever it is.
macro_rules! of {
    ($changes:expr, $feed:ident => $ask:expr) => {
        match $changes {
            Changes::Disk($feed) => $ask,
            Changes::Memory($feed) => $ask,
        }
    };
}

impl Watched {
    /// Up to where it was told; none where that means nothing to another process, or while all is told of anew.
    pub(crate) fn position(&self) -> Option<String> {
        match &self.feed {
            Changes::Disk(feed) if self.anew.is_none() => Some(feed.position().to_string()),
            _ => None,
        }
    }

    async fn change(&mut self) -> Result<Change, engine::Error> {
        loop {
            if let Some(after) = self.anew.take()
                && let Some(change) = self.told_anew(&after).await?
            {
                self.anew = Some(change.key.clone());
                return Ok(change);
            }
            let changed = match of!(&mut self.feed, feed => feed.next(1).await) {
                Ok(mut changed) => changed.pop(),
                Err(error) if error.kind() == Kind::Gone => {
                    of!(&mut self.feed, feed => feed.skip())?;
                    self.anew = Some(String::new());
                    None
                }
                Err(error) => return Err(error),
            };
            if let Some(changed) = changed.filter(|changed| self.is_watched(&changed.key)) {
                return Ok(Change { key: changed.key, item: changed.item.map(item) });
            }
        }
    }

    fn is_watched(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.contains(key)
    }

    /// What is watched next after this key, as it is now. Of all items only those can be told of that are there.
    async fn told_anew(&self, after: &str) -> Result<Option<Change>, engine::Error> {
        if self.keys.is_empty() {
            let found = of!(&self.feed, feed => feed.store().list(after, 1).await)?;
            return Ok(found
                .into_iter()
                .next()
                .map(|found| Change { key: found.key.clone(), item: Some(item(found)) }));
        }
        let from = (Bound::Excluded(after), Bound::Unbounded);
        let Some(key) = self.keys.range::<str, _>(from).next() else { return Ok(None) };
        let found = of!(&self.feed, feed => feed.store().get(key).await)?;
        Ok(Some(Change { key: key.clone(), item: found.map(item) }))
    }
}

impl Watch for Watched {
    fn next(&mut self) -> Reply<'_, Result<Change, Error>> {
        Box::pin(async move { self.change().await.map_err(|error| refused(&error)) })
    }
}

fn item(found: config::Item) -> Item {
    let value = String::from_utf8(found.value.to_vec());
    let value = value.unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned());
    let (mut metadata, mut version) = (found.metadata, found.version);
    match version.is_empty() {
        true => version = found.revision.to_string(),
        false => drop(metadata.insert(REVISION.to_owned(), found.revision.to_string())),
    }
    Item { value, version, metadata }
}

fn refused(error: &engine::Error) -> Error {
    match error.kind() {
        Kind::Invalid | Kind::TooLarge => Error::Invalid(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}

/// What an item's metadata tells its revision by.
const REVISION: &str = "revision";
/// How often all is read until nothing has been changed meanwhile.
const READS_MAX: usize = 3;
/// How many items are read at a time.
const PAGE: usize = 16;
/// Most bytes of an answer with all items.
const ANSWER_BYTES_MAX: usize = 64 << 20;
