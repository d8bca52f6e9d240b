//! Appending: one write and one sync for all batches of a call.

use std::ops::Range;
use std::sync::Arc;

use super::directory::Written;
use super::rooms::Rooms;
use super::segment::Segment;
use super::{Config, Inner, Upkeep, lock};
use crate::disk::{Disk, File};
use crate::format::{Group, HEADER_BYTES, footer_bytes, group_bytes, record_bytes};
use crate::{AppendError, Batch, Sequence};

/// Where the next group goes.
#[derive(Debug)]
pub(crate) struct Writer<F> {
    /// None before the first append, which then need not find room for opening, reading and trimming.
    segment: Option<Arc<Segment<F>>>,
    end: u32,
    /// How many records the segment has, and of how many shards.
    records: usize,
    shards: usize,
    /// The ordinal of the next group.
    ordinal: u64,
    /// Each shard's last sequence, with what is being written.
    lasts: Vec<Sequence>,
    /// Where the records of the group lie that is being written. Kept for its capacity.
    offsets: Vec<u32>,
    /// The batches that go into the next group. Kept for its capacity.
    plan: Plan,
    rooms: Rooms,
}

#[derive(Debug, Default)]
struct Plan {
    /// Which of the call's batches.
    batches: Vec<usize>,
    /// What their records come to, with headers.
    bytes: usize,
    records: usize,
}

impl<F: File> Writer<F> {
    pub fn new(ordinal: u64, lasts: Vec<Sequence>, rooms: Rooms) -> Writer<F> {
        Writer {
            segment: None,
            end: 0,
            records: 0,
            shards: 0,
            ordinal,
            lasts,
            offsets: Vec::new(),
            plan: Plan::default(),
            rooms,
        }
    }

    /// Whether a group of what is planned and `records` more, which take `bytes`, fits into the segment together
    /// with the footer.
    fn has_room(&self, bytes: usize, records: usize) -> bool {
        let records = self.records + self.plan.records + records;
        let footer = footer_bytes(self.shards + self.plan.batches.len() + 1, records);
        self.end as usize + group_bytes(self.plan.bytes + bytes) + footer <= self.length() as usize
    }

    /// Whether the next segment should be made ready, which takes as long as to write a good part of this one.
    fn is_under_way(&self) -> bool {
        self.end > self.length() / 8
    }

    /// The length of the segment; zero if there is none.
    fn length(&self) -> u32 {
        self.segment.as_ref().map_or(0, |segment| segment.length)
    }

    /// Goes on in another segment.
    fn switch(&mut self, segment: Arc<Segment<F>>) {
        self.segment = Some(segment);
        (self.end, self.records, self.shards) = (HEADER_BYTES, 0, 0);
    }

    /// The shard's last sequence.
    pub fn last(&mut self, shard: u32) -> &mut Sequence {
        let at = shard as usize;
        if self.lasts.len() <= at {
            self.lasts.resize(at + 1, 0);
        }
        &mut self.lasts[at]
    }
}

impl<D: Disk> Inner<D> {
    pub(super) fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>> {
        let mut writer = lock(&self.writer);
        let writer = &mut *writer;
        // A call that failed has left it as it was.
        writer.plan.clear();
        let mut results = vec![Ok(()); batches.len()];
        // Once there was no room for a segment, nobody else of this call need try.
        let mut full = None;
        for at in 0..batches.len() {
            results[at] = self.take(writer, batches, at, &mut full);
            if let Err(AppendError::Failed(error)) = &results[at] {
                let error = Arc::clone(error);
                return fail(results, &writer.plan.batches, at, &error);
            }
        }
        if let Err(error) = self.write(writer, batches) {
            return fail(results, &writer.plan.batches, batches.len(), &error);
        }
        results
    }

    /// Plans to write the batch `at`, and writes what was planned before if they do not fit into one segment.
    fn take(
        &self,
        writer: &mut Writer<D::File>,
        batches: &[Batch],
        at: usize,
        full: &mut Option<AppendError>,
    ) -> Result<(), AppendError> {
        if let Some(error) = self.failed.get() {
            return Err(AppendError::Failed(Arc::clone(error)));
        }
        let batch = &batches[at];
        let bytes = self.measure(batch)?;
        let last = *writer.last(batch.shard);
        if last != batch.last {
            return Err(AppendError::NotTail { last });
        }
        if batch.records.is_empty() {
            return Ok(());
        }
        if !writer.has_room(bytes, batch.records.len()) {
            if let Some(full) = full {
                return Err(full.clone());
            }
            self.write(writer, batches).map_err(AppendError::Failed)?;
            let least = Config::least(bytes, batch.records.len());
            self.switch(writer, least).inspect_err(|error| *full = Some(error.clone()))?;
        }
        writer.plan.batches.push(at);
        writer.plan.bytes += bytes;
        writer.plan.records += batch.records.len();
        *writer.last(batch.shard) += batch.records.len() as u64;
        Ok(())
    }

