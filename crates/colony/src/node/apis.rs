//! The application API beside each instance that Colony starts, so that it is known who asks.
//!
//! It is served before the process is started, and until nothing is left of the process. That an instance gets requests
//! is the supervisor's to say: what the API brings an application goes by the same (`open`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::config::{Gate, Spans};
use manifest::valid::{self, Recorded};
use mesh::Mesh;
use supervisor::{Beginning, Beside, Company, Endpoint, Service};
use telemetry::Recorder;
use telemetry::redact::Redactor;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::printer::Printer;
use crate::adapters::Surroundings;
use crate::args::Sidecar;
use crate::failure::Failure;
use crate::lower;
use crate::sidecars::{Application, ByWay, Declared, Journal, Look, Post, Read, Served, Terminal, Tracing};
use crate::source::Source;
use crate::terminal;

/// The APIs of a node's instances.
#[derive(Clone)]
pub(super) struct Apis(Arc<Inner>);

struct Inner {
    post: Arc<Post>,
    mesh: Mesh,
    printer: Arc<Printer>,
    surroundings: Surroundings,
    embedded: bool,
    recorder: Recorder,
    settings: Mutex<Settings>,
    /// Whether an instance gets requests, by its service and its port.
    gates: Mutex<BTreeMap<(String, u16), watch::Sender<bool>>>,
    /// What those that are served are told is declared, by the same.
    declared: Mutex<BTreeMap<(String, u16), Declared>>,
    serving: Mutex<JoinSet<()>>,
}

/// What the manifest says.
pub(super) struct Settings {
    resources: Vec<PathBuf>,
    configuration: Vec<PathBuf>,
    /// What these say, for those that are served and those that will be.
    read: Read,
    /// Of which requests spans are recorded.
    traces: Recorded,
    services: BTreeMap<String, ForService>,
}

/// What it says of a service.
struct ForService {
    protocol: &'static str,
    /// By which it is started, without secrets: `colony list` shows it.
    command: String,
    env: BTreeMap<String, String>,
    /// Whom it calls, and what is spoken there.
    calls: Vec<(String, &'static str)>,
}

impl Apis {
    /// Nobody is served yet, and nothing is opened before somebody is.
    pub(super) fn new(
        source: &Source,
        manifest: &valid::Manifest,
        mesh: Mesh,
        printer: Arc<Printer>,
        recorder: Recorder,
    ) -> Result<Apis, Failure> {
        let surroundings = Surroundings { folder: source.root.clone(), ..Surroundings::here()? };
        Ok(Apis(Arc::new(Inner {
            post: Arc::new(Post::new(&source.data_dir())),
            mesh,
            printer,
            surroundings,
            embedded: source.embedded,
            recorder,
            settings: Mutex::new(Settings::of(source, manifest)?),
            gates: Mutex::default(),
            declared: Mutex::default(),
            serving: Mutex::default(),
        })))
    }

    /// Takes on a changed manifest, for instances that begin from now on, and what is declared for those that there are, too.
    /// What of that has changed, in a few words each.
    pub(super) fn renew(&self, settings: Settings) -> Vec<String> {
        let mut current = self.0.settings();
        for declared in self.0.declared().values() {
            declared.replace(settings.read.clone());
        }
        let changes = settings.read.changes(&current.read);
        *current = settings;
        changes
    }

    /// These instances of a service, and no others, get requests.
    pub(super) fn open(&self, service: &str, instances: &[Endpoint]) {
        let gates = self.0.gates();
        for ((_, port), gate) in gates.iter().filter(|((of, _), _)| of == service) {
            let is_open = instances.iter().any(|instance| instance.address.port() == *port);
            gate.send_if_modified(|was| std::mem::replace(was, is_open) != is_open);
        }
    }

    /// Calls by the API under way into instances that get no more, of this service.
    pub(super) fn in_flight(&self, service: &str) -> usize {
        let gates = self.0.gates();
        let closed = gates.iter().filter(|((of, _), gate)| of == service && !*gate.borrow());
        closed.map(|((_, port), _)| self.0.post.in_flight(service, *port)).sum()
    }

