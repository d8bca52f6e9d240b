//! A directory of the file system.

use std::collections::hash_map::RandomState;
use std::fs::{self, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::{Disk, File, LockError};

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct RealDisk {
    directory: PathBuf,
}

/// A file of the file system.
#[derive(Debug)]
pub struct RealFile(fs::File);

impl RealDisk {
    /// The directory `directory`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn new(directory: impl AsRef<Path>) -> io::Result<RealDisk> {
        let directory = directory.as_ref();
        if !directory.is_dir() {
            fs::create_dir_all(directory)?;
            // The directory's own name is in its parent.
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                fs::File::open(parent)?.sync_all()?;
            }
        }
        Ok(RealDisk { directory: directory.to_owned() })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Disk for RealDisk {
    type File = RealFile;
    type Lock = fs::File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        OpenOptions::new().read(true).write(true).open(self.directory.join(name)).map(RealFile)
    }

    fn open_to_read(&self, name: &str) -> io::Result<RealFile> {
        fs::File::open(self.directory.join(name)).map(RealFile)
    }

    fn create(&self, name: &str) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.directory.join(name))
            .map(RealFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }

    fn lock(&self, name: &str) -> Result<fs::File, LockError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(self.directory.join(name)).map_err(LockError::Failed)?;
        match file.try_lock() {
            Ok(()) => {}
            // Whoever only looks has not written who it is.
            Err(TryLockError::WouldBlock) if file.try_lock_shared().is_ok() => {
                return Err(LockError::Held("a process that reads it".to_owned()));
            }
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Failed(error)),
        }
        // Only words for a message: whose it is, is what the kernel says.
        let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        named.map_err(LockError::Failed)?;
        Ok(file)
    }

    fn share(&self, name: &str) -> Result<fs::File, LockError> {
        let mut file = match fs::File::open(self.directory.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return fs::File::open(&self.directory).map_err(LockError::Failed);
            }
            Err(error) => return Err(LockError::Failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(LockError::Failed(error)),
        }
    }

    fn random(&self) -> u64 {
        // The standard library's keys, which it has from the system.
        RandomState::new().build_hasher().finish()
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let length = i64::try_from(len).map_err(io::Error::other)?;
        match fallocate(&self.0, FallocateFlags::empty(), 0, length) {
            Ok(()) => Ok(()),
            // No file system's fault that has no such call: zeros take the room as well.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.fill(len),
            Err(errno) => Err(errno.into()),
        }
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl RealFile {
    /// Writes zeros from the file's end on.
    fn fill(&self, len: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut offset = File::len(self)?;
        while offset < len {
            let part = zeros.len().min(usize::try_from(len - offset).unwrap_or(usize::MAX));
            self.0.write_all_at(&zeros[..part], offset)?;
            offset += part as u64;
        }
        Ok(())
    }
}

/// Who holds a lock, as far as that is known.
fn holder(file: &mut fs::File) -> String {
    let mut holder = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder);
    let known = read.is_ok() && !holder.trim().is_empty();
    if known { format!("process {}", holder.trim()) } else { "another process".to_owned() }
}

/// What is read at most of who holds the lock, bytes.
const HOLDER_BYTES_MAX: u64 = 100;
