//! Which headers pass, which are taken out and which are added on the way through.
//!
//! Hop-by-hop fields by RFC 9110 section 7.6.1, `Forwarded` by RFC 7239, `traceparent` by W3C
//! Trace Context.

use std::fmt::Write;
use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use policy::Rng;
use telemetry::trace::TraceContext;

pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest `X-Request-Id` taken over from a client; a longer one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Takes out what is meant for one hop only, and returns the protocol to upgrade to, if the
/// message asks for one.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut upgrade = None;
    if headers.contains_key(header::CONNECTION) {
        upgrade = strip_connection(headers);
    }
    if headers.remove(header::TRANSFER_ENCODING).is_some() {
        // Chunks say where the message ends; a length beside them would lie to the next hop (RFC 9112
        // section 6.3).
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    headers.remove(header::UPGRADE);
    upgrade
}

/// Takes out `Connection` and every field it names.
fn strip_connection(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut upgrade = None;
    let lines: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().cloned().collect();
    headers.remove(header::CONNECTION);
    let tokens = lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    for token in tokens.map(str::trim) {
        if token.eq_ignore_ascii_case("upgrade") {
            upgrade = headers.get(header::UPGRADE).cloned();
        } else if !(token.eq_ignore_ascii_case("close") || token.eq_ignore_ascii_case("keep-alive")) {
            remove_named(headers, token);
        }
    }
    upgrade
}

/// Removes a field that `Connection` names, but for those that a message cannot do without.
fn remove_named(headers: &mut HeaderMap, token: &str) {
    const KEPT: [HeaderName; 4] =
        [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::AUTHORIZATION];
    if let Ok(name) = HeaderName::from_bytes(token.as_bytes())
        && !KEPT.contains(&name)
        && name != header::TE
    {
        headers.remove(name);
    }
}

/// `TE` is hop-by-hop; whether we may get trailers is kept, for we pass them on.
pub(crate) fn keep_te_trailers(headers: &mut HeaderMap, http1: bool) {
    let Some(value) = headers.remove(header::TE) else { return };
    let trailers = value.to_str().is_ok_and(|text| {
        text.split(',').any(|part| {
            part.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("trailers"))
        })
    });
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if http1 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }
}

/// Asks the next hop for the upgrade that the last one asked for.
pub(crate) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Says at the edge for whom the request is forwarded. Appends to what came, so that only the last
/// element is to be trusted.
pub(crate) fn forwarded(headers: &mut HeaderMap, client: IpAddr, host: &HeaderValue, tls: bool) {
    let proto = if tls { "https" } else { "http" };
    let mut text = String::with_capacity(64);
    let ip = client.to_canonical();
    let _ = write!(text, "{ip}");
    append(headers, &X_FORWARDED_FOR, &text);
    text.clear();
    let _ = match ip {
        IpAddr::V4(ip) => write!(text, "for={ip}"),
        IpAddr::V6(ip) => write!(text, "for=\"[{ip}]\""),
    };
    // HTTP/1.0 may come without.
    let named = host.to_str().ok().filter(|host| !host.is_empty());
    if let Some(host) = named {
        let _ = write!(text, ";host=\"{host}\"");
    }
    let _ = write!(text, ";proto={proto}");
    append(headers, &header::FORWARDED, &text);
    headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    match named {
        Some(_) => headers.insert(&X_FORWARDED_HOST, host.clone()),
        None => headers.remove(&X_FORWARDED_HOST),
    };
}

