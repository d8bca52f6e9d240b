//! Publishing and reading.

use machine::topic::{NewMessage, PublishBatch, read};
use machine::{Code, Effect, Entry, Shards, effect::Channel, limits, topic};

use crate::shop::{PARTITION, TOPIC, check, offsets, payload, publish, publish_many, published};
use crate::world::World;

#[test]
fn offsets_count_up_from_zero() {
    let mut world = World::new();
    for offset in 0..3 {
        assert_eq!(publish(&mut world, NewMessage::new(0)).unwrap().offset, offset);
    }
    assert_eq!(offsets(&world), [0, 1, 2]);
    check(&world);
}

#[test]
fn a_message_is_read_as_it_was_published() {
    let mut world = World::new();
    let mut message = NewMessage::new(0).with_key("order-7").with_header("a", "1").with_header("a", "2");
    message.attributes.content_type = "application/json".into();
    publish(&mut world, message.clone()).unwrap();
    let read = read::message(&world.state, TOPIC, PARTITION, 0).expect("it is kept");
    assert_eq!(read.attributes, message.attributes);
    assert_eq!(read.time, world.now().as_millis());
    assert_eq!(read.body.len(), 300);
    assert!(!read.is_expired(machine::Time::MAX));
    check(&world);
}

#[test]
fn a_batch_is_published_as_a_whole_or_not_at_all() {
    let mut world = World::new();
    publish_many(&mut world, "a", 1);
    let batch = |bodies: &[u32]| PublishBatch {
        topic: TOPIC.into(),
        partition: PARTITION,
        messages: bodies.iter().map(|body| NewMessage::new(*body)).collect(),
    };
    let entry = |batch| Entry::new(batch).with_body(payload("a")).with_body(payload("b"));
    let refusal = world.run(entry(batch(&[0, 1, 2]))).unwrap_err();
    assert_eq!(refusal.code(), Code::Invalid);
    assert_eq!(offsets(&world), [0]);
    let outcome = published(world.run(entry(batch(&[0, 1, 0]))).unwrap());
    assert_eq!((outcome.offset, outcome.count), (1, 3));
    assert_eq!(offsets(&world), [0, 1, 2, 3]);
    check(&world);
}

#[test]
fn what_is_too_large_is_refused_before_it_gets_into_the_log() {
    let mut world = World::new();
    let many = (0..=limits::HEADERS_MAX).fold(NewMessage::new(0), |message, _| message.with_header("a", "1"));
    let large = NewMessage::new(0).with_header("a", "x".repeat(limits::HEADERS_BYTES_MAX));
    let key = NewMessage::new(0).with_key(vec![0; limits::KEY_BYTES_MAX + 1]);
    for (message, said) in [(many, "headers"), (large, "bytes of a message's headers"), (key, "key")] {
        let refusal = publish(&mut world, message).unwrap_err();
        assert_eq!(refusal.code(), Code::Invalid);
        assert!(refusal.message.contains(said), "{refusal}");
    }
    assert_eq!(world.sequence(), 0);
}

#[test]
fn who_waits_for_messages_is_woken() {
    let mut world = World::new();
    publish_many(&mut world, "a", 1);
    assert_eq!(world.effects, [Effect::Wake(Channel::topic(TOPIC, PARTITION))]);
}

#[test]
fn messages_are_found_by_time() {
    let mut world = World::new();
    let begin = world.now();
    for _ in 0..10 {
        publish_many(&mut world, "a", 2);
        world.advance(100);
    }
    let at = |millis| read::offset_at(&world.state, TOPIC, PARTITION, begin.after(millis));
    assert_eq!([at(0), at(1), at(100), at(899), at(900), at(901)], [0, 2, 2, 18, 18, 20]);
}

#[test]
fn a_page_begins_at_its_offset_and_ends_at_its_maximum() {
    let mut world = World::new();
    publish_many(&mut world, "a", 10);
    let page = read::page(&world.state, TOPIC, PARTITION, 4, 3, world.now());
    assert_eq!(page.into_iter().map(|(offset, _)| offset).collect::<Vec<_>>(), [4, 5, 6]);
}

#[test]
fn a_key_has_its_partition_and_a_partition_its_shard_forever() {
    let keys = ["", "a", "order-7", "order-8"];
    assert_eq!(keys.map(|key| topic::partition_of(key.as_bytes(), 8)), [1, 3, 1, 6]);
    let shards = Shards::new(16).unwrap();
    assert_eq!([0, 1, 2, 3].map(|partition| topic::shard(shards, TOPIC, partition).0), [8, 9, 0, 3]);
}
