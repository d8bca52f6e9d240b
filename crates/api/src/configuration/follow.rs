//! Changes of configuration for who watches, also when the store is declared otherwise meanwhile.
//!
//! Then it is watched where it is kept from now on, and all that is there is told: nobody knows what of it is as it was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use components::configuration::{Change, Watch};
use tokio::sync::watch;

use super::Subscription;
use crate::api::Api;
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
    watch: Box<dyn Watch>,
    /// What is to be told before.
    first: VecDeque<Change>,
}

impl Follow {
    pub(super) fn new(
        instance: &Arc<Instance>,
        api: &Api,
        (store, keys, metadata): (&str, &[String], &BTreeMap<String, String>),
        watch: Box<dyn Watch>,
        subscription: Subscription,
    ) -> Follow {
        let following = Following {
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
        };
        Follow { following, subscription }
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
        let watch = api.watch_items(&self.store, &self.keys, &self.metadata).await?;
        let items = api.configuration(&self.store, &self.keys).await?;
        self.first = items.into_iter().map(|(key, item)| Change { key, item: Some(item) }).collect();
        self.watch = watch;
        self.declared = declared.cloned();
        Ok(())
    }
}
