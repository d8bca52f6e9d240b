//! A queue that a command works on: its ledger is read when it is opened and written when it is closed, and
//! what moves items keeps the counts.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::keyed::KeyState;
use super::{
    Dead, FAILURES_MAX, Failure, Held, History, Item, Ledger, Place, Reason, Settings, Waiting, blocked_key,
    dead_key, due, history_key, item_key, ledger_key, ready_key, settings_key,
};
use crate::context::Context;
use crate::effect::Channel;
use crate::refusal::Refusal;
use crate::time::Time;
use crate::timer::Owner;

/// A queue while a command is applied. What is changed of it counts once it is closed.
pub(super) struct Queue<'c, 'a> {
    pub(super) context: &'c mut Context<'a>,
    pub(super) name: &'c str,
    pub(super) ledger: Ledger,
    /// What has been looked at of keys that have limits.
    pub(super) keys: BTreeMap<String, KeyState>,
    as_opened: Ledger,
    /// The first time that this command put into the index.
    first_due_ms: Option<u64>,
    woken: bool,
}

impl<'c, 'a> Queue<'c, 'a> {
    pub(super) fn open(context: &'c mut Context<'a>, name: &'c str) -> Queue<'c, 'a> {
        let ledger: Ledger = context.get_or_default(&ledger_key(name));
        let as_opened = ledger.clone();
        Queue { context, name, ledger, keys: BTreeMap::new(), as_opened, first_due_ms: None, woken: false }
    }

    /// The queue's settings. Looking for some that nobody made would take longer than all else.
    pub(super) fn settings(&self) -> Settings {
        match self.ledger.defined {
            true => self.context.get_or_default(&settings_key(self.name)),
            false => Settings::default(),
        }
    }

    /// Writes what has changed, sets the queue's timer, and wakes who waits.
    pub(super) fn close(mut self) {
        self.write_keys();
        if let Some(first) = self.first_due_ms {
            self.set_timer(first);
        }
        if self.ledger != self.as_opened {
            self.context.put(ledger_key(self.name), &self.ledger);
        }
        if self.woken {
            self.context.wake(Channel::queue(self.name));
        }
    }

