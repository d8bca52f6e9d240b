//! What becomes of payloads that are damaged on the disk: whoever asks for one is told, and all else goes on.

mod small;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::blocks::queue::Item;
use engine::replica;
use engine::store::Memory;
use engine::worker::{Letter, Worker};
use engine::{Config, ConsumerConfig, Engine, Error, System};
use log::Log as _;
use log::disk::{Disk as _, Simulated};
use machine::topic::{self, NewMessage, Place, Publish};
use machine::{Command, Effect, Entry, Shard, Shards, Time, kv, outbox, queue};
use small::{config, key, put, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_is_lost_is_an_error_and_all_else_goes_on() {
    let world = World::new(config());
    let engine = world.open();
    for number in 1..=3 {
        engine.propose(Shard(0), put(number)).await.expect("it is taken");
    }
    engine.close();
    world.flip(&value(2));
    world.repair();
    let engine = world.open();
    assert_eq!(get(&engine, 1).expect("it is whole"), Some(value(1)));
    assert_eq!(get(&engine, 3).expect("it is whole"), Some(value(3)));
    let lost = get(&engine, 2).expect_err("it is lost");
    assert!(matches!(lost, Error::Lost(_)), "{lost}");
    assert!(lost.to_string().contains("a repair gave it up"), "{lost}");
    assert_eq!((engine.metrics().lost, engine.metrics().unreadable), (1, 0), "it is counted");
    engine.propose(Shard(0), put(2)).await.expect("it is put anew");
    assert_eq!(get(&engine, 2).expect("it is whole"), Some(value(2)));
    assert!(engine.failure().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_payload_is_lost_is_left_out_and_counted_as_missed() {
    let world = World::new(config());
    let engine = world.open();
    let shard = topic::shard(engine.shards(), "orders", 0);
    for number in 1..=3 {
        let message = NewMessage::new(0).with_key(b"one key".to_vec());
        let publish = Publish { topic: "orders".to_owned(), partition: 0, message };
        engine.propose(shard, Entry::new(publish).with_body(value(number))).await.expect("it is taken");
    }
    engine.close();
    world.flip(&value(2));
    world.repair();
    let engine = world.open();
    let consumer = engine.consume("orders", 0..1, "group", Place::start(), ConsumerConfig::default());
    let consumer = consumer.await.expect("the group is made");
    for number in [1, 3] {
        let messages = consumer.next(10).await.expect("it gets messages");
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].payload, value(number));
        consumer.acknowledge(&messages).expect("it is taken");
    }
    consumer.settled().await.expect("it is written down");
    let group = engine.read(shard, |state, _| topic::read::groups(state, "orders", 0).remove(0));
    let group = group.expect("it can be read");
    assert_eq!((group.lag, group.group.missed), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_whose_payload_is_lost_fails_and_the_others_are_received() {
    let world = World::new(config());
    let engine = world.open();
    let settings = queue::Settings { attempts_max: 1, ..queue::Settings::default() };
    engine.queue("work").expect("a name").define(settings).await.expect("it is defined");
    let items = (1..=3).map(|number| Item::new(value(number)));
    engine.queue("work").expect("a name").send(items).await.expect("they are taken");
    // One entry has all three: what is damaged is lost with it.
    let other = Item::new(value(4));
    engine.queue("work").expect("a name").send([other]).await.expect("it is taken");
    engine.close();
    world.flip(&value(2));
    world.repair();
    let engine = world.open();
    let queue = engine.queue("work").expect("a name");
    let received = queue.receive("me", 10, None, Duration::ZERO).await.expect("it is answered");
    let payloads: Vec<_> = received.into_iter().map(|work| work.payload).collect();
    assert_eq!(payloads, [value(4)]);
    let home = queue::home(engine.shards(), "work");
    for _ in 0..500 {
        let dead = engine.read(home, |state, _| queue::counts(state, "work").dead).expect("it can be read");
        if dead == 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("they are no dead letters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_cannot_be_moved_keeps_no_part_of_the_log() {
    let world = World::new(config());
    let engine = world.open();
    for number in 0..20 {
        engine.propose(Shard(0), put(number)).await.expect("it is taken");
    }
    world.flip(&value(5));
    for _ in 0..300 {
        for number in 100..110 {
            engine.propose(Shard(0), put(number)).await.expect("it is taken");
        }
        if engine.log().first(0) > 20 {
            break;
        }
    }
    assert!(engine.log().first(0) > 20, "what was moved is still in the log");
    assert!(engine.failure().is_none());
    assert!(engine.metrics().lost > 0, "what could not be moved is counted");
    let is_there = |engine: &Engine<_, _>| {
        for number in (0..20).filter(|number| *number != 5) {
            assert_eq!(get(engine, number).expect("it is whole"), Some(value(number)), "{number}");
        }
        let lost = get(engine, 5).expect_err("it is lost");
        assert!(matches!(lost, Error::Lost(_)), "{lost}");
    };
    is_there(&engine);
    engine.close();
    let engine = world.open();
    is_there(&engine);
    engine.propose(Shard(0), put(5)).await.expect("it is put anew");
    assert_eq!(get(&engine, 5).expect("it is whole"), Some(value(5)));
}

/// The command that it belongs to is refused where it arrives, so that what comes after it can be delivered.
#[test]
fn a_command_on_its_way_whose_payload_is_lost_is_refused_where_it_arrives() {
    let world = World::new(config());
    let log = Arc::new(world.log());
    let shared = replica::open(Shard(0), log.as_ref(), &world.store).expect("it opens");
    let shards = Shards::new(16).expect("a number of shards");
    let mut worker = Worker::new(Arc::clone(&log), shards, vec![Arc::new(shared)], 1 << 20);
    let now = Time::from_millis(1);
    let mut entry = put(1);
    let there = Command::from(kv::Put { store: "there".to_owned(), ..kv::Put::default() });
    entry.sends.push(outbox::Send { target: 9, command: Box::new(there), bodies: vec![0] });
    worker.propose(now, Shard(0), entry, ());
    worker.tick(now);
    let results = log.append(&worker.take_batches());
    worker.appended(now, results);
    worker.apply();
    world.flip(&value(1));
    worker.tick(now);
    assert!(worker.failure().is_none());
    assert_eq!(worker.outputs().lost, 1);
    let letter = worker.outputs().letters.pop().expect("it is sent all the same");
    let Letter::Deliver { entry, number: 1, .. } = letter else { panic!("{letter:?}") };
    let mut effects = Vec::new();
    machine::apply(&mut machine::Memory::new(), Shard(9), 1, &entry, &mut effects).expect("it is taken");
    assert!(matches!(effects[..], [Effect::Undeliverable { source: Shard(0), .. }]), "{effects:?}");
}

/// A disk and a store that outlive engines.
struct World {
    disk: Simulated,
    store: Arc<Memory>,
    config: Config,
}

impl World {
    fn new(config: Config) -> World {
        World { disk: Simulated::new(1), store: Arc::new(Memory::new()), config }
    }

    fn log(&self) -> log::Embedded<Simulated> {
        log::Embedded::open(self.disk.clone(), self.config.log.clone()).expect("the log opens")
    }

    fn open(&self) -> Engine<log::Embedded<Simulated>, Memory> {
        let opened = Engine::open(self.config.clone(), Arc::new(self.log()), Arc::clone(&self.store), System);
        opened.expect("it opens")
    }

    /// Flips a bit of where `bytes` are in the log.
    fn flip(&self, bytes: &[u8]) {
        let names = self.disk.list().expect("listed");
        for name in names.iter().filter(|name| name.ends_with(".segment")) {
            let content = self.disk.content(name).expect("it is there");
            if let Some(at) = content.windows(bytes.len()).position(|window| window == bytes) {
                return self.disk.flip(name, at as u64 + 100, 3);
            }
        }
        panic!("it is nowhere in the log");
    }

    /// All that there is was in the last checkpoint.
    fn repair(&self) {
        self.disk.end_process();
        let done = log::repair(&self.disk, &[u64::MAX; 16]).expect("it can be repaired");
        assert_eq!((done.stepped_over.len(), done.given_up.len()), (1, 0), "{done:?}");
    }
}

fn get(engine: &Engine<log::Embedded<Simulated>, Memory>, number: u32) -> Result<Option<Bytes>, Error> {
    let found = engine.read_with_payloads(Shard(0), |state, now| {
        let item = kv::get(state, "store", "", &key(number), now);
        ((), item.map(|item| item.value).into_iter().collect())
    });
    found.map(|(_, payloads)| payloads.into_iter().next())
}
