//! What is passed on of a call's headers, and what is added to them.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;
use crate::token;

/// What called applications are told of their caller. Made once.
#[derive(Debug)]
pub(crate) struct Caller {
    app_id: HeaderValue,
    namespace: HeaderValue,
    address: HeaderValue,
    host: HeaderValue,
    forwarded: HeaderValue,
}

impl Caller {
    pub(crate) fn new(config: &Config) -> Caller {
        let (address, host) = &config.machine;
        let node = if address.is_ipv6() { format!("\"[{address}]\"") } else { address.to_string() };
        Caller {
            app_id: text(&config.app_id),
            namespace: text(config.known_namespace()),
            address: text(&address.to_string()),
            host: text(host),
            forwarded: text(&format!("for={node};by={node};host={host}")),
        }
    }

    /// Says to another application who calls it; to what proxies have said before it is added.
    pub(crate) fn tell(&self, headers: &mut HeaderMap, callee: &str) {
        headers.append(X_FORWARDED_FOR, self.address.clone());
        headers.append(X_FORWARDED_HOST, self.host.clone());
        headers.append(FORWARDED, self.forwarded.clone());
        headers.insert(CALLER_NAMESPACE, self.namespace.clone());
        self.name(headers, callee);
    }

    /// Says which application calls which.
    pub(crate) fn name(&self, headers: &mut HeaderMap, callee: &str) {
        headers.insert(CALLER, self.app_id.clone());
        headers.insert(CALLEE, text(callee));
    }
}

/// Leaves out of a request what is between the caller and its sidecar only.
pub(super) fn pass_on(headers: &mut HeaderMap, has_token: bool) {
    // Which of the two says how long the body is has been decided when it was read.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    // It has been answered.
    headers.remove(EXPECT);
    hop_by_hop(headers);
    if has_token {
        headers.remove(token::HEADER);
    }
}

/// The same for a request of gRPC, which has said who is called.
pub(super) fn pass_on_grpc(headers: &mut HeaderMap, has_token: bool) {
    headers.remove(APP_ID);
    headers.remove(CALLEE);
    if has_token {
        headers.remove(token::HEADER);
    }
}

/// A name that HTTP gives a meaning to, so that it is not taken for what gRPC says itself; others as they are.
pub(crate) fn prefixed(name: &HeaderName) -> HeaderName {
    match RESERVED.contains(&name.as_str()) {
        true => format!("dapr-{name}").parse().unwrap_or_else(|_| name.clone()),
        false => name.clone(),
    }
}

/// Leaves out what holds for one connection (RFC 9110, 7.6.1).
pub(super) fn hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|names| names.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Ids and addresses have no character that a header may not have.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("unknown"))
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const CALLER: HeaderName = HeaderName::from_static("dapr-caller-app-id");
const CALLER_NAMESPACE: HeaderName = HeaderName::from_static("dapr-caller-namespace");
/// Which application is called: told to it, and over gRPC said by the caller.
pub(crate) const CALLEE: HeaderName = HeaderName::from_static("dapr-callee-app-id");
/// The same, as callers over HTTP say it, too.
const APP_ID: HeaderName = HeaderName::from_static("dapr-app-id");
const HOP_BY_HOP: [HeaderName; 9] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
];
/// Names of the registry of permanent headers, as gRPC's gateway has them.
const RESERVED: [&str; 24] = [
    "accept",
    "accept-charset",
    "accept-language",
    "accept-ranges",
    "authorization",
    "cache-control",
    "content-type",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-schedule-tag-match",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "referer",
    "user-agent",
    "via",
    "warning",
];
