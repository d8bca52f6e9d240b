//! Reading: from memory where it is new, else with as few reads of a file as neighbouring records allow.

use bytes::Bytes;

use super::Inner;
use super::directory::Found;
use super::segment::{FRONT_BYTES, Segment};
use crate::disk::{Disk, File};
use crate::format::LOST;
use crate::{ReadError, Record, Sequence};

impl<D: Disk> Inner<D> {
    pub(super) fn get(&self, shard: u32, sequence: Sequence) -> Result<Bytes, ReadError> {
        let found = self.directory().find(shard, sequence, 1, 0)?;
        let (segment, end, offsets) = match found {
            Found::None => return Err(ReadError::NotYet { last: self.directory().last(shard) }),
            Found::Records(mut records) => {
                let last = self.directory().last(shard);
                return records.pop().map(|record| record.bytes).ok_or(ReadError::NotYet { last });
            }
            Found::At { segment, end, offsets } => (segment, end, offsets),
            Found::Listed { segment, end, at, .. } => {
                let offsets = listed(&segment, at, 1)?;
                (segment, end, offsets)
            }
        };
        segment.record(offsets[0], end, shard, sequence)
    }

    pub(super) fn read(
        &self,
        shard: u32,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let mut batch = Reading { records: Vec::new(), shard, next: from, bytes: 0, bytes_max };
        while !batch.is_full() {
            let at = batch.next;
            let found = self.directory().find(shard, at, COUNT_MAX, bytes_max - batch.bytes);
            let went_on = match found {
                Ok(Found::None) => break,
                Ok(Found::Records(records)) => {
                    let _ = records.into_iter().all(|record| batch.push(record.bytes));
                    Ok(())
                }
                Ok(Found::At { segment, end, offsets }) => batch.take(&segment, end, &offsets),
                Ok(Found::Listed { segment, end, at, count }) => {
                    let count = count.min(COUNT_MAX as u32);
                    listed(&segment, at, count).and_then(|offsets| batch.take(&segment, end, &offsets))
                }
                Err(error) => Err(error),
            };
            match went_on {
                Err(error) if batch.records.is_empty() => return Err(error),
                Err(_) => break,
                // An index that was forged may lead nowhere.
                Ok(()) if batch.next == at && batch.records.is_empty() => {
                    let place = format!("the index of shard {shard}");
                    let what = "it leads to no record".to_owned();
                    return Err(ReadError::Damaged { place, offset: at, what });
                }
                Ok(()) if batch.next == at => break,
                Ok(()) => {}
            }
        }
        Ok(batch.records)
    }
}

/// Records that are being gathered.
struct Reading {
    records: Vec<Record>,
    shard: u32,
    next: Sequence,
    bytes: usize,
    bytes_max: usize,
}

impl Reading {
    fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max && !self.records.is_empty()
    }

    /// Adds the next record, unless that makes too much; whether it did.
    fn push(&mut self, bytes: Bytes) -> bool {
        if self.bytes + bytes.len() > self.bytes_max && !self.records.is_empty() {
            self.bytes = self.bytes_max;
            return false;
        }
        self.bytes += bytes.len();
        self.records.push(Record { sequence: self.next, bytes });
        self.next += 1;
        true
    }

    /// Adds the records of a segment that are at `offsets`.
    fn take<F: File>(
        &mut self,
        segment: &Segment<F>,
        end: u32,
        mut offsets: &[u32],
    ) -> Result<(), ReadError> {
        while !offsets.is_empty() && !self.is_full() {
            let there = offsets.iter().position(|offset| *offset == LOST).unwrap_or(offsets.len());
            if there == 0 {
                return Err(segment.lost());
            }
            let count = neighbours(&offsets[..there], self.bytes_max.saturating_sub(self.bytes));
            let (near, rest) = offsets.split_at(count);
            self.take_near(segment, end, near)?;
            offsets = rest;
        }
        Ok(())
    }

    /// Adds records that lie close together, by one read for all if that takes them.
    fn take_near<F: File>(
        &mut self,
        segment: &Segment<F>,
        end: u32,
        offsets: &[u32],
    ) -> Result<(), ReadError> {
        let (base, last) = (offsets[0], offsets[offsets.len() - 1]);
        let length = u64::from(last - base) + FRONT_BYTES as u64;
        let length = length.min(u64::from(end.saturating_sub(base)));
        let mut window = vec![0; length as usize];
        segment.read(&mut window, base)?;
        let window = Bytes::from(window);
        for offset in offsets {
            let expected = (self.shard, self.next);
            let record = segment.record_in(&window, base, (offset - base) as usize, expected);
            let record = record.unwrap_or_else(|| segment.record(*offset, end, self.shard, self.next))?;
            if !self.push(record) {
                break;
            }
        }
        Ok(())
    }
}

/// How many of the first offsets lie so close together that they are read at once.
fn neighbours(offsets: &[u32], bytes_max: usize) -> usize {
    let most = bytes_max.min(WINDOW_BYTES_MAX) as u32;
    let near = |pair: &&[u32]| {
        pair[1].checked_sub(pair[0]).is_some_and(|gap| gap <= GAP_BYTES_MAX)
            && pair[1].checked_sub(offsets[0]).is_some_and(|length| length <= most)
    };
    1 + offsets.windows(2).take_while(near).count()
}

/// `count` offsets that the footer of a segment has at `at`.
fn listed<F: File>(segment: &Segment<F>, at: u32, count: u32) -> Result<Vec<u32>, ReadError> {
    let mut bytes = vec![0; 4 * count as usize];
    segment.read(&mut bytes, at)?;
    let (offsets, _) = bytes.as_chunks::<4>();
    Ok(offsets.iter().map(|offset| u32::from_le_bytes(*offset)).collect())
}

/// How many records are looked up at once.
const COUNT_MAX: usize = 512;
/// The most that is read at once, and kept in memory by who keeps one record of it.
const WINDOW_BYTES_MAX: usize = 256 << 10;
/// Up to which distance reading what lies in between is cheaper than another read.
const GAP_BYTES_MAX: u32 = 16 << 10;
