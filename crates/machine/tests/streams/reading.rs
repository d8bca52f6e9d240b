//! Reading one stream and all of them, both ways.

use machine::Order::{Backwards, Forwards};
use machine::stream::{self, EVENTS_READ_MAX, Filter, Settings};

use super::{STORE, append, delete, find, run, text, truncate, version, world};
use crate::world::World;

const ANY: Filter<'_> = Filter { types: &[], streams: "" };

/// Two streams of three events each, in turn.
fn two_streams() -> World {
    let mut world = world(Settings::default());
    for n in 1..=3 {
        run(&mut world, append("a", None, &[&format!("made-a{n}")])).expect("it is appended");
        run(&mut world, append("b", None, &[&format!("paid-b{n}")])).expect("it is appended");
    }
    world
}

fn of_stream(world: &World, from: u64, order: machine::Order, limit: usize) -> (Vec<u64>, Option<u64>) {
    let read = stream::read(&world.state, STORE, "a", from, order, &ANY, limit).expect("the stream is there");
    (read.events.iter().map(|at| at.version).collect(), read.next)
}

fn of_all(
    world: &World,
    from: u64,
    order: machine::Order,
    filter: &Filter<'_>,
    limit: usize,
) -> (Vec<String>, u64, bool) {
    let all = stream::read_all(&world.state, STORE, from, order, filter, limit);
    (all.events.iter().map(|found| text(&found.event.id)).collect(), all.next, all.end)
}

#[test]
fn a_stream_is_read_from_any_version_both_ways() {
    let world = two_streams();
    assert_eq!(of_stream(&world, 0, Forwards, 10), (vec![1, 2, 3], None));
    assert_eq!(of_stream(&world, 2, Forwards, 1), (vec![2], Some(3)));
    assert_eq!(of_stream(&world, 4, Forwards, 10), (vec![], None));
    assert_eq!(of_stream(&world, u64::MAX, Backwards, 2), (vec![3, 2], Some(1)));
    assert_eq!(of_stream(&world, 1, Backwards, 2), (vec![1], None));
    assert_eq!(of_stream(&world, u64::MAX, Forwards, 2), (vec![], None));
    assert_eq!(of_stream(&world, 0, Backwards, 2), (vec![], None));
    assert_eq!(stream::read(&world.state, STORE, "none", 0, Forwards, &ANY, 10), None);
}

#[test]
fn what_is_removed_is_passed_over() {
    let mut world = two_streams();
    run(&mut world, truncate("a", 3)).expect("it is truncated");
    assert_eq!(of_stream(&world, 0, Forwards, 10), (vec![3], None));
    assert_eq!(of_stream(&world, u64::MAX, Backwards, 10), (vec![3], None));
    assert_eq!(of_stream(&world, 2, Backwards, 10), (vec![], None));
    run(&mut world, delete("a", version(3), false)).expect("it is deleted");
    assert_eq!(of_stream(&world, 0, Forwards, 10), (vec![], None));
    assert!(!find(&world, "a").exists());
}

#[test]
fn all_events_are_read_in_the_order_of_their_appending() {
    let mut world = two_streams();
    let all = ["made-a1", "paid-b1", "made-a2", "paid-b2", "made-a3", "paid-b3"].map(str::to_owned).to_vec();
    assert_eq!(of_all(&world, 0, Forwards, &ANY, 10), (all.clone(), 7, true));
    assert_eq!(of_all(&world, 3, Forwards, &ANY, 2), (all[2..4].to_vec(), 5, false));
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    assert_eq!(of_all(&world, u64::MAX, Backwards, &ANY, 10), (backwards.clone(), 0, true));
    assert_eq!(of_all(&world, 4, Backwards, &ANY, 2), (backwards[2..4].to_vec(), 2, false));
    assert_eq!(of_all(&world, 7, Forwards, &ANY, 2), (vec![], 7, true));
    assert_eq!(of_all(&world, 99, Forwards, &ANY, 2), (vec![], 99, true));
    // A reader of all is not held up by what is gone.
    run(&mut world, delete("a", None, true)).expect("it is deleted");
    assert_eq!(
        of_all(&world, 0, Forwards, &ANY, 2),
        (vec!["paid-b1".to_owned(), "paid-b2".to_owned()], 6, false)
    );
}

#[test]
fn a_reader_gets_the_types_and_streams_that_it_wants_and_gets_on_past_the_others() {
    let world = two_streams();
    let paid = Filter { types: &["paid", "sent"], streams: "" };
    let made = ["made-a1", "made-a2", "made-a3"].map(str::to_owned).to_vec();
    assert_eq!(of_all(&world, 0, Forwards, &paid, 1), (vec!["paid-b1".to_owned()], 3, false));
    assert_eq!(of_all(&world, 0, Forwards, &Filter { types: &[], streams: "a" }, 10), (made, 7, true));
    assert_eq!(
        of_all(&world, 0, Forwards, &Filter { types: &["paid"], streams: "a" }, 10),
        (vec![], 7, true)
    );
    let read = stream::read(&world.state, STORE, "a", 0, Forwards, &paid, 10).expect("the stream is there");
    assert_eq!((read.events.len(), read.next), (0, None));
}

#[test]
fn a_read_is_bounded_whatever_is_asked_for() {
    let mut world = world(Settings::default());
    let ids: Vec<String> = (0..1_000).map(|n| format!("e-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for _ in 0..5 {
        run(&mut world, append("a", None, &ids)).expect("it is appended");
    }
    let next = EVENTS_READ_MAX as u64 + 1;
    let (versions, then) = of_stream(&world, 0, Forwards, usize::MAX);
    assert_eq!((versions.len(), then), (EVENTS_READ_MAX, Some(next)));
    let (found, then, end) = of_all(&world, 0, Forwards, &ANY, usize::MAX);
    assert_eq!((found.len(), then, end), (EVENTS_READ_MAX, next, false));
}

#[test]
fn streams_are_listed_by_name() {
    let mut world = two_streams();
    run(&mut world, append("a-1", None, &["made"])).expect("it is appended");
    let names = |after: &str, limit| -> Vec<String> {
        stream::streams(&world.state, STORE, "", after, limit).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("", 10), ["a", "a-1", "b"]);
    assert_eq!(names("a", 1), ["a-1"]);
    assert_eq!(names("b", 10), Vec::<String>::new());
    let beginning = |prefix: &str, after: &str| -> Vec<String> {
        stream::streams(&world.state, STORE, prefix, after, 10).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(beginning("a", ""), ["a", "a-1"]);
    assert_eq!(beginning("a-", "a"), ["a-1"], "what is before all that begin so is no place among them");
    assert_eq!(beginning("a", "a"), ["a-1"]);
    assert_eq!(beginning("a", "b"), Vec::<String>::new(), "nor is what is behind them");
    assert_eq!(stream::stores(&world.state, None, 10), [STORE]);
    assert_eq!(stream::stores(&world.state, Some(STORE), 10), Vec::<String>::new());
}
