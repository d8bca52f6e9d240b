//! Events over HTTP: appended and read.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::blocks::stream::{Filter, Life, Order};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::version;
use crate::error::Error;
use crate::http::answer::{Answer, json_text};
use crate::http::call::{Asked, Call};
use crate::http::json::Object;
use crate::http::query::Query;
use crate::payload::{self, there};
use crate::streams::{Event, NewEvent, expected, invalid};
use crate::time::rfc3339_millis;

pub(super) async fn append(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let expected = call.query().get("expected").map_or(Ok(None), |text| expected(&text))?;
    let Asked { body, once } = call.asked().await?;
    let events: Vec<Object<Written<'_>>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let events = events.into_iter().enumerate().map(|(at, Object(event))| {
        event.event(&body).map_err(|wrong| invalid(format!("event {at}: {wrong}")))
    });
    let events = events.collect::<Result<_, _>>()?;
    let (version, position) = api.streams(store, once.as_ref())?.append(stream, expected, events).await?;
    json_text(&json!({ "version": version, "position": position }))
}

pub(super) async fn read(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let query = call.query();
    let order = match query.get("direction").as_deref() {
        None | Some("forwards") => Order::Forwards,
        Some("backwards") => Order::Backwards,
        Some(odd) => return Err(invalid(format!("the direction {odd:?} is neither forwards nor backwards"))),
    };
    let from = match (query.get("from"), order) {
        (Some(text), _) => version(&text)?,
        (None, Order::Forwards) => 0,
        (None, Order::Backwards) => u64::MAX,
    };
    let max = query.get("max").map(|text| text.parse().ok().filter(|max| (1..=READ_MAX).contains(max)));
    let max = max.unwrap_or(Some(READ_DEFAULT));
    let max = max.ok_or_else(|| invalid(format!("max is no number from 1 to {READ_MAX}")))?;
    let filter = Filter { types: types(query), streams: String::new() };
    let page = call.api.streams(store, None)?.read(stream, from, order, &filter, max).await?;
    json_text(&Page {
        version: page.stream.version,
        first: page.stream.truncated + 1,
        state: match page.stream.life() {
            Life::Live => "live",
            Life::Deleted => "deleted",
            Life::Tombstone => "tombstone",
        },
        events: page.events.iter().map(Told::of).collect(),
        next: page.next,
    })
}

/// Which types are wanted; any, if none is named.
pub(super) fn types(query: Query<'_>) -> Vec<String> {
    query.all("type").map(|text| text.into_owned()).collect()
}

/// An event as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written<'a> {
    id: Option<String>,
    r#type: String,
    #[serde(borrow, default, deserialize_with = "there")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    content_type: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

impl Written<'_> {
    fn event(self, body: &Bytes) -> Result<NewEvent, String> {
        let Written { data, data_base64, mut content_type, .. } = self;
        if data_base64.is_some() && content_type.is_none() {
            content_type = Some(OCTETS.to_owned());
        }
        let payload = payload::Written { data, data_base64, content_type }.payload(body)?;
        let (id, metadata) = (self.id.unwrap_or_default(), self.metadata.unwrap_or_default());
        Ok(NewEvent { id, r#type: self.r#type, payload, metadata })
    }
}

#[derive(Serialize)]
struct Page<'a> {
    version: u64,
    first: u64,
    state: &'static str,
    events: Vec<Told<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// An event as it is told.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    stream: &'a str,
    version: u64,
    position: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    r#type: &'a str,
    time: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    payload: payload::Told<'a>,
}

impl<'a> Told<'a> {
    pub(super) fn of(event: &'a Event) -> Told<'a> {
        let Event { payload, metadata, rest } = event;
        Told {
            stream: &rest.stream,
            version: rest.version,
            position: rest.position,
            id: String::from_utf8_lossy(&rest.id).into_owned(),
            r#type: &rest.r#type,
            time: rfc3339_millis(rest.time.as_millis()),
            metadata,
            payload: payload::Told::of(&payload.data, &payload.content_type),
        }
    }
}

const OCTETS: &str = "application/octet-stream";
/// How many events are read where nobody says how many.
const READ_DEFAULT: usize = 100;
/// Most events that are read at once.
const READ_MAX: usize = 1_000;
