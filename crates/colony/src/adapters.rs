//! What is declared and kept outside, opened: first the stores of secrets, then what needs secrets.
//!
//! What cannot be had is told of where it is declared, all of it at once.
//!
//! When what is declared has changed, a component that says the same as before is the same, with its connections; one that does
//! not answer as it is declared now stays as it was.

mod bindings;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::config::{Adapter, Binding, Broker, Endpoint, PubSub};
use components::properties::Invalid;
use components::secret::Scope;
use components::state::postgres;
use components::{Properties, configuration, lock, pubsub, redis, secret, state, tls};
use http::{HeaderName, HeaderValue, Uri};
use manifest::Span;
use manifest::configuration::Configuration;
use manifest::resources::{self, Block, Component, Given, Keeper, Resources, SecretSource, Setting};
use serde::{Deserialize, Serialize};

use crate::command::key_in;
use crate::failure::Failure;

/// What could be opened, by the components' names.
#[derive(Clone, Default)]
pub(crate) struct Adapters {
    pub(crate) secrets: BTreeMap<String, Adapter<dyn secret::Store>>,
    /// What of the stores of secrets the application may know; of others, all.
    pub(crate) scopes: BTreeMap<String, Scope>,
    pub(crate) states: BTreeMap<String, Adapter<dyn state::Store>>,
    pub(crate) bindings: BTreeMap<String, Binding>,
    pub(crate) pubsubs: BTreeMap<String, PubSub>,
    pub(crate) locks: BTreeMap<String, Adapter<dyn lock::Store>>,
    pub(crate) configurations: BTreeMap<String, Adapter<dyn configuration::Store>>,
    /// Who is outside and is called by a name.
    pub(crate) endpoints: Vec<Endpoint>,
    /// What the application can do without, and has to.
    pub(crate) left_out: Vec<String>,
    /// Components that do not answer as they are declared now, a sentence each: to be tried again.
    pub(crate) silent: Vec<String>,
    opened: BTreeMap<String, Opened>,
    /// The certificates of endpoints, as they were given.
    pems: BTreeMap<String, Pems>,
}

/// What a component was opened with.
#[derive(Clone)]
struct Opened {
    declared: Component,
    /// Its settings, secrets looked up.
    set: Vec<(String, String)>,
}

impl Opened {
    /// Whether what is kept outside is the same, wherever it is written.
    fn is_as(&self, other: &Opened) -> bool {
        let (one, other_one) = (&self.declared, &other.declared);
        one.kind == other_one.kind
            && one.version == other_one.version
            && one.block == other_one.block
            && self.set == other.set
    }
}

/// Whom an endpoint is trusted to be, and as whom to appear to it.
type Pems = [Option<String>; 3];

/// What an application's own process has around it, which need not be the one that serves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    /// Its environment.
    pub(crate) variables: BTreeMap<String, String>,
    /// What paths that are not absolute are meant from.
    pub(crate) folder: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn here() -> Result<Surroundings, Failure> {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let folder = std::env::current_dir()
            .map_err(|error| Failure::new(format!("cannot work in this folder: {error}")))?;
        Ok(Surroundings { variables: std::env::vars_os().filter_map(text).collect(), folder })
    }

    fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.variables.iter().map(|(name, value)| (name.into(), value.into()))
    }

    /// A path as it is written in one of the application's files.
    pub(crate) fn path(&self, written: &str) -> String {
        let is_here = std::env::current_dir().is_ok_and(|here| here == self.folder);
        match is_here || Path::new(written).is_absolute() {
            true => written.to_owned(),
            false => self.folder.join(written).display().to_string(),
        }
    }
}

/// Why a component cannot be had: where, what, and what to do.
struct Unopened {
    span: Span,
    why: String,
    help: String,
    /// Whether it might be had later.
    is_silent: bool,
}

