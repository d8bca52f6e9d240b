//! One shard: what has been applied, and what waits to be.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::vec;

use bytes::{Bytes, BytesMut};
use log::{Batch, Log};
use machine::{Effect, Entry, Key, Read, Refusal, Reply, Shard, Shards, Time, timer};
use prost::Message;

use crate::error::OpenError;
use crate::overlay::{Change, Layer, Overlay};
use crate::store::{Section, Store, StoreError};

/// What has been applied of a shard: read by whoever asks, written by its worker.
pub struct Applied<S> {
    /// The state.
    pub state: Overlay<S>,
    /// The entry that was applied last.
    pub sequence: u64,
    /// That entry's time.
    pub time: Time,
    /// The entry that was applied last when the last checkpoint began that is in the store.
    pub checkpointed: u64,
}

/// What has been applied of a shard, for all who look.
pub struct Shared<S> {
    shard: Shard,
    applied: RwLock<Applied<S>>,
    changed_bytes: AtomicUsize,
}

impl<S: Store> Shared<S> {
    /// The shard.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// To be read. Writers wait meanwhile: not for long.
    pub fn read(&self) -> RwLockReadGuard<'_, Applied<S>> {
        self.applied.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// About how many bytes of changed state are in memory, those that a checkpoint is writing not counted: as of
    /// the last [`Shared::note_changes`].
    pub fn changed_bytes(&self) -> usize {
        self.changed_bytes.load(Ordering::Relaxed)
    }

    /// Notes how much has changed, after `applied` was written.
    pub fn note_changes(&self, applied: &Applied<S>) {
        self.changed_bytes.store(applied.state.changed_bytes(), Ordering::Relaxed);
    }

    /// To be written.
    pub fn write(&self) -> RwLockWriteGuard<'_, Applied<S>> {
        self.applied.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a checkpoint says of a shard, in the same atomic write as its state.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Checkpoint {
    /// The entry that was applied last.
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    /// That entry's time, in milliseconds since the epoch.
    #[prost(uint64, tag = "2")]
    pub(crate) time: u64,
    /// How many bytes of payloads in the log the state points to.
    #[prost(uint64, tag = "3")]
    pub(crate) kept_bytes: u64,
}

impl<S: Store> Applied<S> {
    /// Sets what has changed aside for a checkpoint; nothing if there is nothing new.
    ///
    /// # Errors
    ///
    /// If reading the state has failed: what was applied since may rest on what was not there to be read.
    pub fn freeze(&mut self) -> Result<Option<Arc<Layer>>, StoreError> {
        if let Some(failure) = self.state.failure() {
            return Err(failure.clone());
        }
        if self.sequence == self.checkpointed && self.state.changed_bytes() == 0 {
            return Ok(None);
        }
        let checkpoint = Checkpoint {
            sequence: self.sequence,
            time: self.time.as_millis(),
            kept_bytes: self.state.kept_bytes(),
        };
        Ok(Some(self.state.freeze(Key::from(CHECKPOINT_KEY), checkpoint.encode_to_vec().into())))
    }

    /// What was set aside is in the store.
    pub fn written(&mut self) {
        let Some(layer) = self.state.written() else { return };
        if let Some(value) = layer.get(CHECKPOINT_KEY).and_then(|change| change.value.clone())
            && let Ok(checkpoint) = Checkpoint::decode(value)
        {
            self.checkpointed = checkpoint.sequence;
        }
    }
}

/// What a store says of the data as a whole.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Data {
    /// How many shards it is placed by.
    #[prost(uint32, tag = "1")]
    pub(crate) shards: u32,
    /// The version of the machine that applied what is in the log.
    #[prost(uint32, tag = "2")]
    pub(crate) machine: u32,
}

impl Data {
    /// What `store` says; nothing if it is new.
    pub(crate) fn of<S: Store>(store: &S) -> Result<Option<Data>, OpenError> {
        let Some(data) = store.get(DATA_KEY)? else { return Ok(None) };
        Ok(Some(Data::decode(data).map_err(|error| StoreError::new("understand", error))?))
    }

