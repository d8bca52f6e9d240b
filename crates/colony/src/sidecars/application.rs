//! An application as its own process describes it, and as whoever serves it takes it on.
//!
//! Everything that is read from around a process is in the description: it is served in another one, and goes on with the
//! same after that has ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::carried::Carried;
use api::config::Gate;
use api::health::Phase;
use api::{BindError, End, Host, Instance, Listeners, Server};
use manifest::Diagnostics;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::files::{self, Declared, Read};
use super::journal::{Addresses, Journal, Level, Terminal};
use super::message::FromHolder;
use super::roster::Roster;
use super::traces::{Endings, Traces, Tracing};
use crate::adapters::{Adapters, Surroundings};
use crate::args::Sidecar;
use crate::failure::Failure;
use crate::lower::resiliency::resiliency;
use crate::lower::sidecar::{self as lower, Environment};
use crate::lower::telemetry;
use crate::process;
use crate::terminal;

/// One application.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Application {
    pub(crate) args: Sidecar,
    /// What its own process has around it.
    surroundings: Surroundings,
    /// What its files say.
    pub(crate) declared: Declared,
    pub(super) terminal: Terminal,
    /// What is told of it besides.
    pub(crate) notes: Notes,
    /// Whom it calls by way of the data plane, and where that takes the calls.
    pub(crate) calls: BTreeMap<String, ByWay>,
    /// Whether what is doubtful in its files has been said.
    pub(crate) is_checked: bool,
    /// Who knows whether it may be called; not known by another process.
    #[serde(skip)]
    pub(crate) gate: Option<Gate>,
    /// Who says what is recorded of it; a node's sidecars are served by no other process.
    #[serde(skip)]
    pub(crate) tracing: Tracing,
}

/// How the data plane takes calls of an application.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ByWay {
    pub(crate) address: SocketAddr,
    /// What is spoken there: as for the application.
    pub(crate) protocol: String,
}

impl ByWay {
    fn app(&self) -> api::config::App {
        api::config::App {
            port: Some(self.address.port()),
            host: self.address.ip().to_string(),
            protocol: self.protocol.clone(),
            ..api::config::App::default()
        }
    }
}

/// Where applications are served.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) host: Arc<Host>,
    /// Whose data they have.
    pub(super) data: PathBuf,
    pub(super) roster: Roster,
    /// Who sends spans that are left.
    pub(super) endings: Endings,
}

/// What an application is served with that its own process had.
pub(super) struct Handed {
    pub(super) listeners: Listeners,
    /// What stood with who served it before.
    pub(super) carried: Vec<Carried>,
    /// Who is told what changes of that, if it is served for another process.
    pub(super) told: Option<mpsc::Sender<FromHolder>>,
}

/// What a process notes with its application, and again with whoever serves it next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub(crate) struct Notes(Arc<watch::Sender<BTreeMap<String, String>>>);

