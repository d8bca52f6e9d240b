//! Groups, cursors and acknowledgement.

use machine::topic::{Acknowledge, NewMessage, Place, Span, read};
use machine::{Code, Entry};

use crate::shop::{
    GROUP, PARTITION, TOPIC, acknowledge, acknowledgement, check, lag, publish, publish_many, subscribe,
};
use crate::world::World;

#[test]
fn a_group_begins_where_it_wants_to() {
    let mut world = World::new();
    publish_many(&mut world, "a", 2);
    world.advance(1_000);
    let noon = world.now();
    publish_many(&mut world, "a", 2);
    let places = [
        ("start", Place::start(), 0),
        ("end", Place::end(), 4),
        ("third", Place::offset(2), 2),
        ("far", Place::offset(99), 4),
        ("noon", Place::time(noon), 2),
        ("unsaid", Place::default(), 4),
    ];
    for (group, place, cursor) in places {
        assert_eq!(subscribe(&mut world, group, place).cursor, cursor, "{group}");
    }
    let groups = read::groups(&world.state, TOPIC, PARTITION);
    let lags: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.lag)).collect();
    assert_eq!(lags, [("end", 0), ("far", 0), ("noon", 2), ("start", 4), ("third", 2), ("unsaid", 0)]);
}

#[test]
fn subscribing_again_changes_nothing() {
    let mut world = World::new();
    publish_many(&mut world, "a", 3);
    let first = subscribe(&mut world, GROUP, Place::start());
    acknowledge(&mut world, &[0..2]).unwrap();
    let second = subscribe(&mut world, GROUP, Place::end());
    assert_eq!((second.cursor, second.epoch), (2, first.epoch));
}

#[test]
fn the_cursor_moves_over_what_was_acknowledged_out_of_order() {
    let mut world = World::new();
    publish_many(&mut world, "a", 10);
    subscribe(&mut world, GROUP, Place::start());
    let first = acknowledge(&mut world, &[1..3, 5..6]).unwrap();
    assert_eq!((first.cursor, first.count), (0, 3));
    assert_eq!(lag(&world, GROUP), 7);
    let second = acknowledge(&mut world, &[0..1, 2..5]).unwrap();
    assert_eq!((second.cursor, second.count), (6, 3));
    assert_eq!(lag(&world, GROUP), 4);
    check(&world);
}

#[test]
fn groups_do_not_know_of_each_other() {
    let mut world = World::new();
    subscribe(&mut world, GROUP, Place::start());
    subscribe(&mut world, "delivery", Place::start());
    publish_many(&mut world, "a", 3);
    acknowledge(&mut world, &[0..3]).unwrap();
    assert_eq!((lag(&world, GROUP), lag(&world, "delivery")), (0, 3));
}

#[test]
fn what_was_never_published_is_not_acknowledged() {
    let mut world = World::new();
    subscribe(&mut world, GROUP, Place::start());
    publish_many(&mut world, "a", 3);
    assert_eq!(acknowledge(&mut world, &[0..4]).unwrap_err().code(), Code::Invalid);
    let span = Span { first: 1, count: u64::MAX };
    let endless = Acknowledge { ranges: vec![span], ..acknowledgement(&[]) };
    assert_eq!(world.run(Entry::new(endless)).unwrap_err().code(), Code::Invalid);
}

#[test]
fn a_group_that_nobody_made_is_not_found() {
    let mut world = World::new();
    publish(&mut world, NewMessage::new(0)).unwrap();
    assert_eq!(acknowledge(&mut world, &[0..1]).unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_group_remembers_no_more_ranges_than_its_maximum() {
    let mut world = World::new();
    subscribe(&mut world, GROUP, Place::start());
    let batch = machine::topic::PublishBatch {
        topic: TOPIC.into(),
        partition: PARTITION,
        messages: vec![NewMessage::new(0); 10_000],
    };
    world.run(Entry::new(batch).with_body("small")).unwrap();
    let most = machine::topic::RANGES_MAX as u64;
    let odd: Vec<_> = (0..most).map(|at| 2 * at + 1..2 * at + 2).collect();
    acknowledge(&mut world, &odd).unwrap();
    let further = 2 * most + 1;
    let refusal = acknowledge(&mut world, &[further..further + 1]).unwrap_err();
    assert_eq!(refusal.code(), Code::Limit);
    assert!(refusal.message.contains("offset 0"), "{refusal}");
    assert_eq!(acknowledge(&mut world, &[0..1]).unwrap().cursor, 2);
    acknowledge(&mut world, &[further..further + 1]).unwrap();
    check(&world);
}

#[test]
fn what_was_delivered_in_another_time_is_not_acknowledged_in_this() {
    let mut world = World::new();
    publish_many(&mut world, "a", 1);
    let position = subscribe(&mut world, GROUP, Place::start());
    let at = |epoch| Entry::new(Acknowledge { epoch: Some(epoch), ..acknowledgement(&[0..1, 0..1]) });
    assert_eq!(world.run(at(position.epoch + 1)).unwrap_err().code(), Code::Fenced);
    world.run(at(position.epoch)).unwrap();
}
