//! Who is served on a host: what `colony list` tells, and whom `colony stop --app-id` means.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use api::Instance;
use serde::{Deserialize, Serialize};

use super::application::{Application, Notes};
use super::journal::Addresses;

/// The applications that are served by a holder.
#[derive(Clone, Default)]
pub(super) struct Roster(Arc<Inner>);

#[derive(Default)]
struct Inner {
    next: AtomicU64,
    /// In the order in which they came.
    served: Mutex<BTreeMap<u64, Entry>>,
}

struct Entry {
    about: About,
    notes: Notes,
    instance: Arc<Instance>,
}

/// An application, as it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) app_id: String,
    /// Where it is served.
    pub(crate) http: Vec<String>,
    pub(crate) grpc: Vec<String>,
    pub(crate) app_port: Option<u16>,
    pub(crate) app_protocol: String,
    /// Since when, in milliseconds since 1970.
    pub(crate) since_unix_ms: u64,
    /// The process that serves it.
    pub(crate) holder: u32,
    /// What was noted by the process that it belongs to.
    pub(crate) notes: BTreeMap<String, String>,
}

/// Is on the roster until this is dropped.
pub(super) struct Placed {
    roster: Roster,
    number: u64,
}

impl Roster {
    pub(super) fn enter(
        &self,
        application: &Application,
        addresses: &Addresses,
        instance: &Arc<Instance>,
    ) -> Placed {
        let about = About {
            app_id: application.args.app_id.clone(),
            http: addresses.http.clone(),
            grpc: addresses.grpc.clone(),
            app_port: application.args.app_port.flatten(),
            app_protocol: application.args.app_protocol.clone(),
            since_unix_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            holder: std::process::id(),
            notes: BTreeMap::new(),
        };
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { about, notes: application.notes.clone(), instance: Arc::clone(instance) };
        self.served().insert(number, entry);
        Placed { roster: self.clone(), number }
    }

    pub(super) fn all(&self) -> Vec<About> {
        let about = |entry: &Entry| About { notes: entry.notes.all(), ..entry.about.clone() };
        self.served().values().map(about).collect()
    }

    /// Asks all instances of an application to end; how many there are.
    pub(super) fn end(&self, app_id: &str) -> usize {
        let served = self.served();
        let meant = served.values().filter(|entry| entry.about.app_id == app_id);
        meant.inspect(|entry| entry.instance.end()).count()
    }

    fn served(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.0.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.roster.served().remove(&self.number);
    }
}
