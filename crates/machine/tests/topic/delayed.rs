//! Messages that are delayed.

use machine::limits::TIMERS_FIRED_MAX;
use machine::topic::{DELAY_MS_MAX, DELAYED_MAX, NewMessage, Place, PublishBatch, Settings, read};
use machine::{Code, Effect, Entry, Key, State, Table, Time, effect::Channel, timer::Fire};
use prost::Message as _;

use crate::shop::{
    GROUP, PARTITION, TOPIC, check, define, lag, offsets, payload, publish, published, seek, subscribe,
};
use crate::world::World;

/// A message with a key that says which it is.
fn message(key: &'static str) -> NewMessage {
    NewMessage::new(0).with_key(key)
}

fn delayed(world: &World, key: &'static str, millis: u64) -> NewMessage {
    message(key).due(world.now().after(millis))
}

/// The keys of what can be consumed, in order.
fn keys(world: &World) -> Vec<String> {
    let page = read::page(&world.state, TOPIC, PARTITION, 0, usize::MAX, world.now());
    page.into_iter().map(|(_, message)| String::from_utf8(message.attributes.key.to_vec()).unwrap()).collect()
}

fn waiting(world: &World) -> u64 {
    read::partition(&world.state, TOPIC, PARTITION).delayed
}

#[test]
fn a_delayed_message_is_published_when_it_is_due() {
    let mut world = World::new();
    subscribe(&mut world, GROUP, Place::start());
    let due = world.now().after(5_000);
    let later = delayed(&world, "a", 5_000);
    assert_eq!(publish(&mut world, later).unwrap().delayed, [0]);
    world.advance(4_999);
    assert_eq!((offsets(&world), lag(&world, GROUP), waiting(&world)), (vec![], 0, 1));
    check(&world);
    world.advance(1);
    assert_eq!((offsets(&world), lag(&world, GROUP), waiting(&world)), (vec![0], 1, 0));
    assert_eq!(world.effects, [Effect::Wake(Channel::topic(TOPIC, PARTITION))]);
    let message = read::message(&world.state, TOPIC, PARTITION, 0).unwrap();
    assert_eq!((message.time, world.body(&message.body).to_vec()), (due.as_millis(), payload("x")));
    check(&world);
}

#[test]
fn a_delayed_message_comes_behind_what_is_published_meanwhile() {
    let mut world = World::new();
    for (key, millis) in [("later", 2_000), ("sooner", 1_000), ("as soon", 1_000)] {
        let message = delayed(&world, key, millis);
        publish(&mut world, message).unwrap();
    }
    publish(&mut world, message("at once")).unwrap();
    world.advance(2_000);
    assert_eq!(keys(&world), ["at once", "sooner", "as soon", "later"]);
    check(&world);
}

#[test]
fn what_a_delayed_message_lives_counts_from_when_it_is_due() {
    let mut world = World::new();
    define(&mut world, Settings { keep_ms: Some(10_000), ..Settings::default() });
    let short = delayed(&world, "short", 60_000).with_ttl(3_000);
    let kept = delayed(&world, "kept", 60_000);
    publish(&mut world, short).unwrap();
    publish(&mut world, kept).unwrap();
    world.advance(60_000);
    assert_eq!(keys(&world), ["short", "kept"]);
    world.advance(3_000);
    assert_eq!(keys(&world), ["kept"]);
    world.advance(8_000);
    assert_eq!(offsets(&world), []);
    check(&world);
}

#[test]
fn replay_finds_a_delayed_message_where_it_was_due() {
    let mut world = World::new();
    let begin = world.now();
    let later = delayed(&world, "later", 1_000);
    publish(&mut world, later).unwrap();
    publish(&mut world, message("at once")).unwrap();
    world.advance(1_000);
    subscribe(&mut world, GROUP, Place::start());
    assert_eq!(seek(&mut world, Place::time(begin.after(1))).cursor, 1);
    assert_eq!(lag(&world, GROUP), 1);
}

#[test]
fn of_a_batch_some_may_be_delayed() {
    let mut world = World::new();
    let past = message("past").due(Time::from_millis(1));
    let messages = vec![message("one"), delayed(&world, "two", 10), past, delayed(&world, "four", 5)];
    let batch = PublishBatch { topic: TOPIC.into(), partition: PARTITION, messages };
    let published = published(world.run(Entry::new(batch).with_body(payload("x"))).unwrap());
    assert_eq!((published.offset, published.count, published.delayed), (0, 2, vec![1, 3]));
    assert_eq!(keys(&world), ["one", "past"]);
    world.advance(10);
    assert_eq!(keys(&world), ["one", "past", "four", "two"]);
    check(&world);
}

#[test]
fn what_was_due_while_nobody_led_comes_in_order_and_so_many_at_a_time() {
    let mut world = World::new();
    let messages = vec![delayed(&world, "a", 10); TIMERS_FIRED_MAX + 1];
    let batch = PublishBatch { topic: TOPIC.into(), partition: PARTITION, messages };
    world.run(Entry::new(batch).with_body(payload("x"))).unwrap();
    let last = delayed(&world, "last", 20);
    publish(&mut world, last).unwrap();
    world.sleep(1_000);
    world.run(Entry::new(Fire {})).unwrap();
    assert_eq!((offsets(&world).len(), waiting(&world)), (TIMERS_FIRED_MAX, 2));
    world.advance(0);
    assert_eq!(keys(&world).last().map(String::as_str), Some("last"));
    assert_eq!(waiting(&world), 0);
    check(&world);
}

#[test]
fn what_is_too_late_or_too_many_is_refused() {
    let mut world = World::new();
    let late = delayed(&world, "a", DELAY_MS_MAX + 1);
    let refusal = publish(&mut world, late).unwrap_err();
    assert_eq!(refusal.code(), Code::Invalid);
    assert!(refusal.message.contains("ten years"), "{refusal}");
    let latest = delayed(&world, "a", DELAY_MS_MAX);
    publish(&mut world, latest.clone()).unwrap();
    let mut partition = read::partition(&world.state, TOPIC, PARTITION);
    partition.delayed = DELAYED_MAX;
    let key = Key::new(Table::Topic).name(TOPIC).u8(1).u32(PARTITION);
    world.state.put(key, partition.encode_to_vec().into());
    assert_eq!(publish(&mut world, latest).unwrap_err().code(), Code::Limit);
    publish(&mut world, message("at once")).unwrap();
}
