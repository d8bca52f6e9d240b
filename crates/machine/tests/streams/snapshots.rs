//! Snapshots of streams.

use machine::stream::{self, SaveSnapshot, Settings};
use machine::{Code, Entry, Order, Table};

use super::{STORE, append, check, delete, refused, run, world};
use crate::world::{World, table};

fn save(version: u64) -> Entry {
    let save = SaveSnapshot { store: STORE.to_owned(), stream: "a".to_owned(), version, payload: 0 };
    Entry::new(save).with_body(vec![version as u8; 300])
}

fn at_version_five(settings: Settings) -> World {
    let mut world = world(settings);
    run(&mut world, append("a", None, &["e-1", "e-2", "e-3", "e-4", "e-5"])).expect("it is appended");
    world
}

fn latest(world: &World, version: u64) -> Option<u64> {
    stream::latest_snapshot(&world.state, STORE, "a", version).map(|snapshot| snapshot.version)
}

#[test]
fn a_stream_is_read_from_its_snapshot_on() {
    let mut world = at_version_five(Settings::default());
    assert_eq!(latest(&world, u64::MAX), None);
    assert_eq!(run(&mut world, save(3)).expect("it is saved").version, 3);
    let snapshot = stream::latest_snapshot(&world.state, STORE, "a", u64::MAX).expect("it is there");
    assert_eq!((snapshot.version, snapshot.payload.len()), (3, 300));
    let from = snapshot.version + 1;
    let rest = stream::read(&world.state, STORE, "a", from, Order::Forwards, &Default::default(), 10);
    assert_eq!(rest.expect("it is there").events.iter().map(|at| at.version).collect::<Vec<_>>(), [4, 5]);
    check(&world);
}

#[test]
fn the_latest_are_kept() {
    let mut world = at_version_five(Settings { snapshots: 2, ..Settings::default() });
    for version in [1, 2, 4] {
        run(&mut world, save(version)).expect("it is saved");
    }
    assert_eq!((latest(&world, 1), latest(&world, 3), latest(&world, 9)), (None, Some(2), Some(4)));
    run(&mut world, save(3)).expect("it is among the latest two");
    assert_eq!((latest(&world, 2), latest(&world, 3)), (None, Some(3)));
    assert_eq!(refused(&mut world, save(1)).0, Code::Conflict);
    run(&mut world, save(4)).expect("it is replaced");
    assert_eq!(table(&world.state, Table::StreamSnapshot).len(), 2);
    check(&world);
}

#[test]
fn one_is_kept_where_nothing_is_said() {
    let mut world = at_version_five(Settings::default());
    for version in [1, 5, 5] {
        run(&mut world, save(version)).expect("it is saved");
    }
    assert_eq!(refused(&mut world, save(4)).0, Code::Conflict);
    assert_eq!(table(&world.state, Table::StreamSnapshot).len(), 1);
    check(&world);
}

#[test]
fn a_snapshot_of_what_is_not_there_is_refused() {
    let mut world = world(Settings::default());
    assert_eq!(refused(&mut world, save(1)).0, Code::NotFound);
    run(&mut world, append("a", None, &["e-1"])).expect("it is appended");
    assert_eq!(refused(&mut world, save(2)).0, Code::Conflict);
    assert_eq!(refused(&mut world, save(0)).0, Code::Invalid);
    run(&mut world, save(1)).expect("it is saved");
    run(&mut world, delete("a", None, false)).expect("it is deleted");
    assert_eq!(latest(&world, u64::MAX), None, "it goes with its stream");
    check(&world);
}
