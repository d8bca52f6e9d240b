//! Subscriptions as streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, future};
use tonic::{Status, Streaming};

use crate::api::Api;
use crate::delivery::{Closed, Open};
use crate::proto::dapr::runtime::v1::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Asked;
use crate::proto::dapr::runtime::v1::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Said;
use crate::proto::dapr::runtime::v1::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestInitialAlpha1,
    SubscribeTopicEventsResponseAlpha1, SubscribeTopicEventsResponseInitialAlpha1,
};
use crate::subscription::{Knobs, Origin, Route, Routes, Subscription};

/// What a stream is sent.
pub(super) type Events = BoxStream<'static, Result<SubscribeTopicEventsResponseAlpha1, Status>>;

/// Reads what is subscribed to, and sends it from then on.
pub(super) async fn open(
    api: &Arc<Api>,
    mut requests: Streaming<SubscribeTopicEventsRequestAlpha1>,
) -> Result<Events, Status> {
    let first = requests.message().await?.and_then(|request| request.subscribe_topic_events_request_type);
    let Some(Asked::InitialRequest(initial)) = first else {
        return Err(Status::invalid_argument("initial request is required"));
    };
    let subscription = subscription(initial)?;
    let answers = requests.filter_map(|request| {
        future::ready(match request.map(|request| request.subscribe_topic_events_request_type) {
            Ok(Some(Asked::EventProcessed(processed))) => {
                let status = processed.status.map_or(0, |status| status.status);
                Some(Ok((processed.id, status)))
            }
            Ok(Some(Asked::InitialRequest(_))) => {
                Some(Err(Status::already_exists("duplicate initial request received")))
            }
            Ok(None) => None,
            Err(status) => Some(Err(status)),
        })
    });
    let open = Open::new(api, subscription, answers).await?;
    let initial = Said::InitialResponse(SubscribeTopicEventsResponseInitialAlpha1 {});
    let events = stream::unfold(Some(open), |open| async {
        let mut open = open?;
        match open.next().await {
            Ok(event) => Some((Ok(said(Said::EventMessage(event))), Some(open))),
            Err(Closed::ByClient) => None,
            Err(Closed::Refused(status)) => Some((Err(status), None)),
            Err(Closed::Stopping) => Some((Err(Status::unavailable("the sidecar ends")), None)),
            Err(Closed::Renewed) => {
                Some((Err(Status::unavailable("the component is declared otherwise: subscribe again")), None))
            }
            Err(Closed::Broken(error)) => Some((Err(Status::unavailable(error.to_string())), None)),
        }
    });
    Ok(stream::once(future::ready(Ok(said(initial)))).chain(events).boxed())
}

fn subscription(initial: SubscribeTopicEventsRequestInitialAlpha1) -> Result<Subscription, Status> {
    let SubscribeTopicEventsRequestInitialAlpha1 { pubsub_name, topic, metadata, dead_letter_topic } =
        initial;
    for (name, value) in [("pubsubName", &pubsub_name), ("topic", &topic)] {
        if value.is_empty() {
            return Err(Status::invalid_argument(format!("{name} is required")));
        }
    }
    if dead_letter_topic.as_ref() == Some(&topic) {
        return Err(Status::invalid_argument("the topic for dead letters is the topic itself"));
    }
    let metadata: BTreeMap<String, String> = metadata;
    Ok(Subscription {
        knobs: Knobs::new(&metadata).map_err(|odd| Status::invalid_argument(format!("metadata {odd}")))?,
        pubsub: pubsub_name,
        topic,
        routes: Routes::all_to(Route::new("/")),
        dead_letter: dead_letter_topic.filter(|topic| !topic.is_empty()),
        metadata,
        bulk: None,
        origin: Origin::Streaming,
    })
}

fn said(said: Said) -> SubscribeTopicEventsResponseAlpha1 {
    SubscribeTopicEventsResponseAlpha1 { subscribe_topic_events_response_type: Some(said) }
}
