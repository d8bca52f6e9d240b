//! Who has seen everything: the log's records in their order, and what the machine alone makes of them.
//!
//! A record is shown to it when the log says that it is durable, or when it is found at an opening. From then on it must
//! be there, unless it is trimmed, and be what it was. The machine's state and answers by these records alone, without
//! batches, checkpoints or crashes, are what the engine's must equal; and the shadow model says whether they
//! are right.

use bytes::Bytes;
use log::Log;
use machine::{Effect, Entry, Memory, Shard, Shards, Stored};

use crate::model::{Logged, Model};
use crate::requests::Requests;

/// What is known of each shard.
pub struct Witness {
    shards: Vec<Seen>,
    pub model: Model,
}

/// What is known of a shard.
#[derive(Default)]
struct Seen {
    records: Vec<Bytes>,
    state: Memory,
}

impl Witness {
    pub fn new(shards: Shards) -> Witness {
        Witness { shards: shards.all().map(|_| Seen::default()).collect(), model: Model::new(shards) }
    }

    /// How many records of `shard` it has seen.
    pub fn last(&self, shard: Shard) -> u64 {
        self.seen(shard).records.len() as u64
    }

    /// What the machine alone makes of them.
    pub fn state(&self, shard: Shard) -> &Memory {
        &self.seen(shard).state
    }

    /// What the machine alone makes of the records up to `last`.
    pub fn state_at(&self, shard: Shard, last: u64) -> Memory {
        let mut state = Memory::default();
        for (sequence, record) in (1..=last).zip(&self.seen(shard).records) {
            let entry = Entry::decode(record.clone()).expect("it was decoded before");
            // It is refused again if it was.
            let _ = machine::apply(&mut state, shard, sequence, &entry, &mut Vec::new());
        }
        state
    }

    /// A record.
    pub fn record(&self, shard: Shard, sequence: u64) -> Bytes {
        self.seen(shard).records[sequence as usize - 1].clone()
    }

    /// A payload, from the record that brought it.
    pub fn payload(&self, shard: Shard, stored: &Stored) -> Bytes {
        stored.inline.clone().unwrap_or_else(|| {
            let record = self.record(shard, stored.sequence);
            machine::entry::body(record, stored.index).expect("what is pointed to is in the record")
        })
    }

    /// Records that became durable behind `last`.
    pub fn appended(&mut self, requests: &mut Requests, shard: Shard, last: u64, records: &[Bytes]) {
        assert_eq!(last, self.last(shard), "{shard:?}: the log took records in another place than its end");
        for record in records {
            self.take(requests, shard, record);
        }
    }

    /// The log has been opened: what is in it is what was, and maybe more, of which nobody was told.
    pub fn opened(&mut self, requests: &mut Requests, shard: Shard, log: &impl Log) {
        let (first, last, seen) = (log.first(shard.0), log.last(shard.0), self.last(shard));
        assert!(last >= seen, "{shard:?}: record {seen} was durable, and the log ends at {last}");
        let mut from = first;
        while from <= last {
            let records = log.read(shard.0, from, 64 << 10).expect("what is in the log can be read");
            assert!(!records.is_empty(), "{shard:?}: the log ends at {last}, and has nothing from {from} on");
            for record in records {
                assert_eq!(record.sequence, from, "{shard:?}: the log has a gap");
                match self.seen(shard).records.get(from as usize - 1) {
                    Some(was) => {
                        assert_eq!(*was, record.bytes, "{shard:?}: record {from} is another than it was");
                    }
                    None => self.take(requests, shard, &record.bytes),
                }
                from += 1;
            }
        }
        assert_eq!(self.last(shard), last, "{shard:?}: the log has trimmed what nobody saw");
    }

    fn take(&mut self, requests: &mut Requests, shard: Shard, record: &Bytes) {
        let entry = Entry::decode(record.clone()).expect("what the engine appends can be read");
        let seen = &mut self.shards[shard.0 as usize];
        // A copy: what was appended may be a slice of something that is written over.
        seen.records.push(Bytes::copy_from_slice(record));
        let sequence = seen.records.len() as u64;
        let mut effects: Vec<Effect> = Vec::new();
        let outcome = machine::apply(&mut seen.state, shard, sequence, &entry, &mut effects);
        requests.is_logged(shard, sequence, &entry, &outcome);
        self.model.apply(&Logged { shard, sequence, entry: &entry, outcome: &outcome, effects: &effects });
    }

    fn seen(&self, shard: Shard) -> &Seen {
        &self.shards[shard.0 as usize]
    }
}
