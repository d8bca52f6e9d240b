//! From a request to spans and records, one at a time and no more of each than it may have.
//!
//! What a resource has besides its name becomes attributes of each of its spans, as in OpenTelemetry's rules for Zipkin: all that
//! is asked for is asked by attribute. What the span says itself goes before it.

use super::Taken;
use super::wire::{Fields, Malformed, Wire};
use crate::span::{
    ATTRIBUTES_MAX, EVENTS_MAX, Event, KEY_BYTES_MAX, Kind, LINKS_MAX, Link, LogRecord, NAME_BYTES_MAX, Span,
    Status, Text, VALUE_BYTES_MAX, Value,
};

mod points;
mod value;

pub use points::{Point, PointValue, metrics};
use value::{Budget, body, text};

/// Hands each span of an `ExportTraceServiceRequest` to `each`, which says whether there was room for it.
///
/// # Errors
///
/// If the request is not protobuf; what came before has been handed over.
pub fn traces(request: &[u8], each: &mut dyn FnMut(Span) -> bool) -> Result<Taken, Malformed> {
    let mut taken = Taken::default();
    for_each(request, &mut |resource, scope, bytes| {
        match span(bytes, resource, scope)? {
            Ok(span) => taken.handed_over(each(span)),
            Err(why) => taken.refused(why),
        }
        Ok(())
    })?;
    Ok(taken)
}

/// Hands each record of an `ExportLogsServiceRequest` to `each`; one that does not say when it was written was at `now_ns`.
///
/// # Errors
///
/// As [`traces`].
pub fn logs(
    request: &[u8],
    now_ns: u64,
    each: &mut dyn FnMut(LogRecord) -> bool,
) -> Result<Taken, Malformed> {
    let mut taken = Taken::default();
    for_each(request, &mut |resource, _, bytes| {
        let record = record(bytes, resource, now_ns)?;
        taken.handed_over(each(record));
        Ok(())
    })?;
    Ok(taken)
}

/// Whose what is.
struct Resource {
    service: Text,
    instance: Text,
    attributes: Vec<(Text, Value)>,
}

/// What is done with each of what a request brings: whose it is, its scope, and what it is.
type Each<'e> = dyn FnMut(&Resource, &Text, &[u8]) -> Result<(), Malformed> + 'e;

/// All three requests are built alike: resources, in which there are scopes, in which there is what they bring.
fn for_each(request: &[u8], each: &mut Each<'_>) -> Result<(), Malformed> {
    for field in Fields(request) {
        let (1, of_resource) = field? else { continue };
        let of_resource = of_resource.bytes();
        // What belongs to all of them may stand behind them.
        let resource = resource(last(of_resource, 1)?)?;
        for field in Fields(of_resource) {
            let (2, of_scope) = field? else { continue };
            let of_scope = of_scope.bytes();
            let scope = last(last(of_scope, 1)?, 1)?;
            let scope = shared(text(scope, NAME_BYTES_MAX));
            for field in Fields(of_scope) {
                let (2, one) = field? else { continue };
                each(&resource, &scope, one.bytes())?;
            }
        }
    }
    Ok(())
}

/// The bytes of a field, of which the last counts.
fn last(message: &[u8], number: u32) -> Result<&[u8], Malformed> {
    let mut found = &[][..];
    for field in Fields(message) {
        let (field, value) = field?;
        if field == number {
            found = value.bytes();
        }
    }
    Ok(found)
}

