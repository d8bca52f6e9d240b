//! Key-value state beside a model that is an ordered map: whatever is done, both say the same.

mod world;

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::body::Stored;
use machine::changes::Keep;
use machine::command::Answer;
use machine::kv::{self, Action, Bulk, Define, Delete, Item, Operation, Page, Put, Transact, Value};
use machine::{Code, Command, Entry, Memory, Table, Time};
use proptest::prelude::*;
use prost::Message;
use world::{World, table};

/// What the model knows of an item.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    etag: u64,
    value: Vec<u8>,
    expires: Option<Time>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    items: BTreeMap<u8, Known>,
}

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Step {
    Put(One),
    Delete(One),
    Transact(Vec<One>),
    Bulk(Vec<One>),
    /// Time passes, and what is due fires.
    Advance(u64),
    /// Time passes, and nobody leads.
    Sleep(u64),
}

/// An operation before it is known what ETags there are.
#[derive(Clone, Debug)]
struct One {
    key: u8,
    etag: Etag,
    does: Does,
}

#[derive(Clone, Debug)]
enum Etag {
    Any,
    Absent,
    Right,
    Wrong,
}

#[derive(Clone, Debug)]
enum Does {
    Put { bytes: usize, ttl_ms: u64 },
    Delete,
    Check,
}

impl Model {
    fn expire(&mut self, now: Time) {
        self.items.retain(|_, item| item.expires.is_none_or(|expires| now < expires));
    }

    fn etag(&self, key: u8) -> u64 {
        self.items.get(&key).map_or(0, |item| item.etag)
    }

    fn etags(&self) -> BTreeMap<u8, (u64, Vec<u8>)> {
        self.items.iter().map(|(key, item)| (*key, (item.etag, item.value.clone()))).collect()
    }

    fn wanted(&self, one: &One) -> Option<u64> {
        match one.etag {
            Etag::Any => None,
            Etag::Absent => Some(0),
            Etag::Right => Some(self.etag(one.key)),
            Etag::Wrong => Some(self.etag(one.key) + 1),
        }
    }

    /// Does it, if the ETag is as `wanted`.
    fn step(&mut self, one: &One, wanted: Option<u64>, sequence: u64, now: Time) -> bool {
        if wanted.is_some_and(|wanted| wanted != self.etag(one.key)) {
            return false;
        }
        match one.does {
            Does::Put { bytes, ttl_ms } => {
                let expires = (ttl_ms > 0).then(|| now.after(ttl_ms));
                let value = vec![one.key; bytes];
                self.items.insert(one.key, Known { etag: sequence, value, expires });
            }
            Does::Delete => {
                self.items.remove(&one.key);
            }
            Does::Check => {}
        }
        true
    }
}

/// The world and the model, side by side.
struct Pair {
    world: World,
    model: Model,
}

impl Pair {
    fn run(&mut self, step: &Step) {
        self.model.expire(self.world.now());
        match step {
            Step::Put(one) => self.single(one),
            Step::Delete(one) => self.single(one),
            Step::Transact(ones) => self.transact(ones),
            Step::Bulk(ones) => self.bulk(ones),
            Step::Advance(millis) => self.world.advance(*millis),
            Step::Sleep(millis) => self.world.sleep(*millis),
        }
        self.model.expire(self.world.now());
        self.compare();
    }

    fn single(&mut self, one: &One) {
        let wanted = self.model.wanted(one);
        let existed = self.model.items.contains_key(&one.key);
        let (store, scope, key) = place(one);
        let (command, bodies): (Command, _) = match one.does {
            Does::Put { bytes, ttl_ms } => {
                (Put { store, key, value: 0, etag: wanted, scope, ttl_ms }.into(), vec![vec![one.key; bytes]])
            }
            _ => (Delete { store, scope, key, etag: wanted }.into(), vec![]),
        };
        let outcome = self.world.run(entry(command, bodies));
        let sequence = self.world.sequence();
        match self.model.step(one, wanted, sequence, self.world.now()) {
            true => {
                let Some(Answer::Kv(reply)) = outcome.unwrap().answer else {
                    panic!("no reply of this block")
                };
                assert_eq!(reply.existed, existed);
                let put = matches!(one.does, Does::Put { .. });
                assert_eq!(reply.etag, if put { sequence } else { 0 });
            }
            false => assert_eq!(outcome.unwrap_err().code(), Code::Conflict),
        }
    }

    fn transact(&mut self, ones: &[One]) {
        let (operations, bodies) = self.operations(ones);
        let wanted: Vec<_> = operations.iter().map(|operation| operation.etag).collect();
        let outcome =
            self.world.run(entry(Transact { store: STORE.into(), scope: SCOPE.into(), operations }, bodies));
        let mut after = self.model.clone();
        let (sequence, now) = (self.world.sequence(), self.world.now());
        if ones.iter().zip(wanted).all(|(one, wanted)| after.step(one, wanted, sequence, now)) {
            outcome.unwrap();
            self.model = after;
        } else {
            assert_eq!(outcome.unwrap_err().code(), Code::Conflict);
        }
    }

