//! Stories of configuration.

mod world;

use std::collections::BTreeMap;

use machine::body::Stored;
use machine::command::Answer;
use machine::config::{self, CHANGES_KEPT, EDITS_MAX, Edit, ITEMS_MAX, Item, Reply, Set, What, Write};
use machine::{Code, Effect, Entry, Memory, Refusal, Table, effect::Channel};
use proptest::prelude::*;
use prost::Message;
use world::{World, table};

#[test]
fn what_is_set_together_changes_together() {
    let mut world = World::new();
    let old = world.write(vec![Edit::set("host", 0), Edit::set("port", 0)]).unwrap().revision;
    let stale = vec![Edit::set("host", 0), Edit { revision: Some(old + 9), ..Edit::delete("port") }];
    assert_eq!(code(world.write(stale)), Code::Conflict);
    assert_eq!(world.revisions(), [("host".into(), old), ("port".into(), old)]);
    let fresh = vec![Edit::set("host", 0), Edit { revision: Some(old), ..Edit::delete("port") }];
    let new = world.write(fresh).unwrap().revision;
    assert_eq!(world.revisions(), [("host".into(), new)]);
    world.check(pointers);
}

#[test]
fn an_item_has_what_the_operator_says_of_it() {
    let mut world = World::new();
    let metadata = BTreeMap::from([("owner".to_owned(), "shop".to_owned())]);
    let set = Set { body: 0, version: "v7".into(), metadata: metadata.clone() };
    world.write(vec![Edit { what: Some(What::Set(set)), ..Edit::delete("k") }]).unwrap();
    let item = config::get(&world.state, "app", "k").unwrap();
    assert_eq!((item.version.as_str(), item.metadata), ("v7", metadata));
    assert_eq!(world.body(&item.value), VALUE);
}

#[test]
fn who_watches_goes_on_from_where_they_were() {
    let mut world = World::new();
    world.write(vec![Edit::set("a", 0), Edit::set("b", 0)]).unwrap();
    assert_eq!(world.effects, [Effect::Wake(Channel::config("app"))]);
    let seen = config::position(&world.state, "app");
    world.write(vec![Edit::delete("a"), Edit::delete("none")]).unwrap();
    let after = config::changes(&world.state, "app", seen, 10).unwrap();
    let changed: Vec<_> = after.changes.iter().map(|(_, change)| (&change.key[..], change.etag)).collect();
    assert_eq!(changed, [(&b"a"[..], 0)]);
    world.write(vec![Edit::delete("none")]).unwrap();
    assert!(world.effects.is_empty(), "nothing has changed");
    assert_eq!(config::position(&world.state, "app"), after.last);
}

#[test]
fn who_was_away_for_too_long_is_told_so() {
    let mut world = World::new();
    for _ in 0..=CHANGES_KEPT / 1000 {
        world.write((0..1000).map(|key| Edit::set(key.to_string(), 0)).collect()).unwrap();
    }
    assert_eq!(code(config::changes(&world.state, "app", 999, 10)), Code::Gone);
    assert_eq!(config::changes(&world.state, "app", 1000, 10).unwrap().changes[0].0, 1001);
    assert_eq!(table(&world.state, Table::ConfigChange).len() as u64, CHANGES_KEPT + 1);
    world.check_pointers(pointers);
}

#[test]
fn a_store_has_a_maximum() {
    let mut world = World::new();
    for from in (0..ITEMS_MAX).step_by(EDITS_MAX) {
        let edits = (from..from + EDITS_MAX as u64).map(|key| Edit::set(key.to_string(), 0));
        world.write(edits.collect()).unwrap();
    }
    assert_eq!(code(world.write(vec![Edit::set("more", 0)])), Code::Limit);
    world.write(vec![Edit::set("0", 0)]).unwrap();
    world.write(vec![Edit::delete("0"), Edit::set("more", 0)]).unwrap();
}

#[test]
fn what_is_malformed_does_not_get_in() {
    let mut world = World::new();
    let long = Set { version: "v".repeat(20_000), ..Set::default() };
    let bad = [
        vec![Edit::set("", 0)],
        vec![Edit::set("a", 1)],
        vec![Edit::set("a", 0), Edit::delete("a")],
        vec![Edit { what: None, ..Edit::delete("a") }],
        vec![Edit { what: Some(What::Set(long)), ..Edit::delete("a") }],
        (0..=EDITS_MAX).map(|key| Edit::delete(key.to_string())).collect(),
    ];
    for edits in bad {
        assert_eq!(code(world.write(edits)), Code::Invalid);
    }
}

proptest! {
    /// Items and changes both say what a map says.
    #[test]
    fn a_model_agrees(writes in prop::collection::vec(edits(), 1..40)) {
        let mut world = World::new();
        let mut model: BTreeMap<String, u64> = BTreeMap::new();
        for edits in writes {
            let outcome = world.write(edits.iter().map(|(key, set)| match set {
                true => Edit::set(key.to_string(), 0),
                false => Edit::delete(key.to_string()),
            }).collect());
            let revision = outcome.unwrap().revision;
            for (key, set) in edits {
                match set {
                    true => model.insert(key.to_string(), revision),
                    false => model.remove(&key.to_string()),
                };
            }
            prop_assert_eq!(world.revisions(), model.clone().into_iter().collect::<Vec<_>>());
        }
        let mut told = BTreeMap::new();
        for (_, change) in config::changes(&world.state, "app", 0, usize::MAX).unwrap().changes {
            let key = String::from_utf8(change.key.to_vec()).unwrap();
            match change.etag {
                0 => told.remove(&key),
                etag => told.insert(key, etag),
            };
        }
        prop_assert_eq!(told, model);
        world.check(pointers);
    }
}

/// To each item once, whether it is set.
fn edits() -> impl Strategy<Value = BTreeMap<u8, bool>> {
    prop::collection::btree_map(0..6u8, any::<bool>(), 0..4)
}

trait Config {
    fn write(&mut self, edits: Vec<Edit>) -> Result<Reply, Refusal>;
    fn revisions(&self) -> Vec<(String, u64)>;
}

impl Config for World {
    fn write(&mut self, edits: Vec<Edit>) -> Result<Reply, Refusal> {
        let entry = Entry::new(Write { store: "app".into(), edits }).with_body(VALUE);
        match self.run(entry)?.answer {
            Some(Answer::Config(reply)) => Ok(reply),
            other => panic!("answered {other:?}"),
        }
    }

    /// Read in pages.
    fn revisions(&self) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.clone()).unwrap_or_default();
            let page = config::list(&self.state, "app", &after, 2);
            if page.is_empty() {
                return all;
            }
            all.extend(page.into_iter().map(|(key, item)| (key, item.revision)));
        }
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> Code {
    outcome.expect_err("it was to be refused").code()
}

fn pointers(state: &Memory) -> Vec<Stored> {
    let pairs = table(state, Table::Config).into_iter();
    // Beside the items the table has how many there are.
    let items = pairs.filter(|(key, _)| key["?app?".len()] == 1);
    items.map(|(_, value)| Item::decode(value).expect("an item").value).collect()
}

const VALUE: &[u8] = &[7; 200];