impl Adapters {
    /// Opens what this application may use and has not had `before`, and adds to the resources' diagnostics.
    pub(crate) async fn open(
        found: &mut Resources,
        configuration: &Configuration,
        app_id: &str,
        around: &Surroundings,
        data: &Path,
        before: Option<&Adapters>,
    ) -> Adapters {
        let mut adapters = Adapters { scopes: scopes(configuration), ..Adapters::default() };
        let own = |one: &&Component| one.is_for(app_id);
        let mut components: Vec<Component> = found.components.iter().filter(own).cloned().collect();
        for setting in components.iter_mut().flat_map(|component| &mut component.settings) {
            if let Given::Text(text) = &mut setting.value
                && PATHS.iter().any(|name| setting.name.eq_ignore_ascii_case(name))
            {
                *text = around.path(text);
            }
        }
        for component in &components {
            let Block::Secrets(source) = component.block else { continue };
            let opened = adapters.secrets_of(source, component, found, around, data);
            let opened = opened.map(|store| adapters.secrets.insert(component.name.clone(), store));
            adapters.note(opened.map(drop), component, found, before);
        }
        for component in components.iter().filter(|one| !matches!(one.block, Block::Secrets(_))) {
            let opened = match adapters.is_same(component, before).await {
                Ok(true) => Ok(()),
                Ok(false) => adapters.component(component, found, app_id).await,
                Err(unopened) => Err(unopened),
            };
            adapters.note(opened, component, found, before);
        }
        for endpoint in found.endpoints.clone().iter().filter(|one| one.is_for(app_id)) {
            match adapters.endpoint(endpoint, before).await {
                Ok(endpoint) => adapters.endpoints.push(endpoint),
                Err(Unopened { span, why, help, .. }) => found.unopened(None, span, why, &help),
            }
        }
        adapters
    }

    /// Whether a component says what it said before: then it is the same.
    async fn is_same(&mut self, component: &Component, before: Option<&Adapters>) -> Result<bool, Unopened> {
        let set = if is_outside(&component.block) { self.texts(component).await? } else { Vec::new() };
        let now = Opened { declared: component.clone(), set };
        let before =
            before.filter(|before| before.opened.get(&component.name).is_some_and(|one| one.is_as(&now)));
        if let Some(before) = before {
            self.take(&component.name, before);
        }
        self.opened.insert(component.name.clone(), now);
        Ok(before.is_some())
    }

    /// Takes over what was opened before.
    fn take(&mut self, name: &str, before: &Adapters) {
        fn one<T: Clone>(name: &str, from: &BTreeMap<String, T>, to: &mut BTreeMap<String, T>) {
            to.extend(from.get(name).map(|one| (name.to_owned(), one.clone())));
        }
        one(name, &before.states, &mut self.states);
        one(name, &before.bindings, &mut self.bindings);
        one(name, &before.pubsubs, &mut self.pubsubs);
        one(name, &before.locks, &mut self.locks);
        one(name, &before.configurations, &mut self.configurations);
        one(name, &before.opened, &mut self.opened);
    }

    /// Opens a component.
    async fn component(
        &mut self,
        component: &Component,
        found: &mut Resources,
        app_id: &str,
    ) -> Result<(), Unopened> {
        match component.block {
            Block::PubSub(keeper) => {
                let pubsub = self.pubsub(keeper, component, found, app_id).await?;
                self.pubsubs.insert(component.name.clone(), pubsub);
                Ok(())
            }
            Block::Binding(kind) => {
                let binding = self.binding(kind, component, found).await?;
                self.bindings.insert(component.name.clone(), binding);
                Ok(())
            }
            _ => self.kept(component, found).await,
        }
    }

