//! What a sidecar says of itself, and what others have noted with it: the command line its process ids, for one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use components::pubsub::Features;

use crate::api::Api;
use crate::config::{Block, Broker, PubSub};
use crate::error::Error;
use crate::pubsub::Topics;

/// What was noted. Asked for by tools now and then, never on the way of another request.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<BTreeMap<String, String>>);

impl Notes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A component as it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// What it can do.
    pub capabilities: Vec<&'static str>,
}

impl Api {
    /// The components that are declared, then those that were used without.
    pub fn components(&self) -> Vec<Told> {
        let declared = self.config.components.iter().map(|one| Told {
            name: one.name.clone(),
            kind: one.kind.clone(),
            version: one.version.clone(),
            capabilities: match &one.block {
                Block::State { .. } => STATE.to_vec(),
                Block::PubSub(pubsub) => of_broker(pubsub),
                Block::Binding(_)
                | Block::Configuration { .. }
                | Block::Locks { .. }
                | Block::Secrets { .. } => Vec::new(),
            },
        });
        // What was used so and is declared by now has its place above.
        let is_declared = |family: &str, name: &str| {
            let mut declared = self.config.components.iter();
            declared.any(|one| one.name == name && one.kind.split('.').next() == Some(family))
        };
        let undeclared = self.undeclared.names().filter(|(family, name)| !is_declared(family, name));
        let undeclared = undeclared.map(|(family, name)| Told {
            name: name.to_owned(),
            kind: format!("{family}.colony"),
            version: "v1".to_owned(),
            capabilities: match family {
                "state" => STATE.to_vec(),
                "pubsub" => of_broker(&PubSub::default()),
                _ => Vec::new(),
            },
        });
        declared.chain(undeclared).collect()
    }

    /// What was noted, and the version.
    pub fn notes(&self) -> BTreeMap<String, String> {
        let mut notes = self.notes.lock().clone();
        notes.insert("daprRuntimeVersion".to_owned(), VERSION.to_owned());
        notes
    }

    pub(crate) fn noted(&self, key: &str) -> Option<String> {
        self.notes.lock().get(key).cloned()
    }

    /// Notes a value under a key, in place of what was there.
    ///
    /// # Errors
    ///
    /// If there are too many already, or it is too long.
    pub fn note(&self, key: &str, value: &str) -> Result<(), Error> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(Error::bad_request(format!(
                "the key has {} bytes and its value {}: {KEY_BYTES_MAX} and {VALUE_BYTES_MAX} are the most, and a key has one",
                key.len(),
                value.len()
            )));
        }
        let mut notes = self.notes.lock();
        if notes.len() >= NOTES_MAX && !notes.contains_key(key) {
            return Err(Error::bad_request(format!(
                "{NOTES_MAX} keys are noted already, which are the most"
            )));
        }
        let bytes = |key: &str, value: &str| key.len() + value.len();
        let others = notes.iter().filter(|(other, _)| *other != key);
        let all = others.map(|(key, value)| bytes(key, value)).sum::<usize>() + bytes(key, value);
        if all > ALL_BYTES_MAX {
            return Err(Error::bad_request(format!(
                "with it, {all} bytes would be noted; {ALL_BYTES_MAX} are the most in all"
            )));
        }
        notes.insert(key.to_owned(), value.to_owned());
        drop(notes);
        self.carried.note(key);
        Ok(())
    }
}

/// What a broker can do; two of the words are Dapr's.
fn of_broker(declared: &PubSub) -> Vec<&'static str> {
    let Features { bulk, ttl, ordering, history, attempts, delay } = match &declared.broker {
        Broker::Outside(broker) => broker.0.features(),
        Broker::Disk | Broker::Memory => Topics::FEATURES,
    };
    let words = [
        (bulk, "BULK_PUBSUB"),
        (ttl, "MESSAGE_TTL"),
        (ordering, "KEY_ORDER"),
        (history, "HISTORY"),
        (attempts, "ATTEMPTS"),
        (delay, "MESSAGE_DELAY"),
    ];
    words.into_iter().filter(|(can, _)| *can).map(|(_, word)| word).collect()
}

/// The version of Dapr whose API this is, with ours behind the plus sign that says: no part of the order of versions.
pub const VERSION: &str = concat!("1.18.3+colony.", env!("CARGO_PKG_VERSION"));
/// What every store of state here can do.
const STATE: &[&str] = &["ETAG", "TRANSACTIONAL", "TTL"];
/// Most keys that can be noted.
const NOTES_MAX: usize = 1_000;
/// Longest key.
const KEY_BYTES_MAX: usize = 1_024;
/// Longest value.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Most bytes of all keys and values: they are handed on from process to process in one message.
const ALL_BYTES_MAX: usize = 4 << 20;
