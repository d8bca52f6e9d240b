//! The scalars of the manifest: each with its form, its code and its schema.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::http;
use crate::nearest;
use crate::typed::decode::{Cx, Looks, Typed, is_broken, looks};
use crate::typed::macros::scalar;
use crate::units::{self, Wrong};
use crate::valid::RateLimit;
use crate::yaml::{Node, Style, Value, clip};

scalar! {
    /// A duration above zero: whole numbers with ms, s, m, h or d.
    Dur(Duration), "a duration such as `250ms` or `1m30s`", codes::DURATION, scalar(units::duration_above_zero),
    { "type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|\\$\\{", "examples": ["250ms", "2s", "1m30s"] }
}
scalar! {
    /// A duration that may be zero.
    DurOrZero(Duration), "a duration such as `250ms` or `1m30s`", codes::DURATION, scalar(units::duration),
    { "type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|\\$\\{", "examples": ["0s", "10s"] }
}
scalar! {
    /// A size in B, KB, MB, GB, KiB, MiB or GiB.
    Size(u64), "a size such as `64KiB` or `10MB`", codes::SIZE, scalar(units::size),
    { "type": "string", "pattern": "^[0-9]+([KMG]i?)?B$|\\$\\{", "examples": ["64KiB", "10MB"] }
}
scalar! {
    /// A share of the whole, with a percent sign.
    Percentage(f64), "a percentage such as `20%`", codes::PERCENTAGE, scalar(units::percentage),
    { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$|\\$\\{", "examples": ["20%", "99.9%"] }
}
scalar! {
    /// Requests per second, minute or hour; for each client, header, cookie or segment of the path apart; with a burst.
    Rate(RateLimit), "a rate limit such as `50/s per client`", codes::RATE, open_scalar(units::rate),
    {
        "type": "string",
        "pattern": "^[0-9]+/[smh]( per (client|(header|cookie) [^ ]+|segment [0-9]+)| burst [0-9]+)*$|\\$\\{",
        "examples": ["50/s", "100/m per client", "1000/h per header x-api-key burst 20"],
    }
}
scalar! {
    /// The name of a service, an external or the system: lower case letters, digits and dashes.
    Name(String), "a name", codes::INVALID_NAME, open_scalar(name),
    { "type": "string", "pattern": "^[a-z][a-z0-9-]*$|\\$\\{" }
}
scalar! {
    /// The name of an environment variable.
    Variable(String), "the name of an environment variable", codes::INVALID_NAME, open_scalar(variable),
    { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }
}
scalar! {
    /// An address to listen on: a port, or an IP address and a port.
    Listen(SocketAddr), "an address such as `127.0.0.1:8080`", codes::ADDRESS, scalar(http::listen),
    { "type": ["string", "integer"], "examples": ["127.0.0.1:8080", "0.0.0.0:8080", 8080] }
}
scalar! {
    /// A host name, or one with a wildcard in front.
    Host(String), "a host such as `shop.example`", codes::HOST, open_scalar(http::host),
    { "type": "string", "examples": ["shop.example", "*.shop.example"] }
}
scalar! {
    /// A path pattern: `*` or `{name}` for one segment, `/**` at the end for any rest.
    Path(http::NamedPath), "a path pattern such as `/api/**`", codes::PATH, open_scalar(http::named_path),
    { "type": "string", "pattern": "^/|\\$\\{", "examples": ["/api/**", "/users/{id}"] }
}
scalar! {
    /// An HTTP method.
    Method(String), "an HTTP method", codes::METHOD, open_scalar(http::method),
    { "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] }
}
scalar! {
    /// Where an instance answers: an http URL without a path.
    InstanceUrl(http::Url), "a URL such as `http://127.0.0.1:3000`", codes::URL, scalar(instance_url),
    { "type": "string", "pattern": "^http://[^/]+/?$|\\$\\{", "examples": ["http://127.0.0.1:3000"] }
}
scalar! {
    /// An http or https URL, or one with `+srv` behind its scheme, whose instances SRV records tell.
    AnyUrl(http::Url), "a URL such as `https://payments.example/v1`", codes::URL, scalar(http::external_url),
    { "type": "string", "pattern": "^https?(\\+srv)?://|\\$\\{", "examples": ["https://payments.example/v1", "http+srv://_http._tcp.shop.example"] }
}
scalar! {
    /// A DNS server: an IP address, with a port if that is not 53.
    Resolver(SocketAddr), "an address such as `10.0.0.2`", codes::ADDRESS, scalar(http::resolver),
    { "type": "string", "examples": ["10.0.0.2", "127.0.0.1:5353"] }
}
scalar! {
    /// A file, absolute or relative to the manifest.
    File(String), "a file such as `certs/shop.pem`", codes::WRONG_TYPE, open_scalar(file),
    { "type": "string", "examples": ["certs/shop.pem"] }
}
scalar! {
    /// The path that a probe asks.
    ProbePath(String), "a path such as `/healthz`", codes::PATH, open_scalar(probe_path),
    { "type": "string", "pattern": "^/|\\$\\{", "examples": ["/healthz"] }
}
scalar! {
    /// What instances speak.
    Protocol(crate::valid::Protocol), "`http1`, `http2` or `grpc`", codes::WRONG_TYPE, scalar(protocol),
    { "enum": ["http1", "http2", "grpc"] }
}

scalar! {
    /// How chance comes into a wait.
    Jitter(crate::valid::Jitter), "`full` or `decorrelated`", codes::WRONG_TYPE, scalar(jitter),
    { "enum": ["full", "decorrelated"] }
}
scalar! {
    /// How much it matters that a request is served.
    Priority(crate::valid::Priority), "`critical`, `high`, `normal` or `low`", codes::WRONG_TYPE, scalar(priority),
    { "enum": ["critical", "high", "normal", "low"] }
}
scalar! {
    /// An end of a try that is retried.
    Condition(crate::valid::Condition), "`connect-failure`, `reset`, `timeout` or `statuses`", codes::WRONG_TYPE, scalar(condition),
    { "enum": ["connect-failure", "reset", "timeout", "statuses"] }
}
scalar! {
    /// A status of gRPC, by its name.
    GrpcStatus(u16), "a status of gRPC such as `unavailable`", codes::STATUS, scalar(grpc_status),
    { "enum": ["cancelled", "unknown", "invalid-argument", "deadline-exceeded", "not-found", "already-exists", "permission-denied", "resource-exhausted", "failed-precondition", "aborted", "out-of-range", "unimplemented", "internal", "unavailable", "data-loss", "unauthenticated"] }
}

scalar! {
    /// A quantile of latency, or a duration above zero.
    HedgeAfter(crate::valid::HedgeAfter), "a quantile such as `p95`, or a duration such as `50ms`", codes::DURATION, scalar(hedge_after),
    { "type": "string", "pattern": "^p[5-9][0-9](\\.[0-9]+)?$|^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|\\$\\{", "examples": ["p95", "p99.9", "50ms"] }
}

scalar! {
    /// A duration, and the quantile of requests that take no longer.
    LatencyGoal((Duration, f64)), "a latency such as `300ms at p99`", codes::DURATION, scalar(latency_goal),
    { "type": "string", "pattern": "^([0-9]+m)?([0-9]+s)?([0-9]+ms)? at p[0-9]+(\\.[0-9]+)?$|\\$\\{", "examples": ["300ms at p99", "1s at p99.9"] }
}
scalar! {
    /// Where alerts are posted to.
    Webhook(String), "a URL such as `https://hooks.example/alerts`", codes::URL, scalar(webhook),
    { "type": "string", "pattern": "^https?://|\\$\\{", "examples": ["https://hooks.example/alerts"] }
}

scalar! {
    /// How an instance is chosen.
    BalancePolicy(BalanceWord), "a policy such as `least-request`", codes::WRONG_TYPE, scalar(balance),
    { "enum": ["p2c-ewma", "round-robin", "random", "least-request", "ring-hash", "maglev"] }
}
scalar! {
    /// A part of a path: the number of a segment from 1, or the name that it has in the route's path.
    Part(PathPart), "a segment such as `2` or `\"{cart}\"`", codes::PATH, open_scalar(path_part),
    { "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 64 }, { "type": "string", "pattern": "^\\{|\\$\\{" }] }
}
scalar! {
    /// The name of a header.
    HeaderName(String), "the name of a header", codes::HEADER, open_scalar(http::header_name),
    { "type": "string" }
}
scalar! {
    /// The name of a cookie.
    CookieName(String), "the name of a cookie", codes::HEADER, open_scalar(http::cookie_name),
    { "type": "string" }
}
scalar! {
    /// A number above zero, with decimals if need be.
    Factor(f64), "a number such as `1.5`", codes::NUMBER, scalar(factor),
    { "anyOf": [{ "type": "number", "exclusiveMinimum": 0, "maximum": 100 }, { "type": "string", "pattern": "\\$\\{" }] }
}

scalar! {
    /// A status code of a final answer.
    Status(u16), "a status from 200 to 599", codes::STATUS, scalar(status),
    { "anyOf": [{ "type": "integer", "minimum": 200, "maximum": 599 }, { "type": "string", "pattern": "\\$\\{" }] }
}

/// How an instance is chosen, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BalanceWord {
    P2cEwma,
    RoundRobin,
    Random,
    LeastRequest,
    RingHash,
    Maglev,
}

impl BalanceWord {
    const ALL: [BalanceWord; 6] = [
        BalanceWord::P2cEwma,
        BalanceWord::RoundRobin,
        BalanceWord::Random,
        BalanceWord::LeastRequest,
        BalanceWord::RingHash,
        BalanceWord::Maglev,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            BalanceWord::P2cEwma => "p2c-ewma",
            BalanceWord::RoundRobin => "round-robin",
            BalanceWord::Random => "random",
            BalanceWord::LeastRequest => "least-request",
            BalanceWord::RingHash => "ring-hash",
            BalanceWord::Maglev => "maglev",
        }
    }
}

fn balance(text: &str) -> Result<BalanceWord, Wrong> {
    let known = || BalanceWord::ALL.into_iter();
    known().find(|word| word.name() == text).ok_or_else(|| {
        let wrong = Wrong::new(format!("`{}` is no way to choose an instance", clip(text)));
        let written = text.to_lowercase().replace('_', "-");
        match nearest::nearest(&written, known().map(BalanceWord::name)) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong.help(format!("write {}", nearest::choice(known().map(BalanceWord::name)))),
        }
    })
}

/// A segment of a path.
#[derive(Clone, Debug)]
pub(crate) enum PathPart {
    /// From 1.
    Nth(usize),
    Named(String),
}

fn path_part(text: &str) -> Result<PathPart, Wrong> {
    match (http::capture(text), text.parse::<usize>()) {
        (Some(name), _) => Ok(PathPart::Named(name.to_owned())),
        (None, Ok(nth @ 1..=64)) if text.chars().all(|c| c.is_ascii_digit()) => Ok(PathPart::Nth(nth)),
        _ => Err(Wrong::new(format!("`{}` is no part of a path", clip(text)))
            .help("write the number of a segment, from 1, or its name in the route's path: `\"{cart}\"`")),
    }
}

fn factor(text: &str) -> Result<f64, Wrong> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 100.0);
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    number.filter(|_| plain).ok_or_else(|| {
        Wrong::new(format!("`{}` is not a number above zero", clip(text)))
            .help("expected a number such as `1.5`, at most 100")
    })
}

fn jitter(text: &str) -> Result<crate::valid::Jitter, Wrong> {
    match text {
        "full" => Ok(crate::valid::Jitter::Full),
        "decorrelated" => Ok(crate::valid::Jitter::Decorrelated),
        _ => Err(Wrong::new(format!("`{}` is no jitter", clip(text))).help("write `full` or `decorrelated`")),
    }
}

fn priority(text: &str) -> Result<crate::valid::Priority, Wrong> {
    use crate::valid::Priority;
    let known = Priority::ALL.into_iter().find(|priority| priority.name() == text);
    known.ok_or_else(|| {
        Wrong::new(format!("`{}` is no priority", clip(text)))
            .help("write `critical`, `high`, `normal` or `low`")
    })
}

fn condition(text: &str) -> Result<crate::valid::Condition, Wrong> {
    use crate::valid::Condition;
    let known = Condition::ALL.into_iter().find(|condition| condition.name() == text);
    known.ok_or_else(|| {
        Wrong::new(format!("`{}` is nothing that can be retried", clip(text)))
            .help("write `connect-failure`, `reset`, `timeout` or `statuses`")
    })
}

fn hedge_after(text: &str) -> Result<crate::valid::HedgeAfter, Wrong> {
    use crate::valid::HedgeAfter;
    let Some(number) = text.strip_prefix('p') else {
        let duration = units::duration_above_zero(text).map(HedgeAfter::Fixed);
        return duration
            .map_err(|wrong| wrong.help("write a quantile such as `p95`, or a duration such as `50ms`"));
    };
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    match number.parse::<f64>() {
        Ok(percent) if plain && (50.0..=99.9).contains(&percent) => Ok(HedgeAfter::Quantile(percent / 100.0)),
        _ => Err(Wrong::new(format!("`{}` is no quantile to hedge after", clip(text)))
            .help("write one from `p50` to `p99.9`, such as `p95`")),
    }
}

fn latency_goal(text: &str) -> Result<(Duration, f64), Wrong> {
    let wrong = || {
        Wrong::new(format!("`{}` is no latency", clip(text)))
            .help("write a duration and the quantile of requests that take no longer, such as `300ms at p99`")
    };
    let (within, quantile) = text.split_once(" at p").ok_or_else(wrong)?;
    let within = units::duration_above_zero(within.trim_end())?;
    let plain = quantile.chars().all(|c| c.is_ascii_digit() || c == '.');
    let percent = quantile.parse::<f64>().ok().filter(|_| plain).ok_or_else(wrong)?;
    match percent {
        _ if !(1.0..=99.999).contains(&percent) => {
            Err(Wrong::new(format!("`p{}` is no quantile to promise", clip(quantile)))
                .help("write one from `p1` to `p99.999`, such as `p99`"))
        }
        _ if within > LATENCY_MAX => {
            Err(Wrong::new(format!("`{}` is longer than an hour", clip(text)))
                .help("write at most `60m at p99`"))
        }
        _ => Ok((within, percent / 100.0)),
    }
}

/// What is measured is told apart up to a little more than this.
const LATENCY_MAX: Duration = Duration::from_secs(3600);

fn webhook(text: &str) -> Result<String, Wrong> {
    // What is behind the path is the receiver's matter.
    http::url(text.split(['?', '#']).next().unwrap_or(text)).map(|_| text.to_owned())
}

fn grpc_status(text: &str) -> Result<u16, Wrong> {
    let known = crate::valid::GRPC_STATUSES.iter().find(|(_, name)| *name == text);
    known.map(|(number, _)| *number).ok_or_else(|| {
        let wrong = Wrong::new(format!("`{}` is no failure of gRPC", clip(text)));
        match nearest::nearest(text, crate::valid::GRPC_STATUSES.iter().map(|(_, name)| *name)) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => {
                wrong.help("write its name in small letters, such as `unavailable` or `resource-exhausted`")
            }
        }
    })
}

