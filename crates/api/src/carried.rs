//! What an application has told its sidecar and the engine does not keep: what it has noted of itself, and which configuration it wants
//! to be brought. It stands as long as the process that was started for the application, whichever process serves it: whoever
//! serves tells of each change, and is told all of it by the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::instance::Instance;

/// Something that it has told, or that has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carried {
    /// This is noted.
    Noted {
        /// Under which key.
        key: String,
        /// What it is.
        value: String,
    },
    /// These items are brought to it, from here on.
    Watched {
        /// By what the subscription is ended.
        id: String,
        /// What is watched.
        watched: Watched,
    },
    /// A subscription was ended.
    Unwatched {
        /// Which.
        id: String,
    },
}

/// Items of configuration that are brought to an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Where they are.
    pub store: String,
    /// Which; all if there is none.
    pub keys: Vec<String>,
    /// What else the application has said.
    pub metadata: BTreeMap<String, String>,
    /// Up to where it was brought what happened; none if the store knows of no such place.
    pub after: Option<String>,
}

/// Which of it has changed since it was told. Bounded by what there may be of each.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Or else nobody asks.
    is_wanted: AtomicBool,
    which: Mutex<Which>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Which {
    notes: BTreeSet<String>,
    /// Those that were ended are true.
    watched: BTreeMap<String, bool>,
}

impl Changed {
    pub(crate) fn note(&self, key: &str) {
        self.mark(|which| {
            which.notes.insert(key.to_owned());
        });
    }

    /// A subscription is there, or was brought something.
    pub(crate) fn watched(&self, id: &str) {
        self.mark(|which| {
            which.watched.insert(id.to_owned(), false);
        });
    }

    pub(crate) fn unwatched(&self, id: &str) {
        self.mark(|which| {
            which.watched.insert(id.to_owned(), true);
        });
    }

    fn mark(&self, mark: impl FnOnce(&mut Which)) {
        if self.is_wanted.load(Relaxed) {
            mark(&mut self.which());
            self.arrived.notify_one();
        }
    }

    fn which(&self) -> MutexGuard<'_, Which> {
        self.which.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    /// From now on it is known what of it changes. To be called before it is served.
    pub fn carry(&self) {
        self.api().carried.is_wanted.store(true, Relaxed);
    }

    /// What stood with the one who served it before. To be called before it is served.
    pub fn restore(&self, carried: impl IntoIterator<Item = Carried>) {
        let api = self.api();
        for one in carried {
            match one {
                // It was not too much there.
                Carried::Noted { key, value } => drop(api.note(&key, &value)),
                Carried::Watched { id, watched } => api.go_on_watching(&id, watched),
                Carried::Unwatched { .. } => {}
            }
        }
    }

    /// What has changed next. Waits until something has; one at a time.
    pub async fn changed(&self) -> Carried {
        let carried = std::sync::Arc::clone(&self.api().carried);
        loop {
            if let Some(one) = self.changed_now() {
                return one;
            }
            carried.arrived.notified().await;
        }
    }

    /// The same, if something has.
    pub fn changed_now(&self) -> Option<Carried> {
        let api = self.api();
        loop {
            let (note, watched) = {
                let mut which = api.carried.which();
                let note = which.notes.pop_first();
                let watched = if note.is_none() { which.watched.pop_first() } else { None };
                (note, watched)
            };
            if let Some(key) = note {
                match api.noted(&key) {
                    Some(value) => return Some(Carried::Noted { key, value }),
                    None => continue,
                }
            }
            match watched? {
                (id, true) => return Some(Carried::Unwatched { id }),
                // At the end of this instance it is gone from here, and stands.
                (id, false) => {
                    if let Some(watched) = api.configurations.subscriptions.pushed(&id) {
                        return Some(Carried::Watched { id, watched });
                    }
                }
            }
        }
    }
}
