//! A supervisor with real processes in a temporary folder, and records of all it says.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use supervisor::{
    Check, Config, Endpoint, Event, InstanceStatus, Observer, Output, Probe, Protocol, Routing, Run, Service,
    ServiceStatus, Source, Supervisor,
};

/// The helper that cargo builds with the tests.
pub fn helper() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let helper = me.ancestors().nth(2).unwrap().join("examples/helper");
    assert!(helper.exists(), "`cargo test -p supervisor` builds {}", helper.display());
    helper
}

#[derive(Default)]
pub struct Records {
    pub published: BTreeMap<String, Vec<Vec<Endpoint>>>,
    pub in_flight: BTreeMap<String, usize>,
    pub events: Vec<Event>,
    pub lines: Vec<(String, Output, String)>,
}

#[derive(Clone, Default)]
pub struct Recorder(pub Arc<Mutex<Records>>);

impl Routing for Recorder {
    fn publish(&self, service: &str, instances: &[Endpoint]) {
        self.0.lock().unwrap().published.entry(service.into()).or_default().push(instances.to_vec());
    }
    fn in_flight(&self, _: &str, id: &str) -> usize {
        self.0.lock().unwrap().in_flight.get(id).copied().unwrap_or(0)
    }
}

impl Observer for Recorder {
    fn line(&self, _: &str, instance: &str, stream: Output, text: &str) {
        self.0.lock().unwrap().lines.push((instance.into(), stream, text.into()));
    }
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().events.push(event.clone());
    }
}

pub struct World {
    pub supervisor: Supervisor,
    pub recorder: Recorder,
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn start(services: Vec<Service>) -> World {
        World::start_in(tempfile::tempdir().unwrap(), services)
    }

    pub fn start_in(folder: tempfile::TempDir, services: Vec<Service>) -> World {
        let recorder = Recorder::default();
        let config = Config {
            services,
            data_dir: folder.path().join("data"),
            root: folder.path().to_owned(),
            executable: helper(),
        };
        let (routing, observer) = (Arc::new(recorder.clone()), Arc::new(recorder.clone()));
        let supervisor = Supervisor::start(config, routing, observer, Arc::new(())).unwrap();
        World { supervisor, recorder, folder }
    }

    pub async fn ready(services: Vec<Service>) -> World {
        let world = World::start(services);
        world.supervisor.wait_ready().await.unwrap_or_else(|why| panic!("{why:?}\n{:#?}", world.events()));
        world
    }

    pub fn events(&self) -> Vec<Event> {
        self.recorder.0.lock().unwrap().events.clone()
    }

    pub fn lines(&self) -> Vec<(String, Output, String)> {
        self.recorder.0.lock().unwrap().lines.clone()
    }

    pub fn published(&self, service: &str) -> Vec<Vec<Endpoint>> {
        self.recorder.0.lock().unwrap().published.get(service).cloned().unwrap_or_default()
    }

    pub fn forget_published(&self) {
        self.recorder.0.lock().unwrap().published.clear();
    }

    pub fn status(&self, service: &str) -> ServiceStatus {
        let all = self.supervisor.status();
        all.into_iter().find(|status| status.name == service).unwrap_or_else(|| panic!("no {service}"))
    }

    pub fn instance(&self, service: &str) -> InstanceStatus {
        self.status(service).instances.first().unwrap_or_else(|| panic!("{service} has no instance")).clone()
    }

    pub fn pid(&self, service: &str) -> i32 {
        self.instance(service).pid.unwrap() as i32
    }

    /// Waits until `condition` holds, some seconds at most.
    pub async fn until(&self, what: &str, condition: impl Fn(&World) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "never: {what}\n{:#?}\n{:#?}",
                self.supervisor.status(),
                self.events()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub fn service(name: &str, command: &str) -> Service {
    let run = Run {
        command: command.to_owned(),
        build: None,
        dir: PathBuf::from("/"),
        env: BTreeMap::new(),
        port: None,
        instances: 1,
        max: 9,
        grace: Duration::from_secs(1),
        beside: String::new(),
    };
    Service {
        name: name.to_owned(),
        source: Source::Run(run),
        after: Vec::new(),
        ready: probe(Check::None),
        live: None,
    }
}

/// The helper's HTTP server.
pub fn server(name: &str) -> Service {
    let command = format!("{} serve", helper().display());
    Service { ready: probe(http("/healthz")), ..service(name, &command) }
}

pub fn probe(check: Check) -> Probe {
    let every = Duration::from_millis(100);
    Probe { check, every, timeout: Duration::from_millis(500), failures: 2, within: Duration::from_secs(5) }
}

pub fn http(path: &str) -> Check {
    Check::Http { path: path.to_owned(), protocol: Protocol::Http1 }
}

pub trait Change {
    fn with(self, change: impl FnOnce(&mut Run)) -> Service;
    fn env(self, name: &str, value: impl AsRef<Path>) -> Service;
}

impl Change for Service {
    fn with(mut self, change: impl FnOnce(&mut Run)) -> Service {
        let Source::Run(run) = &mut self.source else { panic!("external") };
        change(run);
        self
    }

    fn env(self, name: &str, value: impl AsRef<Path>) -> Service {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.with(|run| drop(run.env.insert(name.to_owned(), value)))
    }
}

/// Whether a process runs: it is there and no zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

pub fn kill(pid: i32) {
    // SAFETY: `kill` touches no memory of this process.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

pub const PATIENCE: Duration = Duration::from_secs(8);
