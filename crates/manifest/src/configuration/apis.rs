//! `spec.api`: which groups of endpoints there are, over HTTP and over gRPC.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::nearest;
use crate::typed::{At, Cx, List, Text, Typed, keys};
use crate::yaml::{Node, clip};

/// Which groups of endpoints are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    /// If there are any for a protocol, these and no others.
    pub allowed: Vec<Group>,
    /// None of these.
    pub denied: Vec<Group>,
}

/// A group of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, such as `state`.
    pub name: String,
    /// Its version, such as `v1.0` or `v1`.
    pub version: String,
    /// Whether it is that of gRPC.
    pub grpc: bool,
}

keys! {
    /// Which endpoints there are.
    Api, "`api`";
    /// If there are any for a protocol, these and no others.
    "allowed" => allowed: List<Rule>,
    /// None of these.
    "denied" => denied: List<Rule>,
}

keys! {
    /// A group of endpoints.
    Rule, "a group of endpoints";
    /// Its name.
    "name" => name: Text = required,
    /// Its version.
    "version" => version: Text = required,
    /// `http` or `grpc`.
    "protocol" => protocol: Text = required,
}

/// Adds what is said to what was said before.
pub(super) fn add(apis: &mut Apis, node: &Node, found: &mut Vec<Diagnostic>) {
    let mut cx = Cx::default();
    let typed = Api::decode(node, &mut cx);
    found.append(&mut cx.found);
    let Some(api) = typed else { return };
    let mut groups = |list: Option<&List<Rule>>| -> Vec<Group> {
        list.map_or(&[][..], |list| &list.items).iter().filter_map(|rule| group(rule, found)).collect()
    };
    apis.allowed.extend(groups(api.allowed.value()));
    apis.denied.extend(groups(api.denied.value()));
}

fn group(rule: &At<Rule>, found: &mut Vec<Diagnostic>) -> Option<Group> {
    let rule = &rule.value;
    let (name, version, protocol) = (rule.name.get()?, rule.version.value()?, rule.protocol.get()?);
    let grpc = match protocol.value.0.to_ascii_lowercase().as_str() {
        "http" => false,
        "grpc" => true,
        _ => {
            let message = format!("`protocol` is `{}`", clip(&protocol.value.0));
            let one = Diagnostic::error(codes::WRONG_TYPE, protocol.span, message);
            found.push(one.label("expected `http` or `grpc`"));
            return None;
        }
    };
    if !GROUPS.contains(&name.value.0.as_str()) {
        let message = format!("there is no group of endpoints `{}`", clip(&name.value.0));
        let near = nearest::nearest(&name.value.0, GROUPS);
        let label = near.map_or("not known".to_owned(), |near| format!("did you mean `{near}`?"));
        let help = format!("the groups are {}", nearest::list(GROUPS));
        found.push(Diagnostic::error(codes::UNDECLARED, name.span, message).label(label).help(help));
        return None;
    }
    Some(Group { name: name.value.0.clone(), version: version.0.clone(), grpc })
}

/// The groups, as the first part of a path behind the version, or by the names that Dapr has for them over gRPC.
const GROUPS: [&str; 21] = [
    "actors",
    "bindings",
    "configuration",
    "conversation",
    "crypto",
    "healthz",
    "invoke",
    "jobs",
    "lock",
    "metadata",
    "publish",
    "queues",
    "secrets",
    "shutdown",
    "state",
    "streams",
    "subscribe",
    "subtlecrypto",
    "topics",
    "unlock",
    "workflows",
];
