//! Reads the files of an application anew when they change, in the process that was started for it.

use std::path::PathBuf;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::application::Application;
use super::files::Read;
use super::journal::{Journal, Level};

impl Application {
    /// Goes on until it is dropped. A watch that cannot be had is said and done without.
    pub(crate) async fn watch(&self, journal: &Journal) {
        let (folders, files) = (&self.args.resources_path, &self.args.config);
        if folders.is_empty() && files.is_empty() {
            return std::future::pending().await;
        }
        // The folder of a file, not the file: editors put a new one in the old one's place.
        let parents = files.iter().filter_map(|file| file.canonicalize().ok()?.parent().map(PathBuf::from));
        let watched: Vec<PathBuf> = folders.iter().cloned().chain(parents).collect();
        let (sender, mut changes) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full: a change is waiting to be noticed already.
                let _ = sender.try_send(());
            }
        });
        let mut watcher = watcher
            .inspect_err(|error| {
                let line = format!("changes of the resources are not noticed at once ({error})");
                journal.say(Level::Warn, &line);
            })
            .ok();
        let mut told = None;
        loop {
            // Again each time: a folder may be gone, and another be in its place.
            watcher.iter_mut().for_each(|watcher| again(watcher, &watched));
            self.read_again(journal, &mut told);
            tokio::select! {
                Some(()) = changes.recv() => {
                    while timeout(SETTLE, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
                }
                () = self.interval() => {}
            }
        }
    }

    async fn interval(&self) {
        match self.args.hot_reload_reconcile_interval {
            0 => std::future::pending().await,
            seconds => sleep(Duration::from_secs(seconds)).await,
        }
    }

    /// What cannot be read is said once.
    fn read_again(&self, journal: &Journal, told: &mut Option<String>) {
        let read = Read::of(&self.args.resources_path, &self.args.config);
        let failed = read.map(|read| self.declared.replace(read)).err().map(|failure| failure.message);
        if let Some(why) = &failed
            && *told != failed
        {
            let line = format!("{why}; what was declared before holds");
            journal.event(Level::Error, "not-reloaded", &line, json!({}));
        }
        *told = failed;
    }
}

fn again(watcher: &mut RecommendedWatcher, folders: &[PathBuf]) {
    for folder in folders {
        let _ = watcher.unwatch(folder);
        // What is not there is looked for at the next time.
        let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
    }
}

/// Editors write in several steps: how long it is waited after the last of them.
const SETTLE: Duration = Duration::from_millis(150);
