//! What the embedded log needs of a disk, so small that all of it can be simulated, failures included.

mod copy_on_write;
mod real;
mod simulated;

use std::io;

pub use copy_on_write::{CopyOnWrite, CopyOnWriteFile};
pub use real::{RealDisk, RealFile};
pub use simulated::{Faults, Simulated, SimulatedFile, SimulatedLock};

/// A directory that holds files by name, on something that keeps them without power.
///
/// Of what was done to a file nothing MUST be taken to be durable before [`File::sync`], and of what was
/// done to names (creating, renaming, removing) nothing before [`Disk::sync`]; until then each write, and
/// each part of it that is a sector long, may be lost or kept for itself.
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// What holds the directory's lock until it is dropped.
    type Lock: Send + Sync + 'static;

    /// The names of all files.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens the file `name` for reading and writing.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens the file `name` for reading alone.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be opened.
    fn open_to_read(&self, name: &str) -> io::Result<Self::File> {
        self.open(name)
    }

    /// Makes an empty file `name`, in place of one that may be there.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Gives the file `from` the name `to`, in place of one that may be there: at no time there is none.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes the file `name` away. Who has it open can go on.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    ///
    /// # Errors
    ///
    /// If that failed; which of them are durable is not known then.
    fn sync(&self) -> io::Result<()>;

    /// Takes the lock `name` for as long as the value lives.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn lock(&self, name: &str) -> Result<Self::Lock, LockError>;

    /// Keeps others from taking the lock `name` for as long as the value lives, beside others that do so, too. Nothing is
    /// written for it: where nobody ever took the lock, nobody is kept from it.
    ///
    /// # Errors
    ///
    /// If somebody has taken it, or it cannot be tried.
    fn share(&self, name: &str) -> Result<Self::Lock, LockError> {
        self.lock(name)
    }

    /// A number that was not used before, nor can be guessed by who writes into the log.
    fn random(&self) -> u64;

    /// How a message names the file `name`.
    fn path(&self, name: &str) -> String;
}

/// An open file.
pub trait File: Send + Sync + 'static {
    /// Its length, bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be had.
    fn len(&self) -> io::Result<u64>;

    /// Whether it is empty.
    ///
    /// # Errors
    ///
    /// As [`File::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` with what is at `offset`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// If that failed; how much of it was written is not known then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes it `len` bytes long, with zeros where there was nothing, and takes the room for that: no
    /// later write within finds the disk full.
    ///
    /// # Errors
    ///
    /// If there is no room, or that failed.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Cuts it off at `len` bytes.
    ///
    /// # Errors
    ///
    /// If that failed.
    fn cut(&self, len: u64) -> io::Result<()>;

    /// Makes everything written before, and the length, durable.
    ///
    /// # Errors
    ///
    /// If that failed. What was written since the last time may be lost then, even if a later call
    /// succeeds: a kernel forgets what it could not write.
    fn sync(&self) -> io::Result<()>;
}

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another has it: who, as far as that is known.
    Held(String),
    /// It could not be tried.
    Failed(io::Error),
}

/// Whether an error means that there is no room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
