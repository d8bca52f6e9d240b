//! Takes the manifest on by itself when its file changes, or one with what it declares resources and configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Node;
use crate::sidecars;

/// Editors write in several steps: wait for so long after the last of them.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches for as long as the node runs. A watch that cannot be had is said and done without.
pub(crate) fn start(node: Arc<Node>) {
    // At once: whoever is told that all is ready may change something.
    let begun = Watching::begin(Watched::of(&node));
    tokio::spawn(async move {
        let watched = match begun {
            Ok(begun) => watch(&node, begun).await,
            Err(error) => Err(error),
        };
        if let Err(error) = watched {
            node.printer
                .note(&format!("changes of the manifest are not noticed ({error}); use `colony apply`"));
        }
    });
}

/// What is watched: files, and folders of resource files.
#[derive(Clone, PartialEq, Eq)]
struct Watched {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// What is in each file that is watched, by the files and folders.
type Contents = BTreeMap<PathBuf, Vec<(PathBuf, Option<Vec<u8>>)>>;

/// A watch, and what was there when it was looked last.
struct Watching {
    watched: Watched,
    _watcher: RecommendedWatcher,
    changes: mpsc::Receiver<()>,
    seen: Contents,
}

async fn watch(node: &Node, mut watching: Watching) -> Result<(), notify::Error> {
    loop {
        watching.changed().await;
        loop {
            let report = node.reload().await;
            node.printer.reloaded(&report);
            let watched = Watched::of(node);
            if watched == watching.watched {
                break;
            }
            // What is watched from now on may have changed since it was read: once more.
            watching = Watching::begin(watched)?;
        }
    }
}

impl Watching {
    fn begin(watched: Watched) -> Result<Watching, notify::Error> {
        let (sender, changes) = mpsc::channel(1);
        let watcher = watched.watcher(sender)?;
        Ok(Watching { seen: watched.contents(), watched, _watcher: watcher, changes })
    }

    /// Waits until something is otherwise than when it was looked last.
    async fn changed(&mut self) {
        while self.changes.recv().await.is_some() {
            while timeout(SETTLE, self.changes.recv()).await.is_ok_and(|change| change.is_some()) {}
            let now = self.watched.contents();
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
        std::future::pending().await
    }
}

impl Watched {
    fn of(node: &Node) -> Watched {
        let canonical =
            |all: &[PathBuf]| all.iter().filter_map(|path| path.canonicalize().ok()).collect::<Vec<_>>();
        let [folders, configuration] = node.source.resources(&node.current().manifest);
        let mut files = vec![node.source.file.clone()];
        files.extend(node.source.overlays.clone());
        files.extend(configuration);
        Watched { files: canonical(&files), folders: canonical(&folders) }
    }

    /// Sends something whenever one of them may have changed.
    fn watcher(&self, sender: mpsc::Sender<()>) -> Result<RecommendedWatcher, notify::Error> {
        let watched = self.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let ours = |path: &PathBuf| {
                let is_in = |folder: &PathBuf| path == folder || path.parent() == Some(folder);
                watched.files.contains(path) || watched.folders.iter().any(is_in)
            };
            if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(ours)) {
                // Full: a change is waiting to be noticed already.
                let _ = sender.try_send(());
            }
        })?;
        // The folder, not the file: editors put a new file in the old one's place.
        let parents = self.files.iter().filter_map(|file| file.parent());
        for folder in parents.chain(self.folders.iter().map(PathBuf::as_path)) {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }

    fn contents(&self) -> Contents {
        let read = |path: &Path| (path.to_owned(), std::fs::read(path).ok());
        let files = self.files.iter().map(|path| (path.clone(), vec![read(path)]));
        let folders = self.folders.iter().map(|folder| {
            let files = sidecars::resource_files(folder).unwrap_or_default();
            (folder.clone(), files.iter().map(|path| read(path)).collect())
        });
        files.chain(folders).collect()
    }
}
