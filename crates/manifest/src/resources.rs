//! Resource files: what components an application has, as Dapr writes it. A file may hold several documents.
//!
//! Kinds that have no effect here are named by a warning, not refused: a folder of resources is made for Dapr as well. A
//! component that is asked for and not served is refused, for whoever relies on it would find out later.

mod binding;
mod embedded;
mod endpoint;
mod outbox;
pub mod resiliency;
mod subscription;

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::nearest;
use crate::typed::{AsWritten, At, Bool, Cx, Field, List, Text, Typed, keys};
use crate::yaml::{self, Node, Value, clip};
use crate::{Mask, Source};
pub use binding::BindingKind;
pub use endpoint::Endpoint;
pub use outbox::Outbox;
pub use resiliency::Resiliency;
pub use subscription::{BulkSubscribe, Rule, Subscription};

/// A component that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its type as written.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// Which applications may use it; if none is named, all may.
    pub scopes: Vec<String>,
    /// What it is.
    pub block: Block,
    /// Where what is saved in its transactions is published, if it is a store of state and that is wanted.
    pub outbox: Option<Outbox>,
    /// Whether the application may start without it.
    pub optional: bool,
    /// What is set for who keeps it outside, who knows what that means.
    pub settings: Vec<Setting>,
    /// Where its type is written.
    pub span: Span,
}

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A store of key-value state.
    State {
        /// Who keeps it.
        keeper: Keeper,
        /// What its keys are prefixed with.
        prefix: KeyPrefix,
    },
    /// A broker of messages.
    PubSub(Keeper),
    /// A store of secrets.
    Secrets(SecretSource),
    /// A system outside that things are sent to.
    Binding(BindingKind),
    /// A store of configuration.
    Configuration {
        /// Who keeps it.
        keeper: Keeper,
    },
    /// A store of locks.
    Locks {
        /// Who keeps it.
        keeper: Keeper,
        /// What its locks' names are prefixed with.
        prefix: KeyPrefix,
    },
}

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    State,
    Locks,
    Configuration,
}

/// Who keeps what a component has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Colony, in the folder of its data.
    Disk,
    /// Colony, in memory and no longer than the process.
    Memory,
    /// A Redis.
    Redis,
    /// A PostgreSQL.
    Postgres,
    /// A RabbitMQ.
    RabbitMq,
    /// A NATS JetStream.
    JetStream,
}

/// Where secrets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Colony, in the folder of its data and encrypted.
    Colony,
    /// A JSON file.
    File,
    /// The environment.
    Env,
}

/// A setting of a component that is kept outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it is set to.
    pub value: Given,
    /// Where.
    pub span: Span,
}

/// What a setting is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// This.
    Text(String),
    /// A part of a secret.
    Secret {
        /// The component that knows it.
        store: String,
        /// Its name.
        name: String,
        /// Which of its values.
        key: String,
    },
}

/// What the keys of a store are prefixed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyPrefix {
    /// The application's id.
    #[default]
    AppId,
    /// That and its namespace.
    Namespace,
    /// The component's name.
    Name,
    /// Nothing.
    None,
    /// This text.
    Literal(String),
}

