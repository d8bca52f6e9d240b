//! Limits of keys: how many of each are leased, and which of its items stand aside meanwhile.

use std::ops::ControlFlow;

use super::open::Queue;
use super::{Place, Settings, Waiting, blocked_key, due, key_key, rate, ready_key, task_key};
use crate::context::decode;
use crate::key::{Key, Table};
use crate::state::Order;
use crate::time::Time;

/// What is known of a key of a queue: a value under [`Table::QueueKey`], gone when it says nothing.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct KeyState {
    /// How many of its items are leased, of those that were handed out while keys had limits.
    #[prost(uint32, tag = "1")]
    leased: u32,
    /// How many of its items stand aside.
    #[prost(uint32, tag = "2")]
    blocked: u32,
    /// The theoretical arrival time of its rate.
    #[prost(uint64, tag = "3")]
    tat_ns: u64,
    /// When the queue looks at it again; zero for never.
    #[prost(uint64, tag = "4")]
    look_ms: u64,
}

/// What moves items back that stand aside, while it is under way: a value under [`Table::Queue`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Unblock {
    /// The key of the first that is not looked at yet; none for all.
    #[prost(bytes = "vec", tag = "1")]
    from: Vec<u8>,
    /// When its next step is due.
    #[prost(uint64, tag = "2")]
    at_ms: u64,
}

impl Queue<'_, '_> {
    /// Hands out an item of `key`, if the key's limits allow it; whether they do.
    pub(super) fn hold_key(&mut self, settings: &Settings, key: &str) -> bool {
        let now = self.now();
        let state = self.key(key);
        if settings.key_concurrency > 0 && state.leased >= settings.key_concurrency {
            return false;
        }
        if let Some(rate) = &settings.key_rate {
            state.tat_ns = rate.settled(state.tat_ns, now);
            match rate.check(state.tat_ns, now) {
                Ok(tat_ns) => state.tat_ns = tat_ns,
                Err(at) => {
                    self.look_at_key(key, at);
                    return false;
                }
            }
        }
        state.leased += 1;
        true
    }

    /// An item of `key` is leased no longer.
    pub(super) fn release_key(&mut self, key: &str) {
        self.key(key).leased -= 1;
        self.unblock(key);
    }

    /// An item that was ready is gone: it may be the one that others stood aside for.
    pub(super) fn left_ready(&mut self, key: &str) {
        if !key.is_empty() {
            self.unblock(key);
        }
    }

    /// Moves a ready item aside.
    pub(super) fn block(&mut self, place: Place, waiting: &Waiting) {
        self.take_ready(place);
        self.context.insert(blocked_key(self.name, &waiting.key, place), waiting);
        self.ledger.blocked += 1;
        self.key(&waiting.key).blocked += 1;
    }

    pub(super) fn take_blocked(&mut self, key: &str, place: Place) {
        self.context.delete(blocked_key(self.name, key, place));
        self.ledger.blocked -= 1;
        self.key(key).blocked -= 1;
    }

    /// Moves the first of a key's items that stand aside back.
    fn unblock(&mut self, key: &str) {
        if self.key(key).blocked == 0 {
            return;
        }
        let all = blocked(self.name).name(key);
        let first = self.context.state().first(all.as_bytes(), all.end().as_bytes(), Order::Forwards);
        let (found, value) = first.expect("a key's blocked items are counted");
        let place = all.rest_of(&found).and_then(Place::of).expect("a blocked item's place");
        self.unblock_at(key, place, decode(&found, value));
    }

    fn unblock_at(&mut self, key: &str, place: Place, waiting: Waiting) {
        self.take_blocked(key, place);
        debug_assert!(self.context.state().get(ready_key(self.name, place).as_bytes()).is_none());
        self.put_ready(place, waiting);
    }

    /// A time that was set for a key has come.
    pub(super) fn key_is_due(&mut self, settings: &Settings, key: &str) {
        self.key(key).look_ms = 0;
        self.unblock(key);
        let more = self.key(key).blocked > 0;
        if let Some(rate) = settings.key_rate.as_ref().filter(|_| more) {
            // What was moved back takes the next place in the rate; the one after it comes later.
            self.look_at_key(key, self.now().after(rate.interval_ms()));
        }
    }

    fn look_at_key(&mut self, key: &str, at: Time) {
        let mut state = std::mem::take(self.key(key));
        self.set_look(key, &mut state, at);
        *self.key(key) = state;
    }

    fn set_look(&mut self, key: &str, state: &mut KeyState, at: Time) {
        let at_ms = at.as_millis();
        if state.look_ms != 0 {
            if state.look_ms <= at_ms {
                return;
            }
            self.unindex(state.look_ms, due::Kind::Key, key.as_bytes());
        }
        self.index(at_ms, due::Kind::Key, key.as_bytes(), bytes::Bytes::new());
        state.look_ms = at_ms;
    }

    /// Limits of keys have changed: all that stands aside is looked at anew, in steps.
    pub(super) fn unblock_all(&mut self) {
        if self.ledger.blocked == 0 {
            return;
        }
        let key = task_key(self.name, due::Kind::Unblock);
        if let Some(before) = self.context.get::<Unblock>(&key) {
            self.unindex(before.at_ms, due::Kind::Unblock, b"");
        }
        self.unblock_from(Vec::new());
    }

    fn unblock_from(&mut self, from: Vec<u8>) {
        let task = Unblock { from, at_ms: self.now_ms() };
        self.index(task.at_ms, due::Kind::Unblock, b"", bytes::Bytes::new());
        self.context.put(task_key(self.name, due::Kind::Unblock), &task);
    }

    /// A step of that: how many items it moved.
    pub(super) fn unblock_step(&mut self, max: usize) -> usize {
        let key = task_key(self.name, due::Kind::Unblock);
        let task: Unblock = self.context.get(&key).expect("items are being moved back");
        let all = blocked(self.name);
        let from = if task.from.is_empty() { all.clone() } else { Key::from(task.from.as_slice()) };
        let mut found: Vec<(Vec<u8>, Waiting)> = Vec::new();
        self.context.scan(&from, &all.end(), Order::Forwards, &mut |key, value| {
            found.push((key.to_vec(), decode(key, value.clone())));
            if found.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let moved = found.len();
        match found.last() {
            Some((last, _)) if moved == max => self.unblock_from(last.clone()),
            _ => self.context.delete(key),
        }
        for (key, waiting) in found {
            let name = waiting.key.clone();
            let place = blocked(self.name).name(&name).rest_of(&key).and_then(Place::of);
            self.unblock_at(&name, place.expect("a blocked item's place"), waiting);
        }
        moved
    }

    /// What is known of a key, read once a command.
    fn key(&mut self, key: &str) -> &mut KeyState {
        if !self.keys.contains_key(key) {
            let state = self.context.get_or_default(&key_key(self.name, key));
            self.keys.insert(key.to_owned(), state);
        }
        self.keys.get_mut(key).expect("it has been read")
    }

    pub(super) fn write_keys(&mut self) {
        for (key, mut state) in std::mem::take(&mut self.keys) {
            let forgotten = rate::forgotten(state.tat_ns);
            if forgotten > self.now() {
                self.set_look(&key, &mut state, forgotten);
            }
            let idle = state.leased == 0 && state.blocked == 0 && state.look_ms == 0;
            match idle {
                true => self.context.delete(key_key(self.name, &key)),
                false => self.context.put(key_key(self.name, &key), &state),
            }
        }
    }
}

fn blocked(queue: &str) -> Key {
    Key::new(Table::QueueKey).name(queue).u8(1)
}
