//! The life of one process, from the choice of its port until nothing of its group is left. It decides
//! nothing: it tells what happens.

use crate::command::{self, Line};
use crate::config::{Company, Output, Run, Service};
use crate::guardian::TERM_GRACE;
use crate::machine::{Input, RunId};
use crate::output::{Tail, pump};
use crate::ports;
use crate::procfs;
use crate::shared::Shared;
use crate::warden::{Group, Launch, Spawned, Warden};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Runs an instance once and reports to `inbox`. Dropping the future kills the group.
pub(crate) async fn run_instance(
    shared: Arc<Shared>,
    spec: Arc<Service>,
    run: RunId,
    number: u32,
    inbox: UnboundedSender<Input>,
) {
    let Some(config) = spec.run() else { return };
    let report = |input| drop(inbox.send(input));
    let port = match choose_port(&shared, config).await {
        Ok(port) => port,
        Err(why) => return report(Input::NotStarted { run, why }),
    };
    let instance = format!("{}-{number}", spec.name);
    match begin(&shared, &spec, config, &instance, port).await {
        Err(why) => report(Input::NotStarted { run, why }),
        Ok((mut company, spawned)) => {
            let pid = u32::try_from(spawned.group.id()).unwrap_or_default();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            report(Input::Started { run, pid, address, command: config.command.clone() });
            let lines = |stream| line_sink(&shared, &spec.name, &instance, stream);
            let group = spawned.group.id();
            let (tail, end) = follow(spawned, [lines(Output::Stdout), lines(Output::Stderr)]);
            let down = |status| report(Input::Down { run, status: describe(status) });
            let mut gone = std::pin::pin!(end.until_gone(&shared.warden, down));
            tokio::select! {
                () = &mut gone => {}
                () = &mut company.over => {
                    procfs::signal_group(group, libc::SIGTERM);
                    if timeout(config.grace, &mut gone).await.is_err() {
                        procfs::signal_group(group, libc::SIGKILL);
                        gone.await;
                    }
                }
            }
            // First this: what is started in its place finds nothing of it.
            drop(company);
            report(Input::Gone { run, last_lines: tail.lines() });
        }
    }
    shared.ports().give_back(port);
}

/// Begins what stands beside a process, and starts it.
async fn begin(
    shared: &Arc<Shared>,
    spec: &Service,
    config: &Run,
    instance: &str,
    port: u16,
) -> Result<(Company, Spawned), String> {
    let company = shared.beside.begin(spec, instance, port).await?;
    let environment = environment(config, &company.env, &spec.name, instance, port);
    let spawned = launch(shared, config, environment, instance).await?;
    Ok((company, spawned))
}

/// Runs a build to its end. Err: how it ended and its last lines. Dropping the future kills the group.
pub(crate) async fn run_build(
    shared: &Arc<Shared>,
    service: &str,
    line: &str,
    dir: &Path,
) -> Result<(), (String, Vec<String>)> {
    let plan = command_launch(shared, line, dir, Vec::new(), format!("{service}-build"), None);
    let spawned = match plan {
        Ok(plan) => shared.warden.spawn(plan).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let spawned = spawned.map_err(|why| (why, Vec::new()))?;
    let lines = |stream| line_sink(shared, service, "build", stream);
    let (tail, end) = follow(spawned, [lines(Output::Stdout), lines(Output::Stderr)]);
    let mut ended = None;
    end.until_gone(&shared.warden, |status| ended = Some(status)).await;
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err((describe(status), tail.lines())),
        None => Err(("ended".to_owned(), tail.lines())),
    }
}

async fn choose_port(shared: &Arc<Shared>, config: &Run) -> Result<u16, String> {
    let Some(port) = config.port else {
        return shared.ports().take().ok_or_else(|| "there is no free port left".to_owned());
    };
    if ports::is_free(port) {
        return Ok(port);
    }
    let why = tokio::task::spawn_blocking(move || ports::in_use(port)).await;
    Err(why.unwrap_or_else(|_| format!("port {port} is in use")))
}

