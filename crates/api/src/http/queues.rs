//! Queues over HTTP.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::blocks::Time;
use engine::blocks::queue::{self as engine_queue, Header, Nack, Receipt, Sent};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::{Answer, json_text};
use super::call::{Call, decoded};
use super::json::{Object, object};
use crate::duration::{self, Lasting};
use crate::error::Error;
use crate::payload::{self, Payload, there};
use crate::queues::{Item, Receive, Work, invalid, receipts};
use crate::time;

/// `queues/NAME` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::POST, [queue, "send"]) => send(&decoded(queue)?, call).await,
        (&Method::POST, [queue, "send", "bulk"]) => send_bulk(&decoded(queue)?, call).await,
        (&Method::POST, [queue, "receive"]) => receive(&decoded(queue)?, call).await,
        (&Method::POST, [queue, verb @ ("ack" | "nack" | "release" | "extend")]) => {
            settle(&decoded(queue)?, verb, call).await
        }
        _ => Err(call.no_route()),
    }
}

/// One item: the body is its payload, and the query says the rest.
async fn send(queue: &str, call: Call<'_>) -> Answer {
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
    let api = call.api;
    let data = call.body().await.map_err(Error::malformed_body)?;
    let item = Item { payload: Payload { data, content_type }, rest };
    let mut sent = api.queue(queue, None)?.send(vec![item]).await?;
    let sent = sent.pop().unwrap_or_else(|| Err(invalid("nothing was sent")))?;
    json_text(&told_sent(sent))
}

/// Several, each an object with its payload and the rest.
async fn send_bulk(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let body = call.body().await.map_err(Error::malformed_body)?;
    let items: Vec<Object<Written<'_>>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let items = items
        .into_iter()
        .enumerate()
        .map(|(at, Object(item))| item.item(&body).map_err(|wrong| invalid(format!("item {at}: {wrong}"))));
    let sent = api.queue(queue, None)?.send(items.collect::<Result<_, _>>()?).await?;
    let told = sent.into_iter().map(|one| one.map_or_else(|error| error.to_json(), told_sent));
    json_text(&json!({ "items": told.collect::<Vec<_>>() }))
}

async fn receive(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let body = call.body().await.map_err(Error::malformed_body)?;
    let Asked { consumer, max, lease, wait } = object(&body)?;
    let asked = Receive {
        consumer: consumer.unwrap_or_else(|| api.config.app_id.clone()),
        max: max.unwrap_or(1),
        lease: lease.map(|lease| lease.0),
        wait: wait.unwrap_or_default().0,
    };
    let works = api.queue(queue, None)?.receive(&asked).await?;
    json_text(&Received { items: works.iter().map(Told::of).collect() })
}

async fn settle(queue: &str, verb: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let body = call.body().await.map_err(Error::malformed_body)?;
    let queue = api.queue(queue, None)?;
    let fenced = match verb {
        "nack" => {
            let Object(Failed { receipts: texts, cause, delay }) =
                serde_json::from_slice(&body).map_err(Error::not_json)?;
            let nack = Nack { cause: cause.unwrap_or_default(), delay: delay.map(|delay| delay.0) };
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
struct Asked {
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

fn instant(text: &str) -> Result<Time, Error> {
    time::parse(text).map(Time::from_millis).map_err(invalid)
}
