//! What an engine counts: always, with one atomic addition a batch rather than a command.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Counters of an engine. Written by its threads, read by whoever asks.
#[derive(Debug, Default)]
pub struct Metrics {
    commands: AtomicU64,
    overloaded: AtomicU64,
    refused: AtomicU64,
    batches: AtomicU64,
    batch_bytes: AtomicU64,
    append_nanos: AtomicU64,
    append_nanos_max: AtomicU64,
    apply_nanos: AtomicU64,
    undeliverable: AtomicU64,
    checkpoints: AtomicU64,
    checkpoints_failed: AtomicU64,
    checkpoint_pairs: AtomicU64,
    checkpoint_nanos: AtomicU64,
    moved_bytes: AtomicU64,
    lost: AtomicU64,
    unreadable: AtomicU64,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
}

/// What was counted, at one moment. Numbers are since the start unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Commands that were answered, refusals of the machine included.
    pub commands: u64,
    /// Commands that were refused because too many waited.
    pub overloaded: u64,
    /// Commands that were refused because there was no room, or durability was lost.
    pub refused: u64,
    /// Calls of the log's `append`, each with all that waited.
    pub batches: u64,
    /// Bytes of commands in them.
    pub batch_bytes: u64,
    /// Time that they took together, and the longest.
    pub append: Duration,
    /// The longest.
    pub append_max: Duration,
    /// Time that applying took.
    pub apply: Duration,
    /// Commands that one shard sent another and that it refused.
    pub undeliverable: u64,
    /// Checkpoints that were written, and that could not be.
    pub checkpoints: u64,
    /// Checkpoints that could not be.
    pub checkpoints_failed: u64,
    /// Pairs that they wrote.
    pub checkpoint_pairs: u64,
    /// Time that they took.
    pub checkpoint: Duration,
    /// Bytes of payloads that were moved from the log into the store.
    pub moved_bytes: u64,
    /// How often a payload was to be read that is damaged on the disk, and lost: by who asked for it or was to get it, to be sent
    /// to another shard, or to be moved into the store. Anything but zero calls for `colony data verify`, which names them.
    pub lost: u64,
    /// How often a payload was to be read and the disk answered with an error. It is tried again.
    pub unreadable: u64,
    /// About how many bytes of changed state are in memory now.
    pub changed_bytes: usize,
    /// How many commands wait now, for a worker, the log or to be applied.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
}

impl Metrics {
    /// What was counted up to now, beside how much changed state is in memory.
    pub(crate) fn snapshot(&self, changed_bytes: usize) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let time = |counter: &AtomicU64| Duration::from_nanos(counter.load(Ordering::Relaxed));
        Snapshot {
            commands: get(&self.commands),
            overloaded: get(&self.overloaded),
            refused: get(&self.refused),
            batches: get(&self.batches),
            batch_bytes: get(&self.batch_bytes),
            append: time(&self.append_nanos),
            append_max: time(&self.append_nanos_max),
            apply: time(&self.apply_nanos),
            undeliverable: get(&self.undeliverable),
            checkpoints: get(&self.checkpoints),
            checkpoints_failed: get(&self.checkpoints_failed),
            checkpoint_pairs: get(&self.checkpoint_pairs),
            checkpoint: time(&self.checkpoint_nanos),
            moved_bytes: get(&self.moved_bytes),
            lost: get(&self.lost),
            unreadable: get(&self.unreadable),
            changed_bytes,
            waiting: self.waiting.load(Ordering::Relaxed),
            waiting_bytes: self.waiting_bytes.load(Ordering::Relaxed),
        }
    }

    /// Takes a place for a command of `bytes` among those that wait, unless `max` do or `bytes_max` are taken.
    pub(crate) fn enter(&self, bytes: usize, max: usize, bytes_max: usize) -> bool {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting_bytes = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting >= max || (waiting > 0 && waiting_bytes + bytes > bytes_max) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.overloaded.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Gives `count` places with `bytes` back; `refused` of them got no answer of the machine's.
    pub(crate) fn leave(&self, count: usize, bytes: usize, refused: u64) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.commands.fetch_add(count as u64 - refused, Ordering::Relaxed);
        if refused > 0 {
            self.refused.fetch_add(refused, Ordering::Relaxed);
        }
    }

    pub(crate) fn appended(&self, bytes: usize, took: Duration) {
        let nanos = took.as_nanos() as u64;
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batch_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.append_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.append_nanos_max.fetch_max(nanos, Ordering::Relaxed);
    }

    /// Bytes of commands that were appended since the start.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.batch_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn applied(&self, took: Duration) {
        self.apply_nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn undeliverable(&self, count: usize) {
        self.undeliverable.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn checkpoint(&self, pairs: usize, took: Duration) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.checkpoint_pairs.fetch_add(pairs as u64, Ordering::Relaxed);
        self.checkpoint_nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn checkpoint_failed(&self) {
        self.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn moved(&self, bytes: u64) {
        self.moved_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn unreadable(&self, count: u64) {
        self.unreadable.fetch_add(count, Ordering::Relaxed);
    }
}
