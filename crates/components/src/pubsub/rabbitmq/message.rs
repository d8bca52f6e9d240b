//! A message as it lies in a RabbitMQ: its data as the body, its content type as the property of that name, its metadata as
//! headers, so that other programs can read it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::Acker;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::Settings;
use crate::pubsub::lent::Arrived;
use crate::pubsub::{Error, Message};

/// Ids that no other message has.
pub(super) struct Ids {
    process: u64,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Ids {
        // What is random of a hasher is so in each process.
        let process = RandomState::new().hash_one(std::process::id());
        Ids { process, next: AtomicU64::new(0) }
    }
}

impl Ids {
    fn next(&self) -> String {
        format!("colony-{:016x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is sent for a message.
///
/// # Errors
///
/// If it cannot be sent.
pub(super) fn lower(
    message: Message,
    settings: &Settings,
    ids: &Ids,
    now: SystemTime,
) -> Result<(Bytes, BasicProperties), Error> {
    let Message { data, content_type, key, ttl, metadata, due: _ } = message;
    if data.len() > DATA_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "it has {} bytes, and {DATA_BYTES_MAX} are the most",
            data.len()
        )));
    }
    let mut headers = FieldTable::default();
    for (name, value) in metadata {
        if name.starts_with(OURS) {
            return Err(Error::Invalid(format!("metadata that begins with {OURS:?} is Colony's: {name:?}")));
        }
        headers.insert(short(name, "a name in its metadata")?, AMQPValue::LongString(value.into()));
    }
    headers.insert(TIME.into(), AMQPValue::LongLongInt(millis(now)));
    if !key.is_empty() {
        headers.insert(KEY.into(), AMQPValue::LongString(key.to_vec().into()));
    }
    let seconds = u64::try_from(millis(now)).unwrap_or(0) / 1_000;
    let mut properties = BasicProperties::default()
        .with_headers(headers)
        .with_message_id(ids.next().into())
        .with_timestamp(seconds)
        .with_delivery_mode(if settings.persistent { 2 } else { 1 });
    if !content_type.is_empty() {
        properties = properties.with_content_type(short(content_type, "its content type")?);
    }
    if let Some(ttl) = ttl.or(settings.ttl) {
        let ms = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
        properties = properties.with_expiration(ms.to_string().into());
    }
    Ok((data, properties))
}

/// What has come, from a queue.
pub(super) fn raise(delivery: Delivery, queue: &str) -> Arrived<Acker> {
    let Delivery { properties, data, acker, redelivered, .. } = delivery;
    let mut key = Bytes::new();
    let mut published = properties.timestamp().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    let mut metadata = BTreeMap::new();
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    for (name, value) in headers.into_iter().flatten() {
        match (name.as_str(), value) {
            (TIME, AMQPValue::LongLongInt(ms)) => {
                published = u64::try_from(*ms).ok().map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
            }
            (KEY, AMQPValue::LongString(bytes)) => key = Bytes::copy_from_slice(bytes.as_bytes()),
            (name, value) => metadata.extend(text(value).map(|value| (name.to_owned(), value))),
        }
    }
    let ttl = properties.expiration().as_ref().and_then(|ms| ms.as_str().parse().ok());
    let content_type = properties.content_type().as_ref().map_or("", ShortString::as_str).to_owned();
    let mut hasher = DefaultHasher::new();
    queue.hash(&mut hasher);
    match properties.message_id() {
        Some(id) => id.as_str().hash(&mut hasher),
        None => data.hash(&mut hasher),
    }
    Arrived {
        token: acker,
        key: hasher.finish(),
        failures: redelivered.into(),
        published: published.unwrap_or_else(SystemTime::now),
        message: Message {
            data: data.into(),
            content_type,
            key,
            ttl: ttl.map(Duration::from_millis),
            due: None,
            metadata,
        },
    }
}

/// A header of another program's as text, if it is something like that.
fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        AMQPValue::Boolean(truth) => Some(truth.to_string()),
        AMQPValue::LongInt(number) => Some(number.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A text of at most 255 bytes.
pub(super) fn short(text: String, what: &str) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|_| Error::Invalid(format!("{what} has more than 255 bytes")))
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

/// How the headers begin that are Colony's.
const OURS: &str = "colony-";
/// What a message is about.
const KEY: &str = "colony-key";
/// When it was published, in milliseconds since the epoch.
const TIME: &str = "colony-time";
/// Most bytes of data: more than the API lets through.
const DATA_BYTES_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let all = [("hostname", "x")].into_iter().chain(more.iter().copied());
        Settings::new(&Properties::from_iter(all)).expect("it is right")
    }

    fn came(data: Bytes, properties: BasicProperties) -> Arrived<Acker> {
        let mut delivery = Delivery::mock(1, "t".into(), "".into(), true, data.to_vec());
        delivery.properties = properties;
        raise(delivery, "g-t")
    }

    #[test]
    fn what_is_sent_comes_as_it_was() {
        let metadata = BTreeMap::from([("a b".to_owned(), "é".to_owned()), ("c".to_owned(), String::new())]);
        let ttl = Some(Duration::from_millis(1_500));
        let content_type = "text/x".to_owned();
        let message = Message { content_type, metadata, ttl, ..Message::new("data").key(&b"\xff\0"[..]) };
        let now = UNIX_EPOCH + Duration::from_millis(1_234_567);
        let (data, properties) =
            lower(message.clone(), &settings(&[]), &Ids::default(), now).expect("it can be sent");
        assert_eq!(properties.delivery_mode(), &Some(2));
        let arrived = came(data, properties);
        assert!(arrived.message == message && arrived.published == now && arrived.failures == 1);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let long = "x".repeat(256);
        let named =
            |name: &str| Message { metadata: [(name.to_owned(), String::new())].into(), ..Message::new("") };
        let typed = Message { content_type: long.clone(), ..Message::new("") };
        let large = Message::new(vec![b'x'; DATA_BYTES_MAX + 1]);
        for message in [named(&long), named("colony-key"), typed, large] {
            let refused = lower(message, &settings(&[]), &Ids::default(), UNIX_EPOCH);
            assert!(matches!(refused, Err(Error::Invalid(_))));
        }
    }

    #[test]
    fn what_another_program_has_sent_is_taken_as_it_is() {
        let mut headers = FieldTable::default();
        headers.insert("n".into(), AMQPValue::LongInt(7));
        headers.insert("x-death".into(), AMQPValue::Void);
        let arrived = came("{}".into(), BasicProperties::default().with_headers(headers));
        assert_eq!(arrived.message.metadata, [("n".to_owned(), "7".to_owned())].into());
        assert_eq!((&arrived.message.data[..], &arrived.message.content_type[..]), (&b"{}"[..], ""));
    }
}
