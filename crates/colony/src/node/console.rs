//! The node as the console sees it, and the thread that serves the page.
//!
//! The console has a thread of its own, so that whoever looks keeps nothing from getting on. What is done to the node is done by the
//! node's own thread, for it outlives who has asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use console::{Console, Doing, Durable, Force, Held, Measured, Operation, Problem, Sources, Token};
use http::StatusCode;
use manifest::valid;
use mesh::ForceError;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use supervisor::{CommandError, Done, ServiceStatus};
use telemetry::alerts::Change;
use telemetry::logs::LogWindow;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Node;
use crate::args;
use crate::command::explain;
use crate::failure::Failure;
use crate::faults::Wanted;
use crate::sidecars::Look;

/// Where it listens unless it is said otherwise.
const PORT: u16 = 7700;
/// How many ports are tried then.
const PORTS: u16 = 100;

/// The console of a node.
pub(super) fn of(node: &Arc<Node>) -> Console {
    Console::new(Arc::new(View { node: Arc::clone(node), runtime: Handle::current() }))
}

/// Where the console listens, if it is wanted.
pub(super) fn bind(wanted: Option<args::Console>) -> Result<Option<std::net::TcpListener>, Failure> {
    let at = |address: SocketAddr| {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok::<_, io::Error>(listener)
    };
    match wanted {
        Some(args::Console::Off) => Ok(None),
        Some(args::Console::At(address)) => at(address).map(Some).map_err(|error| {
            Failure::new(format!("the console cannot listen on {address}: {error}"))
                .hint("name another address with --console, or `--console off`")
        }),
        None => {
            let ports = PORT..PORT + PORTS;
            let free = ports.into_iter().find_map(|port| at((Ipv4Addr::LOCALHOST, port).into()).ok());
            Ok(free.or_else(|| at((Ipv4Addr::LOCALHOST, 0).into()).ok()))
        }
    }
}

/// Serves the page until this is dropped.
pub(super) struct Serving {
    _stop: oneshot::Sender<()>,
}

/// Has a thread of its own watch the node and serve the page.
pub(super) fn serve(
    console: Console,
    listener: Option<(std::net::TcpListener, Token)>,
) -> Result<Option<Serving>, Failure> {
    let Some((listener, token)) = listener else { return Ok(None) };
    let cannot = |error: io::Error| Failure::new(format!("cannot start the console: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let (stop, mut stopped) = oneshot::channel();
    let serving = move || {
        runtime.block_on(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            tokio::select! {
                () = console.serve(listener, token) => {}
                () = console.watch() => {}
                _ = &mut stopped => {}
            }
        });
    };
    std::thread::Builder::new().name("console".to_owned()).spawn(serving).map_err(cannot)?;
    Ok(Some(Serving { _stop: stop }))
}

/// A node, as the console sees it.
struct View {
    node: Arc<Node>,
    /// The node's own.
    runtime: Handle,
}

impl Sources for View {
    fn status(&self) -> Value {
        serde_json::to_value(self.node.status()).unwrap_or_default()
    }

    fn manifest(&self) -> valid::Manifest {
        self.node.current().manifest.clone()
    }

    fn plane(&self) -> mesh::Status {
        self.node.mesh.status()
    }

    fn services(&self) -> Vec<ServiceStatus> {
        self.node.supervisor.status()
    }

    fn logs(&self) -> Arc<LogWindow> {
        self.node.logs.clone()
    }

    fn telemetry(&self) -> telemetry::Telemetry {
        self.node.telemetry().clone()
    }

    fn metrics<'a>(&'a self, accept: &'a str) -> Doing<'a, (&'static str, String)> {
        Box::pin(async move { Ok(super::measure::exposed(&self.node, accept).await) })
    }

    fn measured(&self, asked: Measured) -> Doing<'_, Value> {
        Box::pin(async move {
            match asked {
                Measured::Metric(query) => {
                    super::measure::api::metrics(&self.node, &query).map_err(Problem::invalid)
                }
                Measured::Objectives => Ok(super::measure::api::slos(&self.node)),
                Measured::Standings => Ok(super::measure::api::standings(&self.node)),
                Measured::Changes(query) => {
                    super::measure::api::changes(&self.node, &query).map_err(Problem::invalid)
                }
                Measured::Digest => Ok(super::measure::digest::top(&self.node).await),
            }
        })
    }

    fn redacted(&self, document: Value) -> Value {
        self.node.printer.redacted(document)
    }

    fn operate(&self, operation: Operation) -> Doing<'_, Value> {
        let node = Arc::clone(&self.node);
        let task = self.runtime.spawn(async move { carry_out(&node, operation).await });
        Box::pin(async move { task.await.map_err(Problem::internal)? })
    }

    fn explain(&self, call: &str) -> Result<Value, Problem> {
        explain::live::whole(&self.node.source, self.manifest(), call).ok_or_else(|| no_call(call))
    }

    fn terms(&self, call: &str) -> Result<Value, Problem> {
        explain::live::terms(&self.node.source, self.manifest(), call).ok_or_else(|| no_call(call))
    }

    fn written(&self) -> Result<Value, Problem> {
        self.node.written()
    }

    fn durable(&self) -> Doing<'_, Durable<'_>> {
        Box::pin(async move {
            let look = self.node.apis.look().await.ok_or_else(|| {
                Problem::unavailable("what is durable is not open here").remedy(
                    "it is once a service runs that has the application API, unless another process holds the data folder",
                )
            })?;
            Ok(Durable { host: Arc::clone(&look.host), held: Box::new(Open(look)) })
        })
    }
}

/// Keeps open what is looked at.
struct Open<'a>(#[expect(dead_code, reason = "is held")] Look<'a>);

impl Held for Open<'_> {}

