//! What of an event is looked at, and in which form it is brought.
//!
//! An event lies with its broker as the CloudEvent that the application gets, so over HTTP it is passed on without being
//! read but for what decides whether it is to be; over gRPC it is taken apart, for there each part has its field.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use components::pubsub::{Delivery, Receipt};
use jiff::Timestamp;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Any};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Route, Subscription};
use crate::proto::dapr::runtime::v1::{TopicEventCeRequest, TopicEventRequest};

/// What of an event is looked at before it is brought.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    expiration: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
    #[serde(borrow)]
    baggage: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    /// Of what is brought as it was published, if that is an event.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn of(data: &'a [u8]) -> Result<Head<'a>, String> {
        let first = data.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            return Err("what was published is no JSON object, and so no event".to_owned());
        }
        serde_json::from_slice(data).map_err(|error| format!("what was published is no event: {error}"))
    }

    /// What it is known by.
    pub fn id(&self) -> Cow<'a, str> {
        text(self.id)
    }

    /// To which trace it belongs.
    pub fn trace(&self) -> Cow<'a, str> {
        text(self.traceparent)
    }

    /// What goes along with its trace.
    pub fn baggage(&self) -> Cow<'a, str> {
        text(self.baggage)
    }

    /// Until when it is of use, if not for ever.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expiration.and_then(|raw| text(Some(raw)).parse().ok())
    }
}

fn text(raw: Option<&RawValue>) -> Cow<'_, str> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// An event as it is brought over HTTP: as it was published, or in an envelope around that.
pub fn whole(delivery: &Delivery, subscription: &Subscription) -> Bytes {
    if !subscription.knobs.raw {
        return delivery.message.data.clone();
    }
    let envelope = json!({
        "data_base64": BASE64.encode(&delivery.message.data),
        "datacontenttype": OCTETS,
        "id": raw_id(delivery, subscription),
        "pubsubname": subscription.pubsub,
        "source": SOURCE,
        "specversion": SPEC_VERSION,
        "topic": subscription.topic,
        "type": TYPE,
    });
    envelope.to_string().into()
}

/// What tells an event from others of its subscription: the same each time that it is brought.
pub fn entry_id(receipt: Receipt) -> String {
    format!("{}-{}", receipt.0, receipt.1)
}

/// The same each time that it is brought, so that the application can know it again.
fn raw_id(delivery: &Delivery, subscription: &Subscription) -> String {
    format!("{}/{}/{}", subscription.pubsub, subscription.topic, entry_id(delivery.receipt))
}

/// An event as conditions see it.
///
/// # Errors
///
/// If it is none.
pub fn seen(delivery: &Delivery, subscription: &Subscription) -> Result<cel::Value, String> {
    let event: Value =
        serde_json::from_slice(&whole(delivery, subscription)).map_err(|error| error.to_string())?;
    Ok(crate::expression::value(event))
}

/// An event as it is brought over gRPC.
///
/// # Errors
///
/// If it is none.
pub fn taken_apart(
    delivery: &Delivery,
    subscription: &Subscription,
    route: &Route,
) -> Result<TopicEventRequest, String> {
    let parts = apart(delivery, subscription)?;
    Ok(TopicEventRequest {
        id: parts.id,
        source: parts.source,
        r#type: parts.r#type,
        spec_version: parts.spec_version,
        data_content_type: parts.data_content_type,
        data: parts.data,
        topic: subscription.topic.clone(),
        pubsub_name: subscription.pubsub.clone(),
        path: route.text.clone(),
        extensions: parts.extensions,
    })
}

/// The same as one of several.
///
/// # Errors
///
/// If it is none.
pub fn apart(delivery: &Delivery, subscription: &Subscription) -> Result<TopicEventCeRequest, String> {
    if subscription.knobs.raw {
        let extension = |name: &str, value: &str| (name.to_owned(), any(Value::from(value)));
        let extensions =
            [extension("pubsubname", &subscription.pubsub), extension("topic", &subscription.topic)].into();
        return Ok(TopicEventCeRequest {
            id: raw_id(delivery, subscription),
            source: SOURCE.to_owned(),
            r#type: TYPE.to_owned(),
            spec_version: SPEC_VERSION.to_owned(),
            data_content_type: OCTETS.to_owned(),
            data: delivery.message.data.clone(),
            extensions: Some(Struct { fields: extensions }),
        });
    }
    let data = &delivery.message.data;
    let mut fields: BTreeMap<String, &RawValue> =
        serde_json::from_slice(data).map_err(|error| format!("what was published is no event: {error}"))?;
    let mut take = |name: &str| fields.remove(name);
    let (id, source, kind) = (text(take("id")), text(take("source")), text(take("type")));
    let (spec_version, content_type) = (text(take("specversion")), text(take("datacontenttype")));
    let payload = payload(data, &content_type, take("data_base64"), take("data"))?;
    let extension = |(name, raw): (String, &RawValue)| {
        let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        (name, any(value))
    };
    Ok(TopicEventCeRequest {
        id: id.into_owned(),
        source: source.into_owned(),
        r#type: kind.into_owned(),
        spec_version: spec_version.into_owned(),
        data_content_type: content_type.into_owned(),
        data: payload,
        extensions: Some(Struct { fields: fields.into_iter().map(extension).collect() }),
    })
}

