//! Delivering to consumers.

use std::time::Duration;

use machine::topic::delivery::Config;
use machine::topic::{Action, GivenUp, NewMessage, Place, Settings, Which, read};

use crate::leader::Leader;
use crate::shop::{
    GROUP, PARTITION, TOPIC, asides, check, define, define_failing, lag, publish, publish_many, resolve,
    seek, subscribe,
};
use crate::world::World;

/// A leader with a group at the start, and a message for each of the keys; `-` is none.
fn leader(keys: &str) -> Leader {
    leader_with(keys, Config::default())
}

fn leader_with(keys: &str, config: Config) -> Leader {
    let mut world = World::new();
    subscribe(&mut world, GROUP, Place::start());
    for key in keys.chars() {
        let key = if key == '-' { String::new() } else { key.to_string() };
        publish(&mut world, NewMessage::new(0).with_key(key)).unwrap();
    }
    Leader::with(world, config)
}

#[test]
fn one_message_of_a_key_is_out_at_a_time_and_other_keys_overtake() {
    let mut leader = leader("aab-a-b");
    assert_eq!(leader.grant(1, 10), [0, 2, 3, 5]);
    leader.acknowledge(0);
    assert_eq!(leader.poll(), [1]);
    leader.acknowledge(2);
    leader.acknowledge(1);
    assert_eq!(leader.poll(), [4, 6]);
}

#[test]
fn consumers_get_no_more_than_they_will_take_and_take_turns() {
    let mut leader = leader("------");
    assert_eq!(leader.grant(1, 0), []);
    leader.delivery.grant(1, 2);
    assert_eq!(leader.grant(2, 3), [0, 1, 2, 3, 4]);
    let takers: Vec<_> = leader.history.iter().map(|handout| handout.consumer).collect();
    assert_eq!(takers, [1, 2, 1, 2, 2]);
}

#[test]
fn no_more_is_in_flight_than_the_maximum() {
    let mut leader = leader_with("------", Config { in_flight_max: 2, ..Config::default() });
    assert_eq!(leader.grant(1, 10), [0, 1]);
    leader.acknowledge(1);
    assert_eq!(leader.poll(), [2]);
}

#[test]
fn acknowledgements_gather_while_a_command_is_on_its_way() {
    let mut leader = leader("------");
    leader.grant(1, 10);
    leader.acknowledge(0);
    assert!(leader.step());
    for offset in [2, 1, 4] {
        leader.acknowledge(offset);
    }
    let before = leader.world.sequence();
    leader.settle_all();
    assert_eq!(leader.world.sequence(), before + 2);
    assert_eq!(lag(&leader.world, GROUP), 2);
    assert_eq!(read::group(&leader.world.state, TOPIC, PARTITION, GROUP).unwrap().cursor, 3);
}

#[test]
fn a_consumer_that_takes_too_long_has_failed() {
    let mut leader = leader("aa");
    assert_eq!(leader.grant(1, 1), [0]);
    leader.world.advance(29_999);
    assert_eq!(leader.poll(), []);
    assert_eq!(leader.delivery.next_due(), Some(leader.now().after(1)));
    leader.world.advance(1);
    assert_eq!(leader.grant(2, 1), []);
    leader.settle_all();
    assert_eq!(asides(&leader.world)[0].1.history[0].cause, "not acknowledged within 30s");
    assert!(!leader.acknowledge(0), "it is too late");
    leader.world.advance(1_000);
    assert_eq!(leader.poll(), [0]);
    assert_eq!(leader.history.last().map(|handout| (handout.consumer, handout.attempt)), Some((2, 2)));
}

#[test]
fn a_consumer_that_says_so_has_longer() {
    let mut leader = leader("a");
    leader.grant(1, 1);
    leader.world.advance(29_000);
    let now = leader.now();
    assert!(leader.delivery.extend(now, 1, 0));
    leader.world.advance(29_000);
    leader.poll();
    assert!(leader.acknowledge(0));
}

