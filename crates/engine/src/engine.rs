//! The engine: workers on threads, behind a handle that anyone may ask.
//!
//! A worker's thread sleeps until something comes. What it takes to the log it appends itself while there is little
//! to do, for handing over to another thread costs more than a small write; under load a thread of the log's own
//! writes and syncs, so that the worker applies one batch while the disk is busy with the next.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::{AppendError, Batch, Log, ReadError};
use machine::effect::Channel;
use machine::{Entry, Reply, Shard, Shards, Stored, Time, topic};
use tokio::sync::oneshot;

use crate::checkpoint::checkpoint;
use crate::clock::Clock;
use crate::config::Config;
use crate::consume::{Consumer, ConsumerConfig, Lanes};
use crate::error::{Error, Failure, OpenError};
use crate::metrics::{Metrics, Snapshot};
use crate::overlay::Overlay;
use crate::reclaim::{Reclaimed, reclaim};
use crate::replica::{self, Shared};
use crate::store::Store;
use crate::wait::{Waiters, Waiting};
use crate::worker::{Letter, Worker, payload};

/// Shards that run. Dropping it stops it at once, as a crash would, but for what is acknowledged; [`Engine::close`]
/// finishes what was begun and writes a checkpoint, so that the next start has nothing to apply again.
pub struct Engine<L: Log, S: Store> {
    inner: Arc<Inner<L, S>>,
    threads: Vec<JoinHandle<()>>,
    checkpointer: Option<JoinHandle<()>>,
}

pub(crate) struct Inner<L, S> {
    config: Config,
    shards: Shards,
    shared: Vec<Arc<Shared<S>>>,
    inboxes: Vec<Inbox>,
    appender: Appender,
    checkpointer: OnceLock<Thread>,
    log: Arc<L>,
    store: Arc<S>,
    clock: Box<dyn Clock>,
    waiters: Arc<Waiters>,
    lanes: Lanes<L, S>,
    metrics: Metrics,
    failure: OnceLock<Arc<Failure>>,
    closing: AtomicBool,
    stopping: AtomicBool,
    /// How many bytes had been appended when the last checkpoint began.
    checkpointed_bytes: AtomicU64,
    /// Whether the last checkpoint failed: then changed state may not grow without end.
    store_full: AtomicBool,
}

/// What comes to a worker.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are commands, and a box would be an allocation for each"
)]
enum Message {
    Propose { shard: Shard, entry: Entry, asker: Asker },
    Letter(Letter),
    Appended(Vec<Result<(), AppendError>>),
}

/// Who asked, with how many bytes.
struct Asker {
    bytes: usize,
    then: Then,
}

