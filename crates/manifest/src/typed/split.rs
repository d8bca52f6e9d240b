//! Where requests go, as it is written: one name, or several with their shares.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::codes;
use crate::typed::decode::{Cx, Typed};
use crate::typed::macros::scalar;
use crate::typed::shapes::{Map, is_word};
use crate::typed::{HashOptions, Name, SideOptions};
use crate::units::{self, Wrong};
use crate::yaml::{Node, Value, clip};

/// Parts of the whole that percentages are counted in: four decimals are exact.
pub(crate) const WHOLE: u64 = 1_000_000;
/// Largest relative weight.
const PARTS_MAX: u64 = 1_000_000;

scalar! {
    /// A side's part of the requests: a percentage, or a whole number that is weighed against the others.
    Weight(Amount), "a percentage such as `90%`, or a whole number", codes::PERCENTAGE, scalar(weight),
    { "anyOf": [
        { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$|\\$\\{", "examples": ["90%", "2.5%"] },
        { "type": "integer", "minimum": 0, "maximum": 1000000 },
    ] }
}

/// How much a side gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// In parts of [`WHOLE`].
    OfAll(u64),
    /// Weighed against the other sides.
    Relative(u64),
}

fn weight(text: &str) -> Result<Amount, Wrong> {
    let plain = text.replace('_', "");
    if !plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit()) {
        return match plain.parse() {
            Ok(parts) if parts <= PARTS_MAX => Ok(Amount::Relative(parts)),
            _ => Err(Wrong::new(format!("`{}` is out of range", clip(text)))
                .help(format!("a weight is at most {PARTS_MAX}"))),
        };
    }
    let share = units::percentage(text)?;
    let parts = share * WHOLE as f64;
    match (parts - parts.round()).abs() < 1e-6 {
        true => Ok(Amount::OfAll(parts.round() as u64)),
        false => Err(Wrong::new(format!("`{}` is finer than anybody can tell", clip(text)))
            .help("a share has four decimals at most")),
    }
}

/// A name, or a map from names to what each gets.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    Name(String),
    Sides(Map<Side>),
}

impl Typed for Destination {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Map::decode(node, cx).map(Destination::Sides),
            Value::List(_) => {
                cx.wrong_type_hint(
                    node,
                    "a name, or a map of shares",
                    "write { catalog: 90%, catalog-v2: 10% }",
                );
                None
            }
            Value::Scalar(_) => Name::decode(node, cx).map(|name| Destination::Name(name.0)),
        }
    }
}

impl JsonSchema for Destination {
    fn schema_name() -> Cow<'static, str> {
        "Destination".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Name>(), generator.subschema_for::<Map<Side>>()] })
    }
}

/// `90%`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    Weight(Amount),
    Options(Box<SideOptions>),
}

impl Typed for Side {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Map(_) => SideOptions::decode(node, cx).map(|options| Side::Options(Box::new(options))),
            _ => Weight::decode(node, cx).map(|weight| Side::Weight(weight.0)),
        }
    }
}

impl JsonSchema for Side {
    fn schema_name() -> Cow<'static, str> {
        "Side".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<Weight>(),
            generator.subschema_for::<SideOptions>(),
        ] })
    }
}

/// `cookie`, `client`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Sticky {
    Cookie,
    Client,
    Options(Box<HashOptions>),
}

impl Typed for Sticky {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            _ if is_word(node, "cookie") => Some(Sticky::Cookie),
            _ if is_word(node, "client") => Some(Sticky::Client),
            Value::Map(_) => HashOptions::decode(node, cx).map(|options| Sticky::Options(Box::new(options))),
            _ => {
                let hint = "write `cookie` for one that Colony gives, or { header: x-user }";
                cx.wrong_type_hint(node, "`cookie`, `client`, or a map", hint);
                None
            }
        }
    }
}

impl JsonSchema for Sticky {
    fn schema_name() -> Cow<'static, str> {
        "Sticky".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["cookie", "client"] }, generator.subschema_for::<HashOptions>()] })
    }
}
