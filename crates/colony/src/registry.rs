//! Which nodes this user runs on this machine, so that `colony status` finds the only one from
//! anywhere. A file a node in a folder of the user's own, whose content is the data folder.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A node's entry, removed when dropped. One that a killed node left behind does no harm: nobody
/// answers there.
pub(crate) struct Entry {
    file: PathBuf,
}

impl Entry {
    /// None if the folder cannot be had; finding a node from elsewhere is a comfort only.
    pub(crate) fn new(data_dir: &Path) -> Option<Entry> {
        let mut hasher = DefaultHasher::new();
        data_dir.hash(&mut hasher);
        let file = folder()?.join(format!("{:016x}", hasher.finish()));
        std::fs::write(&file, data_dir.to_str()?).ok()?;
        Some(Entry { file })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Data folders of all nodes that have an entry.
pub(crate) fn all() -> Vec<PathBuf> {
    let entries = folder().and_then(|folder| std::fs::read_dir(folder).ok());
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok().map(PathBuf::from));
    let mut all: Vec<PathBuf> = paths.collect();
    all.sort();
    all
}

/// A folder that only this user can write.
fn folder() -> Option<PathBuf> {
    let uid = nix::unistd::getuid().as_raw();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| Path::new(path).is_dir()) {
        Some(runtime) => PathBuf::from(runtime).join("colony"),
        None => std::env::temp_dir().join(format!("colony-{uid}")),
    };
    let _ = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    let meta = std::fs::symlink_metadata(&folder).ok()?;
    (meta.is_dir() && meta.uid() == uid && meta.mode() & 0o022 == 0).then_some(folder)
}
