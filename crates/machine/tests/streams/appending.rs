//! What an append does, and when it is refused.

use machine::effect::Channel;
use machine::outbox::Send;
use machine::stream::{
    self, Append, EVENT_ID_BYTES_MAX, EVENTS_APPENDED_MAX, Expected, NewEvent, Settings, Spread,
};
use machine::{Code, Effect, Entry, Shards};

use super::world::SHARD;
use super::{STORE, all_ids, append, check, delete, find, ids, refused, run, spread, version, world};

const NO_STREAM: Option<Expected> = Some(Expected::NoStream(()));
const STREAM_EXISTS: Option<Expected> = Some(Expected::StreamExists(()));

#[test]
fn events_get_the_versions_and_positions_that_follow() {
    let mut world = world(Settings::default());
    let first = run(&mut world, append("a", None, &["made", "paid"])).expect("it is appended");
    assert_eq!((first.version, first.position), (2, 2));
    assert_eq!(world.effects, [Effect::Wake(Channel::stream(STORE))]);
    let other = run(&mut world, append("b", None, &["made-b"])).expect("it is appended");
    assert_eq!((other.version, other.position), (1, 3));
    let last = run(&mut world, append("a", version(2), &["sent"])).expect("it is appended");
    assert_eq!((last.version, last.position), (3, 4));
    assert_eq!(ids(&world, "a"), ["made", "paid", "sent"]);
    assert_eq!(all_ids(&world), ["made", "paid", "made-b", "sent"]);
    check(&world);
}

#[test]
fn of_two_that_decided_on_the_same_version_one_is_refused() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", version(0), &["made"])).expect("it is appended");
    run(&mut world, append("a", version(1), &["paid"])).expect("the first is right");
    let (code, message) = refused(&mut world, append("a", version(1), &["cancelled"]));
    assert_eq!(
        (code, message.as_str()),
        (Code::Conflict, "the stream \"a\" is at version 2; version 1 was expected")
    );
    assert_eq!(ids(&world, "a"), ["made", "paid"]);
}

#[test]
fn a_version_that_is_still_to_come_is_refused() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made"])).expect("it is appended");
    assert_eq!(refused(&mut world, append("a", version(7), &["paid"])).0, Code::Conflict);
}

#[test]
fn a_stream_may_have_to_be_there_or_not() {
    let mut world = world(Settings::default());
    let (code, message) = refused(&mut world, append("a", STREAM_EXISTS, &["paid"]));
    assert_eq!(
        (code, message.as_str()),
        (Code::Conflict, "the stream \"a\" does not exist; a stream was expected")
    );
    run(&mut world, append("a", NO_STREAM, &["made"])).expect("there is none");
    assert_eq!(refused(&mut world, append("a", NO_STREAM, &["made-again"])).0, Code::Conflict);
    run(&mut world, append("a", STREAM_EXISTS, &["paid"])).expect("there is one");
    assert_eq!(ids(&world, "a"), ["made", "paid"]);
}

#[test]
fn what_is_appended_again_is_answered_as_before() {
    let mut world = world(Settings::default());
    let made = run(&mut world, append("a", NO_STREAM, &["made", "paid"])).expect("it is appended");
    let sent = run(&mut world, append("a", version(2), &["sent"])).expect("it is appended");
    run(&mut world, append("b", None, &["other"])).expect("it is appended");
    assert_eq!(run(&mut world, append("a", NO_STREAM, &["made", "paid"])), Ok(made));
    assert_eq!(world.effects, []);
    assert_eq!(run(&mut world, append("a", version(0), &["made", "paid"])), Ok(made));
    assert_eq!(run(&mut world, append("a", version(2), &["sent"])), Ok(sent));
    assert_eq!(ids(&world, "a"), ["made", "paid", "sent"]);
    check(&world);
}

#[test]
fn what_is_the_same_in_part_only_is_a_conflict() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", version(0), &["made", "paid"])).expect("it is appended");
    for ids in [&["made", "sent"][..], &["paid"], &["made", "paid", "sent"]] {
        assert_eq!(refused(&mut world, append("a", version(0), ids)).0, Code::Conflict, "{ids:?}");
    }
    // Without an id there is nothing to be known by.
    run(&mut world, append("b", version(0), &[""])).expect_err("an event has a type");
    let mut nameless = append("b", version(0), &["made"]);
    let Some(machine::command::Kind::Stream(command)) = &mut nameless.command.kind else {
        panic!("a stream's")
    };
    let Some(stream::Kind::Append(made)) = &mut command.kind else { panic!("an append") };
    made.events[0].id.clear();
    run(&mut world, nameless.clone()).expect("it is appended");
    assert_eq!(refused(&mut world, nameless).0, Code::Conflict);
}

#[test]
fn an_append_without_a_version_is_not_known_again() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made"])).expect("it is appended");
    run(&mut world, append("a", None, &["made"])).expect("it is appended again");
    assert_eq!(ids(&world, "a"), ["made", "made"]);
}

