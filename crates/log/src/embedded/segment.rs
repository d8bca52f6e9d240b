//! A segment's file, and how a record is read from it.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::lock;

use crate::disk::File;
use crate::format::{Header, LOST, RecordHeader};
use crate::{ReadError, Sequence};

/// A segment's file. Whoever reads from it holds an `Arc` of it; a file is written over only if nobody does.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    pub header: Header,
    pub seed: u32,
    pub file: F,
    /// Its length, bytes.
    pub length: u32,
    /// How messages name it.
    pub place: String,
    /// Up to where the file has been written once. Beyond, its blocks are only reserved, and the first write to
    /// such a block costs an entry in the file system's journal, which doubles what a sync takes.
    filled: AtomicU32,
    /// Held by who moves that on: nobody else writes there meanwhile.
    filling: Mutex<()>,
    /// Up to where there are records, as who fills it needs to know.
    used: AtomicU32,
}

impl<F: File> Segment<F> {
    /// One whose file has been written up to `filled`.
    pub fn new(header: Header, file: F, length: u32, filled: u32, place: String) -> Segment<F> {
        Segment {
            header,
            seed: header.seed(),
            file,
            length,
            place,
            filled: AtomicU32::new(filled),
            filling: Mutex::new(()),
            used: AtomicU32::new(0),
        }
    }

    /// To be called before a group of `length` bytes is written that ends at `end`: makes sure that it comes to blocks that
    /// were written before, or that only little of it does not. A large group is worth its entry in the journal.
    pub fn fill_for(&self, length: usize, end: u32) -> io::Result<()> {
        if end <= self.filled.load(Ordering::Acquire) {
            return Ok(());
        }
        let _filling = lock(&self.filling);
        let filled = self.filled.load(Ordering::Acquire);
        if end <= filled {
            return Ok(());
        }
        if length >= LARGE_BYTES {
            // The group itself is what fills it.
            self.filled.store(end, Ordering::Release);
            return Ok(());
        }
        self.zero(filled, end.saturating_add(FILL_BYTES))
    }

    /// Notes that a group of `length` bytes has been written that ends at `end`: whether somebody had better fill more.
    pub fn written(&self, length: usize, end: u32) -> bool {
        self.used.store(end, Ordering::Relaxed);
        length < LARGE_BYTES && self.wants_filling(FILL_AHEAD / 2)
    }

    /// Fills one piece more, as far as it is not filled so many bytes ahead, and syncs it, which is short, for others sync
    /// meanwhile. Whether there is more to be filled now.
    pub fn fill_ahead(&self, ahead: u32) -> io::Result<bool> {
        if !self.wants_filling(ahead) {
            return Ok(false);
        }
        let filling = lock(&self.filling);
        let filled = self.filled.load(Ordering::Acquire);
        self.zero(filled, filled.saturating_add(FILL_BYTES))?;
        drop(filling);
        self.file.sync()?;
        Ok(self.wants_filling(ahead))
    }

    fn wants_filling(&self, ahead: u32) -> bool {
        let filled = self.filled.load(Ordering::Acquire);
        filled < self.length && filled.saturating_sub(self.used.load(Ordering::Relaxed)) < ahead
    }

