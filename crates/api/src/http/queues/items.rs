//! Items over HTTP: sent, had, settled, looked at.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::blocks::Time;
use engine::blocks::queue::{
    self as engine_queue, Failure, Header, Nack, Reason, Receipt, Sent, Standing, Which,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::duration::{self, Lasting};
use crate::error::Error;
use crate::http::answer::{Answer, empty, json_text};
use crate::http::call::{Asked, Call};
use crate::http::json::{Object, object};
use crate::payload::{self, Payload, there};
use crate::queues::{Found, Item, Receive, Work, invalid, receipts};
use crate::time;

/// One item: the body is its payload, and the query says the rest.
pub(super) async fn send(queue: &str, call: Call<'_>) -> Answer {
    let query = call.query();
    let span = |name: &str| query.get(name).map(|text| duration::parse(&text)).transpose().map_err(invalid);
    let priority = query.get("priority").map(|text| {
        text.parse().map_err(|_| invalid(format!("the priority {text:?} is no number from 0 to 9")))
    });
    let rest = engine_queue::Item {
        headers: headers(query.metadata()),
        key: query.get("key").unwrap_or_default().into_owned(),
        priority: priority.transpose()?,
        delay: span("delay")?.unwrap_or_default(),
        at: query.get("at").map(|text| instant(&text)).transpose()?,
        ttl: span("ttl")?,
        dedup_id: query.get("dedupId").unwrap_or_default().into_owned(),
        ..engine_queue::Item::default()
    };
    let content_type = call.header("content-type").unwrap_or_default().to_owned();
    let (api, trace) = (call.api, call.trace());
    let Asked { body: data, once } = call.asked().await?;
    let item = Item { payload: Payload { data, content_type }, rest };
    let mut sent = api.queue(queue, once.as_ref())?.send(vec![item], trace).await?;
    let sent = sent.pop().unwrap_or_else(|| Err(invalid("nothing was sent")))?;
    json_text(&told_sent(sent))
}

/// Several, each an object with its payload and the rest.
pub(super) async fn send_bulk(queue: &str, call: Call<'_>) -> Answer {
    let (api, trace) = (call.api, call.trace());
    let Asked { body, once } = call.asked().await?;
    let items: Vec<Object<Written<'_>>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let items = items
        .into_iter()
        .enumerate()
        .map(|(at, Object(item))| item.item(&body).map_err(|wrong| invalid(format!("item {at}: {wrong}"))));
    let items = items.collect::<Result<_, _>>()?;
    let sent = api.queue(queue, once.as_ref())?.send(items, trace).await?;
    let told = sent.into_iter().map(|one| one.map_or_else(|error| error.to_json(), told_sent));
    json_text(&json!({ "items": told.collect::<Vec<_>>() }))
}

pub(super) async fn receive(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    call.no_idempotency("receiving hands out other items each time")?;
    let body = call.body().await.map_err(Error::malformed_body)?;
    let Wanted { consumer, max, lease, wait } = object(&body)?;
    let asked = Receive {
        consumer: consumer.unwrap_or_else(|| api.config.app_id.clone()),
        max: max.unwrap_or(1),
        lease: lease.map(|lease| lease.0),
        wait: wait.unwrap_or_default().0,
    };
    let works = api.queue(queue, None)?.receive(&asked).await?;
    json_text(&Received { items: works.iter().map(Told::of).collect() })
}

pub(super) async fn settle(queue: &str, verb: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, once } = call.asked().await?;
    let queue = api.queue(queue, once.as_ref())?;
    let fenced = match verb {
        "nack" => {
            let Object(Failed { receipts: texts, cause, delay, dead }) =
                serde_json::from_slice(&body).map_err(Error::not_json)?;
            let nack = Nack {
                cause: cause.unwrap_or_default(),
                delay: delay.map(|delay| delay.0),
                for_good: dead.unwrap_or_default(),
            };
            queue.nack(&receipts(&texts)?, &nack).await?
        }
        "extend" => {
            let Object(Extended { receipts: texts, lease }) =
                serde_json::from_slice(&body).map_err(Error::not_json)?;
            queue.extend(&receipts(&texts)?, lease.0).await?
        }
        _ => {
            let Object(Settled { receipts: texts }) =
                serde_json::from_slice(&body).map_err(Error::not_json)?;
            let receipts = receipts(&texts)?;
            match verb {
                "ack" => queue.acknowledge(&receipts).await?,
                _ => queue.release(&receipts).await?,
            }
        }
    };
    json_text(&json!({ "fenced": fenced.iter().map(Receipt::to_string).collect::<Vec<_>>() }))
}

