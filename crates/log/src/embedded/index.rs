//! Where the records of a segment are, while that is kept in memory.

use std::collections::BTreeMap;

use crate::Sequence;
use crate::format::{Footer, Header};

/// Where the records of a segment are.
#[derive(Debug, Default)]
pub(crate) struct Index {
    runs: BTreeMap<u32, Run>,
    records: usize,
}

/// The records of one shard.
#[derive(Debug)]
pub(crate) struct Run {
    /// The sequence of the first.
    pub first: Sequence,
    /// The offset of each.
    pub offsets: Vec<u32>,
}

impl Run {
    /// The sequence of the last.
    pub fn last(&self) -> Sequence {
        self.first + self.offsets.len() as u64 - 1
    }
}

impl Index {
    /// Adds records of `shard`, the first of which is `first`; whether these are the shard's first here. `None` if
    /// they do not follow what is there.
    pub fn push(&mut self, shard: u32, first: Sequence, offsets: &[u32]) -> Option<bool> {
        if offsets.is_empty() {
            return Some(false);
        }
        self.records += offsets.len();
        let Some(run) = self.runs.get_mut(&shard) else {
            self.runs.insert(shard, Run { first, offsets: offsets.to_vec() });
            return Some(true);
        };
        (run.last() + 1 == first).then(|| run.offsets.extend_from_slice(offsets))?;
        Some(false)
    }

    pub fn run(&self, shard: u32) -> Option<&Run> {
        self.runs.get(&shard)
    }

    /// The shards that have records here, with the sequences of their first and last.
    pub fn spans(&self) -> impl Iterator<Item = (u32, Sequence, Sequence)> {
        self.runs.iter().map(|(shard, run)| (*shard, run.first, run.last()))
    }

    pub fn shards(&self) -> usize {
        self.runs.len()
    }

    pub fn records(&self) -> usize {
        self.records
    }

    /// The footer that says the same.
    pub fn footer(&self, header: &Header, groups: (u64, u32), end: u32) -> Footer {
        let runs = self.runs.iter().map(|(shard, run)| (*shard, run.first, run.offsets.as_slice()));
        Footer::new(header, groups, end, runs)
    }
}
