//! A worker: some shards, and everything that is decided about them. Without thread, clock or file of its own.
//!
//! In a turn the driver
//!
//! 1. hands in what came: [`Worker::propose`], [`Worker::letter`], [`Worker::appended`];
//! 2. calls [`Worker::tick`] with the time, which fires timers and sends what is to be sent;
//! 3. takes what may go to the log, [`Worker::take_batches`], and has it appended, elsewhere if it can;
//! 4. calls [`Worker::apply`], while the disk is busy with what was taken;
//! 5. carries out what [`Worker::outputs`] holds: replies to those who asked, letters to other shards' workers, who
//!    is to be woken;
//! 6. waits for something new, no longer than until [`Worker::deadline`], nor than a second, for clocks are set.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;

use bytes::{Bytes, BytesMut};
use log::{AppendError, Batch, Log, ReadError};
use machine::effect::Channel;
use machine::outbox::{self, Deliver, Delivered, Parcel};
use machine::timer::Fire;
use machine::{Code, Effect, Entry, Read, Refusal, Reply, Shard, Shards, Stored, Time, body};
use prost::Message;

use crate::error::{Error, Failure};
use crate::outbox::{Next, Outbox};
use crate::replica::{Done, Proposal, Replica, Shared};
use crate::store::Store;

/// Some shards, and everything that is decided about them. `T` is by whom a command was asked for.
pub struct Worker<L, S, T> {
    log: Arc<L>,
    shards: Shards,
    batch_bytes_max: usize,
    replicas: Vec<Replica<S, Origin<T>>>,
    /// By shard: which replica.
    places: Vec<Option<usize>>,
    /// Replicas whose batch is on its way to the log, in the order of the batches.
    appending: Vec<usize>,
    /// What is durable and has to be applied.
    durable: VecDeque<(usize, vec::IntoIter<Proposal<Origin<T>>>)>,
    outbox: Outbox,
    failed: Option<Arc<Failure>>,
    buffer: BytesMut,
    outputs: Outputs<T>,
}

/// What the driver has to carry out.
pub struct Outputs<T> {
    /// Who asked gets an answer.
    pub replies: Vec<(T, Result<Reply, Error>)>,
    /// What other shards' workers get.
    pub letters: Vec<Letter>,
    /// Who is woken.
    pub wakes: Vec<Channel>,
    /// What was sent between shards and refused: who sent it, to whom, why.
    pub undeliverable: Vec<(Shard, Shard, Refusal)>,
    /// How many of what was to be sent have a payload that is lost,
    pub lost: u64,
    /// and how often one could not be read, for the disk answered with an error.
    pub unreadable: u64,
}

/// What a shard's worker tells another's.
#[derive(Debug)]
pub enum Letter {
    /// A command from a shard's outbox.
    Deliver {
        /// Who sends it.
        source: Shard,
        /// Who shall apply it.
        target: Shard,
        /// Its number.
        number: u64,
        /// It.
        entry: Box<Entry>,
    },
    /// What became of one.
    Received {
        /// Who sent it.
        source: Shard,
        /// Who was to apply it.
        target: Shard,
        /// Its number, if it is applied; nothing if it could not be made durable.
        number: Option<u64>,
    },
}

impl Letter {
    /// The shard whose worker it is for.
    pub fn to(&self) -> Shard {
        match self {
            Letter::Deliver { target, .. } => *target,
            Letter::Received { source, .. } => *source,
        }
    }
}

/// By whom a command was asked for.
enum Origin<T> {
    /// A client.
    Client(T),
    /// Another shard.
    Letter { source: Shard, number: u64 },
    /// The worker, for timers.
    Fire,
    /// The worker, for what another shard has.
    Delivered { target: Shard, number: u64 },
}

impl<L: Log, S: Store, T> Worker<L, S, T> {
    /// For `shards` of `all`, whose log is `log`. A batch has at most about `batch_bytes_max` bytes a shard.
    pub fn new(
        log: Arc<L>,
        all: Shards,
        shards: Vec<Arc<Shared<S>>>,
        batch_bytes_max: usize,
    ) -> Worker<L, S, T> {
        let mut places = Vec::new();
        let mut outbox = Outbox::default();
        for (place, shared) in shards.iter().enumerate() {
            let shard = shared.shard();
            places.resize(places.len().max(shard.0 as usize + 1), None);
            places[shard.0 as usize] = Some(place);
            for target in outbox::targets(&shared.read().state) {
                outbox.notice(shard, target);
            }
        }
        Worker {
            log,
            shards: all,
            batch_bytes_max,
            replicas: shards.into_iter().map(Replica::new).collect(),
            places,
            appending: Vec::new(),
            durable: VecDeque::new(),
            outbox,
            failed: None,
            buffer: BytesMut::new(),
            outputs: Outputs {
                replies: Vec::new(),
                letters: Vec::new(),
                wakes: Vec::new(),
                undeliverable: Vec::new(),
                lost: 0,
                unreadable: 0,
            },
        }
    }