/// What stands in one of the places where an item can stand.
pub(super) async fn peek(queue: &str, call: Call<'_>) -> Answer {
    let query = call.query();
    let state = query.get("state").unwrap_or("ready".into());
    let which = STATES.iter().find(|(name, _)| *name == state).map(|(_, which)| *which);
    let which = which.ok_or_else(|| {
        let names = STATES.map(|(name, _)| name).join(", ");
        invalid(format!("the state {state:?} is none of {names}"))
    })?;
    let max = query.get("max").map(|text| text.parse().ok().filter(|max| (1..=PEEKED_MAX).contains(max)));
    let max = max.unwrap_or(Some(PEEKED_DEFAULT));
    let max = max.ok_or_else(|| invalid(format!("max is no number from 1 to {PEEKED_MAX}")))?;
    let found = call.api.queue(queue, None)?.peek(which, max).await?;
    json_text(&Peeks { items: found.iter().map(Peek::of).collect() })
}

/// An item, wherever it stands.
pub(super) async fn get(queue: &str, id: &str, call: Call<'_>) -> Answer {
    let found = call.api.queue(queue, None)?.get(crate::queues::id(id)?).await?;
    json_text(&Peek::of(&found))
}

/// Takes an item out that nobody has.
pub(super) async fn cancel(queue: &str, id: &str, call: Call<'_>) -> Answer {
    let (api, id) = (call.api, crate::queues::id(id)?);
    let Asked { once, .. } = call.asked().await?;
    api.queue(queue, once.as_ref())?.cancel(id).await?;
    Ok(empty())
}

/// An item as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    content_type: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    key: Option<String>,
    priority: Option<u32>,
    delay: Option<Lasting>,
    at: Option<String>,
    ttl: Option<Lasting>,
    dedup_id: Option<String>,
}

/// What is asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    consumer: Option<String>,
    max: Option<u32>,
    lease: Option<Lasting>,
    wait: Option<Lasting>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settled {
    receipts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    receipts: Vec<String>,
    cause: Option<String>,
    delay: Option<Lasting>,
    dead: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extended {
    receipts: Vec<String>,
    lease: Lasting,
}

#[derive(Serialize)]
struct Received<'a> {
    items: Vec<Told<'a>>,
}

/// An item that was handed out.
#[derive(Serialize)]
struct Told<'a> {
    id: String,
    receipt: String,
    until: String,
    attempt: u32,
    sent: String,
    priority: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, Value>,
    #[serde(flatten)]
    payload: payload::Told<'a>,
}

#[derive(Serialize)]
struct Peeks<'a> {
    items: Vec<Peek<'a>>,
}

/// An item as one sees who only looks.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Peek<'a> {
    id: String,
    state: &'static str,
    sent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    priority: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Value>,
    #[serde(flatten)]
    payload: payload::Told<'a>,
}

