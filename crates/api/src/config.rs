//! What can be set, already valid.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use components::secret::Scope;
use components::{binding, configuration, lock, pubsub, secret, state};
use tokio::sync::watch;

use crate::access::{Access, Apis, Origins};
pub use crate::invoke::Endpoint;
use crate::resiliency::Resiliency;
pub use crate::spans::Spans;
use crate::subscription::Subscription;

/// How the API of one application is served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The application: letters, digits, `-`, `_` and `.`.
    pub app_id: String,
    /// Whose application it is; empty if nobody said.
    pub namespace: String,
    /// Where HTTP is served. A port of zero is picked by the kernel.
    pub http: Vec<SocketAddr>,
    /// Where gRPC is served.
    pub grpc: Vec<SocketAddr>,
    /// What a caller must know to be answered; nothing if anybody is.
    pub token: Option<String>,
    /// The address and the name of the machine, as applications are told that another calls them. Default 127.0.0.1 and localhost.
    pub machine: (IpAddr, String),
    /// Largest body of a request in bytes. Default 4 MiB.
    pub body_bytes_max: usize,
    /// Largest head of a request in bytes. Default 8 KiB, which is the least.
    pub head_bytes_max: usize,
    /// Whether HTTP/2 is spoken on the port of HTTP.
    pub http2: bool,
    /// The application.
    pub app: App,
    /// For how long answers go on after the end was asked for, with `healthz` saying that it comes. Default none.
    pub block_shutdown: Duration,
    /// For how long requests that are being answered are waited for at the end. Default 5 s.
    pub grace: Duration,
    /// How long the application may take to say whether it takes a binding's events. Default 3 s.
    pub binding_asked: Duration,
    /// Which groups of endpoints there are.
    pub apis: Apis,
    /// Which other applications may call it.
    pub access: Access,
    /// Which pages a browser may let ask.
    pub origins: Origins,
    /// What stands between calls and those who are called.
    pub resiliency: Resiliency,
    /// Who is outside and is called by a name.
    pub endpoints: Vec<Endpoint>,
    /// The applications that are called by way of a data plane, and how it takes calls of each.
    pub by_way: BTreeMap<String, App>,
    /// What is declared.
    pub components: Vec<Component>,
    /// Where what is saved in transactions of a store is published, by the store's name.
    pub outboxes: BTreeMap<String, Outbox>,
    /// What is declared for other applications only.
    pub foreign: Vec<String>,
    /// What it subscribes to, as far as that is declared.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// Where its spans go. Default: nowhere.
    pub spans: Option<Spans>,
}

/// How the application is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its port, if it has one.
    pub port: Option<u16>,
    /// `http`, `grpc`, `https`, `grpcs` or `h2c`.
    pub protocol: String,
    /// Its host.
    pub host: String,
    /// Most calls into it at a time; -1 for any number.
    pub max_concurrency: i32,
    /// What it knows that a call is its sidecar's by, if it wants to.
    pub token: Option<String>,
    /// How it is asked whether it is well. Default: it is not asked, and taken to be.
    pub health: Option<HealthCheck>,
    /// Who knows whether it may be called, if somebody does. Then it is not asked, whatever is said of that.
    pub gate: Option<Gate>,
}

/// Tells from moment to moment whether an application may be called. Equal to its clones.
#[derive(Clone, Debug)]
pub struct Gate(pub watch::Receiver<bool>);

impl PartialEq for Gate {
    fn eq(&self, other: &Gate) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for Gate {}

/// How an application is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path, over HTTP.
    pub path: String,
    /// The time from one question to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// After how many failures in a row it is not; one answer makes it well again. Zero counts as one.
    pub threshold: u32,
}

/// Something that is declared under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its type as declared, such as `state.colony`.
    pub kind: String,
    /// Its version, `v1` mostly.
    pub version: String,
    /// What it is.
    pub block: Block,
}

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A store of state.
    State {
        /// Where it is kept.
        place: Place,
        /// What keys are prefixed with.
        prefix: Prefix,
    },
    /// A broker of messages.
    PubSub(PubSub),
    /// A store of secrets.
    Secrets {
        /// Who knows them.
        store: Adapter<dyn secret::Store>,
        /// Which of them the application may know.
        scope: Scope,
    },
    /// A system outside that things are sent to or events come from.
    Binding(Binding),
    /// A store of configuration.
    Configuration {
        /// Where it is kept.
        place: Place<Adapter<dyn configuration::Store>>,
    },
    /// A store of locks.
    Locks {
        /// Where they are kept.
        place: Place<Adapter<dyn lock::Store>>,
        /// What their names are prefixed with.
        prefix: Prefix,
    },
}

/// A system outside, used one way or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Who sends things to it.
    pub output: Option<Adapter<dyn binding::Output>>,
    /// How its events come to the application.
    pub input: Option<Input>,
}

/// How events come to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Who brings them.
    pub source: Adapter<dyn binding::Input>,
    /// Where the application takes them over HTTP: a path, its first slash left out. [`check_route`] says what can be one.
    pub route: String,
    /// Whether the application is asked first if it takes them.
    pub asked: bool,
}

