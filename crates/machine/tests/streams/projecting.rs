//! Projections: what they write is written once.

use machine::kv::{self, Put};
use machine::stream::{self, Filter, Mark, Project, Rewind, Settings, Step};
use machine::{Code, Entry, Order, Refusal};

use super::{STORE, append, check, refused, run, world};
use crate::world::World;

const SHARD: u32 = 3;

fn put(key: &str, etag: Option<u64>) -> kv::Command {
    let put =
        Put { store: "views".to_owned(), key: key.to_owned().into(), value: 0, etag, ..Default::default() };
    kv::Command { kind: Some(kv::Kind::Put(put)) }
}

fn project(expected: u64, position: u64, output: kv::Command) -> Entry {
    let project = Project {
        projection: "totals".to_owned(),
        store: STORE.to_owned(),
        shard: SHARD,
        expected,
        position,
        output: Some(output),
        more: Vec::new(),
    };
    Entry::new(project).with_body(format!("{position} events, {}", "x".repeat(200)))
}

fn position(world: &World) -> u64 {
    stream::checkpoint(&world.state, "totals", STORE, SHARD).map_or(0, |checkpoint| checkpoint.position)
}

fn value(world: &World) -> Option<usize> {
    kv::get(&world.state, "views", "", b"total", world.now()).map(|item| item.value.len())
}

#[test]
fn a_checkpoint_and_what_came_of_it_are_one() {
    let mut world = world(Settings::default());
    run(&mut world, append("a", None, &["made", "paid"])).expect("it is appended");
    let all =
        stream::read_all(&world.state, STORE, position(&world) + 1, Order::Forwards, &Filter::default(), 10);
    let entry = project(0, all.next - 1, put("total", None));
    assert_eq!(run(&mut world, entry.clone()).expect("it is moved on").position, 2);
    assert_eq!((position(&world), value(&world)), (2, Some(210)));
    // Whoever got no answer does it again, and learns that it is done.
    let (code, message) = refused(&mut world, entry);
    assert_eq!(code, Code::Conflict);
    assert_eq!(message, "the projection \"totals\" has read shard 3 of \"orders\" up to position 2, not 0");
    check(&world);
}

#[test]
fn of_two_that_run_the_same_projection_one_is_refused() {
    let mut world = world(Settings::default());
    run(&mut world, project(0, 4, put("total", None))).expect("the first moves on");
    assert_eq!(refused(&mut world, project(0, 7, put("total", None))).0, Code::Conflict);
    run(&mut world, project(4, 7, put("total", None))).expect("it goes on from there");
    assert_eq!(position(&world), 7);
}

#[test]
fn a_refused_output_moves_nothing() {
    let mut world = world(Settings::default());
    assert_eq!(refused(&mut world, project(0, 4, put("total", Some(99)))).0, Code::Conflict);
    assert_eq!((position(&world), value(&world)), (0, None));
    let bulk = kv::Command { kind: Some(kv::Kind::Bulk(kv::Bulk::default())) };
    assert_eq!(refused(&mut world, project(0, 4, bulk)).0, Code::Invalid);
    assert_eq!(refused(&mut world, project(4, 4, put("total", None))).0, Code::Invalid);
}

#[test]
fn a_projection_is_set_back_under_who_runs_it() {
    let mut world = world(Settings::default());
    run(&mut world, project(0, 9, put("total", None))).expect("it moves on");
    let rewind = |position| {
        Entry::new(Rewind {
            projection: "totals".to_owned(),
            store: STORE.to_owned(),
            shard: SHARD,
            position,
            more: Vec::new(),
        })
    };
    let known = |world: &World| {
        let found = stream::checkpoints(&world.state, 10).into_iter();
        found.map(|(name, store, shard, at)| (name, store, shard, at.position)).collect::<Vec<_>>()
    };
    assert_eq!(known(&world), [("totals".to_owned(), STORE.to_owned(), SHARD, 9)]);
    run(&mut world, rewind(5)).expect("it is set back");
    assert_eq!(refused(&mut world, project(9, 12, put("total", None))).0, Code::Conflict);
    run(&mut world, rewind(0)).expect("it is set back");
    assert_eq!(stream::checkpoint(&world.state, "totals", STORE, SHARD), None);
    assert_eq!(known(&world), []);
    run(&mut world, project(0, 3, put("total", None))).expect("it begins anew");
    check(&world);
}

/// It moves on, or is set, in three shards.
fn in_several(world: &mut World, from: [u64; 3], to: [u64; 3]) -> Result<stream::Reply, Refusal> {
    let step = |shard: usize| Step { shard: shard as u32, expected: from[shard], position: to[shard] };
    let project = Project {
        projection: "totals".to_owned(),
        store: STORE.to_owned(),
        shard: 0,
        expected: from[0],
        position: to[0],
        output: Some(put("total", None)),
        more: vec![step(1), step(2)],
    };
    run(world, Entry::new(project).with_body("x"))
}

#[test]
fn a_projection_moves_on_in_several_shards_or_in_none() {
    let mut world = world(Settings::default());
    let positions = |world: &World| {
        [0, 1, 2].map(|shard| stream::checkpoint(&world.state, "totals", STORE, shard).map(|is| is.position))
    };
    in_several(&mut world, [0, 0, 0], [4, 1, 9]).expect("it moves on");
    assert_eq!(positions(&world), [Some(4), Some(1), Some(9)]);
    let refusal = in_several(&mut world, [4, 0, 9], [5, 2, 10]).expect_err("it is elsewhere");
    assert_eq!(refusal.code(), Code::Conflict);
    assert_eq!(
        refusal.message,
        "the projection \"totals\" has read shard 1 of \"orders\" up to position 1, not 0"
    );
    assert_eq!(
        in_several(&mut world, [4, 1, 9], [5, 2, 9]).expect_err("it stays in one").code(),
        Code::Invalid
    );
    assert_eq!(positions(&world), [Some(4), Some(1), Some(9)]);
    let (projection, store) = ("totals".to_owned(), STORE.to_owned());
    let more = vec![Mark { shard: 1, position: 7 }, Mark { shard: 2, position: 0 }];
    run(&mut world, Entry::new(Rewind { projection, store, shard: 0, position: 2, more }))
        .expect("it is set");
    assert_eq!(positions(&world), [Some(2), Some(7), None]);
    check(&world);
}
