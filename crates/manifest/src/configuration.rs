//! Configuration files, as `--config` names them: what holds for an application whatever its components are.
//!
//! What has no effect here is named by a warning, for a file that was made for Dapr says more than is known here.

mod access;
mod apis;
mod tracing;

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::typed::{At, Cx, Field, List, Text, Typed, keys};
use crate::yaml::{self, Entry, Node, Value, clip};
use crate::{Mask, Source};
pub use access::{Access, Operation, Policy};
pub use apis::{Apis, Group};
pub use tracing::{Collector, RATE, Tracing};

/// What [`configuration`] found.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Which secrets the application may know, by the store's name; not to be relied on if there are errors.
    pub secrets: BTreeMap<String, SecretScope>,
    /// Which groups of endpoints there are.
    pub apis: Apis,
    /// Who may call the application, if that is said.
    pub access: Option<Access>,
    /// What is recorded of requests and where it is sent, if that is said.
    pub tracing: Option<Tracing>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Which secrets of a store are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretScope {
    /// Whether what is in neither list is closed.
    pub closed: bool,
    /// If there are any, these and no others.
    pub allowed: Vec<String>,
    /// These are not.
    pub denied: Vec<String>,
}

/// Reads configuration files. What a later one says of the same thing goes before.
pub fn configuration(files: &[Source]) -> Configuration {
    let mut reader = Reader::default();
    for (number, file) in files.iter().enumerate() {
        for document in yaml::parse_all(&file.text, number as u32, &mut reader.found) {
            reader.document(&document);
        }
    }
    Configuration {
        secrets: reader.secrets,
        apis: reader.apis,
        access: reader.access,
        tracing: reader.tracing,
        diagnostics: Diagnostics::of(reader.found, files, &Mask::default()),
    }
}

keys! {
    /// Secrets.
    Secrets, "`secrets`";
    /// What holds for each store.
    "scopes" => scopes: List<Scope>,
}

keys! {
    /// What holds for a store.
    Scope, "a scope of secrets";
    /// The store's name.
    "storeName" => store: Text = required,
    /// `allow` or `deny`: what holds for what is in neither list. Default: allow.
    "defaultAccess" => default: Text,
    /// If there are any, these and no others.
    "allowedSecrets" => allowed: List<Text>,
    /// None of these.
    "deniedSecrets" => denied: List<Text>,
}

#[derive(Default)]
struct Reader {
    found: Vec<Diagnostic>,
    secrets: BTreeMap<String, SecretScope>,
    apis: Apis,
    access: Option<Access>,
    tracing: Option<Tracing>,
}

impl Configuration {
    /// The same for an application of a node, of which `telemetry` in the manifest says what is recorded: that nothing comes of saying it here
    /// is told.
    #[must_use]
    pub fn of_a_node(mut self) -> Configuration {
        if let Some(tracing) = self.tracing.take() {
            self.diagnostics.add(
                Diagnostic::warning(
                    codes::NO_EFFECT,
                    tracing.span,
                    "`tracing` has no effect for a service of a node",
                )
                .label("`telemetry` in the manifest says what is recorded and where it is sent"),
            );
        }
        self
    }
}

impl Reader {
    fn document(&mut self, node: &Node) {
        if node.is_null() {
            return;
        }
        if !matches!(text(node, "kind"), Some("Configuration")) {
            self.found.push(
                Diagnostic::warning(codes::NO_EFFECT, node.head(), "this is no `Configuration`")
                    .label("has no effect here; components are read from --resources-path"),
            );
            return;
        }
        for entry in entry(node, "spec").map_or(&[][..], |spec| entries(&spec.value)) {
            match entry.key.as_str() {
                "secrets" => self.secrets(&entry.value),
                "api" => apis::add(&mut self.apis, &entry.value, &mut self.found),
                "accessControl" => {
                    let read = access::read(&entry.value, &mut self.found);
                    self.access = read.or_else(|| self.access.take());
                }
                "tracing" => {
                    let read = tracing::read(&entry.value, entry.key_span, &mut self.found);
                    self.tracing = read.or_else(|| self.tracing.take());
                }
                other => {
                    let message = match other {
                        "httpPipeline" | "appHttpPipeline" => {
                            format!("the middleware of `{other}` does not run here: requests pass without it")
                        }
                        other => format!("`{}` of a configuration has no effect here", clip(other)),
                    };
                    self.found.push(
                        Diagnostic::warning(codes::NO_EFFECT, entry.key_span, message)
                            .label("only `accessControl`, `api`, `secrets` and `tracing` have"),
                    );
                }
            }
        }
    }

    fn secrets(&mut self, node: &Node) {
        let mut cx = Cx::default();
        let secrets = Secrets::decode(node, &mut cx);
        self.found.append(&mut cx.found);
        let Some(secrets) = secrets else { return };
        for scope in secrets.scopes.value().map_or(&[][..], |scopes| &scopes.items) {
            self.scope(scope);
        }
    }

    fn scope(&mut self, scope: &At<Scope>) {
        let names = |list: &Field<List<Text>>| -> Vec<String> {
            list.value().map_or(&[][..], |list| &list.items).iter().map(|at| at.value.0.clone()).collect()
        };
        let Some(store) = scope.value.store.value() else { return };
        let closed = match scope.value.default.get() {
            None => false,
            Some(at) if at.value.0.is_empty() || at.value.0.eq_ignore_ascii_case("allow") => false,
            Some(at) if at.value.0.eq_ignore_ascii_case("deny") => true,
            Some(at) => {
                let message = format!("`defaultAccess` is `{}`", clip(&at.value.0));
                self.found.push(
                    Diagnostic::error(codes::WRONG_TYPE, at.span, message)
                        .label("expected `allow` or `deny`"),
                );
                return;
            }
        };
        let (allowed, denied) = (names(&scope.value.allowed), names(&scope.value.denied));
        self.secrets.insert(store.0.clone(), SecretScope { closed, allowed, denied });
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Entry> {
    entries(node).iter().find(|entry| entry.key == key)
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &entry(node, key)?.value.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}