fn status(text: &str) -> Result<u16, Wrong> {
    let digits = text.len() == 3 && text.chars().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|status| digits && (200..600).contains(status)).ok_or_else(|| {
        Wrong::new(format!("`{}` is not the status of an answer", clip(text)))
            .help("a status is a number from 200 to 599")
    })
}

/// A name's rule, [a-z][a-z0-9-]*, at most 63 characters as in host names.
pub(crate) fn name(text: &str) -> Result<String, Wrong> {
    let valid = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text.len() <= NAME_CHARS_MAX;
    if valid {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(format!("`{}` cannot be a name", clip(text)));
    if text.len() > NAME_CHARS_MAX {
        return Err(wrong.help(format!("a name has at most {NAME_CHARS_MAX} characters")));
    }
    Err(match respelled(text) {
        Some(name) => wrong.help(format!("write `{name}`: names have lower case letters, digits and dashes")),
        None => {
            wrong.help("a name begins with a lower case letter and goes on with letters, digits and dashes")
        }
    })
}

fn respelled(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars() {
        match c {
            'A'..='Z' if name.ends_with(|c: char| c.is_ascii_lowercase()) => {
                name.push('-');
                name.push(c.to_ascii_lowercase());
            }
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            'a'..='z' | '0'..='9' | '-' => name.push(c),
            '_' | ' ' | '.' | '/' => name.push('-'),
            _ => return None,
        }
    }
    (name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-')).then_some(name)
}

pub(crate) fn variable(text: &str) -> Result<String, Wrong> {
    match crate::substitute::is_variable_name(text) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("`{}` cannot be the name of an environment variable", clip(text)))
            .help("it has letters, digits and underscores and does not begin with a digit")),
    }
}

