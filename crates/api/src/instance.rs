//! An application as it is served: by one [`Api`] after the other, each with what was declared when it began.
//!
//! Who answers is read once a request, by one load and without a lock, while listeners and connections stay as they are. A
//! request is finished by the one that began it, and what that had open of components that are no more goes with the last of
//! them. Whatever lasts longer than a request looks again for each thing that it does, or hears of the next by
//! [`Instance::turns`]: it must keep no [`Api`] meanwhile.

use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use engine::OpenError;
use tokio::sync::{Notify, watch};

use crate::api::{Api, Say};
use crate::app::App;
use crate::config::Config;
use crate::delivery::Running;
use crate::grpc::Services;
use crate::health::Health;
use crate::host::Host;

/// An application that is served, for as long as it is.
pub struct Instance {
    now: ArcSwap<Now>,
    /// Counts those that have answered before.
    turns: watch::Sender<u64>,
    /// Whether others may send.
    pub health: Arc<Health>,
    /// The application.
    pub app: App,
    pub(crate) app_id: String,
    pub(crate) host: Arc<Host>,
    pub(crate) running: Arc<Running>,
    pub(crate) ending: Arc<Notify>,
    say: Arc<Say>,
}

/// Who answers at present.
struct Now {
    api: Arc<Api>,
    services: Services,
}

impl Instance {
    pub(crate) fn new(config: Config, host: Arc<Host>, say: Say) -> Arc<Instance> {
        Arc::new_cyclic(|instance| {
            let api = Api::new(config, host, Arc::new(say), Weak::clone(instance));
            Instance {
                health: Arc::clone(&api.health),
                app: api.app.clone(),
                app_id: api.config.app_id.clone(),
                host: Arc::clone(&api.host),
                running: Arc::clone(&api.running),
                ending: Arc::clone(&api.ending),
                say: Arc::clone(&api.say),
                now: ArcSwap::from_pointee(Now::new(api)),
                turns: watch::Sender::new(0),
            }
        })
    }

    /// Who answers at present.
    pub fn api(&self) -> Arc<Api> {
        Arc::clone(&self.now.load().api)
    }

    pub(crate) fn services(&self) -> Services {
        self.now.load().services.clone()
    }

    /// Answers by what is declared otherwise from now on. How the application is reached and where it is served stay as they
    /// were. One at a time.
    ///
    /// # Errors
    ///
    /// If it wants something to be kept in memory, and that cannot be begun: then all stays.
    pub fn renew(&self, config: Config) -> Result<(), OpenError> {
        self.host.begin_memory(&config)?;
        let next = Now::new(self.api().next(config));
        self.now.store(Arc::new(next));
        self.turns.send_modify(|turns| *turns += 1);
        Ok(())
    }

    /// Changes whenever another answers. To be had before it is looked who does.
    pub(crate) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Asks for the end, as a signal would.
    pub fn end(&self) {
        self.ending.notify_one();
    }

    pub(crate) fn say(&self, line: &str) {
        (self.say)(line);
    }
}

impl Now {
    fn new(api: Api) -> Now {
        let api = Arc::new(api);
        Now { services: Services::new(&api), api }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}