    /// What is kept here, if this process holds it.
    pub(super) async fn look(&self) -> Option<Look<'_>> {
        self.0.post.look().await
    }

    /// Ends all, and then the engine.
    pub(super) async fn end(&self) {
        let mut serving = std::mem::take(&mut *self.0.serving.lock().unwrap_or_else(PoisonError::into_inner));
        while serving.join_next().await.is_some() {}
        self.0.post.close().await;
    }
}

impl Beside for Apis {
    fn begin<'a>(&'a self, service: &'a Service, instance: &'a str, port: u16) -> Beginning<'a> {
        Box::pin(async move {
            let is_wanted = service.run().is_some_and(|run| !run.beside.is_empty());
            let mut company = match is_wanted {
                true => {
                    self.company(&service.name, instance, port).await.map_err(|failure| told(&failure))?
                }
                false => Company { env: BTreeMap::new(), over: Box::pin(pending()) },
            };
            let (name, attributes) = self.0.resource(instance);
            company.env.insert(name, attributes);
            Ok(company)
        })
    }
}

impl Apis {
    async fn company(&self, service: &str, instance: &str, port: u16) -> Result<Company, Failure> {
        let inner = &self.0;
        let (gate, is_open) = watch::channel(false);
        let (application, journal) = inner.application(service, instance, port, is_open)?;
        let listeners = application.bind().await?;
        let env = application.told(&listeners);
        let place = (service.to_owned(), port);
        inner.gates().insert(place.clone(), gate);
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, mut ended) = oneshot::channel();
        let (tell, is_ready) = oneshot::channel();
        let serving = Arc::clone(inner);
        let task = async move {
            let mut tell = Some(tell);
            let mut ready = || {
                let _ = tell.take().map(|tell| tell.send(()));
            };
            let served = Served { journal: &journal, ready: &mut ready };
            let stop = async { drop(stopped.await) };
            let outcome = serving.post.serve(&application, listeners, served, stop).await;
            serving.gates().remove(&place);
            serving.declared().remove(&place);
            // Who does not wait any more has ended it.
            let _ = end.send(outcome);
        };
        self.spawn(task);
        tokio::select! {
            biased;
            Ok(()) = is_ready => {}
            Ok(outcome) = &mut ended => {
                return Err(outcome.err().unwrap_or_else(|| Failure::new("the application API has ended")));
            }
            else => return Err(Failure::new("the application API has ended")),
        }
        let over = async move {
            // Its API ends when this is dropped.
            let _stop = stop;
            let _ = ended.await;
        };
        Ok(Company { env, over: Box::pin(over) })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut serving = self.0.serving.lock().unwrap_or_else(PoisonError::into_inner);
        while serving.try_join_next().is_some() {}
        serving.spawn(task);
    }
}

impl Inner {
    /// By what spans that an instance sends are known to be its own, beside what is said of all.
    fn resource(&self, instance: &str) -> (String, String) {
        let mut attributes = self.surroundings.variables.get(RESOURCE).cloned().unwrap_or_default();
        if !attributes.is_empty() {
            attributes.push(',');
        }
        (RESOURCE.to_owned(), attributes + "service.instance.id=" + instance)
    }

