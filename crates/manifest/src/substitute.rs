//! `${NAME}` and `${NAME:default}` in scalars, from the environment that the caller passes in.
//!
//! Only values are substituted, not keys, and only those that are left after the overlays were
//! merged: a variable that an overlay replaces need not be set. `$${` is a literal `${`.

use std::collections::{BTreeMap, BTreeSet};

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::secrets::Mask;
use crate::yaml::{Node, Scalar, Style, Value, clip};

/// Replaces every `${...}` below `node`. Returns the secret values that were put in.
pub(crate) fn substitute(
    node: &mut Node,
    env: &BTreeMap<String, String>,
    mask: &Mask,
    found: &mut Vec<Diagnostic>,
) -> BTreeSet<String> {
    let mut substitution = Substitution { env, mask, found, secrets: BTreeSet::new() };
    substitution.node(node);
    substitution.secrets
}

/// The names listed under the top-level `secrets`, read before anything is substituted.
pub(crate) fn listed_secrets(root: &Node) -> BTreeSet<String> {
    let Value::Map(entries) = &root.value else { return BTreeSet::new() };
    let Some(entry) = entries.iter().find(|entry| entry.key == "secrets") else { return BTreeSet::new() };
    let items = match &entry.value.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    let texts = items.iter().filter_map(|item| match &item.value {
        Value::Scalar(scalar) => Some(scalar.text.clone()),
        _ => None,
    });
    texts.collect()
}

struct Substitution<'a> {
    env: &'a BTreeMap<String, String>,
    mask: &'a Mask,
    found: &'a mut Vec<Diagnostic>,
    secrets: BTreeSet<String>,
}

impl Substitution<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.node(&mut entry.value)),
            Value::Scalar(scalar) if scalar.text.contains("${") => self.scalar(scalar, node.span),
            Value::Scalar(_) => {}
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar, span: Span) {
        let source = std::mem::take(&mut scalar.text);
        let mut rest = source.as_str();
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            if let Some(literal) = before.strip_suffix('$') {
                scalar.text.push_str(literal);
                scalar.text.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            scalar.text.push_str(before);
            let Some(end) = rest[at..].find('}') else {
                self.found.push(unclosed(span));
                rest = "";
                scalar.style = Style::Broken;
                break;
            };
            match self.variable(&rest[at + 2..at + end], span) {
                Some((value, secret)) => {
                    scalar.text.push_str(&value);
                    scalar.secret |= secret;
                    if scalar.style != Style::Broken {
                        scalar.style = Style::Substituted;
                    }
                }
                None => scalar.style = Style::Broken,
            }
            rest = &rest[at + end + 1..];
        }
        scalar.text.push_str(rest);
    }

    /// The value of what stands between `${` and `}`, and whether it is secret.
    fn variable(&mut self, inside: &str, span: Span) -> Option<(String, bool)> {
        let (name, default) = match inside.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable_name(name) {
            self.found.push(bad_name(name, span));
            return None;
        }
        let Some(value) = self.env.get(name).map(String::as_str).or(default) else {
            self.found.push(missing(name, span, self.mask));
            return None;
        };
        let secret = self.mask.is_secret(name);
        if secret && !value.is_empty() {
            self.secrets.insert(value.to_owned());
        }
        Some((value.to_owned(), secret))
    }
}

/// Whether a text can be the name of an environment variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unclosed(span: Span) -> Diagnostic {
    Diagnostic::error(codes::SUBSTITUTION, span, "a `${` without its `}`")
        .help("write `${NAME}` or `${NAME:default}`; for a `${` that is meant literally write `$${`")
}

fn bad_name(name: &str, span: Span) -> Diagnostic {
    let message = match name {
        "" => "`${}` names no environment variable".to_owned(),
        name => format!("`{}` cannot be the name of an environment variable", clip(name)),
    };
    Diagnostic::error(codes::SUBSTITUTION, span, message)
        .help("write `${NAME}` or `${NAME:default}`; for a `${` that is meant literally write `$${`")
}

fn missing(name: &str, span: Span, mask: &Mask) -> Diagnostic {
    Diagnostic::error(codes::MISSING_VARIABLE, span, format!("the environment variable `{name}` is not set"))
        .label("needed here")
        .help(match mask.is_secret(name) {
            true => "set it; a default would put the secret into the file".to_owned(),
            false => format!("set it, or give a default: `${{{name}:default}}`"),
        })
}
