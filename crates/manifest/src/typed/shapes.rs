//! The shapes that several parts of the manifest share: `none`, one or many, maps by name.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::nearest;
use crate::typed::decode::{At, Cx, Field, Typed, at, is_broken};
use crate::yaml::{Entry, Node, Value, clip};

/// A policy that can be switched off.
#[derive(Clone, Debug)]
pub(crate) enum OrNone<T> {
    None,
    Some(T),
}

impl<T> OrNone<T> {
    pub fn some(&self) -> Option<&T> {
        match self {
            OrNone::None => None,
            OrNone::Some(value) => Some(value),
        }
    }
}

/// Whether a scalar is the word `none`.
pub(crate) fn is_none(node: &Node) -> bool {
    is_word(node, "none")
}

pub(crate) fn is_word(node: &Node, word: &str) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar.text == word && !scalar.secret)
}

/// Reports a word that others switch off with.
pub(crate) fn refuse_off(node: &Node, cx: &mut Cx) -> bool {
    let Some(word) = OFF.iter().find(|word| is_word(node, word)) else { return false };
    let message = format!("`{word}` switches nothing off");
    cx.found.push(Diagnostic::error(codes::WRONG_TYPE, node.span, message).label("write `none`"));
    true
}

/// What was most likely meant to be `none`.
const OFF: [&str; 9] = ["off", "Off", "OFF", "false", "no", "never", "disabled", "disable", "None"];

impl<T: Typed> Typed for OrNone<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        if is_none(node) {
            return Some(OrNone::None);
        }
        if refuse_off(node, cx) {
            return None;
        }
        T::decode(node, cx).map(OrNone::Some)
    }
}

impl<T: JsonSchema> JsonSchema for OrNone<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrNone", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "none" }, generator.subschema_for::<T>()] })
    }
}

/// One value, or a list of some.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub Vec<At<T>>);

impl<T: Typed> Typed for OneOrMany<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::List(items) => decode_items(items, cx).map(Self),
            _ => T::decode(node, cx).map(|value| Self(vec![at(value, node)])),
        }
    }
}

/// Every item, or None if one is broken: half a list is not what was meant.
fn decode_items<T: Typed>(items: &[Node], cx: &mut Cx) -> Option<Vec<At<T>>> {
    let decoded: Vec<Option<At<T>>> =
        items.iter().map(|item| T::decode(item, cx).map(|value| at(value, item))).collect();
    decoded.into_iter().collect()
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A list whose items are looked at one by one, the broken ones left out.
#[derive(Clone, Debug)]
pub(crate) struct List<T> {
    pub items: Vec<At<T>>,
    /// Some items could not be read.
    pub broken: bool,
}

impl<T: Typed> Typed for List<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Value::List(nodes) = &node.value else {
            cx.wrong_type_hint(node, "a list", "begin each item with `- `");
            return None;
        };
        let decode = |item: &Node| T::decode(item, cx).map(|value| at(value, item));
        let items: Vec<At<T>> = nodes.iter().filter_map(decode).collect();
        let broken = items.len() < nodes.len();
        Some(Self { items, broken })
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>() })
    }
}

/// A map from names that the user chooses. Keys are checked by whoever knows what they name.
#[derive(Clone, Debug)]
pub(crate) struct Map<T>(pub Vec<(At<String>, Field<T>)>);

impl<T: Typed> Typed for Map<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            cx.wrong_type_hint(node, "a map", "write `name: value`, a line for each");
            return None;
        };
        let decoded = entries.iter().map(|entry| {
            let before = cx.found.len();
            let field = match T::decode(&entry.value, cx) {
                Some(value) => Field::Given { key: entry.key_span, at: at(value, &entry.value) },
                None => Field::Broken(entry.key_span),
            };
            cx.found[before..].iter_mut().for_each(|one| name_meant_below(entry, entries, one));
            (key(&entry.key, entry.key_span), field)
        });
        Some(Self(decoded.collect()))
    }
}

/// What lacks a key in an overlay may be something that a file below it declares, by a mistyped name.
fn name_meant_below(entry: &Entry, all: &[Entry], one: &mut Diagnostic) {
    if one.code != codes::MISSING_KEY || one.span != entry.value.head() {
        return;
    }
    let below = || all.iter().filter(|other| other.key_span.file < entry.key_span.file);
    let near = nearest::nearest(&entry.key, below().map(|other| other.key.as_str()));
    if let Some(meant) = below().find(|other| Some(other.key.as_str()) == near) {
        one.span = entry.key_span;
        one.label = format!("did you mean `{}`?", clip(&meant.key));
        one.labels.push((meant.key_span, "declared here".to_owned()));
    }
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "null"], "additionalProperties": generator.subschema_for::<T>() })
    }
}

fn key(text: &str, span: Span) -> At<String> {
    At { value: text.to_owned(), span, secret: false }
}

/// A map, or a list of names that stand for maps without keys.
#[derive(Clone, Debug)]
pub(crate) struct NamedOrListed<T>(pub Vec<(At<String>, Field<T>)>);

impl<T: Typed> Typed for NamedOrListed<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Map(_) => return Map::decode(node, cx).map(|map| Self(map.0)),
            Value::Scalar(_) => {
                cx.wrong_type_hint(node, "a map or a list of names", "put it in brackets for a list of one");
                return None;
            }
        };
        let mut named = Vec::new();
        for item in items {
            match &item.value {
                Value::Scalar(scalar) if !item.is_null() && !scalar.secret && !is_broken(item) => {
                    let empty = crate::yaml::nothing(item.span);
                    let Some(value) = T::decode(&empty, cx) else { continue };
                    let field = Field::Given { key: item.span, at: at(value, &empty) };
                    named.push((key(&scalar.text, item.span), field));
                }
                _ => cx.wrong_type(item, "a name"),
            }
        }
        Some(Self(named))
    }
}

impl<T: JsonSchema> JsonSchema for NamedOrListed<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("NamedOrListed{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["object", "array", "null"],
            "items": { "type": "string" },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