impl<'a> Peek<'a> {
    fn of(found: &'a Found) -> Peek<'a> {
        let Found { id, payload, peeked } = found;
        let item = &peeked.item;
        let mut told = Peek {
            id: id.to_string(),
            state: "ready",
            sent: time::rfc3339_millis(item.sent_ms),
            ready: None,
            expires: (item.expires_ms > 0).then(|| time::rfc3339_millis(item.expires_ms)),
            priority: item.priority,
            key: &item.key,
            headers: told_headers(&item.headers),
            lease: None,
            dead: None,
            failures: peeked.history.failures.iter().map(told_failure).collect(),
            payload: payload::Told::of(&payload.data, &payload.content_type),
        };
        match &peeked.standing {
            Standing::Ready => {}
            Standing::Delayed(at) => {
                told.state = "delayed";
                told.ready = Some(time::rfc3339_millis(at.as_millis()));
            }
            Standing::Blocked => told.state = "blocked",
            Standing::Leased { consumer, until, attempt } => {
                told.state = "leased";
                let until = time::rfc3339_millis(until.as_millis());
                told.lease = Some(json!({ "consumer": consumer, "until": until, "attempt": attempt }));
            }
            Standing::Dead(dead) => {
                told.state = "dead";
                told.dead = Some(json!({
                    "since": time::rfc3339_millis(dead.at_ms),
                    "attempts": dead.attempts,
                    "reason": reason(dead.reason()),
                    "cause": dead.cause,
                }));
            }
        }
        told
    }
}

fn told_failure(failure: &Failure) -> Value {
    json!({
        "at": time::rfc3339_millis(failure.at_ms),
        "attempt": failure.attempt,
        "consumer": failure.consumer,
        "reason": reason(failure.reason()),
        "cause": failure.cause,
    })
}

/// What a reason is called.
pub(super) fn reason(reason: Reason) -> &'static str {
    REASONS.iter().find(|(_, one)| *one == reason).map_or("unknown", |(name, _)| name)
}

impl Written<'_> {
    fn item(self, body: &Bytes) -> Result<Item, String> {
        let Written { data, data_base64, content_type, .. } = self;
        let payload = payload::Written { data, data_base64, content_type }.payload(body)?;
        let at = self.at.map(|text| instant(&text)).transpose().map_err(|error| error.message)?;
        let rest = engine_queue::Item {
            headers: headers(self.headers.unwrap_or_default()),
            key: self.key.unwrap_or_default(),
            priority: self.priority,
            delay: self.delay.unwrap_or_default().0,
            at,
            ttl: self.ttl.map(|ttl| ttl.0),
            dedup_id: self.dedup_id.unwrap_or_default(),
            ..engine_queue::Item::default()
        };
        Ok(Item { payload, rest })
    }
}

impl<'a> Told<'a> {
    fn of(work: &'a Work) -> Told<'a> {
        let Work { payload, rest } = work;
        Told {
            id: rest.receipt.id().to_string(),
            receipt: rest.receipt.to_string(),
            until: time::rfc3339_millis(rest.until.as_millis()),
            attempt: rest.attempt,
            sent: time::rfc3339_millis(rest.sent.as_millis()),
            priority: rest.priority,
            key: &rest.key,
            headers: told_headers(&rest.headers),
            payload: payload::Told::of(&payload.data, &payload.content_type),
        }
    }
}

fn told_sent(sent: Sent) -> Value {
    json!({ "id": sent.id.to_string(), "duplicate": sent.duplicate })
}

fn headers(named: BTreeMap<String, String>) -> Vec<Header> {
    named.into_iter().map(|(name, value)| Header { name, value: value.into() }).collect()
}

/// One that is no text was written by a program of another protocol, and is told as far as it is.
fn told_headers(headers: &[Header]) -> BTreeMap<&str, Value> {
    let told = |header: &Header| Value::from(String::from_utf8_lossy(&header.value));
    headers.iter().map(|header| (header.name.as_str(), told(header))).collect()
}

pub(super) fn instant(text: &str) -> Result<Time, Error> {
    time::parse(text).map(Time::from_millis).map_err(invalid)
}

const STATES: [(&str, Which); 5] = [
    ("ready", Which::Ready),
    ("delayed", Which::Delayed),
    ("blocked", Which::Blocked),
    ("leased", Which::Leased),
    ("dead", Which::Dead),
];
/// Why attempts fail.
pub(super) const REASONS: [(&str, Reason); 3] =
    [("nacked", Reason::Nacked), ("leaseExpired", Reason::LeaseExpired), ("expired", Reason::Expired)];
/// How many items are looked at where nobody says how many.
const PEEKED_DEFAULT: usize = 10;
/// Most items that are looked at.
const PEEKED_MAX: usize = 100;
