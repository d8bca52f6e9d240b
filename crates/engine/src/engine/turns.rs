//! A worker's thread, and what comes to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use log::Log;
use machine::Time;

use super::append::Job;
use super::propose::{Asker, Message, Then};
use super::{Inner, lock};
use crate::error::Error;
use crate::replica::Shared;
use crate::store::Store;
use crate::worker::Worker;

/// A worker's thread.
pub(super) struct Turns<'a, L, S> {
    inner: &'a Inner<L, S>,
    number: usize,
    worker: Worker<L, S, Asker>,
}

impl<'a, L: Log, S: Store> Turns<'a, L, S> {
    pub(super) fn new(inner: &'a Inner<L, S>, number: usize) -> Turns<'a, L, S> {
        let count = inner.inboxes.len();
        let its = |shared: &&Arc<Shared<S>>| shared.shard().0 as usize % count == number;
        let shared: Vec<_> = inner.shared.iter().filter(its).cloned().collect();
        let worker = Worker::new(Arc::clone(&inner.log), inner.shards, shared, inner.config.batch_bytes_max);
        Turns { inner, number, worker }
    }

    pub(super) fn run(mut self) {
        let inbox = &self.inner.inboxes[self.number];
        inbox.begin();
        let mut messages = Vec::new();
        loop {
            inbox.take(&mut messages);
            let came = !messages.is_empty();
            self.turn(&mut messages);
            if self.inner.stopping.load(Ordering::SeqCst) {
                break;
            }
            if !came {
                if self.inner.closing.load(Ordering::SeqCst) && self.worker.is_idle() && inbox.is_empty() {
                    break;
                }
                if let Some(longest) = self.longest_wait() {
                    inbox.wait(longest);
                }
            }
        }
        inbox.end(&self.inner.not_taken());
        self.inner.appender.wake();
        if let Some(checkpointer) = self.inner.checkpointer.get() {
            checkpointer.unpark();
        }
    }

    /// One turn, as `Worker` prescribes.
    fn turn(&mut self, messages: &mut Vec<Message>) {
        let now = self.inner.clock.now();
        for message in messages.drain(..) {
            match message {
                Message::Propose { shard, entry, asker } => {
                    self.worker.propose(now, shard, entry, asker);
                }
                Message::Letter(letter) => self.worker.letter(now, letter),
                Message::Appended(results) => self.worker.appended(now, results),
            }
        }
        self.worker.tick(now);
        self.append(now);
        let begun = Instant::now();
        self.worker.apply();
        if let Some(failure) = self.worker.failure() {
            self.inner.fail(failure);
        }
        self.carry_out(begun);
    }

    fn append(&mut self, now: Time) {
        if self.inner.is_stalled() {
            return;
        }
        let batches = self.worker.take_batches();
        if batches.is_empty() {
            return;
        }
        let records: usize = batches.iter().map(|batch| batch.records.len()).sum();
        if records <= APPEND_SELF_MAX
            && let Some(_log) = self.inner.appender.try_log()
        {
            let results = self.inner.append(&batches);
            self.worker.appended(now, results);
            return;
        }
        self.inner.appender.push(Job { worker: self.number, batches });
    }

    fn carry_out(&mut self, begun: Instant) {
        let inner = self.inner;
        let outputs = self.worker.outputs();
        let (mut bytes, mut refused) = (0, 0);
        let count = outputs.replies.len();
        for (asker, outcome) in outputs.replies.drain(..) {
            bytes += asker.bytes;
            refused += u64::from(matches!(outcome, Err(Error::Full | Error::Failed(_) | Error::InDoubt(_))));
            asker.then.tell(outcome);
        }
        if count > 0 {
            inner.metrics.leave(count, bytes, refused);
            inner.metrics.applied(begun.elapsed());
        }
        inner.metrics.lost(std::mem::take(&mut outputs.lost));
        inner.metrics.unreadable(std::mem::take(&mut outputs.unreadable));
        if !outputs.undeliverable.is_empty() {
            inner.metrics.undeliverable(outputs.undeliverable.len());
            outputs.undeliverable.clear();
        }
        for channel in outputs.wakes.drain(..) {
            inner.waiters.wake(channel);
        }
        for letter in outputs.letters.drain(..) {
            inner.inbox(letter.to()).push(Message::Letter(letter));
        }
        if count > 0 {
            self.begin_checkpoint();
        }
    }

    fn begin_checkpoint(&self) {
        if self.inner.has_checkpoint_due()
            && let Some(checkpointer) = self.inner.checkpointer.get()
        {
            checkpointer.unpark();
        }
    }

    /// For how long there is nothing to do unless something comes; nothing if there is something to do.
    fn longest_wait(&self) -> Option<Duration> {
        if self.worker.has_durable() {
            return None;
        }
        if self.inner.is_stalled() {
            return Some(STALL_WAIT);
        }
        Some(match self.worker.deadline() {
            Some(deadline) => deadline.since(self.inner.clock.now()).clamp(TIMER_WAIT_MIN, TIMER_WAIT_MAX),
            None => TIMER_WAIT_MAX,
        })
    }
}

/// What came to a worker and has not been taken.
#[derive(Default)]
pub(super) struct Inbox {
    messages: Mutex<Vec<Message>>,
    waits: AtomicBool,
    ended: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Inbox {
    /// Whether somebody will take it.
    pub(super) fn push(&self, message: Message) -> bool {
        let mut messages = lock(&self.messages);
        // Looked at while nobody can end it.
        if self.has_ended() {
            return false;
        }
        messages.push(message);
        drop(messages);
        self.wake();
        true
    }

    pub(super) fn wake(&self) {
        if self.waits.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn begin(&self) {
        let _ = self.thread.set(thread::current());
    }

    /// Nobody takes anything any more: `error` is what those are told who asked too late.
    pub(super) fn end(&self, error: &Error) {
        self.ended.store(true, Ordering::SeqCst);
        let left = std::mem::take(&mut *lock(&self.messages));
        for message in left {
            // A call is for who goes on with the engine.
            if let Message::Propose { asker: Asker { then: then @ Then::Tell(_), .. }, .. } = message {
                then.tell(Err(error.clone()));
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn is_empty(&self) -> bool {
        lock(&self.messages).is_empty()
    }

    fn take(&self, messages: &mut Vec<Message>) {
        std::mem::swap(&mut *lock(&self.messages), messages);
    }

    fn wait(&self, longest: Duration) {
        self.waits.store(true, Ordering::SeqCst);
        if self.is_empty() {
            thread::park_timeout(longest);
        }
        self.waits.store(false, Ordering::SeqCst);
    }
}

/// Up to how many commands a worker appends by itself, if nobody else does at that moment.
const APPEND_SELF_MAX: usize = 4;
/// How long a worker waits before it looks whether a checkpoint has made room.
const STALL_WAIT: Duration = Duration::from_millis(5);
/// A timer is due at a millisecond, and the clock may be set meanwhile.
const TIMER_WAIT_MIN: Duration = Duration::from_micros(500);
const TIMER_WAIT_MAX: Duration = Duration::from_secs(1);
