//! Messages that fail: retried, given up, set aside, resolved, sent to where dead letters go.

use machine::outbox::{ON_THE_WAY_OF_BLOCKS_MAX, on_the_way};
use machine::topic::{
    self, Action, Bury, DeadLetter, Define, DefineGroup, Failing, GivenUp, NewMessage, Place, Settings,
    Unsubscribe, Verdict, Waits, Which, dead_letter, read,
};
use machine::{Code, Entry, Shards, Table, command};

use crate::shop::{
    GROUP, PARTITION, TOPIC, acknowledge, asides, check, define, define_failing, exhaust, fail, failure, lag,
    park, publish, publish_many, resolve, seek, subscribe,
};
use crate::world::{SHARD, World, empty_way, fill_way, table};

const DEAD: &str = "order-placed-failed";

fn world(given_up: GivenUp) -> World {
    let mut world = World::new();
    define_failing(&mut world, given_up);
    subscribe(&mut world, GROUP, Place::start());
    publish_many(&mut world, "a", 4);
    world
}

/// A world whose dead letters go to a topic of so many partitions.
fn world_with_dead_letters(shards: u32, partitions: u32) -> World {
    let mut world = world(GivenUp::Park);
    let shards = Shards::new(shards).unwrap();
    let failing = Failing {
        attempts_max: Some(3),
        given_up: GivenUp::DeadLetter.into(),
        dead_letter: Some(DeadLetter::new(DEAD, partitions, shards)),
        ..Failing::default()
    };
    define(&mut world, Settings { failing: Some(failing), ..Settings::default() });
    world
}

#[test]
fn a_failure_is_retried_ever_later_and_not_by_all_at_once() {
    let mut world = world(GivenUp::Park);
    let unending = Failing { attempts_max: Some(0), ..Failing::default() };
    define(&mut world, Settings { failing: Some(unending), ..Settings::default() });
    for (attempts, longest) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 8_000)] {
        let outcome = fail(&mut world, 0, "no");
        assert_eq!((outcome.verdict(), outcome.attempts), (Verdict::Retry, attempts));
        let wait = outcome.next - world.now().as_millis();
        assert!((longest / 2..=longest).contains(&wait), "{wait} ms after {attempts}");
    }
    for _ in 0..100 {
        let wait = fail(&mut world, 0, "no").next - world.now().as_millis();
        assert!(wait <= 60_000, "{wait} ms");
    }
    let first = fail(&mut world, 1, "no").next;
    assert_ne!(first, fail(&mut world, 2, "no").next);
    check(&world);
}

#[test]
fn failures_survive_with_their_causes() {
    let mut world = world(GivenUp::Park);
    let begin = world.now().as_millis();
    fail(&mut world, 1, "connection refused");
    world.advance(500);
    fail(&mut world, 1, "503");
    let (offset, aside) = asides(&world).remove(0);
    assert_eq!((offset, aside.attempts, aside.key.as_ref()), (1, 2, b"a".as_slice()));
    let history: Vec<_> =
        aside.history.iter().map(|failure| (failure.time - begin, failure.cause.as_str())).collect();
    assert_eq!(history, [(0, "connection refused"), (500, "503")]);
    check(&world);
}

#[test]
fn what_is_set_aside_holds_up_no_cursor_and_still_lags() {
    let mut world = world(GivenUp::Park);
    fail(&mut world, 0, "no");
    let outcome = acknowledge(&mut world, &[1..4]).unwrap();
    assert_eq!((outcome.cursor, outcome.count), (4, 3));
    assert_eq!(lag(&world, GROUP), 1);
    assert_eq!(acknowledge(&mut world, &[0..1]).unwrap().count, 1);
    assert_eq!((lag(&world, GROUP), asides(&world).len()), (0, 0));
    check(&world);
}

#[test]
fn a_message_that_is_given_up_is_parked_blocked_or_skipped() {
    for (given_up, verdict) in [
        (GivenUp::Park, Verdict::Parked),
        (GivenUp::Block, Verdict::Blocked),
        (GivenUp::Skip, Verdict::Skipped),
    ] {
        let mut world = world(given_up);
        assert_eq!(exhaust(&mut world, 0), verdict);
        let group = read::group(&world.state, TOPIC, PARTITION, GROUP).unwrap().group;
        let skipped = u64::from(given_up == GivenUp::Skip);
        assert_eq!((group.skipped, group.aside), (skipped, 1 - skipped));
        check(&world);
    }
}

#[test]
fn who_knows_that_trying_again_is_of_no_use_gives_up_at_once() {
    let mut world = world(GivenUp::Skip);
    let mut failure = failure(0, "no such customer");
    failure.failed[0].give_up = true;
    world.run(Entry::new(failure)).unwrap();
    assert_eq!(lag(&world, GROUP), 3);
}

