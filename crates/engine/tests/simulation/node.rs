//! A node: a log on the simulated disk, shards, workers, and what is on its way between them.
//!
//! It does what the engine's threads do, in an order that the caller chooses: a worker's turn, an append for some of
//! those that wait for one, a step of a checkpoint. What it holds is lost in a crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::checkpoint::{self, Begun};
use engine::reclaim::{Reclaimed, reclaim};
use engine::replica::{self, Shared};
use engine::worker::{Letter, Worker};
use engine::{Error, StoreError};
use log::disk::Simulated;
use log::{AppendError, Batch, Embedded, Log};
use machine::{Entry, Reply, Shard, Shards, Time};

use crate::requests::Id;
use crate::rng::Rng;
use crate::store::Flaky;

pub type TheLog = Embedded<Simulated>;

/// What runs until the next crash.
pub struct Node {
    pub log: Arc<TheLog>,
    pub shards: Vec<Arc<Shared<Flaky>>>,
    seats: Vec<Seat>,
    jobs: Vec<Job>,
    /// Letters from worker to worker, in order.
    mail: BTreeMap<(usize, usize), VecDeque<Letter>>,
    checkpoint: Option<(Begun, Option<Result<(), StoreError>>)>,
    /// Whether a worker, the log or what reclaims it has failed.
    is_broken: bool,
    log_failed: bool,
}

/// A worker, and what came for it.
struct Seat {
    worker: Worker<TheLog, Flaky, Id>,
    proposals: VecDeque<(Shard, Entry, Id)>,
    results: VecDeque<Vec<Result<(), AppendError>>>,
}

/// Batches of a worker that wait for the log.
struct Job {
    worker: usize,
    batches: Vec<Batch>,
}

/// An answer, and up to where the request's shard was applied then.
pub type Answer = (Id, Result<Reply, Error>);

/// A batch that the log says is durable.
pub type Durable = Batch;

impl Node {
    /// Opens all shards, for `workers` of them.
    pub fn open(log: TheLog, store: &Arc<Flaky>, shards: Shards, workers: usize) -> Result<Node, String> {
        let log = Arc::new(log);
        replica::fix_data(log.as_ref(), store.as_ref(), shards).map_err(|error| format!("{error:?}"))?;
        let open = |shard| replica::open(shard, log.as_ref(), store).map(Arc::new);
        let all = shards;
        let shards: Vec<_> =
            shards.all().map(open).collect::<Result<_, _>>().map_err(|error| format!("{error:?}"))?;
        let seat = |number: usize| {
            let its = |shared: &&Arc<Shared<Flaky>>| shared.shard().0 as usize % workers == number;
            let its = shards.iter().filter(its).cloned().collect();
            let worker = Worker::new(Arc::clone(&log), all, its, BATCH_BYTES_MAX);
            Seat { worker, proposals: VecDeque::new(), results: VecDeque::new() }
        };
        let seats = (0..workers).map(seat).collect();
        Ok(Node {
            log,
            shards,
            seats,
            jobs: Vec::new(),
            mail: BTreeMap::new(),
            checkpoint: None,
            is_broken: false,
            log_failed: false,
        })
    }

    pub fn shard(&self, shard: Shard) -> &Arc<Shared<Flaky>> {
        &self.shards[shard.0 as usize]
    }

    pub fn workers(&self) -> usize {
        self.seats.len()
    }

    /// A client's command, for its worker's next turn.
    pub fn propose(&mut self, shard: Shard, entry: Entry, id: Id) {
        let seat = self.seat_of(shard);
        self.seats[seat].proposals.push_back((shard, entry, id));
    }

    /// A worker's turn with some of what came for it, or all: what it answers.
    pub fn turn(&mut self, at: usize, now: Time, rng: Option<&mut Rng>) -> Vec<Answer> {
        let mut quiet = Rng::new(0);
        let all = rng.is_none();
        let rng = rng.unwrap_or(&mut quiet);
        let mut some = |of: usize| if all { of } else { rng.below(of + 1) };
        let seat = &mut self.seats[at];
        if let Some(results) = seat.results.pop_front() {
            seat.worker.appended(now, results);
        }
        let count = some(seat.proposals.len());
        for (shard, entry, id) in seat.proposals.drain(..count) {
            seat.worker.propose(now, shard, entry, id);
        }
        for ((_, to), letters) in &mut self.mail {
            if *to == at {
                let count = some(letters.len());
                letters.drain(..count).for_each(|letter| seat.worker.letter(now, letter));
            }
        }
        seat.worker.tick(now);
        let batches = seat.worker.take_batches();
        if !batches.is_empty() {
            self.jobs.push(Job { worker: at, batches });
        }
        seat.worker.apply();
        self.is_broken |= seat.worker.failure().is_some();
        self.carry_out(at)
    }