fn instance_url(text: &str) -> Result<http::Url, Wrong> {
    let url = http::url(text)?;
    if url.tls {
        return Err(Wrong::new("instances are reached by cleartext `http://`")
            .help("declare what is reached by `https://` under `externals`"));
    }
    if !url.path.is_empty() {
        return Err(Wrong::new("an instance's URL has no path")
            .help(format!("write `http://{}`; a route's `rewrite` adds a path", url.authority())));
    }
    Ok(url)
}

fn file(text: &str) -> Result<String, Wrong> {
    match text.trim().is_empty() || text.contains('\0') {
        false => Ok(text.to_owned()),
        true => Err(Wrong::new("this names no file").help("write a path such as `certs/shop.pem`")),
    }
}

fn probe_path(text: &str) -> Result<String, Wrong> {
    let fine = text.starts_with('/') && text.chars().all(|c| c.is_ascii_graphic()) && !text.contains('#');
    match fine {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("`{}` is not a path to probe", clip(text)))
            .help("write a path such as `/healthz`, or `tcp`, or `none`")),
    }
}

fn protocol(text: &str) -> Result<crate::valid::Protocol, Wrong> {
    match text {
        "http1" => Ok(crate::valid::Protocol::Http1),
        "http2" => Ok(crate::valid::Protocol::Http2),
        "grpc" => Ok(crate::valid::Protocol::Grpc),
        _ => Err(Wrong::new(format!("`{}` is not a protocol", clip(text))).help(
            match text.to_lowercase().as_str() {
                "h2" | "h2c" | "http/2" => "write `http2`",
                "http" | "h1" | "http/1.1" | "http/1" => "write `http1`",
                _ => "write `http1`, `http2` or `grpc`",
            },
        )),
    }
}