fn no_call(call: &str) -> Problem {
    Problem::impossible(format!("there is no call `{call}`"))
}

async fn carry_out(node: &Arc<Node>, operation: Operation) -> Result<Value, Problem> {
    let done = match operation {
        Operation::Apply => {
            let report = node.reload().await;
            // What is wrong with the manifest is told to whoever asked.
            if report["drawn"].is_null() {
                node.printer.reloaded(&report);
            }
            Ok(report)
        }
        Operation::End => {
            node.ending.notify_one();
            let name = node.current().manifest.name.clone();
            Ok(json!({ "stopping": name, "manifest": node.source.file }))
        }
        Operation::Restart(service) => {
            let change = node.printer.changed("rollout", format!("the instances of {service} are replaced"));
            serde_json::to_value(taken(node, &change, node.supervisor.restart(&service, None).await)?)
        }
        Operation::Stop(service) => {
            let change = node.printer.changed("stop", format!("{service} is stopped"));
            let done = taken(node, &change, node.supervisor.stop(&service).await)?;
            node.mesh.give_up(&service);
            serde_json::to_value(done)
        }
        Operation::Scale(service, instances) => {
            let change = node.printer.changed("scale", format!("{service} is to have {instances} instances"));
            serde_json::to_value(taken(node, &change, node.supervisor.scale(&service, instances).await)?)
        }
        Operation::Kill(instance) => Ok(kill(node, &instance)?),
        Operation::Breaker(call, force) => {
            force_breaker(node, &call, force)?;
            let how = json!(force).as_str().unwrap_or_default().to_owned();
            node.printer.changed("breaker", format!("the breaker of {call} is set to {how}"));
            Ok(json!({ "call": call, "state": force }))
        }
        Operation::AddFault(fault) => {
            let wanted: Wanted = serde_json::from_value(fault)
                .map_err(|error| Problem::invalid(format!("the fault is not valid: {error}")))?;
            serde_json::to_value(node.add_fault(&wanted).map_err(Problem::impossible)?)
        }
        Operation::ClearFaults(id) => {
            Ok(json!({ "cleared": node.clear_faults(id).map_err(Problem::impossible)? }))
        }
    };
    done.map_err(Problem::internal)
}

/// What has come of an operation. What was refused has changed nothing, so it is not noted among the changes either.
fn taken(node: &Node, change: &Change, done: Result<Done, CommandError>) -> Result<Done, Problem> {
    done.map_err(|error| {
        if error.is_callers() {
            node.printer.unchanged(change);
        }
        refused(&error)
    })
}

/// Ends an instance as a crash would: what comes of it is the supervisor's.
fn kill(node: &Node, instance: &str) -> Result<Value, Problem> {
    let services = node.supervisor.status();
    let found = services.iter().flat_map(|service| &service.instances).find(|one| one.id == instance);
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no instance {instance}")))?;
    let pid = found.pid.and_then(|pid| i32::try_from(pid).ok());
    let is_ended = pid.is_some_and(|pid| killpg(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
    Ok(json!({ "instance": instance, "killed": is_ended, "pid": pid }))
}

fn force_breaker(node: &Node, call: &str, force: Force) -> Result<(), Problem> {
    let force = match force {
        Force::Open => policy::Force::Open,
        Force::Closed => policy::Force::Closed,
        Force::Auto => policy::Force::Auto,
    };
    node.mesh.force_breaker(call, force).map_err(|error| {
        Problem::impossible(match error {
            ForceError::NoCall { known } if known.is_empty() => {
                format!("there is no call `{call}`, nor any other")
            }
            ForceError::NoCall { known } => {
                format!("there is no call `{call}`; there are\n    {}", known.join("\n    "))
            }
            ForceError::NoBreaker => format!("`{call}` has `breaker: none`, so there is nothing to force"),
        })
    })
}

fn refused(error: &CommandError) -> Problem {
    let status = if error.is_callers() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CONFLICT };
    let mut detail = error.to_string();
    if let CommandError::Failed { last_lines, .. } = error {
        for line in last_lines {
            detail.push_str("\n    ");
            detail.push_str(line);
        }
    }
    Problem::new(status, detail)
}

impl Node {
    /// The files of the manifest in force, those that are there now, and how these differ.
    fn written(&self) -> Result<Value, Problem> {
        let (applied, before) = {
            let current = self.current();
            (current.files.clone(), current.manifest.clone())
        };
        let input = self.source.read().map_err(|failure| Problem::unavailable(failure.message))?;
        let checked = self.source.check().map_err(|failure| Problem::unavailable(failure.message))?;
        let changes = checked.manifest.as_ref().map(|manifest| super::reload::changes(&before, manifest));
        let overlays: Vec<&PathBuf> = self.source.overlays.iter().collect();
        Ok(json!({
            "file": self.source.file,
            "overlays": overlays,
            "applied": files(&applied),
            "written": files(&manifest::masked(&input)),
            "changes": changes,
            "diagnostics": checked.diagnostics.to_json(),
        }))
    }
}

fn files(sources: &[manifest::Source]) -> Vec<Value> {
    sources.iter().map(|source| json!({ "name": source.name, "text": source.text })).collect()
}

/// The link of the console that listens at an address, as one types it.
pub(crate) fn link(address: &str, token: &Token) -> String {
    format!("{address}/?token={}", token.text())
}

/// How an address is asked for: one that stands for all is asked for as this machine.
pub(super) fn url(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("http://127.0.0.1:{}", address.port()),
        false => format!("http://{address}"),
    }
}

/// Where a node of this data folder can be looked at.
pub(super) fn token(node: &Node) -> Result<Token, Failure> {
    let data = node.source.data_dir();
    Token::of(&data).map_err(|error| {
        Failure::new(format!("cannot make the console's token in {}: {error}", data.display()))
    })
}
