//! A running node: the data plane, the supervisor and what joins them, from start to drained end.

mod apis;
mod certificates;
pub(crate) mod console;
mod control;
mod faults;
mod lines;
mod measure;
mod otlp;
mod printer;
pub(crate) mod reload;
mod routing;
mod watch;
mod zones;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::Method;
use manifest::valid::{self, Recorded};
use mesh::{ApplyError, Mesh, Recording};
use serde::Serialize;
use serde_json::Value;
use supervisor::Supervisor;
use telemetry::logs::LogWindow;
use telemetry::{Redactor, Telemetry};
use tokio::sync::Notify;

use crate::args::Up;
use crate::client::Client;
use crate::failure::Failure;
use crate::lower;
use crate::process::{self, Signals};
use crate::registry;
use crate::socket::{self, SOCKET};
use crate::source::Source;
use crate::terminal;
use crate::tls;
use apis::Apis;
use otlp::Otlp;
use printer::Printer;

/// Lines of output that are kept for `colony logs`.
const LOG_LINES_MAX: usize = 10_000;
/// Bytes of the same.
const LOG_BYTES_MAX: usize = 4 << 20;
/// The folder, in that of the node's data, that telemetry is kept in.
pub(crate) const TELEMETRY: &str = "telemetry";
/// Longest wait for requests under way when the node stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What the parts of a running node share.
pub(crate) struct Node {
    source: Source,
    mesh: Mesh,
    supervisor: Supervisor,
    apis: Apis,
    logs: Arc<LogWindow>,
    telemetry: Telemetry,
    otlp: Otlp,
    printer: Arc<Printer>,
    measures: Arc<measure::Measures>,
    /// Where the metrics have a listener of their own.
    metrics: Option<String>,
    started: Instant,
    current: Mutex<Current>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    /// Told when the node shall end.
    ending: Notify,
    /// Where the console is, if it is served.
    console: OnceLock<String>,
}

/// What is in force.
struct Current {
    manifest: valid::Manifest,
    /// As they were written, without secrets.
    files: Vec<manifest::Source>,
    plane: mesh::config::Config,
}

/// Everything that `colony status` shows.
#[derive(Serialize)]
pub(crate) struct NodeStatus {
    name: String,
    version: &'static str,
    pid: u32,
    uptime_ms: u64,
    /// Address of the gateway, if there is one.
    gateway: Option<String>,
    /// Where the metrics are read, if they have a listener of their own.
    metrics: Option<String>,
    /// Address of the console, if it is served.
    console: Option<String>,
    /// What it shows clients of HTTPS.
    certificates: Vec<certificates::Shown>,
    /// The development CA that signed that, if it did.
    ca: Option<PathBuf>,
    manifest: String,
    data: String,
    rss_kib: Option<u64>,
    /// The zone that the node is in, if that is known.
    zone: Option<String>,
    /// As the supervisor says, with the zone of each instance.
    services: Vec<Value>,
    /// How what the manifest promises is kept.
    slos: Vec<measure::Standing>,
    /// What somebody should know of, with what changed at that time.
    alerts: Vec<Value>,
    /// What of telemetry is held, and what was lost.
    telemetry: telemetry::telemetry::Stats,
    /// How it comes in, and where it is sent.
    otlp: otlp::OtlpStatus,
    #[serde(flatten)]
    plane: mesh::Status,
}

/// A failure of a node, told in JSON, is an event like its others.
pub(crate) fn as_event(failure: Failure) -> Failure {
    let event = if failure.details.contains_key("diagnostics") { "invalid" } else { "failed" };
    failure.detail("event", event).detail("unix_ms", unix_ms())
}

