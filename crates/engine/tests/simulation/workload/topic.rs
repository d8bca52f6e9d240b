//! Messages that are published, and groups that are done with them.

use machine::Entry;
use machine::topic::{Acknowledge, NewMessage, Place, Publish, PublishBatch, Seek, Span, Subscribe};

use super::{Glance, payload};

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let (topic, partition, group) = place(glance);
    match glance.rng.below(12) {
        0..4 => {
            let body = payload(glance.rng, glance.id, 0);
            Entry::new(publish(glance)).with_body(body)
        }
        4 => {
            let bodies: Vec<_> =
                (0..=glance.rng.below(5)).map(|index| payload(glance.rng, glance.id, index)).collect();
            let messages = (0..bodies.len() as u32).map(|body| message(glance, body)).collect();
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
            let span = |glance: &mut Glance<'_>| Span {
                first: glance.rng.between(0, next),
                count: glance.rng.between(0, 3),
            };
            let ranges = (0..=glance.rng.below(3)).map(|_| span(glance)).collect();
            Entry::new(Acknowledge { topic, partition, group, epoch, ranges, gone: Vec::new() })
        }
    }
}

/// Publishes the entry's first payload.
pub fn publish(glance: &mut Glance<'_>) -> Publish {
    let (topic, partition, _) = place(glance);
    Publish { topic, partition, message: message(glance, 0) }
}

fn message(glance: &mut Glance<'_>, body: u32) -> NewMessage {
    let message = NewMessage::new(body);
    match glance.rng.pick(&["", "k", "l"]) {
        "" => message,
        key => message.with_key(key),
    }
}

fn place(glance: &mut Glance<'_>) -> (String, u32, String) {
    let topic = glance.rng.pick(&["placed", "paid"]);
    let group = glance.rng.pick(&["mail", "stock"]);
    (topic.to_owned(), glance.rng.below(2) as u32, group.to_owned())
}

fn somewhere(glance: &mut Glance<'_>) -> Place {
    match glance.rng.below(4) {
        0 => Place::end(),
        1 => Place::offset(glance.rng.between(0, 30)),
        2 => Place::time(glance.now),
        _ => Place::start(),
    }
}
