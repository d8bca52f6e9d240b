//! A topic in a small world: orders that are placed, and groups that hear of them.

use machine::body::Stored;
use machine::topic::{
    Acknowledge, Acknowledged, Answer, Message, NewMessage, Place, Position, Publish, Published, Span,
    Subscribe, read,
};
use machine::{Entry, Memory, Refusal, Reply, Table, command};
use prost::Message as _;

use crate::world::{World, table};

pub const TOPIC: &str = "order-placed";
pub const GROUP: &str = "notifications";
pub const PARTITION: u32 = 3;

/// A payload that is large enough to stay in the log.
pub fn payload(text: &str) -> Vec<u8> {
    text.bytes().cycle().take(300).collect()
}

/// Publishes a message with a payload of its own.
pub fn publish(world: &mut World, message: NewMessage) -> Result<Published, Refusal> {
    let publish = Publish { topic: TOPIC.into(), partition: PARTITION, message };
    world.run(Entry::new(publish).with_body(payload("x"))).map(published)
}

/// Publishes `count` messages of the key `key`.
pub fn publish_many(world: &mut World, key: &str, count: u64) {
    for _ in 0..count {
        publish(world, NewMessage::new(0).with_key(key.to_owned())).expect("a message");
    }
}

pub fn subscribe(world: &mut World, group: &str, from: Place) -> Position {
    let subscribe = Subscribe { topic: TOPIC.into(), partition: PARTITION, group: group.into(), from };
    match answer(world.run(Entry::new(subscribe)).expect("a group")) {
        Answer::Position(position) => position,
        other => panic!("{other:?} instead of a position"),
    }
}

pub fn acknowledgement(offsets: &[std::ops::Range<u64>]) -> Acknowledge {
    Acknowledge {
        topic: TOPIC.into(),
        partition: PARTITION,
        group: GROUP.into(),
        epoch: None,
        ranges: offsets.iter().cloned().map(Span::from).collect(),
        gone: Vec::new(),
    }
}

pub fn acknowledge(world: &mut World, offsets: &[std::ops::Range<u64>]) -> Result<Acknowledged, Refusal> {
    world.run(Entry::new(acknowledgement(offsets))).map(|reply| match answer(reply) {
        Answer::Acknowledged(acknowledged) => acknowledged,
        other => panic!("{other:?} instead of what was acknowledged"),
    })
}

pub fn published(reply: Reply) -> Published {
    match answer(reply) {
        Answer::Published(published) => published,
        other => panic!("{other:?} instead of where a message is"),
    }
}

pub fn answer(reply: Reply) -> Answer {
    match reply.answer {
        Some(command::Answer::Topic(reply)) => reply.answer.expect("an answer"),
        other => panic!("{other:?} instead of a topic's answer"),
    }
}

/// The offsets that are kept and have not expired.
pub fn offsets(world: &World) -> Vec<u64> {
    let page = read::page(&world.state, TOPIC, PARTITION, 0, usize::MAX, world.now());
    page.into_iter().map(|(offset, _)| offset).collect()
}

pub fn lag(world: &World, group: &str) -> u64 {
    read::group(&world.state, TOPIC, PARTITION, group).expect("a group").lag
}

/// All payloads that topics point to.
pub fn pointers(state: &Memory) -> Vec<Stored> {
    let messages = table(state, Table::TopicMessage).into_iter();
    messages.map(|(_, value)| Message::decode(value).expect("a message").body).collect()
}

/// What must hold at any time.
pub fn check(world: &World) {
    world.check(pointers);
    let partition = read::partition(&world.state, TOPIC, PARTITION);
    assert_eq!(partition.messages, table(&world.state, Table::TopicMessage).len() as u64);
}
