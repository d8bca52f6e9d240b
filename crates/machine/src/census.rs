//! How much there is of what: counted by looking at a state as a whole, for people who ask what a folder holds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use prost::Message;

use crate::body::Kept;
use crate::key::{Parts, Table};
use crate::kv;
use crate::lock;
use crate::queue;
use crate::state::{Order, Read};
use crate::stream;
use crate::time::Time;
use crate::topic;

/// What was counted, of one shard or of several together. What has expired and was not taken away yet is not counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// How many pairs were looked at.
    pub pairs: u64,
    /// Stores of key-value state by name, each with how many items.
    pub stores: BTreeMap<String, u64>,
    /// Topics by name.
    pub topics: BTreeMap<String, Topic>,
    /// Queues by name, each with how many items stand where.
    pub queues: BTreeMap<String, queue::Ledger>,
    /// Stores of event streams by name.
    pub streams: BTreeMap<String, Streams>,
    /// Stores of configuration by name, each with how many items.
    pub configuration: BTreeMap<String, u64>,
    /// Jobs.
    pub jobs: u64,
    /// Locks that somebody holds.
    pub locks: u64,
    /// Timers that are set.
    pub timers: u64,
    /// Commands on their way to other shards.
    pub outbox: u64,
    /// Replies that are remembered for requests that may come again.
    pub replies: u64,
    /// Payloads that lie in the log and are pointed to: how many, and their bytes.
    pub payloads: Payloads,
    /// Payloads that were moved from the log into the state.
    pub moved: Payloads,
    /// Payloads that were damaged when the part of the log was given up that had them.
    pub lost: Payloads,
    /// Keys whose value cannot be understood.
    pub unreadable: Vec<Vec<u8>>,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topic {
    /// Partitions that were ever published to.
    pub partitions: u64,
    /// Messages that are kept.
    pub messages: u64,
    /// Their bytes: payloads, keys and headers.
    pub bytes: u64,
    /// Messages that are not due yet, which are not among those.
    pub delayed: u64,
    /// Groups by name, each with how many messages it is not done with.
    pub groups: BTreeMap<String, u64>,
}

/// A store of event streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Streams that are there.
    pub streams: u64,
    /// Their events.
    pub events: u64,
}

/// Payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payloads {
    /// How many.
    pub count: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

impl Census {
    /// Counts what is in `state`, as of `now`.
    pub fn add(&mut self, state: &(impl Read + ?Sized), now: Time) {
        let mut partitions = Vec::new();
        state.scan(&[1], &[u8::MAX], Order::Forwards, &mut |key, value| {
            self.pairs += 1;
            if self.count(key, value, now, &mut partitions).is_none() {
                self.unreadable.push(key.to_vec());
            }
            ControlFlow::Continue(())
        });
        for (topic, number) in partitions {
            for group in topic::read::groups(state, &topic, number) {
                let topic = self.topics.entry(topic.clone()).or_default();
                *topic.groups.entry(group.name).or_default() += group.lag;
            }
        }
    }

    /// Nothing if the pair cannot be understood.
    fn count(
        &mut self,
        key: &[u8],
        value: &Bytes,
        now: Time,
        partitions: &mut Vec<(String, u32)>,
    ) -> Option<()> {
        let mut parts = Parts::of(key);
        match *key.first()? {
            TIMER => self.timers += 1,
            OUTBOX => self.outbox += 1,
            IDEMPOTENCY => self.replies += 1,
            KEPT => self.payload(&message(value)?),
            KV_ITEM => {
                let item: kv::Item = message(value)?;
                let live = item.expires().is_none_or(|expires| now < expires);
                *self.stores.entry(parts.name()?.to_owned()).or_default() += u64::from(live);
            }
            TOPIC => {
                let (name, kind) = (parts.name()?.to_owned(), parts.u8()?);
                if kind == 1 {
                    self.partition(&name, &message(value)?);
                    partitions.push((name, parts.u32()?));
                }
            }
            QUEUE => {
                let (name, kind) = (parts.name()?, parts.u8()?);
                if kind == 1 {
                    self.queues.insert(name.to_owned(), message(value)?);
                }
            }
            STREAM => {
                let stream: stream::Stream = message(value)?;
                let store = self.streams.entry(parts.name()?.to_owned()).or_default();
                store.streams += u64::from(stream.exists());
            }
            STREAM_EVENT => self.streams.entry(parts.name()?.to_owned()).or_default().events += 1,
            // A job has two records, of which this is the first.
            JOB => self.jobs += u64::from(key.last() == Some(&0)),
            LOCK => {
                let lease: lock::Lease = message(value)?;
                self.locks += u64::from(!lease.owner.is_empty() && now < lease.expires());
            }
            CONFIG => {
                let (name, kind) = (parts.name()?, parts.u8()?);
                if kind == 1 {
                    *self.configuration.entry(name.to_owned()).or_default() += 1;
                }
            }
            _ => {}
        }
        Some(())
    }

    fn payload(&mut self, kept: &Kept) {
        let payloads = match (&kept.moved, kept.lost) {
            (_, true) => &mut self.lost,
            (Some(_), false) => &mut self.moved,
            (None, false) => &mut self.payloads,
        };
        payloads.count += 1;
        payloads.bytes += u64::from(kept.length);
    }

    fn partition(&mut self, topic: &str, partition: &topic::Partition) {
        let topic = self.topics.entry(topic.to_owned()).or_default();
        topic.partitions += 1;
        topic.messages += partition.messages;
        topic.bytes += partition.bytes;
        topic.delayed += partition.delayed;
    }
}

fn message<M: Message + Default>(value: &Bytes) -> Option<M> {
    M::decode(value.clone()).ok()
}

const TIMER: u8 = Table::Timer as u8;
const KEPT: u8 = Table::Kept as u8;
const OUTBOX: u8 = Table::Outbox as u8;
const IDEMPOTENCY: u8 = Table::Idempotency as u8;
const KV_ITEM: u8 = Table::KvItem as u8;
const TOPIC: u8 = Table::Topic as u8;
const QUEUE: u8 = Table::Queue as u8;
const STREAM: u8 = Table::Stream as u8;
const STREAM_EVENT: u8 = Table::StreamEvent as u8;
const JOB: u8 = Table::Job as u8;
const LOCK: u8 = Table::Lock as u8;
const CONFIG: u8 = Table::Config as u8;
