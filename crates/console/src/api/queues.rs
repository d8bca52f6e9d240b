//! `/api/queues`: how many items stand where in each queue, a look at them, dead letters by their cause, and putting these back.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use engine::Embedded;
use engine::blocks::Time;
use engine::blocks::queue::{Dead, Filter, Id, Item, Ledger, Peeked, Reason, Redrive, Standing, Which};
use serde::Deserialize;
use serde_json::{Value, json};

use super::payload;
use super::{Answer, Served, asked, said};
use crate::problem::Problem;

/// Most queues that are told of.
const QUEUES_MAX: usize = 500;
/// Most items that are shown of a shard.
const PEEKED_MAX: usize = 50;
/// Dead letters of a shard that are looked at for their causes.
const DEAD_MAX: usize = 1_000;
/// Causes that are told of.
const CAUSES_MAX: usize = 100;
/// Most test messages at a time.
const SENT_MAX: usize = 1_000;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/queues", get(all))
        .route("/api/queues/{queue}/items", get(items).post(send).delete(cancel))
        .route("/api/queues/{queue}/dead", get(dead))
        .route("/api/queues/{queue}/redrive", post(redrive))
}

async fn all(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    served
        .told(json!({ "queues": looks(durable.host.disk()).await?.into_iter().map(|(_, told)| told).collect::<Vec<_>>() }))
}

/// All queues by name, as they stand on the map, too.
pub(super) async fn looks(engine: &Embedded) -> Result<Vec<(String, Value)>, Problem> {
    let mut all = Vec::new();
    for (name, ledger) in engine.queues(None, QUEUES_MAX).await? {
        let oldest = if ledger.ready == 0 { None } else { engine.queue(&name)?.oldest().await? };
        all.push((name.clone(), told(&name, &ledger, oldest)));
    }
    Ok(all)
}

fn told(name: &str, ledger: &Ledger, oldest: Option<Time>) -> Value {
    json!({
        "kind": "queue",
        "name": name,
        "ready": ledger.ready,
        "delayed": ledger.delayed,
        "leased": ledger.leased,
        "blocked": ledger.blocked,
        "dead": ledger.dead,
        "paused": ledger.paused,
        "oldest_unix_ms": oldest.map(Time::as_millis),
    })
}

#[derive(Deserialize)]
struct Look {
    which: Option<String>,
}

async fn items(
    State(served): State<Served>,
    Path(queue): Path<String>,
    query: Result<Query<Look>, QueryRejection>,
) -> Answer {
    let which = match asked(query)?.which.as_deref() {
        None | Some("ready") => Which::Ready,
        Some("delayed") => Which::Delayed,
        Some("blocked") => Which::Blocked,
        Some("leased") => Which::Leased,
        Some("dead") => Which::Dead,
        Some(other) => {
            let detail = format!("{other:?} is none of ready, delayed, blocked, leased, dead");
            return Err(Problem::invalid(detail));
        }
    };
    let durable = served.sources().durable().await?;
    let found = durable.host.disk().queue(&queue)?.peek(which, PEEKED_MAX).await?;
    let items: Vec<Value> = found.iter().map(|(id, peeked, payload)| item(*id, peeked, payload)).collect();
    served.told(json!({ "items": items }))
}

fn item(id: Id, peeked: &Peeked, bytes: &Bytes) -> Value {
    let mut told = json!({
        "id": id.to_string(),
        "key": peeked.item.key,
        "priority": peeked.item.priority,
        "sent_unix_ms": peeked.item.sent_ms,
        "payload": payload::told(bytes),
        "trace": payload::trace_of(&peeked.item.headers, bytes),
        "failures": peeked.history.failures.iter().map(|failure| json!({
            "unix_ms": failure.at_ms, "attempt": failure.attempt, "consumer": failure.consumer, "cause": failure.cause,
        })).collect::<Vec<_>>(),
    });
    match &peeked.standing {
        Standing::Delayed(until) => told["ready_unix_ms"] = until.as_millis().into(),
        Standing::Leased { consumer, until, attempt } => {
            told["lease"] =
                json!({ "consumer": consumer, "until_unix_ms": until.as_millis(), "attempt": attempt });
        }
        Standing::Dead(dead) => {
            told["dead"] = json!({
                "unix_ms": dead.at_ms, "attempts": dead.attempts, "reason": reason(dead), "cause": dead.cause,
            });
        }
        Standing::Ready | Standing::Blocked => {}
    }
    told
}

fn reason(dead: &Dead) -> &'static str {
    match dead.reason() {
        Reason::Nacked => "nacked",
        Reason::LeaseExpired => "leaseExpired",
        Reason::Expired => "expired",
        Reason::Unknown => "unknown",
    }
}

/// Dead letters that have the same reason and cause.
#[derive(Default)]
struct Cause {
    count: u64,
    first_ms: u64,
    last_ms: u64,
    example: Option<String>,
}