    /// A command for a shard of this worker, asked for by `from`.
    pub fn propose(&mut self, now: Time, shard: Shard, entry: Entry, from: T) {
        match &self.failed {
            Some(failure) => self.outputs.replies.push((from, Err(Error::Failed(Arc::clone(failure))))),
            None => self.put(now, shard, entry, Origin::Client(from)),
        }
    }

    /// What another shard's worker tells.
    pub fn letter(&mut self, now: Time, letter: Letter) {
        match letter {
            Letter::Deliver { source, target, number, entry } => {
                if self.failed.is_none() {
                    self.put(now, target, *entry, Origin::Letter { source, number });
                }
            }
            Letter::Received { source, target, number: Some(number) } => {
                self.outbox.received(source, target, number);
            }
            Letter::Received { source, target, number: None } => self.outbox.refused(source, target, now),
        }
    }

    /// Fires timers that are due at `now`, and sends what may be sent.
    pub fn tick(&mut self, now: Time) {
        if self.failed.is_some() {
            return;
        }
        for place in 0..self.replicas.len() {
            if self.replicas[place].fire(now) {
                let shard = self.replicas[place].shard();
                self.put(now, shard, Entry::new(Fire {}), Origin::Fire);
            }
        }
        self.outbox.set_clock(now);
        for next in self.outbox.next(now) {
            if next.target.0 >= self.shards.count() {
                self.give_back(next);
                continue;
            }
            match self.send(next) {
                Ok(()) => {}
                // Later the disk may read it. What comes behind it on this way has to wait, and nothing else.
                Err(failure) if failure.unreadable().is_some() => {
                    self.outputs.unreadable += 1;
                    self.outbox.refused(next.source, next.target, now);
                }
                Err(failure) => {
                    self.fail(failure);
                    return;
                }
            }
        }
        for (source, target, number) in self.outbox.take_news(now) {
            let delivered = Entry::new(Delivered { target: target.0, number });
            self.put(now, source, delivered, Origin::Delivered { target, number });
        }
    }

    /// What may go to the log: nothing while something is on its way there. Its results are to be handed in by
    /// [`Worker::appended`].
    pub fn take_batches(&mut self) -> Vec<Batch> {
        if !self.appending.is_empty() || self.failed.is_some() {
            return Vec::new();
        }
        let mut batches = Vec::new();
        for (place, replica) in self.replicas.iter_mut().enumerate() {
            if let Some(batch) = replica.take_batch(self.batch_bytes_max) {
                batches.push(batch);
                self.appending.push(place);
            }
        }
        batches
    }

    /// What became of the batches that were taken, in their order.
    pub fn appended(&mut self, now: Time, results: Vec<Result<(), AppendError>>) {
        if self.failed.is_some() {
            // Who waited for them has been told that it is in doubt.
            return;
        }
        let appending = std::mem::take(&mut self.appending);
        assert_eq!(appending.len(), results.len(), "the log answers for other batches than it was given");
        for (place, result) in appending.into_iter().zip(results) {
            match result {
                Ok(()) => self.durable.push_back((place, self.replicas[place].appended().into_iter())),
                Err(AppendError::Full(_)) => {
                    let shard = self.replicas[place].shard();
                    let not_appended: Vec<_> = self.replicas[place].take_appending().collect();
                    for origin in not_appended {
                        self.refuse(now, shard, origin, &Error::Full);
                    }
                }
                Err(error) => {
                    self.fail(Failure::Append(error));
                }
            }
        }
    }

    /// Applies what has become durable: so much that those who asked first do not wait for the answers of all, and
    /// can ask anew while the rest is applied. [`Worker::deadline`] says whether there is more.
    pub fn apply(&mut self) {
        let mut done = Vec::new();
        let mut effects = Vec::new();
        let mut left = APPLY_MAX;
        while left > 0
            && let Some((place, proposals)) = self.durable.front_mut()
        {
            let place = *place;
            let outcome = self.replicas[place].apply(proposals, left, &mut done, &mut effects);
            if let Err(error) = outcome {
                // Nothing that was read since the store failed can be relied on, so nobody gets an answer.
                let failure = self.fail(Failure::Store(error));
                for done in done.drain(..) {
                    self.give_up(done.origin, Error::InDoubt(Some(Arc::clone(&failure))));
                }
                return;
            }
            if proposals.as_slice().is_empty() {
                self.durable.pop_front();
            }
            left -= done.len();
            let shard = self.replicas[place].shard();
            for effect in effects.drain(..) {
                self.effect(shard, effect);
            }
            for Done { origin, outcome } in done.drain(..) {
                self.done(place, origin, outcome);
            }
        }
    }