/// Free text.
#[derive(Clone, Debug)]
pub(crate) struct Text(pub String);

impl Typed for Text {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if !node.is_null() && !is_broken(node) => match looks(scalar) {
                Looks::Text => Some(Self(scalar.text.clone())),
                _ => {
                    let message = format!("expected a text, found {}", super::decode::describe(node));
                    let quoted = format!("write it in quotes: `\"{}\"`", clip(&scalar.text));
                    cx.found.push(Diagnostic::error(codes::WRONG_TYPE, node.span, message).label(quoted));
                    None
                }
            },
            _ => {
                let hint = if matches!(node.value, Value::List(_)) {
                    "write it in one line, as in a shell"
                } else {
                    ""
                };
                cx.wrong_type_hint(node, "a text", hint);
                None
            }
        }
    }
}

impl JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Text, a number or a truth value, taken as it is written.
#[derive(Clone, Debug)]
pub(crate) struct AsWritten(pub String);

impl Typed for AsWritten {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if !node.is_null() && !is_broken(node) => Some(Self(scalar.text.clone())),
            _ if node.is_null() => {
                let message = "expected a value, found nothing";
                cx.found.push(
                    Diagnostic::error(codes::WRONG_TYPE, node.span, message)
                        .label("for an empty text write `\"\"`"),
                );
                None
            }
            _ => {
                cx.wrong_type(node, "a text, a number or a truth value");
                None
            }
        }
    }
}

