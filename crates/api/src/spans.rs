//! Spans of what an application asks for here, and of what is brought to it.
//!
//! What it asks for is a span below the one that its request says; and what follows of the request (a call of another
//! application, a message) says that span instead, so that the trace goes on through both. What is brought to it is a span below
//! the message's producer and linked with it, and the application is told of that one. With nobody to record, all goes on as it
//! came, and what came without a trace begins one if traces are wanted at all. Names and attributes are told in `docs/telemetry/spans.md`.
//!
//! Where time went by waiting (for a commit, in a topic or queue) there is a span for it, with `colony.wait`, if it was long enough to be
//! seen: each costs as much as any other span.

mod binary;
mod names;
mod notes;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use binary::BINARY;
use binary::binary;
pub(crate) use binary::{of_binary, tell};
use components::pubsub::Delivery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use names::{called, described};
pub(crate) use notes::{Notes, noting, received};
use telemetry::span::{Kind, LINKS_MAX, Link, Span, Status, Text, Value};
use telemetry::{Recorder, TraceContext};

use crate::subscription::Subscription;
use crate::subscription::answer::Verdict;
use crate::subscription::event::Head;

/// Where an application's spans go, and whose they are.
#[derive(Clone, Debug)]
pub struct Spans {
    /// Where they are handed over. None: they are not made, and traces are begun and gone on with all the same.
    pub recorder: Option<Recorder>,
    /// What the application is called in them, if not by its id.
    pub service: Option<String>,
    /// Which instance of the application it is; empty if that is not known.
    pub instance: String,
    /// Whether spans are made of what its caller says is not sampled, too.
    pub unsampled: bool,
    /// The share of the traces that begin here which is sampled: 0 to 1. What its caller has begun is as that says.
    pub rate: f64,
}

/// Makes spans.
pub(crate) struct Tracer {
    recorder: Option<Recorder>,
    service: Text,
    instance: Text,
    unsampled: bool,
    /// Traces that begin here are sampled if the last seven bytes of their id, which are random, are below this.
    below: u64,
    key: RandomState,
    last: AtomicU64,
}

/// Something under way.
pub(crate) struct Begun {
    context: TraceContext,
    /// Or else it is there for the application to be told of.
    is_recorded: bool,
    name: String,
    kind: Kind,
    parent: Option<[u8; 8]>,
    links: Vec<Link>,
    attributes: Vec<(Text, Value)>,
    at_ns: u64,
    since: Instant,
    notes: Option<Arc<Notes>>,
}

/// What an application is brought that has waited for it.
pub(crate) struct Taken<'a> {
    pub(crate) of: Waited,
    /// The queue's, or the job's.
    pub(crate) name: &'a str,
    /// The `traceparent` of who sent or scheduled it.
    pub(crate) sent_by: Option<&'a [u8]>,
    /// When it was sent or due, in milliseconds since 1970.
    pub(crate) since_ms: u64,
    /// The how manieth time it is brought, from one.
    pub(crate) attempt: u32,
}

/// Where that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Queue,
    /// For its time, which may come again.
    Job {
        again: bool,
    },
}

/// Something that was waited for: a span of its own.
struct Wait {
    trace_id: [u8; 16],
    parent: [u8; 8],
    name: String,
    what: &'static str,
    start_ns: u64,
    duration_ns: u64,
    links: Vec<Link>,
    attributes: Vec<(Text, Value)>,
}

impl Tracer {
    pub(crate) fn new(spans: Spans, app_id: &str) -> Tracer {
        Tracer {
            recorder: spans.recorder,
            service: Text::Shared(spans.service.as_deref().unwrap_or(app_id).into()),
            instance: Text::Shared(Arc::from(spans.instance)),
            unsampled: spans.unsampled,
            below: (spans.rate.clamp(0.0, 1.0) * IDS as f64) as u64,
            key: RandomState::new(),
            last: AtomicU64::new(0),
        }
    }

    /// What is asked over HTTP; the request goes on as that. None: it is not recorded.
    pub(crate) fn asked(&self, headers: &mut HeaderMap, method: &Method, path: &[&str]) -> Option<Begun> {
        let (name, kind, attributes) = described(method, path).or_else(|| called(headers))?;
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
        let mut begun = self.begin(parent, name, kind)?;
        headers.insert(TRACEPARENT, begun.header());
        if headers.contains_key(BINARY) {
            headers.insert(BINARY, binary(&begun.context));
        }
        begun.notes = Some(Arc::default());
        begun.is_recorded.then_some(begun)
    }

