//! The shadow model: what should have come of the log's entries, said a second time and simply.
//!
//! It shares no code with the machine and knows no keys, timers, pointers or tables: maps of what users think in. It says of
//! each entry what the answer must be, and at quiet what must be read. That what shards send each other comes once, in
//! order and as it was sent is seen here, too.

mod config;
pub mod job;
mod kv;
mod lock;
mod queue;
mod stream;
mod topic;

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::command::{Answer, Kind};
use machine::{Code, Command, Effect, Entry, Read, Reply, Shard, Shards, Stored, Time};

use crate::requests::Outcome;

pub use config::Configs;

/// An entry of a shard's log, and what the machine made of it.
pub struct Logged<'a> {
    pub shard: Shard,
    pub sequence: u64,
    pub entry: &'a Entry,
    pub outcome: &'a Outcome,
    pub effects: &'a [Effect],
}

/// What should be, in all shards.
pub struct Model {
    shards: Vec<Blocks>,
    /// What each shard has sent to each other, in order.
    sent: BTreeMap<(Shard, Shard), Vec<Sent>>,
    /// How much of that has been applied.
    arrived: BTreeMap<(Shard, Shard), usize>,
}

/// What should be in a shard.
#[derive(Default)]
struct Blocks {
    time: Time,
    /// What is remembered of requests, by scope and key: the outcome, and until when.
    remembered: BTreeMap<(String, String), (Outcome, Time)>,
    kv: kv::Kv,
    topics: topic::Topics,
    queues: queue::Queues,
    locks: lock::Locks,
    streams: stream::Streams,
    jobs: job::Jobs,
    configs: config::Configs,
    /// What jobs have sent in the entry that is applied.
    runs: Vec<job::Run>,
}

/// A command from shard to shard.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    command: Command,
    bodies: Vec<Bytes>,
}

/// What a block is told of a command.
pub struct Step<'a> {
    pub time: Time,
    pub sequence: u64,
    pub bodies: &'a [Bytes],
    /// What the machine has answered, where the model leaves it some freedom.
    pub answer: Option<&'a Answer>,
}

/// Where payloads are read from.
pub type Payloads<'a> = &'a dyn Fn(&Stored) -> Bytes;

impl Model {
    pub fn new(shards: Shards) -> Model {
        Model {
            shards: shards.all().map(|_| Blocks::default()).collect(),
            sent: BTreeMap::new(),
            arrived: BTreeMap::new(),
        }
    }

    /// Says what should come of an entry, and that it did.
    pub fn apply(&mut self, logged: &Logged<'_>) {
        let Logged { shard, sequence, entry, outcome, .. } = *logged;
        let blocks = &mut self.shards[shard.0 as usize];
        assert!(entry.time >= blocks.time, "{shard:?} {sequence}: time runs back");
        blocks.time = entry.time;
        if let Some(idempotency) = &entry.idempotency {
            let name = (idempotency.scope.clone(), idempotency.key.clone());
            if let Some((before, until)) = blocks.remembered.get(&name)
                && entry.time < *until
            {
                assert_eq!(before, outcome, "{shard:?} {sequence}: a request that came again");
                return;
            }
            if !is_for_now(outcome) {
                let until = entry.time.after(idempotency.remember_ms);
                blocks.remembered.insert(name, (outcome.clone(), until));
            }
        }
        let answer = outcome.as_ref().ok().and_then(|reply| reply.answer.as_ref());
        let step = Step { time: entry.time, sequence, bodies: &entry.bodies, answer };
        match &entry.command.kind {
            Some(Kind::Fire(_)) => blocks.fire(entry.time),
            Some(Kind::Deliver(deliver)) => {
                let from = Shard(deliver.source);
                self.deliver(logged, from, deliver.number, &deliver.command);
            }
            Some(Kind::Delivered(delivered)) => {
                let arrived = self.arrived.get(&(shard, Shard(delivered.target))).copied().unwrap_or(0);
                let is_forgotten = delivered.number <= arrived as u64 || !self.has(Shard(delivered.target));
                assert!(is_forgotten, "{shard:?} forgets what has not arrived");
            }
            _ => {
                let expected = blocks.command(&step, &entry.command);
                assert_agree(logged, &entry.command, &expected);
            }
        }
        let runs = std::mem::take(&mut self.shards[shard.0 as usize].runs);
        for (target, sent) in runs {
            self.send(&step, shard, target, sent);
        }
        if outcome.is_ok() {
            for send in &entry.sends {
                let bodies = send.bodies.iter().map(|body| entry.bodies[*body as usize].clone()).collect();
                self.send(
                    &step,
                    shard,
                    Shard(send.target),
                    Sent { command: (*send.command).clone(), bodies },
                );
            }
        }
    }

