//! How long was waited for commits, for who wants to show it: [`watched`] has all that a task proposes meanwhile noted.
//!
//! A commit is noted from when a command is handed to its shard until its answer is there: until what was before it is in the log,
//! it is written and synced with all that waited beside it, and applied. Where nobody watches it costs one look.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

tokio::task_local! {
    static WATCH: Option<Arc<Commits>>;
}

/// Commits that were waited for.
#[derive(Debug, Default)]
pub struct Commits(Mutex<Vec<Commit>>);

/// Commits that were waited for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When the first of them was handed over.
    pub begun: Instant,
    /// When the last of them was answered.
    pub ended: Instant,
    /// How many they are.
    pub count: u32,
}

/// Does `work`, and has the commits that it waits for noted in `commits`, if there is that. What it spawns is not noted.
pub fn watched<F: Future>(commits: Option<Arc<Commits>>, work: F) -> impl Future<Output = F::Output> {
    // Not within a future of its own, which would have room for the work twice.
    WATCH.scope(commits, work)
}

impl Commits {
    /// What was noted, in order; those that overlap are one. Where there are more than [`COMMITS_MAX`] the last stands for the rest.
    pub fn take(&self) -> Vec<Commit> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, begun: Instant, ended: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = all.len() >= COMMITS_MAX;
        match all.last_mut() {
            Some(last) if is_full || begun <= last.ended => {
                (last.begun, last.ended) = (last.begun.min(begun), last.ended.max(ended));
                last.count = last.count.saturating_add(1);
            }
            _ => all.push(Commit { begun, ended, count: 1 }),
        }
    }
}

/// A commit that is waited for; noted when it is dropped.
pub(crate) struct Wait(Option<(Arc<Commits>, Instant)>);

impl Wait {
    pub(crate) fn begin() -> Wait {
        let watch = WATCH.try_with(Clone::clone).ok().flatten();
        Wait(watch.map(|commits| (commits, Instant::now())))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some((commits, begun)) = self.0.take() {
            commits.note(begun, Instant::now());
        }
    }
}

/// Most that are told apart of one [`watched`].
pub const COMMITS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_is_noted_and_what_overlaps_is_one() {
        let commit = async |ms: u64| {
            let _wait = Wait::begin();
            std::thread::sleep(Duration::from_millis(ms));
            tokio::task::yield_now().await;
        };
        let commits = Arc::<Commits>::default();
        watched(Some(commits.clone()), async {
            tokio::join!(commit(1), commit(2));
            std::thread::sleep(Duration::from_millis(1));
            commit(1).await;
        })
        .await;
        commit(1).await;
        let noted = commits.take();
        assert_eq!(noted.iter().map(|one| one.count).collect::<Vec<_>>(), [2, 1]);
        assert!(noted[0].ended < noted[1].begun && noted[0].begun < noted[0].ended);
        assert!(commits.take().is_empty());
        watched(None, commit(0)).await;
    }

    #[test]
    fn more_than_are_told_apart_are_one() {
        let (commits, from) = (Commits::default(), Instant::now());
        let at = |ms: u64| from + Duration::from_millis(ms);
        (0..20).for_each(|n| commits.note(at(10 * n), at(10 * n + 5)));
        let noted = commits.take();
        assert_eq!((noted.len(), noted[7].count, noted[7].ended), (8, 13, at(195)));
    }
}