/// What [`resources`] found.
#[derive(Clone, Debug)]
pub struct Resources {
    /// What is served, in the order of the files; not to be relied on if there are errors.
    pub components: Vec<Component>,
    /// What is subscribed to, as far as it is declared; the same holds.
    pub subscriptions: Vec<Subscription>,
    /// Who is outside and has a name.
    pub endpoints: Vec<Endpoint>,
    /// What stands between calls and those who are called.
    pub resiliency: Resiliency,
    /// What would be kept outside and is kept by Colony instead, by name and type as written.
    pub embedded: Vec<(String, String)>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Reads resource files; `env` is what `envRef` is taken from. With `embedded`, whatever can be is kept by Colony.
pub fn resources(files: &[Source], env: &BTreeMap<String, String>, embedded: bool) -> Resources {
    let mut reader = Reader {
        env,
        embedded: embedded.then(Vec::new),
        found: Vec::new(),
        components: Vec::new(),
        subscriptions: Vec::new(),
        endpoints: Vec::new(),
        resiliency: Resiliency::default(),
        places: BTreeMap::new(),
    };
    for (number, file) in files.iter().enumerate() {
        for document in yaml::parse_all(&file.text, number as u32, &mut reader.found) {
            reader.document(&document);
        }
    }
    outbox::check(&reader.components, &mut reader.found);
    reader.resiliency.check(&mut reader.found);
    Resources {
        components: reader.components,
        subscriptions: reader.subscriptions,
        endpoints: reader.endpoints,
        resiliency: reader.resiliency,
        embedded: reader.embedded.unwrap_or_default(),
        diagnostics: Diagnostics::of(reader.found, files, &Mask::default()),
    }
}

keys! {
    /// A component.
    Resource, "a component";
    /// `dapr.io/v1alpha1`.
    "apiVersion" => api_version: Text = required,
    /// `Component`.
    "kind" => kind: Text = required,
    /// What it is called.
    "metadata" => metadata: Meta = required,
    /// What it is.
    "spec" => spec: Spec = required,
    /// Where its secrets are.
    "auth" => auth: Auth,
    /// The ids of the applications that may use it. Default: all.
    "scopes" => scopes: List<Text>,
}

keys! {
    /// What a resource is called.
    Meta, "a resource's metadata";
    /// Its name, by which applications use it.
    "name" => name: Text = required,
    /// Has no effect here.
    "namespace" => namespace: Text,
    /// Has no effect here.
    "labels" => labels: crate::typed::Map<AsWritten>,
    /// Has no effect here.
    "annotations" => annotations: crate::typed::Map<AsWritten>,
}

keys! {
    /// What a component is.
    Spec, "a component's spec";
    /// Such as `state.colony`.
    "type" => kind: Text = required,
    /// `v1`.
    "version" => version: Text,
    /// Whether the application may start without it. Default: no.
    "ignoreErrors" => ignore_errors: Bool,
    /// Has no effect here.
    "initTimeout" => init_timeout: Text,
    /// Its settings.
    "metadata" => metadata: List<Item>,
}

keys! {
    /// One setting.
    Item, "a setting";
    /// Which.
    "name" => name: Text = required,
    /// What it is set to.
    "value" => value: AsWritten,
    /// The secret that it is set to.
    "secretKeyRef" => secret: SecretRef,
    /// The environment variable that it is set to.
    "envRef" => env: Text,
}

keys! {
    /// A secret.
    SecretRef, "a secret's reference";
    /// Its name.
    "name" => name: Text,
    /// Its key.
    "key" => key: Text,
}

keys! {
    /// Where secrets are.
    Auth, "a component's auth";
    /// The store of secrets.
    "secretStore" => secret_store: Text,
}

struct Reader<'a> {
    env: &'a BTreeMap<String, String>,
    /// What is kept by Colony instead, if it shall be.
    embedded: Option<Vec<(String, String)>>,
    found: Vec<Diagnostic>,
    components: Vec<Component>,
    subscriptions: Vec<Subscription>,
    endpoints: Vec<Endpoint>,
    resiliency: Resiliency,
    /// Where each name was given.
    places: BTreeMap<String, Span>,
}