/// What is done with a command's outcome.
enum Then {
    /// Somebody waits for it.
    Tell(oneshot::Sender<Result<Reply, Error>>),
    /// It is called on the worker's thread, and must be quick.
    Call(Box<dyn FnOnce(Result<Reply, Error>) + Send>),
}

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
            log,
            store,
            clock: Box::new(clock),
            waiters: Arc::default(),
            lanes: Lanes::default(),
            metrics: Metrics::default(),
            failure: OnceLock::new(),
            closing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            checkpointed_bytes: AtomicU64::new(0),
            store_full: AtomicBool::new(false),
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
        Engine { inner, threads, checkpointer: Some(checkpointer) }
    }

    /// How many shards there are.
    pub fn shards(&self) -> Shards {
        self.inner.shards
    }

    /// Has `entry` made durable in `shard` and applied. Resolves when both is done.
    ///
    /// # Errors
    ///
    /// [`Error`] says whose fault it is, and whether anything may have happened. If the future is dropped, the command
    /// may still be done.
    pub async fn propose(&self, shard: Shard, entry: Entry) -> Result<Reply, Error> {
        self.inner.propose(shard, entry).await
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

    /// Looks at what has been applied in `shard`: everything that was acknowledged before, without a write to the log.
    /// `look` gets the state and the time, and must be quick, for the shard waits.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn read<R>(&self, shard: Shard, look: impl FnOnce(&Overlay<S>, Time) -> R) -> Result<R, Error> {
        self.inner.read(shard, look)
    }

    /// As [`Engine::read`], with the payloads that `look` found: it returns where they are, in order.
    ///
    /// # Errors
    ///
    /// If log or store cannot be read.
    pub fn read_with_payloads<R>(
        &self,
        shard: Shard,
        look: impl Fn(&Overlay<S>, Time) -> (R, Vec<Stored>),
    ) -> Result<(R, Vec<Bytes>), Error> {
        loop {
            let (looked, stored) = self.read(shard, &look)?;
            if let Some(payloads) = self.inner.payloads(shard, &stored)? {
                return Ok((looked, payloads));
            }
        }
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

    /// Finishes what was begun, writes a checkpoint and ends. New commands are refused from now on.
    pub fn close(mut self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        self.stop_threads();
    }

    fn stop_threads(&mut self) {
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
    pub(crate) async fn propose(&self, shard: Shard, entry: Entry) -> Result<Reply, Error> {
        let (reply, answer) = oneshot::channel();
        self.put(shard, entry, Then::Tell(reply))?;
        answer.await.unwrap_or_else(|_| Err(self.failed()))
    }

    /// Proposes, and has `then` called with what came of it, on the worker's thread. It is not called if the engine ends.
    pub(crate) fn propose_then(
        &self,
        shard: Shard,
        entry: Entry,
        then: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.put(shard, entry, Then::Call(Box::new(then)))
    }

    fn put(&self, shard: Shard, entry: Entry, then: Then) -> Result<(), Error> {
        entry.check(self.config.body_bytes_max)?;
        self.may_write()?;
        let bytes = entry.encoded_len();
        if !self.metrics.enter(bytes, self.config.waiting_max, self.config.waiting_bytes_max) {
            return Err(Error::Overloaded);
        }
        self.inbox(shard).push(Message::Propose { shard, entry, asker: Asker { bytes, then } });
        Ok(())
    }

    pub(crate) fn read<R>(
        &self,
        shard: Shard,
        look: impl FnOnce(&Overlay<S>, Time) -> R,
    ) -> Result<R, Error> {
        let applied = self.shared[shard.0 as usize].read();
        let now = self.clock.now().max(applied.time);
        let looked = look(&applied.state, now);
        match applied.state.failure() {
            Some(failure) => Err(Error::Failed(Arc::new(Failure::Store(failure.clone())))),
            None => Ok(looked),
        }
    }

    /// Nothing if one of them has been let go since the state was looked at.
    pub(crate) fn payloads(&self, shard: Shard, stored: &[Stored]) -> Result<Option<Vec<Bytes>>, Error> {
        let mut payloads = Vec::with_capacity(stored.len());
        for stored in stored {
            match self.payload(shard, stored)? {
                Some(bytes) => payloads.push(bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(payloads))
    }

    /// Nothing if it has been let go since the state was looked at.
    pub(crate) fn payload(&self, shard: Shard, stored: &Stored) -> Result<Option<Bytes>, Error> {
        let log = self.log.as_ref();
        let found = match payload(log, &machine::Memory::new(), shard, stored) {
            Err(Failure::Read(ReadError::Trimmed { .. })) => {
                self.read(shard, |state, _| payload(log, state, shard, stored))?
            }
            found => found,
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Failure::Read(ReadError::Trimmed { .. })) => Ok(None),
            Err(failure) => Err(Error::Failed(Arc::new(failure))),
        }
    }

    pub(crate) fn shards(&self) -> Shards {
        self.shards
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    pub(crate) fn lanes(&self) -> &Lanes<L, S> {
        &self.lanes
    }

    fn inbox(&self, shard: Shard) -> &Inbox {
        &self.inboxes[shard.0 as usize % self.inboxes.len()]
    }

    fn may_write(&self) -> Result<(), Error> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if let Some(failure) = self.failure.get() {
            return Err(Error::Failed(Arc::clone(failure)));
        }
        if self.store_full.load(Ordering::Relaxed) && self.is_stalled() {
            return Err(Error::Full);
        }
        Ok(())
    }

    /// Whether there is any use in waiting for something new.
    pub(crate) fn may_go_on(&self) -> Result<(), Error> {
        match self.failure.get() {
            _ if self.is_over() => Err(Error::Closed),
            Some(failure) => Err(Error::Failed(Arc::clone(failure))),
            None => Ok(()),
        }
    }

    /// What is said where an answer was lost with a worker.
    pub(crate) fn failed(&self) -> Error {
        match self.failure.get() {
            Some(failure) => Error::Failed(Arc::clone(failure)),
            None => Error::Closed,
        }
    }

    fn changed_bytes(&self) -> usize {
        self.shared.iter().map(|shared| shared.changed_bytes()).sum()
    }

    fn has_checkpoint_due(&self) -> bool {
        let appended =
            self.metrics.appended_bytes().saturating_sub(self.checkpointed_bytes.load(Ordering::Relaxed));
        self.changed_bytes() >= self.config.checkpoint_bytes || appended >= self.config.checkpoint_log_bytes
    }

    /// Whether commands have to wait for a checkpoint.
    fn is_stalled(&self) -> bool {
        self.changed_bytes() > self.config.checkpoint_bytes * CHECKPOINTS_BEHIND_MAX
    }

    fn fail(&self, failure: &Arc<Failure>) {
        let _ = self.failure.set(Arc::clone(failure));
        self.waiters.wake_all();
    }

    fn wake_all(&self) {
        self.inboxes.iter().for_each(Inbox::wake);
        self.appender.wake();
        self.waiters.wake_all();
    }

    /// Appends, for whoever has the log now.
    fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>> {
        let begun = Instant::now();
        let results = self.log.append(batches);
        let bytes = batches.iter().flat_map(|batch| &batch.records).map(Bytes::len).sum();
        self.metrics.appended(bytes, begun.elapsed());
        results
    }

    /// The log's thread: one write and one sync for all that wait, over all workers.
    fn append_for_all(&self) {
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

    /// Whether the workers have ended, or shall at once.
    fn is_over(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
            || (self.closing.load(Ordering::SeqCst) && self.inboxes.iter().all(Inbox::has_ended))
    }

    /// The checkpoints' thread.
    fn checkpoint_at_times(&self) {
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
            thread::park_timeout(if self.store_full.load(Ordering::Relaxed) {
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
            match reclaim(&self.shared, self.log.as_ref(), slack, move_max) {
                Ok(Reclaimed::Nothing) => return,
                Ok(Reclaimed::Trimmed) => {}
                Ok(Reclaimed::Moved(bytes)) => {
                    self.metrics.moved(bytes);
                    // What was moved must be in the store before it is given up here.
                    if !self.checkpoint() {
                        return;
                    }
                }
                Err(failure) => return self.fail(&Arc::new(failure)),
            }
        }
    }

    fn checkpoint(&self) -> bool {
        let begun = Instant::now();
        self.checkpointed_bytes.store(self.metrics.appended_bytes(), Ordering::Relaxed);
        match checkpoint(&self.shared, self.store.as_ref()) {
            Ok(written) => {
                self.metrics.checkpoint(written.pairs, begun.elapsed());
                self.store_full.store(false, Ordering::Relaxed);
                self.inboxes.iter().for_each(Inbox::wake);
                true
            }
            Err(_) => {
                self.metrics.checkpoint_failed();
                self.store_full.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// A worker's thread.
struct Turns<'a, L, S> {
    inner: &'a Inner<L, S>,
    number: usize,
    worker: Worker<L, S, Asker>,
}

impl<'a, L: Log, S: Store> Turns<'a, L, S> {
    fn new(inner: &'a Inner<L, S>, number: usize) -> Turns<'a, L, S> {
        let count = inner.inboxes.len();
        let its = |shared: &&Arc<Shared<S>>| shared.shard().0 as usize % count == number;
        let shared: Vec<_> = inner.shared.iter().filter(its).cloned().collect();
        let worker = Worker::new(Arc::clone(&inner.log), inner.shards, shared, inner.config.batch_bytes_max);
        Turns { inner, number, worker }
    }

    fn run(mut self) {
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
                inbox.wait(self.longest_wait());
            }
        }
        inbox.end();
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
            refused += u64::from(matches!(outcome, Err(Error::Full | Error::Failed(_))));
            match asker.then {
                // Who asked may have gone.
                Then::Tell(reply) => drop(reply.send(outcome)),
                Then::Call(then) => then(outcome),
            }
        }
        if count > 0 {
            inner.metrics.leave(count, bytes, refused);
            inner.metrics.applied(begun.elapsed());
        }
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

    fn longest_wait(&self) -> Duration {
        if self.inner.is_stalled() {
            return STALL_WAIT;
        }
        match self.worker.deadline() {
            Some(deadline) => deadline.since(self.inner.clock.now()).clamp(TIMER_WAIT_MIN, TIMER_WAIT_MAX),
            None => TIMER_WAIT_MAX,
        }
    }
}

/// What came to a worker and has not been taken.
#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<Message>>,
    waits: AtomicBool,
    ended: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Inbox {
    fn push(&self, message: Message) {
        lock(&self.messages).push(message);
        self.wake();
    }

    fn wake(&self) {
        if self.waits.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn begin(&self) {
        let _ = self.thread.set(thread::current());
    }

    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        // Whoever still asks is told that the answer is lost.
        lock(&self.messages).clear();
    }

    fn has_ended(&self) -> bool {
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

/// Batches of a worker on their way to the log.
struct Job {
    worker: usize,
    batches: Vec<Batch>,
}

/// Who may append, one at a time, and what waits for the log's thread.
#[derive(Default)]
struct Appender {
    log: Mutex<()>,
    jobs: Mutex<Vec<Job>>,
    came: Condvar,
}

impl Appender {
    fn log(&self) -> MutexGuard<'_, ()> {
        lock(&self.log)
    }

    fn try_log(&self) -> Option<MutexGuard<'_, ()>> {
        self.log.try_lock().ok()
    }

    fn push(&self, job: Job) {
        lock(&self.jobs).push(job);
        self.came.notify_one();
    }

    fn wake(&self) {
        let _jobs = lock(&self.jobs);
        self.came.notify_all();
    }

    /// All that waits, once something does; nothing when it is `over`.
    fn next(&self, over: impl Fn() -> bool) -> Option<Vec<Job>> {
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

/// Notes, when a thread of the engine is unwound, that nothing will be answered any more.
struct Panics<L: Log, S: Store>(Arc<Inner<L, S>>);

impl<L: Log, S: Store> Drop for Panics<L, S> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        self.0.fail(&Arc::new(Failure::Panicked));
        self.0.stopping.store(true, Ordering::SeqCst);
        self.0.inboxes.iter().for_each(Inbox::end);
        self.0.wake_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has this thread get the processor after those that somebody waits for. Where that is not possible it is as it was.
fn yield_to_others() {
    // SAFETY: a plain system call; on Linux it is about the calling thread alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, CHECKPOINT_NICE) };
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name).spawn(run).expect("a thread can be started")
}

/// Up to how many commands a worker appends by itself, if nobody else does at that moment.
const APPEND_SELF_MAX: usize = 4;
/// How many checkpoints' worth of changes may be in memory before commands wait for one.
const CHECKPOINTS_BEHIND_MAX: usize = 4;
/// How far the checkpoints' thread stands back: it has up to four checkpoints' time before anyone waits for it.
const CHECKPOINT_NICE: libc::c_int = 10;
const CHECKPOINT_RETRY: Duration = Duration::from_secs(1);
/// How long a worker waits before it looks whether a checkpoint has made room.
const STALL_WAIT: Duration = Duration::from_millis(5);
/// A timer is due at a millisecond, and the clock may be set meanwhile.
const TIMER_WAIT_MIN: Duration = Duration::from_micros(500);
const TIMER_WAIT_MAX: Duration = Duration::from_secs(1);
