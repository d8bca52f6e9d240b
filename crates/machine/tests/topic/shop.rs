//! A topic in a small world: orders that are placed, and groups that hear of them.

use machine::body::Stored;
use machine::topic::{
    Acknowledge, Acknowledged, Answer, Aside, Define, Delayed, Fail, Failed, Failing, GivenUp, Message,
    NewMessage, Outcome, Park, Place, Position, Publish, Published, Resolve, Resolved, Seek, Settings, Span,
    Subscribe, Verdict, Which, read,
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

pub fn define(world: &mut World, settings: Settings) {
    world.run(Entry::new(Define { topic: TOPIC.into(), settings })).expect("settings");
}

/// Has messages that are given up treated like that, after three attempts.
pub fn define_failing(world: &mut World, given_up: GivenUp) {
    let failing = Failing { attempts_max: Some(3), given_up: given_up.into(), ..Failing::default() };
    define(world, Settings { failing: Some(failing), ..Settings::default() });
}

pub fn failure(offset: u64, cause: &str) -> Fail {
    let failed = Failed { offset, cause: cause.into(), give_up: false };
    Fail { topic: TOPIC.into(), partition: PARTITION, group: GROUP.into(), epoch: None, failed: vec![failed] }
}

pub fn fail(world: &mut World, offset: u64, cause: &str) -> Outcome {
    outcomes(world.run(Entry::new(failure(offset, cause))).expect("a failure"))[0]
}

/// Fails at a message until it is given up.
pub fn exhaust(world: &mut World, offset: u64) -> Verdict {
    loop {
        match fail(world, offset, "no").verdict() {
            Verdict::Retry => {}
            verdict => return verdict,
        }
    }
}

pub fn park(world: &mut World, offsets: &[u64]) -> Vec<Verdict> {
    let park = Park {
        topic: TOPIC.into(),
        partition: PARTITION,
        group: GROUP.into(),
        epoch: None,
        offsets: offsets.to_vec(),
    };
    outcomes(world.run(Entry::new(park)).expect("messages")).iter().map(Outcome::verdict).collect()
}

pub fn resolve(world: &mut World, which: Which, action: machine::topic::Action) -> Result<Resolved, Refusal> {
    let resolve = Resolve {
        topic: TOPIC.into(),
        partition: PARTITION,
        group: GROUP.into(),
        which: Some(which),
        action: action.into(),
    };
    world.run(Entry::new(resolve)).map(|reply| match answer(reply) {
        Answer::Resolved(resolved) => resolved,
        other => panic!("{other:?} instead of what was resolved"),
    })
}

pub fn seek(world: &mut World, to: Place) -> Position {
    let seek = Seek { topic: TOPIC.into(), partition: PARTITION, group: GROUP.into(), to };
    match answer(world.run(Entry::new(seek)).expect("a group")) {
        Answer::Position(position) => position,
        other => panic!("{other:?} instead of a position"),
    }
}

pub fn outcomes(reply: Reply) -> Vec<Outcome> {
    match answer(reply) {
        Answer::Outcomes(outcomes) => outcomes.outcomes,
        other => panic!("{other:?} instead of outcomes"),
    }
}

/// What the group has set aside.
pub fn asides(world: &World) -> Vec<(u64, Aside)> {
    read::asides(&world.state, TOPIC, PARTITION, GROUP, 0, usize::MAX)
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
    let delayed = table(state, Table::TopicDelayed).into_iter();
    let messages = messages.map(|(_, value)| Message::decode(value).expect("a message").body);
    messages.chain(delayed.map(|(_, value)| Delayed::decode(value).expect("a delayed one").body)).collect()
}

/// What must hold at any time.
pub fn check(world: &World) {
    world.check(pointers);
    let partition = read::partition(&world.state, TOPIC, PARTITION);
    let messages = table(&world.state, Table::TopicMessage).into_iter();
    let of_topic = [TOPIC.as_bytes(), &[0]].concat();
    let messages = messages.filter(|(key, _)| key[1..].starts_with(&of_topic)).count();
    assert_eq!(partition.messages, messages as u64);
    let delayed = table(&world.state, Table::TopicDelayed).into_iter();
    let delayed = delayed.filter(|(key, _)| key[1..].starts_with(&of_topic)).count();
    assert_eq!(partition.delayed, delayed as u64);
    if let Some(group) = read::group(&world.state, TOPIC, PARTITION, GROUP) {
        assert_eq!(group.group.aside, asides(world).len() as u64);
    }
}