    /// What the driver has to carry out.
    pub fn outputs(&mut self) -> &mut Outputs<T> {
        &mut self.outputs
    }

    /// When [`Worker::tick`] has something to do though nothing comes; a time that is past if at once.
    pub fn deadline(&self) -> Option<Time> {
        if self.failed.is_some() {
            return None;
        }
        if self.has_durable() {
            return Some(Time::ZERO);
        }
        let timers = self.replicas.iter().filter_map(Replica::deadline).min();
        [timers, self.outbox.deadline()].into_iter().flatten().min()
    }

    /// Whether there is something to be applied at once.
    pub fn has_durable(&self) -> bool {
        !self.durable.is_empty()
    }

    /// Why it does nothing any more, if it does not.
    pub fn failure(&self) -> Option<&Arc<Failure>> {
        self.failed.as_ref()
    }

    /// Whether there is nothing left to do but timers.
    pub fn is_idle(&self) -> bool {
        self.failed.is_some()
            || (self.durable.is_empty()
                && self.appending.is_empty()
                && self.outbox.is_idle()
                && self.replicas.iter().all(Replica::is_idle))
    }

    /// Nothing more is done, for `failure`. What is in the log, or was on its way there, may be done at the next start.
    pub fn fail(&mut self, failure: Failure) -> Arc<Failure> {
        let failure = Arc::new(failure);
        self.failed = Some(Arc::clone(&failure));
        let (mut in_doubt, mut not_done) = (Vec::new(), Vec::new());
        for (_, proposals) in std::mem::take(&mut self.durable) {
            in_doubt.extend(proposals.map(Proposal::into_origin));
        }
        for replica in &mut self.replicas {
            in_doubt.extend(replica.take_appending());
            not_done.extend(replica.take_waiting());
        }
        self.appending.clear();
        for origin in in_doubt {
            self.give_up(origin, Error::InDoubt(Some(Arc::clone(&failure))));
        }
        for origin in not_done {
            self.give_up(origin, Error::Failed(Arc::clone(&failure)));
        }
        failure
    }

    fn give_up(&mut self, origin: Origin<T>, error: Error) {
        if let Origin::Client(from) = origin {
            self.outputs.replies.push((from, Err(error)));
        }
    }

    fn put(&mut self, now: Time, shard: Shard, entry: Entry, origin: Origin<T>) {
        let place = self.place(shard);
        self.replicas[place].propose(now, entry, origin, &mut self.buffer);
    }

    fn place(&self, shard: Shard) -> usize {
        self.places
            .get(shard.0 as usize)
            .copied()
            .flatten()
            .expect("a worker is asked for its own shards only")
    }

    /// A command that was not made durable, and had no effect.
    fn refuse(&mut self, now: Time, shard: Shard, origin: Origin<T>, error: &Error) {
        match origin {
            Origin::Client(from) => self.outputs.replies.push((from, Err(error.clone()))),
            Origin::Letter { source, .. } => {
                self.outputs.letters.push(Letter::Received { source, target: shard, number: None });
            }
            Origin::Fire => {
                let place = self.place(shard);
                self.replicas[place].retry_fire(now);
            }
            Origin::Delivered { target, .. } => self.outbox.not_told(shard, target, now),
        }
    }

    fn done(&mut self, place: usize, origin: Origin<T>, outcome: Result<Reply, Refusal>) {
        let shard = self.replicas[place].shard();
        match origin {
            Origin::Client(from) => self.outputs.replies.push((from, outcome.map_err(Error::Refused))),
            Origin::Letter { source, number } => {
                // A gap is refused: the sender begins again behind the last that was applied.
                let number = outcome.is_ok().then_some(number);
                self.outputs.letters.push(Letter::Received { source, target: shard, number });
            }
            Origin::Fire => self.replicas[place].fired(),
            Origin::Delivered { target, number } => self.outbox.told(shard, target, number),
        }
    }

    fn effect(&mut self, shard: Shard, effect: Effect) {
        match effect {
            Effect::Wake(channel) => self.outputs.wakes.push(channel),
            Effect::Outbox(target) => self.outbox.notice(shard, target),
            Effect::Undeliverable { source, refusal } => {
                self.outputs.undeliverable.push((source, shard, refusal));
            }
        }
    }

