//! Takes the manifest on by itself when its file changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::Node;

/// Editors write in several steps: wait for so long after the last of them.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches for as long as the node runs. A watch that cannot be had is said and done without.
pub(crate) fn start(node: Arc<Node>) {
    tokio::spawn(async move {
        if let Err(error) = watch(&node).await {
            node.printer
                .note(&format!("changes of the manifest are not noticed ({error}); use `colony apply`"));
        }
    });
}

async fn watch(node: &Node) -> Result<(), notify::Error> {
    let files: Vec<PathBuf> = std::iter::once(&node.source.file)
        .chain(&node.source.overlays)
        .filter_map(|f| f.canonicalize().ok())
        .collect();
    let (sender, mut changes) = mpsc::channel(1);
    let watched = files.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = event
            .is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|p| watched.contains(p)));
        if ours {
            // Full: a change is waiting to be noticed already.
            let _ = sender.try_send(());
        }
    })?;
    // The folder, not the file: editors put a new file in the old one's place.
    for folder in files.iter().filter_map(|file| file.parent()) {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    let mut seen = contents(&files);
    while changes.recv().await.is_some() {
        while tokio::time::timeout(SETTLE, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
        let now = contents(&files);
        if now == seen {
            continue;
        }
        seen = now;
        let report = node.reload().await;
        node.printer.reloaded(&report);
    }
    Ok(())
}

fn contents(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}
