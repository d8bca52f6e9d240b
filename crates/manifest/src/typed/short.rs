//! What can be written short, as a scalar, or long, as a map.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::typed::decode::{At, Cx, Field, Typed, at};
use crate::typed::shapes::{OneOrMany, OrNone, is_none, is_word, refuse_off};
use crate::typed::{
    AnyUrl, BalanceOptions, BalancePolicy, BalanceWord, ConcurrencyOptions, Dur, ExternalOptions, HedgeAfter,
    HedgeOptions, Int, LimitOptions, Placed, ProbeOptions, ProbePath, Rate, RetryOptions, ScaleOptions,
    SlowStartOptions, TlsFiles,
};
use crate::units::Wrong;
use crate::valid::RateLimit;
use crate::yaml::{Node, Value, clip};

/// `64`, `adaptive`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Concurrency {
    Max(u32),
    Adaptive,
    Options(Box<ConcurrencyOptions>),
}

impl Typed for Concurrency {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            _ if is_word(node, "adaptive") => Some(Concurrency::Adaptive),
            Value::Scalar(scalar) if scalar.text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                cx.scalar(node, "a whole number, or `adaptive`", codes::NUMBER, |text| Err(no_limit(text)))
            }
            Value::Scalar(_) => Int::<1, 1000000>::decode(node, cx).map(|max| Concurrency::Max(max.u32())),
            _ => ConcurrencyOptions::decode(node, cx).map(|options| Concurrency::Options(Box::new(options))),
        }
    }
}

fn no_limit(word: &str) -> Wrong {
    let wrong = Wrong::new(format!("`{}` does not say how many requests may be in flight", clip(word)));
    match nearest(word, ["adaptive", "none"]) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help("expected a whole number from 1 to 1000000, `adaptive` or `none`"),
    }
}

impl JsonSchema for Concurrency {
    fn schema_name() -> Cow<'static, str> {
        "Concurrency".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "const": "adaptive" },
            generator.subschema_for::<Int<1, 1000000>>(),
            generator.subschema_for::<ConcurrencyOptions>(),
        ] })
    }
}

/// `50/s per client`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Limit {
    Rate(RateLimit),
    Options(Box<LimitOptions>),
}

impl Typed for Limit {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Map(_) => LimitOptions::decode(node, cx).map(|options| Limit::Options(Box::new(options))),
            _ => Rate::decode(node, cx).map(|rate| Limit::Rate(rate.0)),
        }
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<Rate>(),
            generator.subschema_for::<LimitOptions>(),
        ] })
    }
}

/// `2`, `none`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Retries {
    None,
    Max(u32),
    Options(Box<RetryOptions>),
}

impl Typed for Retries {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            _ if is_none(node) => Some(Retries::None),
            _ if refuse_off(node, cx) => None,
            Value::Scalar(_) => Int::<0, 20>::decode(node, cx).map(|max| Retries::Max(max.u32())),
            _ => RetryOptions::decode(node, cx).map(|options| Retries::Options(Box::new(options))),
        }
    }
}

impl JsonSchema for Retries {
    fn schema_name() -> Cow<'static, str> {
        "Retries".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "const": "none" },
            generator.subschema_for::<Int<0, 20>>(),
            generator.subschema_for::<RetryOptions>(),
        ] })
    }
}

/// `p95`, `50ms`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Hedge {
    After(crate::valid::HedgeAfter),
    Options(Box<HedgeOptions>),
}

impl Typed for Hedge {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Map(_) => HedgeOptions::decode(node, cx).map(|options| Hedge::Options(Box::new(options))),
            _ => HedgeAfter::decode(node, cx).map(|after| Hedge::After(after.0)),
        }
    }
}

impl JsonSchema for Hedge {
    fn schema_name() -> Cow<'static, str> {
        "Hedge".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<HedgeAfter>(),
            generator.subschema_for::<HedgeOptions>(),
        ] })
    }
}

/// `/healthz`, `tcp`, `none`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    None,
    Tcp,
    Http(String),
    Options(Box<ProbeOptions>),
}

impl Typed for Probe {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            _ if is_none(node) => Some(Probe::None),
            _ if refuse_off(node, cx) => None,
            _ if is_word(node, "tcp") => Some(Probe::Tcp),
            Value::Scalar(_) => ProbePath::decode(node, cx).map(|path| Probe::Http(path.0)),
            _ => ProbeOptions::decode(node, cx).map(|options| Probe::Options(Box::new(options))),
        }
    }
}

