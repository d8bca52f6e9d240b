//! Making segments: first a file that is long enough, then its header and its name.

use std::io;
use std::sync::Arc;

use super::segment::Segment;
use crate::disk::{Disk, File};
use crate::format::{HEADER_BYTES, Header, new_name, segment_name};

/// A file that is to become a segment.
pub(super) struct Blank<F> {
    name: String,
    file: F,
    length: u32,
    /// Up to where it has been written once.
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

    /// Makes the segment of it that `header` says.
    pub fn dedicate<D: Disk<File = F>>(self, disk: &D, header: Header) -> io::Result<Arc<Segment<F>>> {
        let name = segment_name(header.number);
        self.file.write_at(&header.encode(), 0)?;
        self.file.sync()?;
        disk.rename(&self.name, &name)?;
        disk.sync()?;
        let place = disk.path(&name);
        Ok(Arc::new(Segment::new(header, self.file, self.length, self.filled, place)))
    }
}
