//! Shards that begin elsewhere than at 1: a line in the head, as for what was trimmed.

use std::sync::Arc;

use super::{Inner, lock};
use crate::disk::Disk;
use crate::{BeginError, SEQUENCE_MAX, SHARDS_MAX, Sequence};

impl<D: Disk> Inner<D> {
    pub(super) fn begin(&self, firsts: &[(u32, Sequence)]) -> Result<(), BeginError> {
        // Nobody appends meanwhile.
        let mut writer = lock(&self.writer);
        let mut head = lock(&self.head);
        if let Some(error) = self.failed.get() {
            return Err(BeginError::Failed(Arc::clone(error)));
        }
        let mut all = self.directory().firsts();
        for (shard, first) in firsts {
            assert!(*shard < SHARDS_MAX, "shards are numbered from 0 to {SHARDS_MAX}");
            if *writer.last(*shard) > 0 {
                return Err(BeginError::NotNew { shard: *shard });
            }
            if !(1..SEQUENCE_MAX).contains(first) {
                return Err(BeginError::Beyond { first: *first });
            }
            let at = *shard as usize;
            all.resize(all.len().max(at + 1), 1);
            all[at] = *first;
        }
        // What was written in part may be there at the next opening, so nothing is appended at the old place until then.
        head.write(all).map_err(|error| BeginError::Failed(self.fail(error)))?;
        for (shard, first) in firsts {
            self.directory_mut().begin_shard(*shard, *first);
            *writer.last(*shard) = first - 1;
        }
        Ok(())
    }
}
