//! The file that holds the head, of which one slot is whole at any time.

use std::io;

use super::OpenError;
use super::open_error::{damaged, failed};
use crate::Sequence;
use crate::disk::{Disk, File};
use crate::format::{Defect, HEAD, HEAD_BYTES, HEAD_NEW, Head, SLOT_BYTES};

/// The head and its file.
#[derive(Debug)]
pub(crate) struct HeadFile<F> {
    file: F,
    head: Head,
    /// The slot to be written first. Never the only one that is known to be whole.
    slot: usize,
}

impl<F: File> HeadFile<F> {
    /// Reads the head.
    pub fn open<D: Disk<File = F>>(disk: &D) -> Result<HeadFile<F>, OpenError> {
        let place = || disk.path(HEAD);
        let file = disk.open(HEAD).map_err(failed("open", place()))?;
        let length = file.len().map_err(failed("read", place()))?.min(HEAD_BYTES as u64);
        let mut bytes = vec![0; length as usize];
        file.read_at(&mut bytes, 0).map_err(failed("read", place()))?;
        let (slot, head) = newest(&bytes).map_err(|defect| damaged(place(), 0, &defect))?;
        Ok(HeadFile { file, head, slot: 1 - slot })
    }

    /// Makes the head of a new log, or of one whose head is lost.
    pub fn make<D: Disk<File = F>>(disk: &D, head: Head) -> io::Result<HeadFile<F>> {
        let file = disk.create(HEAD_NEW)?;
        file.reserve(HEAD_BYTES as u64)?;
        // All of it once, so that no later write needs room on a file system that only promised it.
        file.write_at(&vec![0; HEAD_BYTES], 0)?;
        let bytes = head.encode();
        file.write_at(&bytes, 0)?;
        file.write_at(&bytes, SLOT_BYTES as u64)?;
        file.sync()?;
        disk.rename(HEAD_NEW, HEAD)?;
        disk.sync()?;
        Ok(HeadFile { file, head, slot: 0 })
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Notes durably up to where each shard has been trimmed.
    pub fn write(&mut self, firsts: Vec<Sequence>) -> io::Result<()> {
        self.head.firsts = firsts;
        self.head.generation += 1;
        let bytes = self.head.encode();
        for _ in 0..2 {
            self.file.write_at(&bytes, (self.slot * SLOT_BYTES) as u64)?;
            self.file.sync()?;
            // This one is whole now; the other is next, and stays so if it fails.
            self.slot = 1 - self.slot;
        }
        Ok(())
    }
}

/// The newest of the slots that are whole, and which it is.
fn newest(file: &[u8]) -> Result<(usize, Head), Defect> {
    let mut slots = file.chunks(SLOT_BYTES).take(2).map(Head::decode).enumerate();
    let (Some((_, first)), second) = (slots.next(), slots.next()) else {
        return Err(Defect::Wrong("the head is empty"));
    };
    match (first, second.map(|(_, slot)| slot)) {
        (Ok(first), Some(Ok(second))) if second.generation > first.generation => Ok((1, second)),
        (Ok(first), _) => Ok((0, first)),
        (Err(_), Some(Ok(second))) => Ok((1, second)),
        (Err(defect), _) => Err(defect),
    }
}
