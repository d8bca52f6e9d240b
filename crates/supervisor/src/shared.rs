//! What all services of a supervisor share: the data plane, the observer, ports, the thread that starts
//! processes, and the board on which each service posts its status for those who wait for it.

use crate::changes;
use crate::config::{Beside, Observer, Routing};
use crate::machine::Snapshot;
use crate::ports::Ports;
use crate::status::ServiceStatus;
use crate::warden::Warden;
use policy::Time;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) struct Shared {
    pub routing: Arc<dyn Routing>,
    pub observer: Arc<dyn Observer>,
    pub beside: Arc<dyn Beside>,
    pub warden: Warden,
    /// One build at a time, whoever asked for it.
    pub building: tokio::sync::Mutex<()>,
    ports: Mutex<Ports>,
    board: Mutex<BTreeMap<String, Snapshot>>,
    changes: watch::Sender<u64>,
    origin: Instant,
    root: PathBuf,
}

impl Shared {
    pub fn new(
        routing: Arc<dyn Routing>,
        observer: Arc<dyn Observer>,
        beside: Arc<dyn Beside>,
        warden: Warden,
        root: PathBuf,
        seed: u64,
    ) -> Self {
        Self {
            routing,
            observer,
            beside,
            warden,
            building: tokio::sync::Mutex::default(),
            ports: Mutex::new(Ports::new(seed)),
            board: Mutex::default(),
            changes: watch::Sender::new(0),
            origin: Instant::now(),
            root,
        }
    }

    /// Now, as the machines count it.
    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// The instant that the machines call `time`.
    pub fn instant(&self, time: Time) -> Instant {
        // An instant that far away cannot be represented, and is never reached.
        let never = Duration::from_secs(86_400 * 365);
        self.origin + time.since(Time::ZERO).min(self.origin.elapsed() + never)
    }

    /// A folder as the person who wrote the manifest knows it.
    pub fn shown(&self, dir: &Path) -> String {
        match dir.strip_prefix(&self.root) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => dir.display().to_string(),
        }
    }

    pub fn ports(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when the board changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Posts the status of a service, when it is a new one.
    pub fn post(&self, snapshot: Snapshot) {
        let mut board = self.board();
        let name = snapshot.status().name.clone();
        if board.get(&name) != Some(&snapshot) {
            board.insert(name, snapshot);
            drop(board);
            self.changes.send_modify(|version| *version += 1);
        }
    }

    /// The service is there no more.
    pub fn remove(&self, service: &str) {
        self.board().remove(service);
        self.changes.send_modify(|version| *version += 1);
    }

    pub fn status(&self, service: &str) -> Option<ServiceStatus> {
        let now = self.now();
        self.board().get(service).map(|snapshot| snapshot.at(now))
    }

    /// Those of `services` that have no ready instance. One that is not there is not waited for.
    pub fn not_ready(&self, services: &[String]) -> Vec<String> {
        let board = self.board();
        let waits = |name: &&String| board.get(*name).is_some_and(|snapshot| snapshot.status().ready == 0);
        services.iter().filter(waits).cloned().collect()
    }

    /// Those of `services` that will not become ready without help.
    pub fn stuck(&self, services: &[String]) -> Vec<String> {
        let all: Vec<ServiceStatus> =
            self.board().values().map(|snapshot| snapshot.status().clone()).collect();
        let stuck = changes::stuck(&all);
        services.iter().filter(|name| stuck.contains(name.as_str())).cloned().collect()
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<String, Snapshot>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
