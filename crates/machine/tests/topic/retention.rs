//! What is kept, and for how long.

use machine::topic::{Define, NewMessage, Place, PublishBatch, Settings, read};
use machine::{Code, Entry, Table, timer};

use crate::shop::{
    GROUP, PARTITION, TOPIC, acknowledge, check, define, offsets, payload, publish, publish_many, subscribe,
};
use crate::world::{World, table};

const DAY: u64 = 24 * 60 * 60 * 1000;

#[test]
fn messages_are_kept_for_seven_days_unless_the_topic_says_otherwise() {
    let mut world = World::new();
    publish_many(&mut world, "a", 3);
    world.advance(DAY);
    publish_many(&mut world, "a", 1);
    world.advance(6 * DAY - 1);
    assert_eq!(offsets(&world), [0, 1, 2, 3]);
    world.advance(1_001);
    assert_eq!(offsets(&world), [3]);
    world.advance(DAY);
    assert_eq!(offsets(&world), []);
    assert_eq!(timer::next(&world.state), None);
    assert_eq!(publish(&mut world, NewMessage::new(0)).unwrap().offset, 4);
    check(&world);
}

#[test]
fn as_many_messages_are_kept_as_the_topic_says() {
    let mut world = World::new();
    define(&mut world, Settings { keep_messages: 3, ..Settings::default() });
    publish_many(&mut world, "a", 5);
    assert_eq!(offsets(&world), [2, 3, 4]);
    let batch =
        PublishBatch { topic: TOPIC.into(), partition: PARTITION, messages: vec![NewMessage::new(0); 500] };
    world.run(Entry::new(batch).with_body(payload("x"))).unwrap();
    assert_eq!(offsets(&world), [502, 503, 504]);
    check(&world);
}

#[test]
fn as_many_bytes_are_kept_as_the_topic_says_but_always_the_last_message() {
    let mut world = World::new();
    define(&mut world, Settings { keep_bytes: 1_000, ..Settings::default() });
    publish_many(&mut world, "a", 5);
    assert_eq!(offsets(&world), [2, 3, 4]);
    assert!(read::partition(&world.state, TOPIC, PARTITION).bytes <= 1_000);
    define(&mut world, Settings { keep_bytes: 10, ..Settings::default() });
    world.advance(1);
    assert_eq!(offsets(&world), [4]);
    check(&world);
}

#[test]
fn retention_takes_a_bounded_number_of_messages_in_a_step() {
    let mut world = World::new();
    publish_many(&mut world, "a", 600);
    world.advance(7 * DAY - 1);
    assert_eq!(offsets(&world).len(), 600);
    let before = world.sequence();
    world.advance(1);
    assert_eq!(offsets(&world), []);
    assert_eq!(world.sequence() - before, 600u64.div_ceil(machine::topic::TRIMMED_MAX as u64));
    check(&world);
}

#[test]
fn what_is_set_anew_holds_for_what_is_there() {
    let mut world = World::new();
    publish_many(&mut world, "a", 2);
    define(&mut world, Settings { keep_ms: Some(5_000), ..Settings::default() });
    world.advance(6_000);
    assert_eq!(offsets(&world), []);
    define(&mut world, Settings { keep_ms: Some(0), ..Settings::default() });
    publish_many(&mut world, "a", 2);
    assert_eq!(timer::next(&world.state), None);
    world.advance(100 * DAY);
    assert_eq!(offsets(&world), [2, 3]);
    check(&world);
}

#[test]
fn an_expired_message_is_not_read_and_then_not_kept() {
    let mut world = World::new();
    publish(&mut world, NewMessage::new(0)).unwrap();
    publish(&mut world, NewMessage::new(0).with_ttl(100)).unwrap();
    publish(&mut world, NewMessage::new(0)).unwrap();
    world.sleep(100);
    assert_eq!(offsets(&world), [0, 2]);
    assert_eq!(read::partition(&world.state, TOPIC, PARTITION).messages, 3);
    world.advance(1_000);
    assert_eq!(read::partition(&world.state, TOPIC, PARTITION).messages, 2);
    assert_eq!(table(&world.state, Table::TopicExpiry).len(), 0);
    check(&world);
}

#[test]
fn a_message_says_itself_how_long_it_is_of_use_or_its_topic_does() {
    let mut world = World::new();
    define(&mut world, Settings { ttl_ms: 1_000, ..Settings::default() });
    publish(&mut world, NewMessage::new(0)).unwrap();
    publish(&mut world, NewMessage::new(0).with_ttl(5_000)).unwrap();
    publish(&mut world, NewMessage::new(0).with_ttl(0)).unwrap();
    for (at, left) in [(999, vec![0, 1, 2]), (4_000, vec![1, 2]), (DAY, vec![2]), (7 * DAY, vec![])] {
        world.advance(at);
        assert_eq!(offsets(&world), left);
    }
    check(&world);
}

#[test]
fn a_partition_has_one_timer_at_most() {
    let mut world = World::new();
    for ttl in [50_000, 3_000, 90_000, 10] {
        publish(&mut world, NewMessage::new(0).with_ttl(ttl)).unwrap();
        assert_eq!(table(&world.state, Table::Timer).len(), 1);
    }
    world.advance(5_000);
    assert_eq!((offsets(&world), table(&world.state, Table::Timer).len()), (vec![0, 2], 1));
    check(&world);
}

#[test]
fn a_group_behind_what_is_kept_is_moved_up_and_told_so() {
    let mut world = World::new();
    define(&mut world, Settings { keep_messages: 4, ..Settings::default() });
    subscribe(&mut world, GROUP, Place::start());
    publish_many(&mut world, "a", 4);
    acknowledge(&mut world, &[1..2]).unwrap();
    publish_many(&mut world, "a", 3);
    let status = read::group(&world.state, TOPIC, PARTITION, GROUP).unwrap();
    assert_eq!((status.cursor, status.lag, status.group.missed), (3, 4, 2));
    acknowledge(&mut world, &[3..4]).unwrap();
    let status = read::group(&world.state, TOPIC, PARTITION, GROUP).unwrap();
    assert_eq!((status.cursor, status.lag, status.group.missed), (4, 3, 2));
    check(&world);
}

#[test]
fn a_topic_gets_more_partitions_but_not_fewer() {
    let mut world = World::new();
    let partitions = |partitions| Settings { partitions: Some(partitions), ..Settings::default() };
    define(&mut world, partitions(4));
    publish_many(&mut world, "a", 1);
    let fewer = Define { topic: TOPIC.into(), settings: partitions(3) };
    assert_eq!(world.run(Entry::new(fewer)).unwrap_err().code(), Code::Conflict);
    define(&mut world, partitions(5));
    assert_eq!(read::settings(&world.state, TOPIC), Some(partitions(5)));
}

#[test]
fn a_partition_that_the_topic_does_not_have_takes_nothing() {
    let mut world = World::new();
    define(&mut world, Settings { partitions: Some(PARTITION), ..Settings::default() });
    let refusal = publish(&mut world, NewMessage::new(0)).unwrap_err();
    assert_eq!(refusal.code(), Code::Invalid);
    assert!(refusal.message.contains("3 partitions"), "{refusal}");
}