    /// Refuses another machine as long as there is something to be applied again.
    pub(crate) fn check_machine<L: Log, S: Store>(&self, log: &L, store: &S) -> Result<Shards, OpenError> {
        let shards = Shards::new(self.shards).map_err(|odd| StoreError::new("understand", odd))?;
        let (is, wanted) = (self.machine, machine::VERSION);
        for shard in shards.all().filter(|_| is != wanted) {
            if log.last(shard.0) > checkpoint(shard, store)?.sequence {
                return Err(OpenError::Machine { is, wanted });
            }
        }
        Ok(shards)
    }

    pub(crate) fn write<S: Store>(&self, store: &S) -> Result<(), OpenError> {
        let (prefix, rest) = DATA_KEY.split_first_chunk().expect("the key is longer than a prefix");
        let change = Change::put(self.encode_to_vec().into());
        let changes = Arc::new(Layer::from([(Key::from(rest), change)]));
        Ok(store.ingest(&[Section { prefix: *prefix, changes }])?)
    }
}

/// Notes in a new store how many shards its data is placed by and which machine applies its log, and refuses another number ever
/// after, and another machine as long as there is something to be applied again.
///
/// # Errors
///
/// If it was created with another number, or last opened by another version of the machine and not closed since, or cannot be read or written.
pub fn fix_data<L: Log, S: Store>(log: &L, store: &S, shards: Shards) -> Result<(), OpenError> {
    let wanted = Data { shards: shards.count(), machine: machine::VERSION };
    if let Some(is) = Data::of(store)? {
        if is.shards != wanted.shards {
            return Err(OpenError::Shards { is: is.shards, wanted: wanted.shards });
        }
        if is == wanted {
            return Ok(());
        }
        is.check_machine(log, store)?;
    }
    wanted.write(store)
}

/// Up to where `shard` has been applied in `store`.
///
/// # Errors
///
/// If the store cannot be read.
pub fn checkpointed<S: Store>(shard: Shard, store: &S) -> Result<u64, OpenError> {
    Ok(checkpoint(shard, store)?.sequence)
}

fn checkpoint<S: Store>(shard: Shard, store: &S) -> Result<Checkpoint, OpenError> {
    let mut key = crate::overlay::prefix(shard).to_vec();
    key.extend_from_slice(CHECKPOINT_KEY);
    Ok(match store.get(&key)? {
        Some(value) => Checkpoint::decode(value)
            .map_err(|error| StoreError::new("understand the checkpoint in", error))?,
        None => Checkpoint::default(),
    })
}

/// Opens a shard: its state as the store has it, with the log applied from there.
///
/// # Errors
///
/// If store and log do not fit together, or one of them cannot be read.
pub fn open<L: Log, S: Store>(shard: Shard, log: &L, store: &Arc<S>) -> Result<Shared<S>, OpenError> {
    let checkpoint = checkpoint(shard, store.as_ref())?;
    let (first, last) = (log.first(shard.0), log.last(shard.0));
    let applied = checkpoint.sequence;
    if applied > last {
        return Err(OpenError::Ahead { shard: shard.0, applied, last });
    }
    if first > applied + 1 {
        return Err(OpenError::Behind { shard: shard.0, applied, first });
    }
    let mut opened = Applied {
        state: Overlay::new(shard, Arc::clone(store), checkpoint.kept_bytes),
        sequence: applied,
        time: Time::from_millis(checkpoint.time),
        checkpointed: applied,
    };
    replay(shard, log, &mut opened, last)?;
    if let Some(failure) = opened.state.failure() {
        return Err(OpenError::Store(failure.clone()));
    }
    let changed_bytes = AtomicUsize::new(opened.state.changed_bytes());
    Ok(Shared { shard, applied: RwLock::new(opened), changed_bytes })
}

