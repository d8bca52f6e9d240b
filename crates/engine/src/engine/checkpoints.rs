//! The checkpoints' thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use log::Log;

use super::turns::Inbox;
use super::{Inner, lock};
use crate::checkpoint::checkpoint;
use crate::reclaim::{Reclaimed, reclaim};
use crate::store::Store;

impl<L: Log, S: Store> Inner<L, S> {
    pub(super) fn changed_bytes(&self) -> usize {
        self.shared.iter().map(|shared| shared.changed_bytes()).sum()
    }

    pub(super) fn has_checkpoint_due(&self) -> bool {
        let appended =
            self.metrics.appended_bytes().saturating_sub(self.checkpointed_bytes.load(Ordering::Relaxed));
        self.changed_bytes() >= self.config.checkpoint_bytes || appended >= self.config.checkpoint_log_bytes
    }

    /// Whether commands have to wait for a checkpoint.
    pub(super) fn is_stalled(&self) -> bool {
        self.changed_bytes() > self.config.checkpoint_bytes * CHECKPOINTS_BEHIND_MAX
    }

    /// The checkpoints' thread.
    pub(super) fn checkpoint_at_times(&self) {
        yield_to_others();
        let _ = self.checkpointer.set(thread::current());
        let mut last = Instant::now();
        loop {
            let over = self.is_over();
            let due = self.has_checkpoint_due()
                || last.elapsed() >= self.config.checkpoint_after
                || (over && self.closing.load(Ordering::SeqCst));
            if due && self.failure.get().is_none() && !self.stopping.load(Ordering::SeqCst) {
                last = Instant::now();
                self.checkpoint_and_reclaim();
            }
            if over {
                return;
            }
            thread::park_timeout(if self.store_fails.load(Ordering::Relaxed) {
                CHECKPOINT_RETRY
            } else {
                self.config.checkpoint_after.saturating_sub(last.elapsed())
            });
        }
    }

    fn checkpoint_and_reclaim(&self) {
        if !self.checkpoint() {
            return;
        }
        let (slack, move_max) = (self.config.log_bytes_slack, self.config.checkpoint_bytes as u64);
        while !self.stopping.load(Ordering::SeqCst) {
            let turn = lock(&self.turn);
            if !turn.may_give_back() {
                return;
            }
            let reclaimed = reclaim(&self.shared, self.log.as_ref(), slack, move_max);
            drop(turn);
            match reclaimed {
                Ok(Reclaimed::Nothing) => return,
                Ok(Reclaimed::Trimmed) => {}
                Ok(Reclaimed::Moved { bytes, lost }) => {
                    self.metrics.moved(bytes);
                    self.metrics.lost(lost);
                    // What was moved must be in the store before it is given up here.
                    if !self.checkpoint() {
                        return;
                    }
                }
                // The disk may read it the next time. Until then the log grows, and nothing is given up.
                Err(failure) if failure.unreadable().is_some() => return self.metrics.unreadable(1),
                Err(failure) => return self.fail(&Arc::new(failure)),
            }
        }
    }

    fn checkpoint(&self) -> bool {
        let _turn = lock(&self.turn);
        let begun = Instant::now();
        self.checkpointed_bytes.store(self.metrics.appended_bytes(), Ordering::Relaxed);
        match checkpoint(&self.shared, self.store.as_ref()) {
            Ok(written) => {
                self.metrics.checkpoint(written.pairs, begun.elapsed());
                self.store_fails.store(false, Ordering::Relaxed);
                self.inboxes.iter().for_each(Inbox::wake);
                true
            }
            Err(failure) => {
                self.metrics.checkpoint_failed();
                *lock(&self.store_failure) = Some(failure);
                self.store_fails.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// Has this thread get the processor after those that somebody waits for. Where that is not possible it is as it was.
fn yield_to_others() {
    // SAFETY: a plain system call; on Linux it is about the calling thread alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, CHECKPOINT_NICE) };
}

/// How many checkpoints' worth of changes may be in memory before commands wait for one.
const CHECKPOINTS_BEHIND_MAX: usize = 4;
/// How far the checkpoints' thread stands back: it has up to four checkpoints' time before anyone waits for it.
const CHECKPOINT_NICE: libc::c_int = 10;
const CHECKPOINT_RETRY: Duration = Duration::from_secs(1);
