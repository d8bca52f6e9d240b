//! The one walk over what is kept: first what is in memory, then blocks on the disk from the newest on, no further than needed and no
//! more than a query may look at. And what such a walk has found, as a page.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::vec::IntoIter;

use super::{Cursor, View};
use crate::part::{KeptLog, Part};
use crate::window::{Block, Reader, Row, Zone};

/// What is walked over: parts of traces, or records.
pub(super) trait Walked: Row {
    /// Those in memory, and the blocks of the others.
    fn held(view: &View) -> (&[Self], &[Arc<Block>]);
    /// Those in a block.
    fn read(reader: &Reader, block: &Block) -> Arc<Vec<Self>>;
}

impl Walked for Part {
    fn held(view: &View) -> (&[Part], &[Arc<Block>]) {
        (&view.parts, &view.spans)
    }

    fn read(reader: &Reader, block: &Block) -> Arc<Vec<Part>> {
        reader.parts(block)
    }
}

impl Walked for Arc<KeptLog> {
    fn held(view: &View) -> (&[Arc<KeptLog>], &[Arc<Block>]) {
        (&view.logs, &view.log_blocks)
    }

    fn read(reader: &Reader, block: &Block) -> Arc<Vec<Arc<KeptLog>>> {
        reader.logs(block)
    }
}

/// On its way. To be asked by [`Walk::next`] until there is nothing more.
pub(super) struct Walk<'v, R> {
    view: &'v View,
    memory: Option<&'v [R]>,
    /// The newest first.
    blocks: IntoIter<&'v Arc<Block>>,
    looked_at: usize,
    /// The end of the newest block that was left out, since more was to be looked at than a query may.
    pub(super) cut_at: Option<u64>,
}

impl View {
    /// A walk over what is in memory, and the blocks that may have what is wanted.
    pub(super) fn walk<R: Walked>(&self, may_be_in: impl Fn(&Zone) -> bool) -> Walk<'_, R> {
        let (memory, blocks) = R::held(self);
        let mut blocks: Vec<_> = blocks.iter().filter(|block| may_be_in(&block.zone)).collect();
        blocks.sort_unstable_by_key(|block| std::cmp::Reverse(block.zone.to_ns));
        Walk { view: self, memory: Some(memory), blocks: blocks.into_iter(), looked_at: 0, cut_at: None }
    }
}

impl<'v, R: Walked> Walk<'v, R> {
    /// The next ones, which are in no order among each other; none at the end, and when `is_enough`, told where the next block ends,
    /// says that nothing from there on is wanted.
    pub(super) fn next(&mut self, is_enough: impl Fn(u64) -> bool) -> Option<Rows<'v, R>> {
        let rows = match self.memory.take() {
            Some(memory) => Rows::Memory(memory),
            None => {
                let block = self.blocks.next().filter(|block| !is_enough(block.zone.to_ns))?;
                if self.looked_at >= self.view.looked_at_max {
                    self.cut_at = Some(block.zone.to_ns);
                    self.blocks = Vec::new().into_iter();
                    return None;
                }
                Rows::Block(R::read(&self.view.reader, block))
            }
        };
        self.looked_at += rows.iter().map(Row::count).sum::<usize>();
        Some(rows)
    }
}

/// Some of what is walked over.
pub(super) enum Rows<'v, R> {
    Memory(&'v [R]),
    Block(Arc<Vec<R>>),
}

impl<R> Deref for Rows<'_, R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        match self {
            Rows::Memory(rows) => rows,
            Rows::Block(rows) => rows,
        }
    }
}

/// The newest of what was found.
pub(super) struct Newest<T> {
    found: BTreeMap<Cursor, T>,
    limit: usize,
    /// The place that all are before.
    pub(super) before: Cursor,
}

impl<T> Newest<T> {
    /// Up to `limit`, all before a place.
    pub(super) fn new(limit: usize, before: Option<Cursor>) -> Newest<T> {
        Newest { found: BTreeMap::new(), limit, before: before.unwrap_or(Cursor::END) }
    }

    /// Whether what is at a place would be among them: to be asked before what costs more.
    pub(super) fn is_wanted(&self, place: Cursor) -> bool {
        let is_newer = || self.found.first_key_value().is_some_and(|(last, _)| *last < place);
        place < self.before && (self.found.len() <= self.limit || is_newer())
    }

    /// Takes one in. One more than the limit is held, so that it is known whether there are more.
    pub(super) fn add(&mut self, place: Cursor, found: T) {
        self.found.insert(place, found);
        if self.found.len() > self.limit + 1 {
            self.found.pop_first();
        }
    }

    /// Whether what ends at `to_ns` or before is older than all of them, and they are as many as may be.
    pub(super) fn is_enough(&self, to_ns: u64) -> bool {
        let is_full = self.found.len() > self.limit;
        is_full && self.found.first_key_value().is_some_and(|(last, _)| last.at_ns > to_ns)
    }

    /// Them, newest first, and where the next page begins. `cut_at` is that of the walk that has found them.
    pub(super) fn page(mut self, cut_at: Option<u64>) -> (impl Iterator<Item = T>, Option<Cursor>) {
        let mut next = None;
        if let Some(cut_at) = cut_at {
            // What is older than the block that was not looked at may not be all there is.
            let from = Cursor { at_ns: cut_at.saturating_add(1), which: 0 };
            self.found.retain(|place, _| *place >= from);
            next = (from < self.before).then_some(from);
        }
        if self.found.len() > self.limit {
            self.found.pop_first();
            next = self.found.first_key_value().map(|(last, _)| *last);
        }
        (self.found.into_values().rev(), next)
    }
}
