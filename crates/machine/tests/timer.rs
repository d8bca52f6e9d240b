//! Stories of timers, told with items that expire.

mod world;

use machine::kv::{self, Delete, Put};
use machine::limits::{TIMERS_FIRED_MAX, TIMERS_MAX};
use machine::timer::{self, Fire};
use machine::{Code, Entry, Key, Read, State, Table, Time};
use proptest::prelude::*;
use world::{BEGIN, World, table};

#[test]
fn the_first_that_is_due_is_the_next() {
    let mut world = World::new();
    assert_eq!(timer::next(&world.state), None);
    for ttl_ms in [30, 10, 20] {
        world.run(put(ttl_ms, ttl_ms)).unwrap();
    }
    assert_eq!(timer::next(&world.state), Some(BEGIN.after(10)));
    world.advance(10);
    assert_eq!(timer::next(&world.state), Some(BEGIN.after(20)));
}

#[test]
fn nothing_fires_early() {
    let mut world = World::new();
    world.run(put(0, 10)).unwrap();
    world.sleep(9);
    world.run(Entry::new(Fire {})).unwrap();
    assert_eq!(count(&world), 1);
    world.sleep(1);
    world.run(Entry::new(Fire {})).unwrap();
    assert_eq!(count(&world), 0);
}

#[test]
fn no_entry_fires_more_than_it_may() {
    let mut world = World::new();
    let many = TIMERS_FIRED_MAX as u64 + 5;
    for key in 0..many {
        world.run(put(key, 10)).unwrap();
    }
    world.sleep(10);
    world.run(Entry::new(Fire {})).unwrap();
    assert_eq!(count(&world), 5);
    world.advance(0);
    assert_eq!(count(&world), 0);
    assert!(table(&world.state, Table::KvItem).is_empty());
}

#[test]
fn firing_when_nothing_is_due_changes_nothing() {
    let mut world = World::new();
    world.run(put(0, 10)).unwrap();
    let before = world.state.clone();
    world.run(Entry::new(Fire {})).unwrap();
    assert!(world.state == before);
}

#[test]
fn a_shard_has_a_maximum_of_timers() {
    let mut world = World::new();
    let full = TIMERS_MAX.to_be_bytes().to_vec();
    world.state.put(Key::new(Table::Shard).name("timers"), full.into());
    assert_eq!(world.run(put(0, 10)).unwrap_err().code(), Code::Limit);
    world.run(put(0, 0)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is set, moved and taken back: the count is that of the timers there are, each is that of
    /// an item, and with the last item the last timer is gone.
    #[test]
    fn timers_are_counted_and_none_is_left_over(
        steps in prop::collection::vec((0..6u64, 0..50u64, 0..10u64, any::<bool>()), 1..60)
    ) {
        let mut world = World::new();
        for (key, ttl_ms, wait, put_or_delete) in steps {
            if put_or_delete {
                world.run(put(key, ttl_ms)).unwrap();
            } else {
                world.run(delete(key)).unwrap();
            }
            world.advance(wait);
            prop_assert_eq!(count(&world), table(&world.state, Table::Timer).len() as u64);
            prop_assert!(timer::next(&world.state).is_none_or(|next| next > world.now()));
            for (key, _) in table(&world.state, Table::Timer) {
                prop_assert!(world.state.get(&key[10..]).is_some(), "a timer of nothing: {key:?}");
            }
        }
        for key in 0..6 {
            world.run(delete(key)).unwrap();
        }
        prop_assert_eq!(count(&world), 0);
        world.check(|_| Vec::new());
    }

    /// An item is there until its time and gone from then on, whenever the timer fires.
    #[test]
    fn an_item_lives_exactly_as_long_as_it_was_put_for(lives in prop::collection::vec(1..100u64, 1..20)) {
        let mut world = World::new();
        for (key, ttl_ms) in lives.iter().enumerate() {
            world.run(put(key as u64, *ttl_ms)).unwrap();
        }
        for elapsed in 0..=100 {
            for (key, ttl_ms) in lives.iter().enumerate() {
                let there = kv::get(&world.state, "shop", "", &key.to_be_bytes(), world.now()).is_some();
                prop_assert_eq!(there, elapsed < *ttl_ms);
            }
            if elapsed % 3 == 0 { world.advance(1) } else { world.sleep(1) }
        }
    }
}

fn put(key: u64, ttl_ms: u64) -> Entry {
    let key = key.to_be_bytes().to_vec().into();
    Entry::new(Put { store: "shop".into(), key, ttl_ms, ..Put::default() }).with_body("v")
}

fn delete(key: u64) -> Entry {
    let key = key.to_be_bytes().to_vec().into();
    Entry::new(Delete { store: "shop".into(), key, ..Delete::default() })
}

/// How many timers the shard believes to have.
fn count(world: &World) -> u64 {
    let count = world.state.get(Key::new(Table::Shard).name("timers").as_bytes());
    count.map_or(0, |count| u64::from_be_bytes(count.as_ref().try_into().unwrap()))
}

#[test]
fn time_does_not_overflow() {
    let mut world = World::new();
    world.run(put(0, u64::MAX)).unwrap();
    assert_eq!(timer::next(&world.state), Some(Time::MAX));
    world.advance(1000);
    assert_eq!(count(&world), 1);
}
