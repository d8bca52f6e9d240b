//! Stories of those who watch a store's changes.

mod world;

use machine::body::Stored;
use machine::changes::{CHANGES_MAX, Change, Keep, Span, TRIMMED_MAX};
use machine::kv::{self, Define, Delete, Item, Operation, Put, Transact};
use machine::{Code, Effect, Entry, Memory, Refusal, Table, effect::Channel};
use prost::Message;
use world::{World, table};

#[test]
fn changes_come_in_order_and_once() {
    let mut world = defined(Keep::default());
    world.put("a", 0);
    world.put("b", 5);
    world.run(Entry::new(delete("a"))).unwrap();
    world.advance(5);
    let seen = keys(&world, 0, 10);
    assert_eq!(seen, [(1, "a".into(), 2), (2, "b".into(), 3), (3, "a".into(), 0), (4, "b".into(), 0)]);
    assert_eq!(keys(&world, 2, 1), [(3, "a".into(), 0)]);
    assert_eq!(keys(&world, 4, 10), []);
    world.check(pointers);
}

#[test]
fn who_watches_is_woken() {
    let mut world = defined(Keep::default());
    world.put("a", 0);
    assert_eq!(world.effects, [Effect::Wake(Channel::kv("shop"))]);
    world.run(Entry::new(delete("none"))).unwrap();
    assert!(world.effects.is_empty(), "nothing has changed");
}

#[test]
fn a_transaction_is_seen_as_what_came_of_it() {
    let mut world = defined(Keep::default());
    let operations = vec![
        Operation::put("b", 0),
        Operation::put("a", 0),
        Operation::put("c", 0),
        Operation::delete("b"),
        Operation::put("b", 0),
        Operation::delete("none"),
    ];
    let entry = Entry::new(Transact { store: "shop".into(), scope: "web".into(), operations });
    world.run(entry.with_body("v")).unwrap();
    assert_eq!(keys(&world, 0, 10), [(1, "a".into(), 2), (2, "c".into(), 2), (3, "b".into(), 2)]);
}

#[test]
fn the_changes_of_one_item_are_found_from_the_last_on() {
    let mut world = defined(Keep { count: 4, ..Keep::default() });
    let history = |world: &World, key: &str, max| {
        let (changes, whole) = kv::history(&world.state, "shop", "web", key.as_bytes(), max).unwrap();
        (changes.iter().map(|change| change.etag).collect::<Vec<_>>(), whole)
    };
    world.put("a", 0);
    world.put("b", 0);
    world.run(Entry::new(delete("a"))).unwrap();
    world.put("a", 0);
    assert_eq!(history(&world, "a", 10), (vec![5, 0, 2], true), "zero: it was gone");
    assert_eq!(history(&world, "a", 2), (vec![5, 0], false));
    assert_eq!(history(&world, "c", 10), (vec![], true));
    world.put("b", 0);
    assert_eq!(history(&world, "a", 10), (vec![5, 0], true), "the first is not kept any more");
    let other = kv::history(&world.state, "shop", "other", b"a", 10).unwrap();
    assert_eq!(other, (vec![], true), "the same key in another scope is another item");
    assert_eq!(code(kv::history(&world.state, "else", "web", b"a", 10)), Code::NotFound);
}

#[test]
fn who_comes_too_late_is_told_so() {
    let mut world = defined(Keep { count: 3, ..Keep::default() });
    for _ in 0..5 {
        world.put("a", 0);
    }
    assert_eq!(span(&world), (3, 5));
    assert_eq!(table(&world.state, Table::KvChange).len(), 1 + 3);
    assert_eq!(code(kv::changes(&world.state, "shop", 1, 10)), Code::Gone);
    assert_eq!(keys(&world, 2, 10).len(), 3);
    assert_eq!(code(kv::changes(&world.state, "shop", 6, 10)), Code::Invalid);
}

#[test]
fn a_store_that_keeps_no_changes_says_so() {
    let mut world = World::new();
    world.put("a", 0);
    assert_eq!(code(kv::changes(&world.state, "shop", 0, 10)), Code::NotFound);
    assert!(table(&world.state, Table::KvChange).is_empty());
}

#[test]
fn old_changes_go_when_their_time_is_over() {
    let mut world = defined(Keep { age_ms: 1000, values: true, ..Keep::default() });
    for _ in 0..10 {
        world.put("a", 0);
        world.advance(100);
    }
    assert!(span(&world).0 <= 2, "what is not too old is kept");
    assert_eq!(table(&world.state, Table::Timer).len(), 1);
    world.check(pointers);
    world.advance(1100);
    assert_eq!(span(&world), (11, 10));
    assert_eq!(table(&world.state, Table::KvChange).len(), 1);
    assert!(table(&world.state, Table::Timer).is_empty());
    world.check(pointers);
    world.put("a", 0);
    assert_eq!(keys(&world, 10, 10).len(), 1);
}