    /// What is served beside an instance, and where its lines go.
    fn application(
        &self,
        service: &str,
        instance: &str,
        port: u16,
        is_open: watch::Receiver<bool>,
    ) -> Result<(Application, Journal), Failure> {
        let settings = self.settings();
        let Some(own) = settings.services.get(service) else {
            return Err(Failure::new("the service is not in the manifest any more"));
        };
        let args = self.args(&settings, own, service, port)?;
        let mut surroundings = self.surroundings.clone();
        surroundings.variables.extend(own.env.clone());
        let (printer, name, who) = (Arc::clone(&self.printer), service.to_owned(), instance.to_owned());
        let terminal = Terminal { width: terminal::width(), colours: false };
        let journal = Journal::new(&args, terminal, move |text| {
            text.lines().filter(|line| !line.is_empty()).for_each(|line| printer.of_api(&name, &who, line));
        });
        let way = |(callee, protocol): &(String, &str)| {
            let address = self.mesh.address(&lower::call_id(service, callee))?;
            Some((callee.clone(), ByWay { address, protocol: (*protocol).to_owned() }))
        };
        let calls = own.calls.iter().filter_map(way).collect();
        let mut application = Application::new(args, settings.read.clone(), surroundings, &journal)?;
        // Whoever changes the settings finds it there.
        self.declared().insert((service.to_owned(), port), application.declared.clone());
        application.notes.set("instance", instance.to_owned());
        application.notes.set("appCommand", own.command.clone());
        application.calls = calls;
        application.is_checked = true;
        application.gate = Some(Gate(is_open));
        let spans = (settings.traces != Recorded::None).then(|| Spans {
            recorder: Some(self.recorder.clone()),
            service: None,
            instance: instance.to_owned(),
            unsampled: settings.traces == Recorded::All,
            rate: 1.0,
        });
        application.tracing = Tracing::OfNode(spans);
        Ok((application, journal))
    }

    fn args(
        &self,
        settings: &Settings,
        own: &ForService,
        service: &str,
        port: u16,
    ) -> Result<Sidecar, Failure> {
        let mut flags: Vec<OsString> = vec![
            format!("--app-id={service}").into(),
            format!("--app-port={port}").into(),
            format!("--app-protocol={}", own.protocol).into(),
            "--dapr-http-port=0".into(),
            "--dapr-grpc-port=0".into(),
            "--dapr-listen-addresses=127.0.0.1".into(),
        ];
        for (flag, paths) in [("resources-path", &settings.resources), ("config", &settings.configuration)] {
            flags.extend(paths.iter().map(|path| {
                let mut word = OsString::from(format!("--{flag}="));
                word.push(path);
                word
            }));
        }
        if self.embedded {
            flags.push("--embedded".into());
        }
        Sidecar::of(flags).map_err(Failure::new)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn declared(&self) -> MutexGuard<'_, BTreeMap<(String, u16), Declared>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gates(&self) -> MutexGuard<'_, BTreeMap<(String, u16), watch::Sender<bool>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settings {
    pub(super) fn of(source: &Source, manifest: &valid::Manifest) -> Result<Settings, Failure> {
        let [resources, configuration] = source.resources(manifest);
        let redactor = Redactor::new(manifest.secrets.clone());
        let read = Read::of(&resources, &configuration)?;
        let own = |(name, service): (&String, &valid::Service)| match &service.source {
            valid::Source::Run(run) => {
                let spoken = |(callee, call): (&String, &valid::Call)| {
                    let answers = manifest.services.get(&call.to).map(|service| service.protocol);
                    (callee.clone(), answers.map_or("http", protocol))
                };
                let own = ForService {
                    protocol: protocol(service.protocol),
                    command: redactor.redact(&run.command).into_owned(),
                    env: run.env.clone(),
                    calls: service.calls.iter().map(spoken).collect(),
                };
                Some((name.clone(), own))
            }
            valid::Source::Url { .. } => None,
        };
        let services = manifest.services.iter().filter_map(own).collect();
        Ok(Settings { resources, configuration, read, traces: manifest.telemetry.traces, services })
    }
}

fn protocol(protocol: valid::Protocol) -> &'static str {
    match protocol {
        valid::Protocol::Http1 => "http",
        valid::Protocol::Http2 => "h2c",
        valid::Protocol::Grpc => "grpc",
    }
}

/// As the reason why an instance has not started.
fn told(failure: &Failure) -> String {
    let hints = failure.hints.iter().map(|hint| format!("; {hint}")).collect::<String>();
    format!("its application API cannot be served: {}{hints}", failure.message)
}

/// Where OpenTelemetry's SDKs find what they say of themselves.
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