    async fn endpoint(
        &mut self,
        endpoint: &resources::Endpoint,
        before: Option<&Adapters>,
    ) -> Result<Endpoint, Unopened> {
        let wrong = |span, why: String| Unopened {
            span,
            why: format!("the endpoint `{}` cannot be called: {why}", endpoint.name),
            help: "mend what is written here, or the secret that it names".to_owned(),
            is_silent: false,
        };
        let url: Uri =
            endpoint.url.parse().map_err(|error| wrong(endpoint.span, format!("no URL: {error}")))?;
        let mut headers = Vec::new();
        for setting in &endpoint.headers {
            let name = HeaderName::try_from(&setting.name)
                .map_err(|error| wrong(setting.span, error.to_string()))?;
            let value = HeaderValue::try_from(self.text(setting).await?).map_err(|_| {
                wrong(setting.span, "its value has characters that no header can have".to_owned())
            })?;
            headers.push((name, value));
        }
        let mut pems = [None, None, None];
        for (pem, setting) in pems.iter_mut().zip([&endpoint.root, &endpoint.certificate, &endpoint.key]) {
            if let Some(setting) = setting {
                *pem = Some(self.text(setting).await?).filter(|text| !text.is_empty());
            }
        }
        self.pems.insert(endpoint.name.clone(), pems.clone());
        let is_as = |one: &&Endpoint| one.name == endpoint.name && one.url == url && one.headers == headers;
        let before = before.filter(|before| before.pems.get(&endpoint.name) == Some(&pems));
        if let Some(same) = before.and_then(|before| before.endpoints.iter().find(is_as)) {
            return Ok(same.clone());
        }
        let [roots, certificate, key] = pems;
        let own = match (&certificate, &key) {
            (Some(certificate), Some(key)) => Some((certificate.as_str(), key.as_str())),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    endpoint.span,
                    "`certificate` and `privateKey` need each other".to_owned(),
                ));
            }
        };
        let tls = tls::client(tls::Set { roots: roots.as_deref(), own });
        let tls = Arc::new(tls.map_err(|why| wrong(endpoint.span, why))?);
        Ok(Endpoint { name: endpoint.name.clone(), url, headers, tls })
    }

    /// Takes down what a component could not be opened for. Where there was something `before` that is no reason to end.
    fn note(
        &mut self,
        opened: Result<(), Unopened>,
        component: &Component,
        found: &mut Resources,
        before: Option<&Adapters>,
    ) {
        let Err(Unopened { span, why, help, is_silent }) = opened else { return };
        let name = &component.name;
        self.opened.remove(name);
        let Some(before) = before.filter(|_| is_silent) else {
            let instead = component.optional.then_some("left out, for `ignoreErrors` is set");
            self.left_out.extend(instead.map(|_| name.clone()));
            return found.unopened(instead, span, why, &help);
        };
        let instead = match before.opened.get(name) {
            Some(was) => {
                self.take(name, before);
                let declared = found.components.iter_mut().find(|one| one.span == component.span);
                if let Some(declared) = declared {
                    *declared = Component { scopes: component.scopes.clone(), ..was.declared.clone() };
                }
                "it stays as it was, and is tried again"
            }
            None => {
                self.left_out.push(name.clone());
                "it is left out, and tried again"
            }
        };
        self.silent.push(format!("{why}; {instead}"));
        found.unopened(Some(instead), span, why, &help);
    }

    fn secrets_of(
        &self,
        source: SecretSource,
        component: &Component,
        found: &mut Resources,
        around: &Surroundings,
        data: &Path,
    ) -> Result<Adapter<dyn secret::Store>, Unopened> {
        let texts = component.settings.iter().filter_map(|one| match &one.value {
            Given::Text(text) => Some((one.name.as_str(), text.as_str())),
            Given::Secret { .. } => None,
        });
        let set = Properties::from_iter(texts);
        let store: Arc<dyn secret::Store> = match source {
            SecretSource::Colony => {
                let file = set.text("keyFile").map(Path::new);
                let key = key_in(file, |name| around.variables.get(name).cloned());
                let sealed = secret::Sealed::new(secret::Vault::of(data, key)).map_err(|why| Unopened {
                    span: place(component, "keyFile"),
                    is_silent: false,
                    why: format!("the secrets of `{}` cannot be read: {why}", component.name),
                    help: "`colony secret list` reads them as well, with --data and --key-file if need be"
                        .to_owned(),
                })?;
                Arc::new(sealed)
            }
            SecretSource::Env => Arc::new(secret::Env::new(&set, around.variables())),
            SecretSource::File => {
                let file = secret::File::new(&set);
                Arc::new(file.map_err(|invalid| wrong(&invalid, component))?)
            }
        };
        unused(&set, component, found);
        Ok(Adapter(store))
    }

    /// Opens what is kept in a Redis or a PostgreSQL, if this is.
    async fn kept(&mut self, component: &Component, found: &mut Resources) -> Result<(), Unopened> {
        let name = || component.name.clone();
        match component.block {
            Block::State { keeper: Keeper::Redis, .. } => {
                let settings = self.settings(component, found, state::redis::Settings::new).await?;
                let opened = state::redis::Redis::connect(settings).await;
                let store = opened.map_err(|error| silent(component, &error))?;
                self.states.insert(name(), Adapter(Arc::new(store)));
            }
            Block::Locks { keeper: Keeper::Redis, .. } => {
                let settings = self.settings(component, found, redis::Settings::new).await?;
                let opened = lock::redis::Redis::connect(settings).await;
                let store = opened.map_err(|error| silent(component, &error))?;
                self.locks.insert(name(), Adapter(Arc::new(store)));
            }
            Block::Configuration { keeper: Keeper::Redis } => {
                let settings = self.settings(component, found, configuration::redis::Settings::new).await?;
                let opened = configuration::redis::Redis::connect(settings).await;
                let store = opened.map_err(|error| silent(component, &error))?;
                self.configurations.insert(name(), Adapter(Arc::new(store)));
            }
            Block::Configuration { keeper: Keeper::Postgres } => {
                let settings =
                    self.settings(component, found, configuration::postgres::Settings::new).await?;
                let opened = configuration::postgres::Postgres::connect(settings).await;
                let store = opened.map_err(|error| silent(component, &error))?;
                self.configurations.insert(name(), Adapter(Arc::new(store)));
            }
            Block::State { keeper: Keeper::Postgres, .. } => {
                let version = layout(component)?;
                let read = |set: &Properties| postgres::Settings::new(version, set);
                let settings = self.settings(component, found, read).await?;
                let opened = postgres::Postgres::connect(settings).await;
                let store = opened.map_err(|error| silent(component, &error))?;
                self.states.insert(name(), Adapter(Arc::new(store)));
            }
            _ => {}
        }
        Ok(())
    }

    /// What a component's settings are to who keeps it.
    async fn settings<S>(
        &self,
        component: &Component,
        found: &mut Resources,
        read: impl Fn(&Properties) -> Result<S, Invalid>,
    ) -> Result<S, Unopened> {
        let set = self.set(component).await?;
        let settings = read(&set).map_err(|invalid| wrong(&invalid, component))?;
        unused(&set, component, found);
        Ok(settings)
    }

    async fn pubsub(
        &self,
        keeper: Keeper,
        component: &Component,
        found: &mut Resources,
        app_id: &str,
    ) -> Result<PubSub, Unopened> {
        let groups: &[&str] = match keeper {
            Keeper::JetStream => &["consumerID", "queueGroupName", "durableName"],
            _ => &["consumerID"],
        };
        let read = |set: &Properties| {
            let scope = pubsub::Scope::new(set, app_id);
            let named = groups.iter().find_map(|name| Some((*name, set.text(name)?)));
            let group = named.map(|(name, text)| group(name, text)).transpose()?;
            Ok(PubSub { broker: Broker::Disk, group, scope })
        };
        let (declared, broker) = match keeper {
            Keeper::Redis => {
                let read = |set: &Properties| Ok((read(set)?, pubsub::redis::Settings::new(set)?));
                let (declared, settings) = self.settings(component, found, read).await?;
                let opened = pubsub::redis::Redis::connect(settings).await;
                let topics = opened.map_err(|error| silent(component, &error))?;
                (declared, Broker::Outside(Adapter(Arc::new(topics))))
            }
            Keeper::RabbitMq => {
                let read = |set: &Properties| Ok((read(set)?, pubsub::rabbitmq::Settings::new(set)?));
                let (declared, settings) = self.settings(component, found, read).await?;
                let opened = pubsub::rabbitmq::RabbitMq::connect(settings).await;
                let topics = opened.map_err(|error| silent(component, &error))?;
                (declared, Broker::Outside(Adapter(Arc::new(topics))))
            }
            Keeper::JetStream => {
                let read = |set: &Properties| Ok((read(set)?, pubsub::jetstream::Settings::new(set)?));
                let (declared, settings) = self.settings(component, found, read).await?;
                let opened = pubsub::jetstream::JetStream::connect(settings).await;
                let topics = opened.map_err(|error| silent(component, &error))?;
                (declared, Broker::Outside(Adapter(Arc::new(topics))))
            }
            Keeper::Memory => (self.settings(component, found, read).await?, Broker::Memory),
            _ => (self.settings(component, found, read).await?, Broker::Disk),
        };
        Ok(PubSub { broker, ..declared })
    }

    /// What is set for a component, its secrets looked up.
    async fn set(&self, component: &Component) -> Result<Properties, Unopened> {
        Ok(Properties::from_iter(self.texts(component).await?))
    }

    async fn texts(&self, component: &Component) -> Result<Vec<(String, String)>, Unopened> {
        let mut texts = Vec::new();
        for setting in &component.settings {
            texts.push((setting.name.clone(), self.text(setting).await?));
        }
        Ok(texts)
    }

    /// What a setting is set to, the secret looked up if it is one.
    async fn text(&self, setting: &Setting) -> Result<String, Unopened> {
        let (store, name, key) = match &setting.value {
            Given::Text(text) => return Ok(text.clone()),
            Given::Secret { store, name, key } => (store, name, key),
        };
        let unopened =
            |why: String, help: String| Unopened { span: setting.span, why, help, is_silent: false };
        let Some(known) = self.secrets.get(store) else {
            let help = match self.secrets.keys().next() {
                Some(other) => format!("did you mean `{other}`? Stores of secrets are components of their own"),
                None => "declare it as a component of type `secretstores.local.file` or `secretstores.local.env`, \
                         without `scopes` or with this application in them"
                    .to_owned(),
            };
            return Err(unopened(format!("there is no store of secrets `{store}`"), help));
        };
        let secret = known.0.get(name).await.map_err(|error| {
            unopened(
                format!("`{store}` does not tell: {error}"),
                format!("add `{name}` to what `{store}` reads"),
            )
        })?;
        // An environment has every variable, the others empty.
        let text = secret.get(key).filter(|text| !text.is_empty()).cloned();
        text.ok_or_else(|| {
            let keys = secret.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            let help = format!("its keys are {keys}: name one of them, or give it a value");
            unopened(format!("the secret `{name}` of `{store}` has no value `{key}`"), help)
        })
    }
}