/// Effects of what is replayed are not run: those that still matter are found in the state.
fn replay<L: Log, S: Store>(
    shard: Shard,
    log: &L,
    applied: &mut Applied<S>,
    last: u64,
) -> Result<(), OpenError> {
    let mut effects = Vec::new();
    while applied.sequence < last {
        for record in log.read(shard.0, applied.sequence + 1, REPLAY_BYTES)? {
            let sequence = record.sequence;
            let entry = Entry::decode(record.bytes).map_err(|malformed| OpenError::Entry {
                shard: shard.0,
                sequence,
                malformed,
            })?;
            let _refused_again = applied.apply(shard, sequence, &entry, &mut effects)?;
            effects.clear();
        }
    }
    Ok(())
}

impl<S: Store> Applied<S> {
    /// # Errors
    ///
    /// If the store failed meanwhile: then what came of it is worth nothing.
    fn apply(
        &mut self,
        shard: Shard,
        sequence: u64,
        entry: &Entry,
        effects: &mut Vec<Effect>,
    ) -> Result<Result<Reply, Refusal>, StoreError> {
        assert_eq!(sequence, self.sequence + 1, "an entry is applied out of order");
        let state = &mut self.state;
        let apply = AssertUnwindSafe(|| machine::apply(state, shard, sequence, entry, effects));
        let outcome = catch_unwind(apply);
        if let Some(failure) = self.state.failure() {
            return Err(failure.clone());
        }
        // Where the store has failed the machine may have missed what must be there. Otherwise it is broken itself.
        let outcome = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        self.sequence = sequence;
        self.time = entry.time;
        Ok(outcome)
    }
}

/// A command that waits to be durable.
pub struct Proposal<O> {
    entry: Entry,
    record: Bytes,
    origin: O,
}

impl<O> Proposal<O> {
    /// Who asked.
    pub fn into_origin(self) -> O {
        self.origin
    }
}

/// What became of a command.
pub struct Done<O> {
    /// Who asked.
    pub origin: O,
    /// The answer.
    pub outcome: Result<Reply, Refusal>,
}

/// The worker's side of a shard.
pub struct Replica<S, O> {
    shared: Arc<Shared<S>>,
    waiting: Vec<Proposal<O>>,
    waiting_bytes: usize,
    appending: Vec<Proposal<O>>,
    appended: u64,
    /// The last time that was stamped.
    time: Time,
    next_timer: Option<Time>,
    firing: bool,
    /// Before this no timer is fired again, for there was no room to.
    not_before: Time,
}

impl<S: Store, O> Replica<S, O> {
    /// Of a shard as it was opened.
    pub fn new(shared: Arc<Shared<S>>) -> Replica<S, O> {
        let mut opened = shared.write();
        let (appended, time) = (opened.sequence, opened.time);
        opened.state.take_timers_changed();
        let next_timer = timer::next(&opened.state);
        drop(opened);
        Replica {
            shared,
            waiting: Vec::new(),
            waiting_bytes: 0,
            appending: Vec::new(),
            appended,
            time,
            next_timer,
            firing: false,
            not_before: Time::ZERO,
        }
    }

    /// The shard.
    pub fn shard(&self) -> Shard {
        self.shared.shard()
    }

    /// What has been applied.
    pub fn shared(&self) -> &Arc<Shared<S>> {
        &self.shared
    }

    /// Stamps a command and puts it to those that wait.
    pub fn propose(&mut self, now: Time, mut entry: Entry, origin: O, buffer: &mut BytesMut) {
        self.time = self.time.max(now);
        entry.time = self.time;
        entry.encode(buffer);
        let record = buffer.split().freeze();
        self.waiting_bytes += record.len();
        self.waiting.push(Proposal { entry, record, origin });
    }

    /// How many bytes of commands wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes what waits, up to about `bytes_max` bytes, as a batch for the log. To be called when the batch before has
    /// come back.
    pub fn take_batch(&mut self, bytes_max: usize) -> Option<Batch> {
        debug_assert!(self.appending.is_empty(), "a batch is taken while another is on its way");
        if self.waiting.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let mut fits = |proposal: &&Proposal<O>| {
            bytes += proposal.record.len();
            bytes <= bytes_max
        };
        let count = self.waiting.iter().take_while(|proposal| fits(proposal)).count().max(1);
        if count == self.waiting.len() {
            std::mem::swap(&mut self.waiting, &mut self.appending);
        } else {
            self.appending.extend(self.waiting.drain(..count));
        }
        let records: Vec<Bytes> = self.appending.iter().map(|proposal| proposal.record.clone()).collect();
        self.waiting_bytes -= records.iter().map(Bytes::len).sum::<usize>();
        Some(Batch { shard: self.shard().0, last: self.appended, records })
    }