/// JSON as it is written, and text as the text that it is, whatever its type: nothing is left away.
fn payload(
    event: &Bytes,
    content_type: &str,
    base64: Option<&RawValue>,
    data: Option<&RawValue>,
) -> Result<Bytes, String> {
    if let Some(raw) = base64.filter(|raw| raw.get() != "null") {
        let decoded = BASE64.decode(&*text(Some(raw)));
        return decoded.map(Bytes::from).map_err(|error| format!("its data_base64 cannot be read: {error}"));
    }
    let Some(raw) = data.filter(|raw| raw.get() != "null") else { return Ok(Bytes::new()) };
    let is = |other: &str| bare(content_type).eq_ignore_ascii_case(other);
    let is_json = is("application/json") || is("application/cloudevents+json");
    match is_json || !raw.get().starts_with('"') {
        true => Ok(event.slice_ref(raw.get().as_bytes())),
        false => Ok(text(Some(raw)).into_owned().into()),
    }
}

/// Without its parameters.
fn bare(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn any(value: Value) -> Any {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(any).collect() }),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, any(value))).collect();
            Kind::StructValue(Struct { fields })
        }
    };
    Any { kind: Some(kind) }
}

const OCTETS: &str = "application/octet-stream";
const SOURCE: &str = "Dapr";
const SPEC_VERSION: &str = "1.0";
const TYPE: &str = "com.dapr.event.sent";

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use components::pubsub::Message;

    use super::super::{Knobs, Origin, Routes};
    use super::*;

    fn delivery(data: impl Into<Bytes>) -> Delivery {
        let message = Message::new(data);
        Delivery { receipt: Receipt(3, 14), attempt: 1, published: SystemTime::UNIX_EPOCH, message }
    }

    fn subscription(raw: bool) -> Subscription {
        Subscription {
            pubsub: "p".to_owned(),
            topic: "t".to_owned(),
            routes: Routes::default(),
            dead_letter: None,
            metadata: BTreeMap::new(),
            knobs: Knobs { raw, ..Knobs::default() },
            bulk: None,
            origin: Origin::Declarative,
        }
    }

    #[test]
    fn the_head_of_an_event_is_read_and_nothing_else_is_one() {
        let event = br#" {"data":{"id":2},"id":"a\"b","traceparent":"00-1","expiration":"2026-01-01T00:00:00Z","x":[1]}"#;
        let head = Head::of(event).unwrap();
        assert_eq!((&*head.id(), &*head.trace()), ("a\"b", "00-1"));
        assert_eq!(head.expires(), "2026-01-01T00:00:00Z".parse().ok());
        for live in [r#"{"expiration":"soon"}"#, r#"{"expiration":1}"#, r#"{"expiration":null}"#, "{}"] {
            assert_eq!(Head::of(live.as_bytes()).unwrap().expires(), None, "{live}");
        }
        assert_eq!(Head::of(br#"{"id":1}"#).unwrap().id(), "");
        for odd in ["", "text", "[]", "[1,2,3]", "null", "{", r#"{"a":}"#, "\u{0}", r#""{}""#] {
            assert!(Head::of(odd.as_bytes()).is_err(), "{odd}");
        }
    }

    #[test]
    fn who_takes_it_raw_gets_an_envelope_around_it() {
        let whole_of = |raw| whole(&delivery("\u{1}x"), &subscription(raw));
        assert_eq!(whole_of(false), "\u{1}x");
        let envelope: Value = serde_json::from_slice(&whole_of(true)).unwrap();
        assert_eq!(
            envelope,
            json!({
                "data_base64": "AXg=", "datacontenttype": "application/octet-stream", "id": "p/t/3-14", "pubsubname": "p",
                "source": "Dapr", "specversion": "1.0", "topic": "t", "type": "com.dapr.event.sent",
            })
        );
        let apart = apart(&delivery("\u{1}x"), &subscription(true)).unwrap();
        assert_eq!(
            (&apart.data[..], &*apart.id, &*apart.data_content_type),
            (&b"\x01x"[..], "p/t/3-14", OCTETS)
        );
    }

    #[test]
    fn over_grpc_each_part_has_its_field() {
        let event = json!({
            "id": "1", "source": "shop", "type": "made", "specversion": "1.0", "datacontenttype": "application/json; charset=utf-8",
            "data": { "a": 1.50 }, "topic": "t", "traceid": "", "mine": { "deep": [1, null, true] },
        });
        let whole =
            taken_apart(&delivery(event.to_string()), &subscription(false), &Route::new("r")).unwrap();
        assert_eq!(
            (&*whole.id, &*whole.source, &*whole.r#type, &*whole.spec_version),
            ("1", "shop", "made", "1.0")
        );
        assert_eq!((&*whole.topic, &*whole.pubsub_name, &*whole.path), ("t", "p", "r"));
        assert_eq!(whole.data, r#"{"a":1.5}"#);
        let names: Vec<_> = whole.extensions.unwrap().fields.into_keys().collect();
        assert_eq!(names, ["mine", "topic", "traceid"]);
        let data =
            |event: &str| apart(&delivery(event.to_owned()), &subscription(false)).map(|parts| parts.data);
        for (event, bytes) in [
            (r#"{"datacontenttype":"text/plain","data":"a\nb"}"#, "a\nb"),
            (r#"{"datacontenttype":"application/json","data":"a"}"#, "\"a\""),
            (r#"{"datacontenttype":"application/vnd.x+json","data":"{}"}"#, "{}"),
            (r#"{"datacontenttype":"image/png","data":[1, 2]}"#, "[1, 2]"),
            (r#"{"datacontenttype":"application/octet-stream","data_base64":"YQ=="}"#, "a"),
            (r#"{"data_base64":null,"data":null}"#, ""),
            ("{}", ""),
        ] {
            assert_eq!(data(event).unwrap(), bytes, "{event}");
        }
        for odd in [r#"{"data_base64":"?"}"#, "[]", "x", ""] {
            assert!(data(odd).is_err(), "{odd}");
        }
    }
}