/// Whether something is looked up for it.
fn is_outside(block: &Block) -> bool {
    match block {
        Block::State { keeper, .. } | Block::Configuration { keeper } | Block::Locks { keeper, .. } => {
            !matches!(keeper, Keeper::Disk | Keeper::Memory)
        }
        Block::PubSub(_) | Block::Secrets(_) | Block::Binding(_) => true,
    }
}

fn scopes(configuration: &Configuration) -> BTreeMap<String, Scope> {
    let scopes = configuration.secrets.iter().map(|(store, scope)| {
        let manifest::configuration::SecretScope { closed, allowed, denied } = scope.clone();
        (store.clone(), Scope { closed, allowed, denied })
    });
    scopes.collect()
}

fn wrong(invalid: &Invalid, component: &Component) -> Unopened {
    Unopened {
        span: place(component, &invalid.name),
        why: format!("the component `{}` cannot be opened: {invalid}", component.name),
        help: format!("mend the setting `{}`", invalid.name),
        is_silent: false,
    }
}

/// A group's name, as it is written.
fn group(setting: &str, name: &str) -> Result<String, Invalid> {
    let wrong = |why: &str| Err(Invalid::of(setting, format!("is {name:?}, {why}")));
    match () {
        () if name.contains('{') => wrong("and nothing is filled in here: write the group's name"),
        () if name.len() > GROUP_BYTES_MAX => wrong("which is longer than 255 bytes"),
        () if name.contains(char::is_control) => wrong("which has a control character"),
        () => Ok(name.to_owned()),
    }
}

