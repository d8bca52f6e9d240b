//! The world: a disk and a store that outlive nodes, a clock, clients, and one who has seen everything.

use std::sync::Arc;

use engine::worker::payload;
use log::disk::{Faults, Simulated};
use machine::{Shard, Shards, Time};

use crate::invariants;
use crate::model::Payloads;
use crate::node::{Node, TheLog};
use crate::requests::Requests;
use crate::rng::Rng;
use crate::store::Flaky;
use crate::trace::Trace;
use crate::watch::Watch;
use crate::witness::Witness;
use crate::workload::{self, Glance, Mix};

/// Everything that there is.
pub struct World<'a> {
    pub rng: Rng,
    pub now: Time,
    pub disk: Simulated,
    pub store: Arc<Flaky>,
    /// Nothing only while it is started.
    node: Option<Node>,
    pub witness: Witness,
    pub requests: Requests,
    shards: Shards,
    mix: Mix,
    /// Of each shard, somebody who watches its configuration.
    watches: Vec<Watch>,
    /// How much of the disk's time has gone into the clock.
    waited: std::time::Duration,
    /// How far the clock may still jump ahead, in milliseconds.
    pub ahead_ms: u64,
    /// Whether the disk says that it has synced, and has not.
    disk_lies: bool,
    trace: &'a Trace,
}

impl<'a> World<'a> {
    pub fn new(seed: u64, disk_lies: bool, trace: &'a Trace) -> World<'a> {
        let mut rng = Rng::new(seed);
        let shards = Shards::new(SHARDS).expect("so many there may be");
        let mut world = World {
            now: BEGIN,
            disk: Simulated::new(rng.next()),
            store: Arc::default(),
            node: None,
            witness: Witness::new(shards),
            requests: Requests::default(),
            shards,
            mix: Mix::new(&mut rng),
            watches: shards.all().map(Watch::new).collect(),
            waited: std::time::Duration::ZERO,
            ahead_ms: AHEAD_MS_MAX,
            disk_lies,
            trace,
            rng,
        };
        world.heal();
        world.start();
        world
    }

    pub fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("a node runs")
    }

    pub fn shards(&self) -> impl Iterator<Item = Shard> + use<> {
        self.shards.all()
    }

    pub fn any_shard(&mut self) -> Shard {
        Shard(self.rng.below(self.shards.count() as usize) as u32)
    }

    /// Notes what is done, for whoever looks for what went wrong.
    pub fn say(&self, what: impl FnOnce() -> String) {
        self.trace.say(what);
    }

    /// A client asks for something new.
    pub fn ask(&mut self) {
        // One shard has most to do, so that what is asked meets.
        let shard = if self.rng.chance(60) { Shard(0) } else { self.any_shard() };
        let id = self.requests.next();
        let (model, now, shards) = (&self.witness.model, self.now, self.shards);
        let mut glance = Glance { rng: &mut self.rng, model, shard, now, shards, id };
        let entry = workload::entry(&mut glance, &self.mix);
        entry.check(machine::limits::BODY_BYTES_MAX).expect("clients ask for what can be");
        self.say(|| format!("request {id} to {shard:?}: {:?}", entry.command));
        if let Some(id) = self.requests.add(shard, entry) {
            self.attempt(id);
        }
    }

    /// A client asks again.
    pub fn ask_again(&mut self) {
        let open = self.requests.in_doubt();
        if !open.is_empty() {
            let id = self.rng.pick(&open);
            self.say(|| format!("request {id} again"));
            self.attempt(id);
        }
    }

    fn attempt(&mut self, id: usize) {
        let (shard, entry) = self.requests.ask(id);
        self.node().propose(shard, entry, id);
    }

    /// A worker's turn, with all that came for it or some.
    pub fn turn(&mut self, at: usize, all: bool) {
        let now = self.now;
        let mut rng = self.rng.split();
        let answers = self.node().turn(at, now, (!all).then_some(&mut rng));
        for (id, answer) in answers {
            self.trace.say(|| format!("request {id} is answered: {answer:?}"));
            let shard = self.requests.shard(id);
            let applied = self.node().shard(shard).read().sequence;
            self.requests.is_answered(id, answer, applied);
        }
    }

    /// An append for some of the workers.
    pub fn append(&mut self) {
        let mut rng = self.rng.split();
        for batch in self.node().append(&mut rng) {
            let shard = Shard(batch.shard);
            self.trace.say(|| format!("durable: {} of {shard:?} behind {}", batch.records.len(), batch.last));
            self.witness.appended(&mut self.requests, shard, batch.last, &batch.records);
        }
        let elapsed = self.disk.elapsed();
        self.now = self.now + (elapsed - self.waited);
        self.waited = elapsed;
    }

