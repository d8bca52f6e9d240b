//! What a request is answered by: the node, what is declared, and what the sidecar says of itself.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::app::App;
use crate::bindings::Bindings;
use crate::carried::Changed;
use crate::config::Config;
use crate::configuration::Configurations;
use crate::delivery::Running;
use crate::health::Health;
use crate::host::Host;
use crate::ids::Ids;
use crate::instance::Instance;
use crate::invoke::{Caller, Outside};
use crate::lock::Locks;
use crate::metadata::Notes;
use crate::pubsub::PubSubs;
use crate::resiliency::Guards;
use crate::secrets::SecretStores;
use crate::spans::Tracer;
use crate::state::Stores;
use crate::undeclared::Undeclared;
use crate::uses::Uses;

/// The API of one application, with what is declared at a time. It keeps nothing itself that outlives it: what lasts is the
/// engine's, or shared with the one that comes after it.
pub struct Api {
    /// What was set.
    pub config: Config,
    /// Whether others may send.
    pub health: Arc<Health>,
    /// The application.
    pub app: App,
    pub(crate) host: Arc<Host>,
    pub(crate) stores: Stores,
    pub(crate) pubsubs: PubSubs,
    pub(crate) running: Arc<Running>,
    pub(crate) secret_stores: SecretStores,
    pub(crate) bindings: Bindings,
    pub(crate) locks: Locks,
    pub(crate) configurations: Configurations,
    pub(crate) undeclared: Arc<Undeclared>,
    pub(crate) uses: Arc<Uses>,
    pub(crate) caller: Caller,
    pub(crate) guards: Guards,
    pub(crate) outside: Outside,
    pub(crate) notes: Arc<Notes>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) carried: Arc<Changed>,
    /// None: nothing is recorded.
    pub(crate) tracer: Option<Tracer>,
    pub(crate) ending: Arc<Notify>,
    pub(crate) say: Arc<Say>,
    instance: Weak<Instance>,
}

/// Who gets the lines for people.
pub type Say = Box<dyn Fn(&str) + Send + Sync>;

impl Api {
    /// Answers from what the node has; `say` gets the lines for people.
    pub(crate) fn new(config: Config, host: Arc<Host>, say: Arc<Say>, instance: Weak<Instance>) -> Api {
        let carried = Arc::default();
        Api {
            stores: Stores::new(&config),
            pubsubs: PubSubs::new(&config),
            running: Arc::default(),
            secret_stores: SecretStores::new(&config),
            bindings: Bindings::new(&config),
            locks: Locks::new(&config),
            configurations: Configurations::new(&config, &carried),
            carried,
            app: App::new(&config.app),
            caller: Caller::new(&config),
            guards: Guards::new(&config.resiliency, None),
            outside: Outside::new(&config, None),
            uses: host.uses_of(&config.app_id),
            host,
            tracer: config.spans.clone().map(|spans| Tracer::new(spans, &config.app_id)),
            config,
            health: Arc::default(),
            undeclared: Arc::default(),
            notes: Arc::default(),
            ids: Arc::default(),
            ending: Arc::default(),
            say,
            instance,
        }
    }

    /// The one that comes after it, with what this has of what stays: the application, what is known of it, and the ways and
    /// breakers of those that are declared as they were.
    pub(crate) fn next(&self, config: Config) -> Api {
        let (host, say) = (Arc::clone(&self.host), Arc::clone(&self.say));
        let guards = Guards::new(&config.resiliency, Some(&self.guards));
        let outside = Outside::new(&config, Some((&self.config, &self.outside)));
        let new = Api::new(config, host, say, Weak::clone(&self.instance));
        Api {
            health: Arc::clone(&self.health),
            app: self.app.clone(),
            running: Arc::clone(&self.running),
            configurations: new.configurations.after(&self.configurations),
            undeclared: Arc::clone(&self.undeclared),
            guards,
            outside,
            notes: Arc::clone(&self.notes),
            ids: Arc::clone(&self.ids),
            carried: Arc::clone(&self.carried),
            ending: Arc::clone(&self.ending),
            ..new
        }
    }

    /// The application for as long as it is served; None once that is over.
    pub(crate) fn instance(&self) -> Option<Arc<Instance>> {
        self.instance.upgrade()
    }

    /// Asks for the end, as a signal would.
    pub fn end(&self) {
        self.ending.notify_one();
    }

    pub(crate) fn say(&self, line: &str) {
        (self.say)(line);
    }
}
