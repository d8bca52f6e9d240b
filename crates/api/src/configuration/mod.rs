//! Configuration: items that an operator sets and programs read and watch, in stores as they are declared.
//!
//! Whoever watches has a subscription with an id. Over gRPC its changes are a stream; over HTTP they are brought to the
//! application. Either holds a position and no changes, so nothing is kept for who is slow.

mod follow;
mod kept;
mod push;
mod subscriptions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use components::configuration::{self, Change, Item};
use engine::blocks::Idempotency;
use engine::blocks::config::Edit;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tonic::Code;

use crate::api::Api;
use crate::carried::{Changed, Watched};
use crate::config::{Adapter, Block, Config, Place};
use crate::error::Error;
use crate::instance::Instance;
use crate::refused::{Codes, codes, refused};
use crate::resiliency::Family;
use crate::state::Engine;

pub(crate) use follow::Follow;
use follow::{Following, Watching};
pub use kept::Kept;
pub(crate) use subscriptions::{Subscription, Subscriptions};

/// The stores of configuration that are declared, by name, and who watches.
pub(crate) struct Configurations {
    declared: HashMap<String, Place<Adapter<dyn configuration::Store>>>,
    pub(crate) subscriptions: Arc<Subscriptions>,
}

impl Configurations {
    pub(crate) fn new(config: &Config, changed: &Arc<Changed>) -> Configurations {
        let declared = config.components.iter().filter_map(|component| {
            let Block::Configuration { place } = &component.block else { return None };
            Some((component.name.clone(), place.clone()))
        });
        Configurations { declared: declared.collect(), subscriptions: Arc::new(Subscriptions::new(changed)) }
    }

    /// The same with those who watch already.
    pub(crate) fn after(self, before: &Configurations) -> Configurations {
        Configurations { subscriptions: Arc::clone(&before.subscriptions), ..self }
    }
}

/// Who keeps the items of a store.
enum Keeper<'a> {
    Engine(Kept<'a>),
    Outside(&'a dyn configuration::Store),
}

impl Keeper<'_> {
    fn store(&self) -> &dyn configuration::Store {
        match self {
            Keeper::Engine(kept) => kept,
            Keeper::Outside(store) => *store,
        }
    }
}

impl Api {
    /// The items of these keys that are there; all if no key is named.
    ///
    /// # Errors
    ///
    /// If there is no such store, or it does not answer.
    pub async fn configuration(&self, store: &str, keys: &[String]) -> Result<BTreeMap<String, Item>, Error> {
        let failed = |why: &dyn std::fmt::Display| {
            let message = format!("failed to get {} from Configuration store {store}: {why}", listed(keys));
            internal("ERR_CONFIGURATION_GET", Code::Internal, message)
        };
        let keeper = self.configuration_keeper(store)?;
        check_keys(keys).map_err(|why| failed(&why))?;
        let asking = self.guards.asking(Family::Configuration, store);
        let store = keeper.store();
        asking.run(|| store.get(keys)).await.map_err(|error| failed(&error))
    }

    /// Sets items and takes some away, all or none, and once under `once`. Returns their revision.
    ///
    /// # Errors
    ///
    /// If one does not have the revision that it must, something is malformed, or the store is not Colony's own.
    pub async fn write_configuration(
        &self,
        store: &str,
        edits: Vec<Edit>,
        once: Option<&Idempotency>,
    ) -> Result<u64, Error> {
        match self.configuration_keeper(store)? {
            Keeper::Engine(_) if edits.is_empty() => {
                let message = "there are no items to be written";
                let status = StatusCode::BAD_REQUEST;
                Err(Error::new("ERR_CONFIGURATION_INVALID", status, Code::InvalidArgument, message))
            }
            Keeper::Engine(kept) => kept
                .write(edits, once)
                .await
                .map_err(|error| refused(CODES, ("configuration store", store), "writing to", &error)),
            Keeper::Outside(_) => {
                let message =
                    format!("the configuration store {store} is written where it is kept, not here");
                let status = StatusCode::BAD_REQUEST;
                Err(Error::new("ERR_CONFIGURATION_READ_ONLY", status, Code::InvalidArgument, message))
            }
        }
    }

