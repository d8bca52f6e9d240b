//! From a tree to typed values: what all decoders share.
//!
//! A decoder reports what is wrong and goes on. What it could not read is [`Field::Broken`], which
//! later checks leave alone, so one mistake makes one diagnostic.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::nearest;
use crate::units::Wrong;
use crate::yaml::{Entry, Node, Scalar, Style, Value, clip};

/// Something that a manifest can hold.
///
/// `decode` MUST report before it gives None. It MUST accept what `JsonSchema` describes, but for
/// what only a parser can tell.
pub(crate) trait Typed: JsonSchema + Sized {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self>;
}

/// Collects what decoders find.
#[derive(Debug, Default)]
pub(crate) struct Cx {
    pub found: Vec<Diagnostic>,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Span,
    /// It came from a secret variable: messages must not quote it.
    pub secret: bool,
}

/// The value of a key that may be left out.
#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    Absent,
    /// Given, or meant to be given, but not readable; reported. Holds the place of the key.
    Broken(Span),
    Given {
        key: Span,
        at: At<T>,
    },
}

impl<T> Field<T> {
    pub fn get(&self) -> Option<&At<T>> {
        match self {
            Field::Given { at, .. } => Some(at),
            _ => None,
        }
    }

    pub fn value(&self) -> Option<&T> {
        self.get().map(|at| &at.value)
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }

    pub fn is_broken(&self) -> bool {
        matches!(self, Field::Broken(_))
    }

    /// The place of the key, if it is there.
    pub fn key(&self) -> Option<Span> {
        match self {
            Field::Absent => None,
            Field::Broken(key) | Field::Given { key, .. } => Some(*key),
        }
    }
}

/// A struct whose fields are the keys of a map, as the `keys!` macro makes it.
pub(crate) trait Keys: Sized {
    /// "a service", for messages.
    const WHAT: &'static str;
    /// Every key it knows.
    fn keys(out: &mut Vec<&'static str>);
    /// Adds the schema of each key.
    fn properties(generator: &mut SchemaGenerator, out: &mut Properties);
    /// Decodes its keys out of a map.
    fn take(entries: &mut Entries, cx: &mut Cx) -> Self;
}

/// Decodes a map with known keys; an empty value is an empty map.
pub(crate) fn decode_keys<T: Keys>(node: &Node, cx: &mut Cx) -> Option<T> {
    let entries: &[Entry] = match &node.value {
        Value::Map(entries) => entries,
        _ if node.is_null() => &[],
        _ => {
            cx.wrong_type_hint(node, &format!("a map with the keys of {}", T::WHAT), &keys_hint::<T>());
            return None;
        }
    };
    let mut known = Vec::new();
    T::keys(&mut known);
    let mut entries = Entries { entries, head: node.head(), what: T::WHAT, meant: Vec::new() };
    entries.refuse_unknown(&known, cx);
    Some(T::take(&mut entries, cx))
}

/// "its keys are `min` and `max`".
fn keys_hint<T: Keys>() -> String {
    let mut known = Vec::new();
    T::keys(&mut known);
    known.sort_unstable();
    format!("its keys are {}", nearest::list(known))
}

/// The entries of a map while it is decoded.
pub(crate) struct Entries<'a> {
    entries: &'a [Entry],
    pub head: Span,
    what: &'static str,
    /// Known keys that unknown ones were most likely meant to be, and where.
    meant: Vec<(&'static str, Span)>,
}

impl Entries<'_> {
    fn refuse_unknown(&mut self, known: &[&'static str], cx: &mut Cx) {
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let given = |key: &&str| self.entries.iter().any(|entry| entry.key == **key);
            let open = || known.iter().copied().filter(|key| !given(key));
            let synonym = nearest::synonym(&entry.key).and_then(|ours| open().find(|key| *key == ours));
            let near = nearest::nearest(&entry.key, open()).or(synonym);
            let there = near.is_none().then(|| self.given_near(&entry.key, known)).flatten();
            let one = unknown_key(entry, self.what, near.or(there.map(|(key, _)| key)), known);
            cx.found.push(match there {
                Some((_, place)) => one.also(place, "it is given here"),
                None => one,
            });
            self.meant.extend(near.map(|near| (near, entry.key_span)));
        }
    }

    /// The key that is there already, in an overlay mostly in the file below, and was meant once more.
    fn given_near(&self, key: &str, known: &[&'static str]) -> Option<(&'static str, Span)> {
        let near = nearest::nearest(key, known.iter().copied())?;
        let there = self.entries.iter().find(|entry| entry.key == near)?;
        Some((near, there.key_span))
    }

    pub fn field<T: Typed>(&mut self, key: &'static str, cx: &mut Cx) -> Field<T> {
        let Some(entry) = self.entries.iter().find(|entry| entry.key == key) else {
            let meant = self.meant.iter().find(|(near, _)| *near == key);
            return meant.map_or(Field::Absent, |(_, span)| Field::Broken(*span));
        };
        if entry.value.is_null() {
            return Field::Absent;
        }
        match T::decode(&entry.value, cx) {
            Some(value) => Field::Given { key: entry.key_span, at: at(value, &entry.value) },
            None => Field::Broken(entry.key_span),
        }
    }

    pub fn require<T>(&self, key: &str, field: &mut Field<T>, cx: &mut Cx) {
        if field.is_absent() {
            cx.found.push(
                Diagnostic::error(
                    codes::MISSING_KEY,
                    self.head,
                    format!("{} needs the key `{key}`", self.what),
                )
                .label(format!("no `{key}` in here")),
            );
            *field = Field::Broken(self.head);
        }
    }
}

pub(crate) fn at<T>(value: T, node: &Node) -> At<T> {
    let span = match &node.value {
        Value::Scalar(_) => node.span,
        _ => node.head(),
    };
    At { value, span, secret: node.is_secret() }
}

fn unknown_key(entry: &Entry, what: &str, near: Option<&'static str>, known: &[&'static str]) -> Diagnostic {
    let message = format!("unknown key `{}`", clip(&entry.key));
    let one = Diagnostic::error(codes::UNKNOWN_KEY, entry.key_span, message);
    let one = match near {
        Some(near) => one.label(format!("did you mean `{near}`?")),
        None => one.label(format!("not a key of {what}")),
    };
    let mut known = known.to_vec();
    known.sort_unstable();
    let mut help = format!("the keys of {what} are {}", nearest::list(known));
    if near.is_none() {
        let homes = super::homes(&entry.key);
        if !homes.is_empty() {
            help = format!("`{}` is a key of {}\n{help}", clip(&entry.key), nearest::words(&homes));
        }
    }
    one.help(help)
}

