//! A message as an entry of a stream: `data` and, if there is any, `metadata` as JSON are Dapr's; `contentType` and `key` are
//! Colony's own, which others pass over.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redis::{Cmd, Value};

use super::settings::Trim;
use crate::pubsub::{Delivery, Message, Receipt};

/// The command that adds a message.
pub(super) fn add(topic: &str, message: &Message, trim: Option<Trim>) -> Cmd {
    let mut command = redis::cmd("XADD");
    command.arg(topic);
    match trim {
        None => {}
        Some(Trim::Length(length)) => drop(command.arg("MAXLEN").arg("~").arg(length)),
        Some(Trim::Age(age)) => {
            let since = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
            let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            command.arg("MINID").arg("~").arg(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        }
    }
    command.arg("*").arg(DATA).arg(&message.data[..]);
    if !message.metadata.is_empty() {
        command.arg(METADATA).arg(serde_json::to_string(&message.metadata).unwrap_or_default());
    }
    if !message.content_type.is_empty() {
        command.arg(CONTENT_TYPE).arg(&message.content_type);
    }
    if !message.key.is_empty() {
        command.arg(KEY).arg(&message.key[..]);
    }
    command
}

/// How many bytes of a message are sent, about.
pub(super) fn weight(message: &Message) -> usize {
    let metadata: usize = message.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    message.data.len() + message.key.len() + message.content_type.len() + metadata
}

/// What a read of one stream has brought, each for the first time.
pub(super) fn read(answer: Value) -> Vec<Delivery> {
    let entries = match answer {
        Value::Map(mut streams) => streams.pop().map(|(_, entries)| entries),
        streams => list(streams).pop().and_then(|stream| list(stream).pop()),
    };
    let entries = entries.map(list).unwrap_or_default().into_iter();
    entries.filter_map(|entry| delivery(list(entry).into_iter(), None)).collect()
}

/// What a script has taken over.
pub(super) fn claimed(answer: Value) -> Vec<Delivery> {
    let entries = list(answer).into_iter().filter_map(|entry| {
        let mut parts = list(entry);
        let attempt = match parts.get(1) {
            Some(Value::Int(count)) => u32::try_from(*count).unwrap_or(u32::MAX).max(1),
            _ => return None,
        };
        parts.remove(1);
        delivery(parts.into_iter(), Some(attempt))
    });
    entries.collect()
}

/// The id of an entry, as it is written.
pub(super) fn id(receipt: Receipt) -> String {
    format!("{}-{}", receipt.0, receipt.1)
}

/// The entry that an id is of.
pub(super) fn receipt(id: &str) -> Option<Receipt> {
    let (ms, sequence) = id.split_once('-')?;
    Some(Receipt(ms.parse().ok()?, sequence.parse().ok()?))
}

fn delivery(mut parts: impl Iterator<Item = Value>, attempt: Option<u32>) -> Option<Delivery> {
    let receipt = receipt(&text(parts.next()?))?;
    let mut fields = list(parts.next()?).into_iter();
    let mut message = Message::default();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match &*text(name) {
            DATA => message.data = bytes(value),
            METADATA => message.metadata = metadata(&bytes(value)),
            CONTENT_TYPE => message.content_type = text(value),
            KEY => message.key = bytes(value),
            _ => {}
        }
    }
    let published = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(receipt.0));
    Some(Delivery {
        receipt,
        attempt: attempt.unwrap_or(1),
        published: published.unwrap_or(SystemTime::UNIX_EPOCH),
        message,
    })
}

/// Of what is no text it is told as JSON has it.
fn metadata(json: &[u8]) -> BTreeMap<String, String> {
    let told: BTreeMap<String, serde_json::Value> = serde_json::from_slice(json).unwrap_or_default();
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    told.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) | Value::Set(list) => list,
        Value::Map(pairs) => pairs.into_iter().flat_map(|(name, value)| [name, value]).collect(),
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Bytes {
    match value {
        Value::BulkString(bytes) => bytes.into(),
        Value::SimpleString(text) => text.into(),
        Value::Int(number) => number.to_string().into(),
        _ => Bytes::new(),
    }
}

fn text(value: Value) -> String {
    String::from_utf8_lossy(&bytes(value)).into_owned()
}

const DATA: &str = "data";
const METADATA: &str = "metadata";
const CONTENT_TYPE: &str = "contentType";
const KEY: &str = "key";

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn entry(id: &str, fields: &[&str]) -> Value {
        Value::Array(vec![bulk(id), Value::Array(fields.iter().map(|field| bulk(field)).collect())])
    }

    #[test]
    fn what_is_read_is_a_message_in_either_version_of_the_protocol() {
        let entries =
            || Value::Array(vec![entry("5-1", &["data", "x", "odd", "?", "metadata", r#"{"a":"b","n":1}"#])]);
        let newer = read(Value::Map(vec![(bulk("t"), entries())]));
        let older = read(Value::Array(vec![Value::Array(vec![bulk("t"), entries()])]));
        assert_eq!(newer, older);
        let [one] = &newer[..] else { panic!("{newer:?}") };
        assert_eq!((one.receipt, one.attempt, &one.message.data[..]), (Receipt(5, 1), 1, &b"x"[..]));
        assert_eq!(
            one.message.metadata,
            [("a", "b"), ("n", "1")].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
        );
        assert_eq!(one.published, SystemTime::UNIX_EPOCH + Duration::from_millis(5));
        assert!(read(Value::Nil).is_empty());
    }

    #[test]
    fn what_is_taken_over_says_its_attempt() {
        let Value::Array(mut parts) = entry("5-1", &["data", "x"]) else { return };
        parts.insert(1, Value::Int(3));
        let taken = claimed(Value::Array(vec![Value::Array(parts), Value::Nil, entry("odd", &[])]));
        assert_eq!(
            taken.iter().map(|one| (one.receipt, one.attempt)).collect::<Vec<_>>(),
            [(Receipt(5, 1), 3)]
        );
    }

    #[test]
    fn an_id_is_two_numbers() {
        assert_eq!(receipt(&id(Receipt(1_700_000_000_000, 7))), Some(Receipt(1_700_000_000_000, 7)));
        assert_eq!((receipt("5"), receipt("a-1"), receipt("")), (None, None, None));
    }
}