#[test]
fn a_dead_letter_says_what_happened_to_it() {
    let mut world = world_with_dead_letters(1024, 64);
    let message = NewMessage::new(0).with_key("order-7").with_header("tenant", "blue");
    publish(&mut world, message).unwrap();
    let published = world.now().as_millis();
    for cause in ["timeout", "503", "no such\ncustomer"] {
        world.advance(1_000);
        fail(&mut world, 4, cause);
    }
    let partition = topic::partition_of(b"order-7", 64);
    let target = topic::shard(Shards::new(1024).unwrap(), DEAD, partition);
    let (_, parcel) = on_the_way(&world.state, target, 0, 10).remove(0);
    assert_eq!(parcel.bodies[0].len(), 300);
    parcel.command.check().expect("a dead letter is taken");
    let letter = letter(&parcel.command);
    assert_eq!((letter.topic.as_str(), letter.partition), (DEAD, partition));
    assert_eq!(letter.letter.attributes.key.as_ref(), b"order-7");
    let said: Vec<_> = letter
        .letter
        .attributes
        .headers
        .iter()
        .map(|header| {
            (header.name.trim_start_matches(dead_letter::PREFIX), std::str::from_utf8(&header.value).unwrap())
        })
        .collect();
    let history = format!(
        "{} timeout\n{} 503\n{} no such customer",
        published + 1_000,
        published + 2_000,
        published + 3_000
    );
    assert_eq!(
        said,
        [
            ("tenant", "blue"),
            ("cause", "no such\ncustomer"),
            ("attempts", "3"),
            ("topic", TOPIC),
            ("partition", "3"),
            ("offset", "4"),
            ("group", GROUP),
            ("published", &published.to_string()),
            ("history", &history),
        ]
    );
    check(&world);
}

#[test]
fn a_dead_letter_in_the_same_shard_shares_its_payload() {
    let (shards, partition) = (1..64)
        .map(|shards| Shards::new(shards).unwrap())
        .find_map(|shards| (0..8).find(|at| topic::shard(shards, DEAD, *at) == SHARD).map(|at| (shards, at)))
        .expect("some partition lies in this shard");
    let mut world = world_with_dead_letters(shards.count(), 8);
    let key =
        (0..).map(|at| format!("key-{at}")).find(|key| topic::partition_of(key.as_bytes(), 8) == partition);
    publish(&mut world, NewMessage::new(0).with_key(key.unwrap())).unwrap();
    let payload = read::message(&world.state, TOPIC, PARTITION, 4).unwrap().body;
    assert_eq!(exhaust(&mut world, 4), Verdict::DeadLettered);
    assert_eq!(read::message(&world.state, DEAD, partition, 0).unwrap().body, payload);
    assert_eq!(lag(&world, GROUP), 4);
    check(&world);
    world.advance(8 * 24 * 60 * 60 * 1000);
    assert_eq!(table(&world.state, Table::Kept).len(), 0);
    check(&world);
}

#[test]
fn a_dead_letter_with_all_headers_that_there_can_be_is_taken() {
    let mut world = world_with_dead_letters(1024, 64);
    let large = (0..machine::limits::HEADERS_MAX).fold(NewMessage::new(0).with_key("k"), |message, at| {
        message.with_header(format!("{at:03}"), "x".repeat(253))
    });
    publish(&mut world, large).unwrap();
    for _ in 0..3 {
        fail(&mut world, 4, &"x".repeat(topic::CAUSE_BYTES_MAX));
    }
    let target = topic::shard(Shards::new(1024).unwrap(), DEAD, topic::partition_of(b"k", 64));
    let (_, parcel) = on_the_way(&world.state, target, 0, 10).remove(0);
    parcel.command.check().expect("a dead letter is taken");
    assert_eq!(letter(&parcel.command).letter.attributes.headers.len(), machine::limits::HEADERS_MAX + 8);
}

#[test]
fn a_dead_letter_is_taken_even_where_its_topic_has_no_such_partition() {
    let settings = Settings { partitions: Some(1), ..Settings::default() };
    let mut world = World::new();
    world.run(Entry::new(Define { topic: DEAD.into(), settings })).unwrap();
    let letter = Bury { topic: DEAD.into(), partition: 7, letter: NewMessage::new(0) };
    world.run(Entry::new(letter).with_body("x")).unwrap();
    assert_eq!(read::partition(&world.state, DEAD, 7).messages, 1);
}

