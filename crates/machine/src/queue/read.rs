//! What can be read of a queue without an entry in the log.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::receive::room;
use super::{
    Dead, History, Item, Lease, Ledger, Place, Settings, blocked_key, dead_key, due, history_key, item_key,
    ledger_key, ready_key, settings_key,
};
use crate::context::{decode, read};
use crate::key::{Key, Table};
use crate::state::{Order, Read, names};
use crate::time::Time;

/// An item as one sees who only looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked {
    /// Its number.
    pub id: u64,
    /// What was sent.
    pub item: Item,
    /// How it has failed.
    pub history: History,
    /// Where it stands.
    pub standing: Standing,
}

/// Where an item stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It may be had.
    Ready,
    /// It may be had at this time.
    Delayed(Time),
    /// It could be had if its key were not at a limit.
    Blocked,
    /// Somebody has it.
    Leased {
        /// Who.
        consumer: String,
        /// Until when.
        until: Time,
        /// Which attempt it is, from one.
        attempt: u32,
    },
    /// It is a dead letter.
    Dead(Dead),
}

/// Whether asking for items is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// There are some.
    Now,
    /// A rate holds them back until then.
    At(Time),
    /// There are none, or a limit or a pause holds them back: who waits is woken.
    WhenWoken,
}

/// Which of a queue's items are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that may be had, in the order in which they will be.
    Ready,
    /// Those that may be had later, the soonest first.
    Delayed,
    /// Those whose key is at a limit, by key.
    Blocked,
    /// Those that somebody has, the oldest lease first.
    Leased,
    /// The dead letters, by number.
    Dead,
}

/// Some of a queue's items, and where to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Peeked>,
    /// What [`peek`] goes on from; nothing if this was all.
    pub next: Option<Vec<u8>>,
}

/// Up to `max` queues by name, those after `after`, with how many items of each stand where.
pub fn queues(state: &(impl Read + ?Sized), after: Option<&str>, max: usize) -> Vec<(String, Ledger)> {
    let names = names(state, &Key::new(Table::Queue), "", after, max).into_iter();
    names
        .map(|name| {
            let counts = counts(state, &name);
            (name, counts)
        })
        .collect()
}

/// A queue's settings: the defaults if it was never defined.
pub fn settings(state: &(impl Read + ?Sized), queue: &str) -> Settings {
    read(state, &settings_key(queue)).unwrap_or_default()
}

/// How many items of a queue stand where, and whether it is paused.
pub fn counts(state: &(impl Read + ?Sized), queue: &str) -> Ledger {
    read(state, &ledger_key(queue)).unwrap_or_default()
}

/// Whether asking `queue` for items is of use: what a driver looks at before it proposes to receive.
pub fn available(state: &(impl Read + ?Sized), queue: &str, now: Time) -> Available {
    let ledger = counts(state, queue);
    if ledger.paused || ledger.ready == 0 {
        return Available::WhenWoken;
    }
    let settings = if ledger.defined { settings(state, queue) } else { Settings::default() };
    if room(&settings, ledger.leased) == 0 {
        return Available::WhenWoken;
    }
    match settings.rate.map(|rate| rate.check(ledger.tat_ns, now)) {
        Some(Err(at)) => Available::At(at),
        _ => Available::Now,
    }
}

/// An item, wherever it stands.
pub fn get(state: &(impl Read + ?Sized), queue: &str, id: u64) -> Option<Peeked> {
    let item: Item = read(state, &item_key(queue, id))?;
    let history: Option<History> = read(state, &history_key(queue, id));
    let ready_ms = history.as_ref().map_or(item.ready_ms, |history| history.ready_ms);
    let place = Place { priority: item.priority, ready_ms, id };
    let has = |key: Key| state.get(key.as_bytes()).is_some();
    let standing = if has(ready_key(queue, place)) {
        Standing::Ready
    } else if has(due::key(queue, ready_ms, due::Kind::Delayed, &id.to_be_bytes())) {
        Standing::Delayed(Time::from_millis(ready_ms))
    } else if has(blocked_key(queue, &item.key, place)) {
        Standing::Blocked
    } else if let Some(dead) = read(state, &dead_key(queue, id)) {
        Standing::Dead(dead)
    } else {
        leased(state, queue, id)?
    };
    Some(Peeked { id, item, history: history.unwrap_or_default(), standing })
}

