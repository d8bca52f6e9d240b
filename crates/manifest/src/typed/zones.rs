//! Zones: a URL, or a map that also says in which zone that is; and how far the own one is preferred.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::codes;
use crate::http::Url;
use crate::typed::decode::{At, Cx, Field, Typed, at};
use crate::typed::macros::scalar;
use crate::typed::scalars::NAME_CHARS_MAX;
use crate::typed::{AnyUrl, InstanceUrl, keys};
use crate::units::Wrong;
use crate::yaml::{Node, Value, clip};

scalar! {
    /// The name of a zone: letters, digits, `-`, `_` and `.`, at most 63.
    ZoneName(String), "the name of a zone such as `eu-1a`", codes::INVALID_NAME, open_scalar(zone_name),
    { "type": ["string", "integer"], "examples": ["eu-1a", "rack-7"] }
}
scalar! {
    /// How many times its usual load an instance can bear, kept in percent.
    Overprovisioning(u32), "a number from 1 to 10 such as `1.4`", codes::NUMBER, scalar(overprovisioning),
    { "anyOf": [{ "type": "number", "minimum": 1, "maximum": 10 }, { "type": "string", "pattern": "\\$\\{" }] }
}

keys! {
    /// Where an instance runs.
    InstancePlace, "an instance";
    /// Its URL.
    "url" => url: InstanceUrl = required,
    /// The zone that it is in, such as `eu-1a`. Default: not known.
    "zone" => zone: ZoneName,
}

keys! {
    /// One place where an external is.
    ExternalPlace, "a place of an external";
    /// Its URL.
    "url" => url: AnyUrl = required,
    /// The zone that it is in, such as `eu-1a`; of a name, all of its addresses. Default: not known.
    "zone" => zone: ZoneName,
}

/// A URL with its zone, if that is said.
#[derive(Clone, Debug)]
pub(crate) struct Placed<U> {
    pub url: At<U>,
    pub zone: Option<At<ZoneName>>,
}

/// A kind of URL that can be given a zone.
pub(crate) trait Place: Typed + AsRef<Url> {
    type Long: Typed;
    fn parts(long: Self::Long) -> (Field<Self>, Field<ZoneName>);
}

impl Place for InstanceUrl {
    type Long = InstancePlace;
    fn parts(long: InstancePlace) -> (Field<InstanceUrl>, Field<ZoneName>) {
        (long.url, long.zone)
    }
}

impl Place for AnyUrl {
    type Long = ExternalPlace;
    fn parts(long: ExternalPlace) -> (Field<AnyUrl>, Field<ZoneName>) {
        (long.url, long.zone)
    }
}

impl AsRef<Url> for InstanceUrl {
    fn as_ref(&self) -> &Url {
        &self.0
    }
}

impl AsRef<Url> for AnyUrl {
    fn as_ref(&self) -> &Url {
        &self.0
    }
}

impl<U: Place> Typed for Placed<U> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return U::decode(node, cx).map(|url| Placed { url: at(url, node), zone: None });
        };
        match U::parts(U::Long::decode(node, cx)?) {
            (Field::Given { at: url, .. }, Field::Given { at: zone, .. }) => {
                Some(Placed { url, zone: Some(zone) })
            }
            (Field::Given { at: url, .. }, Field::Absent) => Some(Placed { url, zone: None }),
            _ => None,
        }
    }
}

impl<U: Place> JsonSchema for Placed<U> {
    fn schema_name() -> Cow<'static, str> {
        format!("Placed{}", U::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<U>(), generator.subschema_for::<U::Long>()] })
    }
}

fn overprovisioning(text: &str) -> Result<u32, Wrong> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = text.parse::<f64>().ok().filter(|number| plain && (1.0..=10.0).contains(number));
    number.map(|number| (number * 100.0).round() as u32).ok_or_else(|| {
        Wrong::new(format!("`{}` is no factor from 1 to 10", clip(text)))
            .help("write 1 for none to spare, or more: with 1.4, the default, 5 of 7 can bear it all")
    })
}

/// As labels in Kubernetes, which clouds name their zones for.
pub(crate) fn zone_name(text: &str) -> Result<String, Wrong> {
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let fine = ends && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    match fine && text.len() <= NAME_CHARS_MAX {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("`{}` cannot be the name of a zone", clip(text))).help(format!(
            "it has letters, digits, `-`, `_` and `.`, begins and ends with one of the first two, and has at \
             most {NAME_CHARS_MAX} characters, such as `eu-1a`"
        ))),
    }
}