#[test]
fn a_dead_letter_waits_while_the_way_to_its_shard_is_full() {
    let mut world = world_with_dead_letters(1024, 1);
    let target = topic::shard(Shards::new(1024).unwrap(), DEAD, 0);
    fill_way(&mut world.state, target, ON_THE_WAY_OF_BLOCKS_MAX);
    for _ in 0..4 {
        assert_eq!(fail(&mut world, 0, "no").verdict(), Verdict::Retry);
    }
    let resolved = resolve(&mut world, Which::All(true), Action::DeadLetter).unwrap();
    assert_eq!((resolved.count, resolved.more, asides(&world).len()), (0, true, 1));
    empty_way(&mut world.state, target);
    assert_eq!(fail(&mut world, 0, "no").verdict(), Verdict::DeadLettered);
    assert_eq!(lag(&world, GROUP), 3);
}

#[test]
fn what_waits_behind_a_parked_message_is_set_aside() {
    let mut world = world(GivenUp::Park);
    exhaust(&mut world, 0);
    assert_eq!(park(&mut world, &[1, 2, 2]), [Verdict::Retry, Verdict::Retry, Verdict::Done]);
    assert_eq!(acknowledge(&mut world, &[3..4]).unwrap().cursor, 4);
    let waits: Vec<_> = asides(&world).iter().map(|(offset, aside)| (*offset, aside.waits())).collect();
    assert_eq!(waits, [(0, Waits::Parked), (1, Waits::Turn), (2, Waits::Turn)]);
    check(&world);
}

#[test]
fn a_key_that_is_resolved_is_delivered_again_or_left_out() {
    for (action, left) in [(Action::Retry, 3), (Action::Skip, 0)] {
        let mut world = world(GivenUp::Park);
        exhaust(&mut world, 0);
        park(&mut world, &[1, 2]);
        acknowledge(&mut world, &[3..4]).unwrap();
        let resolved = resolve(&mut world, Which::Key("a".into()), action).unwrap();
        assert_eq!((resolved.count, resolved.more), (if left == 3 { 1 } else { 3 }, false));
        assert_eq!(asides(&world).len(), left);
        assert!(asides(&world).iter().all(|(_, aside)| aside.is_due(world.now()) && aside.attempts == 0));
        assert_eq!(resolve(&mut world, Which::Key("a".into()), action).unwrap().count, 0);
        check(&world);
    }
}

#[test]
fn one_message_is_resolved_alone() {
    let mut world = world(GivenUp::Park);
    exhaust(&mut world, 0);
    exhaust(&mut world, 2);
    assert_eq!(resolve(&mut world, Which::Offset(0), Action::Skip).unwrap().count, 1);
    assert_eq!(asides(&world).len(), 1);
    assert_eq!(resolve(&mut world, Which::Key("b".into()), Action::Skip).unwrap().count, 0);
    assert_eq!(resolve(&mut world, Which::All(true), Action::Skip).unwrap().count, 1);
    check(&world);
}

#[test]
fn much_is_resolved_in_bounded_steps() {
    let mut world = world(GivenUp::Park);
    publish_many(&mut world, "a", 596);
    let all: Vec<u64> = (0..600).collect();
    park(&mut world, &all);
    let mut steps = Vec::new();
    loop {
        let resolved = resolve(&mut world, Which::All(true), Action::Skip).unwrap();
        steps.push(resolved.count);
        if !resolved.more {
            break;
        }
    }
    assert_eq!((steps, asides(&world).len()), (vec![256, 256, 88], 0));
    check(&world);
}

#[test]
fn what_was_set_aside_becomes_dead_letters_if_there_is_a_place_for_them() {
    let mut world = world(GivenUp::Park);
    exhaust(&mut world, 0);
    let refusal = resolve(&mut world, Which::All(true), Action::DeadLetter).unwrap_err();
    assert_eq!(refusal.code(), Code::Conflict);
    let dead_letter = Some(DeadLetter::new(DEAD, 1, Shards::new(1024).unwrap()));
    let failing = Some(Failing { dead_letter, ..Failing::default() });
    let define = DefineGroup { topic: TOPIC.into(), group: GROUP.into(), failing };
    world.run(Entry::new(define)).unwrap();
    assert_eq!(resolve(&mut world, Which::All(true), Action::DeadLetter).unwrap().count, 1);
    let group = read::group(&world.state, TOPIC, PARTITION, GROUP).unwrap();
    assert_eq!((group.group.dead, group.lag), (1, 3));
    check(&world);
}