async fn dead(State(served): State<Served>, Path(queue): Path<String>) -> Answer {
    let durable = served.sources().durable().await?;
    let found = durable.host.disk().queue(&queue)?.peek(Which::Dead, DEAD_MAX).await?;
    let mut causes: BTreeMap<(&'static str, &str), Cause> = BTreeMap::new();
    for (id, peeked, _) in &found {
        let Standing::Dead(dead) = &peeked.standing else { continue };
        let cause = causes.entry((reason(dead), dead.cause.as_str())).or_default();
        cause.count += 1;
        cause.first_ms = if cause.count == 1 { dead.at_ms } else { cause.first_ms.min(dead.at_ms) };
        cause.last_ms = cause.last_ms.max(dead.at_ms);
        cause.example.get_or_insert_with(|| id.to_string());
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, cause)| std::cmp::Reverse(cause.count));
    let told = causes.iter().take(CAUSES_MAX).map(|((reason, text), cause)| {
        json!({
            "reason": reason, "cause": text, "count": cause.count, "first_unix_ms": cause.first_ms,
            "last_unix_ms": cause.last_ms, "example": cause.example,
        })
    });
    served.told(json!({ "looked_at": found.len(), "causes": told.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct Again {
    #[serde(default)]
    dry_run: bool,
    /// Only those with this cause in theirs.
    #[serde(default)]
    cause: String,
    reason: Option<String>,
    /// Only these.
    #[serde(default)]
    ids: Vec<String>,
    /// How many in all.
    #[serde(default)]
    max: u64,
}

async fn redrive(
    State(served): State<Served>,
    Path(queue): Path<String>,
    body: Result<Json<Again>, JsonRejection>,
) -> Answer {
    let again = said(body)?;
    let reason = match again.reason.as_deref() {
        None => Reason::Unknown,
        Some("nacked") => Reason::Nacked,
        Some("leaseExpired") => Reason::LeaseExpired,
        Some("expired") => Reason::Expired,
        Some(other) => {
            return Err(Problem::invalid(format!("{other:?} is none of nacked, leaseExpired, expired")));
        }
    };
    let filter = Filter { cause: again.cause, reason: reason.into(), ..Filter::default() };
    let redrive =
        Redrive { filter: Some(filter), dry_run: again.dry_run, max: again.max, ..Redrive::default() };
    let durable = served.sources().durable().await?;
    let done = durable.host.disk().queue(&queue)?.redrive(&redrive, &ids(&again.ids)?).await?;
    served.told(json!({
        "dry_run": again.dry_run,
        "matching": done.matching,
        "first": done.first.iter().map(Id::to_string).collect::<Vec<_>>(),
        "more": done.more,
    }))
}

#[derive(Deserialize)]
struct Send {
    payload: String,
    #[serde(default)]
    key: String,
    /// How many of the same.
    #[serde(default = "one")]
    count: usize,
}

fn one() -> usize {
    1
}

async fn send(
    State(served): State<Served>,
    Path(queue): Path<String>,
    body: Result<Json<Send>, JsonRejection>,
) -> Answer {
    let send = said(body)?;
    if !(1..=SENT_MAX).contains(&send.count) {
        return Err(Problem::invalid(format!("`count` is 1 to {SENT_MAX}")));
    }
    let durable = served.sources().durable().await?;
    let queue = durable.host.disk().queue(&queue)?;
    let mut ids = Vec::with_capacity(send.count);
    for _ in 0..send.count {
        let sent = queue.send_one(Item::new(send.payload.clone()).key(send.key.clone())).await?;
        ids.push(sent.id.to_string());
    }
    served.told(json!({ "sent": ids.len(), "ids": ids }))
}

#[derive(Deserialize)]
struct Cancel {
    ids: Vec<String>,
}

/// Takes items away that nobody has: what undoes a queue that was filled to see what happens.
async fn cancel(
    State(served): State<Served>,
    Path(queue): Path<String>,
    body: Result<Json<Cancel>, JsonRejection>,
) -> Answer {
    let ids = ids(&said(body)?.ids)?;
    let durable = served.sources().durable().await?;
    let (not_waiting, not_found) = durable.host.disk().queue(&queue)?.cancel(&ids).await?;
    let cancelled = ids.len().saturating_sub(not_waiting.len() + not_found.len());
    served.told(json!({ "cancelled": cancelled, "asked": ids.len() }))
}

fn ids(texts: &[String]) -> Result<Vec<Id>, Problem> {
    if texts.len() > SENT_MAX {
        return Err(Problem::invalid(format!("{} ids, and {SENT_MAX} are the most", texts.len())));
    }
    let id = |text: &String| {
        Id::from_str(text).map_err(|_| Problem::invalid(format!("{text:?} is no id of an item")))
    };
    texts.iter().map(id).collect()
}
