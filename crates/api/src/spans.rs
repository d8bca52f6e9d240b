//! Spans of what an application asks for here, and of what is brought to it.
//!
//! What it asks for is a span below the one that its request says; and what follows of the request (a call of another
//! application, a message) says that span instead, so that the trace goes on through both. What is brought to it is a span below
//! the message's producer and linked with it, and the application is told of that one. With nobody to record, all goes on as it
//! came. Names and attributes are told in `docs/telemetry/spans.md`.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use components::pubsub::Delivery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use telemetry::span::{Kind, LINKS_MAX, Link, Span, Status, Text, Value};
use telemetry::{Recorder, TraceContext};

use crate::subscription::Subscription;
use crate::subscription::answer::Verdict;
use crate::subscription::event::Head;

/// Where an application's spans go, and whose they are.
#[derive(Clone, Debug)]
pub struct Spans {
    /// Where they are handed over.
    pub recorder: Recorder,
    /// Which instance of the application it is; empty if that is not known.
    pub instance: String,
    /// Whether spans are made of what its caller says is not sampled, too.
    pub unsampled: bool,
}

/// Makes spans.
pub(crate) struct Tracer {
    recorder: Recorder,
    service: Text,
    instance: Text,
    unsampled: bool,
    key: RandomState,
    last: AtomicU64,
}

/// Something under way.
pub(crate) struct Begun {
    context: TraceContext,
    name: String,
    kind: Kind,
    parent: Option<[u8; 8]>,
    links: Vec<Link>,
    attributes: Vec<(Text, Value)>,
    at_ns: u64,
    since: Instant,
}

impl Tracer {
    pub(crate) fn new(spans: Spans, app_id: &str) -> Tracer {
        Tracer {
            recorder: spans.recorder,
            service: Text::Shared(Arc::from(app_id)),
            instance: Text::Shared(Arc::from(spans.instance)),
            unsampled: spans.unsampled,
            key: RandomState::new(),
            last: AtomicU64::new(0),
        }
    }

    /// What is asked over HTTP; the request goes on as that. None: it is not recorded.
    pub(crate) fn asked(&self, headers: &mut HeaderMap, method: &Method, path: &[&str]) -> Option<Begun> {
        let (name, kind, attributes) = described(method, path)?;
        let mut begun = self.below(headers, name, kind)?;
        begun.attributes = attributes;
        begun.attributes.push(named("http.request.method", method.as_str().to_owned()));
        Some(begun)
    }

