//! Reading a segment from its beginning, where no footer says what is in it.

use std::io;

use super::index::Index;
use super::recover::Cut;
use super::segment::Segment;
use crate::disk::File;
use crate::format::{GroupHeader, HEADER_BYTES, RecordHeader, SEQUENCE_MAX};
use crate::{SHARDS_MAX, Sequence};

/// What is in a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub index: Index,
    /// The ordinal of the first group, and how many there are that are whole.
    pub groups: (u64, u32),
    /// Where the last of these begins,
    pub last: u32,
    /// and where it ends.
    pub end: u32,
    /// What is wrong with what is there, if something has been begun.
    pub begun: Option<&'static str>,
    /// How long it says that it is.
    begun_bytes: u32,
    /// Where a group begins that was written after the one that is not whole.
    pub later: Option<u32>,
    /// The ordinal of the first group, whole or not, as far as that can be told.
    pub first: Option<u64>,
}

impl Scan {
    /// The ordinal that the next group must have, if that is known.
    pub fn next_ordinal(&self) -> Option<u64> {
        (self.groups.1 > 0).then(|| self.groups.0 + u64::from(self.groups.1))
    }

    /// What opening cuts off, if nothing comes after it.
    pub fn torn<F>(&self, segment: &Segment<F>) -> Option<Cut> {
        let what = self.begun?.to_owned();
        let (offset, bytes) = (u64::from(self.end), u64::from(self.begun_bytes));
        Some(Cut { place: segment.place.clone(), offset, bytes, what })
    }
}

/// Reads all groups that are whole, up to the first that is not, and looks for later ones.
pub(crate) fn scan<F: File>(segment: &Segment<F>) -> io::Result<Scan> {
    scan_from(segment, HEADER_BYTES)
}

/// The same from the group at `begin` on.
pub(crate) fn scan_from<F: File>(segment: &Segment<F>, begin: u32) -> io::Result<Scan> {
    let mut window = Window::new(&segment.file, segment.length);
    let mut scan = Scan {
        index: Index::default(),
        groups: (0, 0),
        last: begin,
        end: begin,
        begun: None,
        begun_bytes: 0,
        later: None,
        first: None,
    };
    let mut records = Vec::new();
    let begun = loop {
        let Some(header) = header(&mut window, segment.seed, scan.end)? else { break None };
        if scan.next_ordinal().is_some_and(|next| next != header.ordinal) {
            break Some((header, "a group is not the one that should follow"));
        }
        if let Err(what) = group(&mut window, segment.seed, scan.end, &header, &mut records)? {
            break Some((header, what));
        }
        if !scan.take(&header, &records) {
            break Some((header, "a shard's sequences do not go on"));
        }
    };
    (scan.begun, scan.begun_bytes) = match begun {
        Some((header, what)) => (Some(what), header.length.min(segment.length - scan.end)),
        // The header may be all that is missing.
        None => match headless(&mut window, segment.seed, scan.end)? {
            Some(bytes) => (Some("a group's header cannot be read"), bytes),
            None => (None, 0),
        },
    };
    let known = begun.map(|(header, _)| header.ordinal).or(scan.next_ordinal()).unwrap_or(0);
    scan.later = later(&mut window, segment.seed, scan.end + GroupHeader::ALIGNMENT as u32, known)?;
    scan.first = match (scan.groups, begun, scan.later) {
        ((first, 1..), ..) => Some(first),
        (_, Some((header, _)), _) => Some(header.ordinal),
        // One was before it, at least.
        (_, None, Some(later)) => {
            header(&mut window, segment.seed, later)?.map(|header| header.ordinal.saturating_sub(1))
        }
        (_, None, None) => None,
    };
    Ok(scan)
}

impl Scan {
    /// Adds a group whose records are `(shard, sequence, offset)`; whether they follow what is there.
    fn take(&mut self, header: &GroupHeader, records: &[(u32, Sequence, u32)]) -> bool {
        let follows = |shard: u32, sequence: Sequence| {
            self.index.run(shard).is_none_or(|run| run.last() + 1 == sequence)
        };
        let mut runs: Vec<(u32, Sequence, Vec<u32>)> = Vec::new();
        for (shard, sequence, offset) in records {
            match runs.iter_mut().rev().find(|(of, ..)| of == shard) {
                Some((_, first, offsets)) if *first + offsets.len() as u64 == *sequence => {
                    offsets.push(*offset)
                }
                None if follows(*shard, *sequence) => runs.push((*shard, *sequence, vec![*offset])),
                _ => return false,
            }
        }
        for (shard, first, offsets) in runs {
            self.index.push(shard, first, &offsets);
        }
        if self.groups.1 == 0 {
            self.groups.0 = header.ordinal;
        }
        self.groups.1 += 1;
        self.last = self.end;
        self.end += header.length;
        true
    }
}

pub(super) fn header<F: File>(
    window: &mut Window<'_, F>,
    seed: u32,
    offset: u32,
) -> io::Result<Option<GroupHeader>> {
    let bytes = window.get(offset, GroupHeader::BYTES)?;
    Ok(bytes.and_then(|bytes| GroupHeader::decode(seed, bytes)))
}