/// `colony up`.
pub(crate) async fn run(up: Up, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    process::raise_descriptor_limit();
    let source = Source::find(&up.manifest, data)?;
    let checked = source.check()?;
    let warnings = checked.diagnostics.render(terminal::width(), terminal::colours());
    let Some(manifest) = checked.manifest else {
        if !up.json {
            terminal::out(&warnings);
        }
        let shown = &source.shown;
        return Err(Failure::new(format!("{shown} has errors; nothing was started"))
            .hint("`colony explain CODE` says more about each")
            .detail("diagnostics", checked.diagnostics.to_json()));
    };
    refuse_second(&source, data).await?;
    let logs = Arc::new(LogWindow::new(LOG_LINES_MAX, LOG_BYTES_MAX));
    let telemetry = kept(&source, &manifest)?;
    let lines = lines::Lines { window: logs.clone(), recorder: telemetry.recorder() };
    let printer = Arc::new(Printer::new(&up, &manifest, lines));
    let mut signals = Signals::new()?;
    let door = match up.metrics {
        Some(address) => Some(measure::Door::bind(address).await?),
        None => None,
    };
    let metrics = door.as_ref().map(measure::Door::url);
    let listener = console::bind(up.console)?;
    let node = start(&up, source, manifest, logs, telemetry, printer.clone(), metrics, started).await?;
    if let Some(door) = door {
        door.open(node.clone());
    }
    let link = match &listener {
        Some(listener) => {
            let address = listener.local_addr().ok().map(console::url).unwrap_or_default();
            let token = console::token(&node)?;
            let _ = node.console.set(address.clone());
            Some((console::link(&address, &token), token))
        }
        None => None,
    };
    printer.begin(&node, link.as_ref().map(|(link, _)| link.as_str()), &warnings);
    let page = console::of(&node);
    let serving = console::serve(page.clone(), listener.zip(link.map(|(_, token)| token)))?;
    let control = control::serve(&node, page).map_err(|error| {
        Failure::new(format!(
            "cannot open the control socket in {}: {error}",
            node.source.data_dir().display()
        ))
    })?;
    let registered = registry::Entry::new(&registry::Known {
        data: node.source.data_dir(),
        manifest: node.source.file.clone(),
        pid: std::process::id(),
    });
    if !up.no_watch {
        watch::start(node.clone());
    }
    certificates::start(node.clone());
    let announcing = tokio::spawn(announce(node.clone()));
    let measuring = measure::Measures::start(node.clone());
    tokio::select! {
        () = signals.next() => {}
        () = node.ending.notified() => {}
    }
    announcing.abort();
    measuring.abort();
    // What is lost of the last minute was of no great interest.
    let _ = node.measures.keep();
    tokio::spawn(async move {
        signals.next().await;
        #[allow(clippy::disallowed_methods, reason = "asked twice: the guardian ends the services")]
        std::process::exit(130);
    });
    drop(registered);
    node.end().await;
    drop(serving);
    control.abort();
    let _ = std::fs::remove_file(node.source.data_dir().join(SOCKET));
    printer.ended(started.elapsed());
    Ok(ExitCode::SUCCESS)
}

/// What is kept of traces and logs, from now on and from before.
fn kept(source: &Source, manifest: &valid::Manifest) -> Result<Telemetry, Failure> {
    let dir = source.data_dir().join(TELEMETRY);
    let config = telemetry::Config { seed: seed(), ..telemetry::Config::new(&dir) };
    Telemetry::start(lower::telemetry::window(&manifest.telemetry, config)).map_err(|error| {
        let failure = Failure::new(format!("cannot keep telemetry in {}: {error}", dir.display()));
        match error.kind() {
            io::ErrorKind::ResourceBusy => failure.hint("another `colony up` there starts or ends just now"),
            _ => failure,
        }
    })
}

/// Where telemetry is sent, by the manifest or the environment.
fn collector(manifest: &valid::Manifest) -> Result<Option<lower::telemetry::Collector>, Failure> {
    let found = lower::telemetry::collector(&manifest.telemetry, |name| std::env::var(name).ok());
    found.map_err(|why| Failure::new(why).hint("mend the variable, or take it away to send nothing"))
}

/// Starts the data plane and then the services behind it.
async fn start(
    up: &Up,
    source: Source,
    manifest: valid::Manifest,
    logs: Arc<LogWindow>,
    telemetry: Telemetry,
    printer: Arc<Printer>,
    metrics: Option<String>,
    started: Instant,
) -> Result<Arc<Node>, Failure> {
    let cannot = |error: io::Error| Failure::new(format!("cannot start the data plane: {error}"));
    let tls = tls::load(&manifest)?;
    let threads = match up.threads {
        0 => std::thread::available_parallelism().map_or(1, |count| count.get()),
        threads => threads,
    };
    let mesh = Mesh::start(threads, seed()).map_err(cannot)?;
    mesh.record(recording(&manifest, &telemetry));
    let plane = lower::mesh(&manifest, tls);
    mesh.apply(plane.clone()).await.map_err(|error| explain_apply(&error))?;
    let otlp = Otlp::start(manifest.telemetry.otlp.as_ref(), &telemetry)?;
    otlp.send_to(collector(&manifest)?).await?;
    let services = lower::services(&manifest, otlp.endpoint(), |listener| mesh.address(listener));
    let config = supervisor::Config {
        services,
        data_dir: source.data_dir(),
        root: source.root.clone(),
        executable: std::env::current_exe().map_err(cannot)?,
    };
    let apis = Apis::new(&source, &manifest, mesh.clone(), printer.clone(), telemetry.recorder())?;
    let routing = Arc::new(routing::MeshRouting { mesh: mesh.clone(), apis: apis.clone() });
    let beside = Arc::new(apis.clone());
    let supervisor = Supervisor::start(config, routing, printer.clone(), beside).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let failure = Failure::new(format!("{error}{cause}"));
        match error {
            supervisor::Error::InUse { .. } => {
                failure.hint("another `colony up` there starts or ends just now")
            }
            _ => failure,
        }
    })?;
    let measures = Arc::new(measure::Measures::new(&source.data_dir(), printer.clone()));
    let files = source.read().map(|input| manifest::masked(&input)).unwrap_or_default();
    let current = Mutex::new(Current { manifest, files, plane });
    Ok(Arc::new(Node {
        source,
        mesh,
        supervisor,
        apis,
        logs,
        telemetry,
        otlp,
        printer,
        measures,
        metrics,
        started,
        current,
        reloading: tokio::sync::Mutex::new(()),
        ending: Notify::new(),
        console: OnceLock::new(),
    }))
}