fn resource(message: &[u8]) -> Result<Resource, Malformed> {
    let mut budget = Budget::default();
    let mut attributes = Vec::new();
    for field in Fields(message) {
        if let (1, attribute) = field? {
            budget.attribute(&mut attributes, attribute.bytes())?;
        }
    }
    let mut take = |wanted: &str| {
        let at = attributes.iter().position(|(key, _)| *key == wanted)?;
        match attributes.remove(at).1 {
            Value::Text(text) => Some(shared(text)),
            _ => None,
        }
    };
    let service = take("service.name").filter(|name| !name.is_empty()).unwrap_or(UNKNOWN);
    let instance = take("service.instance.id").unwrap_or_default();
    // What library an SDK is, is nothing that anybody looks for in a span.
    attributes.retain(|(key, _)| !key.starts_with("telemetry.sdk."));
    attributes.truncate(RESOURCE_ATTRIBUTES_MAX);
    let share = |(key, value)| match value {
        Value::Text(text) => (shared(key), Value::Text(shared(text))),
        value => (shared(key), value),
    };
    Ok(Resource { service, instance, attributes: attributes.into_iter().map(share).collect() })
}

/// A text of many.
fn shared(text: Text) -> Text {
    if text.is_empty() { Text::default() } else { Text::Shared((*text).into()) }
}

/// The span, or why it is none.
fn span(message: &[u8], resource: &Resource, scope: &Text) -> Result<Result<Span, &'static str>, Malformed> {
    let mut budget = Budget::default();
    let (mut trace_id, mut span_id, mut end_ns) = (None, None, 0);
    let mut span = Span {
        trace_id: [0; 16],
        span_id: [0; 8],
        parent: None,
        trace_state: Text::default(),
        service: resource.service.clone(),
        instance: resource.instance.clone(),
        scope: scope.clone(),
        name: Text::default(),
        kind: Kind::Internal,
        start_ns: 0,
        duration_ns: 0,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    };
    for field in Fields(message) {
        let (number, value) = field?;
        match number {
            1 => trace_id = id(value),
            2 => span_id = id(value),
            3 => span.trace_state = text(value.bytes(), VALUE_BYTES_MAX),
            4 => span.parent = id(value),
            5 => span.name = text(value.bytes(), NAME_BYTES_MAX),
            6 => span.kind = kind(value.number()),
            7 => span.start_ns = value.number(),
            8 => end_ns = value.number(),
            9 => budget.attribute(&mut span.attributes, value.bytes())?,
            10 | 12 | 14 => budget.dropped(value.number()),
            11 if span.events.len() == EVENTS_MAX => budget.dropped(1),
            11 => span.events.push(event(value.bytes(), &mut budget)?),
            13 if span.links.len() == LINKS_MAX => budget.dropped(1),
            13 => match link(value.bytes(), &mut budget)? {
                Some(link) => span.links.push(link),
                None => budget.dropped(1),
            },
            15 => span.status = status(value.bytes())?,
            _ => {}
        }
    }
    let (Some(trace_id), Some(span_id)) = (trace_id, span_id) else {
        return Ok(Err("a span needs a trace id of 16 bytes and a span id of 8, neither all zero"));
    };
    if span.start_ns == 0 {
        return Ok(Err("a span needs the time at which it began"));
    }
    (span.trace_id, span.span_id) = (trace_id, span_id);
    span.duration_ns = end_ns.saturating_sub(span.start_ns);
    inherit(&mut span.attributes, resource);
    span.dropped = budget.dropped;
    Ok(Ok(span))
}

/// What the resource says, and the span does not.
fn inherit(attributes: &mut Vec<(Text, Value)>, resource: &Resource) {
    let own = attributes.len();
    for (key, value) in &resource.attributes {
        if attributes.len() < ATTRIBUTES_MAX && !attributes[..own].iter().any(|(known, _)| known == key) {
            attributes.push((key.clone(), value.clone()));
        }
    }
}

fn event(message: &[u8], budget: &mut Budget) -> Result<Event, Malformed> {
    let mut event = Event { at_ns: 0, name: Text::default(), attributes: Vec::new() };
    for field in Fields(message) {
        let (number, value) = field?;
        match number {
            1 => event.at_ns = value.number(),
            2 => event.name = text(value.bytes(), NAME_BYTES_MAX),
            3 => budget.attribute(&mut event.attributes, value.bytes())?,
            4 => budget.dropped(value.number()),
            _ => {}
        }
    }
    Ok(event)
}

