//! What is known of the log's content in memory: where each shard begins and ends, and which segment has what.
//!
//! For each segment there are some bytes and 16 for each shard that has records in it, and for the newest ones the place of
//! each record: that is all that grows with the log. (16 shards and segments of 64 MiB make about 16 KiB for a GiB.)

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::cache::Cache;
use super::index::Index;
use super::segment::Segment;
use crate::disk::File;
use crate::format::{Footer, RecordHeader, Table};
use crate::{Oldest, ReadError, Record, Sequence};

#[derive(Debug)]
pub(crate) struct Directory<F> {
    shards: Vec<Shard>,
    segments: BTreeMap<u64, Held<F>>,
    cache: Cache,
}

#[derive(Debug)]
struct Shard {
    first: Sequence,
    last: Sequence,
    /// The segments that have its records, each with the first sequence in it.
    places: VecDeque<(Sequence, u64)>,
}

#[derive(Debug)]
struct Held<F> {
    segment: Arc<Segment<F>>,
    /// Where its last group ends.
    end: u32,
    /// The ordinal of its first group, and how many there are.
    groups: (u64, u32),
    /// Where its records are, as long as they may be in the cache or it is not sealed.
    index: Option<Index>,
    /// What its footer says, once it is sealed.
    table: Option<Table>,
}

/// Where records are found.
pub(crate) enum Found<F> {
    /// There are none.
    None,
    /// In memory.
    Records(Vec<Record>),
    /// In a segment, which ends at `end`, at these offsets.
    At { segment: Arc<Segment<F>>, end: u32, offsets: Vec<u32> },
    /// In a sealed segment, where the footer has `count` offsets from `at` on.
    Listed { segment: Arc<Segment<F>>, end: u32, at: u32, count: u32 },
}

/// A batch that was written.
pub(crate) struct Written<'a> {
    pub shard: u32,
    pub first: Sequence,
    pub offsets: &'a [u32],
}

impl<F: File> Directory<F> {
    pub fn new(cache_bytes: usize) -> Directory<F> {
        Directory { shards: Vec::new(), segments: BTreeMap::new(), cache: Cache::new(cache_bytes) }
    }

    pub fn first(&self, shard: u32) -> Sequence {
        self.shards.get(shard as usize).map_or(1, |shard| shard.first)
    }

    pub fn last(&self, shard: u32) -> Sequence {
        self.shards.get(shard as usize).map_or(0, |shard| shard.last)
    }

    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    pub fn lasts(&self) -> Vec<Sequence> {
        self.shards.iter().map(|shard| shard.last).collect()
    }

    pub fn firsts(&self) -> Vec<Sequence> {
        self.shards.iter().map(|shard| shard.first).collect()
    }

    /// Sets from where on a shard has not been trimmed, before it has any records.
    pub fn begin_shard(&mut self, number: u32, first: Sequence) {
        let shard = self.shard(number);
        (shard.first, shard.last) = (first, first - 1);
    }

    /// Adds an empty segment, to be appended to.
    pub fn begin(&mut self, segment: Arc<Segment<F>>, end: u32, ordinal: u64) {
        let held = Held { end, groups: (ordinal, 0), index: Some(Index::default()), table: None, segment };
        self.segments.insert(held.segment.number(), held);
    }

    /// Adds a sealed segment; the records that it has of a shard must not leave a gap. If they do, which shard it is and
    /// the sequences that are missing.
    pub fn add(&mut self, segment: Arc<Segment<F>>, table: Table) -> Result<(), (u32, Sequence, Sequence)> {
        let number = segment.number();
        for span in &table.spans {
            let shard = self.shard(span.shard);
            if span.last() < shard.first {
                continue;
            }
            if span.first > shard.last + 1 {
                return Err((span.shard, shard.last + 1, span.first - 1));
            }
            shard.last = shard.last.max(span.last());
            shard.places.push_back((span.first, number));
        }
        let held = Held {
            end: table.end,
            groups: (table.ordinal, table.groups),
            index: None,
            table: Some(table),
            segment,
        };
        self.segments.insert(number, held);
        Ok(())
    }

