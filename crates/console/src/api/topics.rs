//! `/api/topics`: topics with their groups and how far these lag, a look at messages, those that a group fails at, and what becomes
//! of them; a test message.
//!
//! A topic is named as the engine does: by its pubsub, a slash and its name.

use std::collections::BTreeMap;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::Embedded;
use engine::blocks::topic::{Action, Message, Which};
use serde::Deserialize;
use serde_json::{Value, json};

use super::payload;
use super::{Answer, Served, asked, said};
use crate::problem::Problem;

/// Most topics that are told of.
const TOPICS_MAX: usize = 500;
/// Most messages that are shown at a time.
const SHOWN_MAX: usize = 100;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/topics", get(all))
        .route("/api/topics/{topic}/messages", get(messages).post(publish))
        .route("/api/topics/{topic}/failed", get(failed))
        .route("/api/topics/{topic}/resolve", post(resolve))
}

async fn all(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    let topics = looks(durable.host.disk()).await?;
    served.told(json!({ "topics": topics.into_iter().map(|(_, told, _)| told).collect::<Vec<_>>() }))
}

/// Every topic: its name, how it stands, its groups.
pub(super) async fn looks(engine: &Embedded) -> Result<Vec<(String, Value, Vec<String>)>, Problem> {
    let mut looks = Vec::new();
    for name in engine.topics("", None, TOPICS_MAX).await? {
        let (told, groups) = look(engine, &name).await?;
        looks.push((name, told, groups));
    }
    Ok(looks)
}

/// How a group stands.
#[derive(Default)]
struct Group {
    lag: u64,
    aside: u64,
    dead: u64,
    skipped: u64,
}

async fn look(engine: &Embedded, name: &str) -> Result<(Value, Vec<String>), Problem> {
    let topic = engine.topic(name)?;
    let (mut messages, mut bytes, mut published) = (0, 0, 0);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for partition in 0..topic.partitions() {
        let counts = topic.counts(partition).await?;
        messages += counts.messages;
        bytes += counts.bytes;
        published += counts.next;
        for status in topic.groups(partition).await? {
            let group = groups.entry(status.name).or_default();
            group.lag += status.lag;
            group.aside += status.group.aside;
            group.dead += status.group.dead;
            group.skipped += status.group.skipped;
        }
    }
    let lag = groups.values().map(|group| group.lag).max().unwrap_or(0);
    let told = json!({
        "kind": "topic",
        "name": name,
        "partitions": topic.partitions(),
        "messages": messages,
        "bytes": bytes,
        "published": published,
        "lag": lag,
        "aside": groups.values().map(|group| group.aside).sum::<u64>(),
        "dead": groups.values().map(|group| group.dead).sum::<u64>(),
        "groups": groups.iter().map(|(name, group)| {
            let told = json!({ "lag": group.lag, "aside": group.aside, "dead": group.dead, "skipped": group.skipped });
            (name.clone(), told)
        }).collect::<serde_json::Map<_, _>>(),
    });
    Ok((told, groups.into_keys().collect()))
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    partition: u32,
    /// Default: so that the last are shown.
    from: Option<u64>,
}

