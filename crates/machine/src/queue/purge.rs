//! Taking all away.

use std::ops::ControlFlow;

use super::open::Queue;
use super::{Dead, Item, Reply, dead_key, due, item_key, task_key};
use crate::context::{Context, decode};
use crate::key::{Key, Parts, Table};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::state::Order;

/// Takes away what is in the queue now and nobody has. Goes on by itself, in steps: what is handed out
/// meanwhile stays with whom it was handed to. A further one takes the place of one that is under way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Purge {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Whether items that wait are taken away: ready, delayed and blocked ones.
    #[prost(bool, tag = "2")]
    pub waiting: bool,
    /// Whether dead letters are.
    #[prost(bool, tag = "3")]
    pub dead: bool,
}

/// A purge that is under way: a value under [`Table::Queue`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Task {
    #[prost(bool, tag = "1")]
    waiting: bool,
    #[prost(bool, tag = "2")]
    dead: bool,
    /// The number of the first that is not looked at yet.
    #[prost(uint64, tag = "3")]
    next: u64,
    /// The number of the last item that there was when it began.
    #[prost(uint64, tag = "4")]
    last: u64,
    /// When its next step is due.
    #[prost(uint64, tag = "5")]
    at_ms: u64,
}

impl Purge {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        if !self.waiting && !self.dead {
            let nothing = "the purge is for nothing: neither for items that wait nor for dead letters";
            return Err(Refusal::new(Code::Invalid, nothing));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        queue.room_for_timer()?;
        let key = task_key(&self.queue, due::Kind::Purge);
        if let Some(before) = queue.context.get::<Task>(&key) {
            queue.unindex(before.at_ms, due::Kind::Purge, b"");
        }
        let at_ms = queue.now_ms();
        let (waiting, dead, last) = (self.waiting, self.dead, queue.ledger.last_item);
        queue.index(at_ms, due::Kind::Purge, b"", bytes::Bytes::new());
        queue.context.put(key, &Task { waiting, dead, next: 0, last, at_ms });
        queue.close();
        Ok(Reply::default())
    }
}

impl Queue<'_, '_> {
    /// The next step of a purge: how many it looked at.
    pub(super) fn purge_step(&mut self, max: usize) -> usize {
        let key = task_key(self.name, due::Kind::Purge);
        let mut task: Task = self.context.get(&key).expect("a purge is under way");
        let found = self.items(task.next, task.last, max);
        let looked_at = found.len();
        for (id, item) in found {
            task.next = id + 1;
            let waited = if task.waiting { self.take_waiting(id, &item) } else { None };
            let history = match waited {
                Some(waiting) => Some(waiting.history),
                None if task.dead => self.take_dead(id).map(|dead| !dead.no_history),
                None => None,
            };
            if let Some(history) = history {
                self.remove(id, &item, history);
            }
        }
        if looked_at < max {
            self.context.delete(key);
        } else {
            task.at_ms = self.now_ms();
            self.index(task.at_ms, due::Kind::Purge, b"", bytes::Bytes::new());
            self.context.put(key, &task);
        }
        looked_at
    }

    fn take_dead(&mut self, id: u64) -> Option<Dead> {
        let key = dead_key(self.name, id);
        let dead = self.context.get(&key)?;
        self.context.delete(key);
        self.ledger.dead -= 1;
        Some(dead)
    }

    /// Up to `max` items from the number `from` to the number `last`.
    fn items(&self, from: u64, last: u64, max: usize) -> Vec<(u64, Item)> {
        let mut found = Vec::new();
        let end = Key::new(Table::QueueItem).name(self.name).u64(last).end();
        self.context.scan(&item_key(self.name, from), &end, Order::Forwards, &mut |key, value| {
            let mut parts = Parts::of(key);
            parts.name();
            let id = parts.u64().expect("an item's number");
            if parts.u8() == Some(0) {
                found.push((id, decode(key, value.clone())));
            }
            if found.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        found
    }
}
