//! `spec.tracing`: of how many requests spans are recorded, and where they are sent.
//!
//! What is said is Dapr's: `samplingRate` is one in ten thousand where nothing is said, `isSecure` is true, `protocol` is `grpc`, headers
//! are `name=value,name=value`, and the timeout is in milliseconds.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http;
use crate::typed::{AsWritten, At, Bool, Cx, Int, Text, Typed, keys};
use crate::yaml::{Node, clip};

/// What is recorded of requests, and where it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// The share of the traces that begin here which is recorded: 0 to 1. None: it is not said.
    pub rate: Option<f64>,
    /// Where spans are sent. None: that is not said here.
    pub collector: Option<Collector>,
    /// Where it is said.
    pub(crate) span: Span,
}

/// A collector that takes OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Its URL: `http` or `https`, what is asked for left out.
    pub url: String,
    /// Whether gRPC is spoken with it; or else HTTP with protobuf.
    pub grpc: bool,
    /// Sent with each request; values as they are written, which is as in a URL.
    pub headers: Vec<(String, String)>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// The share that is recorded where a collector is named and no share: Dapr's.
pub const RATE: f64 = 0.0001;

keys! {
    /// What is recorded of requests.
    Said, "`tracing`";
    /// The share of the traces that is recorded: `"0"` to `"1"`.
    "samplingRate" => rate: AsWritten,
    /// Whether spans are printed.
    "stdout" => stdout: Bool,
    /// A collector that takes Zipkin's format.
    "zipkin" => zipkin: Zipkin,
    /// A collector that takes OTLP.
    "otel" => otel: Otel,
}

keys! {
    /// A collector that takes Zipkin's format.
    Zipkin, "`zipkin`";
    /// Its URL.
    "endpointAddress" => endpoint: Text,
}

keys! {
    /// A collector that takes OTLP.
    Otel, "`otel`";
    /// Its host and port, or its URL.
    "endpointAddress" => endpoint: Text,
    /// Whether TLS is spoken with it. Default true.
    "isSecure" => secure: Bool,
    /// `grpc` or `http`. Default `grpc`.
    "protocol" => protocol: Text,
    /// `name=value,name=value`.
    "headers" => headers: Text,
    /// Longest wait for an answer, in milliseconds. Default 10000.
    "timeout" => timeout: Int<1, 600_000>,
}

/// What is said; None if that is wrong.
pub(super) fn read(node: &Node, span: Span, found: &mut Vec<Diagnostic>) -> Option<Tracing> {
    let mut cx = Cx::default();
    let typed = Said::decode(node, &mut cx);
    found.append(&mut cx.found);
    let typed = typed?;
    let mut unsent = |span: Span, what: &str| {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, span, format!("spans are not {what} here"))
                .label("they are sent by OTLP: name a collector under `otel`"),
        );
    };
    if let Some(at) = typed.stdout.get().filter(|at| at.value.0) {
        unsent(at.span, "printed");
    }
    let zipkin = typed.zipkin.value().and_then(|zipkin| zipkin.endpoint.get());
    if let Some(at) = zipkin.filter(|at| !at.value.0.is_empty()) {
        unsent(at.span, "sent to Zipkin");
    }
    let rate = match typed.rate.get().filter(|at| !at.value.0.is_empty()) {
        None => None,
        Some(at) => match at.value.0.parse().ok().filter(|rate: &f64| (0.0..=1.0).contains(rate)) {
            Some(rate) => Some(rate),
            None => {
                let message = format!("`samplingRate` is `{}`", clip(&at.value.0));
                found.push(
                    Diagnostic::error(codes::WRONG_TYPE, at.span, message)
                        .label("expected a number from `\"0\"` to `\"1\"`"),
                );
                return None;
            }
        },
    };
    let collector = match typed.otel.value() {
        None => None,
        Some(otel) => match otel.endpoint.get().filter(|at| !at.value.0.is_empty()) {
            None => None,
            Some(endpoint) => match collector(otel, endpoint) {
                Ok(collector) => Some(collector),
                Err(wrong) => {
                    found.push(*wrong);
                    return None;
                }
            },
        },
    };
    Some(Tracing { rate, collector, span })
}

fn collector(otel: &Otel, endpoint: &At<Text>) -> Result<Collector, Box<Diagnostic>> {
    let written = endpoint.value.0.as_str();
    let is_secure = otel.secure.value().is_none_or(|secure| secure.0);
    let url = match written.contains("://") {
        true => written.to_owned(),
        false => format!("{}://{written}", if is_secure { "https" } else { "http" }),
    };
    if http::url(&url).is_err() {
        let message = format!("`endpointAddress` is `{}`", clip(written));
        let wrong = Diagnostic::error(codes::WRONG_TYPE, endpoint.span, message);
        return Err(Box::new(wrong.label("expected a host and a port, such as `localhost:4317`, or a URL")));
    }
    let grpc = match otel.protocol.get() {
        None => true,
        Some(at) => match at.value.0.as_str() {
            "" | "grpc" => true,
            "http" | "http/protobuf" => false,
            other => {
                let message = format!("`protocol` is `{}`", clip(other));
                let wrong = Diagnostic::error(codes::WRONG_TYPE, at.span, message);
                return Err(Box::new(wrong.label("expected `grpc` or `http`")));
            }
        },
    };
    let headers = match otel.headers.get() {
        None => Vec::new(),
        // What is in it may be secret.
        Some(at) => headers(&at.value.0).ok_or_else(|| {
            let wrong =
                Diagnostic::error(codes::WRONG_TYPE, at.span, "`headers` of a collector cannot be read");
            Box::new(wrong.label("expected `name=value,name=value`, with values as in a URL"))
        })?,
    };
    let timeout = otel.timeout.value().map_or(TIMEOUT, |timeout| Duration::from_millis(timeout.0));
    Ok(Collector { url, grpc, headers, timeout })
}

fn headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim();
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        is_name.then(|| (name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    pairs.map(pair).collect()
}

/// OpenTelemetry's.
const TIMEOUT: Duration = Duration::from_secs(10);