    /// Messages are brought to the application; one goes on in its producer's trace, several have one of their own.
    pub(crate) fn brought(&self, subscription: &Subscription, deliveries: &[Delivery]) -> Option<Begun> {
        let producers: Vec<Option<TraceContext>> = match subscription.knobs.raw {
            true => Vec::new(),
            false => deliveries.iter().take(LINKS_MAX).map(producer).collect(),
        };
        let parent = if let [one] = producers[..] { one } else { None };
        let mut begun = self.begin(parent, format!("process {}", subscription.topic), Kind::Consumer)?;
        if self.recorder.is_none() {
            return Some(begun);
        }
        begun.attributes = messaging("process", "process", &subscription.topic, &subscription.pubsub);
        for (delivery, producer) in deliveries.iter().zip(&producers) {
            self.waited_in_topic(&begun, &subscription.topic, delivery, *producer, deliveries.len() > 1);
        }
        begun.links = producers.into_iter().flatten().map(link).collect();
        match deliveries {
            [one] => {
                let waited = begun.at_ns.saturating_sub(since_ns(one.published));
                begun.attributes.push(named("colony.queue.wait_ms", Value::Float(waited as f64 / 1e6)));
                begun.attributes.push(named("colony.attempt", i64::from(one.attempt)));
            }
            several => {
                let count = i64::try_from(several.len()).unwrap_or(i64::MAX);
                begun.attributes.push(named("messaging.batch.message_count", count));
            }
        }
        Some(begun)
    }

    /// How long a message waited to be brought for the first time. Of one that is brought together with others, this is what leads
    /// from its producer to who has it, so it is there however short it was.
    fn waited_in_topic(
        &self,
        begun: &Begun,
        topic: &str,
        delivery: &Delivery,
        producer: Option<TraceContext>,
        is_one_of_several: bool,
    ) {
        let start_ns = since_ns(delivery.published);
        let duration_ns = begun.at_ns.saturating_sub(start_ns);
        let is_recorded = |producer: &TraceContext| producer.is_sampled() || self.unsampled;
        let Some(producer) = producer.filter(|one| is_recorded(one) && delivery.attempt <= 1) else { return };
        if is_one_of_several || duration_ns >= WAIT_NS_MIN {
            self.waited(Wait {
                trace_id: producer.trace_id,
                parent: producer.span_id,
                name: format!("wait {topic}"),
                what: "topic",
                start_ns,
                duration_ns,
                links: vec![link(begun.context)],
                attributes: vec![named("messaging.destination.name", topic.to_owned())],
            });
        }
    }

    /// The application works on something that was sent to it, or that it has scheduled. A run of what runs again and again is a
    /// trace of its own.
    pub(crate) fn taken(&self, taken: Taken<'_>) -> Option<Begun> {
        let Taken { of, name, sent_by, since_ms, attempt } = taken;
        let by = sent_by.and_then(TraceContext::parse);
        let parent = by.filter(|_| of != Waited::Job { again: true });
        let doing = if of == Waited::Queue { "process" } else { "run" };
        let mut begun = self.begin(parent, format!("{doing} {name}"), Kind::Consumer)?;
        if !begun.is_recorded {
            return Some(begun);
        }
        begun.links = by.map(link).into_iter().collect();
        begun.attributes = match of {
            Waited::Queue => messaging("process", "process", name, "queues"),
            Waited::Job { .. } => block("jobs", name, "run"),
        };
        let start_ns = since_ns(SystemTime::UNIX_EPOCH + Duration::from_millis(since_ms));
        let waited = begun.at_ns.saturating_sub(start_ns);
        begun.attributes.push(named("colony.queue.wait_ms", Value::Float(waited as f64 / 1e6)));
        begun.attributes.push(named("colony.attempt", i64::from(attempt)));
        if let (Some(parent), true) = (parent, attempt <= 1 && waited >= WAIT_NS_MIN) {
            let (what, attribute) = match of {
                Waited::Queue => ("queue", "messaging.destination.name"),
                Waited::Job { .. } => ("job", "colony.component"),
            };
            self.waited(Wait {
                trace_id: parent.trace_id,
                parent: parent.span_id,
                name: format!("wait {name}"),
                what,
                start_ns,
                duration_ns: waited,
                links: vec![link(begun.context)],
                attributes: vec![named(attribute, name.to_owned())],
            });
        }
        Some(begun)
    }

    /// An event of a binding is brought to the application; it may say in which trace it came about.
    pub(crate) fn came(&self, binding: &str, said: Option<&str>) -> Option<Begun> {
        let parent = said.and_then(|text| TraceContext::parse(text.as_bytes()));
        let mut begun = self.begin(parent, format!("process {binding}"), Kind::Consumer)?;
        begun.attributes = block("bindings", binding, "process");
        Some(begun)
    }

    /// None: whoever sends it has said what there is to say, and nobody records it.
    fn begin(&self, parent: Option<TraceContext>, name: String, kind: Kind) -> Option<Begun> {
        let context = match parent {
            Some(parent) => parent.child(self.random()),
            None => self.root(),
        };
        let is_recorded = self.recorder.is_some() && (context.is_sampled() || self.unsampled);
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (is_recorded || parent.is_none()).then(|| Begun {
            context,
            is_recorded,
            name,
            kind,
            parent: parent.map(|parent| parent.span_id),
            links: Vec::new(),
            attributes: Vec::new(),
            at_ns: at.as_nanos() as u64,
            since: Instant::now(),
            notes: None,
        })
    }

