//! Work that is sent, received, settled, and held on to for too long.

use machine::Entry;
use machine::queue::{
    Acknowledge, Cancel, Define, Extend, Filter, Nack, Pause, Receipt, Receive, Redrive, Resume, Send,
    SendItem, Settings,
};

use super::{Glance, payload};

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let queue = name(glance);
    let has_any = !glance.model.queues(glance.shard).held(&queue).is_empty();
    let what = match glance.rng.below(20) {
        // Seldom does anybody settle what nobody has.
        10..16 if !has_any && glance.rng.chance(80) => glance.rng.below(10),
        what => what,
    };
    match what {
        0..4 => {
            let count = 1 + glance.rng.below(3);
            let bodies = (0..count).map(|index| payload(glance.rng, glance.id, index)).collect();
            Entry { bodies, ..Entry::new(send(glance, count)) }
        }
        4..10 => {
            let consumer = glance.rng.pick(&["one", "two", "three"]).to_owned();
            let visibility_ms = glance.rng.pick(&[0, 1_000, 10_000, 60_000]);
            Entry::new(Receive { queue, consumer, max: 1 + glance.rng.below(4) as u32, visibility_ms })
        }
        10..13 => {
            Entry::new(Acknowledge { receipts: receipts(glance, &queue), queue, all: glance.rng.chance(20) })
        }
        13..15 => Entry::new(Nack {
            receipts: receipts(glance, &queue),
            queue,
            cause: "it did not work".to_owned(),
            delay_ms: glance.rng.pick(&[None, None, Some(0), Some(5_000)]),
            not_begun: false,
            for_good: glance.rng.chance(20),
        }),
        15 => Entry::new(Extend {
            receipts: receipts(glance, &queue),
            queue,
            visibility_ms: glance.rng.between(1, 60_000),
        }),
        16 => define(glance, queue),
        17 => Entry::new(Cancel { items: items(glance, &queue), queue }),
        18 => match glance.rng.chance(70) {
            true => Entry::new(Resume { queue }),
            false => Entry::new(Pause { queue }),
        },
        _ => redrive(glance, queue),
    }
}

fn define(glance: &mut Glance<'_>, queue: String) -> Entry {
    let settings = Settings {
        attempts_max: glance.rng.pick(&[1, 2, 2, 0]),
        backoff_ms: glance.rng.pick(&[None, Some(0), Some(300)]),
        dead_letters: glance.rng.pick(&[None, None, None, Some(false)]),
        concurrency: glance.rng.pick(&[0, 0, 3]),
        length_max: glance.rng.pick(&[0, 0, 12]),
        ..Settings::default()
    };
    Entry::new(Define { queue, settings })
}

fn redrive(glance: &mut Glance<'_>, queue: String) -> Entry {
    let filter = match glance.rng.chance(30) {
        true => Some(Filter { items: items(glance, &queue), ..Filter::default() }),
        false => None,
    };
    let (dry_run, max) = (glance.rng.chance(10), glance.rng.pick(&[0, 0, 1]));
    Entry::new(Redrive { queue, filter, dry_run, rate: 0, max })
}

/// Some of the last items, and one that may not be there.
fn items(glance: &mut Glance<'_>, queue: &str) -> Vec<u64> {
    let last = glance.model.queues(glance.shard).last(queue) + 1;
    (0..=glance.rng.below(3)).map(|_| glance.rng.between(last.saturating_sub(10), last)).collect()
}

/// Sends the entry's first payloads.
pub fn send(glance: &mut Glance<'_>, count: usize) -> Send {
    let queue = name(glance);
    let item = |body| SendItem {
        body,
        priority: glance.rng.pick(&[None, None, Some(0), Some(9)]),
        delay_ms: glance.rng.pick(&[0, 0, 0, 500, 20_000]),
        ttl_ms: glance.rng.pick(&[0, 0, 0, 0, 2_000, 40_000]),
        dedup_id: glance.rng.pick(&["", "", "", "", "x", "y"]).to_owned(),
        ..SendItem::default()
    };
    Send { queue, items: (0..count as u32).map(item).collect() }
}

/// Receipts of now; some of a lease before, that of who was too slow.
fn receipts(glance: &mut Glance<'_>, queue: &str) -> Vec<Receipt> {
    let held = glance.model.queues(glance.shard).held(queue);
    let mut receipts = Vec::new();
    for _ in 0..=glance.rng.below(3) {
        let mut receipt = match held.is_empty() {
            true => Receipt { lease: glance.rng.between(1, 20), item: glance.rng.between(1, 20) },
            false => glance.rng.pick(&held),
        };
        if glance.rng.chance(12) {
            receipt.lease = receipt.lease.saturating_sub(glance.rng.between(1, 3)).max(1);
        }
        receipts.push(receipt);
    }
    receipts
}

fn name(glance: &mut Glance<'_>) -> String {
    glance.rng.pick(&["work", "work", "mails"]).to_owned()
}
