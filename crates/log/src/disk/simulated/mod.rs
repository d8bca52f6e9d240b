//! A disk that fails as disks do, in an order that a seed decides.
//!
//! What was not synced is kept at a crash or lost, each sector for itself and in any order; of the names
//! that were changed since the directory was synced any may be as before. A sync may fail, and then what it was to
//! make durable is forgotten, though it still can be read until the crash. Room runs out, syncs take long, bits
//! flip. Every operation is counted, so that the power can be made to fail at the nth.
//!
//! Nothing in here waits, starts a thread or asks for the time: the same calls give the same answers.

mod node;
mod world;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Disk, File, LockError};
use world::{Change, World};

/// A simulated disk. A clone is another handle to the same one, which survives the process that is simulated.
#[derive(Clone, Debug)]
pub struct Simulated {
    world: Arc<Mutex<World>>,
}

/// A file of a simulated disk. It is of no use any more after [`Simulated::restart`].
#[derive(Debug)]
pub struct SimulatedFile {
    world: Arc<Mutex<World>>,
    node: u64,
    life: u64,
}

/// The lock of a simulated disk.
#[derive(Debug)]
pub struct SimulatedLock {
    world: Arc<Mutex<World>>,
    life: u64,
}

/// What goes wrong, and how often. Where something happens once in so many times, zero is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A sync fails once in so many; default 0.
    pub sync_fails_in: u32,
    /// A write fails once in so many, with a part of it done; default 0.
    pub write_fails_in: u32,
    /// A read fails once in so many; default 0.
    pub read_fails_in: u32,
    /// A sync of a file says that it is done, and does nothing; default no.
    pub sync_does_nothing: bool,
    /// A sync is slow once in so many; default 0.
    pub sync_slow_in: u32,
    /// How long a sync takes; default 100 µs.
    pub sync: Duration,
    /// How long a slow one takes; default 2 s.
    pub sync_slow: Duration,
    /// How many bytes there is room for in all files; default 1 GiB.
    pub room_bytes: u64,
    /// What is written as a whole or not at all, bytes; default 512, at least 1.
    pub sector_bytes: usize,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            sync_fails_in: 0,
            write_fails_in: 0,
            read_fails_in: 0,
            sync_does_nothing: false,
            sync_slow_in: 0,
            sync: Duration::from_micros(100),
            sync_slow: Duration::from_secs(2),
            room_bytes: 1 << 30,
            sector_bytes: 512,
        }
    }
}

impl Simulated {
    /// An empty one, on which nothing goes wrong yet.
    pub fn new(seed: u64) -> Simulated {
        Simulated { world: Arc::new(Mutex::new(World::new(seed))) }
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        world(&self.world).faults = faults;
    }

    /// How many operations there have been.
    pub fn operations(&self) -> u64 {
        world(&self.world).operations
    }

    /// How long all of them have taken.
    pub fn elapsed(&self) -> Duration {
        world(&self.world).elapsed
    }

    /// Makes the power fail at the `operation`th, counted as in [`Simulated::operations`]: it and all after it fail.
    pub fn fail_power_at(&self, operation: u64) {
        world(&self.world).power_until = Some(operation);
    }

    /// Whether the power has failed.
    pub fn is_off(&self) -> bool {
        world(&self.world).is_off
    }

    /// Takes the power away and gives it back: what was not durable is lost, in part.
    pub fn restart(&self) {
        world(&self.world).restart();
    }

    /// What the end of a process does: its files are closed, nothing is lost.
    pub fn end_process(&self) {
        world(&self.world).end_process();
    }

    /// Flips a bit of a file, on the disk as well as in what is read from now on.
    pub fn flip(&self, name: &str, offset: u64, bit: u8) {
        world(&self.world).flip(name, offset, bit);
    }

    /// Flips any bit of any file, and tells which byte it was of; nothing if all files are empty.
    pub fn flip_any(&self) -> Option<(String, u64)> {
        world(&self.world).flip_any()
    }

    /// What is read from the file `name`, if there is one.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let world = world(&self.world);
        world.nodes.get(world.names.get(name)?).map(|node| node.seen.clone())
    }

    /// Makes a file with this content, durably; for a test to begin with.
    pub fn set_content(&self, name: &str, content: &[u8]) {
        world(&self.world).set_content(name, content);
    }
}

impl Disk for Simulated {
    type File = SimulatedFile;
    type Lock = SimulatedLock;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut world = world(&self.world);
        world.operate()?;
        Ok(world.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut world = world(&self.world);
        world.operate()?;
        let node = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimulatedFile { world: Arc::clone(&self.world), node, life: world.life })
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut world = world(&self.world);
        let last = world.operate();
        if !world.is_dead(&last) {
            let node = world.make_node();
            world.change(Change::Link { name: name.to_owned(), node });
        }
        last?;
        let node = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimulatedFile { world: Arc::clone(&self.world), node, life: world.life })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = world(&self.world);
        let last = world.operate();
        if world.is_dead(&last) {
            return last;
        }
        let node = *world.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        world.change(Change::Rename { to: to.to_owned(), node });
        last
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = world(&self.world);
        let last = world.operate();
        if world.is_dead(&last) {
            return last;
        }
        let node = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        world.change(Change::Unlink { name: name.to_owned(), node });
        last
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = world(&self.world);
        world.operate()?;
        world.sync_names()
    }

    fn lock(&self, _: &str) -> Result<SimulatedLock, LockError> {
        let mut world = world(&self.world);
        world.operate().map_err(LockError::Failed)?;
        if std::mem::replace(&mut world.is_locked, true) {
            return Err(LockError::Held("another simulated process".to_owned()));
        }
        Ok(SimulatedLock { world: Arc::clone(&self.world), life: world.life })
    }

    fn random(&self) -> u64 {
        world(&self.world).chance.next()
    }

    fn path(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl File for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        let mut world = self.alive()?;
        world.operate()?;
        Ok(world.node(self.node)?.seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut world = self.alive()?;
        world.operate()?;
        world.read(self.node, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.alive()?;
        let last = world.operate();
        if world.is_dead(&last) {
            return last;
        }
        world.write(self.node, bytes, offset)?;
        last
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let mut world = self.alive()?;
        world.operate()?;
        world.reserve(self.node, len)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        let mut world = self.alive()?;
        let last = world.operate();
        if world.is_dead(&last) {
            return last;
        }
        world.node(self.node)?.cut(len);
        last
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.alive()?;
        world.operate()?;
        world.sync(self.node)
    }
}

impl SimulatedFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = world(&self.world);
        match world.life == self.life {
            true => Ok(world),
            false => Err(io::Error::other("the process that had opened it has ended")),
        }
    }
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut world = world(&self.world);
        if world.life == self.life {
            world.is_locked = false;
        }
    }
}

fn world(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