fn environment(
    config: &Run,
    beside: &BTreeMap<String, String>,
    service: &str,
    instance: &str,
    port: u16,
) -> Vec<(OsString, OsString)> {
    let own = [
        ("PORT", port.to_string()),
        ("COLONY_SERVICE", service.into()),
        ("COLONY_INSTANCE", instance.into()),
    ];
    let given = beside.iter().chain(&config.env).map(|(name, value)| (name.into(), value.into()));
    given.chain(own.map(|(name, value)| (name.into(), value.into()))).collect()
}

async fn launch(
    shared: &Arc<Shared>,
    config: &Run,
    env: Vec<(OsString, OsString)>,
    instance: &str,
) -> Result<Spawned, String> {
    let path = config.env.get("PATH").cloned();
    let mut plan = command_launch(shared, &config.command, &config.dir, env, instance.to_owned(), path)?;
    plan.mark = Some(shared.warden.mark(instance));
    let program = plan.program.clone();
    let spawned = shared.warden.spawn(plan).await;
    spawned.map_err(|error| format!("cannot execute `{}`: {error}", program.display()))
}

fn command_launch(
    shared: &Shared,
    line: &str,
    dir: &Path,
    env: Vec<(OsString, OsString)>,
    instance: String,
    path: Option<String>,
) -> Result<Launch, String> {
    let path = path.or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
    let words = match command::parse(line) {
        Line::Words(words) => words,
        Line::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
    };
    let program = command::resolve(words.first().map_or("", String::as_str), dir, &shared.shown(dir), &path)?;
    Ok(Launch { program, words, dir: dir.to_owned(), env, instance, mark: None })
}

pub(crate) type Sink = Box<dyn FnMut(&str) + Send>;

fn line_sink(shared: &Arc<Shared>, service: &str, instance: &str, stream: Output) -> Sink {
    let (shared, service, instance) = (Arc::clone(shared), service.to_owned(), instance.to_owned());
    Box::new(move |text| shared.observer.line(&service, &instance, stream, text))
}

/// A process that is waited for.
pub(crate) struct Ending {
    child: tokio::process::Child,
    group: Group,
    readers: Vec<JoinHandle<()>>,
}

pub(crate) fn follow(mut spawned: Spawned, sinks: [Sink; 2]) -> (Tail, Ending) {
    let tail = Tail::default();
    let [out, err] = sinks.map(|mut sink| {
        let tail = tail.clone();
        move |line: &str| {
            tail.push(line);
            sink(line);
        }
    });
    let out = spawned.child.stdout.take().map(|stream| tokio::spawn(pump(stream, out)));
    let err = spawned.child.stderr.take().map(|stream| tokio::spawn(pump(stream, err)));
    let readers = out.into_iter().chain(err).collect();
    (tail, Ending { child: spawned.child, group: spawned.group, readers })
}

impl Ending {
    /// Until the leader has exited, which `down` is told at once, its group is empty, nobody who left the group
    /// is there any more, and its output is read.
    pub async fn until_gone(mut self, warden: &Warden, mut down: impl FnMut(ExitStatus)) {
        if let Ok(status) = self.child.wait().await {
            down(status);
        }
        let mut pause = LOOK_FIRST;
        while !self.group.is_empty() {
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_MAX);
        }
        self.end_strays().await;
        warden.forget(self.group.id());
        // A descendant that nobody knows of may hold the pipe open for ever.
        for reader in &mut self.readers {
            if timeout(OUTPUT_PATIENCE, &mut *reader).await.is_err() {
                reader.abort();
            }
        }
    }
}

impl Ending {
    /// Those who left the group had until now to be ended by it. They get SIGTERM, and then SIGKILL.
    async fn end_strays(&mut self) {
        let (begun, mut pause, mut told) = (Instant::now(), LOOK_FIRST, BTreeSet::new());
        loop {
            let strays = self.group.strays();
            if strays.is_empty() {
                return;
            }
            for pid in strays {
                if begun.elapsed() >= TERM_GRACE {
                    procfs::signal(pid, libc::SIGKILL);
                } else if told.insert(pid) {
                    procfs::signal(pid, libc::SIGTERM);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_MAX);
        }
    }
}

/// How a process ended, as people say it.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(name) => format!("killed by {name}"),
            Err(_) => format!("killed by signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_MAX: Duration = Duration::from_millis(50);
const OUTPUT_PATIENCE: Duration = Duration::from_millis(250);