#[test]
fn no_more_is_set_aside_than_the_maximum() {
    let mut world = World::new();
    subscribe(&mut world, GROUP, Place::start());
    let most = topic::ASIDE_MAX as u64;
    let messages = vec![NewMessage::new(0).with_key("a"); 5_000];
    let batch = topic::PublishBatch { topic: TOPIC.into(), partition: PARTITION, messages };
    world.run(Entry::new(batch).with_body("small")).unwrap();
    let all: Vec<u64> = (0..most).collect();
    for offsets in all.chunks(topic::FAILED_MAX) {
        park(&mut world, offsets);
    }
    assert_eq!(park(&mut world, &[most]), [Verdict::Full]);
    assert_eq!(fail(&mut world, most, "no").verdict(), Verdict::Full);
    assert_eq!(fail(&mut world, 0, "no").verdict(), Verdict::Retry);
    acknowledge(&mut world, &[1..2]).unwrap();
    assert_eq!(fail(&mut world, most, "no").verdict(), Verdict::Retry);
    check(&world);
}

#[test]
fn what_was_acknowledged_or_is_gone_does_not_fail() {
    let mut world = world(GivenUp::Park);
    publish(&mut world, NewMessage::new(0).with_ttl(100)).unwrap();
    acknowledge(&mut world, &[1..2]).unwrap();
    world.sleep(100);
    assert_eq!(fail(&mut world, 1, "no").verdict(), Verdict::Done);
    assert_eq!(fail(&mut world, 4, "no").verdict(), Verdict::Done);
    let group = read::group(&world.state, TOPIC, PARTITION, GROUP).unwrap();
    assert_eq!((group.lag, group.group.missed), (3, 1));
    assert_eq!(world.run(Entry::new(failure(5, "no"))).unwrap_err().code(), Code::Invalid);
    check(&world);
}

#[test]
fn a_group_that_seeks_begins_anew() {
    let mut world = world(GivenUp::Park);
    let before = read::group(&world.state, TOPIC, PARTITION, GROUP).unwrap().group.epoch;
    exhaust(&mut world, 0);
    acknowledge(&mut world, &[1..2, 3..4]).unwrap();
    let position = seek(&mut world, Place::offset(1));
    assert_eq!(position.cursor, 1);
    assert_ne!(position.epoch, before);
    assert_eq!((lag(&world, GROUP), asides(&world).len()), (3, 0));
    let late = topic::Acknowledge { epoch: Some(before), ..crate::shop::acknowledgement(&[1..2]) };
    assert_eq!(world.run(Entry::new(late)).unwrap_err().code(), Code::Fenced);
    check(&world);
}

#[test]
fn a_group_that_is_taken_away_leaves_nothing() {
    let mut world = world(GivenUp::Park);
    exhaust(&mut world, 0);
    for _ in 0..2 {
        let unsubscribe = Unsubscribe { topic: TOPIC.into(), partition: PARTITION, group: GROUP.into() };
        world.run(Entry::new(unsubscribe)).unwrap();
        assert_eq!(table(&world.state, Table::TopicGroup).len(), 0);
        assert_eq!(table(&world.state, Table::TopicAside).len(), 0);
    }
    check(&world);
}

#[test]
fn what_holds_for_a_group_goes_before_what_holds_for_its_topic() {
    let mut world = world(GivenUp::Skip);
    let define = |failing| DefineGroup { topic: TOPIC.into(), group: GROUP.into(), failing };
    let own = Failing { attempts_max: Some(1), given_up: GivenUp::Block.into(), ..Failing::default() };
    world.run(Entry::new(define(Some(own)))).unwrap();
    assert_eq!(fail(&mut world, 0, "no").verdict(), Verdict::Blocked);
    world.run(Entry::new(define(None))).unwrap();
    assert_eq!(exhaust(&mut world, 1), Verdict::Skipped);
}

#[test]
fn what_cannot_hold_is_not_set() {
    let refused = |failing: Failing, said: &str| {
        let settings = Settings { failing: Some(failing), ..Settings::default() };
        let refusal = World::new().run(Entry::new(Define { topic: TOPIC.into(), settings })).unwrap_err();
        assert_eq!(refusal.code(), Code::Invalid);
        assert!(refusal.message.contains(said), "{refusal}");
    };
    let dead_letter = |topic: &str, partitions, shards| Failing {
        dead_letter: Some(DeadLetter { topic: topic.into(), partitions, shards }),
        ..Failing::default()
    };
    refused(Failing { given_up: GivenUp::DeadLetter.into(), ..Failing::default() }, "need a topic");
    refused(Failing { given_up: 99, ..Failing::default() }, "none of what is known");
    refused(dead_letter(TOPIC, 1, 1), "another topic");
    refused(dead_letter(DEAD, 0, 1), "1 to 1024");
    refused(dead_letter(DEAD, 1, 0), "1 to 1024");
    refused(dead_letter("", 1, 1), "empty");
}

fn letter(command: &machine::Command) -> &Bury {
    match &command.kind {
        Some(command::Kind::Topic(topic::Command { kind: Some(topic::Kind::Bury(bury)) })) => bury,
        other => panic!("{other:?} instead of a message"),
    }
}
