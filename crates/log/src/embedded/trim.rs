//! Giving up records, and the storage of segments of which nothing is left.
//!
//! A trim costs nothing on disk until a whole segment can be given back. Before that is done the head is
//! written, so that what is missing is known to have been trimmed.

use std::io;
use std::sync::Arc;

use super::{Inner, lock};
use crate::disk::Disk;
use crate::format::{segment_name, spare_name};
use crate::{Sequence, TrimError};

impl<D: Disk> Inner<D> {
    pub(super) fn trim(&self, shard: u32, before: Sequence) -> Result<(), TrimError> {
        self.directory_mut().trim(shard, before);
        if self.directory().free().is_empty() {
            return Ok(());
        }
        self.give_back().map_err(|error| TrimError(Arc::new(error)))
    }

    fn give_back(&self) -> io::Result<()> {
        let mut head = lock(&self.head);
        let (free, firsts) = {
            let directory = self.directory();
            (directory.free(), directory.firsts())
        };
        if free.is_empty() {
            return Ok(());
        }
        head.write(firsts)?;
        let mut spares = Vec::new();
        for number in free {
            spares.extend(self.give_back_segment(number, spares.len())?);
        }
        self.disk.sync()?;
        lock(&self.spares).extend(spares);
        // Perhaps there was no room for it before.
        self.duties.prepare_if_starved();
        Ok(())
    }

    /// Takes away the segment `number`; the name of the file, if it is kept to be written over.
    fn give_back_segment(&self, number: u64, kept: usize) -> io::Result<Option<String>> {
        let Some(segment) = self.directory_mut().remove(number) else { return Ok(None) };
        let name = segment_name(number);
        let is_wanted = lock(&self.spares).len() + kept < self.config.spares_max;
        // Who still reads from it must not find it written over.
        let is_unused = Arc::strong_count(&segment) == 1;
        if is_wanted && is_unused && segment.length == self.config.segment_bytes {
            let spare = spare_name(number);
            self.disk.rename(&name, &spare)?;
            return Ok(Some(spare));
        }
        self.disk.remove(&name)?;
        Ok(None)
    }
}