/// Where spans of the data plane go, without the secrets that the manifest has. None: nowhere.
fn recording(manifest: &valid::Manifest, telemetry: &Telemetry) -> Option<Recording> {
    let traces = manifest.telemetry.traces;
    (traces != Recorded::None).then(|| Recording {
        recorder: telemetry.recorder(),
        redactor: Redactor::new(manifest.secrets.clone()),
        unsampled: traces == Recorded::All,
    })
}

/// Says when everything is ready, or what will not be.
async fn announce(node: Arc<Node>) {
    match node.supervisor.wait_ready().await {
        Ok(()) => node.printer.all_ready(&node),
        Err(not_ready) => node.printer.not_ready(&not_ready),
    }
}

impl Node {
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept of traces and logs, and where to hand more over.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(crate) fn gateway(&self) -> Option<String> {
        let scheme = if self.tls().is_some() { "https" } else { "http" };
        self.mesh.address(lower::GATEWAY).map(|address| format!("{scheme}://{address}"))
    }

    fn status(&self) -> NodeStatus {
        let manifest = self.current().manifest.clone();
        let services = self.supervisor.status();
        NodeStatus {
            services: services.iter().map(|service| zones::told(&manifest, service)).collect(),
            name: manifest.name,
            zone: manifest.zone,
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            slos: self.measures.standings(),
            alerts: self.measures.alerts(),
            gateway: self.gateway(),
            metrics: self.metrics.clone(),
            console: self.console.get().cloned(),
            certificates: self.certificates(),
            ca: self.authority(),
            manifest: self.source.file.display().to_string(),
            data: self.source.data_dir().display().to_string(),
            rss_kib: rss_kib(),
            telemetry: self.telemetry().stats(),
            otlp: self.otlp.status(),
            plane: self.mesh.status(),
        }
    }

    /// Stops at the edge first, then the services, then what is between them.
    async fn end(&self) {
        self.printer.ending();
        if !self.mesh.drain_gateway(DRAIN_MAX).await {
            self.printer.note("some requests had not been answered and were cut off");
        }
        self.supervisor.shutdown().await;
        self.apis.end().await;
        self.mesh.drain_calls(Duration::from_secs(1)).await;
        self.mesh.stop();
        // Last, for all that is before has something to say.
        let telemetry = self.telemetry.clone();
        let _ = tokio::task::spawn_blocking(move || telemetry.end()).await;
        self.otlp.end().await;
    }
}

/// A data folder is one node's; says which one has it.
async fn refuse_second(source: &Source, data: Option<&Path>) -> Result<(), Failure> {
    let data_dir = source.data_dir();
    if socket::connect(&data_dir).await.is_err() {
        return Ok(());
    }
    let status = Client::at(&data_dir).call(Method::GET, "/api/status", None).await?;
    let colony = data.map_or("colony".to_owned(), |data| format!("colony --data {}", data.display()));
    let running = status["manifest"].as_str().unwrap_or_default();
    let pid = &status["pid"];
    if Path::new(running) == source.file {
        let message = format!("{} is up already, as pid {pid}", source.shown);
        return Err(Failure::new(message).hint(format!(
            "`{colony} status` shows it, `{colony} apply` takes changes on, `{colony} stop` ends it"
        )));
    }
    let message =
        format!("the data folder {} is that of {running}, which is up as pid {pid}", data_dir.display());
    Err(Failure::new(message)
        .hint(format!(
            "`colony up {} --data DIR` runs it beside, with a data folder of its own",
            source.shown
        ))
        .hint(format!("`{colony} stop` ends the other one")))
}

fn explain_apply(error: &ApplyError) -> Failure {
    let ApplyError::Bind(bind) = error else { return Failure::new(error.to_string()) };
    if bind.source.kind() != io::ErrorKind::AddrInUse {
        return Failure::new(format!("{bind}: {}", bind.source));
    }
    let failure = process::port_in_use(bind.address.port());
    failure.hint(format!("stop that program, or change `{}.listen` in the manifest", bind.listener))
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn rss_kib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Differs from run to run, for balancing and jitter must not be in step between nodes.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
