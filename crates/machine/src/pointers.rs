//! Who points to payloads: for people who are told which are lost.

use std::fmt;

use bytes::Bytes;
use prost::Message;

use crate::body::Stored;
use crate::changes::Change;
use crate::key::{Parts, Table};
use crate::outbox::Parcel;
use crate::{config, job, kv, queue, stream, topic};

/// What a pair of the state points to, by the name of what it is; nothing if it is of a kind that points to no payload,
/// or cannot be understood.
pub fn of(key: &[u8], value: &Bytes) -> Option<(String, Vec<Stored>)> {
    let mut parts = Parts::of(key);
    let value = value.clone();
    Some(match *key.first()? {
        KV_ITEM => {
            let (store, scope) = (parts.name()?, parts.name()?);
            let what = format!("item {} of store {store}, scope {scope}", Text(parts.rest()));
            (what, vec![kv::Item::decode(value).ok()?.value])
        }
        TOPIC_MESSAGE => {
            let (topic, partition, offset) = (parts.name()?, parts.u32()?, parts.u64()?);
            let what = format!("message {offset} of topic {topic}, partition {partition}");
            (what, vec![topic::Message::decode(value).ok()?.body])
        }
        TOPIC_DELAYED => {
            let (topic, partition) = (parts.name()?, parts.u32()?);
            let delayed = topic::Delayed::decode(value).ok()?;
            let what =
                format!("a message of topic {topic}, partition {partition}, that is due at {}", delayed.due);
            (what, vec![delayed.body])
        }
        QUEUE_ITEM => {
            let (queue, id) = (parts.name()?, parts.u64()?);
            // Beside it stands its history.
            parts.u8().filter(|kind| *kind == 0)?;
            (format!("item {id} of queue {queue}"), vec![queue::Item::decode(value).ok()?.body])
        }
        STREAM_EVENT => {
            let (store, stream, version) = (parts.name()?, parts.name()?, parts.u64()?);
            let event = stream::Event::decode(value).ok()?;
            let payloads = std::iter::once(event.payload).chain(event.metadata).collect();
            (format!("event {version} of stream {stream}, store {store}"), payloads)
        }
        STREAM_SNAPSHOT => {
            let (store, stream) = (parts.name()?, parts.name()?);
            let snapshot = stream::Snapshot::decode(value).ok()?;
            let what = format!("the snapshot at {} of stream {stream}, store {store}", snapshot.version);
            (what, vec![snapshot.payload])
        }
        STREAM_DESCRIPTION => {
            let what = format!("what is said about a stream of store {}: {}", parts.name()?, parts.name()?);
            (what, vec![stream::Description::decode(value).ok()?.metadata])
        }
        CONFIG => {
            let store = parts.name()?;
            parts.u8().filter(|kind| *kind == 1)?;
            let what = format!("configuration {} of store {store}", Text(parts.rest()));
            (what, vec![config::Item::decode(value).ok()?.value])
        }
        KV_CHANGE | CONFIG_CHANGE => {
            let store = parts.name()?;
            let change = Change::decode(value).ok()?;
            let what = format!("a change of {} in store {store}", Text(&change.key));
            (what, change.value.into_iter().collect())
        }
        JOB => {
            let (scope, name) = (parts.name()?, parts.name()?);
            // Beside it stands how far it is.
            parts.u8().filter(|kind| *kind == 0)?;
            (format!("job {name} of scope {scope}"), job::Job::decode(value).ok()?.bodies)
        }
        OUTBOX => {
            let (target, number) = (parts.u32()?, parts.u64()?);
            let what = format!("command {number} on its way to shard {target}");
            (what, Parcel::decode(value).ok()?.bodies)
        }
        _ => return None,
    })
}

/// A key of an application's own, which is text as a rule.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(text) => write!(f, "{text:?}"),
            Err(_) => write!(f, "0x{}", self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        }
    }
}

const KV_ITEM: u8 = Table::KvItem as u8;
const KV_CHANGE: u8 = Table::KvChange as u8;
const TOPIC_MESSAGE: u8 = Table::TopicMessage as u8;
const TOPIC_DELAYED: u8 = Table::TopicDelayed as u8;
const QUEUE_ITEM: u8 = Table::QueueItem as u8;
const STREAM_EVENT: u8 = Table::StreamEvent as u8;
const STREAM_SNAPSHOT: u8 = Table::StreamSnapshot as u8;
const STREAM_DESCRIPTION: u8 = Table::StreamDescription as u8;
const JOB: u8 = Table::Job as u8;
const OUTBOX: u8 = Table::Outbox as u8;
const CONFIG: u8 = Table::Config as u8;
const CONFIG_CHANGE: u8 = Table::ConfigChange as u8;