impl JsonSchema for Probe {
    fn schema_name() -> Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["none", "tcp"] },
            generator.subschema_for::<ProbePath>(),
            generator.subschema_for::<ProbeOptions>(),
        ] })
    }
}

/// `dev`, a certificate, or a list of some.
#[derive(Clone, Debug)]
pub(crate) enum Tls {
    Dev,
    Files(Vec<At<TlsFiles>>),
}

impl Typed for Tls {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            _ if is_word(node, "dev") => Some(Tls::Dev),
            Value::Scalar(_) => {
                let what = "`dev`, or a map with `cert` and `key`";
                let hint = "write `dev` for a certificate of the development CA, or\n{ cert: certs/shop.pem, key: certs/shop.key }";
                cx.wrong_type_hint(node, what, hint);
                None
            }
            Value::List(items) if items.is_empty() => {
                let one = Diagnostic::error(codes::WRONG_TYPE, node.head(), "`tls` is an empty list");
                cx.found.push(one.label("one certificate at least; leave out `tls` for cleartext"));
                None
            }
            _ => OneOrMany::decode(node, cx).map(|files| Tls::Files(files.0)),
        }
    }
}

impl JsonSchema for Tls {
    fn schema_name() -> Cow<'static, str> {
        "Tls".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "dev" }, generator.subschema_for::<OneOrMany<TlsFiles>>()] })
    }
}

/// `2`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Scale {
    Instances(u32),
    Options(ScaleOptions),
}

impl Typed for Scale {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => Int::<1, 1024>::decode(node, cx).map(|count| Scale::Instances(count.u32())),
            _ => ScaleOptions::decode(node, cx).map(Scale::Options),
        }
    }
}

impl JsonSchema for Scale {
    fn schema_name() -> Cow<'static, str> {
        "Scale".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<Int<1, 1024>>(),
            generator.subschema_for::<ScaleOptions>(),
        ] })
    }
}

/// `least-request`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum Balance {
    Word(BalanceWord),
    Options(Box<BalanceOptions>),
}

impl Typed for Balance {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => BalancePolicy::decode(node, cx).map(|policy| Balance::Word(policy.0)),
            _ => BalanceOptions::decode(node, cx).map(|options| Balance::Options(Box::new(options))),
        }
    }
}

impl JsonSchema for Balance {
    fn schema_name() -> Cow<'static, str> {
        "Balance".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<BalancePolicy>(),
            generator.subschema_for::<BalanceOptions>(),
        ] })
    }
}

/// `30s`, or a map.
#[derive(Clone, Debug)]
pub(crate) enum SlowStart {
    Window(Duration),
    Options(Box<SlowStartOptions>),
}

impl Typed for SlowStart {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => Dur::decode(node, cx).map(|window| SlowStart::Window(window.0)),
            _ => SlowStartOptions::decode(node, cx).map(|options| SlowStart::Options(Box::new(options))),
        }
    }
}

impl JsonSchema for SlowStart {
    fn schema_name() -> Cow<'static, str> {
        "SlowStart".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<Dur>(),
            generator.subschema_for::<SlowStartOptions>(),
        ] })
    }
}

/// A URL, a list of some, or a map.
#[derive(Clone, Debug)]
pub(crate) struct External {
    pub url: Field<OneOrMany<Placed<AnyUrl>>>,
    pub protocol: Option<crate::valid::Protocol>,
    pub concurrency: Field<OrNone<Concurrency>>,
}

impl Typed for External {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        if matches!(node.value, Value::Scalar(_) | Value::List(_)) {
            let urls = OneOrMany::<Placed<AnyUrl>>::decode(node, cx)?;
            let url = Field::Given { key: node.head(), at: at(urls, node) };
            return Some(External { url, protocol: None, concurrency: Field::Absent });
        }
        let options = ExternalOptions::decode(node, cx)?;
        let protocol = options.protocol.value().map(|protocol| protocol.0);
        Some(External { url: options.url, protocol, concurrency: options.concurrency })
    }
}

impl JsonSchema for External {
    fn schema_name() -> Cow<'static, str> {
        "External".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<OneOrMany<Placed<AnyUrl>>>(),
            generator.subschema_for::<ExternalOptions>(),
        ] })
    }
}
