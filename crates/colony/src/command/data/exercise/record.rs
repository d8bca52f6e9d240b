//! What is written, and the lines that say that it was acknowledged.

use bytes::Bytes;
use machine::kv::Placement;
use machine::{Shard, Shards, topic};
use serde::{Deserialize, Serialize};

/// A record that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// Which run of the command wrote it: when that began, in milliseconds since the epoch.
    pub(super) run: u64,
    /// Which of its producers.
    pub(super) producer: u32,
    pub(super) kind: Kind,
    /// The record's number: 1 for the producer's first of this kind, and one more for each after it.
    pub(super) number: u64,
    /// What it was answered: an ETag, an offset, the number of an item, a version.
    pub(super) at: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// An item was put, under the ETag of the one before.
    Put,
    /// A message was published.
    Publish,
    /// An item was put into a queue,
    Send,
    /// was handed out,
    Receive,
    /// and is done.
    Acknowledge,
    /// An event was appended, under the version of the one before.
    Append,
    /// An item was put, and with it a message was sent to another shard.
    Order,
}

/// One producer of one run: everything that it writes is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Writer {
    pub(super) run: u64,
    pub(super) producer: u32,
}

impl Writer {
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.run, self.producer)
    }

    /// Whose name it is.
    pub(super) fn of(name: &str) -> Option<Writer> {
        let (run, producer) = name.split_once('-')?;
        Some(Writer { run: run.parse().ok()?, producer: producer.parse().ok()? })
    }

    pub(super) fn key(self) -> Bytes {
        Bytes::from(self.name())
    }

    /// The key of the item that orders are put under.
    pub(super) fn order_key(self) -> Bytes {
        Bytes::from(format!("{}-order", self.name()))
    }

    pub(super) fn queue(self) -> String {
        format!("{NAME}-{}", self.name())
    }

    pub(super) fn partition(self) -> u32 {
        topic::partition_of(&self.key(), PARTITIONS)
    }

    /// The partition that orders are told to: one in another shard than the order itself, if there is one.
    pub(super) fn orders_partition(self, shards: Shards) -> u32 {
        let own = item_shard(shards, &self.order_key());
        let from = self.partition();
        let mut others = (0..PARTITIONS).map(|next| (from + next) % PARTITIONS);
        others.find(|number| topic::shard(shards, ORDERS, *number) != own).unwrap_or(from)
    }

    /// The payload of a record: some small enough to lie in the state, some in the log.
    pub(super) fn payload(self, number: u64) -> Bytes {
        let mut payload = format!("{} {} {number} ", self.run, self.producer).into_bytes();
        let length = LENGTHS[number as usize % LENGTHS.len()];
        let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let fill = (0..).map(|at: u64| (seed.wrapping_mul(at + 1) >> 56) as u8);
        let missing = length - payload.len().min(length);
        payload.extend(fill.take(missing));
        Bytes::from(payload)
    }
}

/// Who wrote a payload, and its number, if it is one that was written and is as it was written.
pub(super) fn read(payload: &[u8]) -> Option<(Writer, u64)> {
    let mut parts = payload.splitn(4, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let writer = Writer { run: number()?, producer: u32::try_from(number()?).ok()? };
    let number = number()?;
    (writer.payload(number) == payload).then_some((writer, number))
}

pub(super) fn item_shard(shards: Shards, key: &[u8]) -> Shard {
    Placement::Key.shard(shards, NAME, "", key)
}

/// The store, the topic and the store of streams that are written to.
pub(super) const NAME: &str = "exercise";
/// The topic that orders are told to.
pub(super) const ORDERS: &str = "exercise-orders";
/// How many partitions the topics have.
pub(super) const PARTITIONS: u32 = 8;
const LENGTHS: [usize; 4] = [40, 200, 1000, 4000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_whose_it_is_and_a_changed_one_does_not() {
        let writer = Writer { run: 7, producer: 3 };
        for number in 1..9 {
            let payload = writer.payload(number);
            assert_eq!(read(&payload), Some((writer, number)));
            let mut changed = payload.to_vec();
            *changed.last_mut().expect("it is not empty") ^= 1;
            assert_eq!(read(&changed), None);
            assert_eq!(read(&payload[..payload.len() - 1]), None);
        }
    }

    #[test]
    fn a_writer_is_known_by_its_name() {
        let writer = Writer { run: 1_700_000_000_000, producer: 12 };
        assert_eq!(Writer::of(&writer.name()), Some(writer));
        assert_eq!(Writer::of("exercise"), None);
    }
}
