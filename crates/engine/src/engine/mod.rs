//! The engine: workers on threads, behind a handle that anyone may ask.
//!
//! A worker's thread sleeps until something comes. What it takes to the log it appends itself while there is little
//! to do, for handing over to another thread costs more than a small write; under load a thread of the log's own
//! writes and syncs, so that the worker applies one batch while the disk is busy with the next.
//!
//! In here: what is proposed (`propose`) and read (`read`), the threads of the workers (`turns`), of the log (`append`)
//! and of the checkpoints (`checkpoints`), what is held for a backup (`backups`), and how all of it starts and ends (`life`).

mod append;
mod backups;
mod checkpoints;
mod life;
mod propose;
mod read;
mod turns;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};

use log::Log;
use machine::effect::Channel;
use machine::{Shard, Shards, Time, topic};

use crate::backup::Serving;
use crate::clock::Clock;
use crate::config::Config;
use crate::consume::{Consumer, ConsumerConfig, Lanes};
use crate::error::{Error, Failure};
use crate::metrics::{Metrics, Snapshot};
use crate::receive::Lines;
use crate::replica::Shared;
use crate::shapes::Shapes;
use crate::store::{Store, StoreError};
use crate::wait::{Waiters, Waiting};
use append::Appender;
use backups::Turn;
use turns::Inbox;

/// Shards that run. Dropping it stops it at once, as a crash would, but for what is acknowledged; [`Engine::close`]
/// finishes what was begun and writes a checkpoint, so that the next start has nothing to apply again.
pub struct Engine<L: Log, S: Store> {
    pub(crate) inner: Arc<Inner<L, S>>,
    threads: Vec<JoinHandle<()>>,
    checkpointer: Option<JoinHandle<()>>,
    serving: Option<Serving>,
}

pub(crate) struct Inner<L, S> {
    config: Config,
    shards: Shards,
    shared: Vec<Arc<Shared<S>>>,
    inboxes: Vec<Inbox>,
    appender: Appender,
    checkpointer: OnceLock<Thread>,
    turn: Mutex<Turn>,
    log: Arc<L>,
    store: Arc<S>,
    clock: Box<dyn Clock>,
    waiters: Arc<Waiters>,
    lanes: Lanes<L, S>,
    lines: Lines,
    shapes: Shapes,
    /// Whose turn it is where nothing else decides.
    turns: AtomicU64,
    metrics: Metrics,
    failure: OnceLock<Arc<Failure>>,
    closing: AtomicBool,
    stopping: AtomicBool,
    /// How many bytes had been appended when the last checkpoint began.
    checkpointed_bytes: AtomicU64,
    /// Whether the last checkpoint failed: then changed state may not grow without end.
    store_fails: AtomicBool,
    /// Why it did.
    store_failure: Mutex<Option<StoreError>>,
}

impl<L: Log, S: Store> Engine<L, S> {
    /// How many shards there are.
    pub fn shards(&self) -> Shards {
        self.inner.shards
    }

    /// Consumes `partitions` of a topic for a group, which is made if it is not there and then begins at `from`.
    ///
    /// # Errors
    ///
    /// If the group cannot be made.
    pub async fn consume(
        &self,
        topic: &str,
        partitions: Range<u32>,
        group: &str,
        from: topic::Place,
        config: ConsumerConfig,
    ) -> Result<Consumer<L, S>, Error> {
        Consumer::open(&self.inner, topic, partitions, group, from, config).await
    }

    /// A place at `channel`, to wait for what a command will wake.
    pub fn waiting(&self, channel: Channel) -> Waiting {
        Waiters::at(&self.inner.waiters, vec![channel])
    }

    /// The time that a command would be stamped with.
    pub fn now(&self) -> Time {
        self.inner.clock.now()
    }

    /// What was counted up to now.
    pub fn metrics(&self) -> Snapshot {
        self.inner.metrics.snapshot(self.inner.changed_bytes())
    }

    /// How far each shard is: its number, its last record in the log, and the last that it has applied.
    pub fn progress(&self) -> Vec<(u32, u64, u64)> {
        let of = |shard: &Arc<Shared<S>>| {
            let number = shard.shard().0;
            // First what is applied: the log's last is never before it.
            let applied = shard.read().sequence;
            (number, self.inner.log.last(number), applied)
        };
        self.inner.shared.iter().map(of).collect()
    }

    /// How many bytes of storage the log takes.
    pub fn log_bytes(&self) -> u64 {
        self.inner.log.bytes()
    }

    /// The log.
    pub fn log(&self) -> &L {
        &self.inner.log
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.inner.store
    }

    /// Why nothing is written any more, if that is so.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.inner.failure.get().cloned()
    }
}

impl<L: Log, S: Store> Inner<L, S> {
    pub(crate) fn shards(&self) -> Shards {
        self.shards
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    pub(crate) fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// One of `count`, each in its turn.
    pub(crate) fn turn(&self, count: u32) -> u32 {
        (self.turns.fetch_add(1, Ordering::Relaxed) % u64::from(count.max(1))) as u32
    }

    pub(crate) fn lanes(&self) -> &Lanes<L, S> {
        &self.lanes
    }

    fn inbox(&self, shard: Shard) -> &Inbox {
        &self.inboxes[shard.0 as usize % self.inboxes.len()]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