    fn zero(&self, from: u32, to: u32) -> io::Result<()> {
        let to = to.min(self.length);
        let mut at = from;
        while at < to {
            let piece = (to - at).min(FILL_BYTES);
            self.file.write_at(&ZEROS[..piece as usize], u64::from(at))?;
            at += piece;
        }
        self.filled.store(to, Ordering::Release);
        Ok(())
    }

    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// The record at `offset`, which is to be `sequence` of `shard` and to end before `end`.
    pub fn record(&self, offset: u32, end: u32, shard: u32, sequence: Sequence) -> Result<Bytes, ReadError> {
        if offset == LOST {
            return Err(self.lost());
        }
        let mut front = [0; FRONT_BYTES];
        let there =
            end.checked_sub(offset).ok_or_else(|| self.damaged(offset, "the footer points beyond it"))?;
        let front = &mut front[..FRONT_BYTES.min(there as usize)];
        self.read(front, offset)?;
        let Some((header, payload)) = front.split_first_chunk::<{ RecordHeader::BYTES }>() else {
            return Err(self.damaged(offset, "the footer points beyond its end"));
        };
        let length = RecordHeader::peek(header).length as usize;
        if length <= payload.len() {
            return self.checked(
                header,
                Bytes::copy_from_slice(&payload[..length]),
                offset,
                (shard, sequence),
            );
        }
        if length > there as usize - RecordHeader::BYTES {
            return Err(self.damaged(offset, "the record's length cannot be"));
        }
        let mut whole = vec![0; length];
        let (begun, rest) = whole.split_at_mut(payload.len());
        begun.copy_from_slice(payload);
        self.read(rest, offset + RecordHeader::BYTES as u32 + begun.len() as u32)?;
        self.checked(header, whole.into(), offset, (shard, sequence))
    }

    /// The record that begins at `at` in `window`, which was read at `base`; `None` if it ends beyond the window.
    pub fn record_in(
        &self,
        window: &Bytes,
        base: u32,
        at: usize,
        expected: (u32, Sequence),
    ) -> Option<Result<Bytes, ReadError>> {
        let header = window.get(at..)?.first_chunk::<{ RecordHeader::BYTES }>()?;
        let begin = at + RecordHeader::BYTES;
        let end = begin + RecordHeader::peek(header).length as usize;
        (end <= window.len())
            .then(|| self.checked(header, window.slice(begin..end), base + at as u32, expected))
    }

    fn checked(
        &self,
        header: &[u8; RecordHeader::BYTES],
        payload: Bytes,
        offset: u32,
        (shard, sequence): (u32, Sequence),
    ) -> Result<Bytes, ReadError> {
        RecordHeader::check(self.seed, header, &payload)
            .map_err(|defect| self.damaged(offset, &defect.to_string()))?;
        let said = RecordHeader::peek(header);
        match (said.shard, said.sequence) == (shard, sequence) {
            true => Ok(payload),
            false => Err(self.damaged(offset, "the footer points to another record")),
        }
    }

    /// Fills `buffer` from `offset` on.
    pub fn read(&self, buffer: &mut [u8], offset: u32) -> Result<(), ReadError> {
        self.file.read_at(buffer, u64::from(offset)).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged(offset, "the file ends before"),
            _ => ReadError::Failed {
                place: self.place.clone(),
                offset: u64::from(offset),
                error: Arc::new(error),
            },
        })
    }

    /// What is said of a record that was given up.
    pub fn lost(&self) -> ReadError {
        ReadError::Lost { place: self.place.clone() }
    }

    pub fn damaged(&self, offset: u32, what: &str) -> ReadError {
        ReadError::Damaged { place: self.place.clone(), offset: u64::from(offset), what: what.to_owned() }
    }
}

/// What is read at once where a record's length is not known yet: one page takes most records whole.
pub(crate) const FRONT_BYTES: usize = 4096;
/// How many bytes are filled at a time: so few that a sync that falls together with it takes hardly longer.
const FILL_BYTES: u32 = 256 << 10;
/// What they are filled with: never written, so that nobody has to clear it.
static ZEROS: [u8; FILL_BYTES as usize] = [0; FILL_BYTES as usize];
/// How far ahead of the records a segment is filled that was not filled before it was needed: what is written while the thread
/// that fills it wakes up, and more.
pub(super) const FILL_AHEAD: u32 = 4 << 20;
/// From how many bytes on a group is written to blocks that were only reserved: to fill them before would write everything
/// twice, where the disk has enough to do.
pub(super) const LARGE_BYTES: usize = 2 << 20;
