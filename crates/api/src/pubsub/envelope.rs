//! CloudEvents 1.0 in JSON: what a message is wrapped in, unless it comes as one or is published raw.
//!
//! Written as bytes in the order of the names, as Dapr's is. JSON is inlined as it was sent, so that numbers keep their
//! digits and objects their order; what says that it is JSON and is none is text. Which id it has and what time it is
//! is given.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::wishes::Wishes;
use crate::time;

/// A message to be wrapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// Its id, if it does not bring its own.
    pub(crate) id: &'a str,
    /// Who publishes it.
    pub(crate) app_id: &'a str,
    /// Through which broker.
    pub(crate) pubsub: &'a str,
    /// To which topic.
    pub(crate) topic: &'a str,
    /// Its media type; empty if nobody said.
    pub(crate) content_type: &'a str,
    /// Its data.
    pub(crate) data: &'a [u8],
    /// The trace that it belongs to; both empty if it belongs to none.
    pub(crate) traceparent: &'a str,
    pub(crate) tracestate: &'a str,
    /// What goes along with the trace; a field of that name, if there is any.
    pub(crate) baggage: &'a str,
    /// What is wished otherwise.
    pub(crate) wishes: &'a Wishes<'a>,
    /// Milliseconds since the epoch.
    pub(crate) now_ms: u64,
}

/// It says that it is a CloudEvent, and is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoObject;

impl Event<'_> {
    /// As a CloudEvent.
    ///
    /// # Errors
    ///
    /// If it says that it is one already, and is none.
    pub(crate) fn wrap(&self) -> Result<Vec<u8>, NoObject> {
        match media(self.content_type).eq_ignore_ascii_case(CLOUD_EVENT) {
            true => self.completed(),
            false => Ok(self.wrapped()),
        }
    }

    /// As a CloudEvent, whatever it says that it is, with more fields, or others of a name.
    pub(crate) fn wrap_with(&self, also: &BTreeMap<&str, &str>) -> Vec<u8> {
        let wrapped = self.wrapped();
        if also.is_empty() {
            return wrapped;
        }
        // It was written as an object.
        let Ok(mut fields) = object(&wrapped) else { return wrapped };
        fields.extend(also.iter().map(|(name, value)| (Cow::Borrowed(*name), Field::Text(value))));
        written(&fields, wrapped.len())
    }

    fn wrapped(&self) -> Vec<u8> {
        let wishes = self.wishes;
        let content_type = if self.content_type.is_empty() { TEXT } else { self.content_type };
        let mut object = Object::with_capacity(self.data.len());
        if !self.baggage.is_empty() {
            object.text("baggage", self.baggage);
        }
        object.data(content_type, self.data);
        object.text("datacontenttype", content_type);
        if let Some(expiration) = wishes.expires_ms(self.now_ms).map(time::rfc3339) {
            object.text("expiration", &expiration);
        }
        object.text("id", wishes.id.unwrap_or(self.id));
        object.text("pubsubname", self.pubsub);
        object.text("source", wishes.source.unwrap_or(self.app_id));
        object.text("specversion", SPEC_VERSION);
        if let Some(subject) = wishes.subject {
            object.text("subject", subject);
        }
        object.text("time", &time::rfc3339(self.now_ms));
        object.text("topic", self.topic);
        // Both say the same, the one for those who came before the other.
        let parent = wishes.traceparent.or(wishes.traceid).unwrap_or(self.traceparent);
        object.text("traceid", parent);
        object.text("traceparent", parent);
        object.text("tracestate", wishes.tracestate.unwrap_or(self.tracestate));
        object.text("type", wishes.kind.unwrap_or(TYPE));
        object.end()
    }

    /// One that comes as a CloudEvent: where it goes is said, and what is missing filled in, but for its id.
    fn completed(&self) -> Result<Vec<u8>, NoObject> {
        let mut fields: BTreeMap<Cow<'_, str>, Field<'_>> = object(self.data)?;
        let (now, expires) = (time::rfc3339(self.now_ms), self.wishes.expires_ms(self.now_ms));
        let expires = expires.map(time::rfc3339);
        for (name, value) in [
            ("topic", Some(self.topic)),
            ("pubsubname", Some(self.pubsub)),
            ("expiration", expires.as_deref()),
        ] {
            if let Some(value) = value {
                fields.insert(name.into(), Field::Text(value));
            }
        }
        for (name, value) in [
            ("source", SOURCE),
            ("specversion", SPEC_VERSION),
            ("time", &now),
            ("traceid", self.traceparent),
            ("traceparent", self.traceparent),
            ("tracestate", self.tracestate),
            ("type", TYPE),
        ] {
            fields.entry(name.into()).and_modify(|field| field.or(value)).or_insert(Field::Text(value));
        }
        if !self.baggage.is_empty() {
            fields.entry("baggage".into()).or_insert(Field::Text(self.baggage));
        }
        Ok(written(&fields, self.data.len()))
    }
}