#[test]
fn a_change_keeps_the_value_that_was_put() {
    let mut world = defined(Keep { values: true, ..Keep::default() });
    world.put("a", 0);
    world.put("a", 0);
    world.run(Entry::new(delete("a"))).unwrap();
    let changes = kv::changes(&world.state, "shop", 0, 10).unwrap().changes;
    let values: Vec<_> = changes.iter().map(|(_, change)| change.value.as_ref()).collect();
    assert_eq!(values.len(), 3);
    assert_eq!(world.body(values[0].unwrap()), vec![2; 1000]);
    assert_eq!(world.body(values[1].unwrap()), vec![3; 1000]);
    assert_eq!(values[2], None);
    world.check(pointers);
}

#[test]
fn what_is_no_longer_to_be_kept_goes_step_by_step() {
    let many = TRIMMED_MAX * 2 + 10;
    let mut world = defined(Keep { values: true, ..Keep::default() });
    let operations = (0..many).map(|number| Operation::put(format!("{number}"), 0)).collect();
    let entry = Entry::new(Transact { store: "shop".into(), scope: "web".into(), operations });
    world.run(entry.with_body(vec![1; 500])).unwrap();
    world.define(Some(Keep { count: 7, ..Keep::default() }));
    world.advance(0);
    assert_eq!(span(&world), (many as u64 - 6, many as u64));
    world.check(pointers);
    world.define(None);
    world.advance(0);
    assert_eq!(table(&world.state, Table::KvChange).len(), 1, "positions go on where they were");
    assert!(table(&world.state, Table::Timer).is_empty());
    world.check(pointers);
}

#[test]
fn what_happened_while_no_changes_were_kept_is_known_to_be_missing() {
    let mut world = defined(Keep::default());
    world.put("a", 0);
    world.define(None);
    assert_eq!(code(kv::changes(&world.state, "shop", 1, 10)), Code::NotFound);
    world.put("a", 0);
    world.define(Some(Keep::default()));
    assert_eq!(code(kv::changes(&world.state, "shop", 1, 10)), Code::Gone);
    let Span { last, .. } = kv::span(&world.state, "shop").unwrap();
    world.put("a", 0);
    assert_eq!(keys(&world, last, 10), [(last + 1, "a".into(), 5 + 1)]);
    world.advance(0);
    assert_eq!(keys(&world, last, 10).len(), 1);
    world.check(pointers);
}

#[test]
fn defining_the_same_again_changes_nothing() {
    let mut world = defined(Keep::default());
    world.put("a", 0);
    let before = world.state.clone();
    world.define(Some(Keep::default()));
    assert!(world.state == before);
    let many = Keep { count: CHANGES_MAX + 1, ..Keep::default() };
    let entry = Entry::new(Define { store: "shop".into(), changes: Some(many), spread: false });
    assert_eq!(code(world.run(entry)), Code::Invalid);
}

trait Watched {
    fn define(&mut self, changes: Option<Keep>);
    fn put(&mut self, key: &str, ttl_ms: u64);
}

impl Watched for World {
    fn define(&mut self, changes: Option<Keep>) {
        self.run(Entry::new(Define { store: "shop".into(), changes, spread: false })).unwrap();
    }

    /// A value that is told apart by the entry.
    fn put(&mut self, key: &str, ttl_ms: u64) {
        let key = key.to_owned().into();
        let put = Put { store: "shop".into(), scope: "web".into(), key, ttl_ms, ..Put::default() };
        let value = vec![self.sequence() as u8 + 1; 1000];
        self.run(Entry::new(put).with_body(value)).unwrap();
    }
}

fn defined(keep: Keep) -> World {
    let mut world = World::new();
    world.define(Some(keep));
    world
}

fn delete(key: &str) -> Delete {
    Delete { store: "shop".into(), scope: "web".into(), key: key.to_owned().into(), etag: None }
}

/// Position, key and ETag of each.
fn keys(world: &World, after: u64, max: usize) -> Vec<(u64, String, u64)> {
    let changes = kv::changes(&world.state, "shop", after, max).unwrap().changes;
    changes
        .into_iter()
        .map(|(position, change)| (position, String::from_utf8(change.key.to_vec()).unwrap(), change.etag))
        .collect()
}

fn span(world: &World) -> (u64, u64) {
    let span = kv::span(&world.state, "shop").unwrap();
    (span.first, span.last)
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> Code {
    outcome.expect_err("it was to be refused").code()
}

fn pointers(state: &Memory) -> Vec<Stored> {
    let items = table(state, Table::KvItem).into_iter();
    let items = items.map(|(_, value)| Item::decode(value).expect("an item").value);
    // The first of the table is what is known of the list.
    let changes = table(state, Table::KvChange).into_iter().skip(1);
    let changes = changes.filter_map(|(_, value)| Change::decode(value).expect("a change").value);
    items.chain(changes).collect()
}
