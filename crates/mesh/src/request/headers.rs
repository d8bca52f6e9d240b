//! Which headers pass, which are taken out and which are added on the way through.
//!
//! Hop-by-hop fields by RFC 9110 section 7.6.1, `Forwarded` by RFC 7239, `traceparent` by W3C
//! Trace Context.

use std::net::IpAddr;
use std::time::Duration;

use policy::deadline::header::Node;
use policy::deadline::{grpc, header};
use policy::{Class, Rng, Time};
use telemetry::trace::TraceContext;

use crate::message::fields::{Fields, Id};

/// Longest `X-Request-Id` taken over from a client; a longer one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// What `Connection` and its like said before they were taken out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The protocol to upgrade to.
    pub(crate) upgrade: Option<Vec<u8>>,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    /// Trailers are welcome.
    pub(crate) trailers: bool,
}

/// Takes out what is meant for one hop only.
pub(crate) fn strip_hop_by_hop(fields: &mut Fields) -> Hop {
    let mut hop = Hop::default();
    if fields.has(Id::Connection) {
        strip_connection(fields, &mut hop);
    }
    if fields.has(Id::TransferEncoding) {
        // Chunks say where the message ends; a length beside them would lie to the next hop (RFC 9112
        // section 6.3).
        fields.remove(Id::TransferEncoding);
        fields.remove(Id::ContentLength);
    }
    if fields.has(Id::Te) {
        hop.trailers = tokens(fields, Id::Te).any(|token| {
            token.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("trailers"))
        });
        fields.remove(Id::Te);
    }
    fields.remove(Id::KeepAlive);
    fields.remove(Id::ProxyConnection);
    fields.remove(Id::Upgrade);
    hop
}