/// A broker of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PubSub {
    /// Who keeps the messages.
    pub broker: Broker,
    /// The group that the application consumes for; without, the application's id.
    pub group: Option<String>,
    /// Which topics the application may use.
    pub scope: pubsub::Scope,
}

/// Where what a transaction saves is published, in the same commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// Through which broker: of the engine that keeps the state.
    pub pubsub: String,
    /// To which topic.
    pub topic: String,
}

/// Who keeps messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Broker {
    /// The engine, in the folder of the data.
    #[default]
    Disk,
    /// The engine, in memory, for as long as the process lives.
    Memory,
    /// A system outside.
    Outside(Adapter<dyn pubsub::Broker>),
}

/// An adapter to an outside system. Equal to itself alone.
pub struct Adapter<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for Adapter<T> {
    fn clone(&self) -> Self {
        Adapter(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Adapter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").finish_non_exhaustive()
    }
}

impl<T: ?Sized> PartialEq for Adapter<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: ?Sized> Eq for Adapter<T> {}

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<A = Adapter<dyn state::Store>> {
    /// In the folder of the data.
    Disk,
    /// In memory, for as long as the process lives.
    Memory,
    /// In a system outside.
    Outside(A),
}

/// What tells the keys of applications that share a store apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// The application.
    #[default]
    AppId,
    /// The application and its namespace.
    Namespace,
    /// The component: all applications that use it under this name see the same items.
    Name,
    /// Nothing: all that use the store see the same items.
    None,
    /// A text.
    Literal(String),
}

impl Default for App {
    fn default() -> App {
        App {
            port: None,
            protocol: "http".to_owned(),
            host: "127.0.0.1".to_owned(),
            max_concurrency: -1,
            token: None,
            health: None,
            gate: None,
        }
    }
}

impl Config {
    /// An application with nothing else said; it is served nowhere until there are addresses.
    pub fn new(app_id: impl Into<String>) -> Config {
        Config {
            app_id: app_id.into(),
            namespace: String::new(),
            http: Vec::new(),
            grpc: Vec::new(),
            token: None,
            machine: (IpAddr::from([127, 0, 0, 1]), "localhost".to_owned()),
            body_bytes_max: 4 << 20,
            head_bytes_max: 8 << 10,
            http2: true,
            app: App::default(),
            block_shutdown: Duration::ZERO,
            grace: Duration::from_secs(5),
            binding_asked: Duration::from_secs(3),
            apis: Apis::default(),
            access: Access::default(),
            origins: Origins::None,
            resiliency: Resiliency::default(),
            endpoints: Vec::new(),
            by_way: BTreeMap::new(),
            components: Vec::new(),
            outboxes: BTreeMap::new(),
            foreign: Vec::new(),
            subscriptions: Vec::new(),
            spans: None,
        }
    }

    /// Whether something is declared to be kept in memory.
    pub fn wants_memory(&self) -> bool {
        self.components.iter().any(|one| match &one.block {
            Block::State { place, .. } => *place == Place::Memory,
            Block::PubSub(pubsub) => pubsub.broker == Broker::Memory,
            Block::Configuration { place } => *place == Place::Memory,
            Block::Locks { place, .. } => *place == Place::Memory,
            Block::Secrets { .. } | Block::Binding(_) => false,
        })
    }

    /// Its namespace, as other applications know it.
    pub(crate) fn known_namespace(&self) -> &str {
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }

    /// What the prefix of a component's keys is for this application; empty for none.
    pub fn scope(&self, component: &str, prefix: &Prefix) -> String {
        match prefix {
            Prefix::Namespace if !self.namespace.is_empty() => format!("{}.{}", self.namespace, self.app_id),
            Prefix::AppId | Prefix::Namespace => self.app_id.clone(),
            Prefix::Name => component.to_owned(),
            Prefix::None => String::new(),
            Prefix::Literal(text) => text.clone(),
        }
    }
}

/// Whether this can be the id of an application: it is a part of keys, of paths and of the name of a folder.
///
/// # Errors
///
/// A sentence about what is wrong.
pub fn check_app_id(id: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if id.is_empty() {
        return Err("the app id is empty".to_owned());
    }
    if id.len() > APP_ID_BYTES_MAX {
        return Err(format!("the app id has {} bytes; {APP_ID_BYTES_MAX} are the most", id.len()));
    }
    if !id.chars().all(fits) || id.starts_with('.') {
        return Err(format!(
            "{id:?} is no app id: it may have letters, digits, `-`, `_` and, not at its beginning, `.`"
        ));
    }
    Ok(())
}

/// Whether this can be where an application takes events: a path with or without its first slash, and a query if need be.
///
/// # Errors
///
/// A sentence about what is wrong.
pub fn check_route(route: &str) -> Result<(), String> {
    let path = format!("/{}", route.trim_start_matches('/'));
    match path.parse::<http::uri::PathAndQuery>() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{route:?} is no path: {error}")),
    }
}

/// Longest id of an application, so that it can name a folder and prefix a key.
const APP_ID_BYTES_MAX: usize = 200;