impl Cx {
    pub fn wrong_type(&mut self, node: &Node, what: &str) {
        self.wrong_type_hint(node, what, "");
    }

    /// As [`Cx::wrong_type`], with what to write instead.
    pub fn wrong_type_hint(&mut self, node: &Node, what: &str, hint: &str) {
        if !is_broken(node) {
            let message = format!("expected {what}, found {}", describe(node));
            self.found.push(Diagnostic::error(codes::WRONG_TYPE, node.head(), message).hint(hint));
        }
    }

    /// Parses a scalar. A wrong secret is not quoted.
    pub fn scalar<T>(
        &mut self,
        node: &Node,
        what: &str,
        code: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let Value::Scalar(scalar) = &node.value else {
            self.wrong_type(node, what);
            return None;
        };
        if scalar.style == Style::Broken {
            return None;
        }
        if node.is_null() {
            self.wrong_type(node, what);
            return None;
        }
        match parse(&scalar.text) {
            Ok(value) => Some(value),
            Err(_) if scalar.secret => {
                let message = format!("expected {what}, found a secret value");
                self.found.push(Diagnostic::error(code, node.span, message));
                None
            }
            Err(wrong) => {
                let one = Diagnostic::error(code, node.span, wrong.message);
                let hint = wrong.help.unwrap_or_else(|| format!("expected {what}"));
                self.found.push(one.hint(&hint));
                None
            }
        }
    }

    /// As [`Cx::scalar`], for what later messages have to name, which a secret forbids.
    pub fn open_scalar<T>(
        &mut self,
        node: &Node,
        what: &str,
        code: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !node.is_secret() {
            return self.scalar(node, what, code, parse);
        }
        self.found.push(
            Diagnostic::error(codes::SECRET_IN_NAME, node.span, format!("{what} cannot come from a secret variable"))
                .label("expected a value that may be shown")
                .help("what identifies a thing appears in logs and messages; secrets belong in `env`, `run` or `body`"),
        );
        None
    }
}

/// Whether a missing variable has already been reported for this scalar.
pub(crate) fn is_broken(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar.style == Style::Broken)
}

/// What a node is, in a message: "a list", "the number `5`", "a secret value".
pub(crate) fn describe(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Scalar(_) if node.is_null() => "nothing".to_owned(),
        Value::Scalar(scalar) if scalar.secret => "a secret value".to_owned(),
        Value::Scalar(scalar) => match looks(scalar) {
            Looks::Number => format!("the number `{}`", clip(&scalar.text)),
            Looks::Bool => format!("`{}`", clip(&scalar.text)),
            Looks::Text if scalar.text.is_empty() => "an empty text".to_owned(),
            Looks::Text => format!("the text `{}`", clip(&scalar.text)),
        },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    Number,
    Bool,
    Text,
}

/// What a scalar is by YAML's core schema.
pub(crate) fn looks(scalar: &Scalar) -> Looks {
    if scalar.style != Style::Plain {
        return Looks::Text;
    }
    let text = scalar.text.as_str();
    if matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") {
        return Looks::Bool;
    }
    let numeric = text.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit());
    match numeric && text.parse::<f64>().is_ok() {
        true => Looks::Number,
        false => Looks::Text,
    }
}

/// The properties of a map's schema.
#[derive(Default)]
pub(crate) struct Properties {
    pub map: serde_json::Map<String, serde_json::Value>,
    pub required: Vec<&'static str>,
}

impl Properties {
    pub fn add(&mut self, key: &'static str, about: &[&str], schema: Schema, required: bool) {
        let mut schema = match required {
            true => schema,
            false => schemars::json_schema!({ "anyOf": [schema, { "type": "null" }] }),
        };
        schema.insert("description".to_owned(), paragraph(about).into());
        self.map.insert(key.to_owned(), schema.to_value());
        if required {
            self.required.push(key);
        }
    }
}

/// The schema of a map with known keys.
pub(crate) fn keys_schema<T: Keys>(generator: &mut SchemaGenerator, about: &[&str]) -> Schema {
    let mut properties = Properties::default();
    T::properties(generator, &mut properties);
    let mut schema = schemars::json_schema!({
        "type": ["object", "null"],
        "description": paragraph(about),
        "properties": properties.map,
        "additionalProperties": false,
    });
    if !properties.required.is_empty() {
        schema.insert("required".to_owned(), properties.required.into());
    }
    schema
}

fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