    /// The same over gRPC, by a path.
    pub(crate) fn asked_by_grpc(&self, headers: &mut HeaderMap, path: &str) -> Option<Begun> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let kind = if method.starts_with("Publish") { Kind::Producer } else { Kind::Client };
        let mut begun = self.below(headers, format!("{service}/{method}"), kind)?;
        let rpc = [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)];
        begun.attributes = rpc.map(|(key, value)| named(key, value.to_owned())).into();
        Some(begun)
    }

    fn below(&self, headers: &mut HeaderMap, name: String, kind: Kind) -> Option<Begun> {
        let parent = headers.get(TRACEPARENT).and_then(|text| TraceContext::parse(text.as_bytes()));
        let begun = self.begin(parent, name, kind)?;
        headers.insert(TRACEPARENT, begun.header());
        Some(begun)
    }

    /// Messages are brought to the application; one goes on in its producer's trace, several have one of their own.
    pub(crate) fn brought(&self, subscription: &Subscription, deliveries: &[Delivery]) -> Option<Begun> {
        let producers: Vec<Option<TraceContext>> = match subscription.knobs.raw {
            true => Vec::new(),
            false => deliveries.iter().take(LINKS_MAX).map(producer).collect(),
        };
        let parent = if let [one] = producers[..] { one } else { None };
        let mut begun = self.begin(parent, format!("process {}", subscription.topic), Kind::Consumer)?;
        begun.links = producers.into_iter().flatten().map(link).collect();
        begun.attributes = messaging("process", "process", &subscription.topic, &subscription.pubsub);
        match deliveries {
            [one] => {
                let waited = SystemTime::now().duration_since(one.published).unwrap_or_default();
                begun
                    .attributes
                    .push(named("colony.queue.wait_ms", Value::Float(waited.as_secs_f64() * 1e3)));
                begun.attributes.push(named("colony.attempt", i64::from(one.attempt)));
            }
            several => {
                let count = i64::try_from(several.len()).unwrap_or(i64::MAX);
                begun.attributes.push(named("messaging.batch.message_count", count));
            }
        }
        Some(begun)
    }

    /// The application works on an item of a queue, which was sent within this trace.
    pub(crate) fn working(
        &self,
        queue: &str,
        sent_by: Option<&[u8]>,
        sent_ms: u64,
        attempt: u32,
    ) -> Option<Begun> {
        let parent = sent_by.and_then(TraceContext::parse);
        let mut begun = self.begin(parent, format!("process {queue}"), Kind::Consumer)?;
        begun.links = parent.map(link).into_iter().collect();
        begun.attributes = messaging("process", "process", queue, "queues");
        let waited = (begun.at_ns / 1_000_000).saturating_sub(sent_ms);
        begun.attributes.push(named("colony.queue.wait_ms", Value::Float(waited as f64)));
        begun.attributes.push(named("colony.attempt", i64::from(attempt)));
        Some(begun)
    }

    fn begin(&self, parent: Option<TraceContext>, name: String, kind: Kind) -> Option<Begun> {
        let context = match parent {
            Some(parent) => parent.child(self.random()),
            None => TraceContext::root([self.random(), self.random(), self.random()], true),
        };
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (context.is_sampled() || self.unsampled).then(|| Begun {
            context,
            name,
            kind,
            parent: parent.map(|parent| parent.span_id),
            links: Vec::new(),
            attributes: Vec::new(),
            at_ns: at.as_nanos() as u64,
            since: Instant::now(),
        })
    }

    /// A request was answered so.
    pub(crate) fn answered(&self, mut begun: Begun, status: StatusCode) {
        let code = status.as_u16();
        begun.attributes.push(named("http.response.status_code", i64::from(code)));
        let failed = code >= 400;
        self.end(begun, failed.then(|| code.to_string()));
    }

    /// A call of gRPC was answered with such a head.
    pub(crate) fn answered_by_grpc(&self, mut begun: Begun, head: &HeaderMap) {
        let status = || head.get("grpc-status")?.to_str().ok()?.parse::<i64>().ok();
        let status = status().unwrap_or(0);
        begun.attributes.push(named("rpc.grpc.status_code", status));
        self.end(begun, (status != 0).then(|| status.to_string()));
    }

    /// Messages were brought, with this outcome.
    pub(crate) fn dealt_with<'v>(&self, begun: Begun, verdicts: impl IntoIterator<Item = &'v Verdict>) {
        let failure = verdicts.into_iter().find_map(|verdict| match verdict {
            Verdict::Done => None,
            Verdict::Drop(_) => Some("dropped"),
            Verdict::Retry(_) => Some("retry"),
            Verdict::Silent(_) => Some("silent"),
            Verdict::Away(_) => Some("away"),
        });
        self.end(begun, failure.map(str::to_owned));
    }

    /// An item was worked on, in vain or not.
    pub(crate) fn worked(&self, begun: Begun, failed: bool) {
        self.end(begun, failed.then(|| "not-done".to_owned()));
    }

    fn end(&self, begun: Begun, error: Option<String>) {
        let Begun { context, name, kind, parent, links, mut attributes, at_ns, since } = begun;
        let duration_ns = since.elapsed().as_nanos() as u64;
        if let Some(error) = &error {
            attributes.push(named("error.type", error.clone()));
        }
        let share = self.recorder.share();
        share.offered(1, at_ns.saturating_add(duration_ns));
        if error.is_none() && !share.has(&context.trace_id) {
            return share.left_out(1);
        }
        // What there is no room for is counted there.
        let _ = self.recorder.span(Span {
            trace_id: context.trace_id,
            span_id: context.span_id,
            parent,
            trace_state: Text::Static(""),
            service: self.service.clone(),
            instance: self.instance.clone(),
            scope: Text::Static("colony"),
            name: name.into(),
            kind,
            start_ns: at_ns,
            duration_ns,
            status: error.map_or(Status::Unset, |error| Status::Error(error.into())),
            attributes,
            events: Vec::new(),
            links,
            dropped: 0,
        });
    }

    /// Unique rather than secret, as ids of messages are.
    fn random(&self) -> u64 {
        self.key.hash_one(self.last.fetch_add(1, Relaxed))
    }
}

impl Begun {
    /// As the next one is told of it.
    pub(crate) fn header(&self) -> HeaderValue {
        // Digits and dashes, all of them.
        HeaderValue::from_bytes(&self.context.encode()).unwrap_or(HeaderValue::from_static(""))
    }
}

