//! Truncation by version, count and age, deletion, and that what is removed goes a few at a time.

use bytes::Bytes;
use machine::limits::TIMERS_MAX;
use machine::stream::{Describe, EVENTS_TRIMMED_MAX, Expected, Settings};
use machine::{Code, Entry, Key, State, Table, stream, timer};

use super::{STORE, all_ids, append, check, delete, find, ids, refused, run, truncate, version, world};
use crate::world::{World, table};

const MINUTE: u64 = 60_000;

fn describe(stream: &str, count_max: Option<u64>, age_ms_max: Option<u64>) -> Entry {
    Entry::new(Describe {
        store: STORE.to_owned(),
        stream: stream.to_owned(),
        count_max,
        age_ms_max,
        metadata: None,
    })
}

fn append_many(world: &mut World, stream: &str, count: usize) {
    let ids: Vec<String> = (0..count).map(|n| format!("e-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for ids in ids.chunks(100) {
        run(world, append(stream, None, ids)).expect("it is appended");
    }
}

fn stored(world: &World) -> usize {
    table(&world.state, Table::StreamEvent).len()
}

#[test]
fn what_lies_before_a_version_is_removed() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made", "paid", "sent"])).expect("it is appended");
    assert_eq!(run(&mut world, truncate("a", 3)).expect("it is truncated").version, 3);
    assert_eq!((ids(&world, "a"), all_ids(&world)), (vec!["sent".to_owned()], vec!["sent".to_owned()]));
    run(&mut world, truncate("a", 1)).expect("what is removed stays so");
    assert_eq!(ids(&world, "a"), ["sent"]);
    assert_eq!(refused(&mut world, truncate("a", 5)).0, Code::Conflict);
    assert_eq!(refused(&mut world, truncate("b", 1)).0, Code::NotFound);
    run(&mut world, truncate("a", 4)).expect("all of it");
    assert_eq!((ids(&world, "a").len(), find(&world, "a").exists()), (0, true));
    run(&mut world, append("a", version(3), &["closed"])).expect("it goes on");
    assert_eq!(ids(&world, "a"), ["closed"]);
    check(&world);
}

#[test]
fn what_was_truncated_is_not_known_again() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", version(0), &["made", "paid"])).expect("it is appended");
    run(&mut world, truncate("a", 2)).expect("it is truncated");
    assert_eq!(refused(&mut world, append("a", version(0), &["made", "paid"])).0, Code::Conflict);
    // Nor while it has yet to be taken out.
    append_many(&mut world, "b", 100);
    run(&mut world, truncate("b", 100)).expect("it is truncated");
    assert_eq!(refused(&mut world, append("b", version(98), &["e-98", "e-99"])).0, Code::Conflict);
    assert_eq!(run(&mut world, append("b", version(99), &["e-99"])).map(|reply| reply.version), Ok(100));
}

#[test]
fn many_events_go_a_few_at_a_time() {
    let mut world = world(Settings::default());
    append_many(&mut world, "a", 200);
    append_many(&mut world, "b", 1);
    run(&mut world, delete("a", None, false)).expect("it is deleted");
    assert_eq!(ids(&world, "a").len(), 0, "readers of the stream see nothing of it");
    assert_eq!(stored(&world), 201 - EVENTS_TRIMMED_MAX as usize);
    // It may be begun anew meanwhile.
    run(&mut world, append("a", Some(Expected::NoStream(())), &["anew"])).expect("there is none");
    check(&world);
    world.advance(1);
    assert_eq!((stored(&world), timer::next(&world.state)), (2, None));
    assert_eq!((ids(&world, "a"), find(&world, "a").version), (vec!["anew".to_owned()], 201));
    check(&world);
}

#[test]
fn the_latest_events_are_kept_where_a_store_says_how_many() {
    let mut world = world(Settings { count_max: 3, ..Settings::default() });
    for n in 1..=5 {
        run(&mut world, append("a", version(n - 1), &[&format!("e-{n}")])).expect("it is appended");
    }
    assert_eq!(ids(&world, "a"), ["e-3", "e-4", "e-5"]);
    run(&mut world, append("a", version(5), &["e-6", "e-7", "e-8", "e-9"])).expect("more than are kept");
    assert_eq!(
        (ids(&world, "a"), stored(&world)),
        (vec!["e-7".to_owned(), "e-8".to_owned(), "e-9".to_owned()], 3)
    );
    assert_eq!(timer::next(&world.state), None);
    append_many(&mut world, "b", 100);
    assert_eq!(ids(&world, "b").len(), 3);
    world.advance(1);
    assert_eq!((stored(&world), timer::next(&world.state)), (6, None));
    check(&world);
}