fn link(message: &[u8], budget: &mut Budget) -> Result<Option<Link>, Malformed> {
    let (mut trace_id, mut span_id, mut attributes) = (None, None, Vec::new());
    for field in Fields(message) {
        let (number, value) = field?;
        match number {
            1 => trace_id = id(value),
            2 => span_id = id(value),
            4 => budget.attribute(&mut attributes, value.bytes())?,
            5 => budget.dropped(value.number()),
            _ => {}
        }
    }
    let ids = trace_id.zip(span_id);
    Ok(ids.map(|(trace_id, span_id)| Link { trace_id, span_id, attributes }))
}

fn status(message: &[u8]) -> Result<Status, Malformed> {
    let (mut code, mut why) = (0, Text::default());
    for field in Fields(message) {
        let (number, value) = field?;
        match number {
            2 => why = text(value.bytes(), VALUE_BYTES_MAX),
            3 => code = value.number(),
            _ => {}
        }
    }
    Ok(match code {
        1 => Status::Ok,
        2 => Status::Error(why),
        _ => Status::Unset,
    })
}

fn kind(number: u64) -> Kind {
    match number {
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        _ => Kind::Internal,
    }
}

fn record(message: &[u8], resource: &Resource, now_ns: u64) -> Result<LogRecord, Malformed> {
    let mut budget = Budget::default();
    let (mut observed_ns, mut level) = (0, Text::default());
    let mut record = LogRecord {
        at_ns: 0,
        severity: 0,
        service: resource.service.clone(),
        instance: resource.instance.clone(),
        event: Text::default(),
        body: Text::default(),
        attributes: Vec::new(),
        trace_id: None,
        span_id: None,
    };
    for field in Fields(message) {
        let (number, value) = field?;
        match number {
            1 => record.at_ns = value.number(),
            2 => record.severity = u8::try_from(value.number()).ok().filter(|it| *it <= 24).unwrap_or(0),
            3 => level = text(value.bytes(), KEY_BYTES_MAX),
            5 => record.body = body(value.bytes(), &mut budget)?,
            6 => budget.attribute(&mut record.attributes, value.bytes())?,
            9 => record.trace_id = id(value),
            10 => record.span_id = id(value),
            11 => observed_ns = value.number(),
            12 => record.event = text(value.bytes(), NAME_BYTES_MAX),
            _ => {}
        }
    }
    record.at_ns = [record.at_ns, observed_ns, now_ns].into_iter().find(|at| *at > 0).unwrap_or(0);
    if record.severity == 0 {
        record.severity = severity(&level);
    }
    // Where it was before events had a name of their own.
    if record.event.is_empty()
        && let Some(Value::Text(name)) = record.attribute("event.name")
    {
        record.event = name.clone();
    }
    inherit(&mut record.attributes, resource);
    Ok(record)
}

/// The number of a level by its name, where only that is said.
fn severity(level: &str) -> u8 {
    let level = level.trim().to_ascii_lowercase();
    match level.as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" | "information" | "notice" => 9,
        "warn" | "warning" => 13,
        "error" | "err" => 17,
        "fatal" | "critical" | "panic" | "emergency" | "alert" => 21,
        _ => 0,
    }
}

/// An id that is as long as it must be and not all zero.
fn id<const N: usize>(value: Wire<'_>) -> Option<[u8; N]> {
    <[u8; N]>::try_from(value.bytes()).ok().filter(|id| *id != [0; N])
}

/// What the conventions call a service that does not say its name.
const UNKNOWN: Text = Text::Static("unknown_service");
/// Most attributes of a resource that its spans get.
const RESOURCE_ATTRIBUTES_MAX: usize = 32;

#[cfg(test)]
mod tests;