impl Reader<'_> {
    fn document(&mut self, node: &Node) {
        if node.is_null() {
            return;
        }
        match kind(node) {
            Some((KIND, _)) => self.component(node),
            Some(("Subscription", _)) => self.subscription(node),
            Some(("HTTPEndpoint", _)) => self.endpoint(node),
            Some(("Resiliency", _)) => self.resiliency.add(node, &mut self.found),
            Some((other, span)) => self.found.push(
                Diagnostic::warning(
                    codes::NO_EFFECT,
                    span,
                    format!("a resource of kind `{}` has no effect here", clip(other)),
                )
                .label("only `Component`, `HTTPEndpoint`, `Resiliency` and `Subscription` have"),
            ),
            None => self.found.push(
                Diagnostic::warning(codes::NO_EFFECT, node.head(), "this is no resource: it has no `kind`")
                    .label("has no effect"),
            ),
        }
    }

    fn component(&mut self, node: &Node) {
        let mut cx = Cx::default();
        let typed = Resource::decode(node, &mut cx);
        let broken = !cx.found.is_empty();
        self.found.append(&mut cx.found);
        let Some(resource) = typed else { return };
        self.check_version(&resource);
        let (Some(meta), Some(spec)) = (resource.metadata.value(), resource.spec.value()) else { return };
        let (Some(name), Some(kind)) = (meta.name.get(), spec.kind.get()) else { return };
        if broken {
            return;
        }
        let optional = spec.ignore_errors.value().is_some_and(|ignore| ignore.0);
        let secrets =
            resource.auth.value().and_then(|auth| auth.secret_store.value()).map(|text| text.0.as_str());
        let Some(mut settings) = self.settings(spec, secrets) else { return };
        let outbox = match kind.value.0.starts_with("state.") {
            true => Outbox::take(&mut settings, &mut self.found),
            false => None,
        };
        let mut served = kind.value.0.clone();
        if let Some(embedded) = &mut self.embedded
            && let Some(own) = embedded::instead_of(&served, &mut settings)
        {
            embedded.push((name.value.0.clone(), std::mem::replace(&mut served, own)));
        }
        let Some((block, settings)) = self.block(&served, kind.span, settings, optional) else {
            return;
        };
        if let Some(first) = self.places.get(&name.value.0) {
            let message = format!("two components are called `{}`", clip(&name.value.0));
            let one = Diagnostic::error(codes::NAME_TAKEN, name.span, message).label("the name is taken");
            self.found.push(one.also(*first, "by this component").help("rename one of them, or take it out"));
            return;
        }
        self.places.insert(name.value.0.clone(), name.span);
        let scopes =
            resource.scopes.value().map(|scopes| scopes.items.iter().map(|at| at.value.0.clone()).collect());
        self.components.push(Component {
            name: name.value.0.clone(),
            kind: kind.value.0.clone(),
            version: spec.version.value().map_or_else(|| "v1".to_owned(), |text| text.0.clone()),
            scopes: scopes.unwrap_or_default(),
            block,
            outbox,
            optional,
            settings,
            span: kind.span,
        });
    }

    fn check_version(&mut self, resource: &Resource) {
        let Some(version) = resource.api_version.get().filter(|version| version.value.0 != API_VERSION)
        else {
            return;
        };
        let message = format!("there are no components of version `{}`", clip(&version.value.0));
        self.found.push(
            Diagnostic::error(codes::UNSERVED, version.span, message).label(format!("write `{API_VERSION}`")),
        );
    }

    /// What a type means, and what of its settings is for who keeps it; None if it is refused or left out.
    fn block(
        &mut self,
        kind: &str,
        span: Span,
        mut settings: Vec<Setting>,
        optional: bool,
    ) -> Option<(Block, Vec<Setting>)> {
        let (family, keeper) = match kind {
            "configuration.colony" => (Family::Configuration, Keeper::Disk),
            "configuration.in-memory" => (Family::Configuration, Keeper::Memory),
            "configuration.postgresql" | "configuration.postgres" => {
                (Family::Configuration, Keeper::Postgres)
            }
            "configuration.redis" => (Family::Configuration, Keeper::Redis),
            "lock.colony" => (Family::Locks, Keeper::Disk),
            "lock.in-memory" => (Family::Locks, Keeper::Memory),
            "lock.redis" => (Family::Locks, Keeper::Redis),
            "state.colony" => (Family::State, Keeper::Disk),
            "state.in-memory" => (Family::State, Keeper::Memory),
            "state.redis" => (Family::State, Keeper::Redis),
            "state.postgresql" | "state.postgres" => (Family::State, Keeper::Postgres),
            "pubsub.colony" => return Some((Block::PubSub(Keeper::Disk), settings)),
            "pubsub.in-memory" => return Some((Block::PubSub(Keeper::Memory), settings)),
            "pubsub.jetstream" => return Some((Block::PubSub(Keeper::JetStream), settings)),
            "pubsub.rabbitmq" => return Some((Block::PubSub(Keeper::RabbitMq), settings)),
            "pubsub.redis" => return Some((Block::PubSub(Keeper::Redis), settings)),
            "secretstores.colony" => return Some((self.secrets(SecretSource::Colony, &settings)?, settings)),
            "secretstores.local.file" => {
                return Some((self.secrets(SecretSource::File, &settings)?, settings));
            }
            "secretstores.local.env" => return Some((self.secrets(SecretSource::Env, &settings)?, settings)),
            kind => {
                let binding = BindingKind::of(kind);
                if binding.is_none() {
                    self.unserved(kind, span, optional);
                }
                return binding.map(|kind| (Block::Binding(kind), settings));
            }
        };
        let mut prefix = KeyPrefix::default();
        let has_prefix = family != Family::Configuration;
        let named = settings.iter().position(|one| one.name.eq_ignore_ascii_case("keyPrefix"));
        if let Some(at) = named.filter(|_| has_prefix) {
            prefix = self.prefix(&settings.remove(at))?;
        }
        // What other applications of Dapr look for in it.
        settings.retain(|one| one.name != "actorStateStore");
        if matches!(keeper, Keeper::Disk | Keeper::Memory) {
            for setting in settings.drain(..) {
                let message = format!("the setting `{}` has no effect on `{kind}`", clip(&setting.name));
                self.found.push(
                    Diagnostic::warning(codes::NO_EFFECT, setting.span, message).label(if has_prefix {
                        "it has none of that name"
                    } else {
                        "it has no settings"
                    }),
                );
            }
        }
        let block = match family {
            Family::State => Block::State { keeper, prefix },
            Family::Locks => Block::Locks { keeper, prefix },
            Family::Configuration => Block::Configuration { keeper },
        };
        Some((block, settings))
    }

    /// Stores of secrets are there before all others, and so cannot need one.
    fn secrets(&mut self, source: SecretSource, settings: &[Setting]) -> Option<Block> {
        let odd = settings.iter().find(|one| matches!(one.value, Given::Secret { .. }));
        if let Some(setting) = odd {
            let message =
                format!("`{}` of a store of secrets is to be taken from a secret", clip(&setting.name));
            self.found.push(
                Diagnostic::error(codes::CONTRADICTION, setting.span, message)
                    .help("write it as `value`, or name an environment variable with `envRef`"),
            );
            return None;
        }
        Some(Block::Secrets(source))
    }

    fn unserved(&mut self, kind: &str, span: Span, optional: bool) {
        let message = format!("components of type `{}` are not served", clip(kind));
        let near = nearest::nearest(kind, SERVED);
        let label = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if optional => "left out, for `ignoreErrors` is set".to_owned(),
            None => "not served".to_owned(),
        };
        let help = format!(
            "served are {}; with `ignoreErrors: true` the component is left out",
            nearest::list(SERVED)
        );
        let one = match optional {
            true => Diagnostic::warning(codes::UNSERVED, span, message),
            false => Diagnostic::error(codes::UNSERVED, span, message).help(help),
        };
        self.found.push(one.label(label));
    }

    fn prefix(&mut self, setting: &Setting) -> Option<KeyPrefix> {
        let Given::Text(text) = &setting.value else {
            let message = "`keyPrefix` is to be taken from a secret, and is none: every key begins with it";
            self.found.push(
                Diagnostic::error(codes::CONTRADICTION, setting.span, message).help("write it as `value`"),
            );
            return None;
        };
        let text = text.as_str();
        Some(match text {
            "" | "appid" => KeyPrefix::AppId,
            "namespace" => KeyPrefix::Namespace,
            "name" => KeyPrefix::Name,
            "none" => KeyPrefix::None,
            text if text.contains("||")
                || text.len() > PREFIX_BYTES_MAX
                || text.contains(char::is_control) =>
            {
                let message = format!("`{}` cannot be a prefix of keys", clip(text));
                let help = format!(
                    "a prefix has at most {PREFIX_BYTES_MAX} bytes, no control character and no `||`, which stands between it and the key"
                );
                self.found.push(Diagnostic::error(codes::INVALID_NAME, setting.span, message).help(help));
                return None;
            }
            text => KeyPrefix::Literal(text.to_owned()),
        })
    }

    /// None if one of them has no value; reported.
    fn settings(&mut self, spec: &Spec, secrets: Option<&str>) -> Option<Vec<Setting>> {
        let items = spec.metadata.value().map_or(&[][..], |list| &list.items);
        let settings: Vec<_> = items.iter().map(|item| self.setting(item, secrets)).collect();
        settings.into_iter().collect()
    }

    fn setting(&mut self, item: &At<Item>, secrets: Option<&str>) -> Option<Setting> {
        let setting = &item.value;
        let name = setting.name.value()?.0.clone();
        let (value, span) = match (&setting.secret, &setting.env, &setting.value) {
            (Field::Given { at, key }, ..) => (self.secret(at, *key, secrets)?, at.span),
            (_, Field::Given { at, .. }, _) => (Given::Text(self.variable(at)?), at.span),
            (.., Field::Given { at, .. }) => (Given::Text(at.value.0.clone()), at.span),
            _ => (Given::Text(String::new()), item.span),
        };
        Some(Setting { name, value, span })
    }

    fn secret(&mut self, named: &At<SecretRef>, key: Span, store: Option<&str>) -> Option<Given> {
        let name = named.value.name.value().map(|text| text.0.clone());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            let one = Diagnostic::error(codes::MISSING_KEY, key, "this secret has no `name`");
            self.found
                .push(one.help("name the secret, and with `key` which of its values if it has several"));
            return None;
        };
        let Some(store) = store.filter(|store| !store.is_empty()) else {
            let message = format!("nothing says which store knows the secret `{}`", clip(&name));
            let help = "name a component of type `secretstores.local.file` or `secretstores.local.env` beside `spec`: \
                        `auth: { secretStore: NAME }`";
            self.found.push(Diagnostic::error(codes::MISSING_KEY, key, message).help(help));
            return None;
        };
        let value = named.value.key.value().map(|text| text.0.clone()).filter(|key| !key.is_empty());
        Some(Given::Secret { store: store.to_owned(), key: value.unwrap_or_else(|| name.clone()), name })
    }

    fn variable(&mut self, named: &At<Text>) -> Option<String> {
        let value = self.env.get(&named.value.0).cloned();
        if value.is_none() {
            let message = format!("the environment variable `{}` is not set", clip(&named.value.0));
            let one = Diagnostic::error(codes::MISSING_VARIABLE, named.span, message);
            self.found.push(one.help("set it, or write the value itself as `value`"));
        }
        value
    }
}

