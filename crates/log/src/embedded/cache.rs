//! What was written last, kept in memory as it was written: a record that was just appended is read without a copy.

use std::collections::VecDeque;

use bytes::Bytes;

/// The newest groups.
#[derive(Debug)]
pub(crate) struct Cache {
    groups: VecDeque<Cached>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Cached {
    segment: u64,
    offset: u32,
    bytes: Bytes,
    /// What it takes of memory.
    cost: usize,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Cache {
        Cache { groups: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Keeps a group that was written at `offset` of `segment` and takes `more` bytes of memory than it has, and gives up the
    /// oldest for it.
    pub fn push(&mut self, segment: u64, offset: u32, bytes: Bytes, more: usize) {
        let cost = bytes.len() + more + OVERHEAD_BYTES;
        self.bytes += cost;
        self.groups.push_back(Cached { segment, offset, bytes, cost });
        while self.bytes > self.bytes_max {
            self.pop();
        }
    }

    /// Gives up what is of segments up to `segment`.
    pub fn forget(&mut self, segment: u64) {
        while self.groups.front().is_some_and(|oldest| oldest.segment <= segment) {
            self.pop();
        }
    }

    /// What was written at `offset` of `segment`, up to the end of the group.
    pub fn get(&self, segment: u64, offset: u32) -> Option<(&Bytes, usize)> {
        let after = self.groups.partition_point(|group| (group.segment, group.offset) <= (segment, offset));
        let group = self.groups.get(after.checked_sub(1)?)?;
        let within = (offset - group.offset.min(offset)) as usize;
        (group.segment == segment && within < group.bytes.len()).then_some((&group.bytes, within))
    }

    /// The oldest segment of which there is something.
    pub fn oldest(&self) -> Option<u64> {
        self.groups.front().map(|group| group.segment)
    }

    fn pop(&mut self) {
        if let Some(oldest) = self.groups.pop_front() {
            self.bytes -= oldest.cost;
        }
    }
}

/// What a group costs beside its bytes.
const OVERHEAD_BYTES: usize = 128;
