//! Changes of configuration for who watches, also when the store is declared otherwise meanwhile.
//!
//! Then it is watched where it is kept from now on, and all that is there is told: nobody knows what of it is as it was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use components::configuration::{Change, Watch};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Subscription, kept};
use crate::api::Api;
use crate::carried::Watched;
use crate::config::{Adapter, Place};
use crate::error::Error;
use crate::instance::Instance;

/// A subscription and what it is told.
pub(crate) struct Follow {
    following: Following,
    subscription: Subscription,
}

/// What it is told.
pub(crate) struct Following {
    instance: Weak<Instance>,
    turns: watch::Receiver<u64>,
    /// The last that it was looked at.
    turn: Option<u64>,
    store: String,
    keys: Vec<String>,
    metadata: BTreeMap<String, String>,
    declared: Option<Place<Adapter<dyn components::configuration::Store>>>,
    watch: Watching,
    /// What is to be told before.
    first: VecDeque<Change>,
}

/// Who tells what happens.
pub(super) enum Watching {
    Kept(kept::Watched),
    Outside(Box<dyn Watch>),
}

impl Watching {
    async fn next(&mut self) -> Result<Change, components::configuration::Error> {
        match self {
            Watching::Kept(watch) => watch.next().await,
            Watching::Outside(watch) => watch.next().await,
        }
    }
}

/// Follows again what was followed by another process, as soon as the store can be asked. None: the instance is no more.
pub(super) async fn again(instance: &Weak<Instance>, watched: &Watched) -> Option<Following> {
    let mut wait = WAIT_MIN;
    loop {
        {
            let instance = instance.upgrade()?;
            let api = instance.api();
            if let Ok(following) = api.follow_again(&instance, watched).await {
                return Some(following);
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

impl Following {
    pub(super) fn new(
        instance: &Arc<Instance>,
        api: &Api,
        (store, keys, metadata): (&str, &[String], &BTreeMap<String, String>),
        watch: Watching,
    ) -> Following {
        Following {
            turns: instance.turns(),
            // Another may have come already.
            turn: None,
            store: store.to_owned(),
            keys: keys.to_vec(),
            metadata: metadata.clone(),
            declared: api.configurations.declared.get(store).cloned(),
            watch,
            first: VecDeque::new(),
            instance: Arc::downgrade(instance),
        }
    }

    /// Has this be told before all else.
    pub(super) fn tell_first(&mut self, changes: impl Iterator<Item = Change>) {
        self.first = changes.collect();
    }

    /// Up to where it was told, for whoever goes on from there.
    pub(super) fn position(&self) -> Option<String> {
        match &self.watch {
            Watching::Kept(watch) if self.first.is_empty() => watch.position(),
            _ => None,
        }
    }
}

impl Follow {
    pub(super) fn new(following: Following, subscription: Subscription) -> Follow {
        Follow { following, subscription }
    }

    pub(super) fn position(&self) -> Option<String> {
        self.following.position()
    }

    /// By what it is ended.
    pub(crate) fn id(&self) -> &str {
        self.subscription.id()
    }

    pub(crate) fn parts(self) -> (Following, Subscription) {
        (self.following, self.subscription)
    }
}

impl Following {
    /// What happened next. Waits until something has. If the future is dropped, nothing is passed over.
    ///
    /// # Errors
    ///
    /// If it cannot be watched any more.
    pub(crate) async fn next(&mut self) -> Result<Change, Error> {
        loop {
            let turn = Some(*self.turns.borrow_and_update());
            if self.turn != turn {
                self.renew().await?;
                self.turn = turn;
            }
            if let Some(change) = self.first.pop_front() {
                return Ok(change);
            }
            tokio::select! {
                Ok(()) = self.turns.changed() => {}
                change = self.watch.next() => return change.map_err(|error| super::silent(&self.store, &error)),
            }
        }
    }

    /// Watches where the items are kept now, if that is elsewhere.
    async fn renew(&mut self) -> Result<(), Error> {
        let Some(instance) = self.instance.upgrade() else { return Ok(()) };
        let api = instance.api();
        let declared = api.configurations.declared.get(&self.store);
        if declared == self.declared.as_ref() {
            return Ok(());
        }
        let watch = api.watch_items(&self.store, &self.keys, &self.metadata, None).await?;
        let items = api.configuration(&self.store, &self.keys).await?;
        self.first = items.into_iter().map(|(key, item)| Change { key, item: Some(item) }).collect();
        self.watch = watch;
        self.declared = declared.cloned();
        Ok(())
    }
}

/// How long until a store that cannot be asked is asked again; twice as long after each time.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(10);
