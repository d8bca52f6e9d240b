//! Putting dead letters back.

use std::ops::ControlFlow;

use super::open::Queue;
use super::{
    CAUSE_BYTES_MAX, Dead, History, Place, RECEIPTS_MAX, Reason, STEP_MAX, Waiting, dead_key, due,
    history_key, item_key, task_key,
};
use crate::context::{Context, decode};
use crate::key::{Key, Table, last_number};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::state::Order;

/// Puts dead letters back, to be tried as if they were new. Goes on by itself, in steps, over those that
/// are dead now; a further one takes the place of one that is under way.
///
/// An item that was too old has no time to live any more.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Redrive {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Which of them.
    #[prost(message, optional, tag = "2")]
    pub filter: Option<Filter>,
    /// Says which, and does nothing.
    #[prost(bool, tag = "3")]
    pub dry_run: bool,
    /// How many a second. Zero: as fast as it goes.
    #[prost(uint32, tag = "4")]
    pub rate: u32,
    /// How many in all. Zero: all.
    #[prost(uint64, tag = "5")]
    pub max: u64,
}

/// Which dead letters: those for which all of it holds.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Filter {
    /// Of these numbers. Empty: of any.
    #[prost(uint64, repeated, tag = "1")]
    pub items: Vec<u64>,
    /// Of this key. Empty: of any.
    #[prost(string, tag = "2")]
    pub key: String,
    /// Dead for this reason. [`Reason::Unknown`]: for any.
    #[prost(enumeration = "Reason", tag = "3")]
    pub reason: i32,
    /// Whose cause contains this. Empty: any.
    #[prost(string, tag = "4")]
    pub cause: String,
    /// Dead since this time or later. Zero: since any.
    #[prost(uint64, tag = "5")]
    pub from_ms: u64,
    /// Dead since before this time. Zero: since any.
    #[prost(uint64, tag = "6")]
    pub to_ms: u64,
}

/// What a redrive begins with.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Redriven {
    /// Of the first [`LOOKED_AT_MAX`] dead letters, how many it is for.
    #[prost(uint64, tag = "1")]
    pub matching: u64,
    /// The first of those, by number; 100 at most.
    #[prost(uint64, repeated, tag = "2")]
    pub first: Vec<u64>,
    /// Whether there are more dead letters than were looked at.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// A redrive that is under way: a value under [`Table::Queue`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Task {
    #[prost(message, required, tag = "1")]
    redrive: Redrive,
    /// The number of the first that is not looked at yet.
    #[prost(uint64, tag = "2")]
    next: u64,
    /// The number of the last item that there was when it began.
    #[prost(uint64, tag = "3")]
    last: u64,
    /// How many may still be moved.
    #[prost(uint64, tag = "4")]
    left: u64,
    /// When its next step is due.
    #[prost(uint64, tag = "5")]
    at_ms: u64,
    /// Whoever is dead since later died again.
    #[prost(uint64, tag = "6")]
    began_ms: u64,
}

