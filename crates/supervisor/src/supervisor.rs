//! The handle: starts the tasks of the services and passes on what is asked of them.

use crate::builds::{self, Builds};
use crate::changes;
use crate::config::{Beside, Config, Observer, Routing, Service};
use crate::error::{CommandError, Done, Error, NotReady};
use crate::event::Event;
use crate::machine::{Command, Failure, Outcome};
use crate::procfs;
use crate::service::{self, Message};
use crate::shared::Shared;
use crate::status::{ServiceStatus, State};
use crate::warden::Warden;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// A handle to the running services; cheap to clone. When the last one is dropped every process is killed;
/// [`Supervisor::shutdown`] is the gentle way.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// In start order.
    services: Mutex<Vec<Entry>>,
    /// One `apply` at a time, and none before the first builds have ended.
    applying: Arc<tokio::sync::Mutex<()>>,
    closing: watch::Sender<bool>,
    seed: u64,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub spec: Service,
    pub task: UnboundedSender<Message>,
}

impl Supervisor {
    /// Builds and starts everything, in the background. Must be called within a tokio runtime, whose tasks
    /// then do the work. What an earlier run has left behind is ended first.
    ///
    /// # Errors
    /// [`Error`]: the data folder cannot be used or is in use, or there is no thread or runtime to be had.
    pub fn start(
        config: Config,
        routing: Arc<dyn Routing>,
        observer: Arc<dyn Observer>,
        beside: Arc<dyn Beside>,
    ) -> Result<Supervisor, Error> {
        tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let lock = lock(&config.data_dir)?;
        let ledger = config.data_dir.join("groups");
        let warden =
            Warden::start(config.executable, ledger, lock, Arc::clone(&observer)).map_err(Error::Thread)?;
        let seed = seed();
        let shared = Arc::new(Shared::new(routing, observer, beside, warden, config.root, seed));
        let applying = Arc::new(tokio::sync::Mutex::new(()));
        let not_yet = Arc::clone(&applying).try_lock_owned();
        let inner = Inner {
            shared,
            services: Mutex::default(),
            applying: Arc::clone(&applying),
            closing: watch::Sender::new(false),
            seed,
        };
        let supervisor = Supervisor { inner: Arc::new(inner) };
        let entries: Vec<Entry> = config.services.into_iter().map(|spec| supervisor.begin(spec)).collect();
        supervisor.services().clone_from(&entries);
        let shared = Arc::clone(&supervisor.inner.shared);
        let closing = supervisor.inner.closing.subscribe();
        tokio::spawn(unless_closing(closing, async move {
            build_and_start(&shared, entries).await;
            drop(not_yet);
        }));
        Ok(supervisor)
    }

