//! What the applications of a node share: the engines, and knowledge of each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use engine::{Embedded, InMemory, OpenError};

use crate::api::{Api, Say};
use crate::config::Config;
use crate::instance::Instance;
use crate::uses::{Used, Uses};

/// A node's engines, and the applications that are served on it.
pub struct Host {
    disk: Embedded,
    /// Is there once an application has something declared to be kept in memory.
    memory: OnceLock<InMemory>,
    settings: engine::Config,
    /// By their ids: those of several processes of one application are beside each other.
    apps: RwLock<BTreeMap<String, Instances>>,
    /// What each application has used, by its id, also while it is not served.
    uses: RwLock<BTreeMap<String, Arc<Uses>>>,
}

/// Those that serve one application.
#[derive(Default)]
struct Instances {
    all: Vec<Weak<Instance>>,
    /// Counts calls, so that they go to each in turn.
    calls: AtomicUsize,
}

impl Host {
    /// Nobody is served yet. What is kept in memory is kept with these settings as well.
    pub fn new(disk: Embedded, settings: engine::Config) -> Arc<Host> {
        Arc::new(Host {
            disk,
            memory: OnceLock::new(),
            settings,
            apps: RwLock::default(),
            uses: RwLock::default(),
        })
    }

    /// One more application; `say` gets its lines for people.
    ///
    /// # Errors
    ///
    /// If it wants something to be kept in memory, and that cannot be begun.
    pub fn join(self: &Arc<Self>, config: Config, say: Say) -> Result<Arc<Instance>, OpenError> {
        self.begin_memory(&config)?;
        let instance = Instance::new(config, Arc::clone(self), say);
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let instances = apps.entry(instance.app_id.clone()).or_default();
        instances.all.retain(|instance| instance.strong_count() > 0);
        instances.all.push(Arc::downgrade(&instance));
        Ok(instance)
    }

    /// Has something kept in memory from now on, if that is wanted.
    pub(crate) fn begin_memory(&self, config: &Config) -> Result<(), OpenError> {
        if config.wants_memory() && self.memory.get().is_none() {
            // Of two that come at once, one is not needed.
            if let Err(second) = self.memory.set(InMemory::open_empty(self.settings.clone())?) {
                second.close();
            }
        }
        Ok(())
    }

    /// Those who serve an application at present.
    pub fn instances(&self, app_id: &str) -> Vec<Arc<Api>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let instances = apps.get(app_id).into_iter().flat_map(|one| &one.all).filter_map(Weak::upgrade);
        instances.map(|instance| instance.api()).collect()
    }

    /// The applications that are served at present, each as one of its instances, by their ids.
    pub fn applications(&self) -> Vec<Arc<Api>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let one = |app: &Instances| app.all.iter().find_map(Weak::upgrade);
        apps.values().filter_map(one).map(|instance| instance.api()).collect()
    }

    /// What every application has used since the node has begun, by its id.
    pub fn uses(&self) -> Vec<(String, Vec<Used>)> {
        let uses = self.uses.read().unwrap_or_else(PoisonError::into_inner);
        uses.iter().map(|(app_id, uses)| (app_id.clone(), uses.all().collect())).collect()
    }

    /// Where it is counted what an application uses.
    pub(crate) fn uses_of(&self, app_id: &str) -> Arc<Uses> {
        let mut uses = self.uses.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(uses.entry(app_id.to_owned()).or_default())
    }

    /// Who gets the next call of an application: each in turn, those last that are ending or whose application does not answer.
    pub(crate) fn next_instance(&self, app_id: &str) -> Option<Arc<Api>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let Instances { all, calls } = apps.get(app_id)?;
        let first = match all.len() {
            0 | 1 => 0,
            several => calls.fetch_add(1, Ordering::Relaxed) % several,
        };
        let in_turn = || all[first..].iter().chain(&all[..first]).filter_map(Weak::upgrade);
        let takes = |one: &Arc<Instance>| one.health.is_ready() && one.app.is_healthy();
        in_turn().find(takes).or_else(|| in_turn().next()).map(|one| one.api())
    }

    /// Finishes what the engines have begun, and closes them. Does nothing while an application is served.
    pub fn close(self: Arc<Self>) {
        let Some(host) = Arc::into_inner(self) else { return };
        host.disk.close();
        if let Some(memory) = host.memory.into_inner() {
            memory.close();
        }
    }

    /// What is kept in the folder of the data.
    pub fn disk(&self) -> &Embedded {
        &self.disk
    }

    /// What is kept in memory, if something is declared so.
    pub fn memory(&self) -> Option<&InMemory> {
        self.memory.get()
    }
}