    /// Notes a group that was written to the segment `number` at `offset`, and is durable. It takes so many bytes of memory
    /// more than it has.
    pub fn appended<'a>(
        &mut self,
        number: u64,
        offset: u32,
        (group, lost): (Bytes, usize),
        batches: impl Iterator<Item = Written<'a>>,
    ) -> usize {
        let Directory { shards, segments, cache } = self;
        let Some(held) = segments.get_mut(&number) else { return 0 };
        held.end = offset + group.len() as u32;
        held.groups.1 += 1;
        let Some(index) = &mut held.index else { return 0 };
        for Written { shard: number_of_shard, first, offsets } in batches {
            let is_new = index.push(number_of_shard, first, offsets);
            debug_assert!(is_new.is_some(), "shard {number_of_shard} does not go on at {first}");
            let shard = shard_of(shards, number_of_shard);
            shard.last += offsets.len() as u64;
            if is_new == Some(true) {
                shard.places.push_back((first, number));
            }
        }
        let shards = index.shards();
        cache.push(number, offset, group, lost);
        self.drop_indexes();
        shards
    }

    /// What is to be written to seal the segment `number`.
    pub fn footer(&self, number: u64) -> Option<(Arc<Segment<F>>, Footer)> {
        let held = self.segments.get(&number)?;
        let footer = held.index.as_ref()?.footer(&held.segment.header, held.groups, held.end);
        Some((Arc::clone(&held.segment), footer))
    }

    /// Segments that have something in them and are not sealed.
    pub fn unsealed(&self) -> Vec<u64> {
        let unsealed = self.segments.iter().filter(|(_, held)| held.table.is_none() && held.groups.1 > 0);
        unsealed.map(|(number, _)| *number).collect()
    }

    /// Notes that the segment `number` is sealed.
    pub fn sealed(&mut self, number: u64, table: Table) {
        if let Some(held) = self.segments.get_mut(&number) {
            held.table = Some(table);
        }
        self.drop_indexes();
    }

    /// Where records of `shard` are from `from` on: `count_max` of them, as many as come to `bytes_max`, but at least
    /// one, as far as they are in one place.
    pub fn find(
        &self,
        shard: u32,
        from: Sequence,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Found<F>, ReadError> {
        let first = self.first(shard);
        if from < first {
            return Err(ReadError::Trimmed { first });
        }
        if from > self.last(shard) {
            return Ok(Found::None);
        }
        let Some(held) = self.place(shard, from).and_then(|number| self.segments.get(&number)) else {
            debug_assert!(false, "{shard}/{from} is in no segment");
            return Ok(Found::None);
        };
        let found = match (&held.index, &held.table) {
            (Some(index), _) => index.run(shard).and_then(|run| {
                let at = usize::try_from(from.checked_sub(run.first)?).ok()?;
                let offsets = run.offsets.get(at..)?;
                let cached = self.cached(held, from, &offsets[..offsets.len().min(count_max)], bytes_max);
                if !cached.is_empty() {
                    return Some(Found::Records(cached));
                }
                let offsets = offsets[..offsets.len().min(count_max)].to_vec();
                Some(Found::At { segment: Arc::clone(&held.segment), end: held.end, offsets })
            }),
            (None, Some(table)) => table.span(shard).and_then(|span| {
                let skipped = u32::try_from(from.checked_sub(span.first)?).ok()?;
                let count = span
                    .count
                    .checked_sub(skipped)
                    .filter(|count| *count > 0)?
                    .min(u32::try_from(count_max).unwrap_or(u32::MAX));
                let segment = Arc::clone(&held.segment);
                Some(Found::Listed { segment, end: held.end, at: span.at + 4 * skipped, count })
            }),
            (None, None) => None,
        };
        found.ok_or_else(|| ReadError::Damaged {
            place: format!("the index of shard {shard}"),
            offset: from,
            what: "a record is not where it should be".to_owned(),
        })
    }

    /// Gives up the records of `shard` before `before`.
    pub fn trim(&mut self, shard: u32, before: Sequence) {
        let Some(shard) = self.shards.get_mut(shard as usize) else { return };
        shard.first = shard.first.max(before.min(shard.last + 1));
        while shard.places.get(1).is_some_and(|(next, _)| *next <= shard.first) {
            shard.places.pop_front();
        }
    }

    /// Sealed segments all of whose records have been trimmed, as far as none before them is needed: a segment that is missing
    /// between others must have been lost.
    pub fn free(&self) -> Vec<u64> {
        let free = self.segments.iter().take_while(|(_, held)| {
            held.table
                .as_ref()
                .is_some_and(|table| table.spans.iter().all(|span| span.last() < self.first(span.shard)))
        });
        free.map(|(number, _)| *number).collect()
    }

    /// Takes a segment away.
    pub fn remove(&mut self, number: u64) -> Option<Arc<Segment<F>>> {
        let held = self.segments.remove(&number)?;
        if self.segments.keys().next().is_none_or(|oldest| *oldest > number) {
            self.cache.forget(number);
        }
        Some(held.segment)
    }

    /// The oldest sealed segment that has records which have not been trimmed.
    pub fn oldest(&self) -> Option<Oldest> {
        self.segments.values().find_map(|held| {
            let left = held.table.as_ref()?.spans.iter().filter(|span| span.last() >= self.first(span.shard));
            let up_to: Vec<_> = left.map(|span| (span.shard, span.last())).collect();
            (!up_to.is_empty()).then(|| Oldest { bytes: u64::from(held.segment.length), up_to })
        })
    }

    /// How many bytes the segments have in them.
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|held| u64::from(held.end)).sum()
    }

    fn place(&self, shard: u32, sequence: Sequence) -> Option<u64> {
        let places = &self.shards.get(shard as usize)?.places;
        let after = places.partition_point(|(first, _)| *first <= sequence);
        places.get(after.checked_sub(1)?).map(|(_, number)| *number)
    }

    fn cached(&self, held: &Held<F>, from: Sequence, offsets: &[u32], bytes_max: usize) -> Vec<Record> {
        let mut records = Vec::new();
        let mut bytes = 0;
        for (sequence, offset) in (from..).zip(offsets) {
            let Some((group, at)) = self.cache.get(held.segment.number(), *offset) else { break };
            let begin = at + RecordHeader::BYTES;
            let Some(header) = group[at..].first_chunk() else { break };
            let length = RecordHeader::peek(header).length as usize;
            bytes += length;
            if bytes > bytes_max && !records.is_empty() {
                break;
            }
            records.push(Record { sequence, bytes: group.slice(begin..begin + length) });
        }
        records
    }

    /// Gives up the indexes of sealed segments of which nothing is cached any more.
    fn drop_indexes(&mut self) {
        let cached = self.cache.oldest().unwrap_or(u64::MAX);
        for held in self.segments.values_mut().rev().skip_while(|held| held.segment.number() >= cached) {
            if held.table.is_some() && held.index.take().is_none() {
                break;
            }
        }
    }

    fn shard(&mut self, number: u32) -> &mut Shard {
        shard_of(&mut self.shards, number)
    }
}

fn shard_of(shards: &mut Vec<Shard>, number: u32) -> &mut Shard {
    let at = number as usize;
    if shards.len() <= at {
        shards.resize_with(at + 1, || Shard { first: 1, last: 0, places: VecDeque::new() });
    }
    &mut shards[at]
}
