//! A world with jobs that send to a queue, and short words for what is done with them.

use machine::body::Stored;
use machine::command::Answer;
use machine::job::{self, Delete, DeletePrefix, Listed, Pause, Put, Resume, Schedule, Trigger};
use machine::queue::{self, Item, SendItem};
use machine::{Command, Entry, Memory, Refusal, Shard, Table};
use prost::Message;

use crate::world::{SHARD, World, empty_way, fill_way, table};

pub const SCOPE: &str = "billing";
pub const QUEUE: &str = "invoices";

pub struct Desk {
    pub world: World,
    /// Its state is not that of its entries alone.
    by_hand: bool,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { world: World::new(), by_hand: false }
    }

    pub fn run(&mut self, command: impl Into<Command>) -> Result<Option<job::Answer>, Refusal> {
        let reply = self.world.run(Entry::new(command).with_body(vec![7; 500]))?;
        self.world.check_pointers(pointers);
        match reply.answer {
            Some(Answer::Job(reply)) => Ok(reply.answer),
            other => panic!("{other:?} is no reply of jobs"),
        }
    }

    /// When it runs first.
    pub fn put(&mut self, put: Put) -> Result<u64, Refusal> {
        match self.run(put)? {
            Some(job::Answer::NextMs(next)) => Ok(next),
            other => panic!("{other:?}"),
        }
    }

    pub fn pause(&mut self, name: &str) -> Result<(), Refusal> {
        self.run(Pause { scope: SCOPE.into(), name: name.into() }).map(|_| ())
    }

    pub fn resume(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.run(Resume { scope: SCOPE.into(), name: name.into() })? {
            Some(job::Answer::NextMs(next)) => Ok(Some(next)),
            None => Ok(None),
            other => panic!("{other:?}"),
        }
    }

    pub fn trigger(&mut self, name: &str) -> Result<(), Refusal> {
        self.run(Trigger { scope: SCOPE.into(), name: name.into() }).map(|_| ())
    }

    pub fn delete(&mut self, name: &str) -> u32 {
        let delete = Delete { scope: SCOPE.into(), names: vec![name.into()] };
        match self.run(delete).expect("never refused") {
            Some(job::Answer::Deleted(deleted)) => deleted.count,
            other => panic!("{other:?}"),
        }
    }

    /// How many there were, and whether there are more.
    pub fn delete_prefix(&mut self, prefix: &str) -> (u32, bool) {
        let delete = DeletePrefix { scope: SCOPE.into(), prefix: prefix.into() };
        match self.run(delete).expect("never refused") {
            Some(job::Answer::Deleted(deleted)) => (deleted.count, deleted.more),
            other => panic!("{other:?}"),
        }
    }

    pub fn get(&self, name: &str) -> Option<Listed> {
        job::get(&self.world.state, SCOPE, name)
    }

    /// When the items were sent that jobs sent, after the world's beginning.
    pub fn runs(&self) -> Vec<u64> {
        let state = &self.world.state;
        let ids = 1..=queue::counts(state, QUEUE).last_item;
        ids.map(|id| queue::get(state, QUEUE, id).expect("nobody takes them").item.sent_ms)
            .map(|at| at - crate::world::BEGIN.as_millis())
            .collect()
    }

    pub fn advance(&mut self, millis: u64) {
        self.world.advance(millis);
        self.world.check_pointers(pointers);
    }

    /// As if so many commands were on their way to `target`.
    pub fn fill_way(&mut self, target: Shard, commands: u64) {
        self.by_hand = true;
        fill_way(&mut self.world.state, target, commands);
    }

    /// As if nothing had ever been sent to `target`.
    pub fn empty_way(&mut self, target: Shard) {
        empty_way(&mut self.world.state, target);
    }

    /// Time passes while nobody leads the shard; then somebody does.
    pub fn outage(&mut self, millis: u64) {
        self.world.sleep(millis);
        self.advance(0);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.by_hand {
            self.world.check(pointers);
        }
    }
}

/// A job that sends an item to a queue of the same shard.
pub fn put(name: &str) -> Put {
    let send = queue::Send { queue: QUEUE.into(), items: vec![SendItem::default()] };
    Put {
        scope: SCOPE.into(),
        name: name.into(),
        target: SHARD.0,
        command: Box::new(send.into()),
        bodies: vec![0],
        ..Put::default()
    }
}

pub fn every(name: &str, every_ms: u64) -> Put {
    Put { schedule: Some(Schedule::every(every_ms)), ..put(name) }
}

pub fn cron(name: &str, text: &str) -> Put {
    Put { schedule: Some(job::schedule(text).expect("a schedule")), ..put(name) }
}

/// The payloads that jobs and the queue point to.
fn pointers(state: &Memory) -> Vec<Stored> {
    let jobs = table(state, Table::Job).into_iter().filter(|(key, _)| key.ends_with(&[0, 0]));
    let jobs = jobs.flat_map(|(_, value)| job::Job::decode(value).expect("a job").bodies);
    let items = table(state, Table::QueueItem).into_iter().filter(|(key, _)| key.ends_with(&[0]));
    jobs.chain(items.map(|(_, value)| Item::decode(value).expect("an item").body)).collect()
}
