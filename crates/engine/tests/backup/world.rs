//! Engines in memory, and what is asked of them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::backup::{self, Summary};
use engine::store::Memory;
use engine::{Clock, Config, Engine};
use machine::body::Kept;
use machine::{Entry, Key, Order, Read, Shard, Table, Time, kv};
use prost::Message;

pub type InMemory = Engine<log::Memory, Memory>;

/// A log and a store that outlive engines, and a clock that is set.
pub struct World {
    pub config: Config,
    pub log: Arc<log::Memory>,
    pub store: Arc<Memory>,
    pub clock: Hands,
}

impl World {
    pub fn new() -> World {
        let config = Config { shards: 4, workers: 2, ..Config::default() };
        let clock = Hands::default();
        clock.set(1_000_000);
        World { config, log: Arc::default(), store: Arc::default(), clock }
    }

    /// What a backup is restored to, with a clock that shows the same.
    pub fn restored(&self, backup: &[u8]) -> World {
        let world = World { config: self.config.clone(), ..World::new() };
        world.clock.set(self.clock.now().as_millis());
        backup::restore(backup, world.log.as_ref(), world.store.as_ref(), &mut |_| {})
            .expect("it is restored");
        world
    }

    pub fn open(&self) -> InMemory {
        let (log, store) = (Arc::clone(&self.log), Arc::clone(&self.store));
        Engine::open(self.config.clone(), log, store, self.clock.clone()).expect("it opens")
    }
}

/// A clock that is set.
#[derive(Clone, Default)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    pub fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub fn back_up(engine: &InMemory) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = engine.backup(&mut bytes, &mut |_| {}).expect("it is backed up");
    assert_eq!(summary.bytes, bytes.len() as u64);
    (bytes, summary)
}

pub fn put(key: &str, value: impl Into<Bytes>) -> Entry {
    Entry::new(key_value(key)).with_body(value)
}

pub fn key_value(key: &str) -> kv::Put {
    kv::Put { store: "store".to_owned(), key: Bytes::copy_from_slice(key.as_bytes()), ..kv::Put::default() }
}

pub fn get<L: log::Log, S: engine::Store>(engine: &Engine<L, S>, shard: Shard, key: &str) -> Option<Bytes> {
    let (_, mut payloads) = engine
        .read_with_payloads(shard, |state, now| {
            let item = kv::get(state, "store", "", key.as_bytes(), now);
            ((), item.map(|item| item.value).into_iter().collect())
        })
        .expect("it can be read");
    payloads.pop()
}

/// A payload that is not kept in line, and that no other number has.
pub fn big(number: u64) -> Bytes {
    number.to_le_bytes().repeat(100).into()
}

/// All pairs of a shard, with every payload where a backup has it.
pub fn pairs(engine: &InMemory, shard: Shard) -> Vec<(Vec<u8>, Bytes)> {
    let look = |state: &engine::overlay::Overlay<Memory>, _| {
        let mut pairs = Vec::new();
        let mut lying = Vec::new();
        state.scan(&[1], &[u8::MAX], Order::Forwards, &mut |key, value| {
            let kept =
                Key::new(Table::Kept).rest_of(key).map(|_| Kept::decode(value.clone()).expect("a payload"));
            if let Some(kept) = kept.filter(|kept| kept.moved.is_none()) {
                let (sequence, index) = machine::body::of_key(key).expect("a payload's place");
                lying.push(machine::Stored { inline: None, sequence, index, length: kept.length });
            }
            pairs.push((key.to_vec(), value.clone()));
            ControlFlow::Continue(())
        });
        (pairs, lying)
    };
    let (mut pairs, payloads) = engine.read_with_payloads(shard, look).expect("it can be read");
    let mut payloads = payloads.into_iter();
    for (_, value) in pairs.iter_mut().filter(|(key, _)| key[0] == Table::Kept as u8) {
        let mut kept = Kept::decode(value.clone()).expect("a payload");
        if kept.moved.is_none() {
            kept.moved = payloads.next();
            *value = kept.encode_to_vec().into();
        }
    }
    pairs
}

pub async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within half a minute: {what}");
}
