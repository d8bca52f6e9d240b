//! A log in memory, for tests and for what need not outlive the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{
    AppendError, Batch, BeginError, Log, Oldest, ReadError, Record, SEQUENCE_MAX, Sequence, TrimError,
};

/// A log in memory. A clone is another handle to the same log, so that what is closed can be opened again.
#[derive(Clone, Debug)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
    record_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    shards: BTreeMap<u32, Shard>,
    /// What arrived together, oldest first; the last is still growing.
    blocks: VecDeque<Block>,
}

#[derive(Debug, Default)]
struct Shard {
    /// How many records have been trimmed.
    trimmed: Sequence,
    records: VecDeque<Bytes>,
}

#[derive(Debug, Default)]
struct Block {
    bytes: usize,
    /// For each shard the last sequence that is in here.
    up_to: BTreeMap<u32, Sequence>,
}

impl Memory {
    /// An empty one, that takes records of up to [`RECORD_BYTES_MAX`].
    pub fn new() -> Memory {
        Memory::with_record_bytes_max(RECORD_BYTES_MAX)
    }

    /// An empty one, that takes records of up to `bytes_max` bytes.
    pub fn with_record_bytes_max(bytes_max: usize) -> Memory {
        Memory { inner: Arc::default(), record_bytes_max: bytes_max }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, inner: &mut Inner, batch: &Batch) -> Result<(), AppendError> {
        if let Some(large) = batch.records.iter().find(|record| record.len() > self.record_bytes_max) {
            return Err(AppendError::TooLarge { bytes: large.len(), bytes_max: self.record_bytes_max });
        }
        let shard = inner.shards.entry(batch.shard).or_default();
        if shard.last() != batch.last {
            return Err(AppendError::NotTail { last: shard.last() });
        }
        shard.records.extend(batch.records.iter().cloned());
        let last = shard.last();
        inner.note(batch, last);
        Ok(())
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Inner {
    fn note(&mut self, batch: &Batch, last: Sequence) {
        if batch.records.is_empty() {
            return;
        }
        if self.blocks.back().is_none_or(|block| block.bytes >= BLOCK_BYTES) {
            self.blocks.push_back(Block::default());
        }
        if let Some(block) = self.blocks.back_mut() {
            block.bytes += batch.records.iter().map(Bytes::len).sum::<usize>();
            block.up_to.insert(batch.shard, last);
        }
    }

    fn first(&self, shard: u32) -> Sequence {
        self.shards.get(&shard).map_or(0, |shard| shard.trimmed) + 1
    }
}

impl Shard {
    fn last(&self) -> Sequence {
        self.trimmed + self.records.len() as Sequence
    }
}

impl Log for Memory {
    fn begin(&self, firsts: &[(u32, Sequence)]) -> Result<(), BeginError> {
        let mut inner = self.inner();
        for (shard, first) in firsts {
            if inner.shards.get(shard).is_some_and(|shard| shard.last() > 0) {
                return Err(BeginError::NotNew { shard: *shard });
            }
            if !(1..SEQUENCE_MAX).contains(first) {
                return Err(BeginError::Beyond { first: *first });
            }
        }
        for (shard, first) in firsts {
            inner.shards.entry(*shard).or_default().trimmed = first - 1;
        }
        Ok(())
    }

    fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>> {
        let mut inner = self.inner();
        batches.iter().map(|batch| self.take(&mut inner, batch)).collect()
    }

    fn read(&self, shard: u32, from: Sequence, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let inner = self.inner();
        let first = inner.first(shard);
        if from < first {
            return Err(ReadError::Trimmed { first });
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        let Some(shard) = inner.shards.get(&shard) else { return Ok(records) };
        let skipped = usize::try_from(from - first).unwrap_or(usize::MAX);
        for (sequence, record) in (from..).zip(shard.records.iter().skip(skipped)) {
            bytes += record.len();
            if bytes > bytes_max && !records.is_empty() {
                break;
            }
            records.push(Record { sequence, bytes: record.clone() });
        }
        Ok(records)
    }

    fn get(&self, shard: u32, sequence: Sequence) -> Result<Bytes, ReadError> {
        let inner = self.inner();
        let first = inner.first(shard);
        if sequence < first {
            return Err(ReadError::Trimmed { first });
        }
        let shard = inner.shards.get(&shard);
        let record = shard
            .and_then(|shard| shard.records.get(usize::try_from(sequence - first).unwrap_or(usize::MAX)));
        record.cloned().ok_or(ReadError::NotYet { last: shard.map_or(0, Shard::last) })
    }

    fn last(&self, shard: u32) -> Sequence {
        self.inner().shards.get(&shard).map_or(0, Shard::last)
    }

    fn first(&self, shard: u32) -> Sequence {
        self.inner().first(shard)
    }

    fn trim(&self, shard: u32, before: Sequence) -> Result<(), TrimError> {
        let mut inner = self.inner();
        let Some(shard) = inner.shards.get_mut(&shard) else { return Ok(()) };
        while shard.trimmed + 1 < before && shard.records.pop_front().is_some() {
            shard.trimmed += 1;
        }
        let Inner { shards, blocks } = &mut *inner;
        let trimmed = |shard: &u32| shards.get(shard).map_or(0, |shard| shard.trimmed);
        while blocks.len() > 1
            && blocks
                .front()
                .is_some_and(|block| block.up_to.iter().all(|(shard, last)| *last <= trimmed(shard)))
        {
            blocks.pop_front();
        }
        Ok(())
    }

    fn oldest(&self) -> Option<Oldest> {
        let inner = self.inner();
        let block = inner.blocks.front().filter(|_| inner.blocks.len() > 1)?;
        let left = block.up_to.iter().filter(|(shard, last)| **last >= inner.first(**shard));
        Some(Oldest { bytes: block.bytes as u64, up_to: left.map(|(shard, last)| (*shard, *last)).collect() })
    }

    fn bytes(&self) -> u64 {
        self.inner().shards.values().flat_map(|shard| &shard.records).map(|record| record.len() as u64).sum()
    }
}

/// The largest record that [`Memory::new`] takes, bytes.
pub const RECORD_BYTES_MAX: usize = 8 << 20;
/// What is given back together, bytes. Small, so that a test sees it happen.
const BLOCK_BYTES: usize = 64 << 10;