    /// The batch is durable: what is to be applied.
    pub fn appended(&mut self) -> Vec<Proposal<O>> {
        self.appended += self.appending.len() as u64;
        std::mem::take(&mut self.appending)
    }

    /// The batch that was taken, given up: who asked.
    pub fn take_appending(&mut self) -> impl Iterator<Item = O> {
        std::mem::take(&mut self.appending).into_iter().map(|proposal| proposal.origin)
    }

    /// What waits and was never in a batch, given up: who asked.
    pub fn take_waiting(&mut self) -> impl Iterator<Item = O> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting).into_iter().map(|proposal| proposal.origin)
    }

    /// Applies what has become durable, in order, up to `max` commands.
    ///
    /// # Errors
    ///
    /// If the store failed, so that nothing may be answered: what is left of `proposals` has not been applied.
    pub fn apply(
        &mut self,
        proposals: &mut vec::IntoIter<Proposal<O>>,
        max: usize,
        done: &mut Vec<Done<O>>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        let shard = self.shard();
        let mut applied = self.shared.write();
        for _ in 0..max {
            let Some(proposal) = proposals.as_slice().first() else { break };
            let sequence = applied.sequence + 1;
            let outcome = applied.apply(shard, sequence, &proposal.entry, effects)?;
            done.extend(proposals.next().map(|Proposal { origin, .. }| Done { origin, outcome }));
        }
        self.shared.note_changes(&applied);
        if applied.state.take_timers_changed() {
            self.next_timer = timer::next(&applied.state);
        }
        Ok(())
    }

    /// When a timer is due that is not being fired yet.
    pub fn deadline(&self) -> Option<Time> {
        if self.firing { None } else { self.next_timer.map(|due| due.max(self.not_before)) }
    }

    /// Whether a timer is due at `now`, and the caller has to propose that it be fired. Says so once until
    /// [`Replica::fired`].
    pub fn fire(&mut self, now: Time) -> bool {
        // A clock that was set back must not hold up what was due before, or is to be tried again.
        self.not_before = self.not_before.min(now.after(FIRE_RETRY_MS));
        let due = self.deadline().is_some_and(|due| due <= now.max(self.time));
        self.firing |= due;
        due
    }

    /// The timers that were due have been fired.
    pub fn fired(&mut self) {
        self.firing = false;
        self.not_before = Time::ZERO;
    }

    /// The timers that were due could not be fired at `now`: a little later they may.
    pub fn retry_fire(&mut self, now: Time) {
        self.firing = false;
        self.not_before = now.after(FIRE_RETRY_MS);
    }

    /// What is under `key` in the applied state, by `look`.
    pub fn look<R>(&self, look: impl FnOnce(&Overlay<S>) -> R) -> R {
        look(&self.shared.read().state)
    }

    /// Whether nothing waits and nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.appending.is_empty()
    }
}

/// The state of a shard as a whole, for tests and tools: all pairs that mean something.
pub fn pairs(state: &impl Read) -> Vec<(Vec<u8>, Bytes)> {
    let mut pairs = Vec::new();
    state.scan(&[1], &[0xff], machine::Order::Forwards, &mut |key, value| {
        pairs.push((key.to_vec(), value.clone()));
        std::ops::ControlFlow::Continue(())
    });
    pairs
}

/// Where a store says what holds for the data as a whole: behind all shards.
pub(crate) const DATA_KEY: &[u8] = b"\xff\xff\xff\xffdata";
/// Where a checkpoint is beside the state: before all tables.
pub(crate) const CHECKPOINT_KEY: &[u8] = &[0];
/// How much of the log is read at a time when it is applied again.
const REPLAY_BYTES: usize = 4 << 20;
/// How long after there was no room for it the next try to fire timers is made.
const FIRE_RETRY_MS: u64 = 100;
