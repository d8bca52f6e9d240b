//! A folder that looks like a store's, and can be written to without that being changed.
//!
//! What is large in a store are its tables: files that are written once, and then only read until they are removed. They
//! are linked to. All else is small and copied, the journal without the zeros that it was reserved with.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

/// A folder that is taken away with the value.
pub(super) struct Mirror {
    folder: PathBuf,
}

impl Mirror {
    /// One that looks like `folder`.
    pub fn of(folder: &Path) -> io::Result<Mirror> {
        let mirror = Mirror::empty()?;
        mirror_folder(&fs::canonicalize(folder)?, &mirror.folder)?;
        Ok(mirror)
    }

    /// One that is empty, among the system's temporary files, and for nobody else to see.
    pub fn empty() -> io::Result<Mirror> {
        for number in 0..NAMES_MAX {
            let name = format!("colony-store-{}-{number}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Mirror { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // What is left is among temporary files, and of no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn mirror_folder(from: &Path, to: &Path) -> io::Result<()> {
    let holds_tables = from.file_name().is_some_and(|name| name == TABLES);
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            mirror_folder(&source, &target)?;
        } else if holds_tables {
            symlink(&source, &target)?;
        } else {
            copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Copies a file, but for pieces in which there are only zeros.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create(to)?);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = source.read(&mut piece)?;
        if read == 0 {
            let length = target.stream_position()?;
            return target.set_len(length);
        }
        match piece[..read].iter().all(|byte| *byte == 0) {
            true => _ = target.seek(SeekFrom::Current(read as i64))?,
            false => target.write_all(&piece[..read])?,
        }
    }
}

/// What `fjall` calls the folders of tables.
const TABLES: &str = "tables";
const PIECE_BYTES: usize = 64 << 10;
/// How many that were left behind by others under the same number of a process are in the way.
const NAMES_MAX: u32 = 10_000;