    fn root(&self) -> TraceContext {
        let random = [self.random(), self.random(), self.random()];
        TraceContext::root(random, random[1] & (IDS - 1) < self.below)
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

    /// It was worked on; in vain, if there is a word for why.
    pub(crate) fn worked(&self, begun: Begun, error: Option<&'static str>) {
        self.end(begun, error.map(str::to_owned));
    }

    fn end(&self, begun: Begun, error: Option<String>) {
        if !begun.is_recorded {
            return;
        }
        let Begun { context, name, kind, parent, mut links, mut attributes, at_ns, since, notes, .. } = begun;
        let duration_ns = since.elapsed().as_nanos() as u64;
        let (commits, producers) = notes.map(|notes| notes.take()).unwrap_or_default();
        links.extend(producers.into_iter().map(link));
        let waited: Duration = commits.iter().map(|commit| commit.ended - commit.begun).sum();
        if !commits.is_empty() {
            attributes.push(named("colony.commit.wait_ms", Value::Float(waited.as_secs_f64() * 1e3)));
        }
        if let Some(error) = &error {
            attributes.push(named("error.type", error.clone()));
        }
        let span = Span {
            span_id: context.span_id,
            parent,
            name: name.into(),
            kind,
            status: error.map_or(Status::Unset, |error| Status::Error(error.into())),
            attributes,
            links,
            ..self.span(context.trace_id, at_ns, duration_ns)
        };
        if !self.record(span) {
            return;
        }
        for commit in commits {
            let begun_ns = commit.begun.saturating_duration_since(since).as_nanos() as u64;
            let duration_ns = (commit.ended - commit.begun).as_nanos() as u64;
            if duration_ns >= WAIT_NS_MIN {
                self.waited(Wait {
                    trace_id: context.trace_id,
                    parent: context.span_id,
                    name: "commit".to_owned(),
                    what: "commit",
                    start_ns: at_ns.saturating_add(begun_ns),
                    duration_ns,
                    links: Vec::new(),
                    attributes: vec![named("colony.commits", i64::from(commit.count))],
                });
            }
        }
    }

    fn waited(&self, wait: Wait) {
        let Wait { trace_id, parent, name, what, start_ns, duration_ns, links, mut attributes } = wait;
        attributes.push(named("colony.wait", what));
        self.record(Span {
            span_id: self.random().max(1).to_be_bytes(),
            parent: Some(parent),
            name: name.into(),
            attributes,
            links,
            ..self.span(trace_id, start_ns, duration_ns)
        });
    }

    /// What is the same for all of them.
    fn span(&self, trace_id: [u8; 16], start_ns: u64, duration_ns: u64) -> Span {
        Span {
            trace_id,
            span_id: [0; 8],
            parent: None,
            trace_state: Text::Static(""),
            service: self.service.clone(),
            instance: self.instance.clone(),
            scope: Text::Static("colony"),
            name: Text::Static(""),
            kind: Kind::Internal,
            start_ns,
            duration_ns,
            status: Status::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped: 0,
        }
    }

    /// Hands it over, if it is among the share of the traces that is recorded, or has failed; whether it is.
    fn record(&self, span: Span) -> bool {
        let Some(recorder) = &self.recorder else { return false };
        let share = recorder.share();
        share.offered(1, span.end_ns());
        if !span.is_error() && !share.has(&span.trace_id) {
            share.left_out(1);
            return false;
        }
        // What there is no room for is counted there.
        let _ = recorder.span(span);
        true
    }

    /// Unique rather than secret, as ids of messages are.
    fn random(&self) -> u64 {
        self.key.hash_one(self.last.fetch_add(1, Relaxed))
    }
}

impl Begun {
    /// Where is noted what is learned of it while it is answered.
    pub(crate) fn notes(&self) -> Option<Arc<Notes>> {
        self.notes.clone()
    }

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

/// Since when something waits, in nanoseconds since 1970. Whole milliseconds are what is left of a time that was cut: it counts from the next
/// one, so that no wait begins before what it comes of.
fn since_ns(time: SystemTime) -> u64 {
    let ns = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    if ns.is_multiple_of(MILLISECOND_NS) { ns + MILLISECOND_NS } else { ns }
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

/// What is asked of, or done for, something that this API has.
fn block(group: &str, name: &str, operation: &str) -> Vec<(Text, Value)> {
    vec![
        named("colony.block", group.to_owned()),
        named("colony.component", name.to_owned()),
        named("colony.operation", operation.to_owned()),
    ]
}

fn named(key: &'static str, value: impl Into<Value>) -> (Text, Value) {
    (Text::Static(key), value.into())
}

const MILLISECOND_NS: u64 = 1_000_000;
const TRACEPARENT: &str = "traceparent";
/// Where a request, or what is sent, says which trace it belongs to: W3C Trace Context and W3C Baggage.
pub(crate) const TRACE: [&str; 3] = [TRACEPARENT, "tracestate", "baggage"];
/// The last seven bytes of an id are below this.
const IDS: u64 = 1 << 56;
/// What was waited for less long is an attribute and no span: in a drawing it would not be seen.
const WAIT_NS_MIN: u64 = 1_000_000;