impl Redrive {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        let Some(filter) = &self.filter else { return Ok(()) };
        let wrong = if filter.items.len() > RECEIPTS_MAX {
            format!("{} items at once; {RECEIPTS_MAX} are the most", filter.items.len())
        } else if filter.cause.len() > CAUSE_BYTES_MAX || filter.key.len() > limits::NAME_BYTES_MAX {
            "a redrive's cause or key is longer than one can be".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::new(Code::Invalid, wrong))
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Redriven, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        let found = self.survey(&queue);
        if self.dry_run || queue.ledger.dead == 0 {
            return Ok(found);
        }
        queue.room_for_timer()?;
        let key = task_key(&self.queue, due::Kind::Redrive);
        if let Some(before) = queue.context.get::<Task>(&key) {
            queue.unindex(before.at_ms, due::Kind::Redrive, b"");
        }
        let now = queue.now_ms();
        let left = if self.max == 0 { u64::MAX } else { self.max };
        let task = Task {
            redrive: self.clone(),
            next: 0,
            last: queue.ledger.last_item,
            left,
            at_ms: now,
            began_ms: now,
        };
        queue.index(now, due::Kind::Redrive, b"", bytes::Bytes::new());
        queue.context.put(key, &task);
        queue.close();
        Ok(found)
    }

    fn survey(&self, queue: &Queue<'_, '_>) -> Redriven {
        let mut found = Redriven::default();
        for (looked_at, (id, dead)) in queue.dead(0, LOOKED_AT_MAX + 1).into_iter().enumerate() {
            if looked_at == LOOKED_AT_MAX {
                found.more = true;
            } else if self.is_for(id, &dead) {
                found.matching += 1;
                if found.first.len() < FIRST_MAX {
                    found.first.push(id);
                }
            }
        }
        found
    }

    fn is_for(&self, id: u64, dead: &Dead) -> bool {
        self.filter.as_ref().is_none_or(|filter| {
            (filter.items.is_empty() || filter.items.contains(&id))
                && (filter.key.is_empty() || filter.key == dead.key)
                && (filter.reason() == Reason::Unknown || filter.reason() == dead.reason())
                && (filter.cause.is_empty() || dead.cause.contains(&filter.cause))
                && filter.from_ms <= dead.at_ms
                && (filter.to_ms == 0 || dead.at_ms < filter.to_ms)
        })
    }

    /// How many a step moves, and how long it is to the next.
    fn pace(&self) -> (usize, u64) {
        match self.rate as usize {
            0 => (STEP_MAX, 0),
            rate => {
                let step = rate.min(STEP_MAX);
                (step, (step * 1_000).div_ceil(rate) as u64)
            }
        }
    }
}

impl Queue<'_, '_> {
    /// The next step of a redrive: how many it looked at.
    pub(super) fn redrive_step(&mut self, max: usize) -> usize {
        let key = task_key(self.name, due::Kind::Redrive);
        let mut task: Task = self.context.get(&key).expect("a redrive is under way");
        let (step, wait_ms) = task.redrive.pace();
        let step = step.min(usize::try_from(task.left).unwrap_or(usize::MAX));
        let found = self.dead(task.next, max);
        let (looked_at, mut moved) = (found.len(), 0);
        let mut over = looked_at < max;
        for (id, dead) in found {
            if id > task.last || moved == step {
                over = id > task.last;
                break;
            }
            task.next = id + 1;
            if dead.at_ms <= task.began_ms && task.redrive.is_for(id, &dead) {
                self.revive(id);
                moved += 1;
            }
        }
        task.left -= moved as u64;
        if over || task.left == 0 {
            self.context.delete(key);
        } else {
            // What was only looked at does not count against the rate.
            task.at_ms = self.now_ms() + if moved == step { wait_ms } else { 0 };
            self.index(task.at_ms, due::Kind::Redrive, b"", bytes::Bytes::new());
            self.context.put(key, &task);
        }
        looked_at
    }

    fn revive(&mut self, id: u64) {
        let mut item = self.item(id);
        if item.expires_ms != 0 {
            item.expires_ms = 0;
            self.context.put(item_key(self.name, id), &item);
        }
        let mut history: History = self.context.get_or_default(&history_key(self.name, id));
        history.ready_ms = self.now_ms();
        self.context.put(history_key(self.name, id), &history);
        self.context.delete(dead_key(self.name, id));
        self.ledger.dead -= 1;
        let place = Place { priority: item.priority, ready_ms: history.ready_ms, id };
        self.put_ready(place, Waiting { attempts: 0, key: item.key, history: true, priority: 0 });
    }

    /// Up to `max` dead letters from the number `from` on.
    fn dead(&self, from: u64, max: usize) -> Vec<(u64, Dead)> {
        let mut found = Vec::new();
        let end = Key::new(Table::QueueDead).name(self.name).end();
        self.context.scan(&dead_key(self.name, from), &end, Order::Forwards, &mut |key, value| {
            found.push((last_number(key), decode(key, value.clone())));
            if found.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        found
    }
}

/// How many dead letters are looked at before a redrive begins.
pub const LOOKED_AT_MAX: usize = 1_000;
/// How many of those that match are named.
const FIRST_MAX: usize = 100;
