//! What can be read of a segment that is not whole, and how much cannot.
//!
//! Groups are read from the beginning. Where one is not whole, its records are looked at one by one: each has a checksum
//! of its own. How many are missing there is known as long as the group's header can be read, for that says how many
//! there must be; or if the records that can be read take all the room up to the next group. What is left at the end of
//! a last write has nothing behind it, and counts for nothing here as it does at an opening.

use std::collections::BTreeMap;
use std::io;

use super::scan::{Window, header, later};
use super::segment::Segment;
use crate::disk::File;
use crate::format::{GroupHeader, HEADER_BYTES, RecordHeader, SEQUENCE_MAX};
use crate::{SHARDS_MAX, Sequence};

/// Where records are, by shard and sequence.
pub(crate) type Records = BTreeMap<u32, BTreeMap<Sequence, u32>>;

/// What can be read of a segment.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The records that are whole.
    pub records: Records,
    /// The ordinals of the first group and of the one after the last, whole or not.
    pub groups: Option<(u64, u64)>,
    /// Where the last of them begins,
    pub last: u32,
    /// and where it ends.
    pub end: u32,
    /// Where groups are not whole, in order.
    pub breaks: Vec<Break>,
    /// What is left of a last write that was never acknowledged: where, and how many bytes.
    pub torn: Option<(u32, u32)>,
}

/// A place where groups are not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    /// Where it begins,
    pub begin: u32,
    /// and where what follows does.
    pub end: u32,
    /// How many records cannot be read there; nothing if that cannot be told.
    pub missing: Option<u32>,
    /// What the header of the group must be, if nothing but that is damaged.
    pub header: Option<GroupHeader>,
    /// The ordinal of the first group there, if that is known.
    pub first: Option<u64>,
}

/// Reads what there is of groups up to `limit`. The first group should have the ordinal `expected`, and the one that comes
/// after those of this segment has `following`, as far as that is known.
pub(crate) fn survey<F: File>(
    segment: &Segment<F>,
    limit: u32,
    expected: Option<u64>,
    following: Option<u64>,
) -> io::Result<Survey> {
    let window = Window::new(&segment.file, limit.min(segment.length));
    let mut surveyor = Surveyor {
        window,
        seed: segment.seed,
        limit: limit.min(segment.length),
        next: expected,
        survey: Survey { end: HEADER_BYTES, ..Survey::default() },
        staged: Vec::new(),
    };
    let mut at = HEADER_BYTES;
    while let Some(after) = surveyor.step(at)? {
        at = after;
    }
    surveyor.finish(following)
}

struct Surveyor<'a, F> {
    window: Window<'a, F>,
    seed: u32,
    limit: u32,
    /// The ordinal that the next group must have, if that is known.
    next: Option<u64>,
    survey: Survey,
    /// Places behind which nothing has been seen yet.
    staged: Vec<Staged>,
}

/// A place behind which nothing has been seen yet.
struct Staged {
    place: Break,
    found: Found,
    /// The ordinal of the last group there, if that is known.
    last: Option<u64>,
    /// Where the records end that could be read.
    stopped: u32,
}

/// Records that are whole: shard, sequence and place.
type Found = Vec<(u32, Sequence, u32)>;