#[test]
fn a_deleted_stream_begins_anew_where_its_versions_were() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made", "paid"])).expect("it is appended");
    run(&mut world, delete("a", version(2), false)).expect("it is deleted");
    assert_eq!(refused(&mut world, append("a", STREAM_EXISTS, &["sent"])).0, Code::Conflict);
    let anew = run(&mut world, append("a", NO_STREAM, &["made-2"])).expect("there is none");
    assert_eq!(anew.version, 3);
    assert_eq!(run(&mut world, append("a", NO_STREAM, &["made-2"])), Ok(anew));
    assert_eq!(ids(&world, "a"), ["made-2"]);
    assert_eq!(find(&world, "a").first(), 3);
    check(&world);
}

#[test]
fn metadata_is_kept_beside_the_payload() {
    let mut world = world(Settings::default());
    let event = NewEvent { id: "1".into(), r#type: "made".to_owned(), payload: 0, metadata: Some(1) };
    let twice = NewEvent { metadata: Some(0), ..event.clone() };
    let command = Append {
        store: STORE.to_owned(),
        stream: "a".to_owned(),
        expected: None,
        events: vec![event, twice],
    };
    let entry = Entry::new(command).with_body(vec![1; 500]).with_body(vec![2; 600]);
    run(&mut world, entry).expect("it is appended");
    let events = stream::read(&world.state, STORE, "a", 0, machine::Order::Forwards, &Default::default(), 10);
    let events = events.expect("the stream is there").events;
    assert_eq!(events[0].event.metadata.as_ref().map(machine::Stored::len), Some(600));
    assert_eq!(events[1].event.metadata, Some(events[0].event.payload.clone()));
    check(&world);
    run(&mut world, delete("a", None, false)).expect("it is deleted");
    check(&world);
}

#[test]
fn what_is_sent_with_an_append_is_appended_with_it() {
    let mut world = world(Settings::default());
    let mut entry = append("a", None, &["made"]);
    for target in [SHARD.0, 9] {
        let command = Box::new(append("b", None, &["made-b"]).command);
        entry.sends.push(Send { target, command, bodies: vec![0] });
    }
    let first = run(&mut world, entry.clone()).expect("it is appended");
    assert_eq!((first.position, all_ids(&world)), (1, vec!["made".to_owned(), "made-b".to_owned()]));
    check(&world);
    // An append that is refused sends nothing.
    entry.command = append("a", version(0), &["paid"]).command;
    assert_eq!(refused(&mut world, entry).0, Code::Conflict);
    run(&mut world, delete("a", None, false)).expect("it is deleted");
    assert_eq!(all_ids(&world), ["made-b"]);
    check(&world);
}

#[test]
fn what_is_malformed_does_not_get_into_the_log() {
    let mut world = world(Settings::default());
    let many: Vec<String> = (0..=EVENTS_APPENDED_MAX).map(|at| format!("e-{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = "i".repeat(EVENT_ID_BYTES_MAX + 1);
    let sequence = world.sequence();
    for entry in [
        append("", None, &["made"]),
        append("a\0b", None, &["made"]),
        append("a", None, &[]),
        append("a", None, &many),
        append("a", None, &[""]),
        append("a", None, &[&long]),
    ] {
        assert_eq!(refused(&mut world, entry).0, Code::Invalid);
    }
    assert_eq!(world.sequence(), sequence);
    run(&mut world, append("a", None, &many[1..])).expect("as many are allowed");
    check(&world);
}

#[test]
fn a_payload_that_did_not_come_is_refused() {
    let mut world = world(Settings::default());
    let mut entry = append("a", None, &["made", "paid"]);
    entry.bodies.pop();
    assert_eq!(refused(&mut world, entry).0, Code::Invalid);
}

#[test]
fn a_store_must_be_defined_and_where_it_lies_is_settled() {
    let mut world = super::world::World::new();
    let (code, message) = refused(&mut world, append("a", None, &["made"]));
    assert_eq!(
        (code, message.as_str()),
        (Code::NotFound, "there is no store \"orders\" of streams: define it")
    );
    let define = |settings| Entry::new(stream::Define { store: STORE.to_owned(), settings });
    run(&mut world, define(spread(Spread::Together))).expect("it is defined");
    run(&mut world, append("a", None, &["made"])).expect("it is appended");
    assert_eq!(refused(&mut world, define(spread(Spread::ByStream))).0, Code::Conflict);
    let more = Settings { snapshots: 3, ..spread(Spread::Together) };
    assert_eq!(run(&mut world, define(more)).expect("settings may change").position, 1);
    assert_eq!(stream::settings(&world.state, STORE), Some(more));
    assert_eq!(refused(&mut world, define(Settings { snapshots: 17, ..more })).0, Code::Invalid);
    assert_eq!(refused(&mut world, define(Settings { spread: 9, ..more })).0, Code::Invalid);
}

#[test]
fn placement_never_changes() {
    let shards = Shards::new(16).expect("16 is allowed");
    let by_stream: Vec<u32> =
        (0..6).map(|n| stream::shard(shards, STORE, Spread::ByStream, &format!("order-{n}")).0).collect();
    assert_eq!(by_stream, PLACED, "events that are stored would be looked for elsewhere");
    for n in 0..6 {
        let shard = stream::shard(shards, STORE, Spread::Together, &format!("order-{n}"));
        assert_eq!(shard, stream::home(shards, STORE));
    }
    assert_eq!(stream::home(shards, STORE).0, HOME);
}

const PLACED: [u32; 6] = [8, 2, 6, 1, 9, 13];
const HOME: u32 = 11;
