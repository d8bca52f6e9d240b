//! Making segments: first a file that is long enough, which may take long, then its header and its name.

use std::io;
use std::sync::Arc;

use super::segment::Segment;
use crate::disk::{Disk, File};
use crate::format::{HEADER_BYTES, Header, new_name, segment_name};

/// A segment with nothing in it.
#[derive(Debug)]
pub(crate) struct Fresh<F> {
    pub segment: Arc<Segment<F>>,
    /// Up to where the file has been written once.
    pub filled: u32,
}

/// A file that is to become a segment.
pub(super) struct Blank<F> {
    name: String,
    file: F,
    length: u32,
    filled: u32,
}

impl<F: File> Blank<F> {
    /// A file that is written over, with what is left of its former life in it.
    pub fn spare<D: Disk<File = F>>(disk: &D, name: String, length: u32) -> io::Result<Blank<F>> {
        let file = disk.open(&name)?;
        Ok(Blank { name, file, length, filled: length })
    }

    /// A new file, whose room is taken but whose blocks were never written.
    pub fn reserved<D: Disk<File = F>>(disk: &D, number: u64, length: u32) -> io::Result<Blank<F>> {
        let name = new_name(number);
        let file = disk.create(&name)?;
        match file.reserve(u64::from(length)) {
            Ok(()) => Ok(Blank { name, file, length, filled: HEADER_BYTES }),
            Err(error) => {
                // So that what little room there is is not taken by half a file.
                let _ = disk.remove(&name);
                Err(error)
            }
        }
    }

    /// Writes zeros all over it, in pieces that are synced one by one: a sync of another file waits for one of them at
    /// most. Ends early if `goes_on` says so, which is no harm.
    pub fn fill(&mut self, goes_on: impl Fn() -> bool) -> io::Result<()> {
        let zeros = vec![0; PIECE_BYTES.min(self.length as usize)];
        while self.filled < self.length && goes_on() {
            let piece = zeros.len().min((self.length - self.filled) as usize);
            self.file.write_at(&zeros[..piece], u64::from(self.filled))?;
            self.file.sync()?;
            self.filled += piece as u32;
        }
        Ok(())
    }

    /// Makes the segment of it that `header` says.
    pub fn dedicate<D: Disk<File = F>>(self, disk: &D, header: Header) -> io::Result<Fresh<F>> {
        let name = segment_name(header.number);
        self.file.write_at(&header.encode(), 0)?;
        self.file.sync()?;
        disk.rename(&self.name, &name)?;
        disk.sync()?;
        let segment = Segment::new(header, self.file, self.length, disk.path(&name));
        Ok(Fresh { segment: Arc::new(segment), filled: self.filled })
    }
}

const PIECE_BYTES: usize = 1 << 20;
