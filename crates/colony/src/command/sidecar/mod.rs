//! `colony sidecar`: the application API for one program.

mod files;
mod journal;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use api::{Api, BindError, Host, Server};
use engine::{Embedded, OpenError};
use tokio::sync::Notify;

use super::data;
use crate::adapters::Adapters;
use crate::args::Sidecar;
use crate::failure::Failure;
use crate::lower::sidecar::{self as lower, Environment};
use crate::process::{self, Signals};
use crate::source;
use journal::{Journal, Level};

pub(crate) fn run(args: &Sidecar, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    process::raise_descriptor_limit();
    let journal = Journal::new(args);
    if !args.ignored.is_empty() {
        journal.say(Level::Warn, &format!("flags without effect here: {}", flags(&args.ignored)));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let config = runtime.block_on(config(args, &journal))?;
    let folder =
        data.map_or_else(|| PathBuf::from(source::DATA), Path::to_owned).join(FOLDER).join(&args.app_id);
    let host = open(&folder, &config)?;
    let saying = journal.clone();
    let api = host.join(config, Box::new(move |line| saying.say(Level::Info, line)));
    let api = api.map_err(|error| Failure::new(error.to_string()))?;
    let ended = runtime.block_on(serve(&api, &journal, &folder, started));
    // What is left is with those that a second signal did not wait for.
    runtime.shutdown_background();
    drop(api);
    host.close();
    ended.map(|()| ExitCode::SUCCESS)
}

/// What is to be served, with what it needs from outside.
async fn config(args: &Sidecar, journal: &Journal) -> Result<api::Config, Failure> {
    let configuration = files::configuration(&args.config)?;
    files::tell(&configuration.diagnostics, journal)?;
    let mut found = files::resources(&args.resources_path)?;
    let adapters = match found.has_errors() {
        true => Adapters::default(),
        false => Adapters::open(&mut found, &configuration, &args.app_id).await,
    };
    files::tell(&found.diagnostics, journal)?;
    lower::config(args, environment(), &found.components, &adapters)
}

async fn serve(api: &Arc<Api>, journal: &Journal, folder: &Path, started: Instant) -> Result<(), Failure> {
    let server = Server::bind(&api.config).await.map_err(|error| unbound(&error))?;
    // Before anybody is told that it may be ended.
    let mut signals = Signals::new()?;
    journal.ready(&server, &api.config.app_id, folder, started.elapsed());
    let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told = (Arc::clone(&first), Arc::clone(&second));
    let telling = journal.clone();
    let listening = tokio::spawn(async move {
        signals.next().await;
        telling.say(Level::Info, "ending: what is in flight is finished first; once more, and it is not");
        told.0.notify_one();
        signals.next().await;
        told.1.notify_one();
    });
    tokio::select! {
        () = server.run(api, first.notified()) => journal.say(Level::Info, "ended"),
        () = second.notified() => {}
    }
    listening.abort();
    Ok(())
}

/// The node, with its engine in the folder.
fn open(folder: &Path, config: &api::Config) -> Result<Arc<Host>, Failure> {
    let settings = engine::Config {
        body_bytes_max: config.body_bytes_max.min(VALUE_BYTES_MAX),
        ..engine::Config::default()
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    let disk = Embedded::open_in(folder, settings.clone()).map_err(|error| unopened(folder, &error))?;
    Ok(Host::new(disk, settings))
}

fn unopened(folder: &Path, error: &OpenError) -> Failure {
    let failure = data::refused(folder, error);
    match error {
        OpenError::Open(log::OpenError::Locked { .. }) => failure
            .hint("a sidecar has its folder to itself: end the other one, or give this one another --app-id or --data"),
        _ => failure,
    }
}

fn unbound(error: &BindError) -> Failure {
    let flag = if error.what == "HTTP" { "--dapr-http-port" } else { "--dapr-grpc-port" };
    match error.source.kind() {
        ErrorKind::AddrInUse => process::port_in_use(error.address.port())
            .hint(format!("stop that program, or name another port with {flag}")),
        _ => Failure::new(format!("{error}: {}", error.source)),
    }
}

fn environment() -> Environment {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Environment {
        token: variable("DAPR_API_TOKEN"),
        app_token: variable("APP_API_TOKEN"),
        namespace: variable("NAMESPACE"),
        machine: (variable("DAPR_HOST_IP").and_then(|address| address.parse().ok()), host_name()),
        no_http2: variable("DAPR_HTTP_DISABLE_H2C").is_some_and(|word| matches!(&*word, "1" | "true")),
    }
}

/// What the machine calls itself.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn flags(names: &[String]) -> String {
    names.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ")
}

/// Under which name sidecars' folders lie in the data folder.
const FOLDER: &str = "sidecar";
/// The largest value that there is room for, whatever is set: some of a command is not the value.
const VALUE_BYTES_MAX: usize = 7 << 20;