/// Elements of a list that may have come in several lines.
fn tokens(fields: &Fields, id: Id) -> impl Iterator<Item = &str> {
    let lines = fields.all(id).filter_map(|line| std::str::from_utf8(line).ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Takes out `Connection` and every field it names.
fn strip_connection(fields: &mut Fields, hop: &mut Hop) {
    let mut named: Vec<Vec<u8>> = Vec::new();
    for token in tokens(fields, Id::Connection) {
        if token.eq_ignore_ascii_case("close") {
            hop.close = true;
        } else if token.eq_ignore_ascii_case("keep-alive") {
            hop.keep_alive = true;
        } else if token.eq_ignore_ascii_case("upgrade") {
            hop.upgrade = fields.get(Id::Upgrade).filter(|to| !is_http(to)).map(<[u8]>::to_vec);
        } else {
            named.push(token.as_bytes().to_vec());
        }
    }
    fields.remove(Id::Connection);
    named.iter().for_each(|name| remove_named(fields, name));
}

/// Whether one of these protocols is HTTP again, or TLS. What goes through such a tunnel would be
/// requests that nobody has looked at.
fn is_http(protocols: &[u8]) -> bool {
    protocols.split(|byte| *byte == b',').any(|protocol| {
        let name = protocol.trim_ascii().to_ascii_lowercase();
        [&b"h2"[..], b"h3", b"http", b"tls"].iter().any(|known| name.starts_with(known))
    })
}

/// Removes a field that `Connection` names, but for those that a message cannot do without.
fn remove_named(fields: &mut Fields, name: &[u8]) {
    let kept = matches!(Id::of(name), Id::Host | Id::ContentLength | Id::ContentType | Id::Te)
        || name.eq_ignore_ascii_case(b"authorization");
    if !kept {
        fields.remove_named(name);
    }
}

/// A client's address as texts, made once a connection.
pub(crate) struct ClientText {
    /// For `X-Forwarded-For`.
    address: Box<str>,
    /// For `Forwarded`.
    element: Box<str>,
}

impl ClientText {
    pub(crate) fn new(client: IpAddr) -> ClientText {
        let ip = client.to_canonical();
        let element = match ip {
            IpAddr::V4(ip) => format!("for={ip}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
        };
        ClientText { address: ip.to_string().into(), element: element.into() }
    }
}

/// Says at the edge for whom the request is forwarded. Appends to what came, so that only the last
/// element is to be trusted.
pub(crate) fn forwarded(fields: &mut Fields, client: &ClientText, host: &[u8], tls: bool) {
    let proto: &[u8] = if tls { b"https" } else { b"http" };
    append(fields, Id::ForwardedFor, b"x-forwarded-for", client.address.as_bytes());
    let mut text = Vec::with_capacity(96);
    text.extend_from_slice(client.element.as_bytes());
    fields.remove(Id::ForwardedHost);
    // HTTP/1.0 may come without.
    if !host.is_empty() {
        text.extend_from_slice(b";host=\"");
        text.extend_from_slice(host);
        text.push(b'"');
        fields.push(b"x-forwarded-host", host);
    }
    text.extend_from_slice(b";proto=");
    text.extend_from_slice(proto);
    append(fields, Id::Forwarded, b"forwarded", &text);
    fields.remove(Id::ForwardedProto);
    fields.push(b"x-forwarded-proto", proto);
}

/// Adds an element to a list that may have come in several lines, and makes it one.
fn append(fields: &mut Fields, id: Id, name: &[u8], element: &[u8]) {
    if !fields.has(id) {
        return fields.push(name, element);
    }
    let mut joined = Vec::new();
    for line in fields.all(id).filter(|line| !line.is_empty()) {
        joined.extend_from_slice(line);
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(element);
    fields.remove(id);
    fields.push(name, &joined);
}

/// Whether this is a request of gRPC. Not of gRPC-Web, which is another protocol.
pub(crate) fn is_grpc(fields: &Fields) -> bool {
    fields.get(Id::ContentType).is_some_and(|value| {
        let (name, rest) = value.split_at(value.len().min(GRPC.len()));
        name.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

const GRPC: &[u8] = b"application/grpc";

/// Takes out how much time the caller says that it has left. What cannot be read is ignored, as Envoy
/// and gRPC's own libraries do; of several the shortest counts.
pub(crate) fn take_time_left(fields: &mut Fields, is_grpc: bool, now: Time, node: Node) -> Option<Duration> {
    let own = fields.all(Id::RequestDeadline).filter_map(|value| header::parse(value, now, node)).min();
    fields.remove(Id::RequestDeadline);
    if !is_grpc {
        return own;
    }
    let left = fields.all(Id::GrpcTimeout).filter_map(grpc::parse).min();
    if left.is_some() {
        fields.remove(Id::GrpcTimeout);
    }
    left
}

/// Takes out where a request stands in its trace, and carries that on, or begins one. The second is the span that
/// sent the request.
pub(crate) fn take_trace(fields: &mut Fields, rng: &mut Rng) -> (TraceContext, Option<[u8; 8]>) {
    // With more than one nobody knows which is meant (W3C Trace Context section 4.3).
    let parent = match fields.all(Id::TraceParent).count() {
        1 => fields.get(Id::TraceParent).and_then(TraceContext::parse),
        _ => None,
    };
    fields.remove(Id::TraceParent);
    match parent {
        Some(parent) => (parent.child(rng.next_u64()), Some(parent.span_id)),
        None => {
            fields.remove(Id::TraceState);
            (TraceContext::root([rng.next_u64(), rng.next_u64(), rng.next_u64()], true), None)
        }
    }
}

/// The class of a request: what its call declares, or a lower one that the service asks for on whose behalf it
/// is made. It is handed on, so that what is done for a request of low priority is itself of low priority.
/// Nobody outside has a say.
pub(crate) fn priority(fields: &mut Fields, declared: Option<Class>, edge: bool) -> Class {
    let asked = fields.get(Id::Priority).and_then(Class::named).filter(|_| !edge);
    fields.remove(Id::Priority);
    let class = match (declared, asked) {
        (Some(declared), Some(asked)) => declared.min(asked),
        (declared, asked) => declared.or(asked).unwrap_or_default(),
    };
    if class != Class::default() {
        fields.push(b"x-colony-priority", class.name().as_bytes());
    }
    class
}

/// The request's id: the one that came, if it is a sane one, else a new one.
pub(crate) fn request_id(fields: &mut Fields, rng: &mut Rng) -> Vec<u8> {
    if let Some(id) = fields.get(Id::RequestId)
        && (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
    {
        return id.to_vec();
    }
    let id = hex(rng.next_u64(), rng.next_u64());
    fields.remove(Id::RequestId);
    fields.push(b"x-request-id", &id);
    id.to_vec()
}

fn hex(high: u64, low: u64) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits = (u128::from(high) << 64) | u128::from(low);
    std::array::from_fn(|at| DIGITS[((bits >> (124 - 4 * at)) & 15) as usize])
}

/// HTTP/2 lets a client split `Cookie`; HTTP/1.1 wants one line (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(fields: &mut Fields) {
    if fields.all(Id::Cookie).count() > 1 {
        let crumbs = fields.all(Id::Cookie).filter(|crumb| !crumb.is_empty());
        let joined = crumbs.collect::<Vec<_>>().join(&b"; "[..]);
        fields.remove(Id::Cookie);
        fields.push(b"cookie", &joined);
    }
}

/// Whether a request may be sent twice: its method is idempotent (RFC 9110 section 9.2.2) or it
/// carries an `Idempotency-Key` that names something. Where the field comes more than once nobody knows
/// which of them the upstream reads, so all have to.
pub(crate) fn is_idempotent(method: &http::Method, fields: &Fields) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE")
        || fields.has(Id::IdempotencyKey) && fields.all(Id::IdempotencyKey).all(names_something)
}

/// Whether anything is left of a key without blanks and the quotes that it is written in.
fn names_something(key: &[u8]) -> bool {
    key.iter().any(|byte| !byte.is_ascii_whitespace() && *byte != b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        fields
    }

    fn text(fields: &Fields) -> String {
        let mut out = Vec::new();
        fields.write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn value<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
        fields.named(name).map(|value| std::str::from_utf8(value).expect("text"))
    }

    #[test]
    fn connection_takes_what_it_names_with_it() {
        let mut all = fields(&[
            ("connection", "close, X-Secret"),
            ("connection", "host"),
            ("x-secret", "1"),
            ("host", "a"),
            ("keep-alive", "5"),
            ("x-kept", "1"),
        ]);
        assert_eq!(strip_hop_by_hop(&mut all), Hop { close: true, ..Hop::default() });
        assert_eq!(text(&all), "host: a\r\nx-kept: 1\r\n");
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let mut both = fields(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(strip_hop_by_hop(&mut both).upgrade, Some(b"websocket".to_vec()));
        assert_eq!(text(&both), "");
        let mut one = fields(&[("upgrade", "websocket")]);
        assert_eq!(strip_hop_by_hop(&mut one), Hop::default());
        assert_eq!(text(&one), "");
    }

    #[test]
    fn an_upgrade_to_http_is_none() {
        for to in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2"] {
            let mut all =
                fields(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", to), ("http2-settings", "")]);
            assert_eq!(strip_hop_by_hop(&mut all), Hop::default(), "{to}");
            assert_eq!(text(&all), "");
        }
    }

    #[test]
    fn a_request_is_of_no_higher_class_than_its_call_declares_or_its_cause_had() {
        use Class::*;
        for (asked, declared, edge, class) in [
            (None, None, false, Normal),
            (Some("Low"), None, false, Low),
            (Some("critical"), None, false, Critical),
            (Some("critical"), None, true, Normal),
            (Some("low"), Some(High), false, Low),
            (Some("critical"), Some(Normal), false, Normal),
            (Some("low"), Some(High), true, High),
            (Some("urgent"), Some(High), false, High),
        ] {
            let mut all = fields(&[("host", "a")]);
            asked.into_iter().for_each(|asked| all.push(b"X-Colony-Priority", asked.as_bytes()));
            assert_eq!(priority(&mut all, declared, edge), class, "{asked:?} {declared:?} {edge}");
            let handed_on = (class != Normal).then_some(class.name());
            assert_eq!(value(&all, "x-colony-priority"), handed_on);
        }
    }

    #[test]
    fn of_te_only_trailers_count() {
        let mut all = fields(&[("te", "gzip;q=1, Trailers"), ("connection", "te")]);
        assert!(strip_hop_by_hop(&mut all).trailers);
        assert_eq!(text(&all), "");
    }

    #[test]
    fn forwarded_appends_and_does_not_trust() {
        let mut all = fields(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil")]);
        forwarded(&mut all, &ClientText::new(IpAddr::from([10, 0, 0, 1])), b"shop", false);
        assert_eq!(value(&all, "x-forwarded-for"), Some("6.6.6.6, 10.0.0.1"));
        assert_eq!(value(&all, "x-forwarded-host"), Some("shop"));
        assert_eq!(value(&all, "forwarded"), Some("for=10.0.0.1;host=\"shop\";proto=http"));
        let mut nowhere = fields(&[("x-forwarded-host", "evil")]);
        forwarded(&mut nowhere, &ClientText::new(IpAddr::from([10, 0, 0, 1])), b"", false);
        assert_eq!(value(&nowhere, "forwarded"), Some("for=10.0.0.1;proto=http"));
        assert_eq!(value(&nowhere, "x-forwarded-host"), None);
        let mut six = Fields::default();
        forwarded(&mut six, &ClientText::new("::1".parse().expect("address")), b"shop", true);
        assert_eq!(value(&six, "forwarded"), Some("for=\"[::1]\";host=\"shop\";proto=https"));
        assert_eq!(value(&six, "x-forwarded-proto"), Some("https"));
    }

    #[test]
    fn a_trace_goes_on_and_a_broken_one_begins_anew() {
        let mut rng = Rng::new(1);
        let mut all = fields(&[
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "a=1"),
        ]);
        let (after, parent) = take_trace(&mut all, &mut rng);
        assert_eq!(after.trace_id[..2], [0x0a, 0xf7]);
        assert_eq!(parent, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
        assert!(Some(after.span_id) != parent && after.is_sampled());
        assert!(all.has(Id::TraceState) && !all.has(Id::TraceParent), "each try has its own");
        let twice = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(take_trace(&mut fields(&[twice, twice]), &mut rng).1, None, "which of them?");
        let mut broken = fields(&[("traceparent", "00-xyz"), ("tracestate", "a=1")]);
        assert_eq!(take_trace(&mut broken, &mut rng).1, None);
        assert!(!broken.has(Id::TraceState));
    }

    #[test]
    fn grpc_is_told_by_its_type_alone() {
        for (value, grpc) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/gr", false),
            ("", false),
        ] {
            assert_eq!(is_grpc(&fields(&[("content-type", value)])), grpc, "{value}");
        }
    }

    #[test]
    fn the_time_left_is_taken_out_and_what_cannot_be_read_is_ignored() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut plain = fields(&[("x-request-deadline", "900"), ("X-Request-Deadline", "70"), ("a", "1")]);
        assert_eq!(take_time_left(&mut plain, false, Time::ZERO, Node::of(1)), ms(70));
        assert_eq!(text(&plain), "a: 1\r\n");
        let mut soon = fields(&[("x-request-deadline", "soon")]);
        assert_eq!(take_time_left(&mut soon, false, Time::ZERO, Node::of(1)), None);
        assert_eq!(text(&soon), "");
        let mut grpc = fields(&[("x-request-deadline", "5"), ("grpc-timeout", "2S")]);
        assert_eq!(take_time_left(&mut grpc, true, Time::ZERO, Node::of(1)), ms(2000));
        assert_eq!(text(&grpc), "");
        let mut odd = fields(&[("grpc-timeout", "2 weeks")]);
        assert_eq!(take_time_left(&mut odd, true, Time::ZERO, Node::of(1)), None);
        assert_eq!(text(&odd), "grpc-timeout: 2 weeks\r\n", "it is the server's to judge");
    }

    #[test]
    fn an_idempotency_key_that_names_nothing_is_none() {
        for (keys, idempotent) in [
            (&["7"][..], true),
            (&["\"order 7\""], true),
            (&[], false),
            (&[""], false),
            (&[" \t"], false),
            (&["\"\""], false),
            (&["\" \""], false),
            (&["7", ""], false),
            (&["7", "7"], true),
        ] {
            let all: Vec<_> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
            assert_eq!(is_idempotent(&http::Method::POST, &fields(&all)), idempotent, "{keys:?}");
            assert!(is_idempotent(&http::Method::PUT, &fields(&all)));
        }
    }

    #[test]
    fn cookies_become_one_line() {
        let mut all = fields(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut all);
        assert_eq!(text(&all), "cookie: a=1; b=2\r\n");
        let mut crumbs = fields(&[("cookie", ""), ("cookie", "a=1"), ("cookie", "")]);
        join_cookies(&mut crumbs);
        assert_eq!(text(&crumbs), "cookie: a=1\r\n", "without white space at an end");
    }
}