/// Adds an element to a list that may have come in several lines, and makes it one.
fn append(headers: &mut HeaderMap, name: &HeaderName, element: &str) {
    let mut joined = Vec::new();
    for line in headers.get_all(name) {
        joined.extend_from_slice(line.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(name, value);
    }
}

/// Carries the trace on, or begins one.
pub(crate) fn trace(headers: &mut HeaderMap, rng: &mut Rng) {
    let context = match headers.get(&TRACEPARENT).and_then(|value| TraceContext::parse(value.as_bytes())) {
        Some(parent) => parent.child(rng.next_u64()),
        None => {
            headers.remove(&TRACESTATE);
            TraceContext::root([rng.next_u64(), rng.next_u64(), rng.next_u64()], true)
        }
    };
    if let Ok(value) = HeaderValue::from_bytes(&context.encode()) {
        headers.insert(&TRACEPARENT, value);
    }
}

/// The request's id: the one that came, if it is a sane one, else a new one.
pub(crate) fn request_id(headers: &mut HeaderMap, rng: &mut Rng) -> HeaderValue {
    if let Some(id) = headers.get(&X_REQUEST_ID)
        && (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
    {
        return id.clone();
    }
    let id = hex(rng.next_u64(), rng.next_u64());
    let id = HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("0"));
    headers.insert(&X_REQUEST_ID, id.clone());
    id
}

fn hex(high: u64, low: u64) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits = (u128::from(high) << 64) | u128::from(low);
    std::array::from_fn(|at| DIGITS[((bits >> (124 - 4 * at)) & 15) as usize])
}

/// HTTP/2 lets a client split `Cookie`; HTTP/1.1 wants one line (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut all = headers.get_all(header::COOKIE).iter();
    let Some(first) = all.next() else { return };
    let mut joined = first.as_bytes().to_vec();
    let mut more = false;
    for cookie in all {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
        more = true;
    }
    if more && let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, value);
    }
}

/// Whether a request may be sent twice: its method is idempotent (RFC 9110 section 9.2.2) or it
/// carries an `Idempotency-Key`.
pub(crate) fn is_idempotent(method: &http::Method, headers: &HeaderMap) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE")
        || headers.contains_key(&IDEMPOTENCY_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn connection_takes_what_it_names_with_it() {
        let mut map = headers(&[
            ("connection", "close, X-Secret"),
            ("connection", "host"),
            ("x-secret", "1"),
            ("host", "a"),
            ("keep-alive", "5"),
            ("x-kept", "1"),
        ]);
        assert_eq!(strip_hop_by_hop(&mut map), None);
        assert_eq!(map, headers(&[("host", "a"), ("x-kept", "1")]));
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let mut both = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(strip_hop_by_hop(&mut both), Some(HeaderValue::from_static("websocket")));
        assert!(both.is_empty());
        let mut one = headers(&[("upgrade", "websocket")]);
        assert_eq!(strip_hop_by_hop(&mut one), None);
        assert!(one.is_empty());
    }

    #[test]
    fn forwarded_appends_and_does_not_trust() {
        let mut map = headers(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil")]);
        forwarded(&mut map, IpAddr::from([10, 0, 0, 1]), &HeaderValue::from_static("shop"), false);
        assert_eq!(map["x-forwarded-for"], "6.6.6.6, 10.0.0.1");
        assert_eq!(map["x-forwarded-host"], "shop");
        assert_eq!(map["forwarded"], "for=10.0.0.1;host=\"shop\";proto=http");
        let mut nowhere = headers(&[("x-forwarded-host", "evil")]);
        forwarded(&mut nowhere, IpAddr::from([10, 0, 0, 1]), &HeaderValue::from_static(""), false);
        assert_eq!(nowhere["forwarded"], "for=10.0.0.1;proto=http");
        assert!(!nowhere.contains_key("x-forwarded-host"));
        let mut six = HeaderMap::new();
        forwarded(&mut six, "::1".parse().expect("address"), &HeaderValue::from_static("shop"), true);
        assert_eq!(six["forwarded"], "for=\"[::1]\";host=\"shop\";proto=https");
        assert_eq!(six["x-forwarded-proto"], "https");
    }

    #[test]
    fn a_trace_goes_on_and_a_broken_one_begins_anew() {
        let mut rng = Rng::new(1);
        let mut map = headers(&[
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "a=1"),
        ]);
        trace(&mut map, &mut rng);
        let after = map["traceparent"].to_str().expect("text").to_owned();
        assert!(after.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert!(!after.contains("b7ad6b7169203331"));
        assert!(map.contains_key("tracestate"));
        let mut broken = headers(&[("traceparent", "00-xyz"), ("tracestate", "a=1")]);
        trace(&mut broken, &mut rng);
        assert_eq!(broken["traceparent"].len(), 55);
        assert!(!broken.contains_key("tracestate"));
    }

    #[test]
    fn cookies_become_one_line() {
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut map);
        assert_eq!(map, headers(&[("cookie", "a=1; b=2")]));
    }
}