/// How many bytes of a group there are at `offset` at least, if it is one whose header cannot be read but whose first record
/// can.
fn headless<F: File>(window: &mut Window<'_, F>, seed: u32, offset: u32) -> io::Result<Option<u32>> {
    let Some(at) = offset.checked_add(GroupHeader::BYTES as u32) else { return Ok(None) };
    let said = window.get(at, RecordHeader::BYTES)?.and_then(|bytes| bytes.first_chunk().copied());
    let Some(said) = said else { return Ok(None) };
    let length = RecordHeader::peek(&said).length as usize;
    let is_there = length <= (window.limit - at) as usize - RecordHeader::BYTES;
    let payload = if is_there { window.get(at + RecordHeader::BYTES as u32, length)? } else { None };
    let is_whole = payload.is_some_and(|payload| RecordHeader::check(seed, &said, payload).is_ok());
    Ok(is_whole.then_some((GroupHeader::BYTES + RecordHeader::BYTES + length) as u32))
}

/// Reads the records of the group at `offset`, if all are whole.
fn group<F: File>(
    window: &mut Window<'_, F>,
    seed: u32,
    offset: u32,
    header: &GroupHeader,
    records: &mut Vec<(u32, Sequence, u32)>,
) -> io::Result<Result<(), &'static str>> {
    records.clear();
    let Some(end) = offset.checked_add(header.length).filter(|end| *end <= window.limit) else {
        return Ok(Err("a group is longer than its segment"));
    };
    let mut at = offset + GroupHeader::BYTES as u32;
    for _ in 0..header.records {
        if end - at < RecordHeader::BYTES as u32 {
            return Ok(Err("a group has fewer records than it should"));
        }
        let Some(bytes) = window.get(at, RecordHeader::BYTES)? else { return Ok(Err("a record is cut off")) };
        let Some(said) = bytes.first_chunk().copied() else { return Ok(Err("a record is cut off")) };
        let record = RecordHeader::peek(&said);
        at += RecordHeader::BYTES as u32;
        if record.length > end - at
            || record.shard >= SHARDS_MAX
            || !(1..SEQUENCE_MAX).contains(&record.sequence)
        {
            return Ok(Err("what a record says of itself cannot be"));
        }
        let payload = window.get(at, record.length as usize)?;
        if payload.is_none_or(|payload| RecordHeader::check(seed, &said, payload).is_err()) {
            return Ok(Err("a record's checksum does not fit"));
        }
        records.push((record.shard, record.sequence, at - RecordHeader::BYTES as u32));
        at += record.length;
    }
    Ok(match end - at < GroupHeader::ALIGNMENT as u32 {
        true => Ok(()),
        false => Err("a group has more than its records"),
    })
}

/// The first place from `from` on at which a group begins whose ordinal is beyond `known`.
pub(super) fn later<F: File>(
    window: &mut Window<'_, F>,
    seed: u32,
    from: u32,
    known: u64,
) -> io::Result<Option<u32>> {
    let mut at = from;
    while let Some(bytes) = window.rest(at, GroupHeader::BYTES)? {
        let last = bytes.len() - GroupHeader::BYTES;
        for begin in (0..=last).step_by(GroupHeader::ALIGNMENT) {
            if GroupHeader::decode(seed, &bytes[begin..]).is_some_and(|header| header.ordinal > known) {
                return Ok(Some(at + begin as u32));
            }
        }
        at += (last / GroupHeader::ALIGNMENT * GroupHeader::ALIGNMENT + GroupHeader::ALIGNMENT) as u32;
    }
    Ok(None)
}

/// A part of a file in memory, which moves forwards.
#[derive(Debug)]
pub(super) struct Window<'a, F> {
    file: &'a F,
    /// The end of what may be read.
    limit: u32,
    begin: u32,
    bytes: Vec<u8>,
}

impl<'a, F: File> Window<'a, F> {
    pub fn new(file: &'a F, limit: u32) -> Window<'a, F> {
        Window { file, limit, begin: 0, bytes: Vec::new() }
    }

    /// `length` bytes at `offset`, if they are there.
    pub fn get(&mut self, offset: u32, length: usize) -> io::Result<Option<&[u8]>> {
        Ok(self.rest(offset, length)?.map(|rest| &rest[..length]))
    }

    /// What is in memory from `offset` on, which is at least `length` bytes.
    fn rest(&mut self, offset: u32, length: usize) -> io::Result<Option<&[u8]>> {
        if self.limit.saturating_sub(offset) < length as u32 {
            return Ok(None);
        }
        let is_there =
            |begin: u32, bytes: usize| offset >= begin && (offset - begin) as usize + length <= bytes;
        if !is_there(self.begin, self.bytes.len()) {
            let wanted = length.max(WINDOW_BYTES).min((self.limit - offset) as usize);
            self.bytes.resize(wanted, 0);
            self.begin = offset;
            if let Err(error) = self.file.read_at(&mut self.bytes, u64::from(offset)) {
                self.bytes.clear();
                return Err(error);
            }
        }
        Ok(self.bytes.get((offset - self.begin) as usize..))
    }
}

const WINDOW_BYTES: usize = 1 << 20;