    /// Waits until all services are ready.
    ///
    /// # Errors
    /// Those that are not ready, when none of them can become so without help (a build failed, a crash loop,
    /// a port in use, a service before it that fails).
    pub async fn wait_ready(&self) -> Result<(), Vec<NotReady>> {
        let mut changes = self.inner.shared.changes();
        loop {
            changes.mark_unchanged();
            if let Some(not_ready) = changes::settled(&self.posted()) {
                return if not_ready.is_empty() { Ok(()) } else { Err(not_ready) };
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Replaces each instance by a new one, one at a time: the new one is ready and published before the old
    /// one is unpublished, drained and asked to end. With a fixed port the old one ends first. A service that
    /// is stopped or fails is built first, and its status says so. `progress` gets the service's events meanwhile.
    ///
    /// # Errors
    /// [`CommandError`]: there is no such service, it does not run here, its build failed, or it did not become
    /// ready.
    pub async fn restart(
        &self,
        service: &str,
        progress: Option<UnboundedSender<Event>>,
    ) -> Result<Done, CommandError> {
        let entry = self.own(service)?;
        let status = self.inner.shared.status(service);
        let fails = |state| matches!(state, State::Failed | State::Stopped | State::CrashLoop);
        if status.as_ref().is_some_and(|status| fails(status.state)) {
            self.build_again(&entry).await?;
        }
        let wanted = status.map(|status| status.wanted).filter(|&wanted| wanted > 0);
        let wanted = wanted.unwrap_or_else(|| entry.spec.instances());
        let command = Command::Roll { spec: Arc::new(entry.spec.clone()), wanted };
        self.command(&entry, command, progress).await
    }

    /// Changes the number of instances, from 1 to the service's `max`; waits until new ones are ready and
    /// surplus ones have ended. A service that is stopped or has failed is built and started with so many.
    ///
    /// # Errors
    /// [`CommandError`]: as for `restart`, or the number is out of range.
    pub async fn scale(&self, service: &str, instances: u32) -> Result<Done, CommandError> {
        let entry = self.own(service)?;
        let max = entry.spec.run().map_or(1, |run| run.max);
        if !(1..=max).contains(&instances) {
            return Err(CommandError::OutOfRange { service: service.to_owned(), asked: instances, max });
        }
        let state = self.inner.shared.status(service).map(|status| status.state);
        if !matches!(state, Some(State::Stopped | State::Failed)) {
            return self.command(&entry, Command::Scale(instances), None).await;
        }
        self.build_again(&entry).await?;
        let command = Command::Roll { spec: Arc::new(entry.spec.clone()), wanted: instances };
        self.command(&entry, command, None).await
    }

    /// Stops a service; it stays so until `restart`, `scale` or a changed service in `apply`.
    ///
    /// # Errors
    /// [`CommandError`]: there is no such service, or it does not run here.
    pub async fn stop(&self, service: &str) -> Result<Done, CommandError> {
        let entry = self.own(service)?;
        self.command(&entry, Command::Stop, None).await
    }

    /// Every service as it is now, in start order. Reads memory and processor time from `/proc`.
    pub fn status(&self) -> Vec<ServiceStatus> {
        let mut services = self.posted();
        for instance in services.iter_mut().flat_map(|service| &mut service.instances) {
            if let Some(usage) = instance.pid.and_then(procfs::usage) {
                instance.rss_kib = Some(usage.rss_kib);
                instance.cpu_ms = Some(usage.cpu_ms);
            }
        }
        services
    }

    /// Ends everything: services on which none that runs depends first, each unpublished, drained, asked to
    /// end and killed after its grace. Returns when no process is left.
    pub async fn shutdown(&self) {
        self.inner.closing.send_replace(true);
        let entries: Vec<Entry> = self.services().clone();
        self.stop_in_order(entries).await;
        self.inner.shared.warden.end().await;
    }

    pub(crate) async fn stop_in_order(&self, entries: Vec<Entry>) {
        let mut left: BTreeSet<String> = entries.iter().map(|entry| entry.spec.name.clone()).collect();
        let mut waiting = entries;
        let mut stopping = JoinSet::new();
        loop {
            let needed: BTreeSet<String> = waiting
                .iter()
                .chain(self.services().iter())
                .filter(|entry| left.contains(&entry.spec.name))
                .flat_map(|entry| entry.spec.after.iter().cloned())
                .collect();
            let (later, now): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|entry| needed.contains(&entry.spec.name));
            waiting = later;
            for entry in now {
                stopping.spawn(async move {
                    let _ = ask(&entry.task, Command::Stop, None).await;
                    entry.spec.name
                });
            }
            match stopping.join_next().await {
                Some(Ok(name)) => drop(left.remove(&name)),
                Some(Err(_)) => {}
                None if waiting.is_empty() => return,
                None => left.clear(),
            }
        }
    }

    pub(crate) async fn build(&self, builds: &mut Builds, spec: &Service) -> Result<(), Failure> {
        let closing = self.inner.closing.subscribe();
        let built = unless_closing(closing, builds.build(&self.inner.shared, spec)).await;
        built.unwrap_or_else(|| {
            Err(Failure { why: "interrupted by the shutdown".to_owned(), last_lines: Vec::new() })
        })
    }

    /// Builds a service of which nothing serves. What was built before may be what fails.
    async fn build_again(&self, entry: &Entry) -> Result<(), CommandError> {
        if builds::of(&entry.spec).is_none() {
            return Ok(());
        }
        let _ = entry.task.send(Message::Building);
        let built = self.build(&mut Builds::default(), &entry.spec).await;
        built.map_err(|failure| {
            let Failure { why, last_lines } = failure.clone();
            let _ = entry.task.send(Message::BuildFailed { why, last_lines });
            failed(&entry.spec.name, failure, false)
        })
    }

    pub(crate) async fn command(
        &self,
        entry: &Entry,
        command: Command,
        progress: Option<UnboundedSender<Event>>,
    ) -> Result<Done, CommandError> {
        if *self.inner.closing.borrow() {
            return Err(CommandError::ShuttingDown);
        }
        ended(&entry.spec.name, ask(&entry.task, command, progress).await)
    }

    pub(crate) fn begin(&self, spec: Service) -> Entry {
        let task = service::start(Arc::clone(&self.inner.shared), spec.clone(), self.seed_of(&spec.name));
        Entry { spec, task }
    }

    fn seed_of(&self, name: &str) -> u64 {
        name.bytes().fold(self.inner.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
    }

    /// A service with processes of ours.
    fn own(&self, service: &str) -> Result<Entry, CommandError> {
        let services = self.services();
        let Some(entry) = services.iter().find(|entry| entry.spec.name == service) else {
            let known = services.iter().map(|entry| entry.spec.name.clone()).collect();
            return Err(CommandError::NoSuchService { service: service.to_owned(), known });
        };
        if entry.spec.is_external() {
            return Err(CommandError::External { service: service.to_owned() });
        }
        Ok(entry.clone())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn applying(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.applying
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.inner.closing.subscribe()
    }

    fn posted(&self) -> Vec<ServiceStatus> {
        let names: Vec<String> = self.services().iter().map(|entry| entry.spec.name.clone()).collect();
        names.iter().filter_map(|name| self.inner.shared.status(name)).collect()
    }

    pub(crate) fn services(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.inner.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts what needs no build at once, and each other service when its build has ended. Each waits by itself for
/// those before it.
async fn build_and_start(shared: &Arc<Shared>, entries: Vec<Entry>) {
    let start = || Message::Command { command: Command::Start, reply: oneshot::channel().0, progress: None };
    let (to_build, ready): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| builds::of(&entry.spec).is_some());
    for entry in &to_build {
        let _ = entry.task.send(Message::Building);
    }
    for entry in ready {
        let _ = entry.task.send(start());
    }
    let mut builds = Builds::default();
    for entry in to_build {
        let message = match builds.build(shared, &entry.spec).await {
            Ok(()) => start(),
            Err(Failure { why, last_lines }) => Message::BuildFailed { why, last_lines },
        };
        let _ = entry.task.send(message);
    }
}

/// Gives a command to a task and waits for its end; `None` when the task is gone.
pub(crate) async fn ask(
    task: &UnboundedSender<Message>,
    command: Command,
    progress: Option<UnboundedSender<Event>>,
) -> Option<Outcome> {
    let (reply, end) = oneshot::channel();
    task.send(Message::Command { command, reply, progress }).ok()?;
    end.await.ok()
}

pub(crate) fn ended(service: &str, outcome: Option<Outcome>) -> Result<Done, CommandError> {
    match outcome {
        Some(Outcome::Done { instances, took }) => Ok(Done::new(service, instances, took)),
        Some(Outcome::Failed { failure, old_stays }) => Err(failed(service, failure, old_stays)),
        Some(Outcome::Interrupted) => Err(CommandError::Interrupted { service: service.to_owned() }),
        None => Err(CommandError::ShuttingDown),
    }
}

pub(crate) fn failed(service: &str, failure: Failure, old_stays: bool) -> CommandError {
    let Failure { why, last_lines } = failure;
    CommandError::Failed { service: service.to_owned(), why, last_lines, old_stays }
}

/// Does `work` unless the supervisor shuts down before it ends, or is dropped; then it is dropped too.
pub(crate) async fn unless_closing<T>(
    mut closing: watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        _ = closing.wait_for(|closing| *closing) => None,
        done = work => Some(done),
    }
}

/// Makes the data folder this supervisor's. The lock goes with the file, so also when the process is killed.
pub(crate) fn lock(data_dir: &Path) -> Result<File, Error> {
    let data_error = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::DataDir { path, source }
    };
    fs::create_dir_all(data_dir).map_err(data_error(data_dir))?;
    let path = data_dir.join("supervisor.lock");
    let file = File::create(&path).map_err(data_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(data_error(&path)(source)),
    }
}

/// Different in every run, so that supervisors that start together choose different ports and waits.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id())
}