    fn carry_out(&mut self, at: usize) -> Vec<Answer> {
        let outputs = self.seats[at].worker.outputs();
        let answers = std::mem::take(&mut outputs.replies);
        let letters = std::mem::take(&mut outputs.letters);
        outputs.wakes.clear();
        outputs.undeliverable.clear();
        for letter in letters {
            let to = self.seat_of(letter.to());
            self.mail.entry((at, to)).or_default().push_back(letter);
        }
        answers
    }

    /// Appends for some of those that wait, in one call: what is durable now.
    pub fn append(&mut self, rng: &mut Rng) -> Vec<Durable> {
        let mut jobs = Vec::new();
        for _ in 0..=rng.below(self.jobs.len().max(1)) {
            if !self.jobs.is_empty() {
                jobs.push(self.jobs.remove(rng.below(self.jobs.len())));
            }
        }
        let counts: Vec<(usize, usize)> = jobs.iter().map(|job| (job.worker, job.batches.len())).collect();
        let batches: Vec<Batch> = jobs.into_iter().flat_map(|job| job.batches).collect();
        if batches.is_empty() {
            return Vec::new();
        }
        let results = self.log.append(&batches);
        assert_eq!(results.len(), batches.len(), "the log answers for each batch");
        for result in &results {
            match result {
                Ok(()) => {
                    assert!(!self.log_failed, "the log failed, and takes something before it is opened anew")
                }
                Err(AppendError::Full(_)) => {}
                Err(AppendError::Failed(_)) => self.is_broken = true,
                Err(error) => panic!("the log does not take what the engine gives it: {error}"),
            }
        }
        self.log_failed |= results.iter().any(|result| matches!(result, Err(AppendError::Failed(_))));
        let ok = |(batch, result): (Batch, &Result<(), AppendError>)| result.is_ok().then_some(batch);
        let durable = batches.into_iter().zip(&results).filter_map(ok).collect();
        let mut results = results.into_iter();
        for (worker, count) in counts {
            self.seats[worker].results.push_back(results.by_ref().take(count).collect());
        }
        durable
    }

    /// The next step of a checkpoint: it is begun, written, ended. Whether all that has changed is in the store now.
    pub fn step_checkpoint(&mut self, store: &Flaky) -> bool {
        match self.checkpoint.take() {
            None => {
                let begun = checkpoint::begin(&self.shards);
                let has_nothing = matches!(begun, Ok(None));
                self.checkpoint = begun.ok().flatten().map(|begun| (begun, None));
                has_nothing
            }
            Some((begun, None)) => {
                let outcome = begun.write(store);
                self.checkpoint = Some((begun, Some(outcome)));
                false
            }
            Some((begun, Some(outcome))) => {
                // That it failed changes nothing: it is tried again.
                begun.end(&self.shards, outcome).is_ok()
            }
        }
    }

    /// A whole checkpoint.
    pub fn checkpoint(&mut self, store: &Flaky) {
        while self.checkpoint.is_some() {
            self.step_checkpoint(store);
        }
        checkpoint::checkpoint(&self.shards, store).expect("nothing fails now");
    }

    /// Gives back what it can of the log, right after a checkpoint.
    pub fn reclaim(&mut self, slack: u64, bytes: u64) -> Option<Reclaimed> {
        let outcome = reclaim(&self.shards, self.log.as_ref(), slack, bytes);
        // What the disk cannot read at present it may read later: all goes on.
        self.is_broken |= outcome.as_ref().is_err_and(|failure| failure.unreadable().is_none());
        outcome.ok()
    }

    /// Whether the worker has something to do at `now`.
    pub fn is_wanted(&self, at: usize, now: Time) -> bool {
        let seat = &self.seats[at];
        let letters = self.mail.iter().any(|((_, to), letters)| *to == at && !letters.is_empty());
        let due = seat.worker.deadline().is_some_and(|deadline| deadline <= now);
        letters || !seat.proposals.is_empty() || !seat.results.is_empty() || due
    }

    /// Whether something has failed, so that nothing can be relied on before the next start.
    pub fn is_broken(&self) -> bool {
        self.is_broken || self.shards.iter().any(|shared| shared.read().state.failure().is_some())
    }

    /// Why workers do nothing any more.
    pub fn failures(&self) -> Vec<String> {
        self.seats.iter().filter_map(|seat| Some(format!("{:?}", seat.worker.failure()?))).collect()
    }

    /// Whether nothing is left to do, but timers that are not due.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.seats.iter().all(|seat| seat.worker.is_idle())
    }

    pub fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// When the first worker wants a turn though nothing comes.
    pub fn deadline(&self) -> Option<Time> {
        self.seats.iter().filter_map(|seat| seat.worker.deadline()).min()
    }

    /// Closes the log.
    pub fn close(self) {
        let Node { log, shards, seats, .. } = self;
        drop((shards, seats));
        let log = Arc::into_inner(log).expect("nobody else has the log");
        // If that fails it is as if the process had ended.
        let _ = log.close();
    }

    fn seat_of(&self, shard: Shard) -> usize {
        shard.0 as usize % self.seats.len()
    }
}

/// Small, so that there are many batches.
const BATCH_BYTES_MAX: usize = 4 << 10;