impl JsonSchema for AsWritten {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AsWritten".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// `true` or `false`.
#[derive(Clone, Debug)]
pub(crate) struct Bool(pub bool);

impl Typed for Bool {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let value = match &node.value {
            Value::Scalar(scalar) if scalar.style != Style::Quoted => match scalar.text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if value.is_none() {
            let quoted = matches!(&node.value, Value::Scalar(scalar) if matches!(scalar.text.as_str(), "true" | "false"));
            cx.wrong_type_hint(node, "`true` or `false`", if quoted { "leave out the quotes" } else { "" });
        }
        value.map(Self)
    }
}

impl JsonSchema for Bool {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bool".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// A whole number from MIN to MAX.
#[derive(Clone, Debug)]
pub(crate) struct Int<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Int<MIN, MAX> {
    /// The number as the valid manifest keeps it; MAX fits by declaration.
    pub fn u32(&self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Typed for Int<MIN, MAX> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let what = format!("a whole number from {MIN} to {MAX}");
        match &node.value {
            Value::Scalar(scalar) if scalar.style == Style::Quoted => {
                let is_number = scalar.text.parse::<u64>().is_ok();
                let message = format!("expected {what}, found {}", super::decode::describe(node));
                let one = Diagnostic::error(codes::WRONG_TYPE, node.span, message);
                cx.found.push(if is_number { one.label("leave out the quotes") } else { one });
                return None;
            }
            _ => {}
        }
        cx.scalar(node, &what, codes::NUMBER, |text| whole_number(text, MIN, MAX)).map(Self)
    }
}

fn whole_number(text: &str, min: u64, max: u64) -> Result<u64, Wrong> {
    let plain = text.replace('_', "");
    let digits = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit());
    match plain.parse::<u64>() {
        Ok(number) if digits && (min..=max).contains(&number) => Ok(number),
        _ if text.parse::<f64>().is_ok() => Err(Wrong::new(format!("`{}` is out of range", clip(text)))
            .help(format!("expected a whole number from {min} to {max}"))),
        _ => Err(Wrong::new(format!("`{}` is not a number", clip(text)))
            .help(format!("expected a whole number from {min} to {max}"))),
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Int<MIN, MAX> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Int{MIN}to{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": MIN, "maximum": MAX },
            { "type": "string", "pattern": "\\$\\{" },
        ] })
    }
}

/// Longest name: a label of a host name.
pub(crate) const NAME_CHARS_MAX: usize = 63;
