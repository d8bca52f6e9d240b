//! Events over HTTP.

use ::http::header::{CONTENT_TYPE, HeaderName};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use components::pubsub::Delivery;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tonic::body::Body;

use crate::app::{App, Held, Turn, Unanswered};
use crate::subscription::answer::{self as said, Verdict};
use crate::subscription::event::{self, Head};
use crate::subscription::{Route, Subscription};

/// Brings an event.
pub(super) async fn one(
    app: &App,
    turn: Turn,
    subscription: &Subscription,
    route: &Route,
    delivery: &Delivery,
    trace: Option<HeaderValue>,
) -> Result<Verdict, Unanswered> {
    let mut headers = headers(subscription, delivery.message.metadata.iter());
    let head = (!subscription.knobs.raw).then(|| Head::of(&delivery.message.data).ok()).flatten();
    let said = |text: &str| HeaderValue::from_str(text).ok().filter(|value| !value.is_empty());
    let published = || head.as_ref().and_then(|head| said(&head.trace()));
    if let Some(trace) = trace.or_else(published) {
        headers.insert("traceparent", trace);
    }
    if let Some(baggage) = head.as_ref().and_then(|head| said(&head.baggage())) {
        headers.insert("baggage", baggage);
    }
    headers.insert(CONTENT_TYPE, EVENT);
    let body = event::whole(delivery, subscription);
    let (status, body) = post(app, turn, route, headers, body, ANSWER_BYTES_MAX).await?;
    Ok(said::of_http(status.as_u16(), &body))
}

/// Brings several, which have gone to the same place; what came of each, in their order.
pub(super) async fn several(
    app: &App,
    turn: Turn,
    subscription: &Subscription,
    route: &Route,
    deliveries: &[Delivery],
    trace: Option<HeaderValue>,
) -> Result<Vec<Verdict>, Unanswered> {
    let ids: Vec<String> = deliveries.iter().map(|delivery| event::entry_id(delivery.receipt)).collect();
    let mut headers = headers(subscription, [].into_iter());
    if let Some(trace) = trace {
        headers.insert("traceparent", trace);
    }
    headers.insert(CONTENT_TYPE, JSON);
    let body = envelope(subscription, deliveries, &ids);
    let limit = ANSWER_BYTES_MAX + deliveries.len() * STATUS_BYTES;
    let (status, body) = post(app, turn, route, headers, body, limit).await?;
    Ok(said::of_http_bulk(status.as_u16(), &body, &ids))
}

fn envelope(subscription: &Subscription, deliveries: &[Delivery], ids: &[String]) -> Bytes {
    let raw = subscription.knobs.raw;
    let content_type = if raw { "application/octet-stream" } else { "application/cloudevents+json" };
    let entries = deliveries.iter().zip(ids).map(|(delivery, id)| {
        let data = &delivery.message.data;
        // Events are passed on as they are: their order of keys, their numbers.
        let event = match raw {
            true => serde_json::value::to_raw_value(&BASE64.encode(data)),
            false => serde_json::from_slice::<Box<RawValue>>(data),
        };
        Entry {
            entry_id: id,
            event: event.unwrap_or_default(),
            metadata: &delivery.message.metadata,
            content_type,
        }
    });
    let id = ids
        .first()
        .map(|first| format!("{}/{}/{first}+{}", subscription.pubsub, subscription.topic, ids.len()));
    let envelope = Envelope {
        id: id.unwrap_or_default(),
        kind: "com.dapr.event.sent.bulk",
        topic: &subscription.topic,
        pubsubname: &subscription.pubsub,
        metadata: json!({ "pubsubName": subscription.pubsub }),
        entries: entries.collect(),
    };
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

#[derive(serde::Serialize)]
struct Envelope<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    topic: &'a str,
    pubsubname: &'a str,
    metadata: Value,
    entries: Vec<Entry<'a>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    entry_id: &'a str,
    event: Box<RawValue>,
    metadata: &'a std::collections::BTreeMap<String, String>,
    content_type: &'static str,
}

/// What it was published with, as far as that can be headers, and from where it comes.
fn headers<'a>(
    subscription: &Subscription,
    metadata: impl Iterator<Item = (&'a String, &'a String)>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in metadata {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        let Ok(value) = HeaderValue::from_str(value) else { continue };
        if !is_ours(name.as_str()) {
            headers.insert(name, value);
        }
    }
    if let Ok(name) = HeaderValue::from_str(&subscription.pubsub) {
        headers.insert("pubsubname", name);
    }
    headers
}

/// What a message may not say of itself: how requests are framed, and who sends them.
pub(super) fn is_ours(name: &str) -> bool {
    let framing = [
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    framing.contains(&name) || ["dapr-", "grpc-", "proxy-"].iter().any(|ours| name.starts_with(ours))
}

async fn post(
    app: &App,
    turn: Turn,
    route: &Route,
    headers: HeaderMap,
    body: Bytes,
    limit: usize,
) -> Result<(StatusCode, Bytes), Unanswered> {
    let mut request = Request::new(Body::new(Full::new(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(route.path.clone());
    *request.headers_mut() = headers;
    answer(app.send_in(turn, request).await?, limit).await
}

/// An answer with all of its body; without, if that is longer than anybody looks at.
pub(super) async fn answer(
    response: Response<Held>,
    limit: usize,
) -> Result<(StatusCode, Bytes), Unanswered> {
    let (head, body) = response.into_parts();
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok((head.status, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok((head.status, Bytes::new())),
        Err(error) => Err(Unanswered::Broken(format!("its answer breaks off: {error}"))),
    }
}

const EVENT: HeaderValue = HeaderValue::from_static("application/cloudevents+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// As much of an answer as can be a status.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// As much as the status of one of several can take.
const STATUS_BYTES: usize = 512;
