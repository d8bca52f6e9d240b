//! Event streams over HTTP.

mod events;
mod follow;

use engine::Position;
use engine::blocks::stream::{Settings as Kept, Spread};
use http::{HeaderValue, Method};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Answer, bytes, empty, json_text};
use super::call::{Asked, Call, decoded};
use super::json::{Object, object};
use crate::duration::Lasting;
use crate::error::Error;
use crate::projection::{self, Named};
use crate::streams::{expected, invalid};
use crate::time::rfc3339_millis;

/// `streams/STORE` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    let Some((store, rest)) = rest.split_first() else { return Err(call.no_route()) };
    let store = &*decoded(store)?;
    match (&call.head.method, rest) {
        (&Method::GET, []) if follow::is_asked(&call) => follow::all(store, call).await,
        (&Method::GET, []) => settings(store, call).await,
        (&Method::PUT, []) => define(store, call).await,
        (&Method::GET, [stream]) if follow::is_asked(&call) => {
            follow::one(store, &decoded(stream)?, call).await
        }
        (&Method::GET, [stream]) => events::read(store, &decoded(stream)?, call).await,
        (&Method::POST, [stream]) => events::append(store, &decoded(stream)?, call).await,
        (&Method::DELETE, [stream]) => delete(store, &decoded(stream)?, call).await,
        (&Method::POST, [stream, "truncate"]) => truncate(store, &decoded(stream)?, call).await,
        (&Method::GET, [stream, "snapshot"]) => snapshot(store, &decoded(stream)?, call).await,
        (&Method::PUT, [stream, "snapshot"]) => save_snapshot(store, &decoded(stream)?, call).await,
        (_, ["projections", name]) => projection(store, &decoded(name)?, call).await,
        _ => Err(call.no_route()),
    }
}

async fn settings(store: &str, call: Call<'_>) -> Answer {
    let kept = call.api.streams(store, None)?.settings().await?;
    json_text(&Settings {
        spread: Some(match kept.spread() {
            Spread::ByStream => Lying::ByStream,
            Spread::Together => Lying::Together,
        }),
        count_max: Some(kept.count_max),
        age_max: Some(Lasting::of_millis(kept.age_ms_max)),
        snapshots: Some(kept.snapshots.max(1)),
    })
}

async fn define(store: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, .. } = call.asked().await?;
    let Settings { spread, count_max, age_max, snapshots } = object(&body)?;
    let spread = match spread.unwrap_or_default() {
        Lying::ByStream => Spread::ByStream,
        Lying::Together => Spread::Together,
    };
    let kept = Kept {
        spread: spread.into(),
        count_max: count_max.unwrap_or_default(),
        age_ms_max: age_max.map_or(0, Lasting::millis),
        snapshots: snapshots.unwrap_or_default(),
    };
    api.streams(store, None)?.define(kept).await?;
    Ok(empty())
}

async fn delete(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let (api, query) = (call.api, call.query());
    let expected = query.get("expected").map_or(Ok(None), |text| expected(&text))?;
    let tombstone = match query.get("tombstone").as_deref() {
        None | Some("false") => false,
        Some("" | "true") => true,
        Some(odd) => return Err(invalid(format!("tombstone is true or false, and not {odd:?}"))),
    };
    let Asked { once, .. } = call.asked().await?;
    api.streams(store, once.as_ref())?.delete(stream, expected, tombstone).await?;
    Ok(empty())
}

async fn truncate(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, once } = call.asked().await?;
    let Object(Truncated { before }) = serde_json::from_slice(&body).map_err(Error::not_json)?;
    api.streams(store, once.as_ref())?.truncate(stream, before).await?;
    Ok(empty())
}

/// The body is what was saved, and a header says up to which version it is.
async fn snapshot(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let version = call.query().get("version").map(|text| version(&text)).transpose()?;
    let found = call.api.streams(store, None)?.latest_snapshot(stream, version.unwrap_or(u64::MAX)).await?;
    let mut response = bytes(found.payload);
    let headers = response.headers_mut();
    headers.insert("colony-version", found.version.into());
    if let Ok(time) = HeaderValue::try_from(rfc3339_millis(found.time.as_millis())) {
        headers.insert("colony-time", time);
    }
    Ok(response)
}

async fn save_snapshot(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let version = call.query().get("version").map(|text| version(&text)).transpose()?;
    let version =
        version.ok_or_else(|| invalid("the query does not say of which version the snapshot is"))?;
    let Asked { body, once } = call.asked().await?;
    api.streams(store, once.as_ref())?.save_snapshot(stream, version, body).await?;
    Ok(empty())
}

/// Where a projection is that saves to the store of state which the query names.
async fn projection(streams: &str, projection: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let state = call.query().get("state").unwrap_or_default();
    let named = Named { projection, streams, state: &state };
    match call.head.method {
        Method::GET => json_text(&json!({ "position": api.checkpoint(named).await?.to_string() })),
        Method::PUT => {
            let Asked { body, .. } = call.asked().await?;
            let Object(Placed { position }) = serde_json::from_slice(&body).map_err(Error::not_json)?;
            api.set_checkpoint(named, &projection::position(&position).map_err(invalid)?).await?;
            Ok(empty())
        }
        Method::DELETE => {
            api.set_checkpoint(named, &Position::default()).await?;
            Ok(empty())
        }
        _ => Err(call.no_route()),
    }
}

fn version(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| invalid(format!("{text:?} is no version of a stream")))
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Settings {
    spread: Option<Lying>,
    count_max: Option<u64>,
    age_max: Option<Lasting>,
    snapshots: Option<u32>,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Lying {
    #[default]
    ByStream,
    Together,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    position: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Truncated {
    before: u64,
}