#[test]
fn what_a_consumer_had_that_is_gone_is_delivered_again_and_counts_as_no_attempt() {
    let mut leader = leader("ab");
    assert_eq!(leader.grant(1, 10), [0, 1]);
    leader.leave(1);
    assert_eq!(leader.grant(2, 10), [0, 1]);
    assert!(leader.history.iter().all(|handout| handout.attempt == 1));
    assert!(leader.release(0));
    assert_eq!(leader.poll(), [0]);
    leader.settle_all();
    assert_eq!(asides(&leader.world).len(), 0);
}

#[test]
fn a_key_waits_for_its_failed_message_and_others_do_not() {
    let mut leader = leader("aabb");
    assert_eq!(leader.grant(1, 10), [0, 2]);
    leader.fail(0, false);
    leader.acknowledge(2);
    assert_eq!(leader.poll(), [3]);
    leader.settle_all();
    assert_eq!(leader.poll(), []);
    leader.world.advance(1_000);
    assert_eq!(leader.poll(), [0]);
    leader.acknowledge(0);
    assert_eq!(leader.poll(), [1]);
}

#[test]
fn after_a_crash_all_is_delivered_again_that_was_not_acknowledged() {
    let mut leader = leader("-a-a-");
    leader.grant(1, 10);
    leader.acknowledge(2);
    leader.fail(1, false);
    leader.settle_all();
    leader.acknowledge(0);
    leader.crash();
    assert_eq!(leader.grant(1, 10), [0, 4]);
    leader.world.advance(1_000);
    assert_eq!(leader.poll(), [1]);
    leader.acknowledge(1);
    assert_eq!(leader.poll(), [3]);
}

#[test]
fn a_parked_key_is_set_aside_and_comes_back_in_order() {
    let mut leader = leader("aabaa");
    define_failing(&mut leader.world, GivenUp::Park);
    leader.grant(1, 10);
    leader.fail(0, true);
    leader.acknowledge(2);
    leader.settle_all();
    publish_many(&mut leader.world, "a", 1);
    assert_eq!(leader.poll(), []);
    leader.settle_all();
    let set_aside: Vec<_> = asides(&leader.world).iter().map(|(offset, _)| *offset).collect();
    assert_eq!(set_aside, [0, 1, 3, 4, 5]);
    assert_eq!(read::group(&leader.world.state, TOPIC, PARTITION, GROUP).unwrap().cursor, 6);
    resolve(&mut leader.world, Which::Key("a".into()), Action::Retry).unwrap();
    for offset in [0, 1, 3, 4, 5] {
        assert_eq!(leader.poll(), [offset]);
        leader.acknowledge(offset);
    }
    leader.settle_all();
    assert_eq!((lag(&leader.world, GROUP), leader.delivery.tracked()), (0, 0));
    check(&leader.world);
}

#[test]
fn what_is_resolved_before_its_failure_is_told_stays_resolved() {
    let mut leader = leader("aa");
    define_failing(&mut leader.world, GivenUp::Park);
    leader.grant(1, 10);
    leader.fail(0, true);
    assert!(leader.step() && leader.step(), "proposed and applied");
    resolve(&mut leader.world, Which::Offset(0), Action::Skip).unwrap();
    assert_eq!(leader.poll(), []);
    assert!(leader.step(), "told");
    leader.poll();
    leader.settle_all();
    assert_eq!(leader.poll(), [1]);
}

#[test]
fn a_blocked_key_stays_in_the_partition_and_stops_the_group_at_its_window() {
    let mut leader = leader_with("aab", Config { window: 8, ..Config::default() });
    define_failing(&mut leader.world, GivenUp::Block);
    assert_eq!(leader.grant(1, 100), [0, 2]);
    leader.fail(0, true);
    leader.settle_all();
    publish_many(&mut leader.world, "", 20);
    assert_eq!(leader.poll(), [3, 4, 5, 6, 7, 8]);
    for offset in 2..=8 {
        leader.acknowledge(offset);
    }
    leader.settle_all();
    assert_eq!(leader.poll(), []);
    assert_eq!(asides(&leader.world).len(), 1);
    resolve(&mut leader.world, Which::Offset(0), Action::Skip).unwrap();
    assert_eq!(leader.poll(), [1]);
    leader.acknowledge(1);
    assert_eq!(leader.poll()[..2], [9, 10]);
}