    /// The node ends, the disk's power as well or not, and another starts.
    pub fn crash(&mut self, power: bool) {
        self.say(|| format!("a crash{}", if power { " with the power" } else { "" }));
        self.node = None;
        if power {
            self.disk.restart();
        } else {
            self.disk.end_process();
        }
        self.requests.crash();
        self.start();
    }

    /// The node is closed, and another starts.
    pub fn close(&mut self) {
        self.say(|| "the node is closed".to_owned());
        self.stop(true);
        self.start();
    }

    /// The node ends, for good: is closed, if that is to be in order.
    pub fn stop(&mut self, in_order: bool) {
        if in_order {
            let store = Arc::clone(&self.store);
            self.node().checkpoint(&store);
            self.node.take().expect("a node runs").close();
        }
        self.node = None;
        self.disk.end_process();
    }

    /// What goes wrong with the disk at any time.
    pub fn faults(&self) -> Faults {
        Faults { sync_does_nothing: self.disk_lies, ..Faults::default() }
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.disk.set_faults(self.faults());
        self.disk.fail_power_at(u64::MAX);
        self.store.fail_reads(false);
        self.store.fail_writes(false);
    }

    /// Starts a node. What goes wrong then may keep it from starting, but only as long as something does.
    fn start(&mut self) {
        let workers = 1 + self.rng.below(3);
        let mut is_healed = false;
        let node = loop {
            match self.open(workers) {
                Ok(node) => break node,
                Err(error) => {
                    assert!(!is_healed, "nothing goes wrong, and it cannot be opened: {error}");
                    self.say(|| format!("it does not start: {error}"));
                    is_healed = !self.disk.is_off();
                    self.heal();
                    self.disk.restart();
                }
            }
        };
        self.heal();
        self.say(|| format!("a node with {workers} workers"));
        for shard in self.shards() {
            self.witness.opened(&mut self.requests, shard, node.log.as_ref());
        }
        self.node = Some(node);
        for shard in self.shards() {
            self.assert_shard(shard);
        }
    }

    fn open(&self, workers: usize) -> Result<Node, String> {
        let log = self.open_log().map_err(|error| format!("{error:?}"))?;
        Node::open(log, &self.store, self.shards, workers)
    }

    /// Opens the log that is on the disk.
    pub fn open_log(&self) -> Result<TheLog, log::OpenError> {
        TheLog::open(self.disk.clone(), log_config())
    }

    /// What holds at any time, in full.
    pub fn assert_shard(&self, shard: Shard) {
        let node = self.node.as_ref().expect("a node runs");
        let applied = node.shard(shard).read();
        invariants::equals_replay(&self.witness, shard, &applied);
        invariants::balances(shard, &applied);
        invariants::payloads_are_there(&self.witness, node.log.as_ref(), shard, &applied.state);
    }

    /// What is read of a shard is what the model says, by whoever reads now.
    pub fn assert_read(&self, shard: Shard) {
        let node = self.node.as_ref().expect("a node runs");
        let applied = node.shard(shard).read();
        if applied.sequence < self.witness.last(shard) {
            return;
        }
        let payloads: Payloads<'_> = &|stored| {
            payload(node.log.as_ref(), &applied.state, shard, stored).expect("what is pointed to can be read")
        };
        self.witness.model.assert_read(shard, &applied.state, payloads);
    }

    /// Whoever watches a shard's configuration looks what has changed.
    pub fn watch(&mut self, shard: Shard) {
        let applied = self.node.as_ref().expect("a node runs").shard(shard).read();
        self.watches[shard.0 as usize].look(self.witness.model.configs(shard), &applied.state);
    }

    /// Whether what is read and written goes wrong now, so that nothing can be asserted of it.
    pub fn is_failing(&mut self) -> bool {
        self.disk.is_off() || self.node().is_broken()
    }
}

fn log_config() -> log::Config {
    log::Config {
        segment_bytes: 16 << 10,
        record_bytes_max: 10 << 10,
        cache_bytes: 4 << 10,
        spares_max: 1,
        upkeep: log::Upkeep::Inline,
    }
}

const SHARDS: u32 = 3;
/// When the world begins: 2026-01-01T00:00:00Z.
const BEGIN: Time = Time::from_millis(1_767_225_600_000);
/// What a topic keeps without end is not kept for longer than a few days, which are to be seen.
const AHEAD_MS_MAX: u64 = 6 * 86_400_000;
