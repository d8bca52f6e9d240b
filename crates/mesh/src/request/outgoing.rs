//! A request as an upstream gets it: what came, without what was for one hop, and with what we add,
//! written anew for each try.

use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use hyper::ext::Protocol;
use policy::Time;
use policy::deadline::header::Node;
use policy::deadline::{Text, grpc, header};
use telemetry::TraceContext;

use crate::config::{External, Origin};
use crate::message::fields::{Fields, Id, write_field};
use crate::message::head::RequestHead;
use crate::request::body::{Http2Upload, RequestBody};
use crate::request::http2::to_map;
use crate::request::websocket;
use crate::upstream::{Endpoint, Upstream};

/// How much time is left, for the upstream to know.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    name: &'static str,
    value: Text,
}

impl Told {
    /// To a service of gRPC.
    pub(crate) fn grpc(left: Duration) -> Told {
        Told { name: "grpc-timeout", value: grpc::write(left) }
    }

    /// To any other.
    pub(crate) fn http(left: Duration, now: Time, node: Node) -> Told {
        Told { name: "x-request-deadline", value: header::write(left, now, node) }
    }

    /// As HTTP/2 takes it.
    pub(crate) fn write(&self, fields: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_bytes(self.value.as_bytes()) {
            fields.insert(HeaderName::from_static(self.name), value);
        }
    }
}

/// The request.
pub(crate) struct Message {
    head: RequestHead,
    /// The host that was asked for; empty if HTTP/1.0 named none.
    host: Vec<u8>,
    /// Path and query, if a route rewrites them.
    target: Option<String>,
    /// Trailers are welcome.
    trailers: bool,
    /// The protocol to upgrade to.
    upgrade: Option<Vec<u8>>,
    /// A body comes, without a length.
    pub(crate) chunked: bool,
}

impl Message {
    pub(crate) fn new(
        mut head: RequestHead,
        host: Vec<u8>,
        path: Option<String>,
        hop: crate::request::headers::Hop,
        chunked: bool,
    ) -> Message {
        let target = path.map(|path| path + head.query());
        head.fields.remove(Id::Host);
        head.fields.remove(Id::Expect);
        Message { head, host, target, trailers: hop.trailers, upgrade: hop.upgrade, chunked }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    /// An upgrade was asked for, and the client's connection could be.
    pub(crate) fn asks_upgrade(&self) -> bool {
        self.upgrade.is_some()
    }

    /// The key of the WebSocket that was asked for.
    pub(crate) fn websocket_key(&self) -> Option<&[u8]> {
        self.upgrade.as_ref().filter(|protocol| websocket::is(protocol))?;
        websocket::key(&self.head.fields)
    }

    /// Why a switch to another protocol with this head cannot be gone along with, if it cannot.
    pub(crate) fn refuses_switch(&self, answer: &Fields) -> Option<&'static str> {
        if !self.asks_upgrade() {
            return Some("switches to a protocol that nobody asked for");
        }
        let proven = self.websocket_key().is_none_or(|key| websocket::is_proven(answer, key));
        (!proven).then_some("accepts a WebSocket without the proof that it is for this one")
    }

    /// What a stand-in gets: it is asked for no other protocol.
    pub(crate) fn without_upgrade(mut self) -> Message {
        self.upgrade = None;
        self
    }

    /// Path and query as the upstream gets them, but for its own prefix.
    pub(crate) fn target(&self) -> &str {
        self.target.as_deref().unwrap_or_else(|| self.head.target())
    }

    pub(crate) fn request_id(&self) -> Option<&[u8]> {
        self.head.fields.get(Id::RequestId)
    }

    /// Whether it has this field, with this value if there is one.
    pub(crate) fn has_field(&self, name: &str, value: Option<&[u8]>) -> bool {
        let is = |other: &[u8]| value.is_none_or(|value| value == other);
        match name.eq_ignore_ascii_case("host") {
            true => is(&self.host),
            false => self
                .head
                .fields
                .iter()
                .any(|(_, other, text)| other.eq_ignore_ascii_case(name.as_bytes()) && is(text)),
        }
    }

    /// The host as the upstream wants to hear it.
    fn host(&self, upstream: &Upstream, to: &Endpoint) -> Vec<u8> {
        match &upstream.config.external {
            Some(external) => host_of(external, to).into_bytes(),
            None if self.host.is_empty() => upstream.name.clone().into_bytes(),
            None => self.host.clone(),
        }
    }

    /// Its head for HTTP/1.1, with what is `told` by this try alone.
    pub(crate) fn http1(
        &self,
        upstream: &Upstream,
        to: &Endpoint,
        trace: &TraceContext,
        told: Option<Told>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(self.head.method.as_str().as_bytes());
        out.push(b' ');
        if let Some(external) = &upstream.config.external {
            out.extend_from_slice(external.prefix.as_bytes());
        }
        out.extend_from_slice(self.target().as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        match &upstream.config.external {
            None if !self.host.is_empty() => write_field(&mut out, b"host", &self.host),
            _ => write_field(&mut out, b"host", &self.host(upstream, to)),
        }
        self.head.fields.write(&mut out);
        write_field(&mut out, b"traceparent", &trace.encode());
        if let Some(Told { name, value }) = told {
            write_field(&mut out, name.as_bytes(), value.as_bytes());
        }
        match (&self.upgrade, self.trailers) {
            (Some(protocol), _) => {
                out.extend_from_slice(b"connection: upgrade\r\n");
                write_field(&mut out, b"upgrade", protocol);
            }
            (None, true) => out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n"),
            (None, false) => {}
        }
        if self.chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The whole of it for HTTP/2. None: its address is not valid there.
    pub(crate) fn http2(
        &self,
        upstream: &Upstream,
        to: &Endpoint,
        trace: &TraceContext,
        body: Option<RequestBody>,
    ) -> Option<Request<Http2Upload>> {
        let external = upstream.config.external.as_ref();
        let tls = external.is_some_and(|external| external.tls);
        let prefix = external.map_or("", |external| external.prefix.as_str());
        let mut address = http::uri::Parts::default();
        address.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        address.authority = Some(Authority::try_from(self.host(upstream, to)).ok()?);
        address.path_and_query = Some(PathAndQuery::try_from(format!("{prefix}{}", self.target())).ok()?);
        let mut request = Request::new(Http2Upload::new(body));
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = Uri::from_parts(address).ok()?;
        *request.headers_mut() = match self.upgrade {
            None => to_map(&self.head.fields),
            Some(_) => to_map(&websocket::without_keys(&self.head.fields)),
        };
        if let Ok(trace) = HeaderValue::from_bytes(&trace.encode()) {
            request.headers_mut().insert(TRACEPARENT, trace);
        }
        if self.trailers {
            request.headers_mut().insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        }
        if self.upgrade.is_some() {
            *request.method_mut() = Method::CONNECT;
            request.extensions_mut().insert(Protocol::from_static(websocket::NAME));
            request.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
        Some(request)
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

fn host_of(external: &External, to: &Endpoint) -> String {
    let default = if external.tls { 443 } else { 80 };
    let Origin { host, port, .. } = &external.origins[to.origin];
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    match *port == default {
        true => host,
        false => format!("{host}:{port}"),
    }
}