impl Component {
    /// Whether this application may use it.
    pub fn is_for(&self, app_id: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == app_id)
    }
}

impl Resources {
    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|one| one.severity == Severity::Error)
    }

    /// Adds that a component cannot be opened, for what is at this place: an error, unless it is known what becomes of it
    /// `instead`.
    pub fn unopened(&mut self, instead: Option<&str>, span: Span, message: String, help: &str) {
        let one = match instead {
            Some(instead) => Diagnostic::warning(codes::UNOPENED, span, message).label(instead),
            None => Diagnostic::error(codes::UNOPENED, span, message),
        };
        self.diagnostics.add(one.help(help));
    }

    /// Adds that what is written at this place cannot be what it should be.
    pub fn wrong_value(&mut self, span: Span, message: String, label: &str, help: &str) {
        let one = Diagnostic::error(codes::WRONG_TYPE, span, message).label(label);
        self.diagnostics.add(if help.is_empty() { one } else { one.help(help) });
    }

    /// Adds that a setting says nothing to who keeps the component.
    pub fn no_effect(&mut self, span: Span, message: String) {
        self.diagnostics.add(Diagnostic::warning(codes::NO_EFFECT, span, message).label("has no effect"));
    }
}

/// What kind of resource a document says that it is.
fn kind(node: &Node) -> Option<(&str, Span)> {
    let Value::Map(entries) = &node.value else { return None };
    let entry = entries.iter().find(|entry| entry.key == "kind")?;
    match &entry.value.value {
        Value::Scalar(scalar) => Some((&scalar.text, entry.value.span)),
        _ => None,
    }
}

/// The kind of resource that is served.
const KIND: &str = "Component";
/// Its version.
const API_VERSION: &str = "dapr.io/v1alpha1";
/// The types that are served.
const SERVED: [&str; 23] = [
    "bindings.cron",
    "bindings.http",
    "bindings.localstorage",
    "bindings.postgresql",
    "configuration.colony",
    "configuration.in-memory",
    "configuration.postgresql",
    "configuration.redis",
    "lock.colony",
    "lock.in-memory",
    "lock.redis",
    "pubsub.colony",
    "pubsub.in-memory",
    "pubsub.jetstream",
    "pubsub.rabbitmq",
    "pubsub.redis",
    "secretstores.colony",
    "secretstores.local.env",
    "secretstores.local.file",
    "state.colony",
    "state.in-memory",
    "state.postgresql",
    "state.redis",
];
/// Longest prefix of keys, as the engine has its scopes.
const PREFIX_BYTES_MAX: usize = 255;
