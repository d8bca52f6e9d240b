//! The log's thread, and who may append besides.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use log::{AppendError, Batch, Log};

use super::propose::Message;
use super::{Inner, lock};
use crate::store::Store;

impl<L: Log, S: Store> Inner<L, S> {
    /// Appends, for whoever has the log now.
    pub(super) fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>> {
        let begun = Instant::now();
        let results = self.log.append(batches);
        let bytes = batches.iter().flat_map(|batch| &batch.records).map(Bytes::len).sum();
        self.metrics.appended(bytes, begun.elapsed());
        results
    }

    /// The log's thread: one write and one sync for all that wait, over all workers.
    pub(super) fn append_for_all(&self) {
        while let Some(jobs) = self.appender.next(|| self.is_over()) {
            let log = self.appender.log();
            let counts: Vec<usize> = jobs.iter().map(|job| job.batches.len()).collect();
            let workers: Vec<usize> = jobs.iter().map(|job| job.worker).collect();
            let batches: Vec<Batch> = jobs.into_iter().flat_map(|job| job.batches).collect();
            let mut results = self.append(&batches).into_iter();
            drop(log);
            for (worker, count) in workers.into_iter().zip(counts) {
                let its = results.by_ref().take(count).collect();
                self.inboxes[worker].push(Message::Appended(its));
            }
        }
    }
}

/// Batches of a worker on their way to the log.
pub(super) struct Job {
    pub(super) worker: usize,
    pub(super) batches: Vec<Batch>,
}

/// Who may append, one at a time, and what waits for the log's thread.
#[derive(Default)]
pub(super) struct Appender {
    log: Mutex<()>,
    jobs: Mutex<Vec<Job>>,
    came: Condvar,
}

impl Appender {
    pub(super) fn log(&self) -> MutexGuard<'_, ()> {
        lock(&self.log)
    }

    pub(super) fn try_log(&self) -> Option<MutexGuard<'_, ()>> {
        self.log.try_lock().ok()
    }

    pub(super) fn push(&self, job: Job) {
        lock(&self.jobs).push(job);
        self.came.notify_one();
    }

    pub(super) fn wake(&self) {
        let _jobs = lock(&self.jobs);
        self.came.notify_all();
    }

    /// All that waits, once something does; nothing when it is `over`.
    pub(super) fn next(&self, over: impl Fn() -> bool) -> Option<Vec<Job>> {
        let mut jobs = lock(&self.jobs);
        loop {
            if !jobs.is_empty() {
                return Some(std::mem::take(&mut *jobs));
            }
            if over() {
                return None;
            }
            jobs = self.came.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
