//! Queues: work items, each for one consumer at a time.
//!
//! An item is **ready**, **delayed** (until its time, or until it is tried again), **leased** (somebody
//! works on it), **blocked** (ready, but its key is at a limit) or **dead** (its attempts are used up).
//! It leaves the queue when it is acknowledged, cancelled, purged, or too old by its own time to live.
//!
//! - A lease has one holder. It ends when the item is settled, or when the shard's time reaches its end
//!   and the timer says so; what the holder does after that is refused as fenced, for each receipt names
//!   its lease by a number that is never used again.
//! - Being handed out is an attempt. A negative acknowledgement and a lease that runs out are failures:
//!   the item is delayed by a backoff that doubles, and dead after the last attempt.
//! - Order is priority, then when it became ready, then when it was sent. A consumer that asks gets the
//!   first; with several consumers, or after failures, work ends in another order.
//!
//! What a command costs decides how this is stored. An item's own record ([`Item`]) is written once and
//! read once. Where it stands is a key without much behind it, in [`Table::QueueReady`] or in the queue's
//! index of what comes due, [`Table::QueueIndex`]. Leases are kept by the [`LEASE_ITEMS_MAX`] of one receipt after
//! another, so that a batch is leased and acknowledged by few writes. The queue has one timer, at the
//! first time in its index, not one for each item. Counts and limits are in one small record
//! ([`Ledger`]), read and written once a command.
//!
//! **Limits of a key** would have a consumer look at item after item of a key that is at its limit. So
//! what it meets there is moved out of the way, to the blocked items of that key, and whatever makes room
//! moves one back: an item of the key that leaves what is ready or leased, or time, for a rate. A key has
//! blocked items only while one of its items is leased or ready, or a time is set.

mod acknowledge;
mod cancel;
mod define;
pub(crate) mod due;
mod extend;
mod item;
mod keyed;
mod lease;
mod ledger;
mod nack;
mod open;
mod pause;
mod purge;
mod rate;
mod read;
mod receive;
mod redrive;
mod send;
mod settings;

pub use crate::topic::Header;
pub use acknowledge::{Acknowledge, Settled};
pub use cancel::{Cancel, Cancelled};
pub use define::Define;
pub use extend::{Extend, Extended};
pub use item::{Dead, Failure, History, Item, Reason, Waiting};
pub use lease::{Held, Lease, Receipt};
pub use ledger::Ledger;
pub use nack::Nack;
pub use pause::{Pause, Resume};
pub use purge::Purge;
pub use read::{Available, Page, Peeked, Standing, Which, available, counts, get, peek, queues, settings};
pub use receive::{Receive, Received, Work};
pub use redrive::{Filter, LOOKED_AT_MAX, Redrive, Redriven};
pub use send::{Send, SendItem, Sent};
pub use settings::{Rate, Settings};

use crate::command::{answers, commands};
use crate::key::{Key, Table};
use crate::placement::{Shard, Shards};
use crate::refusal::{Code, Refusal};

/// Most items of one `Send`.
pub const SEND_ITEMS_MAX: usize = 1_000;
/// Most items of one `Receive`, and most receipts or ids of a command.
pub const RECEIPTS_MAX: usize = 1_000;
/// Most items that share a lease's record.
pub const LEASE_ITEMS_MAX: usize = 32;
/// Most items that one command or one firing of the queue's timer moves besides its own.
pub const STEP_MAX: usize = 256;
/// The highest priority.
pub const PRIORITY_MAX: u32 = 9;
/// The priority of what says none, as in AMQP 1.0 and JMS.
pub const PRIORITY_DEFAULT: u32 = 4;
/// Longest lease: 12 hours.
pub const VISIBILITY_MS_MAX: u64 = 12 * 3_600_000;
/// Longest delay and time to live: ten years.
pub const DELAY_MS_MAX: u64 = 3_653 * 86_400_000;
/// Longest deduplication window: 7 days.
pub const DEDUP_WINDOW_MS_MAX: u64 = 7 * 86_400_000;
/// Longest deduplication id in bytes.
pub const DEDUP_ID_BYTES_MAX: usize = 255;
/// Longest cause of a failure in bytes.
pub const CAUSE_BYTES_MAX: usize = 1_024;
/// Most failures that an item remembers: the last ones.
pub const FAILURES_MAX: usize = 8;

const _: () = assert!(LEASE_ITEMS_MAX <= STEP_MAX);