    /// What happens to these items from now on; to all if no key is named. Some stores want to know more, in `metadata`.
    ///
    /// # Errors
    ///
    /// If there is no such store, it does not answer, or too many are watched.
    pub(crate) async fn watch_configuration(
        &self,
        store: &str,
        keys: &[String],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Follow, Error> {
        let watching = self.watch_items(store, keys, metadata, None).await?;
        let failed =
            |why: &str| internal("ERR_CONFIGURATION_SUBSCRIBE", Code::InvalidArgument, why.to_owned());
        let subscription = self.configurations.subscriptions.open(store, self.ids.next().as_str());
        let subscription = subscription.ok_or_else(|| {
            let listed = listed(keys);
            failed(&format!(
                "failed to subscribe {listed} from Configuration store {store}: {}",
                subscriptions::TOO_MANY
            ))
        })?;
        let instance = self.instance().ok_or_else(|| failed("the sidecar ends"))?;
        Ok(Follow::new(Following::new(&instance, self, (store, keys, metadata), watching), subscription))
    }

    async fn watch_items(
        &self,
        store: &str,
        keys: &[String],
        metadata: &BTreeMap<String, String>,
        after: Option<engine::Position>,
    ) -> Result<Watching, Error> {
        let failed = |why: &dyn std::fmt::Display| {
            let message =
                format!("failed to subscribe {} from Configuration store {store}: {why}", listed(keys));
            internal("ERR_CONFIGURATION_SUBSCRIBE", Code::InvalidArgument, message)
        };
        let keeper = self.configuration_keeper(store)?;
        check_keys(keys).map_err(|why| failed(&why))?;
        let asking = self.guards.asking(Family::Configuration, store);
        let from = after.map_or(engine::Begin::Now, engine::Begin::After);
        let (keeper, from) = (&keeper, &from);
        let watching = || async move {
            match keeper {
                Keeper::Engine(kept) => kept.follow(keys, from).await.map(Watching::Kept),
                Keeper::Outside(store) => store.watch(keys, metadata).await.map(Watching::Outside),
            }
        };
        asking.run(watching).await.map_err(|error| failed(&error))
    }

    /// Has the application be told what happens to these items from now on. Returns the subscription's id.
    ///
    /// # Errors
    ///
    /// As for the stream, and if there is no application that could be told.
    pub async fn push_configuration(
        &self,
        store: &str,
        keys: &[String],
        metadata: &BTreeMap<String, String>,
    ) -> Result<String, Error> {
        self.configuration_keeper(store)?;
        if !self.app.is_there() {
            let message = "app channel is not initialized. cannot subscribe to configuration updates";
            return Err(internal("ERR_APP_CHANNEL_NIL", Code::Internal, message.to_owned()));
        }
        let follow = self.watch_configuration(store, keys, metadata).await?;
        let id = follow.id().to_owned();
        let (keys, metadata) = (keys.to_vec(), metadata.clone());
        let watched = Watched { store: store.to_owned(), keys, metadata, after: follow.position() };
        self.configurations.subscriptions.push(&id, watched);
        tokio::spawn(push::run(self.app.clone(), store.to_owned(), follow));
        Ok(id)
    }

    /// Has the application be told what has happened to items since another sidecar told it of them, which is no more, and what
    /// happens from now on.
    pub(crate) fn go_on_watching(&self, id: &str, watched: Watched) {
        let subscriptions = &self.configurations.subscriptions;
        let Some(instance) = self.instance().filter(|_| self.app.is_there()) else { return };
        let Some(mut subscription) = subscriptions.open(&watched.store, id) else { return };
        subscriptions.push(id, watched.clone());
        let (instance, app) = (Arc::downgrade(&instance), self.app.clone());
        tokio::spawn(async move {
            let following = tokio::select! {
                following = follow::again(&instance, &watched) => following,
                () = subscription.ended() => None,
            };
            if let Some(following) = following {
                push::run(app, watched.store, Follow::new(following, subscription)).await;
            }
        });
    }

    /// Follows items from where it was left. Where the store knows of no such place, all of them are told.
    async fn follow_again(&self, instance: &Arc<Instance>, watched: &Watched) -> Result<Following, Error> {
        let Watched { store, keys, metadata, after } = watched;
        let kept = matches!(self.configuration_keeper(store)?, Keeper::Engine(kept) if kept.is_durable());
        let after = after.as_ref().and_then(|after| after.parse().ok()).filter(|_| kept);
        let goes_on = after.is_some();
        let watching = self.watch_items(store, keys, metadata, after).await?;
        let mut following = Following::new(instance, self, (store, keys, metadata), watching);
        if !goes_on {
            let mut items = self.configuration(store, keys).await?;
            let named: Vec<Change> =
                keys.iter().map(|key| Change { key: key.clone(), item: items.remove(key) }).collect();
            let others = items.into_iter().map(|(key, item)| Change { key, item: Some(item) });
            following.tell_first(named.into_iter().chain(others));
        }
        Ok(following)
    }

    /// Ends a subscription; whether there was one.
    ///
    /// # Errors
    ///
    /// If there is no such store.
    pub fn unsubscribe_configuration(&self, store: &str, id: &str) -> Result<bool, Error> {
        self.configuration_keeper(store)?;
        let is_ended = self.configurations.subscriptions.close(store, id);
        if is_ended {
            self.carried.unwatched(id);
        }
        Ok(is_ended)
    }

    fn configuration_keeper<'a>(&'a self, store: &'a str) -> Result<Keeper<'a>, Error> {
        let declared = self.configurations.declared.get(store);
        if declared.is_none() && !self.may_be_undeclared("configuration", "configuration store", store) {
            return Err(Error::new(
                "ERR_CONFIGURATION_STORE_NOT_FOUND",
                StatusCode::BAD_REQUEST,
                Code::InvalidArgument,
                format!("configuration store {store} not found"),
            ));
        }
        Ok(match (declared, self.host.memory()) {
            (Some(Place::Outside(outside)), _) => Keeper::Outside(&*outside.0),
            (Some(Place::Memory), Some(memory)) => Keeper::Engine(Kept::new(store, Engine::Memory(memory))),
            _ => Keeper::Engine(Kept::new(store, Engine::Disk(self.host.disk()))),
        })
    }
}

/// Why a subscription is not ended.
pub(crate) fn unknown_subscription(id: &str) -> String {
    format!("failed to unsubscribe to configuration request {id}: subscription with id {id} does not exist")
}

/// An item as JSON tells of it: what is empty is left out.
pub(crate) fn told(item: &Item) -> Value {
    let mut told = Map::new();
    for (name, text) in [("value", &item.value), ("version", &item.version)] {
        if !text.is_empty() {
            told.insert(name.to_owned(), text.as_str().into());
        }
    }
    if !item.metadata.is_empty() {
        told.insert("metadata".to_owned(), json!(item.metadata));
    }
    told.into()
}

/// A store that is watched tells nothing any more.
fn silent(store: &str, error: &configuration::Error) -> Error {
    let message = format!("Configuration store {store} is not watched any more: {error}");
    internal("ERR_CONFIGURATION_SUBSCRIBE", Code::Unavailable, message)
}

fn check_keys(keys: &[String]) -> Result<(), String> {
    match keys.len() > KEYS_MAX {
        true => Err(format!("{} keys are named; {KEYS_MAX} are the most", keys.len())),
        false => Ok(()),
    }
}

/// As SDKs see it.
fn listed(keys: &[String]) -> String {
    format!("[{}]", keys[..keys.len().min(KEYS_TOLD_MAX)].join(" "))
}

fn internal(code: &'static str, grpc: Code, message: String) -> Error {
    Error::new(code, StatusCode::INTERNAL_SERVER_ERROR, grpc, message)
}

const CODES: Codes = codes!("CONFIGURATION");
/// Most keys of a request.
const KEYS_MAX: usize = 1_000;
/// How many of them an error names.
const KEYS_TOLD_MAX: usize = 10;
