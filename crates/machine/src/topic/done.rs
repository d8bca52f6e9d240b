//! Which messages a group is done with: all before a cursor, and ranges beyond it.

use std::ops::Range;

/// A set of offsets: all before `cursor`, and some ranges beyond. The ranges are in order, and between
/// each and what is before it there is at least one offset that is not in the set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    cursor: u64,
    beyond: Vec<Range<u64>>,
}

impl Done {
    /// All before `cursor`.
    pub fn before(cursor: u64) -> Done {
        Done { cursor, beyond: Vec::new() }
    }

    /// All before `cursor`, and ranges as [`Done::steps`] writes them.
    pub(super) fn read(cursor: u64, steps: &[u64]) -> Done {
        let mut at = cursor;
        let ranges = steps.chunks_exact(2).map(|step| {
            let begin = at + step[0];
            at = begin + step[1];
            begin..at
        });
        Done { cursor, beyond: ranges.collect() }
    }

    /// The ranges as how far each begins behind what was before it, and how long it is: small numbers
    /// for large offsets, which protobuf writes in a byte or two.
    pub(super) fn steps(&self) -> Vec<u64> {
        let mut at = self.cursor;
        let mut steps = Vec::with_capacity(self.beyond.len() * 2);
        for range in &self.beyond {
            steps.extend([range.start - at, range.end - range.start]);
            at = range.end;
        }
        steps
    }

    /// The first offset that is not in the set.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The ranges beyond the cursor.
    pub fn beyond(&self) -> &[Range<u64>] {
        &self.beyond
    }

    /// All of the set, as ranges.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let first = (self.cursor > 0).then_some(0..self.cursor);
        first.into_iter().chain(self.beyond.iter().cloned())
    }

    /// Whether no offset is in the set.
    pub fn is_empty(&self) -> bool {
        self.cursor == 0 && self.beyond.is_empty()
    }

    /// How many offsets beyond the cursor are in the set.
    pub fn count_beyond(&self) -> u64 {
        self.beyond.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether `offset` is in the set.
    pub fn contains(&self, offset: u64) -> bool {
        self.next_missing(offset) != offset
    }

    /// The first offset from `offset` on that is not in the set.
    pub fn next_missing(&self, offset: u64) -> u64 {
        if offset < self.cursor {
            return self.cursor;
        }
        let behind = self.beyond.partition_point(|range| range.end <= offset);
        match self.beyond.get(behind) {
            Some(range) if range.start <= offset => range.end,
            _ => offset,
        }
    }

    /// Adds the offsets of `range`, and returns how many of them were not in the set.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        let mut merged = range.start.max(self.cursor)..range.end;
        if merged.is_empty() {
            return 0;
        }
        let from = self.beyond.partition_point(|other| other.end < merged.start);
        let to = self.beyond.partition_point(|other| other.start <= merged.end);
        let mut new = merged.end - merged.start;
        for other in &self.beyond[from..to] {
            new -= overlap(&merged, other);
        }
        if from < to {
            merged.start = merged.start.min(self.beyond[from].start);
            merged.end = merged.end.max(self.beyond[to - 1].end);
        }
        if merged.start == self.cursor {
            self.cursor = merged.end;
            self.beyond.drain(..to);
        } else {
            self.beyond.splice(from..to, [merged]);
        }
        new
    }
}

/// How many offsets both have.
fn overlap(one: &Range<u64>, other: &Range<u64>) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fills_the_gap_moves_the_cursor_over_what_was_beyond() {
        let mut done = Done::before(10);
        assert_eq!(done.insert(11..13), 2);
        assert_eq!(done.insert(14..15), 1);
        assert_eq!(done.cursor(), 10);
        assert_eq!(done.insert(10..11), 1);
        assert_eq!((done.cursor(), done.steps()), (13, vec![1, 1]));
        assert_eq!(done.insert(0..20), 6);
        assert_eq!((done.cursor(), done.beyond().len()), (20, 0));
    }

    proptest! {
        #[test]
        fn it_is_the_set_that_it_stands_for(
            cursor in 0u64..20,
            ranges in prop::collection::vec((0u64..80, 0u64..12), 0..40),
        ) {
            let mut done = Done::before(cursor);
            let mut set: BTreeSet<u64> = (0..cursor).collect();
            for (start, length) in ranges {
                let before = set.len();
                set.extend(start..start + length);
                prop_assert_eq!(done.insert(start..start + length), (set.len() - before) as u64);
                prop_assert_eq!(&Done::read(done.cursor(), &done.steps()), &done);
                for offset in 0..100 {
                    prop_assert_eq!(done.contains(offset), set.contains(&offset));
                    let missing = (offset..).find(|at| !set.contains(at));
                    prop_assert_eq!(Some(done.next_missing(offset)), missing);
                }
                let beyond = set.iter().filter(|at| **at > done.cursor()).count();
                prop_assert_eq!(done.count_beyond(), beyond as u64);
            }
        }
    }
}
