//! What was noted of a request as spans, by OpenTelemetry's semantic conventions for HTTP and RPC. What these have no
//! name for begins with `colony.`. The table of all of it is `docs/telemetry/spans.md`.

use std::sync::Arc;
use std::time::Duration;

use policy::Time;
use telemetry::span::{Event, Kind as SpanKind, Span, Status, Text, Value};

use super::names;
use super::noted::{Bound, Ended, Noted, Over, Try};
use crate::message::head::Version;
use crate::request::problem::Kind;

/// Who records: `otel.scope.name`.
const SCOPE: Text = Text::Static("colony");

/// The span of a request, then those of its tries, then what these waited for, if it was long enough to be seen.
pub(super) fn unfold(noted: &Noted, spans: &mut Vec<Span>) {
    let one = One { noted, path: path(noted) };
    spans.push(one.request());
    spans.extend(noted.tries.iter().zip(0..).map(|(tried, resent)| one.tried(tried, resent)));
    let place = noted.waited();
    spans.extend(place.map(|took| one.waited("concurrency", noted.context.span_id, noted.started, took)));
    let held = noted.tries.iter().filter_map(|tried| Some((tried, tried.waited()?)));
    spans.extend(held.map(|(tried, took)| one.waited("instance", tried.span_id, tried.started, took)));
}

/// A request that is unfolded.
struct One<'n> {
    noted: &'n Noted,
    path: Text,
}

fn path(noted: &Noted) -> Text {
    let path = noted.path.as_str();
    match &noted.redactor {
        Some(redactor) => redactor.redact(path).into_owned().into(),
        None => Text::Owned(path.into()),
    }
}

