//! A shard's state in three layers is the map that it would be in one, whenever checkpoints begin, end or fail.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use engine::Store;
use engine::overlay::{Layer, Overlay, prefix};
use engine::store::{Memory, Section};
use machine::{Key, Order, Read, Shard, State};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;

/// What is done to a state.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Update(u8, Option<u8>),
    Recall(u8),
    Freeze,
    Written,
    NotWritten,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..24, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        5 => (0_u8..24).prop_map(Step::Delete),
        4 => (0_u8..24, any::<Option<u8>>()).prop_map(|(key, value)| Step::Update(key, value)),
        4 => (0_u8..24).prop_map(Step::Recall),
        2 => Just(Step::Freeze),
        2 => Just(Step::Written),
        1 => Just(Step::NotWritten),
    ]
}

proptest! {
    #![proptest_config(Config::with_cases(400))]
    #[test]
    fn three_layers_are_one_map(
        steps in proptest::collection::vec(step(), 0..120),
        (from, to) in (0_u8..24, 0_u8..24),
    ) {
        let mut world = World::new();
        for step in steps {
            world.take(&step);
        }
        world.check(&[from], &[to]);
        world.check(&[0], &[255]);
    }
}

/// A state, and the map that it should be.
struct World {
    state: Overlay<Memory>,
    store: Arc<Memory>,
    writing: Option<Arc<Layer>>,
    map: BTreeMap<Vec<u8>, Bytes>,
}

impl World {
    fn new() -> World {
        let store = Arc::new(Memory::new());
        // Another shard's pairs on both sides are none of its own.
        for shard in [0, 2] {
            let changes = Arc::new(Layer::from([(
                Key::from([7].as_slice()),
                engine::overlay::Change::put(Bytes::from("theirs")),
            )]));
            store.ingest(&[Section { prefix: prefix(Shard(shard)), changes }]).expect("memory takes it");
        }
        let state = Overlay::new(Shard(1), Arc::clone(&store), 0);
        World { state, store, writing: None, map: BTreeMap::new() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Put(key, value) => {
                let (key, value) = (bytes(*key), Bytes::from(vec![*value]));
                // As the machine does: what it knows to be new it says to be.
                match self.map.insert(key.clone(), value.clone()) {
                    None => self.state.insert(Key::from(key.as_slice()), value),
                    Some(_) => self.state.put(Key::from(key.as_slice()), value),
                }
            }
            Step::Delete(key) => {
                self.map.remove(&bytes(*key));
                self.state.delete(Key::from(bytes(*key).as_slice()));
            }
            Step::Update(key, value) => {
                let (key, value) = (bytes(*key), value.map(|value| Bytes::from(vec![value])));
                let known = match value.clone() {
                    Some(value) => self.map.insert(key.clone(), value),
                    None => self.map.remove(&key),
                };
                self.state.update(Key::from(key.as_slice()), &mut |is| {
                    assert_eq!(is, known);
                    value.clone()
                });
            }
            Step::Recall(key) => {
                let key = bytes(*key);
                assert_eq!(self.state.recall(Key::from(key.as_slice())), self.map.get(&key).cloned());
            }
            Step::Freeze if self.writing.is_none() => {
                self.writing =
                    Some(self.state.freeze(Key::from([200].as_slice()), Bytes::from("checkpoint")));
                self.map.insert(vec![200], Bytes::from("checkpoint"));
            }
            Step::Written => {
                if let Some(changes) = self.writing.take() {
                    let section = Section { prefix: prefix(Shard(1)), changes };
                    self.store.ingest(&[section]).expect("memory takes it");
                    self.state.written();
                }
            }
            Step::NotWritten if self.writing.take().is_some() => self.state.not_written(),
            Step::Freeze | Step::NotWritten => {}
        }
    }

    fn check(&self, from: &[u8], to: &[u8]) {
        for key in 0..=255_u8 {
            assert_eq!(self.state.get(&bytes(key)), self.map.get(&bytes(key)).cloned(), "under {key}");
        }
        let mut expected: Vec<(Vec<u8>, Bytes)> = self
            .map
            .iter()
            .filter(|(key, _)| key.as_slice() >= from && key.as_slice() < to)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(self.scan(from, to, Order::Forwards), expected);
        expected.reverse();
        assert_eq!(self.scan(from, to, Order::Backwards), expected);
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order) -> Vec<(Vec<u8>, Bytes)> {
        let mut found = Vec::new();
        self.state.scan(from, to, order, &mut |key, value| {
            found.push((key.to_vec(), value.clone()));
            ControlFlow::Continue(())
        });
        found
    }
}

/// A key; some are longer than what has room in place.
fn bytes(key: u8) -> Vec<u8> {
    vec![key; if key.is_multiple_of(3) && key < 24 { 70 } else { 1 }]
}