    fn send(&mut self, step: &Step<'_>, from: Shard, to: Shard, sent: Sent) {
        if from == to {
            let step = Step { bodies: &sent.bodies, answer: None, ..*step };
            // Whether it was refused is of no consequence.
            let _ = self.shards[to.0 as usize].command(&step, &sent.command);
        } else if self.has(to) {
            self.sent.entry((from, to)).or_default().push(sent);
        }
    }

    /// Whether there is such a shard: what is for another is given up.
    fn has(&self, shard: Shard) -> bool {
        (shard.0 as usize) < self.shards.len()
    }

    fn deliver(&mut self, logged: &Logged<'_>, from: Shard, number: u64, command: &Command) {
        let Logged { shard, sequence, entry, .. } = *logged;
        let way = (from, shard);
        let arrived = self.arrived.entry(way).or_default();
        let at = format!("{shard:?} {sequence}: number {number} of {from:?}, from where {arrived} have come");
        if number > *arrived as u64 + 1 {
            let code = logged.outcome.as_ref().err().map(machine::Refusal::code);
            assert_eq!(code, Some(Code::Conflict), "{at}");
            return;
        }
        assert!(logged.outcome.is_ok(), "{at}");
        let comes = Sent { command: command.clone(), bodies: entry.bodies.clone() };
        let sent = self.sent.get(&way).and_then(|sent| sent.get(number as usize - 1));
        assert_eq!(sent, Some(&comes), "{at}: it is not what was sent");
        if number <= *arrived as u64 {
            return;
        }
        *arrived += 1;
        let step = Step { time: entry.time, sequence, bodies: &entry.bodies, answer: None };
        let expected = self.shards[shard.0 as usize].command(&step, command);
        let refused = logged.effects.iter().any(|effect| matches!(effect, Effect::Undeliverable { .. }));
        assert_eq!(expected.is_err(), refused, "{at}: {command:?} should come to {expected:?}");
    }

    /// What was sent to another shard and has not arrived.
    pub fn on_the_way(&self) -> usize {
        let sent: usize = self.sent.values().map(Vec::len).sum();
        sent - self.arrived.values().sum::<usize>()
    }

    /// Asserts that what is read of a shard is what should be, by the shard's time.
    pub fn assert_read(&self, shard: Shard, state: &impl Read, payloads: Payloads<'_>) {
        let blocks = &self.shards[shard.0 as usize];
        blocks.kv.assert_read(state, blocks.time, payloads);
        blocks.topics.assert_read(state, payloads);
        blocks.queues.assert_read(state, payloads);
        blocks.locks.assert_read(state, blocks.time);
        blocks.streams.assert_read(state, payloads);
        blocks.jobs.assert_read(state, payloads);
        blocks.configs.assert_read(state, payloads);
    }

    /// Asserts that nothing is kept of a shard that should have gone by `now`, when nothing is left to be done.
    pub fn assert_taken_away(&self, shard: Shard, state: &impl Read, now: Time) {
        self.shards[shard.0 as usize].topics.assert_taken_away(state, now);
    }

