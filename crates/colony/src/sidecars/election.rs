//! Which process is the holder: the one with a lock on a file beside the engine.
//!
//! It is a lock of its own, and not the engine's, so that the socket can be there before the engine is: opening it may take
//! as long as there is of a backlog, and whoever comes meanwhile is told to wait.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::failure::Failure;

/// The lock, for as long as it lives: the kernel lets go of it when the process ends, however that is.
pub(super) struct Lock(#[expect(dead_code, reason = "is held")] File);

/// Whose turn it is.
pub(super) enum Turn {
    Ours(Lock),
    /// Another process has it, or had it a moment ago.
    Theirs(Option<u32>),
}

/// Takes the lock of a folder if nobody has it. The folder is made if there is none.
pub(super) fn turn(folder: &Path) -> Result<Turn, Failure> {
    let path = folder.join(NAME);
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(format!("cannot {what} {}: {error}", path.display()))
            .hint("name another data folder with --data, or COLONY_DATA")
    };
    fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed("open", error))?;
    match file.try_lock() {
        Ok(()) => {
            let pid = std::process::id().to_string();
            // Who it is is for messages only.
            let _ = file.set_len(0).and_then(|()| file.write_all(pid.as_bytes()));
            Ok(Turn::Ours(Lock(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(PID_BYTES_MAX).read_to_string(&mut text);
            Ok(Turn::Theirs(text.trim().parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(failed("lock", error)),
    }
}

/// The name of the file.
const NAME: &str = "host.lock";
const PID_BYTES_MAX: u64 = 20;
