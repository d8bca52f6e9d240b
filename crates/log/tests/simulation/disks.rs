//! Disks that are not what a disk must be: a log on one of them must be caught losing something.

use std::io;

use log::disk::{Disk, File, LockError, Simulated, SimulatedFile, SimulatedLock};

/// A disk that says that it has synced, and has not.
#[derive(Clone)]
pub struct Forgetful {
    disk: Simulated,
    what: Forgets,
}

/// Which syncs are left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Forgets {
    /// Those of files.
    Files,
    /// Those of the directory.
    Names,
}

pub struct ForgetfulFile {
    file: SimulatedFile,
    forgets: bool,
}

impl Forgetful {
    pub fn new(disk: Simulated, what: Forgets) -> Forgetful {
        Forgetful { disk, what }
    }

    fn file(&self, file: io::Result<SimulatedFile>) -> io::Result<ForgetfulFile> {
        Ok(ForgetfulFile { file: file?, forgets: self.what == Forgets::Files })
    }
}

impl Disk for Forgetful {
    type File = ForgetfulFile;
    type Lock = SimulatedLock;

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<ForgetfulFile> {
        self.file(self.disk.open(name))
    }

    fn create(&self, name: &str) -> io::Result<ForgetfulFile> {
        self.file(self.disk.create(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        if self.what == Forgets::Names { Ok(()) } else { self.disk.sync() }
    }

    fn lock(&self, name: &str) -> Result<SimulatedLock, LockError> {
        self.disk.lock(name)
    }

    fn random(&self) -> u64 {
        self.disk.random()
    }

    fn path(&self, name: &str) -> String {
        self.disk.path(name)
    }
}

impl File for ForgetfulFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.file.reserve(len)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.file.cut(len)
    }

    fn sync(&self) -> io::Result<()> {
        if self.forgets { Ok(()) } else { self.file.sync() }
    }
}
