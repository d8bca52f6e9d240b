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

use components::configuration::{self, Item, Watch};
use engine::blocks::Idempotency;
use engine::blocks::config::Edit;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tonic::Code;

use crate::api::Api;
use crate::config::{Adapter, Block, Config, Place};
use crate::error::Error;
use crate::refused::{Codes, codes, refused};
use crate::resiliency::Family;
use crate::state::Engine;

pub(crate) use follow::Follow;
pub use kept::Kept;
pub(crate) use subscriptions::{Subscription, Subscriptions};

/// The stores of configuration that are declared, by name, and who watches.
pub(crate) struct Configurations {
    declared: HashMap<String, Place<Adapter<dyn configuration::Store>>>,
    pub(crate) subscriptions: Arc<Subscriptions>,
}

impl Configurations {
    pub(crate) fn new(config: &Config) -> Configurations {
        let declared = config.components.iter().filter_map(|component| {
            let Block::Configuration { place } = &component.block else { return None };
            Some((component.name.clone(), place.clone()))
        });
        Configurations { declared: declared.collect(), subscriptions: Arc::default() }
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
        let watch = self.watch_items(store, keys, metadata).await?;
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
        Ok(Follow::new(&instance, self, (store, keys, metadata), watch, subscription))
    }

    async fn watch_items(
        &self,
        store: &str,
        keys: &[String],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Box<dyn Watch>, Error> {
        let failed = |why: &dyn std::fmt::Display| {
            let message =
                format!("failed to subscribe {} from Configuration store {store}: {why}", listed(keys));
            internal("ERR_CONFIGURATION_SUBSCRIBE", Code::InvalidArgument, message)
        };
        let keeper = self.configuration_keeper(store)?;
        check_keys(keys).map_err(|why| failed(&why))?;
        let asking = self.guards.asking(Family::Configuration, store);
        let asked = keeper.store();
        asking.run(|| asked.watch(keys, metadata)).await.map_err(|error| failed(&error))
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
        tokio::spawn(push::run(self.app.clone(), store.to_owned(), follow));
        Ok(id)
    }

    /// Ends a subscription; whether there was one.
    ///
    /// # Errors
    ///
    /// If there is no such store.
    pub fn unsubscribe_configuration(&self, store: &str, id: &str) -> Result<bool, Error> {
        self.configuration_keeper(store)?;
        Ok(self.configurations.subscriptions.close(store, id))
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
