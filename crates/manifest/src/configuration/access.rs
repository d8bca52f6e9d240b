//! `spec.accessControl`: which other applications may call which operations of this one.

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::typed::{Cx, Field, List, Text, Typed, keys};
use crate::yaml::{Node, clip};

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The domain that the application is of, if that is said.
    pub trust_domain: Option<String>,
    /// Whether those may call that no policy is for.
    pub allow: bool,
    /// What holds for callers, by their ids.
    pub policies: BTreeMap<String, Vec<Policy>>,
}

/// What a caller may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its domain.
    pub trust_domain: String,
    /// Whether it may call what no operation is for, if that is said.
    pub allow: Option<bool>,
    /// What holds for some operations.
    pub operations: Vec<Operation>,
}

/// Some operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// A path, with `*` and `**`.
    pub path: String,
    /// Verbs; `*` for any.
    pub verbs: Vec<String>,
    /// Whether they may be called.
    pub allow: bool,
}

keys! {
    /// Who may call the application.
    Control, "`accessControl`";
    /// `allow` or `deny`: what holds for callers that no policy is for. Default: deny, if there are policies.
    "defaultAction" => default: Text,
    /// The domain that the application is of, as a caller. Default: public.
    "trustDomain" => trust_domain: Text,
    /// What holds for callers.
    "policies" => policies: List<AppPolicy>,
}

keys! {
    /// What a caller may.
    AppPolicy, "a caller's policy";
    /// The caller.
    "appId" => app_id: Text = required,
    /// `allow` or `deny`: what holds for operations that are not named. Default: as for others.
    "defaultAction" => default: Text,
    /// The caller's domain.
    "trustDomain" => trust_domain: Text = required,
    /// The caller's namespace.
    "namespace" => namespace: Text = required,
    /// What holds for operations.
    "operations" => operations: List<AppOperation>,
}

keys! {
    /// Some operations.
    AppOperation, "an operation";
    /// A path such as `/orders/*`; `**` stands for any rest.
    "name" => name: Text = required,
    /// Verbs, if the application speaks HTTP; `*` for any.
    "httpVerb" => verbs: List<Text>,
    /// `allow` or `deny`.
    "action" => action: Text = required,
}

/// What is said; none if it is wrong.
pub(super) fn read(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Access> {
    let mut cx = Cx::default();
    let typed = Control::decode(node, &mut cx);
    let broken = !cx.found.is_empty();
    found.append(&mut cx.found);
    let control = typed.filter(|_| !broken)?;
    let mut policies: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
    for one in control.policies.value().map_or(&[][..], |list| &list.items) {
        let app_id = one.value.app_id.value()?.0.clone();
        policies.entry(app_id).or_default().push(policy(&one.value, found)?);
    }
    let allow = match action(&control.default, "defaultAction", found)? {
        Some(allow) => allow,
        // Who names those that may does not mean that all may.
        None => policies.is_empty(),
    };
    let trust_domain =
        control.trust_domain.value().map(|text| text.0.clone()).filter(|text| !text.is_empty());
    Some(Access { trust_domain, allow, policies })
}

fn policy(written: &AppPolicy, found: &mut Vec<Diagnostic>) -> Option<Policy> {
    let mut operations = Vec::new();
    for one in written.operations.value().map_or(&[][..], |list| &list.items) {
        let verbs = one.value.verbs.value().map_or(&[][..], |list| &list.items);
        let name = one.value.name.get()?;
        let inner = name.value.0.trim_matches('/').split('/');
        let odd = |(segment, is_last): (&str, bool)| {
            let stars = segment.trim_end_matches('*');
            stars.contains('*')
                || segment.len() - stars.len() > 2
                || (segment.ends_with("**") && (!is_last || !stars.is_empty()))
        };
        let count = inner.clone().count();
        if inner.enumerate().map(|(at, segment)| (segment, at + 1 == count)).any(odd) {
            let message = format!("`{}` is no operation", clip(&name.value.0));
            let help = "a `*` stands at the end of a part of the path, for any text in it; `**` is the last part, for any rest";
            found.push(Diagnostic::error(codes::PATH, name.span, message).label("odd `*`").help(help));
            return None;
        }
        operations.push(Operation {
            path: name.value.0.clone(),
            verbs: verbs.iter().map(|at| at.value.0.clone()).collect(),
            allow: action(&one.value.action, "action", found)?.unwrap_or(false),
        });
    }
    Some(Policy {
        namespace: written.namespace.value()?.0.clone(),
        trust_domain: written.trust_domain.value()?.0.clone(),
        allow: action(&written.default, "defaultAction", found)?,
        operations,
    })
}

/// Whether something is allowed, if that is said; none if what is said is neither.
fn action(field: &Field<Text>, key: &str, found: &mut Vec<Diagnostic>) -> Option<Option<bool>> {
    match field.get() {
        None => Some(None),
        Some(at) if at.value.0.is_empty() => Some(None),
        Some(at) if at.value.0.eq_ignore_ascii_case("allow") => Some(Some(true)),
        Some(at) if at.value.0.eq_ignore_ascii_case("deny") => Some(Some(false)),
        Some(at) => {
            let message = format!("`{key}` is `{}`", clip(&at.value.0));
            let one = Diagnostic::error(codes::WRONG_TYPE, at.span, message);
            found.push(one.label("expected `allow` or `deny`"));
            None
        }
    }
}
