//! Publishing over HTTP.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{Answer, empty, json_bytes};
use super::body::Unread;
use super::call::{Asked, Call, decoded};
use super::json::Object;
use crate::error::Error;
use crate::pubsub::{BINARY, CLOUD_EVENT, Entry, Failed, JSON, PUBLISH_FAILED, Publish, media};
use crate::value;

/// `publish/PUBSUB/TOPIC` and `publish/bulk/PUBSUB/TOPIC`, of which the topic may have several segments.
pub(super) async fn answer(version: &str, rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest, version) {
        (&Method::POST | &Method::PUT, ["bulk", pubsub, topic @ ..], _) if !topic.is_empty() => {
            bulk(&decoded(pubsub)?, &joined(topic)?, call).await
        }
        (&Method::POST | &Method::PUT, [pubsub, topic @ ..], "v1.0") if !topic.is_empty() => {
            one(&decoded(pubsub)?, &joined(topic)?, call).await
        }
        _ => Err(call.no_route()),
    }
}

async fn one(pubsub: &str, topic: &str, call: Call<'_>) -> Answer {
    let pubsub = call.api.pubsub(pubsub)?;
    let metadata = call.query().metadata();
    let content_type = call.header("content-type").unwrap_or_default().to_owned();
    let trace = call.trace();
    let failing = pubsub.failing(topic);
    let unread = |why| if why == Unread::TooLarge { failing.too_large(why) } else { unread(&why) };
    let Asked { body: data, once } = call.asked_or(unread).await?;
    pubsub.once(once.as_ref())?.publish(topic, Publish { data, content_type, metadata }, trace).await?;
    Ok(empty())
}

async fn bulk(pubsub: &str, topic: &str, call: Call<'_>) -> Answer {
    let pubsub = call.api.pubsub(pubsub)?;
    let failing = pubsub.failing(topic);
    let (metadata, trace) = (call.query().metadata(), call.trace());
    let unread = |why| if why == Unread::TooLarge { failing.unmarshal(why) } else { unread(&why) };
    let Asked { body, once } = call.asked_or(unread).await?;
    let pubsub = pubsub.once(once.as_ref())?;
    let written: Vec<Object<Written<'_>>> =
        serde_json::from_slice(&body).map_err(|wrong| failing.unmarshal(wrong))?;
    let entries = written.into_iter().map(|Object(one)| one.entry(&body, &metadata));
    let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|wrong| failing.marshal(wrong))?;
    let failed = pubsub.publish_many(topic, entries, &metadata, trace).await?;
    if failed.is_empty() { Ok(empty()) } else { Ok(some_failed(&failed)) }
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(default)]
    entry_id: Option<String>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Written<'_> {
    fn entry(self, body: &Bytes, all: &BTreeMap<String, String>) -> Result<Entry, &'static str> {
        let content_type = self.content_type.unwrap_or_default();
        let data = data(body, self.event.map_or(NULL, RawValue::get), &content_type)?;
        let metadata = Publish::metadata_of(self.metadata, all);
        Ok(Entry { id: self.entry_id.unwrap_or_default(), publish: Publish { data, content_type, metadata } })
    }
}

/// What a JSON value means under a content type.
fn data(body: &Bytes, json: &str, content_type: &str) -> Result<Bytes, &'static str> {
    let media = media(content_type);
    let is = |other: &str| media.eq_ignore_ascii_case(other);
    if is(JSON) || is(CLOUD_EVENT) {
        // What is not there is no part of the body.
        return Ok(if json.as_ptr() == NULL.as_ptr() {
            Bytes::from_static(NULL.as_bytes())
        } else {
            value::compact(body, json)
        });
    }
    let text = || serde_json::from_str::<Cow<'_, str>>(json).map_err(|_| MISMATCH);
    if media.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("text/")) || is("application/xml") {
        return Ok(text()?.into_owned().into());
    }
    if BINARY.iter().any(|binary| is(binary)) {
        return STANDARD.decode(text()?.as_bytes()).map(Bytes::from).map_err(|_| MISMATCH);
    }
    Err(MISMATCH)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SomeFailed<'a> {
    failed_entries: Vec<FailedEntry<'a>>,
    error_code: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedEntry<'a> {
    entry_id: &'a str,
    error: &'a str,
}

fn some_failed(failed: &[Failed]) -> http::Response<super::answer::Said> {
    let failed_entries =
        failed.iter().map(|one| FailedEntry { entry_id: &one.entry_id, error: &one.error }).collect();
    let told = SomeFailed { failed_entries, error_code: PUBLISH_FAILED };
    // Writing to memory does not fail.
    let text = Bytes::from(serde_json::to_vec(&told).unwrap_or_default());
    let mut response = json_bytes(text.clone());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    if text.len() <= HEADER_BYTES_MAX
        && let Ok(value) = HeaderValue::from_maybe_shared(text)
    {
        response.headers_mut().insert("metadata.responsedata", value);
    }
    response
}

fn joined<'a>(segments: &[&'a str]) -> Result<Cow<'a, str>, Error> {
    match segments {
        [one] => decoded(one),
        several => Ok(decoded(&several.join("/"))?.into_owned().into()),
    }
}

fn unread(why: &Unread) -> Error {
    Error::new("ERR_BODY_READ", StatusCode::BAD_REQUEST, tonic::Code::InvalidArgument, why.to_string())
}

const NULL: &str = "null";
const MISMATCH: &str = "mismatch between contentType and event";
/// Up to how many bytes of what failed are told in a header as well.
const HEADER_BYTES_MAX: usize = 4 << 10;