fn link(of: TraceContext) -> Link {
    Link { trace_id: of.trace_id, span_id: of.span_id, attributes: Vec::new() }
}

fn producer(delivery: &Delivery) -> Option<TraceContext> {
    TraceContext::parse(Head::of(&delivery.message.data).ok()?.trace().as_bytes())
}

type Described = (String, Kind, Vec<(Text, Value)>);

/// What a request asks for, by the segments of its path. None: nothing that is worth a span.
fn described(method: &Method, path: &[&str]) -> Option<Described> {
    let verb = match *method {
        Method::GET | Method::HEAD => "get",
        Method::DELETE => "delete",
        _ => "put",
    };
    let group = *path.get(1)?;
    let segment = |at: usize| path.get(at).copied().map(decoded).unwrap_or_default();
    let (name, rest) = (segment(2), segment(3));
    let of = |operation: &str| {
        let attributes = vec![
            named("colony.block", group.to_owned()),
            named("colony.component", name.clone()),
            named("colony.operation", operation.to_owned()),
        ];
        (format!("{operation} {name}"), Kind::Client, attributes)
    };
    Some(match group {
        "invoke" => (format!("invoke {name}"), Kind::Client, vec![named("peer.service", name)]),
        "publish" => {
            let topic =
                path[3.min(path.len())..].iter().map(|one| decoded(one)).collect::<Vec<_>>().join("/");
            (format!("publish {topic}"), Kind::Producer, messaging("publish", "send", &topic, &name))
        }
        "queues" if rest == "send" => {
            (format!("send {name}"), Kind::Producer, messaging("send", "send", &name, "queues"))
        }
        "queues" if rest == "receive" => {
            (format!("receive {name}"), Kind::Client, messaging("receive", "receive", &name, "queues"))
        }
        "state" if ["transaction", "bulk", "query"].contains(&&*rest) => of(&rest),
        "state" if *method == Method::POST || *method == Method::PUT => of("save"),
        "streams" if *method == Method::POST && path.len() == 4 => of("append"),
        "state" | "streams" | "jobs" | "queues" | "bindings" | "configuration" | "secrets" | "lock"
        | "unlock" => of(verb),
        _ => return None,
    })
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// By the conventions for messaging.
fn messaging(name: &'static str, kind: &'static str, destination: &str, by: &str) -> Vec<(Text, Value)> {
    vec![
        named("messaging.system", "colony"),
        named("messaging.operation.name", name),
        named("messaging.operation.type", kind),
        named("messaging.destination.name", destination.to_owned()),
        named("colony.component", by.to_owned()),
    ]
}

fn named(key: &'static str, value: impl Into<Value>) -> (Text, Value) {
    (Text::Static(key), value.into())
}

const TRACEPARENT: &str = "traceparent";

#[cfg(test)]
mod tests {
    use super::*;

    fn is(method: Method, path: &str) -> Option<(String, Kind)> {
        let path: Vec<&str> = path.split('/').collect();
        described(&method, &path).map(|(name, kind, _)| (name, kind))
    }

    #[test]
    fn requests_are_named_for_what_they_ask_of_whom() {
        for (method, path, name, kind) in [
            (Method::POST, "v1.0/publish/events/orders/new", "publish orders/new", Kind::Producer),
            (Method::POST, "v1.0/invoke/shop/method/a/7", "invoke shop", Kind::Client),
            (Method::POST, "v1.0/state/store", "save store", Kind::Client),
            (Method::POST, "v1.0/state/store/transaction", "transaction store", Kind::Client),
            (Method::GET, "v1.0/state/st%20re/secret-key", "get st re", Kind::Client),
            (Method::DELETE, "v1.0/state/store/key", "delete store", Kind::Client),
            (Method::POST, "v1.0/queues/mails/send", "send mails", Kind::Producer),
            (Method::POST, "v1.0/streams/orders/7", "append orders", Kind::Client),
            (Method::GET, "v1.0/streams/orders/7", "get orders", Kind::Client),
        ] {
            assert_eq!(is(method, path), Some((name.to_owned(), kind)), "{path}");
        }
        for nothing in ["v1.0/healthz", "v1.0/metadata", "v1.0", "", "v1.0/publish"] {
            let described = is(Method::GET, nothing);
            assert!(described.is_none() || nothing.ends_with("publish"), "{described:?}");
        }
    }
}
