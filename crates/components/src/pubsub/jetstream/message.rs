//! A message as it lies in a stream: its data as the payload, the rest in headers.
//!
//! Metadata is one header, in JSON, since names and values of headers are more narrow.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{HeaderMap, HeaderValue, Subject};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::pubsub::lent::Arrived;
use crate::pubsub::{Error, Message};

/// What is sent for a message.
///
/// # Errors
///
/// If it cannot be sent.
pub(super) fn lower(message: Message) -> Result<(Bytes, HeaderMap), Error> {
    let Message { data, content_type, key, ttl, metadata, due: _ } = message;
    let mut headers = HeaderMap::new();
    let mut put = |name: &str, text: String| {
        let value: HeaderValue =
            text.parse().map_err(|_| Error::Invalid(format!("{name} has an end of line in it")))?;
        headers.insert(name, value);
        Ok::<(), Error>(())
    };
    if !content_type.is_empty() {
        put(CONTENT_TYPE, content_type)?;
    }
    if !key.is_empty() {
        put(KEY, percent_encode(&key, NON_ALPHANUMERIC).to_string())?;
    }
    if let Some(ttl) = ttl {
        put(TTL, ttl.as_millis().to_string())?;
    }
    if !metadata.is_empty() {
        let json = serde_json::to_string(&metadata).map_err(|error| Error::Invalid(error.to_string()))?;
        put(METADATA, json)?;
    }
    Ok((data, headers))
}

/// What has come, by which subject it is answered; nothing if it is from no stream.
pub(super) fn raise(message: async_nats::Message) -> Option<Arrived<Subject>> {
    let async_nats::Message { payload, headers, reply, .. } = message;
    let token = reply?;
    let place = Place::of(token.as_str())?;
    let text = |name: &str| headers.as_ref().and_then(|headers| headers.get(name)).map(HeaderValue::as_str);
    let ttl = text(TTL).and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    let message = Message {
        data: payload,
        content_type: text(CONTENT_TYPE).unwrap_or_default().to_owned(),
        key: text(KEY).map(|key| percent_decode_str(key).collect::<Vec<u8>>().into()).unwrap_or_default(),
        ttl,
        due: None,
        metadata: text(METADATA).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default(),
    };
    let mut hasher = DefaultHasher::new();
    (place.stream, place.consumer, place.sequence).hash(&mut hasher);
    Some(Arrived {
        key: hasher.finish(),
        failures: place.delivered.saturating_sub(1),
        published: UNIX_EPOCH.checked_add(Duration::from_nanos(place.nanos)).unwrap_or_else(SystemTime::now),
        message,
        token,
    })
}

/// What the subject says by which a message is answered.
#[derive(Debug, PartialEq)]
struct Place<'s> {
    stream: &'s str,
    consumer: &'s str,
    delivered: u32,
    sequence: u64,
    nanos: u64,
}

impl Place<'_> {
    /// `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.OF_CONSUMER.TIME.PENDING`, newer ones with two parts behind `ACK` more and
    /// whatever at the end.
    fn of(reply: &str) -> Option<Place<'_>> {
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let parts: Vec<&str> = rest.split('.').collect();
        let parts = match parts.len() {
            7 => &parts[..],
            9.. => &parts[2..],
            _ => return None,
        };
        Some(Place {
            stream: parts[0],
            consumer: parts[1],
            delivered: parts[2].parse().ok()?,
            sequence: parts[3].parse().ok()?,
            nanos: parts[5].parse().ok()?,
        })
    }
}

const CONTENT_TYPE: &str = "Content-Type";
/// What a message is about, percent-encoded.
const KEY: &str = "Colony-Key";
/// For how many milliseconds it is of use.
const TTL: &str = "Colony-Ttl";
/// Its metadata, in JSON.
const METADATA: &str = "Colony-Metadata";

#[cfg(test)]
mod tests {
    use super::*;

    fn came(data: Bytes, headers: Option<HeaderMap>, reply: &str) -> Option<Arrived<Subject>> {
        raise(async_nats::Message {
            subject: "t".into(),
            reply: Some(reply.into()),
            length: data.len(),
            payload: data,
            headers,
            status: None,
            description: None,
        })
    }

    const REPLY: &str = "$JS.ACK.S.g=t.2.7.9.1500000000000000000.0";

    #[test]
    fn what_is_sent_comes_as_it_was() {
        let metadata = [("a b".to_owned(), "é\n".to_owned()), ("c".to_owned(), String::new())].into();
        let ttl = Some(Duration::from_millis(1_500));
        let content_type = "text/x; charset=é".to_owned();
        let message = Message { content_type, metadata, ttl, ..Message::new("data").key(&b"\xff\0 k"[..]) };
        let (data, headers) = lower(message.clone()).expect("it can be sent");
        let arrived = came(data, Some(headers), REPLY).expect("it is of a stream");
        assert!(arrived.message == message && arrived.failures == 1);
        assert_eq!(arrived.published, UNIX_EPOCH + Duration::from_secs(1_500_000_000));
    }

    #[test]
    fn what_no_header_can_have_is_refused() {
        let message = Message { content_type: "a\r\nb".to_owned(), ..Message::new("") };
        assert!(matches!(lower(message), Err(Error::Invalid(_))));
    }

    #[test]
    fn what_another_program_has_sent_is_taken_as_it_is() {
        let arrived = came("{}".into(), None, REPLY).expect("it is of a stream");
        assert!(arrived.message == Message::new("{}"));
    }

    #[test]
    fn answers_are_addressed_in_either_way() {
        let new = Place::of("$JS.ACK.hub.hash.S.C.1.2.3.4.5.more");
        assert_eq!(new, Place::of("$JS.ACK.S.C.1.2.3.4.5"));
        assert_eq!(new, Some(Place { stream: "S", consumer: "C", delivered: 1, sequence: 2, nanos: 4 }));
        for odd in ["", "$JS.ACK.", "$JS.ACK.S.C.1.2.3.4", "$JS.ACK.S.C.x.2.3.4.5", "inbox.S.C.1.2.3.4.5"] {
            assert_eq!(Place::of(odd), None, "{odd}");
        }
    }
}
