//! `/api/streams`: stores of event streams with their projections, the streams of one, and a stream as a line of events with its
//! snapshots.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use engine::Embedded;
use engine::blocks::stream::{Appended, Filter, Life, Order, Settings, Snapshot, Spread, Stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::paging::limit;
use super::payload;
use super::{Answer, Served, asked};
use crate::problem::Problem;

/// Most stores that are told of.
const STORES_MAX: usize = 200;
/// Most projections of a store that are told of.
const PROJECTIONS_MAX: usize = 200;
/// Streams of a page, if nobody says otherwise.
const STREAMS_USUAL: usize = 100;
/// Most streams of a page.
const STREAMS_MAX: usize = 500;
/// Events of a page, if nobody says otherwise.
const EVENTS_USUAL: usize = 50;
/// Most events of a page.
const EVENTS_MAX: usize = 200;
/// Up to how many bytes of an event and of a snapshot are told.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of payloads after which a page ends before its limit.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// How many events are read at a time, so that a page of large ones takes little memory.
const READ_MAX: usize = 10;
/// Most snapshots of a stream that are told of, the latest.
const SNAPSHOTS_MAX: usize = 4;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/streams", get(all))
        .route("/api/streams/{store}", get(streams))
        .route("/api/streams/{store}/{stream}", get(events))
}

async fn all(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    let engine = durable.host.disk();
    let mut stores = engine.stream_stores(None, STORES_MAX + 1).await?;
    let more = stores.len() > STORES_MAX;
    stores.truncate(STORES_MAX);
    let mut told = Vec::new();
    for store in &stores {
        told.push(of_store(engine, store).await?);
    }
    served.told(json!({ "stores": told, "more": more }))
}

/// A store, without its streams.
async fn of_store(engine: &Embedded, store: &str) -> Result<Value, Problem> {
    let of = engine.streams(store)?;
    let settings: Settings = of.settings().await?.ok_or_else(|| no_store(store))?;
    let projections = of.projections(PROJECTIONS_MAX).await?;
    let projections = projections.iter().map(|one| {
        json!({
            "projection": one.name,
            "position": one.position.to_string(),
            "moved_unix_ms": one.moved.as_millis(),
            "behind": one.behind,
        })
    });
    Ok(json!({
        "store": store,
        "spread": settings.spread() == Spread::ByStream,
        "events": of.events().await?,
        "keeps": { "events": settings.count_max, "age_ms": settings.age_ms_max, "snapshots": settings.snapshots.max(1) },
        "projections": projections.collect::<Vec<_>>(),
    }))
}

fn no_store(store: &str) -> Problem {
    Problem::not_found(format!("there is no store {store:?} of streams"))
}

