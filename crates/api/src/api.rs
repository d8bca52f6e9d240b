//! What a request is answered by: the node, what is declared, and what the sidecar says of itself.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::app::App;
use crate::bindings::Bindings;
use crate::config::Config;
use crate::configuration::Configurations;
use crate::delivery::Running;
use crate::health::Health;
use crate::host::Host;
use crate::ids::Ids;
use crate::invoke::{Caller, Outside};
use crate::lock::Locks;
use crate::metadata::Notes;
use crate::pubsub::PubSubs;
use crate::resiliency::Guards;
use crate::secrets::SecretStores;
use crate::spans::Tracer;
use crate::state::Stores;
use crate::undeclared::Undeclared;

/// The API of one application. It keeps nothing itself that outlives it: what lasts is the engine's.
pub struct Api {
    /// What was set.
    pub config: Config,
    /// Whether others may send.
    pub health: Health,
    /// The application.
    pub app: App,
    pub(crate) host: Arc<Host>,
    pub(crate) stores: Stores,
    pub(crate) pubsubs: PubSubs,
    pub(crate) running: Running,
    pub(crate) secret_stores: SecretStores,
    pub(crate) bindings: Bindings,
    pub(crate) locks: Locks,
    pub(crate) configurations: Configurations,
    pub(crate) undeclared: Undeclared,
    pub(crate) caller: Caller,
    pub(crate) guards: Guards,
    pub(crate) outside: Outside,
    pub(crate) notes: Notes,
    pub(crate) ids: Ids,
    /// None: nothing is recorded.
    pub(crate) tracer: Option<Tracer>,
    pub(crate) ending: Notify,
    say: Say,
}

/// Who gets the lines for people.
pub type Say = Box<dyn Fn(&str) + Send + Sync>;

impl Api {
    /// Answers from what the node has; `say` gets the lines for people.
    pub(crate) fn new(config: Config, host: Arc<Host>, say: Say) -> Api {
        Api {
            stores: Stores::new(&config),
            pubsubs: PubSubs::new(&config),
            running: Running::default(),
            secret_stores: SecretStores::new(&config),
            bindings: Bindings::new(&config),
            locks: Locks::new(&config),
            configurations: Configurations::new(&config),
            app: App::new(&config.app),
            caller: Caller::new(&config),
            guards: Guards::new(&config.resiliency),
            outside: Outside::new(&config),
            host,
            tracer: config.spans.clone().map(|spans| Tracer::new(spans, &config.app_id)),
            config,
            health: Health::default(),
            undeclared: Undeclared::default(),
            notes: Notes::default(),
            ids: Ids::default(),
            ending: Notify::new(),
            say,
        }
    }

    /// Asks for the end, as a signal would.
    pub fn end(&self) {
        self.ending.notify_one();
    }

    pub(crate) fn say(&self, line: &str) {
        (self.say)(line);
    }
}
