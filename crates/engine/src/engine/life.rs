//! How an engine starts and ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use log::Log;

use super::append::Appender;
use super::turns::{Inbox, Turns};
use super::{Engine, Inner};
use crate::clock::Clock;
use crate::config::Config;
use crate::consume::Lanes;
use crate::error::{Failure, OpenError};
use crate::metrics::Metrics;
use crate::receive::Lines;
use crate::replica;
use crate::shapes::Shapes;
use crate::store::Store;

impl<L: Log, S: Store> Engine<L, S> {
    /// Opens all shards and starts.
    ///
    /// # Errors
    ///
    /// If the configuration cannot work, or log and store cannot be read or do not fit together.
    pub fn open(
        config: Config,
        log: Arc<L>,
        store: Arc<S>,
        clock: impl Clock,
    ) -> Result<Engine<L, S>, OpenError> {
        let shards = config.check().map_err(OpenError::Config)?;
        replica::fix_data(log.as_ref(), store.as_ref(), shards)?;
        let opened = shards.all().map(|shard| replica::open(shard, log.as_ref(), &store).map(Arc::new));
        let shared = opened.collect::<Result<Vec<_>, _>>()?;
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = config.workers(cores);
        let inner = Arc::new(Inner {
            config,
            shards,
            shared,
            inboxes: (0..workers).map(|_| Inbox::default()).collect(),
            appender: Appender::default(),
            checkpointer: OnceLock::new(),
            turn: Mutex::default(),
            log,
            store,
            clock: Box::new(clock),
            waiters: Arc::default(),
            lanes: Lanes::default(),
            lines: Lines::default(),
            shapes: Shapes::default(),
            turns: AtomicU64::new(0),
            metrics: Metrics::default(),
            failure: OnceLock::new(),
            closing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            checkpointed_bytes: AtomicU64::new(0),
            store_fails: AtomicBool::new(false),
            store_failure: Mutex::default(),
        });
        Ok(Engine::start(inner, workers))
    }

    fn start(inner: Arc<Inner<L, S>>, workers: usize) -> Engine<L, S> {
        let mut threads = Vec::new();
        for number in 0..workers {
            let inner = Arc::clone(&inner);
            threads.push(spawn(format!("shards-{number}"), move || {
                let _panics = Panics(Arc::clone(&inner));
                Turns::new(&inner, number).run();
            }));
        }
        let appending = Arc::clone(&inner);
        threads.push(spawn("log".to_owned(), move || {
            let _panics = Panics(Arc::clone(&appending));
            appending.append_for_all();
        }));
        let checkpointing = Arc::clone(&inner);
        let checkpointer = spawn("checkpoint".to_owned(), move || {
            let _panics = Panics(Arc::clone(&checkpointing));
            checkpointing.checkpoint_at_times();
        });
        Engine { inner, threads, checkpointer: Some(checkpointer), serving: None }
    }

    /// Finishes what was begun, writes a checkpoint and ends. New commands are refused from now on.
    pub fn close(mut self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        self.stop_threads();
    }

    fn stop_threads(&mut self) {
        // Who is at a backup sees that it was not finished.
        self.serving = None;
        self.inner.wake_all();
        for thread in self.threads.drain(..) {
            // A panic has been noted by `Panics`, and told to all who asked.
            let _ = thread.join();
        }
        if let Some(checkpointer) = self.checkpointer.take() {
            checkpointer.thread().unpark();
            let _ = checkpointer.join();
        }
    }
}

impl<L: Log, S: Store> Drop for Engine<L, S> {
    fn drop(&mut self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        self.stop_threads();
    }
}

impl<L: Log, S: Store> Inner<L, S> {
    pub(super) fn fail(&self, failure: &Arc<Failure>) {
        let _ = self.failure.set(Arc::clone(failure));
        self.waiters.wake_all();
    }

    pub(super) fn wake_all(&self) {
        self.inboxes.iter().for_each(Inbox::wake);
        self.appender.wake();
        self.waiters.wake_all();
    }

    /// Whether the workers have ended, or shall at once.
    pub(super) fn is_over(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
            || (self.closing.load(Ordering::SeqCst) && self.inboxes.iter().all(Inbox::has_ended))
    }
}

/// Notes, when a thread of the engine is unwound, that nothing will be answered any more.
struct Panics<L: Log, S: Store>(Arc<Inner<L, S>>);

impl<L: Log, S: Store> Drop for Panics<L, S> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        self.0.fail(&Arc::new(Failure::Panicked));
        self.0.stopping.store(true, Ordering::SeqCst);
        let not_taken = self.0.not_taken();
        self.0.inboxes.iter().for_each(|inbox| inbox.end(&not_taken));
        self.0.wake_all();
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name).spawn(run).expect("a thread can be started")
}
