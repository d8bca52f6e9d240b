//! Which nodes this user runs on this machine, so that a command finds them from anywhere. A file a
//! node in a folder of the user's own, which says where its data and its manifest are.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A node, as others find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Its data folder, where its control socket is.
    pub(crate) data: PathBuf,
    pub(crate) manifest: PathBuf,
    pub(crate) pid: u32,
}

impl Known {
    /// The folder that its manifest lies in.
    pub(crate) fn root(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("/"))
    }
}

/// A node's entry, removed when dropped. One that a killed node left behind does no harm: nobody
/// answers there.
pub(crate) struct Entry {
    file: PathBuf,
}

impl Entry {
    /// None if the folder cannot be had; finding a node from elsewhere is a comfort only.
    pub(crate) fn new(node: &Known) -> Option<Entry> {
        let mut hasher = DefaultHasher::new();
        node.data.hash(&mut hasher);
        let file = folder()?.join(format!("{:016x}", hasher.finish()));
        std::fs::write(&file, serde_json::to_string(node).ok()?).ok()?;
        Some(Entry { file })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A folder whose sidecars are served, as long as this is there.
pub(crate) struct HostEntry {
    file: PathBuf,
}

impl HostEntry {
    /// None if the user's folder cannot be had; then it is found by its place only.
    pub(crate) fn new(engine: &Path) -> Option<HostEntry> {
        let mut hasher = DefaultHasher::new();
        engine.hash(&mut hasher);
        let file = folder()?.join(format!("{HOST}{:016x}", hasher.finish()));
        std::fs::write(&file, engine.to_str()?).ok()?;
        Some(HostEntry { file })
    }
}

impl Drop for HostEntry {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The folders of all hosts that have an entry, whether or not they still serve.
pub(crate) fn hosts() -> Vec<PathBuf> {
    let entries = folder().and_then(|folder| std::fs::read_dir(folder).ok());
    let hosts = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(HOST)));
    let mut folders: Vec<PathBuf> =
        hosts.filter_map(|entry| Some(std::fs::read_to_string(entry.path()).ok()?.into())).collect();
    folders.sort();
    folders
}

/// How the names of hosts' entries begin.
const HOST: &str = "host-";

/// All nodes that have an entry, whether or not they still run.
pub(crate) fn all() -> Vec<Known> {
    let entries = folder().and_then(|folder| std::fs::read_dir(folder).ok());
    let texts = entries.into_iter().flatten().flatten().map(|entry| std::fs::read_to_string(entry.path()));
    let nodes = texts.filter_map(|text| serde_json::from_str(&text.ok()?).ok());
    let mut all: Vec<Known> = nodes.collect();
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