    /// What is for a shard that there is not, such as what a job sends that was put with a wrong target.
    fn give_back(&mut self, next: Next) {
        let Next { source, target, after, max } = next;
        let parcels =
            self.replicas[self.place(source)].look(|state| outbox::on_the_way(state, target, after, max));
        let last = parcels.last().map_or(after, |(number, _)| *number);
        self.outbox.sent(source, target, last, parcels.len() == max);
        self.outbox.received(source, target, last);
        let why = format!("there is no shard {}: there are {}", target.0, self.shards.count());
        for _ in parcels {
            let refusal = Refusal::new(Code::Invalid, why.clone());
            self.outputs.undeliverable.push((source, target, refusal));
        }
    }

    /// Hands over what is next in an outbox.
    fn send(&mut self, next: Next) -> Result<(), Failure> {
        let Next { source, target, after, max } = next;
        let replica = &self.replicas[self.place(source)];
        let log = &self.log;
        let mut lost = 0;
        let parcels = replica.look(|state| {
            let parcels = outbox::on_the_way(state, target, after, max);
            let entries = parcels.into_iter().map(|(number, parcel)| {
                Ok((number, entry(log.as_ref(), state, source, number, &parcel, &mut lost)?))
            });
            entries.collect::<Result<Vec<_>, Failure>>()
        })?;
        let last = parcels.last().map_or(after, |(number, _)| *number);
        self.outputs.lost += lost;
        self.outbox.sent(source, target, last, parcels.len() == max);
        for (number, entry) in parcels {
            self.outputs.letters.push(Letter::Deliver { source, target, number, entry: Box::new(entry) });
        }
        Ok(())
    }
}

fn entry<L: Log>(
    log: &L,
    state: &impl Read,
    source: Shard,
    number: u64,
    parcel: &Parcel,
    lost: &mut u64,
) -> Result<Entry, Failure> {
    let mut entry = Entry::new(Deliver { source: source.0, number, command: parcel.command.clone() });
    for stored in &parcel.bodies {
        match payload(log, state, source, stored) {
            Ok(body) => entry.bodies.push(body),
            // Without its payloads it is refused where it arrives, and counted: what comes after it must go on.
            Err(failure) if failure.lost().is_some() => {
                entry.bodies.clear();
                *lost += 1;
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(entry)
}

/// The payload that `shard`'s state points to.
///
/// # Errors
///
/// If it cannot be read, or is no longer there: then the state has changed since it was looked at.
pub fn payload<L: Log>(log: &L, state: &impl Read, shard: Shard, stored: &Stored) -> Result<Bytes, Failure> {
    payload_beside(log, state, shard, stored, &mut None)
}

/// A record that was read: of which shard, under which sequence.
pub type LastRecord = (Shard, log::Sequence, Bytes);

/// The same, for payloads that may lie together: `last` is the record that was read last, which is not read anew for what lies in
/// it, too.
///
/// # Errors
///
/// As [`payload`].
pub fn payload_beside<L: Log>(
    log: &L,
    state: &impl Read,
    shard: Shard,
    stored: &Stored,
    last: &mut Option<LastRecord>,
) -> Result<Bytes, Failure> {
    if let Some(inline) = &stored.inline {
        return Ok(inline.clone());
    }
    let damaged = |what: &str| {
        let place = format!("the log of shard {}", shard.0);
        Failure::Read(ReadError::Damaged { place, offset: stored.sequence, what: what.to_owned() })
    };
    let read = match last {
        Some((of, at, record)) if (*of, *at) == (shard, stored.sequence) => Ok(record.clone()),
        _ => log.get(shard.0, stored.sequence),
    };
    let trimmed = match read {
        Ok(record) => {
            *last = Some((shard, stored.sequence, record.clone()));
            let body = machine::entry::body(record, stored.index);
            return body.map_err(|_| damaged("the entry has no such payload"));
        }
        Err(trimmed @ ReadError::Trimmed { .. }) => trimmed,
        Err(error) => return Err(Failure::Read(error)),
    };
    let kept = state.get(body::key(stored.sequence, stored.index).as_bytes());
    match kept.and_then(|kept| body::Kept::decode(kept).ok()) {
        Some(body::Kept { moved: Some(moved), .. }) => Ok(moved),
        Some(body::Kept { lost: true, .. }) => {
            let place = format!("entry {} of shard {}", stored.sequence, shard.0);
            Err(Failure::Read(ReadError::Lost { place }))
        }
        Some(_) => Err(damaged("the state says that a payload is here, and it was moved away")),
        None => Err(Failure::Read(trimmed)),
    }
}

/// How many commands are applied before those who asked are answered, and readers may look.
const APPLY_MAX: usize = 16;
