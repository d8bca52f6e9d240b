//! The state of a simulated disk: nodes, names, what goes wrong when.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::Faults;
use super::node::Node;

#[derive(Debug)]
pub(super) struct World {
    pub chance: Chance,
    pub faults: Faults,
    pub nodes: BTreeMap<u64, Node>,
    /// What is seen, and what is durable.
    pub names: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    changes: Vec<Change>,
    next_node: u64,
    pub is_locked: bool,
    pub is_off: bool,
    /// One more with each process.
    pub life: u64,
    pub operations: u64,
    pub power_until: Option<u64>,
    pub elapsed: Duration,
}

/// Something done to names.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Link { name: String, node: u64 },
    Unlink { name: String, node: u64 },
    Rename { to: String, node: u64 },
}

/// Pseudo-random numbers: SplitMix64, by Steele, Lea and Flood.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, or zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn once_in(&mut self, times: u32) -> bool {
        times > 0 && self.below(u64::from(times)) == 0
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            chance: Chance(seed),
            faults: Faults::default(),
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            next_node: 0,
            is_locked: false,
            is_off: false,
            life: 0,
            operations: 0,
            power_until: None,
            elapsed: Duration::ZERO,
        }
    }

    /// Counts an operation. The one at which the power fails may still have done something, and fails nevertheless.
    pub fn operate(&mut self) -> io::Result<()> {
        if self.is_off {
            return Err(off());
        }
        self.operations += 1;
        self.elapsed += OPERATION;
        if self.power_until.is_some_and(|last| self.operations >= last) {
            self.is_off = true;
            return Err(io::Error::other(PowerFailed));
        }
        Ok(())
    }

    /// Whether an operation is not to be done at all: not even in part.
    pub fn is_dead(&self, operated: &io::Result<()>) -> bool {
        let is_last = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<PowerFailed>());
        operated.as_ref().is_err_and(|error| !is_last(error))
    }

    pub fn node(&mut self, node: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&node).ok_or_else(|| io::Error::other("the file is gone"))
    }

    pub fn make_node(&mut self) -> u64 {
        self.next_node += 1;
        self.nodes.insert(self.next_node, Node::default());
        self.next_node
    }

    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub fn read(&mut self, node: u64, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.chance.once_in(self.faults.read_fails_in) {
            return Err(io::Error::other("a simulated read failed"));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let seen = &self.node(node)?.seen;
        let end = offset.saturating_add(buffer.len());
        buffer.copy_from_slice(seen.get(offset..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub fn write(&mut self, node: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.take_room(node, offset.saturating_add(bytes.len()))?;
        let fails = self.chance.once_in(self.faults.write_fails_in);
        let written = if fails { self.chance.below(bytes.len() as u64 + 1) as usize } else { bytes.len() };
        self.node(node)?.write(offset, &bytes[..written]);
        if fails { Err(io::Error::other("a simulated write failed")) } else { Ok(()) }
    }

    pub fn reserve(&mut self, node: u64, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.take_room(node, length)?;
        self.node(node)?.reserve(length);
        Ok(())
    }

    pub fn sync(&mut self, node: u64) -> io::Result<()> {
        self.elapsed += self.faults.sync;
        if self.chance.once_in(self.faults.sync_slow_in) {
            self.elapsed += self.faults.sync_slow;
        }
        if self.faults.sync_does_nothing {
            return Ok(());
        }
        let fails = self.chance.once_in(self.faults.sync_fails_in);
        let sector_bytes = self.faults.sector_bytes;
        let World { nodes, chance, .. } = self;
        let node = nodes.get_mut(&node).ok_or_else(|| io::Error::other("the file is gone"))?;
        if fails {
            node.sync_in_part(chance, sector_bytes);
            return Err(io::Error::other("a simulated sync failed"));
        }
        node.sync();
        Ok(())
    }

    pub fn sync_names(&mut self) -> io::Result<()> {
        self.elapsed += self.faults.sync;
        if self.chance.once_in(self.faults.sync_fails_in) {
            return Err(io::Error::other("a simulated sync of the directory failed"));
        }
        self.changes.clear();
        self.durable.clone_from(&self.names);
        Ok(())
    }

    pub fn restart(&mut self) {
        self.end_process();
        let in_order = self.chance.below(2) == 0;
        let reached = self.chance.below(self.changes.len() as u64 + 1) as usize;
        for (at, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            let reaches = if in_order { at < reached } else { self.chance.below(2) == 0 };
            if reaches {
                change.apply(&mut self.durable);
            }
        }
        self.names.clone_from(&self.durable);
        let World { nodes, names, chance, faults, .. } = self;
        nodes.retain(|number, _| names.values().any(|named| named == number));
        nodes.values_mut().for_each(|node| node.lose(chance, faults.sector_bytes));
    }

    pub fn end_process(&mut self) {
        self.life += 1;
        self.is_locked = false;
        self.is_off = false;
        self.power_until = None;
    }

    pub fn flip(&mut self, name: &str, offset: u64, bit: u8) {
        let Some(node) = self.names.get(name).and_then(|node| self.nodes.get_mut(node)) else { return };
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        for content in [&mut node.seen, &mut node.durable] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    pub fn flip_any(&mut self) -> Option<(String, u64)> {
        let lengths =
            self.names.iter().map(|(name, node)| (name.clone(), self.nodes[node].seen.len() as u64));
        let files: Vec<(String, u64)> = lengths.filter(|(_, length)| *length > 0).collect();
        let (name, length) = files.get(self.chance.below(files.len() as u64) as usize)?.clone();
        let (offset, bit) = (self.chance.below(length), self.chance.below(8) as u8);
        self.flip(&name, offset, bit);
        Some((name, offset))
    }

    pub fn set_content(&mut self, name: &str, content: &[u8]) {
        let node = self.make_node();
        self.nodes.insert(node, Node::new(content));
        self.names.insert(name.to_owned(), node);
        self.durable.insert(name.to_owned(), node);
    }

    /// Whether there is room for a file to become `length` bytes long.
    fn take_room(&mut self, node: u64, length: usize) -> io::Result<()> {
        let now = self.node(node)?.seen.len();
        let used: usize =
            self.names.values().filter_map(|node| self.nodes.get(node)).map(|node| node.seen.len()).sum();
        let more = length.saturating_sub(now) as u64;
        match more > 0 && used as u64 + more > self.faults.room_bytes {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Change::Link { name, node } => {
                names.insert(name.clone(), *node);
            }
            Change::Unlink { name, node } => {
                if names.get(name) == Some(node) {
                    names.remove(name);
                }
            }
            Change::Rename { to, node } => {
                names.retain(|_, named| named != node);
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// The operation in which the power failed.
#[derive(Debug)]
struct PowerFailed;

impl std::fmt::Display for PowerFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the simulated power has failed")
    }
}

impl std::error::Error for PowerFailed {}

fn off() -> io::Error {
    io::Error::other("the simulated power is off")
}

/// How long an operation takes that waits for no disk.
const OPERATION: Duration = Duration::from_micros(2);
