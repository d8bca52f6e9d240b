//! Messages that are published, and groups that are done with them.

use machine::Entry;
use machine::topic::{
    Acknowledge, Define, NewMessage, Place, Publish, PublishBatch, Seek, Settings, Span, Subscribe,
};

use super::{Glance, payload};

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let (mut topic, partition, group) = place(glance);
    if glance.rng.chance(25) {
        DELAYED.clone_into(&mut topic);
    }
    let has_group = glance.model.topics(glance.shard).has_group(&topic, partition, &group);
    let what = match glance.rng.below(13) {
        // Seldom does anybody speak of a group that there is not.
        7..12 if !has_group && glance.rng.chance(80) => 5,
        12 if glance.rng.chance(50) => 8,
        what => what,
    };
    match what {
        12 => define(glance, topic),
        0..4 => {
            let body = payload(glance.rng, glance.id, 0);
            let message = delayed(glance, &topic, 0);
            Entry::new(Publish { topic, partition, message }).with_body(body)
        }
        4 => {
            let bodies: Vec<_> =
                (0..=glance.rng.below(5)).map(|index| payload(glance.rng, glance.id, index)).collect();
            let messages = (0..bodies.len() as u32).map(|body| delayed(glance, &topic, body)).collect();
            Entry { bodies, ..Entry::new(PublishBatch { topic, partition, messages }) }
        }
        5..7 => Entry::new(Subscribe { topic, partition, group, from: somewhere(glance) }),
        7 => Entry::new(Seek { topic, partition, group, to: somewhere(glance) }),
        _ => {
            let model = glance.model.topics(glance.shard);
            let next = model.next(&topic, partition);
            let epoch = match glance.rng.below(4) {
                0 => None,
                1 => Some(glance.rng.between(1, 50)),
                _ => model.epoch(&topic, partition, &group),
            };
            let cursor = model.cursor(&topic, partition, &group);
            let span = |glance: &mut Glance<'_>| {
                let first = match glance.rng.chance(70) {
                    true => cursor + glance.rng.between(0, 2),
                    false => glance.rng.between(0, next),
                };
                let most = next.saturating_sub(first) + u64::from(glance.rng.chance(5));
                Span { first, count: glance.rng.between(0, most.min(3)) }
            };
            let ranges = (0..=glance.rng.below(3)).map(|_| span(glance)).filter(|span| span.first <= next);
            let ranges = ranges.collect();
            Entry::new(Acknowledge { topic, partition, group, epoch, ranges, gone: Vec::new() })
        }
    }
}

/// By age, by number, by size, or by what a message says of itself.
fn define(glance: &mut Glance<'_>, topic: String) -> Entry {
    let settings = match glance.rng.below(5) {
        0 => Settings { keep_ms: Some(glance.rng.pick(&[3_000, 60_000])), ..Settings::default() },
        1 => Settings { keep_messages: glance.rng.pick(&[1, 5]), ..Settings::default() },
        2 => Settings { keep_bytes: glance.rng.pick(&[500, 4_000]), ..Settings::default() },
        3 => Settings { ttl_ms: glance.rng.pick(&[500, 30_000]), ..Settings::default() },
        _ => Settings::default(),
    };
    Entry::new(Define { topic, settings })
}

/// Publishes the entry's first payload.
pub fn publish(glance: &mut Glance<'_>) -> Publish {
    let (topic, partition, _) = place(glance);
    Publish { topic, partition, message: message(glance, 0) }
}

/// A message, which may be delayed in the topic that has such.
fn delayed(glance: &mut Glance<'_>, topic: &str, body: u32) -> NewMessage {
    let message = message(glance, body);
    match topic == DELAYED && glance.rng.chance(60) {
        true => {
            let millis = glance.rng.pick(&[0, 1, 700, 700, 5_000]);
            message.due(glance.now.after(millis))
        }
        false => message,
    }
}

fn message(glance: &mut Glance<'_>, body: u32) -> NewMessage {
    let message = match glance.rng.below(8) {
        0 => NewMessage::new(body).with_ttl(glance.rng.pick(&[1, 1_500, 20_000])),
        1 => NewMessage::new(body).with_ttl(0),
        _ => NewMessage::new(body),
    };
    match glance.rng.pick(&["", "k", "l"]) {
        "" => message,
        key => message.with_key(key),
    }
}

fn place(glance: &mut Glance<'_>) -> (String, u32, String) {
    let topic = glance.rng.pick(&["placed", "paid"]);
    let group = glance.rng.pick(&["mail", "stock"]);
    (topic.to_owned(), u32::from(glance.rng.chance(20)), group.to_owned())
}

fn somewhere(glance: &mut Glance<'_>) -> Place {
    match glance.rng.below(4) {
        0 => Place::end(),
        1 => Place::offset(glance.rng.between(0, 30)),
        2 => Place::time(glance.now),
        _ => Place::start(),
    }
}

/// The topic in which messages are delayed. Nothing comes to it but what clients publish: what jobs and other shards send
/// has no order with what is due at the same time.
const DELAYED: &str = "dunning";