    /// How many bytes a batch takes, if it is not too large.
    fn measure(&self, batch: &Batch) -> Result<usize, AppendError> {
        let mut bytes = 0;
        for record in &batch.records {
            if record.len() > self.config.record_bytes_max as usize {
                let bytes_max = self.config.record_bytes_max as usize;
                return Err(AppendError::TooLarge { bytes: record.len(), bytes_max });
            }
            bytes += record_bytes(record.len());
        }
        let bytes_max = self.config.room(batch.records.len());
        match bytes > bytes_max {
            true => Err(AppendError::TooLarge { bytes, bytes_max }),
            false => Ok(bytes),
        }
    }

    /// Writes what is planned, and waits until it is durable.
    fn write(&self, writer: &mut Writer<D::File>, batches: &[Batch]) -> Result<(), Arc<std::io::Error>> {
        let Some(segment) = writer.segment.clone().filter(|_| !writer.plan.batches.is_empty()) else {
            return Ok(());
        };
        let (room, lost) = writer.rooms.take(group_bytes(writer.plan.bytes));
        let mut group = Group::new(segment.seed, room);
        writer.offsets.clear();
        for at in &writer.plan.batches {
            group.push(&batches[*at], |offset| writer.offsets.push(writer.end + offset));
        }
        let group = group.finish(writer.ordinal);
        let length = group.len();
        let end = writer.end + length as u32;
        let written = segment.fill_for(length, end).and_then(|()| {
            segment.file.write_at(&group, u64::from(writer.end))?;
            segment.file.sync()
        });
        written.map_err(|error| self.fail(error))?;

        let was_under_way = writer.is_under_way();
        let number = segment.number();
        let ranges = ranges(&writer.plan.batches, batches);
        let written = ranges.map(|(batch, range)| Written {
            shard: batch.shard,
            first: batch.last + 1,
            offsets: &writer.offsets[range],
        });
        writer.shards = self.directory_mut().appended(number, writer.end, (group, lost), written);
        writer.end = end;
        writer.ordinal += 1;
        writer.records += writer.plan.records;
        writer.plan.clear();
        self.duties.note_group(length);
        if segment.written(length, end) && self.config.upkeep == Upkeep::Background {
            self.duties.fill(segment);
        }
        if writer.is_under_way() && !was_under_way {
            self.duties.prepare();
        }
        Ok(())
    }

    /// Goes on in a segment that is so long at least.
    fn switch(&self, writer: &mut Writer<D::File>, least: usize) -> Result<(), AppendError> {
        let fresh = self.next_segment(least)?;
        self.directory_mut().begin(Arc::clone(&fresh), HEADER_BYTES, writer.ordinal);
        let full = writer.segment.as_ref().map(|segment| segment.number());
        writer.switch(fresh);
        full.map_or(Ok(()), |full| self.full(full)).map_err(AppendError::Failed)
    }
}

impl Plan {
    fn clear(&mut self) {
        self.batches.clear();
        (self.bytes, self.records) = (0, 0);
    }
}

/// The batches of a plan, each with the range of its records among all of the group.
fn ranges<'a>(plan: &'a [usize], batches: &'a [Batch]) -> impl Iterator<Item = (&'a Batch, Range<usize>)> {
    plan.iter().scan(0, |from, at| {
        let batch = &batches[*at];
        let range = *from..*from + batch.records.len();
        *from = range.end;
        Some((batch, range))
    })
}

/// The results of a call in which writing failed: of what was planned, and of what comes from `rest` on.
fn fail(
    mut results: Vec<Result<(), AppendError>>,
    planned: &[usize],
    rest: usize,
    error: &Arc<std::io::Error>,
) -> Vec<Result<(), AppendError>> {
    for at in planned.iter().copied().chain(rest..results.len()) {
        results[at] = Err(AppendError::Failed(Arc::clone(error)));
    }
    results
}