impl One<'_> {
    fn request(&self) -> Span {
        let noted = self.noted;
        let started = if noted.started == Time::ZERO { noted.ended } else { noted.started };
        let edge = noted.place.edge;
        let mut all = Vec::with_capacity(18);
        if let Some(route) = &noted.place.route {
            all.push(named("http.route", route.clone()));
        }
        self.protocol(&mut all, noted.grpc_status);
        all.push(named("url.scheme", if noted.place.tls { "https" } else { "http" }));
        if noted.status > 0 {
            all.push(named("http.response.status_code", i64::from(noted.status)));
        }
        if let (Some(client), true) = (noted.client, edge) {
            all.push(named("client.address", client.to_canonical().to_string()));
            all.push(named("server.address", noted.place.address.clone()));
            if noted.place.port > 0 {
                all.push(named("server.port", i64::from(noted.place.port)));
            }
        }
        if let Some(call) = &noted.call {
            all.push(named("colony.call", call.id.clone()));
            if !edge {
                all.push(named("server.address", call.upstream.clone()));
                all.push(named("peer.service", call.upstream.clone()));
            }
        }
        self.policies(&mut all);
        let error = self.error(edge);
        if let Some((kind, _)) = &error {
            all.push(named("error.type", kind.clone()));
        }
        Span {
            span_id: noted.context.span_id,
            parent: noted.parent,
            name: self.name(),
            kind: if edge { SpanKind::Server } else { SpanKind::Client },
            status: error.filter(|(_, bad)| *bad).map_or(Status::Unset, |(kind, _)| self.status(kind)),
            attributes: all,
            events: noted.tries.iter().filter_map(|tried| self.again(tried)).collect(),
            ..self.span(started, noted.ended)
        }
    }

    /// What is the same for all of them.
    fn span(&self, started: Time, ended: Time) -> Span {
        let noted = self.noted;
        Span {
            trace_id: noted.context.trace_id,
            span_id: [0; 8],
            parent: None,
            trace_state: noted.state.as_ref().map_or(Text::Static(""), |state| Text::Owned(state.clone())),
            service: noted.place.service.clone(),
            instance: Text::Static(""),
            scope: SCOPE,
            name: Text::Static(""),
            kind: SpanKind::Internal,
            start_ns: self.wall(started),
            duration_ns: ended.since(started).as_nanos() as u64,
            status: Status::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped: 0,
        }
    }

    fn wall(&self, at: Time) -> u64 {
        self.noted.wall.saturating_add(at.as_nanos())
    }

    /// Of gRPC it is the method, unless there is none such: anybody may ask for anything.
    fn name(&self) -> Text {
        let noted = self.noted;
        let unknown =
            noted.grpc_status == Some(UNIMPLEMENTED) || noted.status == 0 || noted.problem.is_some();
        if let (true, false, Some((service, method))) = (noted.grpc, unknown, self.rpc()) {
            return format!("{service}/{method}").into();
        }
        noted.place.name(&noted.method, noted.call.as_ref().map(|call| &*call.upstream))
    }

    fn rpc(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix('/')?.split_once('/')
    }

    /// What HTTP and RPC call the request.
    fn protocol(&self, all: &mut Vec<(Text, Value)>, grpc_status: Option<u16>) {
        let noted = self.noted;
        let method = names::method(&noted.method);
        all.push(named("http.request.method", method));
        if method != noted.method.as_str() {
            all.push(named("http.request.method_original", noted.method.as_str().to_owned()));
        }
        all.push(named("url.path", self.path.clone()));
        all.push(named(
            "network.protocol.version",
            match noted.version {
                Version::Http10 => "1.0",
                Version::Http11 => "1.1",
                Version::Http2 => "2",
            },
        ));
        if let (true, Some((service, method))) = (noted.grpc, self.rpc()) {
            all.push(named("rpc.system", "grpc"));
            all.push(named("rpc.service", service.to_owned()));
            all.push(named("rpc.method", method.to_owned()));
            if let Some(status) = grpc_status {
                all.push(named("rpc.grpc.status_code", i64::from(status)));
            }
        }
    }

    /// What the policies did to it.
    fn policies(&self, all: &mut Vec<(Text, Value)>) {
        let noted = self.noted;
        if noted.queued {
            let until = if noted.entered == Time::ZERO { noted.ended } else { noted.entered };
            all.push(named("colony.concurrency.wait_ms", millis(until.since(noted.started))));
        }
        if let Some(policy) = noted.problem.and_then(|problem| problem.parts().3) {
            all.push(named("colony.policy", policy));
        }
        if noted.denied {
            all.push(named("colony.retries.denied", true));
        }
        if noted.fallback {
            all.push(named("colony.fallback", true));
        }
        if noted.bound == Bound::Gone {
            all.push(named("colony.caller.gone", true));
        }
    }

    /// What went wrong, and whether the span counts as failed by it. The server's side is not to blame for an
    /// answer below 500.
    fn error(&self, edge: bool) -> Option<(Text, bool)> {
        let noted = self.noted;
        if let Some(problem) = noted.problem {
            return Some((problem.name().into(), !edge || noted.status >= 500));
        }
        if noted.bound == Bound::Broken {
            return Some(("broken-answer".into(), true));
        }
        error_of(noted.status, noted.grpc_status.filter(|_| noted.grpc), edge)
    }

    fn status(&self, error: Text) -> Status {
        let why = self.noted.problem.map_or(error, |problem| problem.parts().2.into());
        Status::Error(why)
    }

    fn tried(&self, tried: &Try, resent: i64) -> Span {
        let noted = self.noted;
        let unended = tried.streams || tried.ended == Time::ZERO;
        let ended = if unended { noted.ended } else { tried.ended };
        let grpc = tried.grpc_status.or(noted.grpc_status.filter(|_| tried.streams));
        let mut all = Vec::with_capacity(16);
        self.protocol(&mut all, grpc.filter(|_| noted.grpc));
        if let Ended::Answered(status) = tried.end {
            all.push(named("http.response.status_code", i64::from(status)));
        }
        if let Some(instance) = &tried.instance {
            all.push(named("server.address", instance.address.clone()));
            all.push(named("server.port", i64::from(instance.port)));
            all.push(named("colony.instance", instance.id.clone()));
        }
        if let Some(call) = &noted.call {
            all.push(named("peer.service", call.upstream.clone()));
        }
        if resent > 0 {
            all.push(named("http.request.resend_count", resent));
        }
        self.tried_by_policies(tried, &mut all);
        let error = match tried.end {
            Ended::Failed(kind) => Some((Text::from(kind.name()), true)),
            Ended::Answered(status) => error_of(status, grpc.filter(|_| noted.grpc), false),
            Ended::UnderWay | Ended::LetGo => None,
        };
        let broken = tried.streams && noted.bound == Bound::Broken;
        let error = if broken { Some(("broken-answer".into(), true)) } else { error };
        if let Some((kind, _)) = &error {
            all.push(named("error.type", kind.clone()));
        }
        Span {
            span_id: tried.span_id,
            parent: Some(noted.context.span_id),
            name: noted.call.as_ref().map_or("try".into(), |call| call.tries.clone()),
            kind: SpanKind::Client,
            status: error.map_or(Status::Unset, |(kind, _)| Status::Error(kind)),
            attributes: all,
            ..self.span(tried.started, ended)
        }
    }

    /// What the span `parent` waited for at its beginning.
    fn waited(&self, what: &'static str, parent: [u8; 8], from: Time, took: Duration) -> Span {
        let name = self.noted.call.as_ref().map_or("wait".into(), |call| call.waits.clone());
        Span {
            span_id: child(parent),
            parent: Some(parent),
            name,
            attributes: vec![named("colony.wait", what)],
            ..self.span(from, from + took)
        }
    }

    fn tried_by_policies(&self, tried: &Try, all: &mut Vec<(Text, Value)>) {
        if tried.is_hedge {
            all.push(named("colony.hedge", true));
        }
        if !tried.held.is_zero() {
            all.push(named("colony.held_ms", millis(tried.held)));
        }
        if tried.ejected > 0 {
            all.push(named("colony.ejected", i64::from(tried.ejected)));
        }
        if let Some(fault) = tried.fault {
            all.push(named("colony.fault", fault as i64));
        }
        if let (Some(over), Ended::Failed(Kind::Timeout)) = (tried.over, tried.end) {
            let whose = match over {
                Over::Try => "try",
                Over::Call => "call",
                Over::Caller => "caller",
            };
            all.push(named("colony.timeout", whose));
        }
        match tried.end {
            Ended::LetGo => all.push(named("colony.superseded", true)),
            Ended::UnderWay => all.push(named("colony.caller.gone", true)),
            Ended::Answered(_) | Ended::Failed(_) => {}
        }
    }

    /// That it was tried again after this one, with why and after how long.
    fn again(&self, tried: &Try) -> Option<Event> {
        let wait = tried.again_after?;
        let cause = match tried.end {
            Ended::Failed(kind) => kind.name().into(),
            Ended::Answered(status) => Text::Owned(status.to_string().into()),
            Ended::UnderWay | Ended::LetGo => return None,
        };
        let attributes = vec![named("error.type", cause), named("colony.retry.wait_ms", millis(wait))];
        Some(Event { at_ns: self.wall(tried.ended), name: "retry".into(), attributes })
    }
}

const UNIMPLEMENTED: u16 = 12;

/// The id of a span's one wait: made of its own id, which is random, by a bijection, so that it is as random.
/// Source: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn child(id: [u8; 8]) -> [u8; 8] {
    let mut bits = u64::from_be_bytes(id).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)).max(1).to_be_bytes()
}

/// What an answer is as an error, and whether it is one of that side. The lists are those of the conventions.
fn error_of(status: u16, grpc: Option<u16>, server: bool) -> Option<(Text, bool)> {
    if let Some(grpc) = grpc.filter(|grpc| *grpc > 0) {
        let bad = !server || matches!(grpc, 2 | 4 | 12 | 13 | 14 | 15);
        return Some((Text::Shared(Arc::from(grpc.to_string())), bad));
    }
    (status >= if server { 500 } else { 400 }).then(|| (Text::Owned(status.to_string().into()), true))
}

fn named(key: &'static str, value: impl Into<Value>) -> (Text, Value) {
    (Text::Static(key), value.into())
}

fn millis(took: Duration) -> Value {
    Value::Float(took.as_secs_f64() * 1e3)
}