    /// The time of the shard's last entry.
    pub fn time(&self, shard: Shard) -> Time {
        self.shards[shard.0 as usize].time
    }

    /// A shard's items, of which clients know a little.
    pub fn kv(&self, shard: Shard) -> &kv::Kv {
        &self.shards[shard.0 as usize].kv
    }

    /// A shard's locks.
    pub fn locks(&self, shard: Shard) -> &lock::Locks {
        &self.shards[shard.0 as usize].locks
    }

    /// A shard's queues.
    pub fn queues(&self, shard: Shard) -> &queue::Queues {
        &self.shards[shard.0 as usize].queues
    }

    /// A shard's streams.
    pub fn streams(&self, shard: Shard) -> &stream::Streams {
        &self.shards[shard.0 as usize].streams
    }

    /// A shard's jobs.
    pub fn jobs(&self, shard: Shard) -> &job::Jobs {
        &self.shards[shard.0 as usize].jobs
    }

    /// A shard's configuration.
    pub fn configs(&self, shard: Shard) -> &config::Configs {
        &self.shards[shard.0 as usize].configs
    }

    /// A shard's partitions.
    pub fn topics(&self, shard: Shard) -> &topic::Topics {
        &self.shards[shard.0 as usize].topics
    }
}

impl Blocks {
    /// What a command should be answered.
    fn command(&mut self, step: &Step<'_>, command: &Command) -> Result<Reply, Code> {
        match &command.kind {
            Some(Kind::Kv(command)) => self.kv.apply(step, command).map(Reply::from),
            Some(Kind::Topic(command)) => self.topics.apply(step, command).map(Reply::from),
            Some(Kind::Queue(command)) => self.queues.apply(step, command).map(Reply::from),
            Some(Kind::Lock(command)) => self.locks.apply(step, command).map(Reply::from),
            Some(Kind::Stream(machine::stream::Command {
                kind: Some(machine::stream::Kind::Project(project)),
            })) => {
                self.streams.may_project(project)?;
                if let Some(output) = &project.output {
                    self.kv.apply(step, output)?;
                }
                Ok(self.streams.project(project).into())
            }
            Some(Kind::Stream(command)) => self.streams.apply(step, command).map(Reply::from),
            Some(Kind::Job(command)) => self.jobs.apply(step, command, &mut self.runs).map(Reply::from),
            Some(Kind::Config(command)) => self.configs.apply(step, command).map(Reply::from),
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn fire(&mut self, now: Time) {
        self.remembered.retain(|_, (_, until)| *until > now);
        self.queues.fire(now);
        self.streams.fire(now);
        self.topics.fire(now);
        self.jobs.fire(now, &mut self.runs);
    }
}

/// Whether it is refused only at present, so that nothing has become of the request yet.
pub fn is_for_now(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|refusal| matches!(refusal.code(), Code::Limit | Code::Unavailable))
}

/// A reply without what the model does not say: sentences for people, and where payloads lie.
fn plain(reply: &Reply) -> Reply {
    let mut reply = reply.clone();
    match &mut reply.answer {
        Some(Answer::Kv(reply)) => {
            reply.failed.iter_mut().for_each(|failed| failed.refusal.message.clear());
        }
        Some(Answer::Queue(reply)) => {
            if let Some(machine::queue::Answer::Received(received)) = &mut reply.answer {
                received.items.iter_mut().for_each(|work| work.body = Stored::default());
            }
        }
        _ => {}
    }
    reply
}

fn assert_agree(logged: &Logged<'_>, command: &Command, expected: &Result<Reply, Code>) {
    let Logged { shard, sequence, outcome, .. } = logged;
    let is = outcome.as_ref().map(plain).map_err(machine::Refusal::code);
    assert_eq!(is, *expected, "{shard:?} {sequence}: the answer to {command:?}, and what it should be");
}