async fn messages(
    State(served): State<Served>,
    Path(topic): Path<String>,
    query: Result<Query<From>, QueryRejection>,
) -> Answer {
    let From { partition, from } = asked(query)?;
    let durable = served.sources().durable().await?;
    let topic = durable.host.disk().topic(&topic)?;
    if partition >= topic.partitions() {
        return Err(Problem::not_found(format!(
            "there are {} partitions, counted from 0",
            topic.partitions()
        )));
    }
    let next = topic.counts(partition).await?.next;
    let from = from.unwrap_or(next.saturating_sub(SHOWN_MAX as u64));
    let found = topic.read(partition, from, SHOWN_MAX).await?;
    let told = found.iter().map(|message| {
        json!({
            "offset": message.offset,
            "unix_ms": message.time.as_millis(),
            "key": String::from_utf8_lossy(&message.attributes.key),
            "content_type": message.attributes.content_type,
            "payload": payload::told(&message.payload),
            "trace": payload::trace_of(&message.attributes.headers, &message.payload),
        })
    });
    served
        .told(json!({ "partitions": topic.partitions(), "next": next, "messages": told.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct OfGroup {
    group: String,
}

async fn failed(
    State(served): State<Served>,
    Path(topic): Path<String>,
    query: Result<Query<OfGroup>, QueryRejection>,
) -> Answer {
    let OfGroup { group } = asked(query)?;
    let durable = served.sources().durable().await?;
    let topic = durable.host.disk().topic(&topic)?;
    let mut failed = Vec::new();
    for partition in 0..topic.partitions() {
        for (offset, aside) in topic.asides(partition, &group, 0, SHOWN_MAX - failed.len()).await? {
            let last = aside.history.last();
            let message =
                topic.read(partition, offset, 1).await?.into_iter().find(|one| one.offset == offset);
            failed.push(json!({
                "partition": partition,
                "offset": offset,
                "key": String::from_utf8_lossy(&aside.key),
                "attempts": aside.attempts,
                "next_unix_ms": aside.next,
                "cause": last.map(|failure| &failure.cause),
                "unix_ms": last.map(|failure| failure.time),
                "payload": message.as_ref().map(|one| payload::told(&one.payload)),
                "trace": message.as_ref().and_then(|one| payload::trace_of(&one.attributes.headers, &one.payload)),
            }));
        }
        if failed.len() >= SHOWN_MAX {
            break;
        }
    }
    served.told(json!({ "failed": failed }))
}

#[derive(Deserialize)]
struct Resolve {
    group: String,
    action: String,
    /// Only this one; else all.
    partition: Option<u32>,
    offset: Option<u64>,
}

async fn resolve(
    State(served): State<Served>,
    Path(topic): Path<String>,
    body: Result<Json<Resolve>, JsonRejection>,
) -> Answer {
    let Resolve { group, action, partition, offset } = said(body)?;
    let action = match action.as_str() {
        "retry" => Action::Retry,
        "skip" => Action::Skip,
        "dead-letter" => Action::DeadLetter,
        other => return Err(Problem::invalid(format!("{other:?} is none of retry, skip, dead-letter"))),
    };
    let durable = served.sources().durable().await?;
    let topic = durable.host.disk().topic(&topic)?;
    let which = offset.map_or(Which::All(true), Which::Offset);
    let (first, end) = partition.map_or((0, topic.partitions()), |one| (one, one.saturating_add(1)));
    if end > topic.partitions() || (offset.is_some() && partition.is_none()) {
        return Err(Problem::invalid("one message is meant by its `partition` and its `offset`"));
    }
    let mut count = 0;
    for partition in first..end {
        count += topic.resolve(partition, &group, which.clone(), action).await?;
    }
    served.told(json!({ "resolved": count }))
}

#[derive(Deserialize)]
struct Publish {
    payload: String,
    #[serde(default)]
    key: String,
    /// Named: the payload is published as it is. Else as a CloudEvent, as subscribers expect.
    content_type: Option<String>,
}

async fn publish(
    State(served): State<Served>,
    Path(topic): Path<String>,
    body: Result<Json<Publish>, JsonRejection>,
) -> Answer {
    let publish = said(body)?;
    let durable = served.sources().durable().await?;
    let (payload, content_type) = match publish.content_type {
        Some(content_type) => (publish.payload, content_type),
        None => (event(&topic, publish.payload).to_string(), CLOUD_EVENT.to_owned()),
    };
    let message = Message { content_type, ..Message::new(payload).key(publish.key) };
    let published = durable.host.disk().topic(&topic)?.publish(message).await?;
    served.told(json!({ "partition": published.partition, "offset": published.offset }))
}

/// The media type of a CloudEvent.
const CLOUD_EVENT: &str = "application/cloudevents+json";

/// A CloudEvent (1.0) with this for its data.
fn event(whole: &str, data: String) -> Value {
    use std::hash::{BuildHasher, RandomState};
    let (pubsub, topic) = whole.split_once('/').unwrap_or(("", whole));
    let (kind, data) = match serde_json::from_str::<Value>(&data) {
        Ok(json) => ("application/json", json),
        Err(_) => ("text/plain", Value::String(data)),
    };
    json!({
        "specversion": "1.0",
        "id": format!("console-{:016x}", RandomState::new().hash_one(whole)),
        "source": "colony-console",
        "type": "com.dapr.event.sent",
        "pubsubname": pubsub,
        "topic": topic,
        "datacontenttype": kind,
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_message_is_an_event_of_json_or_of_text() {
        let told = event("pubsub/orders/new", "{\"a\":1}".to_owned());
        assert_eq!((&told["pubsubname"], &told["topic"]), (&json!("pubsub"), &json!("orders/new")));
        assert_eq!(
            (&told["datacontenttype"], &told["data"]),
            (&json!("application/json"), &json!({ "a": 1 }))
        );
        assert_eq!(event("pubsub/a", "hello".to_owned())["data"], "hello");
    }
}