/// Up to `max` items of a queue, and those that share the last one's lease; `from` is what an earlier page
/// ended with.
pub fn peek(
    state: &(impl Read + ?Sized),
    queue: &str,
    which: Which,
    from: Option<&[u8]>,
    max: usize,
) -> Page {
    let all = which.keys(queue);
    let begin = from.map_or_else(|| all.clone(), Key::from);
    let mut found: Vec<(u64, Standing)> = Vec::new();
    let mut next = None;
    let mut looked_at = 0;
    state.scan(begin.as_bytes(), all.end().as_bytes(), Order::Forwards, &mut |key, value| {
        if found.len() >= max || looked_at == LOOKED_AT_MAX {
            next = Some(key.to_vec());
            return ControlFlow::Break(());
        }
        looked_at += 1;
        which.read(&all, key, value, &mut found);
        ControlFlow::Continue(())
    });
    let items = found.into_iter().filter_map(|(id, standing)| {
        let item = read(state, &item_key(queue, id))?;
        let history = read(state, &history_key(queue, id)).unwrap_or_default();
        Some(Peeked { id, item, history, standing })
    });
    Page { items: items.collect(), next }
}

impl Which {
    fn keys(self, queue: &str) -> Key {
        match self {
            Which::Ready => Key::new(Table::QueueReady).name(queue),
            Which::Delayed => Key::new(Table::QueueIndex).name(queue),
            Which::Blocked => Key::new(Table::QueueKey).name(queue).u8(1),
            Which::Leased => Key::new(Table::QueueLease).name(queue),
            Which::Dead => Key::new(Table::QueueDead).name(queue),
        }
    }

    /// What one of those keys says.
    fn read(self, all: &Key, key: &[u8], value: &Bytes, found: &mut Vec<(u64, Standing)>) {
        let rest = all.rest_of(key).unwrap_or_default();
        match self {
            Which::Ready => found.extend(Place::of(rest).map(|place| (place.id, Standing::Ready))),
            Which::Blocked => {
                let place =
                    rest.iter().position(|byte| *byte == 0).and_then(|end| Place::of(&rest[end + 1..]));
                found.extend(place.map(|place| (place.id, Standing::Blocked)));
            }
            Which::Delayed => found.extend(due::delayed(rest).map(|(at, id)| (id, Standing::Delayed(at)))),
            Which::Leased => found.extend(holders(decode(key, value.clone()))),
            Which::Dead => {
                let id = rest.first_chunk().copied().map(u64::from_be_bytes);
                found.extend(id.map(|id| (id, Standing::Dead(decode(key, value.clone())))));
            }
        }
    }
}

fn holders(lease: Lease) -> impl Iterator<Item = (u64, Standing)> {
    let Lease { consumer, items, .. } = lease;
    items.into_iter().map(move |held| {
        let until = Time::from_millis(held.until_ms);
        (held.item, Standing::Leased { consumer: consumer.clone(), until, attempt: held.attempt })
    })
}

/// The lease of an item, by looking through all: an item does not say which it is in.
fn leased(state: &(impl Read + ?Sized), queue: &str, id: u64) -> Option<Standing> {
    let mut found = None;
    state.scan_prefix(&Which::Leased.keys(queue), &mut |key, value| {
        found = holders(decode(key, value.clone())).find(|(item, _)| *item == id);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found.map(|(_, standing)| standing)
}

/// How many keys one page looks at.
const LOOKED_AT_MAX: usize = 10_000;