/// Nothing answers where a component is kept.
fn silent(component: &Component, error: &dyn std::fmt::Display) -> Unopened {
    let settings = match component.kind.as_str() {
        kind if kind.ends_with("redis") => ["redisHost", "redisPassword"],
        "pubsub.jetstream" => ["natsURL", "token"],
        _ => ["connectionString", "password"],
    };
    let [host, secret] = settings;
    let help = format!("start it, correct `{host}` or `{secret}`, or set `ignoreErrors: true` to do without");
    Unopened {
        span: place(component, host),
        why: format!("`{}` does not answer: {error}", component.name),
        help,
        is_silent: true,
    }
}

/// How the items of a PostgreSQL lie in it.
fn layout(component: &Component) -> Result<postgres::Version, Unopened> {
    match component.version.as_str() {
        "" | "v0" | "v1" => Ok(postgres::Version::V1),
        "v2" => Ok(postgres::Version::V2),
        odd => Err(Unopened {
            span: component.span,
            why: format!("there is no version `{odd}` of `{}`", component.kind),
            is_silent: false,
            help: "write `version: v2`, or `v1` where Dapr's first layout is there already".to_owned(),
        }),
    }
}

fn unused(set: &Properties, component: &Component, found: &mut Resources) {
    for name in set.unused() {
        found.no_effect(
            place(component, name),
            format!("the setting `{name}` has no effect on `{}`", component.kind),
        );
    }
}

/// Where a setting is written, or else the component's type; that, too, where the line is not to be drawn.
fn place(component: &Component, name: &str) -> Span {
    let drawn = |one: &&Setting| {
        one.name.eq_ignore_ascii_case(name) && !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret))
    };
    let setting = component.settings.iter().find(drawn);
    setting.map_or(component.span, |one| one.span)
}

/// The settings that may have a password in them.
const SECRET: [&str; 7] =
    ["connectionString", "host", "natsURL", "password", "securityToken", "tls_client_key", "token"];
/// The settings that are paths.
const PATHS: [&str; 3] = ["keyFile", "secretsFile", "rootPath"];
/// Longest name of a group, as the engine has it.
const GROUP_BYTES_MAX: usize = 255;
