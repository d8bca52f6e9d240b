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
    /// The slot to be written first. Never the only one that is known to be durable.
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
        let (head, slot) = newest(&bytes).map_err(|defect| damaged(place(), 0, &defect))?;
        Ok(HeadFile { file, head, slot })
    }

    /// Makes the head of a new log, or of one whose head is lost.
    pub fn make<D: Disk<File = F>>(disk: &D, head: Head) -> io::Result<HeadFile<F>> {
        let file = disk.create(HEAD_NEW)?;
        file.reserve(HEAD_BYTES as u64)?;
        // All of it once, so that no later write needs room on a file system that only promised it.
        file.write_at(&vec![0; HEAD_BYTES], 0)?;
        for slot in 0..2 {
            let bytes = Head { is_second: slot == 1, ..head.clone() }.encode();
            file.write_at(&bytes, slot * SLOT_BYTES as u64)?;
        }
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
        for is_second in [false, true] {
            self.head.is_second = is_second;
            self.file.write_at(&self.head.encode(), (self.slot * SLOT_BYTES) as u64)?;
            self.file.sync()?;
            // This one is whole now; the other is next, and stays so if it fails.
            self.slot = 1 - self.slot;
        }
        Ok(())
    }
}

/// The newest of the slots that are whole, and the slot that is to be written first.
///
/// What can be read need not be durable: a process whose sync failed may have ended, and the kernel still shows what
/// it had written. Of two slots the older one is durable, or the first one of the same generation: the other would not
/// have been begun before.
fn newest(file: &[u8]) -> Result<(Head, usize), Defect> {
    let slot = |at: usize| Head::decode(file.get(at * SLOT_BYTES..).unwrap_or_default());
    match (slot(0), slot(1)) {
        (Ok(first), Ok(second)) => {
            let is_newer = (second.generation, second.is_second) > (first.generation, first.is_second);
            Ok(if is_newer { (second, 1) } else { (first, 0) })
        }
        (Ok(first), Err(_)) => Ok((first, 1)),
        (Err(_), Ok(second)) => Ok((second, 0)),
        (Err(defect), Err(_)) => Err(defect),
    }
}
