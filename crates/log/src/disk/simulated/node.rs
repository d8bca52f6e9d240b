//! A file's content: what is read, what is durable, and what lies between.

use std::collections::BTreeMap;

use super::world::Chance;

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// What is read.
    pub seen: Vec<u8>,
    /// What is there after a loss of power at the least.
    pub durable: Vec<u8>,
    /// What was done since the last sync.
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Node {
    /// A file that has this content, durably.
    pub fn new(content: &[u8]) -> Node {
        Node { seen: content.to_vec(), durable: content.to_vec(), pending: Vec::new() }
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.seen, offset, bytes);
        self.pending.push(Pending::Write { offset, bytes: bytes.to_vec() });
    }

    pub fn reserve(&mut self, length: usize) {
        if self.seen.len() < length {
            self.seen.resize(length, 0);
            self.pending.push(Pending::Length(length));
        }
    }

    pub fn cut(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.seen.len());
        self.seen.truncate(length);
        self.pending.push(Pending::Length(length));
    }

    /// Makes everything durable.
    pub fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Pending::Length(length) => self.durable.resize(length, 0),
            }
        }
    }

    /// Makes of each sector none, some or all of what was written to it durable, and forgets the rest.
    pub fn sync_in_part(&mut self, chance: &mut Chance, sector_bytes: usize) {
        // How many of the writes to a sector reach the disk, counted down.
        let mut reach: BTreeMap<usize, u64> = BTreeMap::new();
        for (sector, _) in self.pieces(sector_bytes) {
            *reach.entry(sector).or_default() += 1;
        }
        // Often all or nothing, so that what is rare in a long write is not.
        let mood = chance.below(4);
        for count in reach.values_mut() {
            *count = match mood {
                0 => 0,
                1 => *count,
                _ => chance.below(*count + 1),
            };
        }
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Length(length) if chance.below(2) == 0 => self.durable.resize(length, 0),
                Pending::Length(_) => {}
                Pending::Write { offset, bytes } => {
                    for (sector, from, to) in sectors(offset, bytes.len(), sector_bytes) {
                        let Some(left) = reach.get_mut(&sector).filter(|left| **left > 0) else { continue };
                        *left -= 1;
                        put(&mut self.durable, offset + from, &bytes[from..to]);
                    }
                }
            }
        }
    }

    /// The loss of power: what is durable is what is there.
    pub fn lose(&mut self, chance: &mut Chance, sector_bytes: usize) {
        self.sync_in_part(chance, sector_bytes);
        self.seen.clone_from(&self.durable);
    }

    fn pieces(&self, sector_bytes: usize) -> Vec<(usize, usize)> {
        let writes = self.pending.iter().filter_map(|pending| match pending {
            Pending::Write { offset, bytes } => Some((*offset, bytes.len())),
            Pending::Length(_) => None,
        });
        let pieces = writes.flat_map(|(offset, length)| sectors(offset, length, sector_bytes));
        pieces.map(|(sector, from, _)| (sector, from)).collect()
    }
}

/// The parts of a write, as `(sector, from, to)` with places counted from the write's beginning.
fn sectors(offset: usize, length: usize, sector_bytes: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let size = sector_bytes.max(1);
    let mut from = 0;
    std::iter::from_fn(move || {
        let sector = (offset + from) / size;
        let to = ((sector + 1) * size - offset).min(length);
        let piece = (from < length).then_some((sector, from, to));
        from = to;
        piece
    })
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}