    fn bulk(&mut self, ones: &[One]) {
        let (operations, bodies) = self.operations(ones);
        let wanted: Vec<_> = operations.iter().map(|operation| operation.etag).collect();
        let outcome =
            self.world.run(entry(Bulk { store: STORE.into(), scope: SCOPE.into(), operations }, bodies));
        let Some(Answer::Kv(reply)) = outcome.unwrap().answer else { panic!("no reply of this block") };
        let failed: Vec<_> = reply.failed.iter().map(|failed| failed.index).collect();
        let (sequence, now) = (self.world.sequence(), self.world.now());
        let mut refused = Vec::new();
        for (index, (one, wanted)) in ones.iter().zip(wanted).enumerate() {
            if !self.model.step(one, wanted, sequence, now) {
                refused.push(index as u32);
            }
        }
        assert_eq!(failed, refused);
    }

    fn operations(&self, ones: &[One]) -> (Vec<Operation>, Vec<Vec<u8>>) {
        let mut bodies = Vec::new();
        let operation = |one: &One| {
            let action = match one.does {
                Does::Put { bytes, ttl_ms } => {
                    bodies.push(vec![one.key; bytes]);
                    Action::Put(Value { body: bodies.len() as u32 - 1, ttl_ms })
                }
                Does::Delete => Action::Delete(()),
                Does::Check => Action::Check(()),
            };
            Operation { key: place(one).2, etag: self.model.wanted(one), action: Some(action) }
        };
        let operations = ones.iter().map(operation).collect();
        (operations, bodies)
    }

    /// What the changes come to.
    fn told_by_changes(&self) -> BTreeMap<u8, (u64, Vec<u8>)> {
        let changes = kv::changes(&self.world.state, STORE, 0, usize::MAX).unwrap();
        let mut items = BTreeMap::new();
        for (place, (position, change)) in changes.changes.iter().enumerate() {
            assert_eq!(*position, place as u64 + 1, "a change is missing");
            match &change.value {
                Some(value) => items.insert(change.key[0], (change.etag, self.world.body(value).to_vec())),
                None => items.remove(&change.key[0]),
            };
        }
        items
    }

    fn compare(&self) {
        let page = Page { max: 1000, ..Page::default() };
        let listing = kv::list(&self.world.state, STORE, SCOPE, &page, self.world.now());
        let listed: BTreeMap<u8, Known> = listing
            .items
            .iter()
            .map(|(key, item)| {
                let value = self.world.body(&item.value).to_vec();
                (key[0], Known { etag: item.etag, value, expires: item.expires() })
            })
            .collect();
        assert_eq!(listed, self.model.items);
        for key in KEYS {
            let item = kv::get(&self.world.state, STORE, SCOPE, &[key], self.world.now());
            assert_eq!(item.map_or(0, |item| item.etag), self.model.etag(key));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_the_model_says_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair { world: World::new(), model: Model::default() };
        let keep = Keep { values: true, ..Keep::default() };
        pair.world.run(Entry::new(Define { store: STORE.into(), changes: Some(keep), spread: false })).unwrap();
        for step in &steps {
            pair.run(step);
        }
        pair.world.check(pointers);
        pair.run(&Step::Advance(1000));
        prop_assert!(table(&pair.world.state, Table::Timer).is_empty(), "timers that nothing waits for");
        prop_assert_eq!(table(&pair.world.state, Table::KvItem).len(), pair.model.items.len());
        prop_assert_eq!(pair.told_by_changes(), pair.model.etags());
    }
}

fn step() -> impl Strategy<Value = Step> {
    let several = || prop::collection::vec(one(), 0..5);
    prop_oneof![
        4 => (one(), put()).prop_map(|(one, does)| Step::Put(One { does, ..one })),
        2 => one().prop_map(|one| Step::Delete(One { does: Does::Delete, ..one })),
        2 => several().prop_map(Step::Transact),
        2 => several().prop_map(Step::Bulk),
        2 => (0..40u64).prop_map(Step::Advance),
        1 => (0..40u64).prop_map(Step::Sleep),
    ]
}

fn one() -> impl Strategy<Value = One> {
    let etag = prop_oneof![
        4 => Just(Etag::Any),
        2 => Just(Etag::Right),
        1 => Just(Etag::Absent),
        1 => Just(Etag::Wrong),
    ];
    let does = prop_oneof![3 => put(), 1 => Just(Does::Delete), 1 => Just(Does::Check)];
    (KEYS, etag, does).prop_map(|(key, etag, does)| One { key, etag, does })
}

/// Payloads on both sides of what is kept in line; lives that end soon, late or never.
fn put() -> impl Strategy<Value = Does> {
    let bytes = prop_oneof![Just(0), Just(128), Just(129)];
    let ttl_ms = prop_oneof![2 => Just(0), 3 => 1..60u64];
    (bytes, ttl_ms).prop_map(|(bytes, ttl_ms)| Does::Put { bytes, ttl_ms })
}

fn entry(command: impl Into<Command>, bodies: Vec<Vec<u8>>) -> Entry {
    bodies.into_iter().fold(Entry::new(command), Entry::with_body)
}

fn place(one: &One) -> (String, String, Bytes) {
    (STORE.into(), SCOPE.into(), vec![one.key].into())
}

fn pointers(state: &Memory) -> Vec<Stored> {
    let items = table(state, Table::KvItem).into_iter();
    let items = items.map(|(_, value)| Item::decode(value).expect("an item").value);
    let changes = kv::changes(state, STORE, 0, usize::MAX).expect("no change is given up");
    items.chain(changes.changes.into_iter().filter_map(|(_, change)| change.value)).collect()
}

const STORE: &str = "shop";
const SCOPE: &str = "web";
const KEYS: std::ops::Range<u8> = 0..5;
