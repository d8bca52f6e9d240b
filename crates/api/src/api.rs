//! What a request is answered by: the engines, what is declared, and what the sidecar says of itself.

use std::sync::Arc;

use engine::{Embedded, InMemory};
use tokio::sync::Notify;

use crate::config::Config;
use crate::health::Health;
use crate::metadata::Notes;
use crate::secrets::SecretStores;
use crate::state::Stores;
use crate::undeclared::Undeclared;

/// The API of one application. It keeps nothing itself that outlives it: what lasts is the engine's.
pub struct Api {
    /// What was set.
    pub config: Config,
    /// Whether others may send.
    pub health: Health,
    pub(crate) engines: Engines,
    pub(crate) stores: Stores,
    pub(crate) secret_stores: SecretStores,
    pub(crate) undeclared: Undeclared,
    pub(crate) notes: Notes,
    pub(crate) ending: Notify,
    say: Say,
}

/// Who gets the lines for people.
pub type Say = Box<dyn Fn(&str) + Send + Sync>;

/// What keeps things.
pub(crate) struct Engines {
    pub(crate) disk: Embedded,
    /// Is there if something is declared to be kept in memory.
    pub(crate) memory: Option<InMemory>,
}

impl Api {
    /// Answers from `disk`, and from `memory` what is declared so; `say` gets the lines for people.
    pub fn new(config: Config, disk: Embedded, memory: Option<InMemory>, say: Say) -> Arc<Api> {
        Arc::new(Api {
            stores: Stores::new(&config),
            secret_stores: SecretStores::new(&config),
            engines: Engines { disk, memory },
            config,
            health: Health::default(),
            undeclared: Undeclared::default(),
            notes: Notes::default(),
            ending: Notify::new(),
            say,
        })
    }

    /// Asks for the end, as a signal would.
    pub fn end(&self) {
        self.ending.notify_one();
    }

    /// Finishes what the engines have begun, and closes them.
    pub fn close(self) {
        self.engines.disk.close();
        if let Some(memory) = self.engines.memory {
            memory.close();
        }
    }

    pub(crate) fn say(&self, line: &str) {
        (self.say)(line);
    }
}