#[derive(Deserialize)]
struct Look {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

async fn streams(
    State(served): State<Served>,
    Path(store): Path<String>,
    query: Result<Query<Look>, QueryRejection>,
) -> Answer {
    let look = asked(query)?;
    let wanted = limit(look.limit, STREAMS_USUAL, STREAMS_MAX)?;
    let durable = served.sources().durable().await?;
    let engine = durable.host.disk();
    let mut told = of_store(engine, &store).await?;
    let mut found = engine.streams(&store)?.list(&look.prefix, &look.after, wanted + 1).await?;
    let more = found.len() > wanted;
    found.truncate(wanted);
    told["next"] = json!(found.last().filter(|_| more).map(|(name, _)| name));
    told["streams"] = found.iter().map(|(name, stream)| of_stream(name, stream)).collect();
    served.told(told)
}

fn of_stream(name: &str, stream: &Stream) -> Value {
    json!({
        "stream": name,
        "version": stream.version,
        "first": stream.first(),
        "events": (stream.version + 1).saturating_sub(stream.first()),
        "life": match stream.life() {
            Life::Live => "live",
            Life::Deleted => "deleted",
            Life::Tombstone => "deleted for ever",
        },
    })
}

#[derive(Deserialize)]
struct Part {
    from: Option<u64>,
    limit: Option<usize>,
    direction: Option<String>,
}

async fn events(
    State(served): State<Served>,
    Path((store, stream)): Path<(String, String)>,
    query: Result<Query<Part>, QueryRejection>,
) -> Answer {
    let part = asked(query)?;
    let wanted = limit(part.limit, EVENTS_USUAL, EVENTS_MAX)?;
    let (order, end) = match part.direction.as_deref() {
        None | Some("backwards") => (Order::Backwards, u64::MAX),
        Some("forwards") => (Order::Forwards, 0),
        Some(other) => {
            return Err(Problem::invalid(format!("{other:?} is none of forwards, backwards")));
        }
    };
    let durable = served.sources().durable().await?;
    let of = durable.host.disk().streams(&store)?;
    of.settings().await?.ok_or_else(|| no_store(&store))?;
    let none = || Problem::not_found(format!("there is no stream {stream:?} in the store {store:?}"));
    let (mut told, mut bytes, mut next) = (Vec::new(), 0, Some(part.from.unwrap_or(end)));
    let mut standing = None;
    while let Some(from) = next.filter(|_| told.len() < wanted && bytes < PAGE_BYTES_MAX) {
        let some = READ_MAX.min(wanted - told.len());
        let page = of.read(&stream, from, order, &Filter::default(), some).await?.ok_or_else(none)?;
        bytes += page.events.iter().map(|event| event.payload.len().min(PAYLOAD_BYTES_MAX)).sum::<usize>();
        told.extend(page.events.iter().map(event));
        next = page.next;
        standing = Some(page.stream);
    }
    let standing = standing.ok_or_else(none)?;
    let (mut snapshots, mut upto) = (Vec::new(), u64::MAX);
    while let Some(found) = of.latest_snapshot(&stream, upto).await? {
        snapshots.push(snapshot(&found));
        upto = found.version - 1;
        if snapshots.len() == SNAPSHOTS_MAX {
            break;
        }
    }
    let mut whole = of_stream(&stream, &standing);
    whole["store"] = store.clone().into();
    whole["event_list"] = told.into();
    whole["next"] = json!(next);
    whole["snapshots"] = snapshots.into();
    served.told(whole)
}

fn snapshot(found: &Snapshot) -> Value {
    json!({
        "version": found.version,
        "unix_ms": found.time.as_millis(),
        "payload": payload::told_up_to(PAYLOAD_BYTES_MAX, &found.payload),
    })
}

fn event(event: &Appended) -> Value {
    let metadata = event.metadata.as_deref().map(|bytes| match serde_json::from_slice::<Map<_, _>>(bytes) {
        Ok(members) => Value::Object(members),
        // What a program has written that uses the engine itself may be anything.
        Err(_) => payload::told(bytes),
    });
    let parent = metadata.as_ref().and_then(|metadata| metadata["traceparent"].as_str());
    json!({
        "version": event.version,
        "position": event.position,
        "type": event.r#type,
        "id": String::from_utf8_lossy(&event.id),
        "unix_ms": event.time.as_millis(),
        "payload": payload::told_up_to(PAYLOAD_BYTES_MAX, &event.payload),
        "trace": parent.and_then(|parent| payload::trace(parent.as_bytes())),
        "metadata": metadata,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use engine::blocks::Time;

    use super::*;

    #[test]
    fn an_event_leads_to_its_trace() {
        let with = |metadata: &'static str| Appended {
            stream: "order-1".to_owned(),
            version: 2,
            position: 5,
            id: Bytes::new(),
            r#type: "paid".to_owned(),
            time: Time::from_millis(9),
            payload: Bytes::from_static(b"{}"),
            metadata: Some(Bytes::from_static(metadata.as_bytes())),
        };
        let told =
            event(&with(r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#));
        assert_eq!(told["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            (&told["version"], &told["type"], &told["unix_ms"]),
            (&json!(2), &json!("paid"), &json!(9))
        );
        let told = event(&with(r#"{"traceparent":"00-x"}"#));
        assert_eq!((&told["trace"], &told["metadata"]["traceparent"]), (&Value::Null, &json!("00-x")));
        assert_eq!(event(&with("no JSON"))["metadata"]["text"], "no JSON");
    }
}