    /// Whoever waits for items shall look.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    pub(super) fn now(&self) -> Time {
        self.context.time()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.context.time().as_millis()
    }

    /// Asked by a command that may put something into the index, before it writes.
    pub(super) fn room_for_timer(&self) -> Result<(), Refusal> {
        match self.ledger.timer_ms {
            0 => self.context.room_for_timers(1),
            _ => Ok(()),
        }
    }

    /// Has the queue look at `at_ms` at what `kind` and `rest` name, which it does not yet.
    pub(super) fn index(&mut self, at_ms: u64, kind: due::Kind, rest: &[u8], value: Bytes) {
        self.context.insert_bytes(due::key(self.name, at_ms, kind, rest), value);
        self.first_due_ms = Some(self.first_due_ms.map_or(at_ms, |first| first.min(at_ms)));
    }

    pub(super) fn unindex(&mut self, at_ms: u64, kind: due::Kind, rest: &[u8]) {
        self.context.delete(due::key(self.name, at_ms, kind, rest));
    }

    /// The queue's timer is set for the first of its index or earlier: an early one costs a look.
    fn set_timer(&mut self, at_ms: u64) {
        let (set, due) = (Time::recorded(self.ledger.timer_ms), Some(Time::from_millis(at_ms)));
        let set = self.context.move_timer(set, due, Owner::Queue, self.name.as_bytes());
        self.ledger.timer_ms = Time::record(set);
    }

    /// Puts an item where it waits: to be had at once, or when its time has come.
    pub(super) fn put_waiting(&mut self, place: Place, waiting: Waiting) {
        if place.ready_ms <= self.now_ms() {
            self.put_ready(place, waiting);
        } else {
            let waiting = Waiting { priority: place.priority, ..waiting };
            self.index(place.ready_ms, due::Kind::Delayed, &place.id.to_be_bytes(), encoded(&waiting));
            self.ledger.delayed += 1;
        }
    }

    pub(super) fn put_ready(&mut self, place: Place, waiting: Waiting) {
        let waiting = Waiting { priority: 0, ..waiting };
        self.context.insert(ready_key(self.name, place), &waiting);
        self.ledger.ready += 1;
        self.wake();
    }

    pub(super) fn take_ready(&mut self, place: Place) {
        self.context.delete(ready_key(self.name, place));
        self.ledger.ready -= 1;
    }

    /// Takes an item out of where it waits, if it does: somebody may have it, or it is dead.
    pub(super) fn take_waiting(&mut self, id: u64, item: &Item) -> Option<Waiting> {
        let history: Option<History> = self.context.get(&history_key(self.name, id));
        let ready_ms = history.map_or(item.ready_ms, |history| history.ready_ms);
        let place = Place { priority: item.priority, ready_ms, id };
        if let Some(waiting) = self.context.get(&ready_key(self.name, place)) {
            self.take_ready(place);
            self.left_ready(&item.key);
            return Some(waiting);
        }
        let delayed = due::key(self.name, ready_ms, due::Kind::Delayed, &id.to_be_bytes());
        if let Some(waiting) = self.context.get(&delayed) {
            self.context.delete(delayed);
            self.ledger.delayed -= 1;
            return Some(waiting);
        }
        let waiting = self.context.get(&blocked_key(self.name, &item.key, place))?;
        self.take_blocked(&item.key, place);
        Some(waiting)
    }

    /// A lease of an item is over: the caller has taken it out of its lease's record.
    pub(super) fn let_go(&mut self, held: &Held) {
        self.ledger.leased -= 1;
        if self.ledger.ready > 0 && self.ledger.defined {
            // They may have waited for the room that there is now: without settings there are no limits.
            self.wake();
        }
        if !held.key.is_empty() {
            self.release_key(&held.key);
        }
    }

    /// An attempt has failed: the item is tried again after `delay_ms` or its backoff, or it is dead, as it is if its attempts
    /// are `used_up`.
    pub(super) fn fail(
        &mut self,
        settings: &Settings,
        held: &Held,
        failure: Failure,
        delay_ms: Option<u64>,
        used_up: bool,
    ) {
        self.let_go(held);
        let (id, attempt) = (held.item, failure.attempt);
        let item = self.item(id);
        let over = used_up || self.is_expired(&item);
        let keeps = if used_up { settings.keeps_dead_letters() } else { settings.dead_letters_expired };
        if over && !keeps {
            return self.remove(id, &item, held.history);
        }
        let (reason, cause) = match used_up {
            true => (failure.reason(), failure.cause.clone()),
            false => (Reason::Expired, String::new()),
        };
        let wait_ms = delay_ms.unwrap_or_else(|| settings.wait_ms(attempt));
        let ready_ms = self.now_ms().saturating_add(wait_ms);
        self.remember(held, failure, ready_ms);
        if over {
            return self.bury(
                id,
                &item,
                Dead { attempts: attempt, reason: reason.into(), cause, ..Dead::default() },
            );
        }
        let place = Place { priority: item.priority, ready_ms, id };
        self.put_waiting(place, Waiting { attempts: attempt, key: item.key, history: true, priority: 0 });
    }

    /// Adds a failure to an item's history.
    fn remember(&mut self, held: &Held, failure: Failure, ready_ms: u64) {
        let key = history_key(self.name, held.item);
        let mut history: History =
            if held.history { self.context.get_or_default(&key) } else { History::default() };
        if history.failures.len() == FAILURES_MAX {
            history.failures.remove(0);
        }
        history.failures.push(failure);
        history.ready_ms = ready_ms;
        self.context.put(key, &history);
    }

    pub(super) fn is_expired(&self, item: &Item) -> bool {
        item.expires_ms != 0 && item.expires_ms <= self.now_ms()
    }

    /// An item that waited is too old.
    pub(super) fn expire(&mut self, settings: &Settings, id: u64, item: &Item, waiting: &Waiting) {
        if !settings.dead_letters_expired {
            return self.remove(id, item, waiting.history);
        }
        // It has died of age, so that there may be no failure to remember.
        let Waiting { attempts, history, .. } = *waiting;
        let reason = Reason::Expired.into();
        let dead = Dead { attempts, reason, no_history: !history, ..Dead::default() };
        self.bury(id, item, dead);
    }

    fn bury(&mut self, id: u64, item: &Item, dead: Dead) {
        self.unindex_expiry(id, item);
        let dead = Dead { at_ms: self.now_ms(), key: item.key.clone(), ..dead };
        self.context.insert(dead_key(self.name, id), &dead);
        self.ledger.dead += 1;
    }

    /// Takes away all that is stored of an item that is nowhere any more.
    pub(super) fn remove(&mut self, id: u64, item: &Item, history: bool) {
        self.unindex_expiry(id, item);
        self.context.release(&item.body);
        self.context.delete(item_key(self.name, id));
        if history {
            self.context.delete(history_key(self.name, id));
        }
    }

    fn unindex_expiry(&mut self, id: u64, item: &Item) {
        if item.expires_ms != 0 {
            self.unindex(item.expires_ms, due::Kind::Expiry, &id.to_be_bytes());
        }
    }

    /// An item that some index names.
    ///
    /// # Panics
    ///
    /// If it is not there: an index of the queue is wrong, and going on would lose an item.
    pub(super) fn item(&self, id: u64) -> Item {
        self.context
            .get(&item_key(self.name, id))
            .unwrap_or_else(|| panic!("queue {:?} names its item {id}, which is not there", self.name))
    }

    /// The queue's timer has just fired.
    pub(super) fn timer_fired(&mut self) {
        self.ledger.timer_ms = 0;
    }

    /// What is first in the index, as one sees who looks.
    pub(super) fn set_first_due(&mut self, first_ms: Option<u64>) {
        self.first_due_ms = first_ms;
    }
}

pub(super) fn encoded(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}