impl Notes {
    pub(crate) fn set(&self, key: &str, value: String) {
        self.0.send_modify(|notes| {
            notes.insert(key.to_owned(), value);
        });
    }

    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.0.borrow().clone()
    }

    pub(super) fn replace(&self, notes: BTreeMap<String, String>) {
        self.0.send_replace(notes);
    }

    pub(super) fn watch(&self) -> watch::Receiver<BTreeMap<String, String>> {
        self.0.subscribe()
    }

    /// Has them told of by the API, as long as it is there.
    async fn keep(&self, instance: &Instance) {
        let mut notes = self.watch();
        loop {
            let api = instance.api();
            for (key, value) in &*notes.borrow_and_update() {
                // One that is too long is not told of.
                let _ = api.note(key, value);
            }
            drop(api);
            if notes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl From<BTreeMap<String, String>> for Notes {
    fn from(notes: BTreeMap<String, String>) -> Notes {
        Notes(Arc::new(watch::Sender::new(notes)))
    }
}

impl From<Notes> for BTreeMap<String, String> {
    fn from(notes: Notes) -> BTreeMap<String, String> {
        notes.all()
    }
}

impl Application {
    /// The one that this process is started for.
    pub(crate) fn here(args: Sidecar, journal: &Journal) -> Result<Application, Failure> {
        let read = Read::of(&args.resources_path, &args.config)?;
        Application::new(args, read, Surroundings::here()?, journal)
    }

    /// One with these files and surroundings. Says what of its command line has no effect.
    pub(crate) fn new(
        args: Sidecar,
        read: Read,
        surroundings: Surroundings,
        journal: &Journal,
    ) -> Result<Application, Failure> {
        if !args.ignored.is_empty() {
            let flags = args.ignored.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
            journal.say(Level::Warn, &format!("flags without effect here: {flags}"));
        }
        lower::check(&args)?;
        let notes = Notes::default();
        // Who answers need not be the process that was started.
        notes.set("sidecarPID", std::process::id().to_string());
        Ok(Application {
            declared: read.into(),
            surroundings,
            terminal: Terminal { width: terminal::width(), colours: terminal::colours() },
            notes,
            calls: BTreeMap::new(),
            is_checked: false,
            gate: None,
            tracing: Tracing::Own,
            args,
        })
    }

    /// Listens where it is to be served.
    pub(crate) async fn bind(&self) -> Result<Listeners, Failure> {
        let bound = match &self.args.unix_domain_socket {
            Some(folder) => {
                let [http, grpc] = sockets(folder, &self.args.app_id);
                for path in [&http, &grpc] {
                    // Left behind by one that was killed.
                    if UnixStream::connect(path).is_err_and(|error| error.kind() == REFUSED) {
                        let _ = std::fs::remove_file(path);
                    }
                }
                Listeners::bind_unix(&http, &grpc)
            }
            None => {
                let (http, grpc) = lower::addresses(&self.args, self.environment().token.is_some())?;
                Listeners::bind(&http, &grpc).await
            }
        };
        bound.map_err(|error| unbound(&error))
    }

    /// What its program finds its sidecar by, in its environment.
    pub(crate) fn told(&self, listeners: &Listeners) -> BTreeMap<String, String> {
        let args = &self.args;
        let port = |all: &[api::Listener]| Some(all.first()?.address()?.port().to_string());
        let told = [
            ("APP_ID", Some(args.app_id.clone())),
            ("APP_PORT", args.app_port.flatten().map(|port| port.to_string())),
            ("APP_PROTOCOL", Some(args.app_protocol.clone())),
            ("APP_CHANNEL_ADDRESS", Some(args.app_channel_address.clone())),
            ("DAPR_HTTP_PORT", port(&listeners.http)),
            ("DAPR_GRPC_PORT", port(&listeners.grpc)),
        ];
        told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Lets go of what outlives the listeners.
    pub(crate) fn unbind(&self) {
        for path in self.args.unix_domain_socket.iter().flat_map(|folder| sockets(folder, &self.args.app_id))
        {
            let _ = std::fs::remove_file(path);
        }
    }

    /// As lines are to be written where it was started.
    pub(super) fn journal(&self, out: impl Fn(&str) + Send + Sync + 'static) -> Journal {
        Journal::new(&self.args, self.terminal, out)
    }

    /// Serves it until `stop`, or until a request asks for the end. What is declared otherwise meanwhile is taken on.
    pub(super) async fn serve(
        &self,
        at: &Place,
        handed: Handed,
        journal: &Journal,
        stop: impl Future<Output = End>,
        ready: impl FnOnce(),
        closing: impl FnOnce(),
    ) -> Result<End, Failure> {
        let Handed { listeners, carried, told } = handed;
        let mut stop = std::pin::pin!(stop);
        let mut declared = self.declared.watch();
        let read = declared.borrow_and_update().clone();
        let traces = Traces::new(journal, at.endings.clone());
        let (config, adapters) = tokio::select! {
            // By far the largest of what is done here, and done seldom.
            config = Box::pin(self.config(&at.data, &read, journal, None, &traces)) => config?,
            end = &mut stop => return Ok(end),
        };
        let saying = journal.clone();
        let instance = at.host.join(config, Box::new(move |line| saying.say(Level::Info, line)));
        let instance = instance.map_err(|error| Failure::new(error.to_string()))?;
        traces.taken_on();
        if told.is_some() {
            instance.carry();
        }
        instance.restore(carried);
        let _entry = at.roster.enter(self, &Addresses::of(&listeners), &instance);
        let server = Server::on(listeners)
            .map_err(|error| Failure::new(format!("cannot wait for connections: {error}")))?;
        let beside = async {
            // It is never dropped before.
            let _ = instance.health.watch().wait_for(|phase| *phase > Phase::Starting).await;
            ready();
            let renewing =
                Box::pin(self.renew(&at.data, &instance, journal, declared, (read, adapters), &traces));
            tokio::join!(self.notes.keep(&instance), renewing);
        };
        let end = tokio::select! {
            biased;
            end = server.run_until(&instance, stop, closing) => end,
            () = beside => End::Whole,
            () = tell(&instance, told.as_ref()) => End::Whole,
        };
        while let (Some(told), Some(one)) = (&told, instance.changed_now()) {
            // Who is gone has no need of it.
            let _ = told.send(FromHolder::Carried(one)).await;
        }
        Ok(end)
    }

    /// What is to be served, with what it needs from outside: what is as it was is had from `before`.
    pub(super) async fn config(
        &self,
        data: &Path,
        read: &Read,
        journal: &Journal,
        before: Option<&Adapters>,
        traces: &Traces<'_>,
    ) -> Result<(api::Config, Adapters), Failure> {
        let configuration = files::configuration(&read.configuration);
        self.tell(&configuration.diagnostics, journal)?;
        let mut found = files::resources(&read.resources, &self.surroundings.variables, self.args.embedded);
        let adapters = match found.has_errors() {
            true => Adapters::default(),
            false => {
                let (app_id, around) = (&self.args.app_id, &self.surroundings);
                Adapters::open(&mut found, &configuration, app_id, around, data, before).await
            }
        };
        let subscriptions = lower::subscriptions(&mut found, &self.args.app_id);
        let resiliency = resiliency(&mut found, &self.args.app_id);
        self.tell(&found.diagnostics, journal)?;
        for (name, kind) in found.embedded.iter().filter(|_| before.is_none()) {
            journal.say(Level::Info, &format!("{name:?} ({kind}) is kept by Colony: --embedded"));
        }
        let mut config = lower::config(&self.args, self.environment(), &found.components, &adapters)?;
        config.by_way = self.calls.iter().map(|(callee, way)| (callee.clone(), way.app())).collect();
        config.app.gate = self.gate.clone();
        config.spans = match &self.tracing {
            Tracing::OfNode(spans) => spans.clone(),
            Tracing::Own => traces.wanted(self.recorded(&configuration, journal, before.is_none()))?,
        };
        let (apis, access) = (lower::apis(&configuration), lower::access(&configuration));
        Ok((api::Config { subscriptions, resiliency, apis, access, ..config }, adapters))
    }

    /// What is recorded of it. What a shell says for its programs keeps none from starting.
    fn recorded(
        &self,
        configuration: &manifest::Configuration,
        journal: &Journal,
        is_first: bool,
    ) -> Option<telemetry::Tracing> {
        let said = configuration.tracing.as_ref();
        let found = telemetry::tracing(said, |name| self.surroundings.variables.get(name).cloned());
        found.unwrap_or_else(|why| {
            if is_first {
                journal.say(Level::Warn, &format!("spans are not sent: {why}"));
            }
            None
        })
    }

    fn tell(&self, found: &Diagnostics, journal: &Journal) -> Result<(), Failure> {
        match self.is_checked && found.errors() == 0 {
            true => Ok(()),
            false => files::tell(found, journal),
        }
    }

    fn environment(&self) -> Environment {
        let variable =
            |name: &str| self.surroundings.variables.get(name).filter(|value| !value.is_empty()).cloned();
        Environment {
            token: variable("DAPR_API_TOKEN"),
            app_token: variable("APP_API_TOKEN"),
            namespace: variable("NAMESPACE"),
            machine: (variable("DAPR_HOST_IP").and_then(|address| address.parse().ok()), host_name()),
            no_http2: variable("DAPR_HTTP_DISABLE_H2C").is_some_and(|word| matches!(&*word, "1" | "true")),
        }
    }
}

/// Tells what changes of what the application has told, for as long as it is there.
async fn tell(instance: &Instance, told: Option<&mpsc::Sender<FromHolder>>) {
    while let Some(told) = told {
        // First this: nothing is taken that cannot be told.
        let Ok(room) = told.reserve().await else { break };
        room.send(FromHolder::Carried(instance.changed().await));
    }
    std::future::pending().await
}

/// What the machine calls itself.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Where HTTP and gRPC are served in a folder, by the names that SDKs look for.
fn sockets(folder: &Path, app_id: &str) -> [PathBuf; 2] {
    ["http", "grpc"].map(|what| folder.join(format!("dapr-{app_id}-{what}.socket")))
}

fn unbound(error: &BindError) -> Failure {
    let flag = if error.what == "HTTP" { "--dapr-http-port" } else { "--dapr-grpc-port" };
    match (error.source.kind(), error.port) {
        (std::io::ErrorKind::AddrInUse, Some(port)) => {
            process::port_in_use(port).hint(format!("stop that program, or name another port with {flag}"))
        }
        _ => Failure::new(format!("{error}: {}", error.source)),
    }
}

const REFUSED: std::io::ErrorKind = std::io::ErrorKind::ConnectionRefused;
