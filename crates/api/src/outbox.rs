//! The outbox: what a transaction saves is published in the same commit, so neither is ever there without the other, and
//! nothing has to be looked for, repeated or cleaned up.
//!
//! Each item that is saved is an event, in Dapr's form: its id begins with `outbox-`, its data is the value, or that of
//! the operation beside it that is marked as a projection and is not saved itself, and its metadata are fields. Events of
//! one item stay in order.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use bytes::Bytes;
use engine::blocks::projection::Move;
use engine::blocks::{Idempotency, Outgoing};
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::config::Outbox;
use crate::error::{Details, Error};
use crate::pubsub::{CLOUD_EVENT, Event, JSON, PubSub, Trace, Wishes, media};
use crate::state::{Operation, Save};
use crate::time;

impl Api {
    /// Does several things in a store, all or none, publishes what is saved if the store has an outbox, and notes where a projection
    /// has `moved`; once under `once`.
    ///
    /// # Errors
    ///
    /// Why nothing was done.
    pub async fn transact(
        &self,
        store: &str,
        operations: Vec<Operation>,
        moved: Option<&Move>,
        trace: Trace<'_>,
        once: Option<&Idempotency>,
    ) -> Result<(), Error> {
        let store = self.store(store)?.once(once)?;
        let Some(outbox) = self.config.outboxes.get(store.name()) else {
            return store.transact(operations, &[], moved).await;
        };
        let (saved, projections) = apart(operations);
        let publishing = async {
            let pubsub = self.pubsub(&outbox.pubsub)?;
            pubsub.check(&outbox.topic)?;
            events(&pubsub, outbox, &saved, &projections, trace).await
        };
        let events = publishing.await.map_err(|error| failed(&self.config.app_id, &error))?;
        let done = store.transact(saved, &events, moved).await;
        if let Ok(pubsub) = self.pubsub(&outbox.pubsub) {
            pubsub.has_published(&outbox.topic, events.len(), if done.is_err() { events.len() } else { 0 });
        }
        done
    }
}

/// What is done, and by its key what is published instead of what is saved.
fn apart(operations: Vec<Operation>) -> (Vec<Operation>, HashMap<String, Save>) {
    let mut projections = HashMap::new();
    let mut saved = Vec::with_capacity(operations.len());
    for operation in operations {
        match operation {
            Operation::Upsert(save) if save.metadata.get(PROJECTION).is_some_and(|word| is_yes(word)) => {
                projections.insert(save.key.clone(), save);
            }
            operation => saved.push(operation),
        }
    }
    (saved, projections)
}

async fn events(
    pubsub: &PubSub<'_>,
    outbox: &Outbox,
    saved: &[Operation],
    projections: &HashMap<String, Save>,
    trace: Trace<'_>,
) -> Result<Vec<Outgoing>, Error> {
    let now_ms = time::millis(SystemTime::now());
    let mut events = Vec::new();
    for operation in saved {
        let Operation::Upsert(save) = operation else { continue };
        let shown = projections.get(&save.key).unwrap_or(save);
        let data = event(pubsub, outbox, save, shown, trace, now_ms);
        let key = Bytes::copy_from_slice(save.key.as_bytes());
        let message = components::pubsub::Message {
            content_type: CLOUD_EVENT.to_owned(),
            ..components::pubsub::Message::new(data).key(key)
        };
        let outgoing = pubsub.outgoing(&outbox.topic, message).await;
        events.push(outgoing.map_err(|error| pubsub.failing(&outbox.topic).publish(&error))?);
    }
    Ok(events)
}

fn event(
    pubsub: &PubSub<'_>,
    outbox: &Outbox,
    save: &Save,
    shown: &Save,
    trace: Trace<'_>,
    now_ms: u64,
) -> Vec<u8> {
    let content_type = shown.content_type();
    let text;
    let data = match shown.is_json && !media(content_type).eq_ignore_ascii_case(JSON) {
        true => {
            text = unquoted(&shown.value);
            &text
        }
        false => &shown.value,
    };
    // An item's time to live is not that of the event.
    let wishes = Wishes { ttl_s: None, ..Wishes::of(&save.metadata) };
    let id = format!("outbox-{}", pubsub.new_id().as_str());
    let also: BTreeMap<&str, &str> = save
        .metadata
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !OWN.contains(name) && !Wishes::is_field(name))
        .collect();
    let event = Event {
        id: &id,
        app_id: pubsub.app_id(),
        pubsub: &outbox.pubsub,
        topic: &outbox.topic,
        content_type,
        data,
        traceparent: trace.parent,
        tracestate: trace.state,
        baggage: trace.baggage,
        wishes: &wishes,
        now_ms,
    };
    event.wrap_with(&also)
}

/// A JSON text as the text that it means, anything else as it is.
fn unquoted(json: &Bytes) -> Bytes {
    serde_json::from_slice::<String>(json).map_or_else(|_| json.clone(), Bytes::from)
}

fn is_yes(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "y" | "yes" | "true" | "t" | "on" | "1")
}

fn failed(app_id: &str, why: &Error) -> Error {
    let message = format!("error while publishing outbox message: {}", why.message);
    let metadata = vec![("appID", app_id.to_owned()), ("error", why.message.clone())];
    let details = Details { reason: "DAPR_PUBSUB_OUTBOX", metadata, ..Details::default() };
    Error::new("ERR_PUBLISH_OUTBOX", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message).with(details)
}

/// Says of an operation that it is published in place of the one of its key, and not done.
const PROJECTION: &str = "outbox.projection";
/// What of an event is not to be had from metadata.
const OWN: [&str; 5] = ["data", "data_base64", "id", "topic", "pubsubname"];
