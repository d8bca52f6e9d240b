//! Events over gRPC.

use std::error::Error as _;
use std::iter::successors;

use components::pubsub::Delivery;
use http::HeaderValue;
use prost_types::value::Kind;
use tonic::metadata::{AsciiMetadataValue, MetadataKey, MetadataMap, MetadataValue};
use tonic::{Code, Request, Status};

use super::http::is_ours;
use crate::app::{App, Turn, Unanswered};
use crate::proto::dapr::runtime::v1::app_callback_alpha_client::AppCallbackAlphaClient;
use crate::proto::dapr::runtime::v1::app_callback_client::AppCallbackClient;
use crate::proto::dapr::runtime::v1::topic_event_bulk_request_entry::Event;
use crate::proto::dapr::runtime::v1::{TopicEventBulkRequest, TopicEventBulkRequestEntry, TopicEventRequest};
use crate::spans::tell;
use crate::subscription::answer::{self as answers, Verdict};
use crate::subscription::event;
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
    let message = match event::taken_apart(delivery, subscription, route) {
        Ok(message) => message,
        Err(why) => return Ok(Verdict::Retry(why)),
    };
    let said = |name: &str| said(&message, name);
    let (trace, baggage) = (trace.or_else(|| said("traceparent")), said("baggage"));
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata(delivery);
    tell(request.metadata_mut(), trace);
    if let Some(baggage) = baggage.and_then(|baggage| AsciiMetadataValue::try_from(baggage.as_bytes()).ok()) {
        request.metadata_mut().insert("baggage", baggage);
    }
    let mut client = AppCallbackClient::new(app.in_turn(turn));
    match client.on_topic_event(request).await {
        Ok(response) => Ok(answers::of_status(response.into_inner().status)),
        Err(status) => answered(status).map(|status| answers::of_error(&status)),
    }
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
    let request = || {
        let mut request = Request::new(envelope(subscription, route, deliveries, &ids));
        tell(request.metadata_mut(), trace.clone());
        request
    };
    let mut response = AppCallbackClient::new(app.in_turn(turn)).on_bulk_topic_event(request()).await;
    if response.as_ref().is_err_and(|status| status.code() == Code::Unimplemented) {
        // What older SDKs serve.
        response = AppCallbackAlphaClient::new(app.clone()).on_bulk_topic_event_alpha1(request()).await;
    }
    match response {
        Ok(response) => Ok(answers::of_bulk(response.into_inner(), &ids)),
        Err(status) => answered(status).map(|status| vec![answers::of_error(&status); deliveries.len()]),
    }
}

fn envelope(
    subscription: &Subscription,
    route: &Route,
    deliveries: &[Delivery],
    ids: &[String],
) -> TopicEventBulkRequest {
    let raw = subscription.knobs.raw;
    let content_type = if raw { "application/octet-stream" } else { "application/cloudevents+json" };
    let entries = deliveries.iter().zip(ids).map(|(delivery, id)| {
        let data = || delivery.message.data.clone();
        let event = match (raw, event::apart(delivery, subscription)) {
            (false, Ok(event)) => Event::CloudEvent(event),
            _ => Event::Bytes(data()),
        };
        TopicEventBulkRequestEntry {
            entry_id: id.clone(),
            event: Some(event),
            content_type: content_type.to_owned(),
            metadata: delivery.message.metadata.clone(),
        }
    });
    let id = ids
        .first()
        .map(|first| format!("{}/{}/{first}+{}", subscription.pubsub, subscription.topic, ids.len()));
    TopicEventBulkRequest {
        id: id.unwrap_or_default(),
        entries: entries.collect(),
        metadata: [("pubsubName".to_owned(), subscription.pubsub.clone())].into(),
        topic: subscription.topic.clone(),
        pubsub_name: subscription.pubsub.clone(),
        r#type: "com.dapr.event.sent.bulk".to_owned(),
        path: route.text.clone(),
    }
}

/// What it was published with of its trace.
fn said(event: &TopicEventRequest, name: &str) -> Option<HeaderValue> {
    match event.extensions.as_ref()?.fields.get(name)?.kind.as_ref()? {
        Kind::StringValue(said) if !said.is_empty() => said.parse().ok(),
        _ => None,
    }
}

/// What it was published with, as far as that can be sent.
fn metadata(delivery: &Delivery) -> MetadataMap {
    let mut map = MetadataMap::new();
    for (name, value) in &delivery.message.metadata {
        let name = name.to_lowercase();
        let Ok(key) = MetadataKey::from_bytes(name.as_bytes()) else { continue };
        let Ok(value) = MetadataValue::try_from(value.as_str()) else { continue };
        if !is_ours(&name) {
            map.insert(key, value);
        }
    }
    map
}

/// A status that the application has sent; one that was made here, since it sent none, is no answer.
fn answered(status: Status) -> Result<Status, Unanswered> {
    let Some(source) = status.source() else { return Ok(status) };
    let mut causes = successors(Some(source), |cause| (*cause).source());
    match causes.find_map(|cause| cause.downcast_ref::<Unanswered>()) {
        Some(Unanswered::NoPort) => Err(Unanswered::NoPort),
        Some(Unanswered::Unreachable(why)) => Err(Unanswered::Unreachable(why.clone())),
        Some(Unanswered::Broken(why)) => Err(Unanswered::Broken(why.clone())),
        None => Err(Unanswered::Broken(status.message().to_owned())),
    }
}
