//! Where a file lies that somebody names, and that this is inside of the folder.
//!
//! A name is a relative path without `..`. What is there of it already is resolved, links included, and must lie below the
//! folder. Whoever else may write into the folder can put a link there between the look and the use; a folder that strangers
//! write into is no place for this.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The folder, absolute and without links.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    /// A folder, which is made if it is not there.
    pub(super) fn open(path: &Path) -> Result<Root, String> {
        let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
        if let Some(closed) = existing(&absolute).as_deref().and_then(closed) {
            return Err(closed);
        }
        fs::create_dir_all(&absolute).map_err(|error| format!("it cannot be made: {error}"))?;
        let root = absolute.canonicalize().map_err(|error| error.to_string())?;
        match closed(&root) {
            Some(closed) => Err(closed),
            None => Ok(Root(root)),
        }
    }

    /// The file of this name, to be read; it and what leads to it may be links within the folder.
    pub(super) fn to_read(&self, name: &str) -> io::Result<PathBuf> {
        self.inside(self.named(name)?.canonicalize()?)
    }

    /// The file of this name, to be written; the folders above it are made.
    pub(super) fn to_write(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.named(name)?;
        let folder = path.parent().ok_or_else(outside)?;
        // Before anything is made: a link may lead out.
        self.inside(existing(folder).ok_or_else(outside)?)?;
        fs::create_dir_all(folder)?;
        let path = self.entry(name)?;
        if path.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(path) }
    }

    /// What has this name in its folder, be it a link.
    pub(super) fn entry(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.named(name)?;
        if path == self.0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it names the folder itself"));
        }
        let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else { return Err(outside()) };
        Ok(self.inside(folder.canonicalize()?)?.join(file))
    }

    /// A path as it is told: below the folder.
    pub(super) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.0).unwrap_or(path).to_string_lossy().into_owned()
    }

    fn named(&self, name: &str) -> io::Result<PathBuf> {
        let mut path = self.0.clone();
        for part in Path::new(name).components() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(path)
    }

    fn inside(&self, path: PathBuf) -> io::Result<PathBuf> {
        if path.starts_with(&self.0) { Ok(path) } else { Err(outside()) }
    }
}

/// The part of a path that is there, without links.
fn existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|part| part.canonicalize().ok())
}

/// Why nothing is kept in a folder.
fn closed(path: &Path) -> Option<String> {
    let closed = CLOSED.iter().find(|closed| path.starts_with(closed))?;
    Some(format!("nothing is kept below {closed}, which is the system's"))
}

fn outside() -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, "the name leads out of the folder")
}

/// Folders whose files are the system's, or secrets.
const CLOSED: [&str; 5] = ["/proc", "/sys", "/boot", "/run/secrets", "/var/run/secrets"];