/// A field of what comes as a CloudEvent.
enum Field<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Field<'a> {
    /// The value, where `null` stands.
    fn or(&mut self, value: &'a str) {
        if matches!(self, Field::Json(json) if json.get() == "null") {
            *self = Field::Text(value);
        }
    }
}

fn object(data: &[u8]) -> Result<BTreeMap<Cow<'_, str>, Field<'_>>, NoObject> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(data).map_err(|_| NoObject)?;
    Ok(fields.into_iter().map(|(name, json)| (name.into(), Field::Json(json))).collect())
}

fn written(fields: &BTreeMap<Cow<'_, str>, Field<'_>>, bytes: usize) -> Vec<u8> {
    let mut object = Object::with_capacity(bytes);
    for (name, value) in fields {
        object.name(name);
        match value {
            Field::Json(json) => object.0.extend_from_slice(json.get().as_bytes()),
            Field::Text(text) => quote(&mut object.0, text),
        }
    }
    object.end()
}

/// An object that is being written.
struct Object(Vec<u8>);

impl Object {
    fn with_capacity(data: usize) -> Object {
        let mut bytes = Vec::with_capacity(data + REST_BYTES);
        bytes.push(b'{');
        Object(bytes)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        quote(&mut self.0, name);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        quote(&mut self.0, value);
    }

    fn data(&mut self, content_type: &str, data: &[u8]) {
        let media = media(content_type);
        if BINARY.iter().any(|binary| media.eq_ignore_ascii_case(binary)) {
            self.name("data_base64");
            self.0.push(b'"');
            let (at, bytes) = (self.0.len(), data.len().div_ceil(3) * 4);
            self.0.resize(at + bytes, 0);
            // There is room for exactly that.
            let written = STANDARD.encode_slice(data, &mut self.0[at..]).unwrap_or_default();
            self.0.truncate(at + written);
            self.0.push(b'"');
            return;
        }
        self.name("data");
        let json = media.eq_ignore_ascii_case(JSON).then(|| serde_json::from_slice::<&RawValue>(data).ok());
        match json.flatten() {
            Some(json) => self.0.extend_from_slice(json.get().as_bytes()),
            None => quote(&mut self.0, &String::from_utf8_lossy(data)),
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

fn quote(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// A media type without its parameters.
pub(crate) fn media(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// What a CloudEvent's own media type is, and so that of a message that is wrapped.
pub(crate) const CLOUD_EVENT: &str = "application/cloudevents+json";
/// What is inlined.
pub(crate) const JSON: &str = "application/json";
/// What is no text.
pub(crate) const BINARY: [&str; 2] = ["application/octet-stream", "application/cloudevents+protobuf"];
/// What data is of which nobody says what it is.
const TEXT: &str = "text/plain";
const SPEC_VERSION: &str = "1.0";
/// Whose a CloudEvent is that does not say so.
const SOURCE: &str = "Dapr";
const TYPE: &str = "com.dapr.event.sent";
/// Room for everything but the data, mostly.
const REST_BYTES: usize = 512;

#[cfg(test)]
mod tests;