#[test]
fn events_that_are_too_old_go() {
    let mut world = world(Settings { age_ms_max: 10 * MINUTE, ..Settings::default() });
    run(&mut world, append("a", None, &["e-1"])).expect("it is appended");
    world.advance(4 * MINUTE);
    run(&mut world, append("a", None, &["e-2", "e-3"])).expect("it is appended");
    world.advance(6 * MINUTE - 1);
    assert_eq!(ids(&world, "a").len(), 3, "not before their time");
    world.advance(1);
    assert_eq!(ids(&world, "a"), ["e-2", "e-3"]);
    world.advance(4 * MINUTE);
    assert_eq!((ids(&world, "a").len(), stored(&world), timer::next(&world.state)), (0, 0, None));
    run(&mut world, append("a", version(3), &["e-4"])).expect("it goes on");
    world.advance(10 * MINUTE);
    assert_eq!((find(&world, "a").first(), stored(&world)), (5, 0));
    check(&world);
}

#[test]
fn a_maximum_that_is_set_later_takes_hold_at_the_next_append() {
    let mut world = world(Settings::default());
    append_many(&mut world, "a", 100);
    world.advance(5 * MINUTE);
    let settings = Settings { age_ms_max: MINUTE, ..Settings::default() };
    run(&mut world, Entry::new(stream::Define { store: STORE.to_owned(), settings })).expect("it is changed");
    world.advance(5 * MINUTE);
    assert_eq!(stored(&world), 100);
    run(&mut world, append("a", version(100), &["last"])).expect("it is appended");
    world.advance(1);
    assert_eq!((ids(&world, "a"), stored(&world)), (vec!["last".to_owned()], 1));
    // A shorter one is looked at at once, too; and none lets what is left stay.
    run(&mut world, describe("a", None, Some(1_000))).expect("it is described");
    world.advance(999);
    assert_eq!(stored(&world), 0);
    run(&mut world, append("a", None, &["kept"])).expect("it is appended");
    run(&mut world, describe("a", None, Some(0))).expect("it is described");
    world.advance(10 * MINUTE);
    assert_eq!((ids(&world, "a"), timer::next(&world.state)), (vec!["kept".to_owned()], None));
    check(&world);
}

#[test]
fn a_stream_may_have_settings_and_metadata_of_its_own() {
    let mut world = world(Settings { count_max: 1, ..Settings::default() });
    let own = Describe {
        store: STORE.to_owned(),
        stream: "a".to_owned(),
        count_max: Some(2),
        age_ms_max: None,
        metadata: Some(0),
    };
    run(&mut world, Entry::new(own.clone()).with_body(vec![7; 300])).expect("it need not be there");
    assert!(!find(&world, "a").exists());
    run(&mut world, append("a", Some(Expected::NoStream(())), &["e-1", "e-2", "e-3"]))
        .expect("there is none");
    assert_eq!(ids(&world, "a"), ["e-2", "e-3"]);
    let said = stream::description(&world.state, STORE, "a").expect("it is described");
    assert_eq!(said.metadata.len(), 300);
    assert_eq!(refused(&mut world, Entry::new(own)).0, Code::Invalid);
    run(&mut world, describe("a", None, None)).expect("it is described");
    assert_eq!(
        (ids(&world, "a"), stream::description(&world.state, STORE, "a")),
        (vec!["e-3".to_owned()], None)
    );
    check(&world);
}

#[test]
fn a_deletion_takes_all_but_the_version() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made", "paid"])).expect("it is appended");
    let said = Describe {
        store: STORE.to_owned(),
        stream: "a".to_owned(),
        count_max: Some(9),
        age_ms_max: None,
        metadata: Some(0),
    };
    run(&mut world, Entry::new(said).with_body(vec![7; 300])).expect("it is described");
    assert_eq!(refused(&mut world, delete("a", version(1), false)).0, Code::Conflict);
    assert_eq!(run(&mut world, delete("a", version(2), false)).expect("it is deleted").version, 2);
    assert_eq!((stream::description(&world.state, STORE, "a"), find(&world, "a").count_max), (None, None));
    assert_eq!(refused(&mut world, delete("a", None, false)).0, Code::NotFound);
    assert_eq!(refused(&mut world, delete("b", None, false)).0, Code::NotFound);
    check(&world);
}

#[test]
fn a_tombstone_is_for_ever() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made"])).expect("it is appended");
    run(&mut world, delete("a", None, false)).expect("it is deleted");
    run(&mut world, delete("a", None, true)).expect("it may still be deleted for ever");
    for entry in [
        append("a", None, &["made"]),
        append("a", version(0), &["made"]),
        append("a", Some(Expected::NoStream(())), &["made"]),
        delete("a", None, true),
        truncate("a", 1),
        describe("a", None, None),
    ] {
        let (code, message) = refused(&mut world, entry);
        assert_eq!(
            (code, message.as_str()),
            (Code::NotFound, "the stream \"a\" was deleted for ever at version 1")
        );
    }
    check(&world);
}

#[test]
fn a_full_shard_refuses_what_would_need_a_timer() {
    let mut world = world(Settings { age_ms_max: MINUTE, ..Settings::default() });
    let count = Bytes::copy_from_slice(&TIMERS_MAX.to_be_bytes());
    world.state.put(Key::new(Table::Shard).name("timers"), count);
    assert_eq!(refused(&mut world, append("a", None, &["made"])).0, Code::Limit);
}