#[test]
fn a_group_that_has_moved_gets_everything_from_there_again() {
    let mut leader = leader("---");
    assert_eq!(leader.grant(1, 100), [0, 1, 2]);
    leader.acknowledge(0);
    leader.acknowledge(1);
    leader.settle_all();
    leader.acknowledge(2);
    assert!(leader.step());
    seek(&mut leader.world, Place::offset(1));
    leader.acknowledged.clear();
    assert_eq!(leader.poll(), [1, 2]);
    leader.settle_all();
    assert_eq!(lag(&leader.world, GROUP), 2);
    leader.acknowledge(1);
    leader.acknowledge(2);
    leader.settle_all();
    assert_eq!(lag(&leader.world, GROUP), 0);
}

#[test]
fn expired_messages_are_passed_over_and_counted() {
    let mut leader = leader("");
    publish(&mut leader.world, NewMessage::new(0).with_ttl(100).with_key("a")).unwrap();
    publish(&mut leader.world, NewMessage::new(0).with_ttl(100).with_key("a")).unwrap();
    publish(&mut leader.world, NewMessage::new(0).with_key("a")).unwrap();
    publish(&mut leader.world, NewMessage::new(0).with_ttl(100)).unwrap();
    assert_eq!(leader.grant(1, 1), [0]);
    leader.world.advance(5_000);
    leader.acknowledge(0);
    assert_eq!(leader.grant(1, 9), [2]);
    leader.acknowledge(2);
    leader.settle_all();
    let group = read::group(&leader.world.state, TOPIC, PARTITION, GROUP).unwrap();
    assert_eq!((group.lag, group.group.missed), (0, 2));
}

#[test]
fn a_message_that_expires_set_aside_frees_its_key() {
    let mut leader = leader("");
    define_failing(&mut leader.world, GivenUp::Block);
    publish(&mut leader.world, NewMessage::new(0).with_ttl(5_000).with_key("a")).unwrap();
    publish_many(&mut leader.world, "a", 1);
    leader.grant(1, 9);
    leader.fail(0, true);
    leader.settle_all();
    assert_eq!(leader.poll(), []);
    leader.world.advance(5_000);
    assert_eq!(leader.poll(), [1]);
    leader.settle_all();
    assert_eq!(asides(&leader.world).len(), 0);
}

#[test]
fn what_retention_takes_away_frees_its_key() {
    let mut leader = leader("ab");
    define(&mut leader.world, Settings { keep_messages: 3, ..Settings::default() });
    leader.grant(1, 9);
    leader.fail(0, false);
    leader.settle_all();
    publish_many(&mut leader.world, "a", 3);
    assert_eq!(leader.poll(), [2]);
    leader.acknowledge(1);
    leader.settle_all();
    let group = read::group(&leader.world.state, TOPIC, PARTITION, GROUP).unwrap();
    assert_eq!((group.cursor, group.lag, group.group.missed, group.group.aside), (2, 3, 1, 0));
}

#[test]
fn nothing_is_kept_in_mind_beyond_the_window() {
    let config = Config { window: 100, ack_timeout: Duration::from_secs(5), ..Config::default() };
    let mut leader = leader_with("", config);
    publish_many(&mut leader.world, "a", 300);
    assert_eq!(leader.grant(1, u64::MAX), [0]);
    assert_eq!(leader.delivery.tracked(), 100);
}

#[test]
fn a_command_that_there_was_no_room_for_comes_again() {
    let mut leader = leader("---");
    leader.grant(1, 9);
    leader.acknowledge(0);
    leader.fail(1, false);
    for _ in 0..3 {
        leader.step();
        leader.refuse();
    }
    leader.settle_all();
    assert_eq!((lag(&leader.world, GROUP), asides(&leader.world).len()), (2, 1));
}

#[test]
fn nothing_is_delivered_to_a_group_that_is_not_there() {
    let mut world = World::new();
    publish_many(&mut world, "", 1);
    let mut leader = Leader::new(world);
    assert_eq!(leader.grant(1, 9), []);
    assert!(!leader.delivery.is_subscribed());
    subscribe(&mut leader.world, GROUP, Place::start());
    assert_eq!(leader.poll(), [0]);
    assert_eq!((leader.delivery.in_flight(), leader.delivery.is_subscribed()), (1, true));
}