commands! {
    "a queue";
    /// Sets the queue's settings.
    1 => Define,
    /// Puts items in.
    2 => Send,
    /// Takes items that were not handed out.
    3 => Cancel,
    /// Hands items out.
    4 => Receive,
    /// Work is done.
    5 => Acknowledge,
    /// Work has failed.
    6 => Nack,
    /// Work takes longer.
    7 => Extend,
    /// Hands nothing out.
    8 => Pause,
    /// Hands out again.
    9 => Resume,
    /// Puts dead letters back.
    10 => Redrive,
    /// Takes all away.
    11 => Purge,
}

answers! {
    "a queue";
    /// To `Send`.
    2 => Sent,
    /// To `Cancel`.
    3 => Cancelled,
    /// To `Receive`.
    4 => Received,
    /// To `Acknowledge` and `Nack`.
    5 => Settled,
    /// To `Extend`.
    7 => Extended,
    /// To `Redrive`.
    10 => Redriven,
}

/// The shard of a queue; of one that is spread, where it is defined first.
pub fn home(shards: Shards, queue: &str) -> Shard {
    shards.of(&[b"queue", queue.as_bytes()])
}

/// The shard of what has `key` in a queue that is spread.
pub fn shard_of_key(shards: Shards, queue: &str, key: &str) -> Shard {
    shards.of(&[b"queue", queue.as_bytes(), key.as_bytes()])
}

/// Refuses a list that is empty or too long.
fn check_list(what: &str, length: usize, max: usize) -> Result<(), Refusal> {
    match length {
        0 => Err(Refusal::new(Code::Invalid, format!("no {what} are named"))),
        length if length > max => {
            let many = format!("{length} {what} at once; {max} are the most");
            Err(Refusal::new(Code::Invalid, many))
        }
        _ => Ok(()),
    }
}

fn check_within(what: &str, millis: u64, max: u64) -> Result<(), Refusal> {
    if millis > max {
        let long = format!("{what} of {millis} ms; {max} ms are the most");
        return Err(Refusal::new(Code::Invalid, long));
    }
    Ok(())
}

fn settings_key(queue: &str) -> Key {
    Key::new(Table::Queue).name(queue).u8(0)
}

fn ledger_key(queue: &str) -> Key {
    Key::new(Table::Queue).name(queue).u8(1)
}

/// A redrive, a purge or the like that is under way.
fn task_key(queue: &str, kind: due::Kind) -> Key {
    Key::new(Table::Queue).name(queue).u8(2).u8(kind as u8)
}

fn item_key(queue: &str, id: u64) -> Key {
    Key::new(Table::QueueItem).name(queue).u64(id).u8(0)
}

fn history_key(queue: &str, id: u64) -> Key {
    Key::new(Table::QueueItem).name(queue).u64(id).u8(1)
}

/// Sorts from the highest priority to the lowest.
fn rank(priority: u32) -> u8 {
    u8::MAX - priority.min(PRIORITY_MAX) as u8
}

fn ready_key(queue: &str, place: Place) -> Key {
    Key::new(Table::QueueReady).name(queue).u8(rank(place.priority)).u64(place.ready_ms).u64(place.id)
}

fn blocked_key(queue: &str, key: &str, place: Place) -> Key {
    let key = Key::new(Table::QueueKey).name(queue).u8(1).name(key);
    key.u8(rank(place.priority)).u64(place.ready_ms).u64(place.id)
}

fn key_key(queue: &str, key: &str) -> Key {
    Key::new(Table::QueueKey).name(queue).u8(0).name(key)
}

fn lease_key(queue: &str, lease: u64) -> Key {
    Key::new(Table::QueueLease).name(queue).u64(lease)
}

fn seen_key(queue: &str, dedup_id: &str) -> Key {
    Key::new(Table::QueueSeen).name(queue).bytes(dedup_id.as_bytes())
}

fn dead_key(queue: &str, id: u64) -> Key {
    Key::new(Table::QueueDead).name(queue).u64(id)
}

/// Where an item stands among those that are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    priority: u32,
    ready_ms: u64,
    id: u64,
}

impl Place {
    /// Of the end of a key: rank, time, id.
    fn of(rest: &[u8]) -> Option<Place> {
        let (rank, rest) = rest.split_first()?;
        let (ready, rest) = rest.split_first_chunk()?;
        let id = rest.first_chunk()?;
        Some(Place {
            priority: u32::from(u8::MAX - rank),
            ready_ms: u64::from_be_bytes(*ready),
            id: u64::from_be_bytes(*id),
        })
    }
}