impl<F: File> Surveyor<'_, F> {
    /// Looks at what is at `at`; where to go on, if anything follows.
    fn step(&mut self, at: u32) -> io::Result<Option<u32>> {
        let there = header(&mut self.window, self.seed, at)?;
        let is_next = |header: &GroupHeader| match self.next {
            Some(next) => header.ordinal == next || (at == HEADER_BYTES && header.ordinal > next),
            None => true,
        };
        match there.filter(is_next) {
            Some(header) => self.group(at, &header),
            None => self.nothing(at),
        }
    }

    /// A group whose header is whole.
    fn group(&mut self, at: u32, header: &GroupHeader) -> io::Result<Option<u32>> {
        // What is here was written after all that is before it.
        self.commit();
        let Some(end) = at.checked_add(header.length).filter(|end| *end <= self.limit) else {
            return self.nothing(at);
        };
        let mut found = Found::new();
        let stopped = self.records(at, end, Some(header.records), &mut found)?;
        let room = (header.length as usize - GroupHeader::BYTES) / RecordHeader::BYTES;
        let missing =
            header.records.checked_sub(found.len() as u32).filter(|_| header.records as usize <= room);
        let ordinal = Some(header.ordinal);
        let place = Break { begin: at, end, missing, header: None, first: ordinal };
        self.staged.push(Staged { place, found, last: ordinal, stopped });
        if missing == Some(0) && end - stopped < GroupHeader::ALIGNMENT as u32 {
            self.commit_group();
        }
        self.next = Some(header.ordinal + 1);
        Ok(Some(end))
    }

    /// Where no group begins, or not the one that should: up to the next that does, if there is one.
    fn nothing(&mut self, at: u32) -> io::Result<Option<u32>> {
        let from = at.saturating_add(GroupHeader::ALIGNMENT as u32);
        let known = self.next.unwrap_or(0);
        let found_later = later(&mut self.window, self.seed, from, known)?;
        let end = found_later.unwrap_or(self.limit);
        let mut found = Found::new();
        let stopped = self.records(at, end, None, &mut found)?;
        let ordinal = match found_later {
            Some(later) => header(&mut self.window, self.seed, later)?.map(|header| header.ordinal),
            None => None,
        };
        let last = ordinal.map(|ordinal| ordinal - 1);
        let place = Break { begin: at, end, missing: None, header: None, first: self.next.or(last) };
        let mut staged = Staged { place, found, last, stopped };
        staged.complete();
        self.staged.push(staged);
        self.next = ordinal.or(self.next);
        Ok(found_later)
    }

    /// The records of a group that begins at `begin` which are whole, `count` of them or as long as they are; where that
    /// ends.
    fn records(&mut self, begin: u32, end: u32, count: Option<u32>, found: &mut Found) -> io::Result<u32> {
        let mut at = begin.saturating_add(GroupHeader::BYTES as u32).min(end);
        for _ in 0..count.unwrap_or(u32::MAX) {
            if end - at < RecordHeader::BYTES as u32 {
                break;
            }
            let said =
                self.window.get(at, RecordHeader::BYTES)?.and_then(|bytes| bytes.first_chunk().copied());
            let Some(said) = said else { break };
            let record = RecordHeader::peek(&said);
            let body = at + RecordHeader::BYTES as u32;
            if record.length > end - body {
                break;
            }
            let payload = self.window.get(body, record.length as usize)?;
            let is_whole = record.shard < SHARDS_MAX
                && (1..SEQUENCE_MAX).contains(&record.sequence)
                && payload.is_some_and(|payload| RecordHeader::check(self.seed, &said, payload).is_ok());
            if is_whole {
                found.push((record.shard, record.sequence, at));
            } else if count.is_none() {
                break;
            }
            // Where the length is damaged, too, nothing is found from here on.
            at = body + record.length;
        }
        Ok(at)
    }

    /// What was not whole had been synced.
    fn commit(&mut self) {
        for Staged { place, found, last, .. } in std::mem::take(&mut self.staged) {
            (self.survey.last, self.survey.end) = (place.begin, place.end);
            if let Some(last) = last {
                let (first, _) = self.survey.groups.unwrap_or((place.first.unwrap_or(last), last));
                self.survey.groups = Some((first, last.saturating_add(1)));
            }
            self.survey.breaks.push(place);
            for (shard, sequence, offset) in found {
                self.survey.records.entry(shard).or_default().entry(sequence).or_insert(offset);
            }
        }
    }

    /// What was staged last is whole.
    fn commit_group(&mut self) {
        self.commit();
        self.survey.breaks.pop();
    }

    /// What comes after in another segment was written after all that is here.
    fn finish(mut self, following: Option<u64>) -> io::Result<Survey> {
        let next = self.survey.groups.map(|(_, next)| next);
        let is_later = |following: &u64| next.is_none_or(|next| *following > next);
        let Some(following) = following.filter(is_later) else {
            let begun = self.staged.iter().find(|staged| staged.last.is_some() || !staged.found.is_empty());
            self.survey.torn = begun.map(|Staged { place, last, stopped, .. }| {
                let end = if last.is_some() { place.end } else { *stopped };
                (place.begin, end - place.begin)
            });
            return Ok(self.survey);
        };
        // Behind the last group there is never one.
        if self.next == Some(following) {
            self.staged.retain(|staged| staged.last.is_some());
        }
        if let Some(staged) = self.staged.last_mut() {
            staged.last = staged.last.or(following.checked_sub(1));
            staged.complete();
        }
        self.commit();
        Ok(self.survey)
    }
}

impl Staged {
    /// Notes what the header must be, if all is there that its group had but for that.
    fn complete(&mut self) {
        let Staged { place, found, last, stopped } = self;
        let is_one = place.first.is_some() && place.first == *last;
        let is_full = !found.is_empty() && place.end - *stopped < GroupHeader::ALIGNMENT as u32;
        if let (Some(ordinal), None, true) = (*last, place.missing, is_one && is_full) {
            place.missing = Some(0);
            let length = place.end - place.begin;
            place.header = Some(GroupHeader { ordinal, length, records: found.len() as u32 });
        }
    }
}

impl Survey {
    /// The sequences of its records that have no gaps, by shard in order: from and to.
    pub fn runs(&self) -> Vec<(u32, Sequence, Sequence)> {
        let mut runs: Vec<(u32, Sequence, Sequence)> = Vec::new();
        for (shard, records) in &self.records {
            for sequence in records.keys() {
                match runs.last_mut() {
                    Some((of, _, last)) if of == shard && *last + 1 == *sequence => *last = *sequence,
                    _ => runs.push((*shard, *sequence, *sequence)),
                }
            }
        }
        runs
    }

    /// The place at which the record was that was said to be at `offset`.
    pub fn break_at(&self, offset: u32) -> Option<&Break> {
        self.breaks.iter().find(|place| (place.begin..place.end).contains(&offset)).or(self.breaks.first())
    }

    /// Forgets what is from `offset` on, where a break begins.
    pub fn cut(&mut self, offset: u32) {
        self.records.values_mut().for_each(|run| run.retain(|_, at| *at < offset));
        self.records.retain(|_, run| !run.is_empty());
        let next = self.breaks.iter().find(|place| place.begin == offset).and_then(|place| place.first);
        self.groups = self.groups.map(|(first, all)| (first, next.unwrap_or(all)));
        self.breaks.retain(|place| place.begin < offset);
        // What the last group was need not be known: what is left is written anew as a whole, or was followed.
        (self.last, self.end) = (self.last.min(offset), self.end.min(offset));
    }
}
